"""``featkit predict``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from featkit.cli.common import audio_files, finite, live, option, report_failures, workers
from featkit.errors import FeatkitError
from featkit.tables import csv_line

if TYPE_CHECKING:
    from featkit.runtime import Model


_WITH_OUTPUT = ("window", "hop", "jobs", "retry_failed", "overwrite", "strict", "timeout")
"""Options that make sense for a table only."""


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
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="Write tables instead, *.parquet or *.csv; a run that was cut off goes on.",
)  # fmt: skip
@click.option("--window", type=float, metavar="SECONDS", help="With -o: also judge windows of this length.")
@click.option("--hop", type=float, metavar="SECONDS", help="From one window to the next.  [default: the window]")
@option("--jobs", "-j", default=1, metavar="N", callback=workers, help="With -o: workers; -1 for all cores.")
@click.option("--retry-failed", is_flag=True, help="With -o: try again what failed in an earlier run.")
@click.option("--overwrite", is_flag=True, help="With -o: begin anew, whatever is there.")
@click.option("--strict", is_flag=True, help="With -o: stop at the first file that fails.")
@option(
    "--timeout",
    default=600.0,
    type=click.FloatRange(1, 86_400),
    callback=finite,
    metavar="SECONDS",
    help="With -o: for one file.",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
def predict(
    form: str, by: str | None, output: Path | None, model: Path, audio: tuple[Path, ...],
    **settings: Any,
) -> None:  # fmt: skip
    """Label AUDIO files, and those in folders and below, with an exported MODEL.

    \b
    featkit predict model.onnx clip.wav
    featkit predict model.onnx recordings/ --format csv > labels.csv
    featkit predict model.onnx recordings/ -o labels.parquet --window 3 --hop 1 --jobs -1
    """
    ctx = click.get_current_context()
    given = [name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if output is None:
        if wrong := [name for name in given if name in _WITH_OUTPUT]:
            raise click.UsageError(f"--{wrong[0].replace('_', '-')} is for tables; name one with -o.")
        _print(model, audio, form, by)
        return
    if "form" in given or by:
        raise click.UsageError("--format and --speaker are for what is printed; leave them out, or leave out -o.")
    if output.suffix not in (".parquet", ".csv"):
        raise click.UsageError(f"--output must end in .parquet or .csv; it is '{output}'.")
    _write(ctx, model, audio, output, **settings)


def _write(
    ctx: click.Context, model: Path, audio: tuple[Path, ...], output: Path, window: float | None, hop: float | None,
    jobs: int, **options: Any,
) -> None:  # fmt: skip
    """Predict to tables, and say what became of the files."""
    try:
        from featkit.batch import predict_files
        from featkit.decoding import shown
        from featkit.parts import Options

        how = Options(n_jobs=jobs, progress=live(), tell=lambda line: click.echo(line, err=True), **options)
        found = predict_files(model, audio_files(audio), output, window=window, hop=hop, options=how)
    except KeyboardInterrupt:
        click.echo(f"Stopped. What is done is kept beside {output}; the same command goes on from there.", err=True)
        ctx.exit(130)
    for line in found.failures:
        click.echo(f"  {shown(line)}", err=True)
    if found.failed > len(found.failures):
        click.echo(f"  … and {found.failed - len(found.failures)} more", err=True)
    if found.failed:
        table = output.with_name(f"{output.stem}.failures.csv")
        click.echo(f"{table} has them all; --retry-failed tries them again.", err=True)
    if found.others:
        click.echo(f"{output}: {found.others} rows of files that were not named this time stay.", err=True)
    click.echo(f"{output}: {found.done} done, {found.failed} failed, {found.skipped} skipped")
    if found.failed:
        ctx.exit(1)


def _print(model: Path, audio: tuple[Path, ...], form: str, by: str | None) -> None:
    """Print a row a file, as it comes."""
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
    waves = [_tried(model.wave, path, str(path)) for path in files]
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
