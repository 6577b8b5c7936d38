"""``featkit demo``."""

from __future__ import annotations

from pathlib import Path

import click

from featkit.cli.common import (
    live,
    option,
)


@click.command()
@option("--out", type=click.Path(path_type=Path), default=Path("featkit-demo"), help="Folder for models and results.")
def demo(out: Path) -> None:
    """Do the whole job on synthetic speech.

    \b
    featkit demo
    """
    from featkit.demo import run

    run(out, progress=live())
