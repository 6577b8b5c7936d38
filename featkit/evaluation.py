"""Honest scores: speakers of the test fold are never heard in training, and everything is learned inside the fold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import check_consistent_length
from tqdm import tqdm

from featkit import metrics
from featkit.backend import quietly
from featkit.classifier import Recogniser, column
from featkit.errors import DataError, LeakageError
from featkit.extraction import clip_list


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of every clip by a model that has not heard its speaker, and the scores that follow."""

    y_true: npt.NDArray[Any]
    y_pred: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[Any]
    speakers: npt.NDArray[Any] | None
    protocol: str
    """As it stands in tables: "leave one of 10 speakers out" or "5 random folds, SPEAKERS LEAK"."""
    cpu_seconds: float
    """Training and prediction of all folds, without extraction."""

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """(labels, labels) counts: rows are the truth, columns the prediction."""
        return metrics.confusion(self.y_true, self.y_pred, self.labels)

    @property
    def wa(self) -> float:
        """Accuracy."""
        return metrics.wa(self.confusion)

    @property
    def ua(self) -> float:
        """Mean recall over the emotions."""
        return metrics.ua(self.confusion)

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the emotions."""
        return metrics.macro_f1(self.confusion)

    @property
    def recalls(self) -> dict[str, float]:
        """Recall of each emotion."""
        return {str(k): float(v) for k, v in zip(self.labels, metrics.recalls(self.confusion), strict=True)}

    @cached_property
    def ua_interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of UA by bootstrap over speakers; None where speakers are not known."""
        if self.speakers is None:
            return None
        tables = [
            metrics.confusion(self.y_true[own], self.y_pred[own], self.labels)
            for own in (self.speakers == speaker for speaker in np.unique(self.speakers))
        ]
        return metrics.ua_interval(np.stack(tables))

    def summary(self) -> dict[str, Any]:
        """Scores and how they were measured, as plain data."""
        return {
            "protocol": self.protocol,
            "clips": len(self.y_true),
            "speakers": None if self.speakers is None else len(np.unique(self.speakers)),
            "WA": round(self.wa, 4),
            "UA": round(self.ua, 4),
            "UA_95": None if self.ua_interval is None else [round(end, 4) for end in self.ua_interval],
            "macro_F1": round(self.macro_f1, 4),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "recalls": {label: round(recall, 4) for label, recall in self.recalls.items()},
        }


def evaluate(
    classifier: Recogniser,
    X: Any,
    y: Any,
    groups: Any = None,
    *,
    cv: int | Literal["loso"] = "loso",
    allow_leakage: bool = False,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Evaluation:
    """Cross-validate by speaker. Features are extracted once; everything that is learned is learned in each fold.

    Parameters
    ----------
    classifier
        An estimator; clones of it are fitted.
    X, y
        Clips and labels, as for ``fit``.
    groups
        (n,) speakers.
    cv
        "loso" leaves one speaker out at a time; a number makes so many folds of whole speakers.
    allow_leakage
        Evaluate without speakers, by random folds. Such scores are too high, typically by 5 to 20 points, and the
        protocol says so.
    seed
        Seed of the folds, where they are drawn.
    n_jobs
        joblib workers: folds are trained side by side; -1 for all cores. The scores do not depend on it.
    progress
        Show a bar over the folds.

    Raises
    ------
    LeakageError
        There are no speakers and leakage is not allowed.
    DataError
        A label or speaker is missing, there are too few speakers, or an emotion is heard in one fold only.

    Examples
    --------
    >>> from itertools import product
    >>> from featkit import SERClassifier, evaluate
    >>> from featkit.datasets.synthetic import synthesise
    >>> emotions, speakers, sentences = zip(*product(["anger", "sadness"], [0, 1, 2], [0, 1]))
    >>> waves = [synthesise(*said, take=0) for said in zip(emotions, speakers, sentences)]
    >>> result = evaluate(SERClassifier(), waves, emotions, groups=speakers)
    >>> result.ua, result.protocol
    (1.0, 'leave one of 3 speakers out')
    """
    if not isinstance(classifier, Recogniser):
        raise DataError(f"evaluate takes an estimator of featkit, not a {type(classifier).__name__}.")
    clips, y = clip_list(X), column(y, "label")
    speakers = None if groups is None else column(groups, "speaker")
    check_consistent_length(clips, y, speakers)
    folds, protocol = split(y, speakers, cv, allow_leakage, seed)
    extracting = {"progress": True} if progress else {}
    clips = clone(classifier).set_params(**extracting, **({} if n_jobs is None else {"n_jobs": n_jobs})).extract(clips)
    labels = np.unique(y)
    probabilities = np.zeros((len(y), len(labels)), dtype=np.float32)
    predictions = np.empty_like(y)
    cpu_seconds = 0.0
    results = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_run_fold)(classifier, clips, y, speakers, train, test) for train, test in folds
    )
    bar = tqdm(results, total=len(folds), desc=protocol, unit="fold", disable=not progress, leave=False)
    for (_, test), (classes, proba, spent) in zip(folds, bar, strict=True):
        probabilities[np.ix_(test, np.searchsorted(labels, classes))] = proba
        predictions[test] = classes[proba.argmax(axis=1)]
        cpu_seconds += spent
    return Evaluation(y, predictions, probabilities, labels, speakers, protocol, cpu_seconds)


def _run_fold(
    classifier: Recogniser,
    clips: list[Any],
    y: npt.NDArray[Any],
    speakers: npt.NDArray[Any] | None,
    train: npt.NDArray[np.intp],
    test: npt.NDArray[np.intp],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32], float]:
    """Train a clone on one part and let it answer on the other. -> classes, probabilities, CPU seconds"""
    start = time.process_time()
    fold = clone(classifier).set_params(n_jobs=None, progress=False)
    heard = None if speakers is None else speakers[train]
    fold.fit([clips[i] for i in train], y[train], groups=heard)
    if any(getattr(member.backend_, "interrupted_", False) for member in fold.members()):  # half a fold is no score
        raise KeyboardInterrupt
    told = {} if speakers is None or not fold.transductive else {"groups": speakers[test]}
    proba = fold.predict_proba([clips[i] for i in test], **told)
    return fold.classes_, proba, time.process_time() - start


def require_speakers(speakers: Any, allow_leakage: bool) -> None:
    """Raise `LeakageError` where there are none and nobody said that this is meant."""
    if speakers is None and not allow_leakage:
        raise LeakageError(
            "Evaluation needs speakers: without them the same voice stands in training and in test, and the score is "
            "too high. Give groups=speakers (a manifest with the column speaker), or allow_leakage=True "
            "(--allow-leakage) to see it anyway."
        )


def split(
    y: npt.NDArray[Any], speakers: npt.NDArray[Any] | None, cv: int | Literal["loso"], allow_leakage: bool, seed: int
) -> tuple[list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]], str]:
    """Index pairs and the name of the protocol."""
    rows = np.zeros(len(y))
    if cv != "loso" and (not isinstance(cv, int) or cv < 2):
        raise DataError(f"cv must be 'loso' or a number of folds from 2 on; it is {cv!r}.")
    if speakers is None:
        require_speakers(speakers, allow_leakage)
        n = 5 if cv == "loso" else cv
        if np.unique(y, return_counts=True)[1].min() < n:
            raise DataError(f"{n} folds need at least {n} clips of every emotion; give a smaller cv or more clips.")
        random = StratifiedKFold(n, shuffle=True, random_state=seed)
        return list(random.split(rows, y)), f"{n} random folds, SPEAKERS LEAK"
    n_speakers = len(np.unique(speakers))
    wanted = 2 if cv == "loso" else cv
    if n_speakers < wanted:
        raise DataError(f"Evaluation by speaker needs at least {wanted} speakers for this cv; there are {n_speakers}.")
    if cv == "loso":
        folds, protocol = LeaveOneGroupOut().split(rows, y, speakers), f"leave one of {n_speakers} speakers out"
    else:
        most = int(np.unique(y, return_counts=True)[1].max())
        if most < cv:
            raise DataError(f"{cv} folds need an emotion with at least {cv} clips; the most frequent has {most}.")
        splitter = StratifiedGroupKFold(cv, shuffle=True, random_state=seed)
        folds, protocol = quietly(splitter.split(rows, y, speakers)), f"{cv} folds of {n_speakers} speakers"
    pairs = list(_checked(folds, y, speakers))
    return pairs, protocol


def _checked(folds: Any, y: npt.NDArray[Any], speakers: npt.NDArray[Any]) -> Iterator[Any]:
    for train, test in folds:
        if not len(test):
            raise DataError("A test fold is empty: some speakers have too many of the clips. Give a smaller cv.")
        unheard = set(y[test]) - set(y[train])
        if unheard:
            emotion = min(unheard)
            by = ", ".join(str(speaker) for speaker in np.unique(speakers[y == emotion]))
            raise DataError(
                f"All clips of the emotion '{emotion}' (speaker {by}) fall in one test fold, so it cannot be learned "
                "from the others. Add speakers, or leave the emotion out."
            )
        yield train, test
