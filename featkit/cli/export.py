"""``featkit export``."""

from __future__ import annotations

from pathlib import Path

import click

from featkit.cli.common import (
    audio_files,
    option,
    save,
)
from featkit.errors import DataError


@click.command()
@option("-o", "--output", required=True, type=click.Path(path_type=Path), help="model.onnx")
@click.argument("estimator", type=click.Path(path_type=Path))
@click.argument("check", nargs=-1, type=click.Path(path_type=Path))
def export(output: Path, estimator: Path, check: tuple[Path, ...]) -> None:
    """Turn a saved ESTIMATOR into one ONNX file.

    The ESTIMATOR is a fitted SERClassifier, saved by featkit fit or by joblib.dump.
    The exported model must answer as the estimator on the CHECK clips (default: one training clip of each class).
    A joblib file can run code when it is opened: open only files that you or people you trust have made.

    \b
    featkit export estimator.joblib -o model.onnx
    featkit export estimator.joblib clips/ -o model.onnx
    """
    import joblib

    from featkit.classifier import Recogniser

    if output.suffix != ".onnx":
        raise click.UsageError(f"--output must end in .onnx; it is '{output}'.")
    try:
        classifier = joblib.load(estimator)
    except Exception as error:
        raise DataError(f"{estimator}: cannot be opened as a joblib file ({type(error).__name__}).") from error
    if not isinstance(classifier, Recogniser):
        raise DataError(f"{estimator}: holds a {type(classifier).__name__}, not an estimator of featkit.")
    save(classifier, output, audio_files(check) if check else None, None)
