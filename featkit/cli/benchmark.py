"""``featkit benchmark``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featkit.cli.common import alone_on, corpus_of, data_option, jobs_option, leak_option, live, option, pad_option
from featkit.cli.recipes import CV_AND_TEST, plan_fields, recipe_options
from featkit.cli.terminal import show
from featkit.errors import DataError
from featkit.tables import counted

if TYPE_CHECKING:
    from featkit.benchmark.plan import Plan
    from featkit.benchmark.rows import Row, RowFile
    from featkit.benchmark.runner import Cell, Options
    from featkit.extraction import Failure


@click.command(short_help="Measure every combination, keep every row, write a report.")
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@data_option("May be given again: each is a table of its own. ", required=False)
@recipe_options
@option(
    "-o", "--results", default="results", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Folder of rows and report.",
)  # fmt: skip
@option("--deploy/--no-deploy", default=True, help="Also fit on all clips, export, and measure size and time.")
@leak_option
@jobs_option
@pad_option
def benchmark(
    plan: Path | None, data: tuple[str, ...], results: Path, deploy: bool, allow_leakage: bool, jobs: int,
    pad_short: bool, importance: bool, **given: Any,
) -> None:  # fmt: skip
    """Measure every combination, keep every row, and write a report.

    PLAN is a YAML file; options take the place of what it says. Rows are written to RESULTS/rows.jsonl as they are
    made, and a second run makes only those that are missing. RESULTS then holds report.html, .md, .csv and .tex.

    \b
    featkit benchmark --data emodb:PATH --features egemaps --features mfcc39 --backend svm --backend xgboost --cv 5
    featkit benchmark table.yaml --data emodb:PATH --data ravdess:PATH --jobs 2
    featkit benchmark --data emodb:PATH --test ravdess:PATH --backend svm
    """
    if results.exists() and not results.is_dir():
        raise click.UsageError(f"--results must be a folder; '{results}' is a file.")
    from featkit.benchmark.plan import Plan, read_plan
    from featkit.benchmark.rows import RowFile
    from featkit.benchmark.runner import Options

    flags = plan_fields(given) | {"data": tuple((one,) for one in data)}
    wanted = (read_plan(plan) if plan else Plan()).with_flags(**flags, allow_leakage=allow_leakage, pad_short=pad_short)
    if wanted.test and (given["cv"] or (wanted.cv != Plan().cv and not given["test"])):
        raise click.UsageError(CV_AND_TEST)
    if not wanted.data:
        raise DataError("There is no corpus; name one with --data, or under data: in the plan.")
    alone_on(results / "rows.jsonl")
    options = Options(importance=importance, deploy=deploy, n_jobs=jobs, progress=live())
    unusable: list[Failure] = []
    rows, failed, interrupted = _run(wanted, RowFile(results / "rows.jsonl"), options, unusable)
    if rows:
        _write(rows, results)
    for reason in failed:
        click.echo(reason, err=True)
    _tell_unusable(unusable)
    if interrupted or failed or any(row.failed_clips for row in rows):
        click.get_current_context().exit(130 if interrupted else 1)


def _run(plan: Plan, file: RowFile, options: Options, unusable: list[Failure]) -> tuple[list[Row], list[str], bool]:
    """Make what is missing. -> all rows of the plan, reasons of what could not be made, whether Ctrl-C ended it."""
    from featkit.benchmark.rows import Row
    from featkit.benchmark.runner import made

    known = {row.key: row for row in file.read()}
    asked = _asked(plan)
    rows = [known[cell.key] for cell in asked if cell.key in known]
    missing = list({cell.key: cell for cell in asked if cell.key not in known}.values())
    if rows:
        click.echo(f"{len(rows)} of {len(asked)} rows are in {file.path} already.", err=True)
    _tell_missing(rows)
    failed: list[str] = []
    start = time.monotonic()
    try:
        for i, result in enumerate(made(missing, options, failures=unusable)):
            if isinstance(result, Row):
                file.append(result)
                rows.append(result)
                if result.no_model:
                    click.echo(f"No model of {result.recipe}: {result.no_model}", err=True)
            else:
                failed.append(f"Failed: {result.cell}: {result.reason}")
            each = (time.monotonic() - start) / max(1, i + 1 - len(failed))  # what fails takes no time
            click.echo(_told(result, i + 1, len(missing), each), err=True)
    except KeyboardInterrupt:
        click.echo(f"Interrupted: {len(rows)} of {len(asked)} rows are kept in {file.path}.", err=True)
        return rows, failed, True
    order = {cell.key: i for i, cell in enumerate(asked)}
    return sorted(rows, key=lambda row: order[row.key]), failed, False


def _tell_missing(rows: list[Row]) -> None:
    """Clips that kept rows do without: the run that made them named each, and its exit code was 1, too."""
    for row in rows:
        if row.failed_clips:
            missing = (
                f"{counted(row.failed_clips, 'clip')} could not be used and {'is' if row.failed_clips == 1 else 'are'}"
            )
            click.echo(f"{missing} missing from {row.corpus}, {row.evaluation.protocol}: {row.recipe}", err=True)


def _tell_unusable(failures: list[Failure]) -> None:
    """Clips that are in no score, once each."""
    told = list(
        dict.fromkeys(one.reason if one.clip in one.reason else f"{one.clip}: {one.reason}" for one in failures)
    )
    if told:
        click.echo(f"{counted(len(told), 'clip')} could not be used, in no score:", err=True)
    for reason in told:
        click.echo(f"  {reason}", err=True)


def _asked(plan: Plan) -> list[Cell]:
    from featkit.benchmark.runner import cells

    test = corpus_of(plan.test) if plan.test else None
    corpora = [corpus_of(specs) for specs in plan.data]
    return cells(corpora, plan.all_recipes(), plan.protocols(), test)


def _told(result: Any, done: int, of: int, each: float) -> str:
    """One line a row, with the time that is left if each of the others takes so many seconds."""
    from featkit.benchmark.rows import Row
    from featkit.tables import percent

    if not isinstance(result, Row):
        return f"{done}/{of}  {result.cell}: failed: {result.reason}"
    left = each * (of - done)
    rest = f", {left / 60:.0f} min left" if left >= 90 else f", {left:.0f} s left" if done < of else ""
    name = f"{result.corpus}, {result.evaluation.protocol}: {result.recipe}"
    ua = percent(result.evaluation.ua, result.evaluation.ua_interval)
    return f"{done}/{of}  {'SYNTHETIC ' if result.synthetic else ''}{name}: UA {ua}{rest}"


def _write(rows: list[Row], folder: Path) -> None:
    """The report in every form, and the table on stdout."""
    from featkit.benchmark.html import html_report
    from featkit.benchmark.report import csv_report, latex_report, report

    table = report(rows)
    show(table)
    page, note = html_report(rows)
    texts = {"md": f"{table}\n", "csv": csv_report(rows), "tex": f"{latex_report(rows)}\n", "html": page}
    for suffix, text in texts.items():
        (folder / f"report.{suffix}").write_text(text, encoding="utf-8")
    click.echo(f"\n{folder / 'report.html'} and .md, .csv, .tex; rows in {folder / 'rows.jsonl'}")
    if note:
        click.echo(note, err=True)
