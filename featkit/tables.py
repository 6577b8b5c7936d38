"""Scores as words, and rows of words as a table: Markdown, LaTeX, CSV. A leaf."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from featkit.errors import FeatkitError

_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "×": r"$\times$", "→": r"$\rightarrow$",
}  # fmt: skip


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Aligned Markdown table; the keys of the first row are the heads.

    Examples
    --------
    >>> print(markdown([{"set": "mfcc39", "UA": "74.6"}]))
    | set    | UA   |
    |--------|------|
    | mfcc39 | 74.6 |
    """
    heads = _heads(rows)
    cells = [heads, *([row[head].replace("|", "\\|") for head in heads] for row in rows)]
    widths = [max(text_width(line[i]) for line in cells) for i in range(len(heads))]
    lines = ["| " + " | ".join(padded(cell, n) for cell, n in zip(line, widths, strict=True)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (n + 2) for n in widths) + "|")
    return "\n".join(lines)


def latex(rows: Sequence[Mapping[str, str]], caption: str, label: str) -> str:
    r"""A table for LaTeX with the package ``booktabs``; columns of numbers stand to the right.

    ``label`` is what ``\ref`` calls it.

    Examples
    --------
    >>> print(latex([{"set": "mfcc_39", "UA": "74.6"}], "EMO-DB", "tab:emodb"))
    % \usepackage{booktabs}
    \begin{table}
      \centering
      \caption{EMO-DB}
      \label{tab:emodb}
      \begin{tabular}{lr}
        \toprule
        set & UA \\
        \midrule
        mfcc\_39 & 74.6 \\
        \bottomrule
      \end{tabular}
    \end{table}
    """
    heads = _heads(rows)
    kinds = "".join("r" if all(row[head][:1].isdigit() for row in rows) else "l" for head in heads)
    lines = [rf"    {' & '.join(map(_tex, (row[head] for head in heads)))} \\" for row in rows]
    return "\n".join(
        [
            r"% \usepackage{booktabs}", r"\begin{table}", r"  \centering", rf"  \caption{{{_tex(caption)}}}",
            rf"  \label{{{label}}}", rf"  \begin{{tabular}}{{{kinds}}}", r"    \toprule",
            rf"    {' & '.join(map(_tex, heads))} \\",
            r"    \midrule", *lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}",
        ]
    )  # fmt: skip


def csv_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV with a head; what a row does not have is empty.

    Examples
    --------
    >>> print(csv_table([{"set": "a,b", "UA": 0.5}, {"set": "c", "note": None}]), end="")
    set,UA,note
    "a,b",0.5,
    c,,
    """
    if not rows:
        raise FeatkitError("There are no rows to show.")
    file = io.StringIO()
    table = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return file.getvalue()


def csv_line(cells: Iterable[Any]) -> str:
    """Cells as one line of CSV, with its end.

    Examples
    --------
    >>> csv_line(["a,b", 1])
    '"a,b",1\\n'
    """
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow(cells)
    return file.getvalue()


def text_width(text: str) -> int:
    """Columns that a terminal gives to a text: two for wide characters, none for combining ones.

    Examples
    --------
    >>> text_width("anger"), text_width("愤怒")
    (5, 4)
    """
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def padded(text: str, columns: int) -> str:
    """A text with blanks behind it, so that it takes this many columns of a terminal."""
    return text + " " * (columns - text_width(text))


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number of things, in the plural where they are not one; ``many`` is that plural, where it needs more than an s.

    Examples
    --------
    >>> counted(1, "clip"), counted(0, "clip"), counted(4, "copy", "copies")
    ('1 clip', '0 clips', '4 copies')
    """
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def percent(value: float, ends: Sequence[float] | None = None) -> str:
    """A score from 0 to 1 in percent, with its interval where that is known.

    Examples
    --------
    >>> percent(0.7462, (0.687, 0.804)), percent(0.7462)
    ('74.6 [69, 80]', '74.6')
    """
    return f"{100 * value:.1f}" + ("" if ends is None else f" [{100 * ends[0]:.0f}, {100 * ends[1]:.0f}]")


def seconds(value: float) -> str:
    """Whole seconds from ten on, below with one decimal."""
    return f"{value:.{0 if value >= 10 else 1}f}"


def _heads(rows: Sequence[Mapping[str, str]]) -> list[str]:
    if not rows:
        raise FeatkitError("There are no rows to show.")
    return list(rows[0])


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in text)
