"""The report as one HTML page: nothing from the network, no script, light and dark, for a screen of any width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np

from featkit import plots
from featkit.benchmark.report import cells, grouped, heading, notes
from featkit.benchmark.rows import Row
from featkit.errors import PluginError
from featkit.protocols import LEAKS, PERMUTED
from featkit.tables import percent

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --quiet: #5a6472; --grid: #c9ced6; --line: #e3e6ea;
  --first: #0072b2; --second: #d55e00; --on: #fdfdfd; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --paper: #14181d; --quiet: #9aa5b3; --grid: #3a424d;
  --line: #2a3038; --first: #56b4e9; --second: #f0883e; --on: #0d1117; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.2rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: .95rem; margin: 1.2rem 0 .2rem; } p { margin: .4rem 0; }
.note { white-space: pre-wrap; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); font-size: .9rem; }
.mark { display: inline-block; border: 1.5px solid var(--second); color: var(--second); border-radius: .3rem;
  padding: 0 .45rem; margin: 0 .4rem .2rem 0; font-size: .85rem; font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--quiet); font-weight: 600; } td.n, th.n { text-align: right; }
details { border-top: 1px solid var(--line); padding: .5rem 0; } summary { cursor: pointer; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: 0 1.6rem; align-items: flex-start; }
figure { margin: 0; max-width: 100%; } figure .wide { max-width: 100%; }
svg { display: block; max-width: 100%; height: auto; }
svg.intervals { width: 100% !important; max-width: 38rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .85rem; margin: .6rem 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
"""
_MARKS = {
    "SYNTHETIC": "SYNTHETIC speech: these scores show that the program runs, not how well it does on people.",
    LEAKS: f"{LEAKS}: voices of the test were heard in training, so the scores are too high.",
    PERMUTED: f"{PERMUTED}: whatever is above chance comes from a leak.",
    "transductive": "transductive: all clips of a test speaker are heard before one is judged.",
    "tuned": "tuned: settings were searched anew inside every training fold.",
}


def html_report(rows: Sequence[Row]) -> tuple[str, str | None]:
    """The page, and what is missing from it: the pictures, where matplotlib is not installed."""
    try:
        plots.require()
        drawn, note = True, None
    except PluginError as error:
        drawn, note = False, str(error)
    parts = [_group(group, drawn) for group in grouped(rows)]
    missing = "" if note is None else f'<p class="quiet">Without pictures. {escape(note)}</p>'
    return _page(f"{_head(rows)}{missing}{''.join(parts)}"), note


def _page(body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Speech emotion recognition: report</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _head(rows: Sequence[Row]) -> str:
    corpora = ", ".join(dict.fromkeys(row.corpus for row in rows))
    dates = sorted(row.made.date for row in rows)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    codes = len({row.made.code for row in rows})
    mixed = f" They were made by {codes} versions of the code." if codes > 1 else ""
    legend = "".join(
        f"<p class=quiet>{escape(_MARKS[mark])}</p>" for mark in _MARKS if any(mark in _marks(r) for r in rows)
    )
    return (
        f"<h1>Speech emotion recognition: {escape(corpora)}</h1>"
        f'<p class="quiet">{len(rows)} row{"" if len(rows) == 1 else "s"}, made {when} by featkit '
        f"{escape(rows[-1].made.versions.get('featkit', ''))}.{mixed}"
        " WA is accuracy. UA is the mean recall over the emotions, with a 95 % interval over speakers. "
        "ECE is the expected calibration error. CPU s: training and prediction of all folds; extraction: CPU seconds "
        "of the features of all clips. kB and ms: the model of all clips as one ONNX file, and the median CPU "
        f"time from a clip in memory to its label.</p>{legend}"
    )


def _marks(row: Row) -> list[str]:
    protocol = row.evaluation.protocol
    return [
        *(["SYNTHETIC"] if row.synthetic else []),
        *(mark for mark in (LEAKS, PERMUTED) if mark in protocol),
        *(["transductive"] if row.recipe.normalise else []),
        *(["tuned"] if row.recipe.tune else []),
    ]


def _badges(row: Row) -> str:
    return "".join(f'<span class="mark">{escape(mark)}</span>' for mark in _marks(row))


def _group(rows: Sequence[Row], drawn: bool) -> str:
    shared = "".join(f'<span class="mark">{escape(mark)}</span>' for mark in _marks(rows[0]) if mark.isupper())
    picture = ""
    if drawn:
        told = [row.evaluation for row in rows]
        chance = 1 / int(np.count_nonzero(told[0].confusion.sum(axis=1)))
        figure = plots.intervals(
            [str(row.recipe) for row in rows], [one.ua for one in told], [one.ua_interval for one in told],
            chance=chance,
        )  # fmt: skip
        # No box that scrolls: it takes the width of the screen, up to where its words are as large as the page's.
        picture = plots.svg(figure, f"UA of {len(rows)} recipes").replace("<svg ", '<svg class="intervals" ', 1)
    details = "".join(_details(row, drawn) for row in rows)
    lines = "".join(f'<p class="note">{escape(note)}</p>' for note in notes(rows))
    return f"<h2>{escape(heading(rows))}</h2>{shared}{_table(cells(rows))}{lines}{picture}{details}"


def _table(rows: Sequence[dict[str, str]]) -> str:
    words = {"features", "backend", "augment", "remarks"}
    kind = {head: "" if head in words else ' class="n"' for head in rows[0]}
    heads = "".join(f"<th{kind[head]}>{escape(head)}</th>" for head in rows[0])
    lines = ["".join(f"<td{kind[head]}>{escape(cell)}</td>" for head, cell in row.items()) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _details(row: Row, drawn: bool) -> str:
    summary = f"{escape(str(row.recipe))}: UA {percent(row.evaluation.ua, row.evaluation.ua_interval)} {_badges(row)}"
    pictures = "".join(_picture(name, draw) for name, draw in _pictures(row)) if drawn else ""
    return f'<details><summary>{summary}</summary><div class="pictures">{pictures}</div>{_facts(row)}</details>'


def _picture(name: str, draw: Callable[[], Any]) -> str:
    return f'<figure><h3>{escape(name)}</h3><div class="wide">{plots.svg(draw(), name)}</div></figure>'


def _pictures(row: Row) -> list[tuple[str, Callable[[], Any]]]:
    told = row.evaluation
    found: list[tuple[str, Callable[[], Any]]] = [
        ("Confusion", lambda: plots.confusion(told.confusion, [str(label) for label in told.labels])),
        ("Calibration", lambda: plots.reliability(told.reliability)),
    ]
    if told.speaker_uas:
        uas = told.speaker_uas
        found.append(("UA of each speaker", lambda: plots.speakers(uas, told.ua)))
    if told.histories:
        found.append(("Learning curves", lambda: plots.curves(told.histories)))
    if told.importance:
        cost = told.importance
        found.append(("What shuffling a family of features costs", lambda: plots.importance(cost)))
    return found


def _facts(row: Row) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in row.made.versions.items())
    recalls = {k: "" if np.isnan(v) else percent(v) for k, v in row.evaluation.recalls.items()}
    facts = {
        "key": row.key,
        "recall": ", ".join(f"{label} {recall}" for label, recall in recalls.items()),
        "clips": f"{len(row.evaluation.y_true)} judged, {row.failed_clips} could not be used",
        **({"model": f"none: {row.no_model}"} if row.no_model else {}),
        "seed": str(row.recipe.seed),
        "data": row.data,
        "code": row.made.code,
        "versions": versions,
        "date": row.made.date,
    }
    return f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in facts.items())}</dl>"
