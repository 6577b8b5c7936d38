"""Rows as tables: one for all rows that share corpus and protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

from featkit.benchmark.recipe import Recipe
from featkit.benchmark.rows import Row
from featkit.errors import FeatkitError
from featkit.tables import csv_table, latex, markdown, percent, seconds

SYNTHETIC = "SYNTHETIC speech: it shows that the program runs, not how well it does on people"


def report(rows: Sequence[Row]) -> str:
    """Title and Markdown table of every group of rows that share corpus and protocol."""
    return "\n\n".join(_part(group) for group in grouped(rows))


def _part(rows: Sequence[Row]) -> str:
    return "\n\n".join([title(rows), markdown(cells(rows)), *notes(rows)])


def notes(rows: Sequence[Row]) -> list[str]:
    """What several rows say together, and what a search inside the folds chose: a line each."""
    seeds: dict[Recipe, list[Row]] = {}
    for row in rows:
        seeds.setdefault(replace(row.recipe, seed=0), []).append(row)
    means = [f"{recipe}: {_mean(same)} over {len(same)} seeds" for recipe, same in seeds.items() if len(same) > 1]
    return means + [f"{row.recipe}: the folds chose {_chosen(row)}" for row in rows if row.evaluation.chosen]


def _mean(rows: Sequence[Row]) -> str:
    """Mean and standard deviation of the scores of rows, in percent."""
    scores = {"WA": [row.evaluation.wa for row in rows], "UA": [row.evaluation.ua for row in rows]}
    return ", ".join(f"{name} {100 * mean(found):.1f} ± {100 * stdev(found):.1f}" for name, found in scores.items())


def _chosen(row: Row) -> str:
    return ", ".join(f"{name} × {folds}" for name, folds in Counter(row.evaluation.chosen).most_common())


def latex_report(rows: Sequence[Row]) -> str:
    """The same for LaTeX, with ``booktabs``."""
    return "\n\n".join(latex(cells(group), title(group)) for group in grouped(rows))


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
    """Corpus and protocol in one line."""
    first = rows[0]
    result = first.evaluation
    return (
        f"{first.corpus}{f' ({SYNTHETIC})' if first.synthetic else ''}: {len(result.y_true)} clips, "
        f"{len(result.labels)} emotions, {result.protocol}"
        f"{'' if result.ua_interval is None else '; UA with 95 % interval over speakers'}"
    )


def cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    """One dict a row, in words; scores in percent. Columns that would be empty are left out."""
    found = [_cells(row) for row in rows]
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
