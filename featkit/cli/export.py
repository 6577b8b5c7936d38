"""``featkit export``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featkit.cli.common import (
    FILE,
    audio_files,
    corpus_of,
    data_option,
    finite,
    option,
    report_failures,
    save,
)
from featkit.deploy import FORMS
from featkit.errors import DataError, ExportError

if TYPE_CHECKING:
    from featkit.deploy.clips import Clips
    from featkit.runtime import Model

_FORMS = {"onnx": ".onnx", **FORMS, "web": ""}


@click.command(short_help="Turn a model into a smaller, mobile or browser form.")
@option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="A file, or a folder for tflite and web."
)
@option("--to", "form", type=click.Choice(list(_FORMS)), default="onnx", help="What to write.")
@data_option("Labelled clips on which a form is judged; may be given again, to join several. ", required=False)
@option(
    "--max-drop", default=2.0, type=click.FloatRange(0, 100), callback=finite, metavar="POINTS",
    help="Points of UA that may be lost; without labels, per cent of clips whose label may change.",
)  # fmt: skip
@option("--seconds", default=3.0, type=float, callback=finite, metavar="S", help="Length of the input of tflite forms.")
@option("--runtime", type=click.Path(path_type=Path), help="For web: folder of the npm package onnxruntime-web.")
@option("--cdn", is_flag=True, help="For web: let browsers fetch onnxruntime-web from a CDN.")
@click.argument("source", type=FILE)
@click.argument("clips", nargs=-1, type=FILE)
def export(
    output: Path, form: str, data: tuple[str, ...], max_drop: float, seconds: float, runtime: Path | None, cdn: bool,
    source: Path, clips: tuple[Path, ...],
) -> None:  # fmt: skip
    """Turn a saved estimator into one ONNX file, or that file into a smaller or mobile form.

    For --to onnx the SOURCE is a fitted SERClassifier, saved by featkit fit or by joblib.dump; for all others it is the
    exported model. Both are asked on the CLIPS (for onnx by default one training clip of each class) or on --data, and
    nothing is written that answers too differently.
    A joblib file can run code when it is opened: open only files that you or people you trust have made.

    \b
    featkit export estimator.joblib -o model.onnx
    featkit export model.onnx --to onnx-int8 --data emodb:PATH -o small.onnx
    featkit export model.onnx --to tflite-int8 --data emodb:PATH -o phone/
    featkit export model.onnx --to web -o page/
    """
    if _FORMS[form] and output.suffix != _FORMS[form]:
        raise click.UsageError(f"--output must end in {_FORMS[form]}; it is '{output}'.")
    if not _FORMS[form] and output.suffix in (".onnx", ".ort", ".tflite"):
        raise click.UsageError(f"--output is a folder for {form}; it is '{output}'.")
    for flag, given, fits in (
        ("--runtime and --cdn are", runtime or cdn, form == "web"),
        ("--data is", data, form not in ("onnx", "web")),
        ("--max-drop is", max_drop != 2, form not in ("onnx", "web")),
        ("--seconds is", seconds != 3, form.startswith("tflite")),
        ("CLIPS are", clips, form != "web" and not data),
    ):
        if given and not fits:
            raise click.UsageError(f"{flag} not for --to {form}{' beside --data' if data and clips else ''}.")
    if form == "onnx":
        _estimator(source, output, clips)
    elif form == "web":
        _web(source, output, runtime, cdn)
    else:
        _convert(source, form, output, data, clips, max_drop, seconds)


def _estimator(source: Path, output: Path, check: tuple[Path, ...]) -> None:
    import joblib

    from featkit.classifier import Recogniser

    if source.suffix in (".onnx", ".ort") and source.exists():
        raise DataError(f"{source}: is exported already; say what to make of it, as in --to onnx-int8.")
    if not source.is_file():  # a pipe could be read for ever
        what = "is no file" if source.exists() else "there is no such file"
        raise DataError(f"{source}: {what}; name a fitted estimator that featkit fit -o NAME.joblib saved.")
    try:
        classifier = joblib.load(source)
    except Exception as error:
        raise DataError(f"{source}: cannot be opened as a joblib file ({type(error).__name__}).") from error
    if not isinstance(classifier, Recogniser):
        raise DataError(f"{source}: holds a {type(classifier).__name__}, not an estimator of featkit.")
    save(classifier, output, audio_files(check) if check else None, None)


def _web(source: Path, output: Path, runtime: Path | None, cdn: bool) -> None:
    from featkit.deploy.web import write_web

    report = write_web(source, output, runtime=runtime, cdn=cdn)
    click.echo(f"{report.path}: {report.n_bytes / 1e6:.1f} MB of static files; the model runs inside the browser")


def _convert(
    source: Path, form: str, output: Path, data: Sequence[str], files: tuple[Path, ...], max_drop: float, seconds: float
) -> None:  # fmt: skip
    from featkit.deploy.convert import convert, require_possible

    model = require_possible(source, form, output)
    clips = _clips(model.model, data, files)
    try:
        report = convert(model, form, output, clips=clips, max_drop=max_drop, seconds=seconds)
    except ExportError as error:
        for table in getattr(error, "__notes__", ()):  # what was measured, before why that is not enough
            click.echo(f"{table}\n")
        raise
    click.echo(f"{report.path}: {report.n_bytes / 1000:.0f} kB. {report.told}\n\n{report.comparison.table()}")
    if report.comparison.windows_cost:
        click.echo(f"Note: {report.comparison.windows_cost}; --seconds changes it.", err=True)
    if clips and clips.heard:
        click.echo(
            "Note: the model learned from as many clips of the same corpus, and on its training clips every form looks "
            "perfect. Judge it on others.",
            err=True,
        )
    failures = clips.failures if clips else ()
    report_failures([(failure.clip, failure.reason) for failure in failures], len(clips or ()))


def _clips(model: Model, data: Sequence[str], files: Sequence[Path]) -> Clips | None:
    from featkit.deploy.clips import of_corpus, of_files

    if data:
        return of_corpus(corpus_of(data), model)
    return of_files(audio_files(files), model) if files else None
