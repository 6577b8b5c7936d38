"""Honest scores: speakers of the test fold are never heard in training, and everything is learned inside the fold."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from sklearn.base import clone
from tqdm import tqdm

from featkit import importance as shares
from featkit import metrics
from featkit.audio import name_of
from featkit.classifier import Recogniser
from featkit.columns import column, labelled, same_length
from featkit.datasets.twins import twins
from featkit.errors import DataError
from featkit.features.base import Bundle, Features
from featkit.protocols import CV, PERMUTED, Pair, Places, split
from featkit.scores import Evaluation
from featkit.workers import results


def evaluate(
    classifier: Recogniser,
    X: Any,
    y: Any,
    groups: Any = None,
    *,
    sentences: Any = None,
    cv: CV = "loso",
    allow_leakage: bool = False,
    permute: bool = False,
    importance: bool = False,
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
    sentences
        (n,) which sentence every clip says, for the protocols that leave sentences out.
    cv
        "loso" leaves one speaker out at a time; a number makes so many folds of whole speakers; a list of speakers
        (or "test:03,08") is a fixed test set, and the others are learned from; several such lists
        (or "test:03,08;09,10") are one fold each, as the sessions of IEMOCAP. "both" leaves speakers and sentences
        out at once: folds of speakers crossed with folds of sentences, so that every clip is judged once, by a model
        that has heard neither its speaker nor its sentence. "sentences" leaves one sentence out at a time and
        "random" clips; their speakers leak. "random:5", "sentences:5" and "both:5" say how many folds.
    allow_leakage
        Permit protocols that judge speakers they have heard. Such scores are too high, typically by 5 to 20 points,
        and the protocol says so. Without speakers, "loso" and numbers make random folds.
    permute
        Permute the labels among the clips of each speaker first: what is then above chance was not learned from
        speech but from a leak. The protocol says so.
    importance
        Also measure what shuffling each family of features among the judged clips of a fold costs (permutation
        importance). Source: Breiman (2001), "Random forests", Machine Learning 45, sec. 10.
    seed
        Seed of the folds, where they are drawn, and of permutations.
    n_jobs
        joblib workers: folds are trained side by side; -1 for all cores. The scores do not depend on it.
    progress
        Show a bar over the folds.

    Raises
    ------
    LeakageError
        The protocol judges speakers that it has heard, or does not know them, and leakage is not allowed.
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
    clips, y, speakers = _checked(classifier, X, y, groups)
    said = None if sentences is None else column(sentences, "sentence")
    same_length(clips=clips, sentences=said)
    if permute:
        y = permuted(y, speakers, seed)
    folds, protocol = split(y, speakers, cv, allow_leakage, seed, said)
    protocol += f", {PERMUTED}" if permute else ""
    (clips,) = _extracted(classifier, [clips], n_jobs, progress)
    return _judged(classifier, clips, y, speakers, folds, protocol, importance, seed, n_jobs, progress)


def evaluate_across(
    classifier: Recogniser,
    X: Any,
    y: Any,
    X_test: Any,
    y_test: Any,
    groups: Any = None,
    groups_test: Any = None,
    *,
    names: tuple[str, str] = ("the first corpus", "the second"),
    permute: bool = False,
    importance: bool = False,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Evaluation:
    """Learn from one corpus, judge another, on the emotions that both have.

    Clips of other emotions are left out; the protocol counts them. Speakers of the same name in two corpora are
    different people. The interval draws the speakers of the second.

    Parameters
    ----------
    classifier, permute, importance, seed, n_jobs, progress
        As for `evaluate`.
    X, y, groups
        What is learned from.
    X_test, y_test, groups_test
        What is judged.
    names
        What the corpora are called in the protocol.

    Raises
    ------
    DataError
        The corpora share fewer than two emotions, or a recording stands in both, under whatever name.
    """
    parts = [_checked(classifier, X, y, groups), _checked(classifier, X_test, y_test, groups_test)]
    shared = np.intersect1d(parts[0][1], parts[1][1])
    if len(shared) < 2:
        heard, asked = (", ".join(map(str, np.unique(labels))) for _, labels, _ in parts)
        raise DataError(f"{names[0]} ({heard}) and {names[1]} ({asked}) share fewer than two emotions.")
    refuse_shared(parts[0][0], parts[1][0], names)
    told, kept = [], []
    for name, (clips, labels, speakers) in zip(names, parts, strict=True):
        keep = np.flatnonzero(np.isin(labels, shared))
        told.append(_counted(name, len(keep), len(clips) - len(keep), labels, shared))
        own = None if speakers is None else speakers[keep]
        labels = permuted(labels[keep], own, seed) if permute else labels[keep]
        kept.append(([clips[i] for i in keep], labels, own, keep))
    protocol = f"learned from {told[0]}, tested on {told[1]}" + (f", {PERMUTED}" if permute else "")
    first, second = kept
    both = _extracted(classifier, [first[0], second[0]], n_jobs, progress)
    speakers = None
    if first[2] is not None and second[2] is not None:
        speakers = np.concatenate([first[2].astype(str), second[2].astype(str)])
    at = len(first[1])
    fold = (np.arange(at), np.arange(at, at + len(second[1])))
    result = _judged(
        classifier, both[0] + both[1], np.concatenate([first[1], second[1]]), speakers, [fold], protocol, importance,
        seed, n_jobs, progress,
    )  # fmt: skip
    return replace(result, places=second[3])  # they count in the second corpus alone


def permuted(y: npt.NDArray[Any], speakers: npt.NDArray[Any] | None, seed: int) -> npt.NDArray[Any]:
    """Labels in random order, among the clips of each speaker where they are known. (n,) -> (n,)."""
    rng, mixed = np.random.default_rng(seed), y.copy()
    groups = np.zeros(len(y)) if speakers is None else speakers
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        mixed[own] = y[rng.permutation(own)]
    return mixed


def _checked(
    classifier: Recogniser, X: Any, y: Any, groups: Any
) -> tuple[list[Any], npt.NDArray[Any], npt.NDArray[Any] | None]:
    if not isinstance(classifier, Recogniser):
        raise DataError(f"evaluate takes an estimator of featkit, not a {type(classifier).__name__}.")
    return labelled(X, y, groups)


def refuse_shared(first: Sequence[Any], second: Sequence[Any], names: tuple[str, str]) -> None:
    """Raise `DataError` where a clip of the corpus ``names[0]`` stands in the other too, under whatever name."""
    files = {os.path.realpath(clip) for clip in first if isinstance(clip, str | os.PathLike)}
    for clip in second:
        if isinstance(clip, str | os.PathLike) and os.path.realpath(clip) in files:
            raise DataError(f"'{os.fspath(clip)}' stands in both corpora; what is judged must not be learned from.")
    if found := twins([list(map(_content, first)), list(map(_content, second))]):
        heard, judged = (name_of(clips[j], j) for clips, (_, j) in zip((first, second), found, strict=True))
        raise DataError(
            f"'{judged}' of {names[1]} is the same recording as '{heard}' of {names[0]}; what is judged must not be "
            "learned from. featkit audit with the same --data and --test finds all such copies."
        )


def _content(clip: Any) -> Any:
    """What tells a clip from others: its file, its samples, or the features that were made of it."""
    if isinstance(clip, Bundle):
        clip = clip.parts[0]
    return clip.values if isinstance(clip, Features) else clip


def _counted(name: str, n: int, dropped: int, labels: npt.NDArray[Any], shared: npt.NDArray[Any]) -> str:
    others = ", ".join(str(label) for label in np.setdiff1d(labels, shared))
    return f"{name} ({n} clips" + (f"; {dropped} of {others} left out)" if dropped else ")")


def _extracted(classifier: Recogniser, parts: list[list[Any]], n_jobs: int | None, progress: bool) -> list[list[Any]]:
    told = {"progress": True} if progress else {}
    worker = clone(classifier).set_params(**told, **({} if n_jobs is None else {"n_jobs": n_jobs}))
    return [worker.extract(clips) for clips in parts]


def _judged(
    classifier: Recogniser,
    clips: list[Any],
    y: npt.NDArray[Any],
    speakers: npt.NDArray[Any] | None,
    folds: Sequence[Pair],
    protocol: str,
    importance: bool,
    seed: int,
    n_jobs: int | None,
    progress: bool,
) -> Evaluation:
    """Train and ask in every fold, and put the answers together in the order of the clips."""
    labels = np.unique(y)
    probabilities = np.zeros((len(y), len(labels)), dtype=np.float32)
    predictions = np.empty_like(y)
    changed: dict[str, npt.NDArray[Any]] = {}  # family: (repeats, n) predictions with it shuffled
    histories: list[Any] = []
    chosen: list[str] = []
    cpu_seconds = 0.0
    more = {"seed": seed} if importance else {}
    runs = results(
        Parallel(n_jobs=n_jobs, return_as="generator"),
        (delayed(_run_fold)(classifier, clips, y, speakers, train, test, **more) for train, test in folds),
    )
    bar = tqdm(runs, total=len(folds), desc=protocol, unit="fold", disable=not progress, leave=False)
    for (_, test), fold in zip(folds, bar, strict=True):
        probabilities[np.ix_(test, np.searchsorted(labels, fold.classes))] = fold.probabilities
        predictions[test] = fold.classes[fold.probabilities.argmax(axis=1)]
        for family, told in fold.shuffled.items():
            changed.setdefault(family, np.repeat(y[None], shares.REPEATS, axis=0))[:, test] = told
        histories += fold.histories
        chosen += fold.chosen
        cpu_seconds += fold.cpu_seconds
    judged = np.sort(np.concatenate([test for _, test in folds]))
    found = Evaluation(
        y[judged], predictions[judged], probabilities[judged], labels, None if speakers is None else speakers[judged],
        protocol, cpu_seconds, judged, histories, chosen=chosen,
    )  # fmt: skip
    if not importance:
        return found
    return replace(found, importance=_importance(found, {k: v[:, judged] for k, v in changed.items()}))


class _Fold(NamedTuple):
    """What comes of training on one part and answering on the other."""

    classes: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float32]
    cpu_seconds: float
    histories: list[Any]
    """One for each network."""
    shuffled: dict[str, npt.NDArray[Any]]
    """Family of features: (repeats, clips) answers with it shuffled."""
    chosen: list[str]


def _run_fold(
    classifier: Recogniser,
    clips: list[Any],
    y: npt.NDArray[Any],
    speakers: npt.NDArray[Any] | None,
    train: Places,
    test: Places,
    seed: int | None = None,
) -> _Fold:
    """Train a clone on one part and let it answer on the other; with a seed, also with shuffled features."""
    start = time.process_time()
    fold = clone(classifier).set_params(n_jobs=None, progress=False)
    heard = None if speakers is None else speakers[train]
    fold.fit([clips[i] for i in train], y[train], groups=heard)
    if any(getattr(member.backend_, "interrupted_", False) for member in fold.members()):  # half a fold is no score
        raise KeyboardInterrupt
    told = {} if speakers is None or not fold.transductive else {"groups": speakers[test]}
    judged = [clips[i] for i in test]
    proba = fold.predict_proba(judged, **told)
    spent = time.process_time() - start
    histories = [history for member in fold.members() if (history := getattr(member, "history_", None))]
    answers: dict[str, npt.NDArray[Any]] = {}
    if seed is not None:
        rng = np.random.default_rng([seed, int(test[0])])  # another order in every fold
        for family, places in shares.columns(fold, judged[0]).items():
            mixed = (shares.shuffled(judged, places, rng) for _ in range(shares.REPEATS))
            answers[family] = np.stack([fold.predict(clips_, **told) for clips_ in mixed])
    return _Fold(fold.classes_, proba, spent, histories, answers, [fold.chosen] if fold.chosen else [])


def _importance(found: Evaluation, answers: Mapping[str, npt.NDArray[Any]]) -> dict[str, metrics.Difference]:
    """What UA loses with each family shuffled, the most important first. Clips are drawn as one where nobody knows
    who speaks."""
    one_speaker = found.speakers is None or len(np.unique(found.speakers)) < 2
    groups = np.arange(len(found.y_true)) if one_speaker else found.speakers

    def counts(predicted: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        assert groups is not None
        return metrics.confusion_by(found.y_true, predicted, found.labels, groups)

    whole = counts(found.y_pred)
    cost = {
        family: metrics.ua_difference(np.mean([counts(one) for one in told], axis=0), whole)
        for family, told in answers.items()
    }
    return dict(sorted(cost.items(), key=lambda item: -item[1].ua))
