"""Speaker normalisation: what a voice is like on the whole is taken out of every clip. A leaf: numpy only.

It needs all clips of a speaker before any of them is judged, also of those who are tested (transductive), so its scores
are not comparable with those of an estimator that hears one clip. `RunningSpeaker` does it clip by clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from featkit.errors import DataError

Array: TypeAlias = npt.NDArray[np.float32]
Statistics: TypeAlias = npt.NDArray[np.float32]
"""(2, dims): mean and standard deviation."""


def statistics(values: Sequence[Array]) -> Statistics:
    """Mean and deviation of functionals (n, dims), or over all frames of clips (time, dims). -> (2, dims)."""
    rows = np.concatenate([np.atleast_2d(value) for value in values]).astype(np.float64)
    found: Statistics = np.stack([rows.mean(axis=0), rows.std(axis=0)]).astype(np.float32)
    return found


def standardised(value: Array, about: Statistics) -> Array:
    """(…, dims) in deviations from the mean; a column that never changes becomes 0."""
    mean, deviation = about
    constant = deviation <= 10 * np.finfo(np.float32).eps * np.abs(mean)
    scaled: Array = np.where(constant, 0, (value - mean) / np.where(constant, 1, deviation)).astype(np.float32)
    return scaled


def statistics_of(values: Sequence[Array], speakers: Sequence[Any]) -> dict[Any, Statistics]:
    """Statistics of each speaker over all of their clips.

    Raises
    ------
    DataError
        A speaker has one clip of functionals only, which has no deviation.
    """
    own: dict[Any, list[Array]] = {}
    for value, speaker in zip(values, speakers, strict=True):
        own.setdefault(speaker, []).append(value)
    for speaker, clips in own.items():
        if sum(len(np.atleast_2d(clip)) for clip in clips) < 2:
            raise DataError(
                f"normalise='speaker' needs at least two clips of every speaker; '{speaker}' has one. Give more clips "
                "of this speaker at once, or follow the speaker clip by clip (Model.follow)."
            )
    return {speaker: statistics(clips) for speaker, clips in own.items()}


class RunningSpeaker:
    """Statistics of one speaker from what was heard so far, for a stream of clips.

    They begin as those of the training speakers, which count as ``prior`` observations, and approach the speaker's own:
    after n clips the population weighs prior / (prior + n).

    Parameters
    ----------
    population
        (2, dims) mean and deviation over all training clips.
    prior
        How many clips (for frames: frames) the population counts for.

    Examples
    --------
    >>> voice = RunningSpeaker(np.array([[0.0], [1.0]], dtype=np.float32), prior=1)
    >>> round(float(voice(np.array([3.0], dtype=np.float32))[0]), 4)  # mean 1.5, deviation 1.66 after the clip itself
    0.9045
    """

    def __init__(self, population: Statistics, prior: float = 10) -> None:
        self._mean, self._deviation = population.astype(np.float64)
        self._prior = prior
        self._n = 0
        # Sums of differences from the population's mean: squares of large numbers would cancel.
        self._sum = np.zeros_like(self._mean)
        self._squares = np.zeros_like(self._mean)

    def __call__(self, value: Array) -> Array:
        """Hear one clip, (dims,) or (time, dims), and normalise it by all that was heard with it."""
        rows = np.atleast_2d(value).astype(np.float64) - self._mean
        self._n += len(rows)
        self._sum += rows.sum(axis=0)
        self._squares += (rows**2).sum(axis=0)
        return standardised(value, self.statistics)

    @property
    def statistics(self) -> Statistics:
        """(2, dims): what the speaker is like by now."""
        weight = self._prior + self._n
        shift = self._sum / weight
        variance = (self._prior * self._deviation**2 + self._squares) / weight - shift**2
        found: Statistics = np.stack([self._mean + shift, np.sqrt(np.maximum(variance, 0))]).astype(np.float32)
        return found
