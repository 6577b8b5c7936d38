"""Reports and entries as a terminal has room for them; files and pipes are given whole lines."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from itertools import accumulate, groupby, zip_longest

import click

from featkit.tables import padded, text_width

# Columns that a sentence, and a word, keep in a terminal that is too narrow for their table.
_SENTENCE, _WORD = 30, 6


def columns() -> int | None:
    """Columns of the terminal; None where standard output is a file or a pipe, of which no line is folded."""
    return shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else None


def show(report: str) -> None:
    """Print a report: Markdown, to be pasted, but in a terminal no row is wider than that."""
    width = columns()
    click.echo(fitted(report, width) if width else report)


def entry(heading: str, text: str) -> None:
    """Print a heading and the text beside it; in a terminal, no line of the text runs into that of the headings."""
    width, indent = columns(), text_width(heading)
    lines = folded(text, max(min(width, 110) - indent, 20)) if width else [text]  # longer ones are hard to read
    click.echo(heading + f"\n{' ' * indent}".join(lines))


def fitted(report: str, columns: int) -> str:
    """A report in Markdown as a terminal of this many columns shows it: nothing is wider.

    A table that is too wide is set in plain columns, without those that are empty, and its cells are folded.

    Examples
    --------
    >>> from featkit.tables import markdown
    >>> print(fitted(markdown([{"check": "classes", "fold": "", "finding": "disgust is not shown by speaker 08"}]), 30))
    check   finding
    ------- ----------------------
    classes disgust is not shown
            by speaker 08
    """
    parts: list[str] = []
    for is_table, group in groupby(report.split("\n"), lambda line: line.startswith("|")):
        lines = list(group)
        cells = _cells(lines) if is_table and max(map(text_width, lines)) > columns else []
        if cells:
            parts += narrow(cells, columns)
        else:
            parts += [line for long in lines for line in _folded_line(long, columns)]
    return "\n".join(parts)


def folded(text: str, columns: int) -> list[str]:
    """A text in lines of this many columns of a terminal, cut at blanks; a wider word, as an address, stays whole.

    Examples
    --------
    >>> folded("leave one of 10 speakers out", 12)
    ['leave one of', '10 speakers', 'out']
    """
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if line and text_width(joined) > columns:
            lines.append(line)
            joined = word
        line = joined
    return [*lines, line]


def _folded_line(line: str, columns: int) -> list[str]:
    """A line of prose, whose indent the lines that it is folded to share."""
    if text_width(line) <= columns:
        return [line]
    text = line.lstrip(" ")
    indent = line[: len(line) - len(text)]
    return [indent + part for part in folded(text, max(columns - len(indent), 1))]


def _cells(lines: Sequence[str]) -> list[list[str]]:
    """The rows of a Markdown table, heads first; none where it is no table, as where a line break ended a cell."""
    rows = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    whole = len(rows) > 2 and set("".join(rows[1])) == {"-"} and len(set(map(len, rows))) == 1
    return [rows[0], *rows[2:]] if whole else []


def narrow(cells: Sequence[Sequence[str]], columns: int) -> list[str]:
    """The rows of a table as plain columns that are together no wider than the terminal."""
    shown = [head for head, *below in zip(*cells, strict=True) if any(below)]
    cells = [[cell for cell, head in zip(row, cells[0], strict=True) if head in shown] for row in cells]
    widths = _widths(cells, columns - len(shown) + 1)
    told = [line for row in cells for line in _row(row, widths)]
    told.insert(len(_row(cells[0], widths)), " ".join("-" * n for n in widths))
    return told


def _row(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    parts = zip_longest(*map(_cell, row, widths), fillvalue="")
    return [" ".join(map(padded, line, widths)).rstrip() for line in parts]


def _widths(cells: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths of columns: first sentences give way, then heads, then cells, the widest before the others."""
    head = list(map(text_width, cells[0]))
    body = [max(map(text_width, column)) for column in zip(*cells[1:], strict=True)]
    widths = list(map(max, head, body))
    sentences = [max(min(n, _SENTENCE), most) for n, most in zip(body, head, strict=True)]
    heads = [min(max(n, _WORD), _SENTENCE) for n in body]
    for least in (sentences, heads, [_WORD] * len(body)):
        while sum(widths) > room and any(map(int.__gt__, widths, least)):
            widest = max((n, -i) for i, n in enumerate(widths) if n > least[i])
            widths[-widest[1]] -= 1
    return widths


def _cell(text: str, columns: int) -> list[str]:
    """The lines of a cell; words that are too wide are cut behind one of their signs, or anywhere."""
    lines = []
    for line in folded(text, columns):
        while text_width(line) > columns:
            fits = max(1, sum(width <= columns for width in accumulate(map(text_width, line))))
            place = max(line.rfind(sign, 0, fits) for sign in ",;:+=/-_") + 1 or fits
            lines.append(line[:place])
            line = line[place:]
        lines.append(line)
    return lines
