"""``featkit verify``."""

from __future__ import annotations

import click

from featkit.cli.common import corpus_of, data_option, jobs_option, live, option
from featkit.errors import DataError


@click.command(short_help="Measure a kept row again, and compare.")
@click.argument("row")
@data_option("The corpus; may be given again, where several were joined. ")
@option("--test", multiple=True, metavar="DATA", help="The corpus that was judged, of a row across corpora.")
@jobs_option
def verify(row: str, data: tuple[str, ...], test: tuple[str, ...], jobs: int) -> None:
    """Measure a kept row again, and say whether it comes out as it was.

    REPRODUCED: every clip is given the same label. WITHIN INTERVAL: UA lies inside the row's 95 % interval. NOT
    REPRODUCED, with exit code 1: neither, or the data are others.

    \b
    featkit verify results/rows.jsonl#3 --data emodb:PATH
    """
    from featkit.benchmark.compare import verify as judge
    from featkit.benchmark.rows import find_row
    from featkit.benchmark.runner import Options, measured
    from featkit.tables import percent

    kept = find_row(row)
    if bool(test) != (kept.protocol.cv == "across"):
        raise DataError(f"The row is {'' if not test else 'not '}of a test across corpora; "
                        f"{'name the second with --test' if not test else 'leave out --test'}.")  # fmt: skip
    corpus = corpus_of(data)
    other = corpus_of(test) if test else None
    (again,), _ = measured(corpus, [kept.recipe], [kept.protocol], Options(n_jobs=jobs, progress=live()), other)
    found = judge(kept, again)
    told = [f"UA {percent(one.evaluation.ua, one.evaluation.ua_interval)}" for one in (kept, again)]
    click.echo(f"{found.verdict}: {kept.recipe} on {kept.corpus}, {kept.evaluation.protocol}: {told[0]}, now {told[1]}")
    for difference in found.differences:
        click.echo(f"  {difference}")
    if found.verdict == "NOT REPRODUCED":
        click.get_current_context().exit(1)
