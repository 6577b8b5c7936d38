"""The scaler of all backends that need one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from featkit.backend import Float
from featkit.graph import GraphBuilder

CLIP = 5.0
"""Standardised values are clipped here: a few eGeMAPS functionals have outliers beyond 1000 standard deviations."""

_PIECE = 1 << 20
"""Values of many clips that are looked at together, in 64 bits: 8 MB."""


class Standardiser:
    """Mean 0 and deviation 1 for every column, clipped at ±5. Fitted inside the fold, exported in the graph."""

    def __init__(self, X: npt.NDArray[Any], sample_weight: npt.NDArray[np.float64] | None = None) -> None:
        X = X.astype(np.float64)
        mean = np.average(X, axis=0, weights=sample_weight)
        self._learn(mean, np.average((X - mean) ** 2, axis=0, weights=sample_weight))

    def _learn(self, mean: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]) -> None:
        deviation = np.sqrt(variance)
        # A constant column says nothing: it becomes 0. Rounding keeps its deviation from being exactly 0.
        constant = deviation <= 10 * np.finfo(np.float32).eps * np.abs(mean)
        self.mean: Float = mean.astype(np.float32)
        self.factor: Float = np.where(constant, 0, 1 / np.where(constant, 1, deviation)).astype(np.float32)

    @classmethod
    def of_clips(cls, clips: Sequence[Any]) -> Self:
        """Learn from clips (time, dims) in pieces: to the bit what their concatenation gives, in little memory.

        ``clip[:]`` is asked for twice, so a clip may be a file, or be made when it is looked at.
        """
        scaler = cls.__new__(cls)
        mean = _mean(clips, lambda piece: piece)
        scaler._learn(mean, _mean(clips, lambda piece: (piece - mean) ** 2))
        return scaler

    @classmethod
    def of(cls, mean: Float, factor: Float) -> Self:
        """One that was fitted before."""
        scaler = cls.__new__(cls)
        scaler.mean, scaler.factor = mean, factor
        return scaler

    def __call__(self, X: npt.NDArray[Any]) -> Float:
        """(…, dims) -> (…, dims)."""
        clipped: Float = np.clip((np.asarray(X, dtype=np.float32) - self.mean) * self.factor, -CLIP, CLIP)
        return clipped

    def add(self, g: GraphBuilder, x: str) -> str:
        """Write the same into a graph."""
        centred = g.op("Sub", x, g.constant(self.mean))
        scaled = g.op("Mul", centred, g.constant(self.factor))
        return str(g.op("Clip", scaled, g.constant(-CLIP), g.constant(CLIP)))


def _mean(clips: Sequence[Any], change: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Any:
    """Mean of changed rows over all clips. -> (dims,)."""
    total: npt.NDArray[np.float64] | None = None
    for piece in _pieces(clips):
        rows = change(piece)
        # NumPy adds row to row; with the total for a first row it goes on as if there were one array.
        total = np.add.reduce(rows if total is None else np.concatenate([total[None], rows]), axis=0)
    return total / sum(map(len, clips))  # type: ignore[operator]


def _pieces(clips: Sequence[Any]) -> Iterator[npt.NDArray[np.float64]]:
    """Rows of many clips one after the other, in 64 bits."""
    first, size = 0, 0
    for i, clip in enumerate(clips):
        size += clip.shape[0] * clip.shape[1]
        if size >= _PIECE or i == len(clips) - 1:
            yield np.concatenate([clip[:] for clip in clips[first : i + 1]], dtype=np.float64)
            first, size = i + 1, 0
