"""The command line. Nothing heavy is imported before the command that needs it runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featkit.errors import DataError, FeatkitError

if TYPE_CHECKING:
    from featkit.classifier import SERClassifier
    from featkit.corpus import Corpus
    from featkit.extraction import Failure

DEFAULT_SET = "mfcc39"
SET_HELP = "[default: mfcc39, or what a feature table holds]"
DATA_HELP = "emodb:PATH, ravdess:PATH, synthetic, a folder with one sub-folder per label, a manifest or feature table."


class _Commands(click.Group):
    """Answers every featkit error with one line and exit code 1; wrong usage is click's, with exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except BrokenPipeError:  # the reader of a pipe has had enough
            sys.stderr.close()
            ctx.exit(0)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            kind = "" if isinstance(error, (FeatkitError, OSError)) else f"{type(error).__name__}: "
            click.echo(f"Error: {kind}{' '.join(str(error).split())}", err=True)
            ctx.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the work, not of the alphabet


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="featkit", message="featkit %(version)s")
def cli(debug: bool) -> None:
    """Speech emotion recognition: features, backends, honest scores, one ONNX file.

    \b
    featkit demo                                        the whole road on synthetic speech
    featkit evaluate --data emodb:PATH                  a score that stands
    featkit fit --data emodb:PATH -o model.onnx         a model to ship
    featkit predict model.onnx *.wav                    labels
    """


def main() -> None:
    """Entry point."""
    cli(prog_name="featkit")


def _option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    settings.setdefault("show_default", True)
    return click.option(*names, **settings)


def _workers(ctx: click.Context, param: click.Parameter, value: int) -> int:
    if value == 0:
        raise click.BadParameter("0 workers do nothing; give 1 or more, or -1 for all cores.")
    return value


def _folds(ctx: click.Context, param: click.Parameter, value: str) -> Any:
    if value == "loso":
        return value
    if not value.isdecimal() or int(value) < 2:
        raise click.BadParameter(f"'{value}' is neither 'loso' nor a number of folds from 2 on.")
    return int(value)


_data = _option("--data", required=True, metavar="DATA", help=DATA_HELP)
_jobs = _option(
    "--jobs",
    "-j",
    default=1,
    metavar="N",
    callback=_workers,
    help="Workers for extraction and folds; -1 for all cores.",
)
_pad = _option(
    "--pad-short", is_flag=True, help="Append silence to clips that are too short, instead of leaving them out."
)
_leak = _option("--allow-leakage", is_flag=True, help="Score without speakers, by random folds. The table says so.")
_cv = _option(
    "--cv",
    default="loso",
    metavar="loso|N",
    callback=_folds,
    help="Leave one speaker out, or N folds of whole speakers.",
)


@cli.command()
@_option(
    "--set", "features", default="mfcc39", metavar="SET", help="Feature set; + joins several, as in egemaps+mfcc39."
)
@_option(
    "--view", type=click.Choice(["functionals", "frames"]), default="functionals", help="A vector or a matrix per clip."
)
@_option("--data", metavar="DATA", help="Take the clips, labels and speakers of a corpus: " + DATA_HELP)
@_option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Table to write, *.parquet.")
@_jobs
@_pad
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
        corpus, failures = read_corpus(data, progress=_live()).extracted(
            extractor, view, pad_short=pad_short, n_jobs=jobs, progress=_live()
        )
        table = corpus.table()
    else:
        files = [str(path) for path in _audio_files(audio)]
        found, failures = extract_all(files, extractor, view, pad_short=pad_short, n_jobs=jobs, progress=_live())
        kept = [(file, clip) for file, clip in zip(files, found, strict=True) if clip is not None]
        if not kept:
            raise DataError(f"None of {len(files)} files can be used. The first: {failures[0].reason}")
        names, unknown = [file for file, _ in kept], [None] * len(kept)
        table = FeatureTable(names, unknown, unknown, [clip for _, clip in kept], extractor.names(view), extractor.spec)
    write_table(output, table)
    click.echo(f"{output}: {len(table.features)} clips × {len(table.names)} {extractor.name} {view}")
    _end(failures, len(table.features))


@cli.command()
@_data
@_option("--features", "--set", metavar="SET", help="Feature set; + joins several. " + SET_HELP)
@_option(
    "--backend",
    default="svm",
    metavar="BACKEND",
    help="Backend; settings follow a colon, as in svm:kernel=linear,C=0.1.",
)
@_option("-o", "--output", required=True, type=click.Path(path_type=Path), help="model.onnx, or estimator.joblib.")
@_option("--evaluate", "scored", is_flag=True, help="Leave speakers out first, and write WA and UA into the model.")
@_cv
@_leak
@_jobs
@_pad
def fit(
    data: str, features: str | None, backend: str, output: Path, scored: bool, cv: Any,
    allow_leakage: bool, jobs: int, pad_short: bool,
) -> None:  # fmt: skip
    """Train on a corpus and write one checked model file.

    \b
    featkit fit --backend xgboost --features egemaps --data emodb:PATH -o model.onnx
    featkit fit --data features.parquet -o model.onnx
    """
    if output.suffix not in (".onnx", ".joblib"):
        raise click.UsageError(f"--output must end in .onnx or .joblib; it is '{output}'.")
    from featkit.backend import find_backend
    from featkit.classifier import SERClassifier
    from featkit.corpus import read_corpus
    from featkit.evaluation import evaluate, require_speakers
    from featkit.features import find_extractor

    corpus = read_corpus(data, progress=_live())
    if scored:
        require_speakers(corpus.speakers, allow_leakage)
    extractor = find_extractor(features or corpus.extractor or DEFAULT_SET)
    chosen = find_backend(backend)
    if "progress" in chosen.get_params():
        chosen.set_params(progress=_live())
    classifier = SERClassifier(extractor, chosen, pad_short=pad_short)
    ready, failures = corpus.extracted(extractor, chosen.consumes, pad_short=pad_short, n_jobs=jobs, progress=_live())
    scores = None
    if scored:
        result = evaluate(
            classifier, ready.clips, ready.labels, ready.speakers, cv=cv, allow_leakage=allow_leakage,
            n_jobs=jobs, progress=_live(),
        )  # fmt: skip
        scores = {"corpus": corpus.name, "synthetic": corpus.synthetic} | result.summary()
        made = "SYNTHETIC " if corpus.synthetic else ""
        click.echo(f"{made}{corpus.name}, {result.protocol}: WA {100 * result.wa:.1f} %, UA {100 * result.ua:.1f} %")
    classifier.fit(ready.clips, ready.labels, groups=ready.speakers)
    click.echo(_trained(ready, features or extractor.name, backend))
    _save(classifier, output, _proofs(ready, corpus), scores)
    _end(failures, len(ready.files))


@cli.command()
@_data
@_option("--features", "--set", multiple=True, metavar="SET", help="Feature set; may be given again. " + SET_HELP)
@_option("--backend", default=["svm"], multiple=True, metavar="BACKEND", help="Backend; may be given again.")
@_option("-o", "--output", type=click.Path(path_type=Path), help="Also write the rows as JSON lines.")
@_cv
@_leak
@_jobs
@_pad
def evaluate(
    data: str, features: tuple[str, ...], backend: tuple[str, ...], output: Path | None, cv: Any,
    allow_leakage: bool, jobs: int, pad_short: bool,
) -> None:  # fmt: skip
    """Score sets and backends on speakers they have not heard.

    \b
    featkit evaluate --data emodb:PATH --features egemaps --features mfcc39 --backend svm --backend xgboost
    featkit evaluate --data ravdess:PATH --cv 6
    """
    from featkit.benchmark import benchmark, report
    from featkit.corpus import read_corpus

    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(data, progress=_live())
    rows, failures = benchmark(
        corpus, features or [corpus.extractor or DEFAULT_SET], backend, cv=cv, allow_leakage=allow_leakage,
        pad_short=pad_short, n_jobs=jobs, progress=_live(),
    )  # fmt: skip
    click.echo(report(rows))
    if len(rows) == 1:
        click.echo(_confusion(rows[0].evaluation))
    if output:
        output.write_text("".join(json.dumps(row.summary()) + "\n" for row in rows), encoding="utf-8")
    _end(failures, len(rows[0].evaluation.y_true))


@cli.command()
@_option(
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
    files = _audio_files(audio)
    width = max(len(str(path)) for path in files)
    if form == "csv":
        click.echo(_csv(["file", "label", *labels]))
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
            click.echo(_csv([str(path), label, *(f"{p:.6f}" for p in proba)]))
        else:
            cells = [f"{p:.3f}".rjust(len(name)) for name, p in zip(labels, proba, strict=True)]
            click.echo("  ".join([str(path).ljust(width), label.ljust(max(map(len, labels))), *cells]))
    _report_failures(failed, len(files) - len(failed))


@cli.command()
@_option("-o", "--output", required=True, type=click.Path(path_type=Path), help="model.onnx")
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

    from featkit.classifier import SERClassifier

    if output.suffix != ".onnx":
        raise click.UsageError(f"--output must end in .onnx; it is '{output}'.")
    try:
        classifier = joblib.load(estimator)
    except Exception as error:
        raise DataError(f"{estimator}: cannot be opened as a joblib file ({type(error).__name__}).") from error
    if not isinstance(classifier, SERClassifier):
        raise DataError(f"{estimator}: holds a {type(classifier).__name__}, not an SERClassifier.")
    _save(classifier, output, _audio_files(check) if check else None, None)


@cli.command()
@_option("--json", "as_json", is_flag=True, help="Print the recipe as JSON.")
@click.argument("model", type=click.Path(path_type=Path))
def info(as_json: bool, model: Path) -> None:
    """Show what a MODEL file says of itself.

    \b
    featkit info model.onnx
    """
    from featkit.runtime import load

    recipe = load(model).recipe
    if as_json:
        click.echo(json.dumps(recipe, indent=2, ensure_ascii=False))
        return
    data, scores = recipe["data"], recipe["scores"]
    wave = (
        f"waveform (batch, samples) float32, mono, {recipe['sample_rate']} Hz, at least {recipe['min_samples']} samples"
    )
    features = recipe["features"]
    names = [part["name"] for part in features.get("fusion", [features])]
    measured = "not measured"
    if scores:
        kind = "SYNTHETIC " if scores.get("synthetic") else ""
        ends = f" [{100 * scores['UA_95'][0]:.0f}, {100 * scores['UA_95'][1]:.0f}]" if scores["UA_95"] else ""
        measured = (
            f"{kind}{scores.get('corpus', 'unnamed corpus')}, {scores['protocol']}: WA {100 * scores['WA']:.1f} %, "
            f"UA {100 * scores['UA']:.1f} %{ends}"
        )
    counts = ", ".join(f"{label} {count}" for label, count in data["labels"].items())
    speakers = f" from {data['speakers']} speakers" if data["speakers"] else ", speakers not known"
    rows = {
        "file": f"{model} ({model.stat().st_size / 1000:.0f} kB), written by featkit {recipe['featkit_version']}",
        "input": wave if recipe["input"] == "wave" else f"{'+'.join(names)} {recipe['input']} (computed by featkit)",
        "output": f"label, probabilities: {', '.join(recipe['labels'])}",
        "features": f"{'+'.join(names)} {recipe['view']}, specification {recipe['feature_hash']}",
        "backend": recipe["backend"]["name"],
        "trained on": f"{data['clips']} clips{speakers} ({counts})",
        "scores": measured,
        "licence": "; ".join(recipe["licence"]) or "none inherited from features",
    }
    for key, value in rows.items():
        click.echo(f"{key.ljust(10)}  {value}")


@cli.command("list")
def list_plugins() -> None:
    """List sets, backends and corpora, and what is missing.

    \b
    featkit list
    """
    from featkit import plugins

    kinds: tuple[tuple[plugins.Kind, str], ...] = (
        ("features", "Feature sets"),
        ("backends", "Backends"),
        ("datasets", "Corpora"),
    )
    for kind, heading in kinds:
        click.echo(f"{heading}:")
        for name in plugins.installed(kind):
            try:
                plugin = plugins.find(kind, name)
                title = getattr(plugin, "title", None) or str(plugin.__doc__).strip().splitlines()[0].rstrip(".")
                text = " — ".join(filter(None, (title, getattr(plugin, "licence", None))))
            except FeatkitError as error:
                text = str(error)
            click.echo(f"  {name.ljust(12)}  {text}")


@cli.command()
@_option("--out", type=click.Path(path_type=Path), default=Path("featkit-demo"), help="Folder for models and results.")
def demo(out: Path) -> None:
    """Do the whole job on synthetic speech.

    \b
    featkit demo
    """
    from featkit.demo import run

    run(out, progress=_live())


def _live() -> bool:
    """Progress bars are for people: none where stderr is a file or a pipe."""
    return sys.stderr.isatty()


def _audio_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are named; folders by the audio files below them, sorted."""
    from featkit.datasets.base import find_audio

    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = find_audio(path)
        if not inside:
            raise DataError(f"{path}: this folder holds no audio file.")
        files += inside
    return files


def _trained(corpus: Corpus, features: str, backend: str) -> str:
    speakers = "speakers not known" if corpus.speakers is None else f"{len(set(corpus.speakers))} speakers"
    made = " (SYNTHETIC)" if corpus.synthetic else ""
    return (
        f"Trained {features} + {backend} on {corpus.name}{made}: {len(corpus.files)} clips, {speakers}, "
        f"{len(set(corpus.labels))} emotions"
    )


def _proofs(ready: Corpus, corpus: Corpus) -> list[Any] | None:
    """One recording of each emotion that could be used, to check the export on."""
    if corpus.extractor is not None:
        return None  # a feature table: the estimator checks on its rows
    return list(dict(zip(reversed(ready.labels.tolist()), reversed(ready.files), strict=True)).values())


def _save(classifier: SERClassifier, output: Path, clips: Sequence[Any] | None, scores: dict[str, Any] | None) -> None:
    if output.suffix == ".joblib":
        import joblib

        if clips is not None:
            classifier.check_clips_ = list(clips)  # recordings instead of their features, for featkit export
        output.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(classifier, output)
        click.echo(f"{output}: fitted estimator; featkit export turns it into ONNX")
        return
    report = classifier.export(output, clips=clips, scores=scores)
    click.echo(
        f"{report.path}: {report.n_bytes / 1000:.0f} kB, {report.input} → label, probabilities; equals the trained "
        f"estimator on {report.n_checked} clips (largest difference {report.max_difference:.0e})"
    )


def _confusion(evaluation: Any) -> str:
    """Confusion counts and recall of each emotion."""
    from featkit.benchmark import markdown

    rows = []
    for label, counts in zip(evaluation.labels, evaluation.confusion, strict=True):
        cells = {str(name): str(count) for name, count in zip(evaluation.labels, counts, strict=True)}
        rows.append({"truth \\ predicted": str(label)} | cells | {"recall": f"{100 * evaluation.recalls[label]:.1f}"})
    return "\n" + markdown(rows)


def _csv(cells: Sequence[str]) -> str:
    import csv
    import io

    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _end(failures: Sequence[Failure], done: int) -> None:
    _report_failures([(failure.clip, failure.reason) for failure in failures], done)


def _report_failures(failed: Sequence[tuple[str, str]], done: int) -> None:
    """Failures table on stderr and exit code 1, where anything failed."""
    if not failed:
        return
    click.echo(f"{len(failed)} of {done + len(failed)} files could not be used:", err=True)
    for clip, reason in failed:
        click.echo(f"  {reason if clip in reason else f'{clip}: {reason}'}", err=True)
    click.get_current_context().exit(1)
