"""Scores of speech emotion recognition as pure functions of labels.

WA (weighted accuracy) is the share of clips that are right: accuracy. UA (unweighted accuracy) is the mean over the
emotions of the recall of each, so that every emotion counts alike however rare. UA averages over the emotions that
occur in the truth, as scikit-learn's ``balanced_accuracy_score``; libraries differ in this.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
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
    """Confidence interval of UA by bootstrap over speakers.

    Clips of one speaker are not independent: resampling clips makes intervals that are about half as wide as they
    should be. So whole speakers are drawn, with replacement, and the interval is given by the percentiles.

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
    Lower and upper end, 0 to 1.

    Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, sec. 3.8 (resampling of groups).
    """
    n = len(counts_by_speaker)
    if n < 2:
        raise DataError(f"An interval over speakers needs at least two speakers; there is {n}.")
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    resampled = np.tensordot(drawn, counts_by_speaker, axes=1)  # (n_resamples, labels, labels)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        values = np.nanmean(recalls(resampled), axis=1)
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
