"""``featkit extract``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featkit.cli.common import DATA_HELP, Once, finite, live, option, pad_option, workers
from featkit.cli.inputs import null_option
from featkit.errors import DataError

if TYPE_CHECKING:
    from featkit.parts import Summary


def _shard(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """``3/64``."""
    if value is None:
        return None
    k, slash, n = value.partition("/")
    if not (slash and k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        raise click.BadParameter(f"'{value}' is no shard; the third of 64 is written 3/64.")
    return int(k), int(n)


@click.command(cls=Once, short_help="Write features of recordings to a table that loses nothing.")
@option(
    "--set", "features", default="mfcc39", metavar="SET", help="Feature set; + joins several, as in egemaps+mfcc39."
)
@option(
    "--view", type=click.Choice(["functionals", "frames"]), default="functionals", help="A vector or a matrix per row."
)
@option(
    "--data", multiple=True, metavar="DATA",
    help="Take the clips, labels and speakers of a corpus; may be given again, to join several. " + DATA_HELP,
)  # fmt: skip
@option(
    "-o", "--output", required=True, type=click.Path(path_type=Path),
    help="Table to write, *.parquet; or *.csv, *.arff, *.npz, copied from the Parquet table beside it.",
)  # fmt: skip
@click.option("--window", type=float, metavar="SECONDS", help="A row for each window of this length.")
@click.option("--hop", type=float, metavar="SECONDS", help="From one window to the next.  [default: the window]")
@option("--jobs", "-j", type=int, metavar="N", callback=workers, help="Workers; -1 for all cores.  [default: 1]")
@click.option("--scheduler", metavar="ADDRESS", help="Let a Dask cluster do it: tcp://host:8786.")
@click.option("--shard", metavar="K/N", callback=_shard, help="Only this share of the files, to OUTPUT-K-of-N.")
@click.option("--retry-failed", is_flag=True, help="Try again what failed in an earlier run.")
@click.option("--overwrite", is_flag=True, help="Begin anew, whatever is there.")
@click.option("--strict", is_flag=True, help="Stop at the first file that fails.")
@option(
    "--timeout", default=600.0, type=click.FloatRange(min=1), callback=finite, metavar="SECONDS", help="For one file."
)
@click.option(
    "--log-json", "log", type=click.Path(path_type=Path), metavar="FILE", help="Add lines of JSON for programs."
)
@null_option
@pad_option
@click.argument("audio", nargs=-1)
def extract(
    features: str, view: Any, data: tuple[str, ...], output: Path, window: float | None, hop: float | None,
    jobs: int | None, scheduler: str | None, shard: tuple[int, int] | None, null: bool, pad_short: bool,
    audio: tuple[str, ...], **options: Any,
) -> None:  # fmt: skip
    """Write features of AUDIO to a table: files, folders, patterns, manifests, or - for a list of paths.

    The same command goes on where an earlier run ended, however that was.

    \b
    featkit extract --set egemaps recordings/ -o features.parquet
    featkit extract --set egemaps+mfcc39 --data emodb:PATH -o features.parquet --jobs -1
    find /archive -name '*.wav' -print0 | featkit extract --null - -o features.parquet --window 3 --hop 1
    """
    if bool(audio) == bool(data):
        raise click.UsageError("Name audio files or folders, or a corpus with --data.")
    if output.suffix not in (".parquet", ".csv", ".arff", ".npz"):
        raise click.UsageError(f"--output must end in .parquet, .csv, .arff or .npz; it is '{output}'.")
    if hop is not None and window is None:
        raise click.UsageError("--hop is the distance between windows; give their length with --window.")
    from featkit.bulk import extract_files
    from featkit.cli.inputs import read_inputs
    from featkit.parts import Options
    from featkit.parts.cluster import on
    from featkit.store.merge import shard_name

    inputs = read_inputs(audio, data, null)
    if shard:
        inputs.shard(*shard)
        output = shard_name(output, shard)
    how = Options(
        n_jobs=jobs or (-1 if scheduler else 1),
        progress=live(),
        tell=lambda line: click.echo(line, err=True),
        **options,
    )
    try:
        with _ended_by_term(), on(scheduler) if scheduler else nullcontext():
            found = extract_files(
                inputs.files, output, features, view, window=window, hop=hop, pad_short=pad_short,
                notes=inputs.notes or None, synthetic=inputs.synthetic, options=how,
            )  # fmt: skip
    except KeyboardInterrupt:
        click.echo(f"Stopped. What is done is kept beside {output}; the same command goes on from there.", err=True)
        click.get_current_context().exit(130)
    _tell(output, len(inputs.files), found)


@contextmanager
def _ended_by_term() -> Iterator[None]:
    """Let SIGTERM, by which batch systems end what takes too long, end the run as Ctrl-C does, with exit code 143."""

    def end(*_: Any) -> None:
        sys.exit(143)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(output: Path, named: int, found: Summary) -> None:
    """Say what became of the files."""
    from pyarrow import parquet

    from featkit.decoding import shown
    from featkit.parts import failures_of
    from featkit.store.upkeep import size_of

    rows = parquet.read_metadata(output.with_suffix(".parquet")).num_rows
    if named and not rows:
        raise DataError(f"None of {named} files can be used. The first: {shown(found.failures[0])}.")
    if found.failed:
        click.echo(f"{found.failed} of {named} files could not be used:", err=True)
        for line in found.failures:
            click.echo(f"  {shown(line)}", err=True)
        if found.failed > len(found.failures):
            click.echo(f"  … and {found.failed - len(found.failures)} more", err=True)
        told = failures_of(output.with_suffix(".parquet"))
        click.echo(f"{told} has them all; --retry-failed tries them again.", err=True)
    if found.others:
        click.echo(f"{output}: {found.others} rows of files that were not named this time stay.", err=True)
    click.echo(f"{output}: {size_of(output.with_suffix('.parquet'))}")
    click.echo(f"{output}: {found.done} done, {found.failed} failed, {found.skipped} skipped")
    if found.failed:
        click.get_current_context().exit(1)
