"""Answers of single windows → a label that does not flicker, or "not sure"."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from featkit.errors import AudioError

Probabilities: TypeAlias = npt.NDArray[np.float32]
Smoothing: TypeAlias = Literal["vote", "mean"] | None


class Smoother:
    """Smooths over the last windows, then holds on to a label.

    Parameters
    ----------
    labels
        Emotions, in the order of the probabilities.
    smoothing
        "vote": each emotion's share of the last ``votes`` windows in which it was the most probable, as live demos
        usually have it. "mean": the mean of their probabilities. None: every window for itself.
    votes
        Number of windows.
    threshold
        A label needs this share or probability; else the answer is None, "not sure".
    hysteresis
        A label that stands yields only to one that leads it by this much, and to "not sure" only when it falls this
        much below the threshold (a Schmitt trigger).

    Examples
    --------
    >>> smoother = Smoother(["anger", "sadness"], "vote", votes=3, threshold=0.5, hysteresis=0.1)
    >>> windows = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], dtype=np.float32)
    >>> [smoother(window)[0] for window in windows]
    ['anger', 'anger', 'sadness']
    """

    def __init__(
        self, labels: Sequence[str], smoothing: Smoothing, votes: int, threshold: float, hysteresis: float
    ) -> None:
        if smoothing not in ("vote", "mean", None):
            raise AudioError(f"smoothing must be 'vote', 'mean' or None, not {smoothing!r}.")
        if isinstance(votes, bool) or not isinstance(votes, int) or votes < 1:
            raise AudioError(f"votes is the number of windows that are smoothed over, 1 or more; it is {votes!r}.")
        for name, value in (("threshold", threshold), ("hysteresis", hysteresis)):
            if not 0 <= value <= 1:
                raise AudioError(f"{name} is a probability and must lie between 0 and 1; it is {value}.")
        self._labels = list(labels)
        self._smoothing: Smoothing = smoothing
        self._threshold, self._hysteresis = threshold, hysteresis
        self._last: deque[Probabilities] = deque(maxlen=votes if smoothing else 1)
        self._current: int | None = None

    def __call__(self, probabilities: Probabilities) -> tuple[str | None, Probabilities]:
        """Hear one window, (classes,). -> the label, or None for "not sure", and the smoothed values (classes,)."""
        heard = probabilities
        if self._smoothing == "vote":
            heard = np.zeros_like(probabilities)
            heard[probabilities.argmax()] = 1
        self._last.append(heard)
        smoothed: Probabilities = np.stack(self._last).mean(axis=0, dtype=np.float64).astype(np.float32)
        self._current = self._decide(smoothed)
        return None if self._current is None else self._labels[self._current], smoothed

    def reset(self) -> None:
        """Forget the windows so far: after silence or a gap another utterance begins."""
        self._last.clear()
        self._current = None

    def _decide(self, smoothed: Probabilities) -> int | None:
        """The emotion that is to be shown now."""
        held = self._current
        best = self._best(smoothed)
        slack = 1e-6  # 3/5 and 0.6 are the same share
        if held is not None and smoothed[best] < smoothed[held] + self._hysteresis - slack:
            best = held
        floor = self._threshold - (self._hysteresis if best == held else 0)
        return best if smoothed[best] >= floor - slack else None

    def _best(self, smoothed: Probabilities) -> int:
        """The highest; among equals the one that stands, else the one heard last."""
        equal = np.flatnonzero(smoothed >= smoothed.max() - 1e-6)
        if self._current is not None and self._current in equal:
            return self._current
        for heard in reversed(self._last):
            if (latest := int(heard.argmax())) in equal:
                return latest
        return int(equal[0])
