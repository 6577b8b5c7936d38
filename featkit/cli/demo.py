"""``featkit demo``."""

from __future__ import annotations

from pathlib import Path

import click

from featkit.cli.common import live, option


@click.command()
@option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("featkit-demo"), metavar="FOLDER",
    help="Folder for models and results.",
)  # fmt: skip
def demo(output: Path) -> None:
    """Do the whole job on synthetic speech.

    \b
    featkit demo
    """
    from featkit.demo import run

    run(output, progress=live())
