"""``featkit audit``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featkit.cli.common import data_option, jobs_option, live, option, spare
from featkit.cli.recipes import protocols
from featkit.cli.terminal import show

if TYPE_CHECKING:
    from featkit.corpus import Corpus


@click.command(short_help="Look for copies, leaks, shortcuts and damage in a corpus.")
@data_option()
@option(
    "--cv", metavar="PROTOCOL", callback=protocols,
    help="Folds to look for leaks in: loso, 6, random, sentences, both, …",
)  # fmt: skip
@option(
    "--test", multiple=True, metavar="DATA",
    help="Another corpus that is to be judged by what is learned from --data; may be given again.",
)  # fmt: skip
@option("--check", multiple=True, metavar="CHECK", help="One check alone; may be given again.  [default: all]")
@option(
    "--fail-on", default="error", type=click.Choice(["error", "warning"]), help="From what on the exit code is 1."
)  # fmt: skip
@jobs_option
@option("-o", "--output", type=click.Path(path_type=Path), help="Also write the findings: .csv, .json or .md.")
def audit(
    data: tuple[str, ...], cv: Any, test: tuple[str, ...], check: tuple[str, ...], fail_on: Any, jobs: int,
    output: Path | None,
) -> None:  # fmt: skip
    """Look for copies, leaks, shortcuts and damage in a corpus, before any score is made.

    \b
    featkit audit --data emodb:PATH --cv loso
    featkit audit --data train.csv --test test.csv -o findings.csv
    """
    if cv is not None and test:
        raise click.UsageError("--cv divides one corpus, --test names a second one: give one of the two.")
    if output and output.suffix.lower() not in (".csv", ".json", ".md"):
        raise click.UsageError(f"'{output}' must end in .csv, .json or .md.")
    spare([output], [*data, *test])
    from featkit.audit import CHECKS
    from featkit.audit import audit as look
    from featkit.corpus import read_corpora

    corpus, folds = read_corpora(data, progress=live(), lenient=True), cv
    if test:
        corpus, folds = _joined(corpus, data, test)
    found = look(corpus, folds=folds, across=bool(test), checks=check or CHECKS, n_jobs=jobs, progress=live())
    show(found.report())
    if output:
        found.save(output)
    if found.fails(fail_on):
        click.get_current_context().exit(1)


def _joined(corpus: Corpus, data: Sequence[str], test: Sequence[str]) -> tuple[Corpus, Any]:
    """Both corpora and their fold. Speaker 03 of one published corpus is not speaker 03 of another."""
    from featkit.audit import joined
    from featkit.corpus import read_corpora, told_with
    from featkit.datasets import open_dataset

    other = read_corpora(test, progress=live(), lenient=True)
    if len(data) > 1 or len(test) > 1:  # speakers of several are told with their corpus: those of one must be, too
        sides = [one if len(of) > 1 else told_with(one.name, one) for one, of in ((corpus, data), (other, test))]
        return joined(*sides)
    names = {open_dataset(spec).name for spec in (*data, *test)}
    return joined(corpus, other, apart=len(names) == 2 and not names & {"folder", "manifest"})
