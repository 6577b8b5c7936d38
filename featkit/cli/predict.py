"""``featkit predict``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
from click.core import ParameterSource

from featkit.cli.common import FILE, option, report_failures, spare
from featkit.cli.inputs import null_option, read_inputs
from featkit.cli.runs import RUN_OPTIONS, check_windows, going_on_later, run_options, tell_summary, told_options
from featkit.errors import FeatkitError
from featkit.tables import csv_line, padded, text_width

if TYPE_CHECKING:
    from featkit.audio import Wave
    from featkit.runtime import Model

Show: TypeAlias = Callable[[str, str, list[float], list[str]], None]
"""Prints file, label, probabilities and flags of quality."""


@click.command(short_help="Label recordings with a model.")
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
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="Write tables instead, *.parquet or *.csv; a run that was cut off goes on.",
)  # fmt: skip
@run_options("Also judge windows of this length.", only="With -o")
@null_option
@click.argument("model", type=FILE)
@click.argument("audio", nargs=-1, required=True)
def predict(
    form: str, by: str | None, output: Path | None, model: Path, audio: tuple[str, ...], null: bool,
    **settings: Any,
) -> None:  # fmt: skip
    """Label AUDIO with an exported MODEL: files, folders, patterns, manifests, or - for a list of paths.

    \b
    featkit predict model.onnx clip.wav
    featkit predict model.onnx 'archive/**/*.flac' --format csv > labels.csv
    featkit predict model.onnx recordings/ -o labels.parquet --window 3 --hop 1 --jobs -1
    """
    ctx = click.get_current_context()
    given = [name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if output is None:
        if wrong := [name for name in given if name in RUN_OPTIONS]:
            raise click.UsageError(f"--{wrong[0].replace('_', '-')} is for tables; name one with -o.")
        _print(model, _files(audio, null), form, by)
        return
    if "form" in given or by:
        raise click.UsageError("--format and --speaker are for what is printed; leave them out, or leave out -o.")
    if output.suffix not in (".parquet", ".csv"):
        raise click.UsageError(f"--output must end in .parquet or .csv; it is '{output}'.")
    spare([output], audio)
    check_windows(settings["window"], settings["hop"])
    _write(model, _files(audio, null), output, **settings)


def _files(audio: Sequence[str], null: bool) -> list[Path]:
    return [Path(file) for file in read_inputs(audio, (), null).files]


def _write(
    model: Path, files: list[Path], output: Path, window: float | None, hop: float | None, jobs: int | None,
    **options: Any,
) -> None:  # fmt: skip
    """Predict to tables, and say what became of the files."""
    with going_on_later(output):
        from featkit.batch import predict_files

        found = predict_files(model, files, output, window=window, hop=hop, options=told_options(jobs, **options))
    tell_summary(output, len(files), found)


def _print(model: Path, files: list[Path], form: str, by: str | None) -> None:
    """Print a row a file, as it comes."""
    from featkit.runtime import load

    recogniser = load(model)
    if bool(recogniser.normalise) != bool(by):
        raise click.UsageError(
            f"{model} judges a clip beside the others of its speaker; say --speaker one or --speaker folder."
            if recogniser.normalise
            else f"{model} hears every clip for itself; leave out --speaker."
        )
    show = {"table": _table, "csv": _csv, "jsonl": _jsonl}[form](recogniser.labels, files)
    failed: list[tuple[str, str]] = []
    for path, answer in _answers(recogniser, files, by):
        if isinstance(answer, FeatkitError):
            failed.append((str(path), str(answer).removeprefix("clip 0: ")))
            continue
        proba, quality = answer
        if math.isfinite(proba.sum()):
            show(str(path), recogniser.labels[int(proba.argmax())], proba.tolist(), quality)
        else:
            failed.append((str(path), "the model gave probabilities that are not finite; train it again."))
    report_failures(failed, len(files) - len(failed))


def _table(labels: list[str], files: Sequence[Path]) -> Show:
    """Aligned columns, for people: whatever a file is called, it stays in its line and commands no terminal."""
    from featkit.decoding import shown

    widths = [
        max((text_width(shown(path)) for path in files), default=0),
        *(max(5, text_width(label)) for label in labels),
    ]
    widths.insert(1, max(widths[1:]))

    def line(cells: list[str], end: str) -> None:
        click.echo("  ".join([*map(padded, cells, widths), end]).rstrip())

    head = iter([["file", "label", *labels]])  # above the first row, where there is one

    def show(file: str, label: str, proba: list[float], quality: list[str]) -> None:
        for cells in head:
            line(cells, "quality")
        numbers = [f"{p:.3f}".rjust(n) for p, n in zip(proba, widths[2:], strict=True)]
        line([shown(file), label, *numbers], "; ".join(quality))

    return show


def _csv(labels: list[str], files: Sequence[Path]) -> Show:
    from featkit.decoding import shown

    def line(cells: list[str]) -> None:
        text = csv_line(cells).removesuffix("\n")
        click.echo(shown(text) if sys.stdout.isatty() else text, color=True)  # or click takes escapes out of names

    def show(file: str, label: str, proba: list[float], quality: list[str]) -> None:
        line([file, label, *(f"{p:.6f}" for p in proba), "; ".join(quality)])

    line(["file", "label", *labels, "quality"])
    return show


def _jsonl(labels: list[str], files: Sequence[Path]) -> Show:
    def show(file: str, label: str, proba: list[float], quality: list[str]) -> None:
        rounded = {name: round(p, 6) for name, p in zip(labels, proba, strict=True)}
        row = {"file": file, "label": label, "probabilities": rounded, "quality": quality}
        text = json.dumps(row, ensure_ascii=False)
        click.echo(text if text.isprintable() else json.dumps(row))  # JSON can write any sign in letters

    return show


def _answers(model: Model, files: Sequence[Path], by: str | None) -> Iterator[tuple[Path, Any]]:
    """Each file with its probabilities and what is odd about it, or with the error why there are none."""
    if not model.normalise:
        for path in files:
            yield path, _tried(_judged, model, path)
        return
    heard = [_tried(_heard, model, path) for path in files]
    good = [i for i, found in enumerate(heard) if not isinstance(found, FeatkitError)]
    speakers = [files[i].parent if by == "folder" else "one" for i in good]
    rows = dict(zip(good, model.predict_proba([heard[i][0] for i in good], speakers), strict=True))
    for i, path in enumerate(files):
        yield path, (rows[i], heard[i][1]) if i in rows else heard[i]


def _judged(model: Model, path: Path) -> tuple[Any, list[str]]:
    """Probabilities (classes,) of a file, and what is odd about it."""
    wave, quality = _heard(model, path)
    return model.predict_proba([wave])[0], quality


def _heard(model: Model, path: Path) -> tuple[Wave, list[str]]:
    """A file as the model hears it, and what is odd about it as it was recorded."""
    from featkit.audio import read
    from featkit.decoding import shown
    from featkit.quality import flags

    wave, stored = read(path)
    return model.wave(wave, shown(path)), flags(wave, stored)


def _tried(work: Callable[..., Any], *given: Any) -> Any:
    """What comes of it, or the error that does."""
    try:
        return work(*given)
    except FeatkitError as error:
        return error
