"""``featkit extract``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from featkit.cli.common import data_option, option, pad_option, spare
from featkit.cli.inputs import null_option, read_inputs
from featkit.cli.runs import check_windows, going_on_later, run_options, tell_summary, told_options


def _shard(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """``3/64``."""
    if value is None:
        return None
    k, slash, n = value.partition("/")
    if not (slash and k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        raise click.BadParameter(f"'{value}' is no shard; the third of 64 is written 3/64.")
    return int(k), int(n)


@click.command(short_help="Write features of recordings to a table that loses nothing.")
@option(
    "--features", "--set", default="mfcc39", metavar="SET", help="Feature set; + joins several, as in egemaps+mfcc39."
)
@option(
    "--view", type=click.Choice(["functionals", "frames"]), default="functionals", help="A vector or a matrix per row."
)
@data_option("Take the clips, labels and speakers of a corpus; may be given again, to join several. ", required=False)
@option(
    "-o", "--output", required=True, type=click.Path(path_type=Path),
    help="Table to write, *.parquet; or *.csv, *.arff, *.npz, copied from the Parquet table beside it.",
)  # fmt: skip
@run_options("A row for each window of this length.")
@click.option("--scheduler", metavar="ADDRESS", help="Let a Dask cluster do it: tcp://host:8786.")
@click.option("--shard", metavar="K/N", callback=_shard, help="Only this share of the files, to OUTPUT-K-of-N.")
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
    spare([output, output.with_suffix(".parquet")], [*data, *audio])
    check_windows(window, hop)
    from featkit.bulk import extract_files
    from featkit.parts.cluster import on
    from featkit.store.merge import shard_name
    from featkit.store.upkeep import size_of

    inputs = read_inputs(audio, data, null)
    if shard:
        inputs.shard(*shard)
        output = shard_name(output, shard)
    how = told_options(jobs or (-1 if scheduler else 1), **options)
    with going_on_later(output), on(scheduler) if scheduler else nullcontext():
        found = extract_files(
            inputs.files, output, features, view, window=window, hop=hop, pad_short=pad_short,
            notes=inputs.notes or None, synthetic=inputs.synthetic, options=how,
        )  # fmt: skip
    tell_summary(output, len(inputs.files), found, lambda: size_of(output.with_suffix(".parquet")))
