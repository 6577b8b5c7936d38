"""Support vector machine with calibrated probabilities."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import clone
from sklearn.svm import SVC

from featkit.backend import Float, Space, clip_weights, speaker_folds
from featkit.errors import DataError
from featkit.graph import GraphBuilder, convert_classifier
from featkit_backends.functionals import FunctionalsBackend, with_copies
from featkit_backends.margins import add_votes, calibrate, votes
from featkit_backends.standardise import Standardiser

_COSTS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class SVM(FunctionalsBackend):
    """SVM over standardised functionals. Probabilities are the softmax of the margins of its pairs of classes.

    Each pair's decision value, cut at the margins to -1 … 1, counts for the one class and against the other. The
    temperature of the softmax is learned on clips of speakers the SVM has not heard, and does not change which class is
    the most probable. Source: Guo et al. (2017), "On calibration of modern neural networks".

    Parameters
    ----------
    kernel
        "rbf" or "linear".
    C
        Cost of errors: higher fits the training clips closer.
    gamma
        Narrowness of the RBF kernel, in units of scikit-learn's "scale", 1 / (dims * variance). The defaults of C and
        gamma were chosen by scores on EMO-DB and RAVDESS, so results there are optimistic.
    class_weight
        "balanced" weighs each class by the inverse of its frequency, in the SVM and in the calibration; None does
        not.
    calibration_folds
        Folds, by speaker where speakers are known, from which the probabilities are learned.
    random_state
        Seed of those folds.
    """

    name: ClassVar[str] = "svm"
    # Steps of about 3, as cost and width act by their order of magnitude. A linear SVM over hundreds of functionals is
    # best near 0.01, an RBF one above 1.
    space: ClassVar[Space] = (
        MappingProxyType({"kernel": ("rbf",), "C": _COSTS, "gamma": (0.1, 0.2, 0.5, 1.0, 2.0)}),
        MappingProxyType({"kernel": ("linear",), "C": _COSTS}),
    )
    """Kernel, cost, and the width that the RBF kernel alone reads: 54 cells around the defaults."""

    def __init__(
        self,
        kernel: Literal["rbf", "linear"] = "rbf",
        C: float = 3.0,
        gamma: float = 0.5,
        class_weight: Literal["balanced"] | None = "balanced",
        calibration_folds: int = 5,
        random_state: int | None = 0,
    ) -> None:
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.class_weight = class_weight
        self.calibration_folds = calibration_folds
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, *, copies: Any = None) -> Self:
        """Learn from (n, dims) functionals. See `featkit.backend.Backend.fit`.

        ``copies`` are learned from as their clip is; the temperature is learned on the clips alone.
        """
        if self.kernel not in ("rbf", "linear"):
            raise DataError(f"{self.name}: kernel is 'rbf' or 'linear'; it is {self.kernel!r}.")
        X, index, weights, groups = self._check_training(X, y, sample_weight, groups)
        folds = speaker_folds(index, groups, self.calibration_folds, self.random_state)
        X, parent = with_copies(X, copies, sample_weight)
        given = None if weights is None else weights[parent]
        weight = clip_weights(index[parent], given, self.class_weight)
        self.standardise_ = Standardiser(X, given)
        Z = self.standardise_(X)
        gamma = self.gamma / (Z.shape[1] * max(float(Z.var()), 1e-12))
        svc = SVC(kernel=self.kernel, C=self.C, gamma=gamma, decision_function_shape="ovo")

        decisions = np.zeros((len(index), len(self.classes_)))
        for train, test in folds:
            heard = np.flatnonzero(np.isin(parent, train))
            fold = clone(svc).fit(Z[heard], index[parent[heard]], sample_weight=weight[heard])
            decisions[test] = _scores(fold, Z[test])
        self.inverse_temperature_ = calibrate(decisions, index, weight[: len(index)])
        self.svc_ = svc.fit(Z, index[parent], sample_weight=weight)
        return self

    def predict_proba(self, X: Any) -> Float:
        """Calibrated probabilities. (n, dims) -> (n, classes)."""
        X = self._check_features(X)
        logits = self.inverse_temperature_ * _scores(self.svc_, self.standardise_(X))
        proba: Float = softmax(logits, axis=1).astype(np.float32)
        return proba

    def to_onnx(self) -> Any:
        """Scaling, clipping, SVM and temperature in one graph. (batch, dims) -> (batch, classes)."""
        svc = convert_classifier(self.svc_, self.n_features_in_, raw_scores=True)
        g, classes = GraphBuilder("svm"), len(self.classes_)
        x = self.standardise_.add(g, g.input("functionals", ["batch", self.n_features_in_]))
        values = g.include(svc, x)
        if classes == 2:  # skl2onnx gives the one value of two classes twice: against the first, and for the second
            values = g.op("Slice", values, g.ints(0), g.ints(1), g.ints(1))
        scores = add_votes(g, values, classes * (classes - 1) // 2)
        logits = g.op("Mul", scores, g.constant([self.inverse_temperature_]))
        g.output(g.op("Softmax", logits, axis=1), "probabilities", ["batch", len(self.classes_)])
        return g.model()


def _scores(svc: SVC, Z: Float) -> npt.NDArray[Any]:
    """Votes of the pairs. -> (n, classes); the one value of two classes speaks for the second."""
    values = svc.decision_function(Z)
    return votes(-values[:, None] if values.ndim == 1 else values)
