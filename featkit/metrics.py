"""Scores of speech emotion recognition as pure functions of labels.

WA (weighted accuracy) is the share of clips that are right: accuracy. UA (unweighted accuracy) is the mean over the
emotions of the recall of each, so that every emotion counts alike however rare. UA averages over the emotions that
occur in the truth, as scikit-learn's ``balanced_accuracy_score``; libraries differ in this.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from featkit.errors import DataError

Labels = Sequence[Any] | npt.NDArray[Any]
Counts = npt.NDArray[np.int64]


def confusion(y_true: Labels, y_pred: Labels, labels: Labels) -> Counts:
    """Counts of clips. -> (labels, labels): rows are the truth, columns the prediction.

    Raises `DataError` for a label that is not in ``labels``.

    Examples
    --------
    >>> confusion(["a", "a", "b"], ["a", "b", "b"], labels=["a", "b"])
    array([[1, 1],
           [0, 1]])
    """
    if len(y_true) != len(y_pred) or not len(y_true):
        raise DataError(f"Scores need as many predictions as labels, at least one; there are {len(y_pred)} predictions "
                        f"and {len(y_true)} labels.")  # fmt: skip
    names = [str(label) for label in labels]
    place = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    for truth, prediction in zip(y_true, y_pred, strict=True):
        for label in (truth, prediction):
            if str(label) not in place:
                raise DataError(f"The label '{label}' is not one of {', '.join(names)}.")
        table[place[str(truth)], place[str(prediction)]] += 1
    return table


def confusion_by(y_true: Labels, y_pred: Labels, labels: Labels, groups: npt.NDArray[Any]) -> Counts:
    """Counts for each group, such as a speaker, in sorted order. -> (groups, labels, labels)."""
    truth, predicted = np.asarray(y_true), np.asarray(y_pred)
    owns = (groups == group for group in np.unique(groups))
    return np.stack([confusion(truth[own], predicted[own], labels) for own in owns])


def wa(counts: npt.NDArray[Any]) -> float:
    """Accuracy. (labels, labels) confusion counts -> 0 to 1."""
    return float(np.trace(counts) / counts.sum())


def recalls(counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Recall of each emotion. (…, labels, labels) -> (…, labels); NaN for one that does not occur in the truth."""
    truth = counts.sum(axis=-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    found: npt.NDArray[np.float64] = np.where(truth > 0, hits / np.maximum(truth, 1), np.nan)
    return found


def ua(counts: npt.NDArray[Any]) -> float:
    """Mean recall over the emotions that occur in the truth. -> 0 to 1.

    Examples
    --------
    >>> ua(np.array([[8, 2], [0, 10]]))
    0.9
    """
    return float(np.nanmean(recalls(counts)))


def macro_f1(counts: npt.NDArray[Any]) -> float:
    """Mean F1 over the emotions that occur in the truth or the prediction, as scikit-learn's. -> 0 to 1."""
    hits, truth, predicted = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    present = truth + predicted > 0
    return float(np.mean(2 * hits[present] / (truth + predicted)[present]))


def ua_interval(
    counts_by_speaker: npt.NDArray[Any], *, level: float = 0.95, n_resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Confidence interval of UA over speakers: Student's t with the standard error of a bootstrap.

    Clips of one speaker are not independent: resampling clips makes intervals that are about half as wide as they
    should be. So whole speakers are drawn, with replacement. The percentiles of such draws are too narrow where
    speakers are few (of six, 86 of 100 "95 %" intervals hold the truth), which the t quantile makes up for.

    Parameters
    ----------
    counts_by_speaker
        (speakers, labels, labels) confusion counts.
    level
        Coverage.
    n_resamples, seed
        Draws, and their seed.

    Returns
    -------
    Lower and upper end, 0 to 1. Of two speakers they are mostly 0 and 1: two voices tell nothing of others.

    Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, sec. 3.8 (resampling of groups);
    Hesterberg (2015), "What teachers should know about the bootstrap", The American Statistician 69(4) (t with
    a bootstrap's standard error, and its factor sqrt(n / (n - 1))).
    """
    n = len(counts_by_speaker)
    values = _resampled_ua(_drawn(n, n_resamples, seed), counts_by_speaker)
    return _around(ua(counts_by_speaker.sum(axis=0)), values, n, level, least=0)


@dataclass(frozen=True)
class Difference:
    """UA of one model less that of another, on the same clips."""

    ua: float
    """-1 to 1; above 0 the second is the better one."""
    interval: tuple[float, float]
    p: float
    """Two-sided, of the hypothesis that it makes no difference which of the two a speaker is judged by."""


def ua_difference(
    first: npt.NDArray[Any], second: npt.NDArray[Any], *, level: float = 0.95, n_resamples: int = 10_000, seed: int = 0
) -> Difference:
    """UA of ``second`` less that of ``first``: an interval as `ua_interval`'s, p by exchanging them within speakers.

    Every draw of the bootstrap takes the same speakers for both. For p the two are exchanged for some of the
    speakers, in every way there is (up to 13 speakers) or in ``n_resamples`` ways: p is the share in which UA differs
    by as much as it does. Of n speakers it cannot fall below 2 / 2**n, however large the difference.

    Parameters
    ----------
    first, second
        (speakers, labels, labels) confusion counts of two models on the same clips, speakers in the same order.
    level, n_resamples, seed
        As for `ua_interval`.

    Source of the interval: Bisani & Ney (2004), "Bootstrap estimates for confidence intervals in ASR performance
    evaluation", ICASSP, sec. 3 (the same draws for both). Of p: Fisher (1935), The Design of Experiments, sec. 21.
    """
    if first.shape != second.shape:
        raise DataError(f"A difference needs the same speakers and labels; the counts are {first.shape} and "
                        f"{second.shape}.")  # fmt: skip
    drawn = _drawn(len(first), n_resamples, seed)
    values = _resampled_ua(drawn, second) - _resampled_ua(drawn, first)
    found = ua(second.sum(axis=0)) - ua(first.sum(axis=0))
    interval = _around(found, values, len(first), level, least=-1)
    return Difference(found, interval, _p(found, first, second, n_resamples, seed))


_MOST_EXCHANGES = 1 << 13


def _p(found: float, first: npt.NDArray[Any], second: npt.NDArray[Any], n_resamples: int, seed: int) -> float:
    """Share of exchanges within speakers that differ by as much as what was found, which is one of them."""
    n = len(first)
    whole = 2**n <= _MOST_EXCHANGES
    if whole:
        exchanged = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        exchanged = np.random.default_rng(seed).integers(2, size=(n_resamples, n))
    change = np.tensordot(exchanged, second - first, axes=1)
    values = _ua_of(second.sum(axis=0) - change) - _ua_of(first.sum(axis=0) + change)
    as_large = int(np.count_nonzero(np.abs(values) >= abs(found) - 1e-12))
    return as_large / len(values) if whole else (as_large + 1) / (n_resamples + 1)


def _drawn(n: int, n_resamples: int, seed: int) -> npt.NDArray[np.int64]:
    """How often each of ``n`` speakers is in each draw. -> (n_resamples, n)."""
    if n < 2:
        raise DataError(f"An interval over speakers needs at least two speakers; there is {n}.")
    drawn: npt.NDArray[np.int64] = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return drawn


def _resampled_ua(drawn: npt.NDArray[np.int64], counts_by_speaker: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return _ua_of(np.tensordot(drawn, counts_by_speaker, axes=1))  # of (n_resamples, labels, labels)


def _ua_of(counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """UA of many tables. (n, labels, labels) -> (n,)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        values: npt.NDArray[np.float64] = np.nanmean(recalls(counts), axis=1)
    return values


def _around(
    found: float, values: npt.NDArray[np.float64], n: int, level: float, *, least: float
) -> tuple[float, float]:
    """Student's interval around what was found, of ``values`` that draws of ``n`` speakers gave; ``least`` to 1."""
    from scipy.special import stdtrit  # not at the top: scores are told without it

    reach = float(stdtrit(n - 1, (1 + level) / 2) * np.sqrt(n / (n - 1)) * np.nanstd(values))
    return max(found - reach, least), min(found + reach, 1.0)


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often a model is right where it says it is so sure: one entry a bin of equal width, 0 to 1."""

    clips: npt.NDArray[np.int64]
    """(bins,) clips whose confidence lies in the bin."""
    confidence: npt.NDArray[np.float64]
    """(bins,) their mean confidence; NaN in an empty bin."""
    accuracy: npt.NDArray[np.float64]
    """(bins,) the share of them that is right; NaN in an empty bin."""

    @property
    def ece(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy, bins weighed by their clips."""
        distance = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((self.clips * distance).sum() / self.clips.sum())


def reliability(confidence: npt.NDArray[Any], right: npt.NDArray[Any], bins: int = 15) -> Reliability:
    """Sort clips by the probability of the predicted emotion into bins of equal width.

    Parameters
    ----------
    confidence
        (n,) probability of the predicted emotion, 0 to 1.
    right
        (n,) whether the prediction is true.
    bins
        Bin i holds confidences above i / bins and up to (i + 1) / bins.

    Source: Guo et al. (2017), "On calibration of modern neural networks", ICML, eq. 2-3, with M = 15 bins.

    Examples
    --------
    >>> round(reliability(np.array([0.9, 0.9, 0.6, 0.6]), np.array([1, 1, 1, 0])).ece, 3)
    0.1
    """
    confidence, right = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if confidence.shape != right.shape or not confidence.size:
        raise DataError(f"Calibration needs one confidence for each answer, at least one; there are {confidence.size} "
                        f"and {right.size}.")  # fmt: skip
    if not ((confidence >= 0) & (confidence <= 1)).all():  # NaN is neither
        raise DataError(f"Confidences lie between 0 and 1; they reach from {confidence.min()} to {confidence.max()}.")
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    clips = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, weights=values, minlength=bins) for values in (confidence, right))
    means = [np.where(clips > 0, total / np.maximum(clips, 1), np.nan) for total in sums]
    return Reliability(clips, means[0], means[1])
