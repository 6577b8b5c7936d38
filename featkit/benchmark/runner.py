"""Recipes × protocols × corpora → rows. Features are extracted once for all that read them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from featkit.backend import Backend
from featkit.benchmark.deployed import Deployed, deploy
from featkit.benchmark.recipe import Protocol, Recipe
from featkit.benchmark.rows import Row, names_of, row_key
from featkit.benchmark.state import code_hash, data_hash
from featkit.classifier import Recogniser
from featkit.corpus import Corpus
from featkit.errors import FeatkitError
from featkit.evaluation import evaluate, evaluate_across, refuse_shared
from featkit.extraction import Failure
from featkit.features.base import FeatureExtractor
from featkit.protocols import CV, LEAKS, require_speakers
from featkit.scores import Evaluation


@dataclass(frozen=True)
class Cell:
    """A row that is to be made: the recipe, the corpus and the protocol."""

    recipe: Recipe
    protocol: Protocol
    corpus: Corpus
    test: Corpus | None
    """What is judged in place of parts of ``corpus``."""
    data: str

    @property
    def key(self) -> str:
        """That of the row it becomes."""
        return row_key(self.recipe, self.data, self.protocol, code_hash())

    def __str__(self) -> str:
        over = f" → {self.test.name}" if self.test else f", cv {self.protocol.cv}"
        return f"{self.corpus.name}{over}: {self.recipe}"


@dataclass(frozen=True)
class Failed:
    """A row that could not be made, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True)
class Options:
    """What is measured beside the scores, and how the work is done."""

    importance: bool = False
    deploy: bool = False
    n_jobs: int | None = None
    progress: bool = False


def cells(
    corpora: Iterable[Corpus], recipes: Collection[Recipe], protocols: Collection[Protocol], test: Corpus | None = None
) -> list[Cell]:
    """All rows of a table in the order of the work. Across corpora there is one protocol: learn here, judge there."""
    asked = list(dict.fromkeys(replace(one, cv="across") for one in protocols)) if test else list(protocols)
    over = "" if test is None else f"+{data_hash(test)}"
    found = []
    for corpus in corpora:
        if test is not None:
            refuse_shared(corpus.files, test.files, (corpus.name, test.name))
        data = data_hash(corpus) + over
        named = [_named(one, corpus) for one in recipes]
        found += [Cell(one, protocol, corpus, test, data) for one in named for protocol in asked]
    return found


def made(
    asked: Sequence[Cell], options: Options, *, strict: bool = False, failures: list[Failure] | None = None
) -> Iterator[Row | Failed]:
    """The rows, as they are made. A recipe that fails costs its rows.

    Parameters
    ----------
    asked
        Cells of one corpus after the other.
    options
        What else is measured.
    strict
        Raise the error of a recipe that fails.
    failures
        Clips that could not be used are appended here.
    """
    ready: _Ready | None = None
    models: dict[Recipe, tuple[Deployed | None, str | None]] = {}
    for cell in _by_features(asked):
        try:
            classifier = cell.recipe.classifier()
            wanted = (id(cell.corpus), id(cell.test), _signature(classifier))
            if ready is None or ready.wanted != wanted:
                ready, models = None, {}  # one set at a time in memory
                ready = _extracted(cell, classifier, wanted, options)
                if failures is not None:
                    failures += ready.failures
            row = _row(cell, classifier, ready, options)
            if options.deploy:
                if cell.recipe not in models:
                    models[cell.recipe] = _deployed(cell, ready)
                model, why = models[cell.recipe]
                row = replace(row, model=model, no_model=why)
        except Exception as error:
            if strict:
                raise
            yield Failed(cell, _told(error))
        else:
            yield row


def benchmark(
    corpus: Corpus,
    features: Iterable[str | FeatureExtractor | None],
    backends: Iterable[str | Backend],
    *,
    augment: str | None = None,
    copies: int = 4,
    cv: CV = "loso",
    allow_leakage: bool = False,
    pad_short: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> tuple[list[Row], list[Failure]]:
    """Evaluate every set with every backend. Each view of a set is extracted once.

    Parameters
    ----------
    corpus
        Clips, labels, speakers.
    features, backends
        Names or objects; None among the features is what a backend asks for.
    augment, copies, pad_short
        As for `SERClassifier`.
    cv, allow_leakage, n_jobs, progress
        As for `evaluate`.

    Returns
    -------
    rows
        One per pair.
    failures
        Clips that could not be used with a set; they are left out of its rows.
    """
    named = list(backends)
    recipes = [
        Recipe.of(chosen, backend, augment=augment, copies=copies, pad_short=pad_short)
        for chosen in features
        for backend in named
    ]
    return measured(corpus, recipes, [Protocol(cv, allow_leakage)], Options(n_jobs=n_jobs, progress=progress))


def measured(
    corpus: Corpus, recipes: Collection[Recipe], protocols: Collection[Protocol], options: Options,
    test: Corpus | None = None,
) -> tuple[list[Row], list[Failure]]:  # fmt: skip
    """Rows of recipes on one corpus, and the clips that could not be used. The first error is raised."""
    if test is None:
        require_speakers(corpus.speakers, all(protocol.allow_leakage for protocol in protocols))
    bad: list[Failure] = []
    rows = made(cells([corpus], recipes, protocols, test), options, strict=True, failures=bad)
    return [row for row in rows if isinstance(row, Row)], list({(one.clip, one.reason): one for one in bad}.values())


def _named(recipe: Recipe, corpus: Corpus) -> Recipe:
    """The recipe with its set named; one that cannot be built is told of by `made`."""
    try:
        return recipe.on(corpus)
    except FeatkitError:
        return recipe


@dataclass(frozen=True)
class _Ready:
    """Features that several cells read."""

    wanted: Any
    corpus: Corpus
    test: Corpus | None
    failures: list[Failure]
    cpu_seconds: float


def _signature(classifier: Recogniser) -> Any:
    """What recognisers must share to read the same features."""
    return tuple(member.reading for member in classifier.members())


def _by_features(asked: Sequence[Cell]) -> list[Cell]:
    """Cells that read the same features one after the other, else in the given order; first those that cannot be built.

    So a misspelt name is told before the night, and not when its turn comes.
    """
    wrong: list[Cell] = []
    read: dict[Recipe, Any] = {}
    groups: dict[Any, list[Cell]] = {}
    for cell in asked:
        try:
            if cell.recipe not in read:
                read[cell.recipe] = _signature(cell.recipe.classifier())
        except Exception:  # it is told as any that fails
            wrong.append(cell)
        else:
            groups.setdefault((id(cell.corpus), read[cell.recipe]), []).append(cell)
    return [*wrong, *(cell for group in groups.values() for cell in group)]


def _extracted(cell: Cell, classifier: Recogniser, wanted: Any, options: Options) -> _Ready:
    start = time.process_time()
    how = {"n_jobs": options.n_jobs, "progress": options.progress}
    corpus, failures = cell.corpus.extracted(classifier, **how)  # type: ignore[arg-type]
    test = None
    if cell.test is not None:
        test, more = cell.test.extracted(classifier, **how)  # type: ignore[arg-type]
        failures = failures + more
    return _Ready(wanted, corpus, test, failures, time.process_time() - start)


def _row(cell: Cell, classifier: Recogniser, ready: _Ready, options: Options) -> Row:
    told = _evaluated(cell, classifier, ready, options)
    whole = cell.test or cell.corpus
    usable = ready.test or ready.corpus
    # Places count among all clips, so that rows of recipes that could use more or fewer are comparable.
    places = _places(whole.files, usable.files)[told.places]
    names = names_of(whole.files)
    over = f" → {cell.test.name}" if cell.test else ""
    # In the precision in which rows are kept, so that a table is the same before and after.
    kept = told.probabilities.astype(np.float16).astype(np.float32)
    synthetic = cell.corpus.synthetic or bool(cell.test and cell.test.synthetic)
    return Row(
        cell.recipe, cell.protocol, cell.corpus.name + over, cell.data, synthetic,
        replace(told, places=places, probabilities=kept), [names[i] for i in places], len(ready.failures),
        ready.cpu_seconds,
    )  # fmt: skip


def _places(files: Sequence[str], usable: Sequence[str]) -> npt.NDArray[np.intp]:
    """Where the ``usable`` stand among all ``files``; the order is the same."""
    rest = iter(enumerate(files))
    return np.array([next(i for i, file in rest if file == wanted) for wanted in usable], dtype=np.intp)


def _evaluated(cell: Cell, classifier: Recogniser, ready: _Ready, options: Options) -> Evaluation:
    corpus, test, protocol = ready.corpus, ready.test, cell.protocol
    how: dict[str, Any] = {
        "permute": protocol.permute, "importance": options.importance, "seed": cell.recipe.seed,
        "n_jobs": options.n_jobs, "progress": options.progress,
    }  # fmt: skip
    if test is not None:
        return evaluate_across(
            classifier, corpus.clips, corpus.labels, test.clips, test.labels, corpus.speakers, test.speakers,
            names=(corpus.name, test.name), **how,
        )  # fmt: skip
    told = evaluate(
        classifier, corpus.clips, corpus.labels, corpus.speakers, sentences=corpus.texts, cv=protocol.cv,
        allow_leakage=protocol.allow_leakage, **how,
    )  # fmt: skip
    # A recording in two of the joined corpora: its speaker is judged and learned from under two names.
    return told if told.leaks or corpus.shared is None else replace(told, protocol=f"{told.protocol}, {LEAKS}")


def _deployed(cell: Cell, ready: _Ready) -> tuple[Deployed | None, str | None]:
    """What the model costs, or why it cannot be exported, which is no fault of the score."""
    try:
        return deploy(cell.recipe.classifier(), ready.corpus, cell.corpus), None
    except Exception as error:
        return None, _told(error)


def _told(error: Exception) -> str:
    kind = "" if isinstance(error, FeatkitError) else f"{type(error).__name__}: "
    return f"{kind}{' '.join(str(error).split())}" or type(error).__name__
