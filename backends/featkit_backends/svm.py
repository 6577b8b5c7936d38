"""Support vector machine with calibrated probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.svm import SVC

from featkit.backend import Float, clip_weights, speaker_folds
from featkit.graph import GraphBuilder, convert_classifier
from featkit_backends.functionals import FunctionalsBackend
from featkit_backends.standardise import Standardiser


class SVM(FunctionalsBackend):
    """SVM over standardised functionals. Probabilities are the softmax of its decision values.

    Their temperature is learned on clips of speakers the SVM has not heard, and does not change which class is the
    most probable: labels are the SVM's own. Source: Guo et al. (2017), "On calibration of modern neural networks".

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
    space: ClassVar[Mapping[str, Sequence[Any]]] = MappingProxyType(
        {
            # Steps of about 3, as both act by their order of magnitude. A linear SVM over hundreds of functionals is
            # best near 0.01, an RBF one above 1; gamma is read by the RBF kernel alone.
            "kernel": ("rbf", "linear"),
            "C": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
            "gamma": (0.1, 0.2, 0.5, 1.0, 2.0),
        }
    )
    """Kernel, cost and width: 90 cells around the defaults."""

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
        if copies is not None and sample_weight is not None:  # a clip that is not there has no copies either
            copies = [own for own, weight in zip(copies, sample_weight, strict=True) if weight]
        X, index, sample_weight, groups = self._check_training(X, y, sample_weight, groups)
        folds = speaker_folds(index, groups, self.calibration_folds, self.random_state)
        # Clip by clip its copies: row r of everything belongs to clip parent[r], and the first rows are the clips.
        parent = np.arange(len(X))
        if copies is not None:
            parent = np.concatenate([parent, np.repeat(parent, [len(own) for own in copies])])
            X = np.concatenate([X, *(np.stack(own) for own in copies if len(own))]).astype(np.float32)
        given = None if sample_weight is None else sample_weight[parent]
        weight = clip_weights(index[parent], given, self.class_weight)
        self.standardise_ = Standardiser(X, given)
        Z = self.standardise_(X)
        svc = SVC(kernel=self.kernel, C=self.C, gamma=self.gamma / (Z.shape[1] * max(float(Z.var()), 1e-12)))

        decisions = np.zeros((len(index), len(self.classes_)))
        for train, test in folds:
            heard = np.flatnonzero(np.isin(parent, train))
            fold = clone(svc).fit(Z[heard], index[parent[heard]], sample_weight=weight[heard])
            decisions[test] = _scores(fold, Z[test])
        self.inverse_temperature_ = _calibrate(decisions, index, weight[: len(index)])
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
        g = GraphBuilder("svm")
        x = self.standardise_.add(g, g.input("functionals", ["batch", self.n_features_in_]))
        logits = g.op("Mul", g.include(svc, x), g.constant([self.inverse_temperature_]))
        g.output(g.op("Softmax", logits, axis=1), "probabilities", ["batch", len(self.classes_)])
        return g.model()


def _scores(svc: SVC, Z: Float) -> npt.NDArray[np.float64]:
    """Decision values. -> (n, classes); the one number of two classes counts against the first, for the second."""
    values = svc.decision_function(Z)
    scores: npt.NDArray[np.float64] = np.stack([-values, values], axis=1) if values.ndim == 1 else values
    return scores


def _calibrate(scores: npt.NDArray[np.float64], index: npt.NDArray[np.intp], weight: npt.NDArray[np.float64]) -> float:
    """The factor of the scores whose softmax gives the labels the highest likelihood: one over the temperature."""

    def loss(log_factor: float) -> float:
        rows = log_softmax(np.exp(log_factor) * scores, axis=1)
        return -float(np.average(rows[np.arange(len(index)), index], weights=weight))

    return float(np.exp(minimize_scalar(loss, bounds=(-10, 10), method="bounded", options={"xatol": 1e-8}).x))
