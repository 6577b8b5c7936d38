"""Tangent space: how the frames of a clip vary together, as the logarithm of their covariance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from featkit.backend import Float
from featkit.graph import GraphBuilder
from featkit_backends.linear import Machine, within
from featkit_backends.standardise import CLIP, Standardiser
from featkit_backends.vectors import VectorBackend

Double = npt.NDArray[np.float64]

ROOTS = 3
"""Square roots before the polynomial of the logarithm: with fewer it grows long, with more they cost more than it."""
PRECISION = 1e-10
"""Of that polynomial."""


class Tangent(VectorBackend):
    """Linear classifier over the logarithm of each clip's covariance matrix.

    Covariances lie on a curved space, in which their matrix logarithms are straight: distances between these are the
    log-Euclidean ones. Sources: Arsigny et al. (2006), "Log-Euclidean metrics for fast and simple calculus on diffusion
    tensors", Magnetic Resonance in Medicine 56; Barachant et al. (2012), "Multiclass brain-computer interface
    classification by Riemannian geometry", IEEE Trans. Biomedical Engineering 59.

    Frames are standardised by their deviation over all training clips. What is the same in all frames of a clip, as a
    louder level in decibels is, does not enter a covariance.

    Parameters
    ----------
    shrinkage
        Share of the identity in the covariance, so that a clip with fewer frames than columns has a logarithm.
    deltas
        Put beside every column its change from frame to frame, so that order in time counts.
    machine, C
        "svm" or "ridge", and cost of errors: see `featkit_backends.linear.Linear`. The
        defaults were chosen by scores on EMO-DB and RAVDESS, so results there are optimistic.
    class_weight
        "balanced" weighs each class by the inverse of its frequency, in the machine and in the calibration; None does
        not.
    calibration_folds
        Folds, by speaker where speakers are known, from which the temperature is learned.
    random_state
        Seed of those folds.
    """

    name: ClassVar[str] = "tangent"
    space: ClassVar[Mapping[str, Sequence[Any]]] = MappingProxyType(
        {
            "shrinkage": (0.003, 0.01, 0.03, 0.1, 0.3),
            "deltas": (True, False),
            "machine": ("svm", "ridge"),
            "C": (0.03, 0.1, 0.3, 1.0, 3.0),
        }
    )
    """How much of the covariance is believed, machine and cost: 100 cells around the defaults."""

    def __init__(
        self,
        shrinkage: float = 0.03,
        deltas: bool = True,
        machine: Machine = "svm",
        C: float = 3.0,
        class_weight: Literal["balanced"] | None = "balanced",
        calibration_folds: int = 5,
        random_state: int | None = 0,
    ) -> None:
        self.shrinkage = shrinkage
        self.deltas = deltas
        self.machine = machine
        self.C = C
        self.class_weight = class_weight
        self.calibration_folds = calibration_folds
        self.random_state = random_state

    def _check_settings(self) -> None:
        super()._check_settings()
        within(self, "shrinkage", 1e-4, 1)

    def _learn(self, clips: list[Float]) -> None:
        self.frame_standardise_ = Standardiser.of_clips(clips)

    def _describe(self, clip: Float) -> Float:
        z = self.frame_standardise_(clip).astype(np.float64)
        if self.deltas:
            edged = np.pad(z, ((1, 1), (0, 0)), mode="edge")
            z = np.concatenate([z, (edged[2:] - edged[:-2]) / 2], axis=1)
        z -= z.mean(axis=0)
        dims = z.shape[1]
        covariance = (1 - self.shrinkage) / len(z) * (z.T @ z) + self.shrinkage * np.eye(dims)
        values, vectors = np.linalg.eigh(covariance)
        logarithm = (vectors * np.log(np.maximum(values, self.shrinkage))) @ vectors.T
        flat: Float = (logarithm.ravel()[_upper(dims)] * _lengths(dims)).astype(np.float32)
        return flat

    def _add_description(self, g: GraphBuilder, frames: str) -> str:
        """In 64 bits: small eigenvalues, which the logarithm makes large, would drown in the rounding of large ones."""
        z = g.op("Cast", self.frame_standardise_.add(g, frames), to=TensorProto.DOUBLE)
        dims = self.n_features_in_
        if self.deltas:
            edged = g.op("Pad", z, g.ints(0, 1, 0, 0, 1, 0), mode="edge")
            later = g.op("Slice", edged, g.ints(2), g.ints(2**62), g.ints(1))
            earlier = g.op("Slice", edged, g.ints(0), g.ints(-2), g.ints(1))
            change = g.op("Mul", g.op("Sub", later, earlier), g.constant(0.5, np.float64))
            z, dims = g.op("Concat", z, change, axis=2), 2 * dims
        z = g.op("Sub", z, g.op("ReduceMean", z, g.ints(1), keepdims=1))
        time = g.op("Cast", g.op("Shape", frames, start=1, end=2), to=TensorProto.DOUBLE)
        sums = g.op("MatMul", g.apart(g.op("Transpose", z, perm=[0, 2, 1]), 0, dims, -1), z)
        share = g.op("Mul", g.op("Div", sums, time), g.constant(1 - self.shrinkage, np.float64))
        covariance = g.op("Add", share, g.constant(self.shrinkage * np.eye(dims), np.float64))
        # Values within ±CLIP have a variance of at most CLIP², and no eigenvalue lies below the shrinkage.
        lowest = self.shrinkage / (dims * ((1 - self.shrinkage) * CLIP**2 + self.shrinkage))
        logarithm = add_logarithm(g, covariance, dims, lowest)
        flat = g.op("Reshape", logarithm, g.ints(0, dims * dims))
        upper = g.op("Gather", flat, g.constant(_upper(dims), np.int64), axis=1)
        return str(g.op("Cast", g.op("Mul", upper, g.constant(_lengths(dims), np.float64)), to=TensorProto.FLOAT))


def _upper(dims: int) -> npt.NDArray[np.int64]:
    """Places of the diagonal and what is above it in a flat matrix: the rest is the same again."""
    rows, columns = np.triu_indices(dims)
    return np.asarray(rows * dims + columns, dtype=np.int64)


def _lengths(dims: int) -> Double:
    """What is there twice counts by √2, so that lengths of vectors are those of matrices (Barachant, equation 4)."""
    rows, columns = np.triu_indices(dims)
    return np.where(rows == columns, 1, math.sqrt(2))


def add_logarithm(g: GraphBuilder, matrix: str, dims: int, lowest: float) -> str:
    """Logarithm of symmetric matrices (batch, dims, dims) in 64 bits, by products alone: ONNX has no eigenvalues.

    Inverse scaling: log A = 8 log A^(1/8), for which a short polynomial is enough. Source: Higham (2008), "Functions of
    matrices", chapter 11.

    Parameters
    ----------
    lowest
        No eigenvalue, as a share of the trace, lies below.
    """
    eye = g.constant(np.eye(dims), np.float64)
    trace = g.op("ReduceSum", g.op("Mul", matrix, eye), g.ints(1, 2), keepdims=1)
    root = g.op("Div", matrix, trace)
    for _ in range(ROOTS):
        root, lowest = _add_root(g, root, eye, lowest), math.sqrt(lowest)
    logarithm = g.op("Mul", _add_short_logarithm(g, root, eye, lowest), g.constant(2.0**ROOTS, np.float64))
    return str(g.op("Add", logarithm, g.op("Mul", g.op("Log", trace), eye)))


def _add_root(g: GraphBuilder, matrix: str, eye: str, lowest: float) -> str:
    """Square root of matrices with eigenvalues from ``lowest`` to 1, by scaled Newton-Schulz iterations.

    Y → A^(1/2) and Z → A^(-1/2). Source: Higham (2008), equation 6.35.
    """
    y, z = matrix, eye
    for scale in _scales(math.sqrt(lowest)):
        product = y if z == eye else g.op("MatMul", z, y)
        square = g.op("Mul", product, g.constant(scale**3 / 2, np.float64))
        step = g.op("Sub", g.op("Mul", eye, g.constant(1.5 * scale, np.float64)), square)
        y, z = g.op("MatMul", y, step), step if z == eye else g.op("MatMul", step, z)
    return str(y)


def _scales(low: float) -> Iterator[float]:
    """Factors that bring values from ``low`` to 1 to 1 in the fewest steps v → s v (3 - (s v)²) / 2.

    Source: Chen & Chow (2014), "A stable scaling of Newton-Schulz for improving the sign function computation of a
    Hermitian matrix", Argonne preprint ANL/MCS-P5059-0114.
    """
    while 1 - low > 1e-13:
        scale = math.sqrt(3 / (1 + low + low**2))
        yield scale
        low = scale * low * (3 - (scale * low) ** 2) / 2


def _add_short_logarithm(g: GraphBuilder, matrix: str, eye: str, lowest: float) -> str:
    """Logarithm of matrices with eigenvalues from ``lowest`` to 1, by Chebyshev polynomials (Clenshaw's recurrence).

    log(m (1 + r x)), with x from -1 to 1, has the coefficients 2 (-1)^(k+1) t^k / k; t follows from r.
    """
    middle, reach = (1 + lowest) / 2, (1 - lowest) / (1 + lowest)
    t = reach / (1 + math.sqrt(1 - reach**2))
    order = math.ceil(math.log(PRECISION) / math.log(t))

    def times_eye(value: float) -> str:
        return str(g.op("Mul", eye, g.constant(value, np.float64)))

    x = g.op("Sub", g.op("Mul", matrix, g.constant(1 / (middle * reach), np.float64)), times_eye(1 / reach))
    double_x = g.op("Add", x, x)
    last, before = times_eye(_coefficient(t, order)), times_eye(0)
    for k in range(order - 1, 0, -1):
        rest = g.op("Sub", g.op("MatMul", double_x, last), before)
        last, before = g.op("Add", rest, times_eye(_coefficient(t, k))), last
    rest = g.op("Sub", g.op("MatMul", x, last), before)
    return str(g.op("Add", rest, times_eye(math.log(middle / (1 + t**2)))))


def _coefficient(t: float, k: int) -> float:
    return (2 if k % 2 else -2) * t**k / k
