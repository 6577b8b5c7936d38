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
    copies_option,
    cv_option,
    data_option,
    end,
    jobs_option,
    leak_option,
    live,
    option,
    pad_option,
    proofs,
    save,
    trained,
)
from featkit.errors import DataError

if TYPE_CHECKING:
    from featkit.backend import Backend
    from featkit.classifier import SERClassifier


@click.command()
@data_option
@option("--features", "--set", metavar="SET", help="Feature set; + joins several. " + SET_HELP)
@option(
    "--backend",
    default="svm",
    metavar="BACKEND",
    help="Backend; settings follow a colon, as in svm:kernel=linear,C=0.1.",
)
@option("-o", "--output", required=True, type=click.Path(path_type=Path), help="model.onnx, or estimator.joblib.")
@augment_option
@copies_option
@option("--evaluate", "scored", is_flag=True, help="Leave speakers out first, and write WA and UA into the model.")
@option("--resume", is_flag=True, help="Go on with a network whose training did not end.")
@option(
    "--history", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Write loss and UA of every epoch: *.csv a table, *.png or *.svg a plot; may be given again.",
)  # fmt: skip
@cv_option
@leak_option
@jobs_option
@pad_option
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

    corpus = read_corpus(data, progress=live())
    if scored:
        require_speakers(corpus.speakers, allow_leakage)
    chosen = find_backend(backend)
    if "progress" in chosen.get_params():
        chosen.set_params(progress=live())
    classifier = SERClassifier(
        features or corpus.extractor, chosen, augment=augment, copies=copies, pad_short=pad_short
    )
    checkpoint = _checkpoint(chosen, output, resume, history)
    ready, failures = corpus.extracted(classifier, n_jobs=jobs, progress=live())
    scores = None
    if scored:
        result = evaluate(
            classifier, ready.clips, ready.labels, ready.speakers, cv=cv, allow_leakage=allow_leakage,
            n_jobs=jobs, progress=live(),
        )  # fmt: skip
        scores = {"corpus": corpus.name, "synthetic": corpus.synthetic} | result.summary()
        made = "SYNTHETIC " if corpus.synthetic else ""
        click.echo(f"{made}{corpus.name}, {result.protocol}: WA {100 * result.wa:.1f} %, UA {100 * result.ua:.1f} %")
    with _told_warnings():
        classifier.fit(ready.clips, ready.labels, groups=ready.speakers, checkpoint=checkpoint)
    click.echo(trained(ready, features or classifier.parts()[0].name, backend))
    for path in history:
        _write_history(classifier, path)
    save(classifier, output, proofs(ready, corpus), scores, corpus.sources)
    if checkpoint and not classifier.backend_.interrupted_:
        checkpoint.unlink(missing_ok=True)
    end(failures, len(ready.files))


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
