"""``featkit extract``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featkit.cli.common import (
    DATA_HELP,
    audio_files,
    end,
    jobs_option,
    live,
    option,
    pad_option,
)
from featkit.errors import DataError


@click.command()
@option(
    "--set", "features", default="mfcc39", metavar="SET", help="Feature set; + joins several, as in egemaps+mfcc39."
)
@option(
    "--view", type=click.Choice(["functionals", "frames"]), default="functionals", help="A vector or a matrix per clip."
)
@option("--data", metavar="DATA", help="Take the clips, labels and speakers of a corpus: " + DATA_HELP)
@option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Table to write, *.parquet.")
@jobs_option
@pad_option
@click.argument("audio", nargs=-1, type=click.Path(path_type=Path))
def extract(
    features: str, view: Any, data: str | None, output: Path, jobs: int, pad_short: bool, audio: tuple[Path, ...]
) -> None:
    """Write features of AUDIO files, folders or a corpus to a table.

    \b
    featkit extract --set egemaps recordings/ -o features.parquet
    featkit extract --set egemaps+mfcc39 --data emodb:PATH -o features.parquet
    """
    if bool(audio) == bool(data):
        raise click.UsageError("Name audio files or folders, or a corpus with --data.")
    if output.suffix != ".parquet":
        raise click.UsageError(f"--output must end in .parquet; it is '{output}'.")
    from featkit.corpus import read_corpus
    from featkit.extraction import extract_all
    from featkit.features import find_extractor
    from featkit.store import FeatureTable, write_table

    extractor = find_extractor(features)
    if data:
        corpus, failures = read_corpus(data, progress=live()).with_features(
            extractor, view, pad_short=pad_short, n_jobs=jobs, progress=live()
        )
        table = corpus.table()
    else:
        files = [str(path) for path in audio_files(audio)]
        found, failures = extract_all(files, extractor, view, pad_short=pad_short, n_jobs=jobs, progress=live())
        kept = [(file, clip) for file, clip in zip(files, found, strict=True) if clip is not None]
        if not kept:
            raise DataError(f"None of {len(files)} files can be used. The first: {failures[0].reason}")
        names, unknown = [file for file, _ in kept], [None] * len(kept)
        values = [clip for _, clip in kept]
        table = FeatureTable(names, unknown, unknown, unknown, values, extractor.names(view), extractor.spec)
    write_table(output, table)
    click.echo(f"{output}: {len(table.features)} clips × {len(table.names)} {extractor.name} {view}")
    end(failures, len(table.features))
