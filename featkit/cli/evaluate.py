"""``featkit evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from featkit.cli.common import corpus_of, data_option, end, jobs_option, leak_option, live, option, pad_option, spare
from featkit.cli.recipes import plan_fields, recipe_options
from featkit.cli.terminal import show


@click.command()
@data_option()
@recipe_options
@option("-o", "--output", type=click.Path(path_type=Path), help="Also write the rows as JSON lines: *.jsonl.")
@option("--deploy", is_flag=True, help="Also fit on all clips, export, and measure size and time.")
@leak_option
@jobs_option
@pad_option
def evaluate(
    data: tuple[str, ...], output: Path | None, allow_leakage: bool, jobs: int, pad_short: bool, importance: bool,
    deploy: bool, **given: Any,
) -> None:  # fmt: skip
    """Score sets and backends on speakers they have not heard.

    \b
    featkit evaluate --data emodb:PATH --features egemaps --features mfcc39 --backend svm --backend xgboost
    featkit evaluate --data ravdess:PATH --cv 6
    featkit evaluate --data emodb:PATH --cv loso --cv random --allow-leakage
    featkit evaluate --data emodb:PATH --test ravdess:PATH
    """
    from featkit.benchmark import Options, measured, report
    from featkit.benchmark.plan import Plan

    plan = Plan(allow_leakage=allow_leakage, pad_short=pad_short).with_flags(**plan_fields(given))
    if output and output.suffix not in (".json", ".jsonl"):
        raise click.UsageError(f"--output must end in .jsonl; it is '{output}'.")
    spare([output], [*data, *plan.test])
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
    corpus = corpus_of(data)
    test = corpus_of(plan.test) if plan.test else None
    options = Options(importance=importance, deploy=deploy, n_jobs=jobs, progress=live())
    rows, failures = measured(corpus, plan.all_recipes(), plan.protocols(), options, test)
    show(report(rows))
    if len(rows) == 1:
        show(_confusion(rows[0].evaluation))
    for row in rows if importance else ():
        show(f"\n{row.recipe}\n\n{_importance(row.evaluation)}")
    if output:
        lines = (json.dumps(row.record(), ensure_ascii=False) for row in rows)
        output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    end(failures, len(rows[0].evaluation.y_true))


def _confusion(evaluation: Any) -> str:
    """Confusion counts and recall of each emotion."""
    from featkit.tables import markdown, percent

    rows = []
    for label, counts in zip(evaluation.labels, evaluation.confusion, strict=True):
        cells = {str(name): str(count) for name, count in zip(evaluation.labels, counts, strict=True)}
        recall = evaluation.recalls[str(label)]
        told = "" if recall != recall else percent(recall)
        rows.append({"truth \\ predicted": str(label)} | cells | {"recall": told})
    return "\n" + markdown(rows)


def _importance(evaluation: Any) -> str:
    """What shuffling each family costs, in points of UA."""
    from featkit.tables import markdown

    rows = []
    for family, cost in evaluation.importance.items():
        points, low, high = (f"{100 * value:.1f}" for value in (cost.ua, *cost.interval))
        rows.append({"family": family, "cost in points of UA": f"{points} [{low}, {high}]"})
    return markdown(rows)
