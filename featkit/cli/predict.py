"""``featkit predict``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featkit.cli.common import (
    audio_files,
    option,
    report_failures,
)
from featkit.errors import FeatkitError
from featkit.tables import csv_line

if TYPE_CHECKING:
    from featkit.runtime import Model


@click.command()
@option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    help="What to print, one row a file.",
)
@option(
    "--speaker", "by", type=click.Choice(["one", "folder"]),
    help="For a model with normalise=speaker: all files are of one speaker, or those of each folder are.",
)  # fmt: skip
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
def predict(form: str, by: str | None, model: Path, audio: tuple[Path, ...]) -> None:
    """Label AUDIO files and folders with an exported MODEL.

    \b
    featkit predict model.onnx clip.wav
    featkit predict model.onnx recordings/ --format csv > labels.csv
    """
    from featkit.runtime import load

    recogniser = load(model)
    labels = recogniser.labels
    if bool(recogniser.normalise) != bool(by):
        raise click.UsageError(
            f"{model} judges a clip beside the others of its speaker; say --speaker one or --speaker folder."
            if recogniser.normalise
            else f"{model} hears every clip for itself; leave out --speaker."
        )
    files = audio_files(audio)
    width = max(len(str(path)) for path in files)
    if form == "csv":
        click.echo(csv_line(["file", "label", *labels]), nl=False)
    elif form == "table":
        click.echo("  ".join(["file".ljust(width), "label".ljust(max(map(len, labels))), *labels]))
    failed: list[tuple[str, str]] = []
    for path, answer in _answers(recogniser, files, by):
        if isinstance(answer, FeatkitError):
            failed.append((str(path), str(answer)))
            continue
        (proba,) = answer
        label = labels[int(proba.argmax())]
        if form == "jsonl":
            rounded = {name: round(float(p), 6) for name, p in zip(labels, proba, strict=True)}
            click.echo(json.dumps({"file": str(path), "label": label, "probabilities": rounded}, ensure_ascii=False))
        elif form == "csv":
            click.echo(csv_line([str(path), label, *(f"{p:.6f}" for p in proba)]), nl=False)
        else:
            cells = [f"{p:.3f}".rjust(len(name)) for name, p in zip(labels, proba, strict=True)]
            click.echo("  ".join([str(path).ljust(width), label.ljust(max(map(len, labels))), *cells]))
    report_failures(failed, len(files) - len(failed))


def _answers(model: Model, files: Sequence[Path], by: str | None) -> Iterator[tuple[Path, Any]]:
    """Each file with its probabilities, or with the error why there are none."""
    if not model.normalise:
        for path in files:
            yield path, _tried(model.predict_proba, [path])
        return
    from featkit.audio import as_wave, at_least

    def heard(path: Path) -> Any:
        return at_least(as_wave(path, str(path)), model.recipe["min_samples"], model.recipe["pad_short"], str(path))

    waves = [_tried(heard, path) for path in files]
    good = [i for i, wave in enumerate(waves) if not isinstance(wave, FeatkitError)]
    speakers = [files[i].parent if by == "folder" else "one" for i in good]
    found = dict(zip(good, model.predict_proba([waves[i] for i in good], speakers), strict=True))
    for i, path in enumerate(files):
        yield path, found[i][None] if i in found else waves[i]


def _tried(work: Callable[..., Any], *given: Any) -> Any:
    """What comes of it, or the error that does."""
    try:
        return work(*given)
    except FeatkitError as error:
        return error
