"""The command line. Nothing heavy is imported before the command that needs it runs."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featkit.errors import DataError, FeatkitError

if TYPE_CHECKING:
    from featkit.backend import Backend
    from featkit.classifier import SERClassifier
    from featkit.corpus import Corpus
    from featkit.extraction import Failure

COPIES_COLUMNS = ("file", "label", "speaker", "source")
SET_HELP = "[default: what the backend asks for, mfcc39 as a rule, or what a feature table holds]"
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
_augment = _option(
    "--augment",
    metavar="PLAN",
    help="Also learn from varied copies of training clips: standard, or speed+noise:snr=15.",
)
_copies = _option("--copies", default=4, type=click.IntRange(min=1), metavar="N", help="Copies of each training clip.")
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
@_option(
    "--augment", "plan", default="standard", metavar="PLAN",
    help="Transforms joined by +, as in speed+noise:snr=15,p=0.5: noise, pitch, speed, gain, shift, room, background.",
)  # fmt: skip
@_option("--copies", default=4, type=click.IntRange(min=1), metavar="N", help="Copies of each clip.")
@_option("--seed", default=0, metavar="N", help="Another seed gives other copies.")
@_option("--data", metavar="DATA", help="Take the clips, labels and speakers of a corpus: " + DATA_HELP)
@_jobs
@click.argument("audio", nargs=-1, metavar="IN...", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def augment(
    plan: str, copies: int, seed: int, data: str | None, jobs: int, audio: tuple[Path, ...], out: Path
) -> None:  # fmt: skip
    """Write varied copies of IN files, folders or a corpus into the folder OUT.

    Copies are wav files of 32-bit floats, so that none is clipped: OUT/<folders as in IN>/<name>_aug1.wav and so on.
    OUT/manifest.csv lists them with the label and speaker of their source. They are for training alone.

    \b
    featkit augment recordings/ copies/
    featkit augment --augment speed+room --copies 2 --data emodb:PATH copies/
    """
    if bool(audio) == bool(data):
        raise click.UsageError("Name audio files or folders, or a corpus with --data, and then the folder to write.")
    from featkit.augment import augment_files, find_augment

    checked = find_augment(plan)
    _check_manifest(out)
    files, about, roots = _to_augment(audio, data, out)
    targets = _targets(files, roots, out)
    made = augment_files(files, targets, checked, copies, seed, n_jobs=jobs, progress=_live())
    rows: list[list[str]] = []
    failed: list[tuple[str, str]] = []
    for file, (label, speaker), result in zip(files, about, made, strict=True):
        if isinstance(result, FeatkitError):
            failed.append((str(file), str(result)))
        else:
            rows += [[path.relative_to(out).as_posix(), label, speaker, os.path.abspath(file)] for path in result]
    if not rows:
        raise DataError(f"None of {len(files)} files can be used. The first: {failed[0][1]}")
    draft = out / f".manifest.csv.{os.getpid()}.part"
    draft.write_text("".join(_csv(row) + "\n" for row in [COPIES_COLUMNS, *rows]), encoding="utf-8")
    draft.replace(out / "manifest.csv")
    click.echo(f"{out}: {len(rows)} copies of {len(files) - len(failed)} clips, listed in manifest.csv")
    _report_failures(failed, len(files) - len(failed))


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
@_augment
@_copies
@_option("--evaluate", "scored", is_flag=True, help="Leave speakers out first, and write WA and UA into the model.")
@_option("--resume", is_flag=True, help="Go on with a network whose training did not end.")
@_option(
    "--history", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Write loss and UA of every epoch: *.csv a table, *.png or *.svg a plot; may be given again.",
)  # fmt: skip
@_cv
@_leak
@_jobs
@_pad
def fit(
    data: str, features: str | None, backend: str, output: Path, augment: str | None, copies: int, scored: bool,
    resume: bool, history: tuple[Path, ...], cv: Any, allow_leakage: bool, jobs: int, pad_short: bool,
) -> None:  # fmt: skip
    """Train on a corpus and write one checked model file.

    A network writes OUTPUT.checkpoint after every epoch, until the model is there. Ctrl-C keeps the best epoch so far;
    --resume goes on.

    \b
    featkit fit --backend xgboost --features egemaps --data emodb:PATH -o model.onnx
    featkit fit --backend cnn_lstm --augment standard --data emodb:PATH -o model.onnx --history curve.png
    featkit fit --data features.parquet -o model.onnx
    """
    if output.suffix not in (".onnx", ".joblib"):
        raise click.UsageError(f"--output must end in .onnx or .joblib; it is '{output}'.")
    for path in history:
        if path.suffix not in (".csv", ".png", ".svg", ".pdf"):
            raise click.UsageError(f"--history must end in .csv, .png, .svg or .pdf; it is '{path}'.")
    from featkit.backend import find_backend
    from featkit.classifier import SERClassifier
    from featkit.corpus import read_corpus
    from featkit.evaluation import evaluate, require_speakers

    corpus = read_corpus(data, progress=_live())
    if scored:
        require_speakers(corpus.speakers, allow_leakage)
    chosen = find_backend(backend)
    if "progress" in chosen.get_params():
        chosen.set_params(progress=_live())
    classifier = SERClassifier(
        features or corpus.extractor, chosen, augment=augment, copies=copies, pad_short=pad_short
    )
    extractor, _, varied = classifier.parts()
    checkpoint = _checkpoint(chosen, output, resume, history)
    ready, failures = corpus.extracted(
        extractor, chosen.consumes, pad_short=pad_short, copies=varied, n_jobs=jobs, progress=_live()
    )
    scores = None
    if scored:
        result = evaluate(
            classifier, ready.clips, ready.labels, ready.speakers, cv=cv, allow_leakage=allow_leakage,
            n_jobs=jobs, progress=_live(),
        )  # fmt: skip
        scores = {"corpus": corpus.name, "synthetic": corpus.synthetic} | result.summary()
        made = "SYNTHETIC " if corpus.synthetic else ""
        click.echo(f"{made}{corpus.name}, {result.protocol}: WA {100 * result.wa:.1f} %, UA {100 * result.ua:.1f} %")
    with _told_warnings():
        classifier.fit(ready.clips, ready.labels, groups=ready.speakers, checkpoint=checkpoint)
    click.echo(_trained(ready, features or extractor.name, backend))
    for path in history:
        _write_history(classifier, path)
    _save(classifier, output, _proofs(ready, corpus), scores)
    if checkpoint and not classifier.backend_.interrupted_:
        checkpoint.unlink(missing_ok=True)
    _end(failures, len(ready.files))


@cli.command()
@_data
@_option("--features", "--set", multiple=True, metavar="SET", help="Feature set; may be given again. " + SET_HELP)
@_option("--backend", default=["svm"], multiple=True, metavar="BACKEND", help="Backend; may be given again.")
@_augment
@_copies
@_option("-o", "--output", type=click.Path(path_type=Path), help="Also write the rows as JSON lines.")
@_cv
@_leak
@_jobs
@_pad
def evaluate(
    data: str, features: tuple[str, ...], backend: tuple[str, ...], augment: str | None, copies: int,
    output: Path | None, cv: Any, allow_leakage: bool, jobs: int, pad_short: bool,
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
        corpus, features or [corpus.extractor], backend, augment=augment, copies=copies, cv=cv,
        allow_leakage=allow_leakage, pad_short=pad_short, n_jobs=jobs, progress=_live(),
    )  # fmt: skip
    click.echo(report(rows))
    if len(rows) == 1:
        click.echo(_confusion(rows[0].evaluation))
    if output:
        output.write_text("".join(json.dumps(row.summary()) + "\n" for row in rows), encoding="utf-8")
    _end(failures, len(rows[0].evaluation.y_true))


@cli.command()
@_data
@_option("--features", "--set", metavar="SET", help="Feature set; + joins several. " + SET_HELP)
@_option("--backend", default="svm", metavar="BACKEND", help="Backend; the settings given with it are tried first.")
@_option(
    "--space", multiple=True, metavar="NAME=VALUES",
    help="Values to try, as in C=0.1,1,10; may be given again. features__NAME is a setting of the features.  "
    "[default: the backend's own]",
)  # fmt: skip
@_augment
@_copies
@_option("--trials", default=20, type=click.IntRange(min=1), metavar="N", help="Trials; a smaller grid is tried whole.")
@_option("--seed", default=0, metavar="N", help="Seed of the trials and of the folds.")
@_option("-o", "--output", type=click.Path(path_type=Path), help="Fit the best on all clips: model.onnx, or .joblib.")
@_option("--results", type=click.Path(path_type=Path), help="Keep every trial, *.jsonl or *.csv, and go on from there.")
@_option(
    "--cv", default="5", metavar="loso|N", callback=_folds, help="Leave one speaker out, or N folds of whole speakers."
)
@_leak
@_jobs
@_pad
def tune(
    data: str, features: str | None, backend: str, space: tuple[str, ...], augment: str | None, copies: int,
    trials: int, seed: int, output: Path | None, results: Path | None, cv: Any, allow_leakage: bool, jobs: int,
    pad_short: bool,
) -> None:  # fmt: skip
    """Search the settings of a backend on speakers they have not heard.

    The best score of a search is optimistic: it was chosen on these very folds.

    \b
    featkit tune --data emodb:PATH --backend svm --trials 30 -o best.onnx
    featkit tune --data emodb:PATH --backend svm --space C=0.1,1,10 --space kernel=rbf,linear
    featkit tune --data emodb:PATH --backend xgboost --results trials.jsonl
    """
    if output and output.suffix not in (".onnx", ".joblib"):
        raise click.UsageError(f"--output must end in .onnx or .joblib; it is '{output}'.")
    if results and results.suffix not in (".jsonl", ".csv"):
        raise click.UsageError(f"--results must end in .jsonl or .csv; it is '{results}'.")
    import shlex

    from featkit import tuning
    from featkit.backend import Backend, find_backend
    from featkit.classifier import SERClassifier
    from featkit.corpus import read_corpus
    from featkit.evaluation import require_speakers

    values = tuning.read_space(space)
    chosen = find_backend(backend)
    corpus = read_corpus(data, progress=_live())
    require_speakers(corpus.speakers, allow_leakage)
    classifier = SERClassifier(
        features or corpus.extractor, chosen, augment=augment, copies=copies, pad_short=pad_short
    )
    extractor, _, varied = classifier.parts()
    ready, failures = corpus.extracted(
        extractor, chosen.consumes, pad_short=pad_short, copies=varied, n_jobs=jobs, progress=_live()
    )
    file = None
    if results:
        about = f"{corpus.name}, {len(ready.files)} clips, {tuning.recipe(extractor)} {chosen.consumes}"
        about += f", {augment} × {copies}" if augment else ""
        digest = tuning.digest(ready.clips, ready.labels, ready.speakers)
        file = tuning.TrialFile(results, f"{about}, {digest}", f"cv {cv}, seed {seed}")
    # Of a backend that asks for features of its own, settings may change what it asks for.
    asks = not features and type(chosen).default_features is not Backend.default_features
    searches_features = asks or any(name.startswith("features__") for name in values)
    found = tuning.tune(
        classifier,
        ready.files if searches_features and corpus.extractor is None else ready.clips,
        ready.labels, ready.speakers, space=values or None, n_trials=trials, cv=cv, allow_leakage=allow_leakage,
        seed=seed, n_jobs=jobs, progress=_live(), on_trial=file.append if file else None,
        done=file.read() if file else (),
    )  # fmt: skip
    best = found.ranked[0]
    click.echo(f"{corpus.name}{' (SYNTHETIC speech)' if corpus.synthetic else ''}, {found.report()}\n")
    set_of_best = f"--features {shlex.quote(best.features)} " if searches_features else ""
    click.echo(f"Best: {set_of_best}--backend {shlex.quote(best.backend)}")
    if output:
        classifier = found.classifier
        if searches_features:
            ready, failures = corpus.extracted(
                classifier.parts()[0], chosen.consumes, pad_short=pad_short, copies=varied, n_jobs=jobs,
                progress=_live(),
            )  # fmt: skip
        if "progress" in chosen.get_params():
            classifier.set_params(backend__progress=_live())
        classifier.fit(ready.clips, ready.labels, groups=ready.speakers)
        click.echo(_trained(ready, best.features if searches_features else features or extractor.name, best.backend))
        _save(classifier, output, _proofs(ready, corpus), None)
    _end(failures, len(ready.files))
    if found.interrupted:
        click.get_current_context().exit(1)


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
    varied = data.get("augment")
    copies = f", {varied['copies']} copies of each by {varied['plan']}" if varied else ""
    rows = {
        "file": f"{model} ({model.stat().st_size / 1000:.0f} kB), written by featkit {recipe['featkit_version']}",
        "input": wave if recipe["input"] == "wave" else f"{'+'.join(names)} {recipe['input']} (computed by featkit)",
        "output": f"label, probabilities: {', '.join(recipe['labels'])}",
        "features": f"{'+'.join(names)} {recipe['view']}, specification {recipe['feature_hash']}",
        "backend": recipe["backend"]["name"],
        "trained on": f"{data['clips']} clips{speakers} ({counts}){copies}",
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


def _check_manifest(out: Path) -> None:
    """Refuse to write over a manifest that is not one of copies."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; the last word names the folder for the copies.")
    manifest = out / "manifest.csv"
    if manifest.exists():
        with manifest.open(encoding="utf-8", errors="replace") as lines:
            if lines.readline().strip() != _csv(COPIES_COLUMNS):
                raise DataError(f"{manifest}: is a manifest of something else; name another folder for the copies.")


def _to_augment(
    audio: Sequence[Path], data: str | None, out: Path
) -> tuple[list[Path], list[tuple[str, str]], list[Path]]:
    """Files, their labels and speakers (empty where unknown), and the folders from which they are counted."""
    if data:
        from featkit.corpus import read_corpus

        corpus = read_corpus(data, progress=_live())
        if corpus.extractor is not None:
            raise DataError(f"{data}: holds features; name the corpus with the recordings.")
        files = [Path(file) for file in corpus.files]
        speakers = [""] * len(files) if corpus.speakers is None else corpus.speakers.tolist()
        return files, list(zip(corpus.labels.tolist(), speakers, strict=True)), [file.parent for file in files]
    inside = any(path.is_dir() and path.resolve() in out.resolve().parents for path in audio)
    unique: dict[Path, Path] = {}
    for path in _audio_files(audio):
        place = path.resolve()
        # Copies of an earlier run that lie inside a folder of recordings are no recordings.
        if not (inside and out.resolve() in place.parents):
            unique.setdefault(place, path)
    if not unique:
        raise DataError(f"{audio[0]}: holds no audio file besides the copies in {out}.")
    return list(unique.values()), [("", "")] * len(unique), [path if path.is_dir() else path.parent for path in audio]


def _targets(files: Sequence[Path], roots: Sequence[Path], out: Path) -> list[Path]:
    """Where copies go: below OUT as the file lies below the roots; where a name comes again, with a number."""
    base = os.path.commonpath([os.path.abspath(root) for root in roots])
    targets: list[Path] = []
    taken: set[str] = set()
    for file in files:
        target = first = out / os.path.relpath(file.with_suffix(""), base)
        number = 1
        while str(target).casefold() in taken:
            number += 1
            target = first.with_name(f"{first.name}-{number}")
        taken.add(str(target).casefold())
        targets.append(target)
    if {target.parent.resolve() for target in targets} & {file.parent.resolve() for file in files}:
        raise DataError(f"{out}: copies would lie among the recordings; name another folder.")
    return targets


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


def _checkpoint(backend: Backend, output: Path, resume: bool, history: Sequence[Path]) -> Path | None:
    """The checkpoint of a network; None for what does not train in epochs."""
    from sklearn.utils.validation import has_fit_parameter

    if not has_fit_parameter(backend, "checkpoint"):
        if resume or history:
            option = "--resume" if resume else "--history"
            raise click.UsageError(f"{option} is for networks; {backend.name} does not train in epochs.")
        return None
    path = output.with_name(f"{output.name}.checkpoint")
    if resume and not path.exists():
        raise DataError(f"{path}: there is no checkpoint to go on from; leave out --resume.")
    if path.exists() and not resume:
        raise DataError(
            f"{path}: training for this output did not end. Add --resume to go on with it, or delete the file to begin "
            "anew."
        )
    return path


@contextmanager
def _told_warnings() -> Iterator[None]:
    """Warnings as one line each on stderr, without the place in the code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        click.echo(f"Warning: {' '.join(str(warning.message).split())}", err=True)


def _write_history(classifier: SERClassifier, path: Path) -> None:
    from featkit.history import plot_history, write_history

    (write_history if path.suffix == ".csv" else plot_history)(classifier.history_, path)
    click.echo(f"{path}: loss and UA of {len(classifier.history_)} epochs")


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
