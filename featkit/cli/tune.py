"""``featkit tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featkit.cli.common import (
    SET_HELP,
    alone_on,
    augment_option,
    copies_option,
    corpus_of,
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
from featkit.cli.recipes import protocols
from featkit.cli.terminal import show


@click.command(short_help="Search the settings of a backend in folds of speakers.")
@data_option("May be given again, to search on several. ")
@option("--features", "--set", metavar="SET", help="Feature set; + joins several. " + SET_HELP)
@option("--backend", default="svm", metavar="BACKEND", help="Backend; the settings given with it are tried first.")
@option(
    "--space", multiple=True, metavar="NAME=VALUES",
    help="Values to try, as in C=0.1,1,10; may be given again. features__NAME is a setting of the features.  "
    "[default: the backend's own]",
)  # fmt: skip
@augment_option
@copies_option
@option("--trials", default=20, type=click.IntRange(min=1), metavar="N", help="Trials; a smaller grid is tried whole.")
@option("--seed", default=0, metavar="N", help="Seed of the trials and of the folds.")
@option("-o", "--output", type=click.Path(path_type=Path), help="Fit the best on all clips: model.onnx, or .joblib.")
@option(
    "--results", type=click.Path(path_type=Path), metavar="FILE",
    help="Keep every trial, *.jsonl or *.csv, and go on from there.",
)  # fmt: skip
@option(
    "--cv", default="5", metavar="PROTOCOL", callback=protocols,
    help="loso leaves one speaker out, N makes folds of whole speakers, test:03,08 judges these speakers; random lets "
    "speakers leak.",
)  # fmt: skip
@leak_option
@jobs_option
@pad_option
def tune(
    data: tuple[str, ...], features: str | None, backend: str, space: tuple[str, ...], augment: str | None, copies: int,
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
    if str(cv).startswith(("both", "sentences")):
        raise click.UsageError(
            f"--cv {cv} is for featkit evaluate; tune leaves speakers out: loso, or a number of folds."
        )
    import shlex

    from featkit import tuning
    from featkit.backend import Backend, find_backend
    from featkit.classifier import SERClassifier
    from featkit.protocols import require_speakers

    values = tuning.read_space(space)
    chosen = find_backend(backend)
    if results:
        alone_on(results)
    corpus = corpus_of(data)
    require_speakers(corpus.speakers, allow_leakage)
    classifier = SERClassifier(
        features or corpus.extractor, chosen, augment=augment, copies=copies, pad_short=pad_short
    )
    extractor, _, _ = classifier.parts()
    ready, failures = corpus.extracted(classifier, n_jobs=jobs, progress=live())
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
        seed=seed, n_jobs=jobs, progress=live(), on_trial=file.append if file else None,
        done=file.read() if file else (),
    )  # fmt: skip
    best = found.ranked[0]
    show(f"{corpus.name}{' (SYNTHETIC speech)' if corpus.synthetic else ''}, {found.report()}\n")
    set_of_best = f"--features {shlex.quote(best.features)} " if searches_features else ""
    click.echo(f"Best: {set_of_best}--backend {shlex.quote(best.backend)}")
    if output:
        classifier = found.classifier
        if searches_features:
            ready, failures = corpus.extracted(classifier, n_jobs=jobs, progress=live())
        if "progress" in chosen.get_params():
            classifier.set_params(backend__progress=live())
        classifier.fit(ready.clips, ready.labels, groups=ready.speakers)
        told = best.features if searches_features else features or extractor.name
        click.echo(trained(ready, f"{told} + {best.backend}"))
        save(classifier, output, proofs(ready, corpus), None, corpus.sources)
    end(failures, len(ready.files), found.interrupted)
