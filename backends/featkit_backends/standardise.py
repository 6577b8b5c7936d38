"""The scaler of all backends that need one."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from featkit.backend import Float
from featkit.graph import GraphBuilder

CLIP = 5.0
"""Standardised values are clipped here: a few eGeMAPS functionals have outliers beyond 1000 standard deviations."""


class Standardiser:
    """Mean 0 and deviation 1 for every column, clipped at ±5. Fitted inside the fold, exported in the graph."""

    def __init__(self, X: npt.NDArray[Any], sample_weight: npt.NDArray[np.float64] | None = None) -> None:
        X = X.astype(np.float64)
        mean = np.average(X, axis=0, weights=sample_weight)
        deviation = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=sample_weight))
        # A constant column says nothing: it becomes 0. Rounding keeps its deviation from being exactly 0.
        constant = deviation <= 10 * np.finfo(np.float32).eps * np.abs(mean)
        self.mean: Float = mean.astype(np.float32)
        self.factor: Float = np.where(constant, 0, 1 / np.where(constant, 1, deviation)).astype(np.float32)

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
