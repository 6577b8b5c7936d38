"""``featkit compare``."""

from __future__ import annotations

import click


@click.command(short_help="Say by how much UA differs between two rows.")
@click.argument("first")
@click.argument("second")
def compare(first: str, second: str) -> None:
    """Say by how much UA differs between two rows, and how sure that is.

    A row is named by its file with its number or key, or by its key alone where it is in results/rows.jsonl. Both must
    be of the same corpus and protocol.

    \b
    featkit compare results/rows.jsonl#1 results/rows.jsonl#4
    featkit compare 8c1f02 a77e35
    featkit compare svm.jsonl xgboost.jsonl
    """
    from featkit.benchmark.compare import compare_rows
    from featkit.benchmark.report import title
    from featkit.benchmark.rows import find_row
    from featkit.tables import percent

    rows = [find_row(name) for name in (first, second)]
    found = compare_rows(*rows)
    click.echo(title(rows))
    for row in rows:
        click.echo(f"  {row.key}  {row.recipe}: UA {percent(row.evaluation.ua, row.evaluation.ua_interval)}")
    click.echo(f"second less first: {found}")
