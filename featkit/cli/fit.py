"""``featkit fit``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featkit.cli.common import (
    SET_HELP,
    augment_option,
    corpus_of,
    data_option,
    end,
    hush_joblib,
    jobs_option,
    leak_option,
    live,
    needs_plan,
    option,
    pad_option,
    proofs,
    save,
    spare,
    trained,
)
from featkit.cli.recipes import CV_HELP, protocols
from featkit.errors import DataError
from featkit.tables import counted, csv_table

if TYPE_CHECKING:
    from featkit.classifier import Recogniser, SERClassifier


@click.command()
@data_option("May be given again, to learn from several. ")
@option("--features", "--set", metavar="SET", help="Feature set; + joins several. " + SET_HELP)
@option(
    "--backend",
    metavar="BACKEND",
    help="Backend; settings follow a colon, as in svm:kernel=linear,C=0.1.  [default: svm]",
)
@option(
    "--preset",
    metavar="NAME",
    is_eager=True,
    help="A recipe that has a name, in place of set, backend and plan: see featkit list.",
)
@option("-o", "--output", required=True, type=click.Path(path_type=Path), help="model.onnx, or estimator.joblib.")
@augment_option
@option(
    "--copies",
    type=click.IntRange(min=1),
    metavar="N",
    callback=needs_plan,
    help="Copies of each training clip.  [default: 4]",
)
@option(
    "--normalise",
    type=click.Choice(["speaker"]),
    help="Features in deviations from each speaker's mean; the model then asks who speaks.",
)
@option("--tune", default=0, metavar="N", type=click.IntRange(min=0), help="Search the settings first, with N trials.")
@option("--evaluate", "scored", is_flag=True, help="Leave speakers out first, and write WA and UA into the model.")
@option("--resume", is_flag=True, help="Go on with a network whose training did not end.")
@option(
    "--history", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Write loss and UA of every epoch: *.csv a table, *.png or *.svg a plot; may be given again.",
)  # fmt: skip
@option("--cv", default="loso", metavar="PROTOCOL", callback=protocols, help=f"Of --evaluate: {CV_HELP}")
@leak_option
@jobs_option
@pad_option
def fit(
    data: tuple[str, ...], features: str | None, backend: str | None, preset: str | None, output: Path,
    augment: str | None, copies: int | None, normalise: str | None, tune: int, scored: bool, resume: bool,
    history: tuple[Path, ...], cv: Any, allow_leakage: bool, jobs: int, pad_short: bool,
) -> None:  # fmt: skip
    """Train on a corpus and write one checked model file.

    A network writes OUTPUT.checkpoint after every epoch, until the model is there. Ctrl-C keeps what is learned so
    far (the best epoch, where speakers are held out); --resume goes on.

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
    spare([output, *history], data)
    from featkit import plots
    from featkit.benchmark.recipe import Recipe
    from featkit.evaluation import evaluate
    from featkit.export import require_place
    from featkit.files import require_writable
    from featkit.protocols import require_speakers

    require_place(output)
    for path in history:
        require_writable(path)
        if path.suffix != ".csv":
            plots.require()
    recipe = Recipe(features, backend, preset, augment, copies, normalise=normalise, tune=tune, pad_short=pad_short)
    corpus = corpus_of(data)
    if scored:
        require_speakers(corpus.speakers, allow_leakage)
    classifier = recipe.on(corpus).classifier()
    network = _network(classifier, resume, history)
    checkpoint = click.get_current_context().with_resource(_checkpoint(output, resume)) if network else None
    ready, failures = corpus.extracted(classifier, n_jobs=jobs, progress=live())
    scores = None
    if scored:
        result = evaluate(
            classifier, ready.clips, ready.labels, ready.speakers, sentences=ready.texts, cv=cv,
            allow_leakage=allow_leakage, n_jobs=jobs, progress=live(),
        )  # fmt: skip
        scores = {"corpus": corpus.name, "synthetic": corpus.synthetic} | result.summary()
        made = "SYNTHETIC " if corpus.synthetic else ""
        click.echo(f"{made}{corpus.name}, {result.protocol}: WA {100 * result.wa:.1f} %, UA {100 * result.ua:.1f} %")
    with _told_warnings():
        if network:
            if "progress" in network.parts()[1].get_params():
                network.set_params(backend__progress=live())
            network.fit(ready.clips, ready.labels, groups=ready.speakers, checkpoint=checkpoint)
        else:
            classifier.fit(ready.clips, ready.labels, groups=ready.speakers)
    click.echo(trained(ready, str(recipe.on(corpus))))
    save(classifier, output, proofs(ready, corpus), scores, corpus.sources)
    stopped = network is not None and getattr(network.backend_, "interrupted_", False)
    if checkpoint and not stopped:
        checkpoint.unlink(missing_ok=True)
    if network:
        for path in history:
            _write_history(network, path)
    end(failures, len(ready.files), stopped)


def _network(classifier: Recogniser, resume: bool, history: Sequence[Path]) -> SERClassifier | None:
    """The classifier itself where it is one network; None for what does not train in epochs, or trains several."""
    from sklearn.utils.validation import has_fit_parameter

    from featkit.classifier import SERClassifier

    if isinstance(classifier, SERClassifier) and has_fit_parameter(classifier.parts()[1], "checkpoint"):
        return classifier
    if resume or history:
        flag = "--resume" if resume else "--history"
        if isinstance(classifier, SERClassifier):
            raise click.UsageError(f"{flag} is for networks; {classifier.parts()[1].name} does not train in epochs.")
        raise click.UsageError(f"{flag} is for one network; this recipe trains several times.")
    return None


@contextmanager
def _checkpoint(output: Path, resume: bool) -> Iterator[Path]:
    """Where the network writes after every epoch; nobody else trains for this output meanwhile."""
    from featkit.lock import locked

    path = output.with_name(f"{output.name}.checkpoint")
    with locked(output.with_name(f".{output.name}.lock"), output):
        if resume and not path.exists():
            raise DataError(f"{path}: there is no checkpoint to go on from; leave out --resume.")
        if path.exists() and not resume:
            raise DataError(
                f"{path}: training for this output did not end. Add --resume to go on with it, or delete the file to "
                "begin anew."
            )
        yield path


@contextmanager
def _told_warnings() -> Iterator[None]:
    """Warnings as one line each on stderr, without the place in the code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hush_joblib()
        try:
            yield
        finally:  # what was doubtful may be why it failed
            for warning in caught:
                click.echo(f"Warning: {' '.join(str(warning.message).split())}", err=True)


def _write_history(classifier: SERClassifier, path: Path) -> None:
    from featkit import plots
    from featkit.files import write_all

    history = getattr(classifier, "history_", None)
    if history is None:
        raise DataError(f"{path}: cannot be written, for {classifier.backend_.name} keeps no history; the model is.")
    if path.suffix == ".csv":
        content = csv_table([{key: f"{value:.6g}" for key, value in row.items()} for row in history]).encode()
    else:
        content = plots.picture(plots.curves([history]), path.suffix[1:])
    write_all({path: content})
    told = "loss and UA" if "validation_ua" in history[0] else "loss, for nobody was held out to score,"
    click.echo(f"{path}: {told} of {counted(len(history), 'epoch')}")
