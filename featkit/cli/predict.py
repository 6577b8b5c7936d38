"""``featkit predict``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from featkit.cli.common import (
    audio_files,
    csv_line,
    option,
    report_failures,
)
from featkit.errors import FeatkitError


@click.command()
@option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    help="What to print, one row a file.",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
def predict(form: str, model: Path, audio: tuple[Path, ...]) -> None:
    """Label AUDIO files and folders with an exported MODEL.

    \b
    featkit predict model.onnx clip.wav
    featkit predict model.onnx recordings/ --format csv > labels.csv
    """
    from featkit.runtime import load

    recogniser = load(model)
    labels = recogniser.labels
    files = audio_files(audio)
    width = max(len(str(path)) for path in files)
    if form == "csv":
        click.echo(csv_line(["file", "label", *labels]))
    elif form == "table":
        click.echo("  ".join(["file".ljust(width), "label".ljust(max(map(len, labels))), *labels]))
    failed: list[tuple[str, str]] = []
    for path in files:
        try:
            proba = recogniser.predict_proba([path])[0]
        except FeatkitError as error:
            failed.append((str(path), str(error)))
            continue
        label = labels[int(proba.argmax())]
        if form == "jsonl":
            rounded = {name: round(float(p), 6) for name, p in zip(labels, proba, strict=True)}
            click.echo(json.dumps({"file": str(path), "label": label, "probabilities": rounded}, ensure_ascii=False))
        elif form == "csv":
            click.echo(csv_line([str(path), label, *(f"{p:.6f}" for p in proba)]))
        else:
            cells = [f"{p:.3f}".rjust(len(name)) for name, p in zip(labels, proba, strict=True)]
            click.echo("  ".join([str(path).ljust(width), label.ljust(max(map(len, labels))), *cells]))
    report_failures(failed, len(files) - len(failed))
