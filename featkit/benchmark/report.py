"""Rows as tables: one for all rows that share corpus and protocol."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

from featkit.benchmark.recipe import Recipe
from featkit.benchmark.rows import Row
from featkit.errors import FeatkitError
from featkit.tables import counted, csv_table, latex, markdown, percent, seconds

SYNTHETIC = "SYNTHETIC speech: it shows that the program runs, not how well it does on people"
_COST = ("CPU s", "extraction", "kB", "ms")
"""Columns that the table of a paper has no room for."""


def report(rows: Sequence[Row]) -> str:
    """Title and Markdown table of every group of rows that share corpus and protocol."""
    return "\n\n".join(_part(group) for group in grouped(rows))


def _part(rows: Sequence[Row]) -> str:
    return "\n\n".join([title(rows), markdown(cells(rows)), *notes(rows)])


def notes(rows: Sequence[Row]) -> list[str]:
    """What several rows say together, and what a search inside the folds chose, a line a choice."""
    seeds: dict[Recipe, list[Row]] = {}
    for row in rows:
        seeds.setdefault(replace(row.recipe, seed=0), []).append(row)
    means = [f"{recipe}: {_mean(same)} over {len(same)} seeds" for recipe, same in seeds.items() if len(same) > 1]
    return means + [f"{row.recipe}: the folds chose\n{_chosen(row)}" for row in rows if row.evaluation.chosen]


def _mean(rows: Sequence[Row]) -> str:
    """Mean and standard deviation of the scores of rows, in percent."""
    scores = {"WA": [row.evaluation.wa for row in rows], "UA": [row.evaluation.ua for row in rows]}
    return ", ".join(f"{name} {100 * mean(found):.1f} ± {100 * stdev(found):.1f}" for name, found in scores.items())


def _chosen(row: Row) -> str:
    return "\n".join(f"  - {folds} × {name}" for name, folds in Counter(row.evaluation.chosen).most_common())


def latex_report(rows: Sequence[Row]) -> str:
    """Tables for a paper, with ``booktabs``: without columns of cost, each with a label made of its corpus."""
    seen: Counter[str] = Counter()
    tables = []
    for group in grouped(rows):
        name = _slug(group[0].corpus)
        seen[name] += 1
        label = f"tab:{name}" if seen[name] == 1 else f"tab:{name}:{seen[name]}"
        scores = [{head: cell for head, cell in row.items() if head not in _COST} for row in cells(group)]
        tables.append(latex(scores, title(group), label))
    return "\n\n".join(tables)


def _slug(corpus: str) -> str:
    """A name as a label of LaTeX takes it: "emodb → rav.csv" -> "emodb-rav-csv"."""
    return re.sub("[^a-z0-9]+", "-", corpus.lower()).strip("-") or "corpus"


def csv_report(rows: Sequence[Row]) -> str:
    """One line a row with all its numbers."""
    return csv_table([_flat(row.summary()) for row in rows])


def grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that share data and protocol, in the order of their first."""
    if not rows:
        raise FeatkitError("There are no rows to show.")
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.corpus, row.data, row.evaluation.protocol), []).append(row)
    return list(groups.values())


def title(rows: Sequence[Row]) -> str:
    """Corpus, protocol and what the intervals are, in one line."""
    known = rows[0].evaluation.ua_interval is not None
    return heading(rows) + ("; UA with 95 % interval over speakers" if known else "")


def heading(rows: Sequence[Row]) -> str:
    """Corpus and protocol in one line, and what is missing: clips, or the intervals."""
    first = rows[0]
    told = first.evaluation
    synthetic = f" ({SYNTHETIC})" if first.synthetic else ""
    emotions = counted(len(told.labels), "emotion")
    if first.protocol.cv == "across":  # its protocol names the corpora, and counts the clips
        people = "" if told.by_speaker is None else f"{counted(len(told.by_speaker), 'test speaker')}, "
        about = f"{told.protocol[:1].upper()}{told.protocol[1:]}{synthetic}: {people}{emotions}"
    else:
        about = f"{first.corpus}{synthetic}: {_judged(rows)}, {emotions}, {told.protocol}"
    return about + _unusable(rows) + ("; one speaker: no interval" if len(told.by_speaker or ()) == 1 else "")


def _judged(rows: Sequence[Row]) -> str:
    """The judged clips, of which rows of other features may have more or fewer."""
    clips = [len(row.evaluation.y_true) for row in rows]
    least, most = min(clips), max(clips)
    return counted(most, "clip") if least == most else f"{least} to {most} clips"


def _unusable(rows: Sequence[Row]) -> str:
    """The clips that are in no score."""
    most = max(row.failed_clips for row in rows)
    same = all(row.failed_clips == most for row in rows)
    return f"; {'' if same else 'up to '}{counted(most, 'clip')} could not be used" if most else ""


def cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    """One dict a row, in words; scores in percent. Columns that would be empty are left out.

    Clips that could not be used have a column where rows differ in them; else the title tells.
    """
    found = [_cells(row) for row in rows]
    if len({row.failed_clips for row in rows}) > 1:
        found = [line | {"unusable": str(row.failed_clips)} for line, row in zip(found, rows, strict=True)]
    shown = [head for head in found[0] if any(row[head] for row in found)]
    return [{head: row[head] for head in shown} for row in found]


def _cells(row: Row) -> dict[str, str]:
    told, model = row.evaluation, row.model
    return {
        "features": row.features,
        "backend": row.backend,
        "augment": row.augment or "",
        "remarks": ", ".join(row.recipe.remarks + ([f"seed {row.recipe.seed}"] if row.recipe.seed else [])),
        "WA": percent(told.wa),
        "UA": percent(told.ua, told.ua_interval),
        "macro-F1": percent(told.macro_f1),
        "ECE": percent(told.ece),
        "CPU s": seconds(told.cpu_seconds),
        "extraction": seconds(row.extraction_seconds),
        "kB": "" if model is None else f"{model.n_bytes / 1000:.0f}",
        "ms": "" if model is None else f"{model.milliseconds:.2f}{'' if model.reads == 'wave' else ' (features)'}",
    }


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Nested values as columns of their own; of speakers and recalls one each."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            found |= _flat({f"{name}.{key}": inner for key, inner in value.items()})
        elif isinstance(value, list):
            found |= {f"{name}_low": value[0], f"{name}_high": value[1]}
        else:
            found[name] = value
    return found
