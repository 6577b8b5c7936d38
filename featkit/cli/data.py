"""``featkit data``: what is known of corpora, whether a copy is whole, and how to get one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featkit.cli.common import Commands, jobs_option, live, option
from featkit.cli.terminal import columns, entry, narrow
from featkit.tables import counted, text_width

if TYPE_CHECKING:
    from featkit.datasets.base import Dataset
    from featkit.datasets.check import Report

_SHOWN = 20  # lines of one kind that are printed; more help nobody


@click.group(cls=Commands, short_help="List, check and download corpora.")
def data() -> None:
    """Corpora: what there is, whether a copy is whole, how to get one.

    \b
    featkit data list
    featkit data info cremad
    featkit data check cremad:PATH
    featkit data download ravdess FOLDER
    """


@data.command("list")
def list_corpora() -> None:
    """List the corpora that featkit can read.

    \b
    featkit data list
    """
    from featkit.datasets.describe import HEADER, corpora, overview

    rows = overview(corpora())
    table, width = _table(HEADER, rows), columns()
    if width and max(map(text_width, table.splitlines())) > width:
        table = "\n".join(narrow([HEADER, *rows], width))
    click.echo(table)


@data.command()
@click.argument("name")
def info(name: str) -> None:
    """Show all that is known of the corpus NAME.

    \b
    featkit data info cremad
    """
    from featkit.datasets.describe import details

    for heading, text in details(_corpus(name)):
        entry(f"{heading:<12}", text)


@data.command()
@jobs_option
@click.argument("corpus", metavar="NAME:PATH")
def check(corpus: str, jobs: int) -> None:
    """Read every file of a corpus: what is there, missing, unexpected, damaged. Exit code 1 where anything is wrong.

    \b
    featkit data check emodb:PATH
    featkit data check labels.csv --jobs -1
    """
    from featkit.datasets import open_dataset
    from featkit.datasets.check import check as read_all

    report = read_all(open_dataset(corpus), n_jobs=jobs, progress=live())
    click.echo(_summary(report))
    for text, lines in (("left out", [f"{n} × {reason}" for reason, n in report.left_out.items()]),
                        ("note", report.notes), ("PROBLEM", report.problems)):  # fmt: skip
        for line in lines[:_SHOWN]:
            click.echo(f"{text}: {line}")
        if len(lines) > _SHOWN:
            click.echo(f"{text}: … and {len(lines) - _SHOWN} more")
    if report.problems:
        click.echo(f"{counted(len(report.problems), 'problem')}.", err=True)
        click.get_current_context().exit(1)
    click.echo("No problem found.")


@data.command()
@option("--accept-licence", is_flag=True, help="Accept the licence without being asked.")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def download(accept_licence: bool, name: str, folder: Path) -> None:
    """Fetch the corpus NAME into FOLDER, where its licence lets a program do so.

    An interrupted download goes on where it stopped. Other corpora are answered with where to ask for them.

    \b
    featkit data download ravdess corpora/ravdess --accept-licence
    """
    from featkit.datasets.download import download as get

    corpus = _corpus(name)
    if corpus.archives:
        if _whole(corpus, folder):
            click.echo(f"{folder}: all {corpus.expected_clips} clips of {corpus.title} are there already.")
            return
        click.echo(f"{corpus.title}: {corpus.licence}\n{corpus.citation}\n{corpus.url}")
        if not accept_licence:
            click.confirm("Do you accept this licence?", abort=True)
    for line in get(corpus, folder, progress=live()):
        click.echo(line)
    click.echo(f"Now check it: featkit data check {name}:{folder}")


def _corpus(name: str) -> type[Dataset]:
    from featkit import plugins

    corpus: type[Dataset] = plugins.find("datasets", name)
    return corpus


def _whole(corpus: type[Dataset], folder: Path) -> bool:
    """Whether every clip is there, and none is a pointer that an interrupted download left."""
    from featkit.errors import DataError

    try:
        clips = list(corpus(folder).clips())
    except DataError:
        return False
    return len(clips) == corpus.expected_clips and all(clip.path.stat().st_size > 1024 for clip in clips)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def _summary(report: Report) -> str:
    """What is there: clips by emotion beside those of the complete corpus, and how they are stored."""
    from collections import Counter

    corpus, labels = report.dataset, report.labels
    names = list(dict.fromkeys([*(corpus.labels or ()), *sorted(labels)]))
    rows = [(name, str(labels[name]), str(corpus.expected_by_label.get(name, "-"))) for name in names]
    rows.append(("all", str(len(report.clips)), str(corpus.expected_clips or "-")))
    speakers = str(len(report.speakers)) if report.speakers else "not known"
    kinds = Counter(sound.kind for sound in report.sounds)
    stored = ", ".join(
        f"{number} at {kind[0]} Hz, {'mono' if kind[1] == 1 else 'stereo' if kind[1] == 2 else f'{kind[1]} channels'}"
        if kind else f"{number} decoded by ffmpeg"
        for kind, number in kinds.most_common()
    )  # fmt: skip
    return "\n".join(
        [
            f"{corpus.title} at {corpus.root}",
            _table(("emotion", "clips", "complete"), rows),
            f"speakers: {speakers} of {corpus.expected_speakers or '-'}",
            f"stored: {stored or 'nothing'}; {report.seconds / 60:.1f} minutes",
        ]
    )
