"""Fisher vectors: how the frames of a clip pull at a mixture of Gaussians that was learned on all clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import TensorProto
from scipy.special import softmax
from sklearn.cluster import kmeans_plusplus

from featkit.backend import Float
from featkit.graph import GraphBuilder
from featkit_backends.linear import Machine, whole
from featkit_backends.standardise import Standardiser
from featkit_backends.vectors import VectorBackend

ITERATIONS = 25
"""Of expectation and maximisation; after 15 the vectors hardly change any more."""
LEAST_VARIANCE = 1e-2
"""Of a Gaussian, where that of all frames is 1: frames that repeat would make it 0."""
SOFTNESS = 1e-4
"""Square roots are x / √(|x| + this): at 0 the root is infinitely steep, and would make much of rounding."""


class Fisher(VectorBackend):
    """Linear classifier over Fisher vectors of each clip.

    A Fisher vector tells, for each Gaussian and column of frames, how far the frames of the clip would move its mean
    and its variance. Source: Perronnin, Sánchez & Mensink (2010), "Improving the Fisher kernel for large-scale image
    classification", ECCV: with the square root of every value, its sign kept, and length 1.

    Parameters
    ----------
    components
        Gaussians, with diagonal covariances. There are fewer where there are fewer frames.
    frames
        Frames that the mixture is learned from, drawn at random from all training clips.
    centre
        Subtract from every column its mean over the clip: what voice, microphone and room add to all frames alike goes.
    machine, C
        "svm" or "ridge", and cost of errors: see `featkit_backends.linear.Linear`. The
        defaults were chosen by scores on EMO-DB and RAVDESS, so results there are optimistic.
    class_weight
        "balanced" weighs each class by the inverse of its frequency, in the machine and in the calibration; None does
        not. The mixture knows no weights.
    calibration_folds
        Folds, by speaker where speakers are known, from which the temperature is learned.
    random_state
        Seed of the frames that are drawn, of the first means, and of those folds.
    """

    name: ClassVar[str] = "fisher"
    space: ClassVar[Mapping[str, Sequence[Any]]] = MappingProxyType(
        {
            "components": (16, 32, 64, 128),
            "centre": (True, False),
            "machine": ("svm", "ridge"),
            "C": (0.03, 0.1, 0.3, 1.0, 3.0),
        }
    )
    """Size of the mixture, machine and cost: 80 cells around the defaults."""

    def __init__(
        self,
        components: int = 64,
        frames: int = 30_000,
        centre: bool = True,
        machine: Machine = "ridge",
        C: float = 3.0,
        class_weight: Literal["balanced"] | None = "balanced",
        calibration_folds: int = 5,
        random_state: int | None = 0,
    ) -> None:
        self.components = components
        self.frames = frames
        self.centre = centre
        self.machine = machine
        self.C = C
        self.class_weight = class_weight
        self.calibration_folds = calibration_folds
        self.random_state = random_state

    def _check_settings(self) -> None:
        super()._check_settings()
        whole(self, "components", 1)
        whole(self, "frames", 1)

    def _learn(self, clips: list[Float]) -> None:
        rng = np.random.default_rng(self.random_state)
        everything = np.concatenate([self._centred(clip) for clip in clips])
        self.frame_standardise_ = Standardiser(everything)
        drawn = rng.permutation(len(everything))[: self.frames]
        self.mixture_ = learn_mixture(self.frame_standardise_(everything[drawn]), self.components, rng)

    def _describe(self, clip: Float) -> Float:
        z = self.frame_standardise_(self._centred(clip)).astype(np.float64)
        vector: Float = fisher_vector(self.mixture_, z).astype(np.float32)
        return vector

    def _add_description(self, g: GraphBuilder, frames: str) -> str:
        for _ in range(2 * self.centre):
            # Twice: onnxruntime's sum over thousands of frames rounds, and the second mean is that of the rest.
            frames = g.op("Sub", frames, g.op("ReduceMean", frames, g.ints(1), keepdims=1))
        return _add_fisher_vector(g, self.mixture_, self.frame_standardise_.add(g, frames))

    def _centred(self, clip: Float) -> Float:
        return clip - clip.mean(axis=0, dtype=np.float64).astype(np.float32) if self.centre else clip


class Mixture(NamedTuple):
    """Gaussians with diagonal covariances."""

    weights: Float
    """(components,)"""
    means: Float
    """(components, dims)"""
    variances: Float
    """(components, dims)"""

    @property
    def likelihood(self) -> tuple[Any, Any, Any]:
        """Log-likelihood of frames z as z @ a + z² @ b + c, less what is the same for all Gaussians."""
        weights, means, variances = self
        constant = np.log(weights) - 0.5 * (np.log(variances) + means**2 / variances).sum(axis=1)
        return (means / variances).T, (-0.5 / variances).T, constant

    def moments(self, z: Any) -> tuple[Any, Any, Any]:
        """Share of each Gaussian in each frame, times 1, z and z², summed. (time, dims) -> (components, 1 or dims)."""
        a, b, c = self.likelihood
        share = softmax(z @ a + (z * z) @ b + c, axis=1)
        return share.sum(axis=0)[:, None], share.T @ z, share.T @ (z * z)


def learn_mixture(z: Float, components: int, rng: np.random.Generator) -> Mixture:
    """Expectation and maximisation from means chosen by k-means++. (frames, dims) -> at most ``components`` Gaussians.

    scikit-learn's GaussianMixture does the same in 64 bits, in several times the time.
    """
    n = min(components, len(z))
    means, _ = kmeans_plusplus(z, n, random_state=int(rng.integers(2**31)))
    variances = np.tile(np.maximum(z.var(axis=0), LEAST_VARIANCE), (n, 1))
    mixture = Mixture(np.full(n, 1 / n, dtype=np.float32), means, variances)
    for _ in range(ITERATIONS):
        count, first, second = mixture.moments(z)
        count = np.maximum(count, 1e-3)  # a Gaussian that no frame wants stays, and hardly counts
        means = first / count
        variances = np.maximum(second / count - means**2, LEAST_VARIANCE)
        mixture = Mixture(count[:, 0] / count.sum(), means, variances)
    return mixture


def fisher_vector(mixture: Mixture, z: Any) -> Any:
    """Gradients for means and variances (Perronnin et al., equations 4 and 5), square roots, length 1.

    (time, dims) -> (2 * components * dims,), in 64 bits where z is: the differences of moments are small.
    """
    weights, (_, means, variances) = mixture.weights[:, None], mixture
    count, first, second = (moment / len(z) for moment in mixture.moments(z))
    by_mean = (first - means * count) / np.sqrt(weights * variances)
    by_variance = (second - 2 * means * first + (means**2 - variances) * count) / (np.sqrt(2 * weights) * variances)
    gradient = np.concatenate([by_mean.ravel(), by_variance.ravel()])
    root = gradient / np.sqrt(np.abs(gradient) + SOFTNESS)
    return root / max(np.linalg.norm(root), SOFTNESS)


def _add_fisher_vector(g: GraphBuilder, mixture: Mixture, z: str) -> str:
    """Write `fisher_vector` into a graph, in 64 bits. (batch, time, dims) -> (batch, 2 * components * dims)."""

    def number(value: npt.ArrayLike) -> str:
        return g.constant(value, np.float64)

    a, b, c = (number(value) for value in mixture.likelihood)
    z = g.op("Cast", z, to=TensorProto.DOUBLE)
    square = g.op("Mul", z, z)
    fit = g.op("Add", g.op("Add", g.op("MatMul", z, a), g.op("MatMul", square, b)), c)
    share = g.apart(g.op("Transpose", g.op("Softmax", fit, axis=2), perm=[0, 2, 1]), 0, len(mixture.weights), -1)
    time = g.op("Cast", g.op("Shape", z, start=1, end=2), to=TensorProto.DOUBLE)
    count = g.op("Div", g.op("ReduceSum", share, g.ints(2), keepdims=1), time)
    first, second = (g.op("Div", g.op("MatMul", share, value), time) for value in (z, square))

    weights, (_, means, variances) = mixture.weights[:, None], mixture
    by_mean = g.op("Sub", first, g.op("Mul", number(means), count))
    by_mean = g.op("Mul", by_mean, number(1 / np.sqrt(weights * variances)))
    by_variance = g.op("Sub", second, g.op("Mul", number(2 * means), first))
    by_variance = g.op("Add", by_variance, g.op("Mul", number(means**2 - variances), count))
    by_variance = g.op("Mul", by_variance, number(1 / (np.sqrt(2 * weights) * variances)))
    gradient = g.op("Concat", g.op("Flatten", by_mean, axis=1), g.op("Flatten", by_variance, axis=1), axis=1)
    root = g.op("Div", gradient, g.op("Sqrt", g.op("Add", g.op("Abs", gradient), number([SOFTNESS]))))
    norm = g.op("Sqrt", g.op("ReduceSum", g.op("Mul", root, root), g.ints(1), keepdims=1))
    return str(g.op("Cast", g.op("Div", root, g.op("Max", norm, number([SOFTNESS]))), to=TensorProto.FLOAT))
