"""``featkit store``: feature tables on disk."""

from __future__ import annotations

from pathlib import Path

import click

from featkit.cli.common import FILE, Commands
from featkit.cli.terminal import entry
from featkit.tables import counted

_SHOWN = 20  # lines that are printed; more help nobody


@click.group(cls=Commands, short_help="Look at, check and merge tables of features.")
def store() -> None:
    """Feature tables: what one holds, whether it is whole, many shards as one.

    \b
    featkit store info features.parquet
    featkit store check features.parquet --files
    featkit store merge features-*-of-64.parquet -o features.parquet
    """


@store.command()
@click.argument("table", type=FILE)
def info(table: Path) -> None:
    """Show what TABLE holds and what made it.

    \b
    featkit store info features.parquet
    """
    from featkit.store.upkeep import describe

    for heading, text in describe(table):
        entry(f"{heading:<12}", text)


@store.command()
@click.option("--files", is_flag=True, help="Also read the recordings: are they those that the features are of?")
@click.argument("tables", nargs=-1, required=True, metavar="TABLE...", type=FILE)
def check(files: bool, tables: tuple[Path, ...]) -> None:
    """Look whether each bit of the tables is as it was written. Exit code 1 where one is not.

    \b
    featkit store check features.parquet --files
    """
    from featkit.store.upkeep import problems

    found = [line for table in tables for line in problems(table, files)]
    for line in found[:_SHOWN]:
        click.echo(line)
    if len(found) > _SHOWN:
        click.echo(f"… and {len(found) - _SHOWN} more")
    if found:
        click.echo(f"{counted(len(found), 'problem')}.", err=True)
        click.get_current_context().exit(1)
    click.echo("No problem found.")


@store.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Table to write, *.parquet.")
@click.option("--overwrite", is_flag=True, help="Take the place of what is there.")
@click.argument("shards", nargs=-1, required=True, metavar="TABLE...", type=FILE)
def merge(output: Path, overwrite: bool, shards: tuple[Path, ...]) -> None:
    """Write the rows of several tables as one, sorted by file.

    \b
    featkit store merge features-*-of-64.parquet -o features.parquet
    """
    from featkit.store.merge import merge as write

    if output.suffix != ".parquet":
        raise click.UsageError(f"--output must end in .parquet; it is '{output}'.")
    done, failed = write(shards, output, overwrite=overwrite)
    click.echo(f"{output}: {counted(done, 'file')} of {counted(len(shards), 'table')}, {failed} failed")
