"""``featkit evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from featkit.cli.common import (
    SET_HELP,
    augment_option,
    copies_option,
    cv_option,
    data_option,
    end,
    jobs_option,
    leak_option,
    live,
    option,
    pad_option,
)


@click.command()
@data_option
@option("--features", "--set", multiple=True, metavar="SET", help="Feature set; may be given again. " + SET_HELP)
@option("--backend", default=["svm"], multiple=True, metavar="BACKEND", help="Backend; may be given again.")
@augment_option
@copies_option
@option("-o", "--output", type=click.Path(path_type=Path), help="Also write the rows as JSON lines.")
@cv_option
@leak_option
@jobs_option
@pad_option
def evaluate(
    data: str, features: tuple[str, ...], backend: tuple[str, ...], augment: str | None, copies: int,
    output: Path | None, cv: Any, allow_leakage: bool, jobs: int, pad_short: bool,
) -> None:  # fmt: skip
    """Score sets and backends on speakers they have not heard.

    \b
    featkit evaluate --data emodb:PATH --features egemaps --features mfcc39 --backend svm --backend xgboost
    featkit evaluate --data ravdess:PATH --cv 6
    """
    from featkit.benchmark import benchmark, report
    from featkit.corpus import read_corpus

    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(data, progress=live())
    rows, failures = benchmark(
        corpus, features or [corpus.extractor], backend, augment=augment, copies=copies, cv=cv,
        allow_leakage=allow_leakage, pad_short=pad_short, n_jobs=jobs, progress=live(),
    )  # fmt: skip
    click.echo(report(rows))
    if len(rows) == 1:
        click.echo(_confusion(rows[0].evaluation))
    if output:
        output.write_text("".join(json.dumps(row.summary()) + "\n" for row in rows), encoding="utf-8")
    end(failures, len(rows[0].evaluation.y_true))


def _confusion(evaluation: Any) -> str:
    """Confusion counts and recall of each emotion."""
    from featkit.benchmark import markdown

    rows = []
    for label, counts in zip(evaluation.labels, evaluation.confusion, strict=True):
        cells = {str(name): str(count) for name, count in zip(evaluation.labels, counts, strict=True)}
        rows.append({"truth \\ predicted": str(label)} | cells | {"recall": f"{100 * evaluation.recalls[label]:.1f}"})
    return "\n" + markdown(rows)
