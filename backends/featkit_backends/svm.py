"""Support vector machine with calibrated probabilities."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn from (n, dims) functionals. See `featkit.backend.Backend.fit`."""
        X, index, sample_weight, groups = self._check_training(X, y, sample_weight, groups)
        weight = clip_weights(index, sample_weight, self.class_weight)
        self.standardise_ = Standardiser(X, sample_weight)
        Z = self.standardise_(X)
        gamma = self.gamma / (Z.shape[1] * max(float(Z.var()), 1e-12))
        self.svc_ = CalibratedClassifierCV(
            SVC(kernel=self.kernel, C=self.C, gamma=gamma),
            method="temperature",
            ensemble=False,
            cv=speaker_folds(index, groups, self.calibration_folds, self.random_state),
        )
        with config_context(enable_metadata_routing=False):  # the weights are for both parts, whoever calls
            self.svc_.fit(Z, index, sample_weight=weight)
        return self

    def predict_proba(self, X: Any) -> Float:
        """Calibrated probabilities. (n, dims) -> (n, classes)."""
        X = self._check_features(X)
        proba: Float = self.svc_.predict_proba(self.standardise_(X)).astype(np.float32)
        return proba

    def to_onnx(self) -> Any:
        """Scaling, clipping, SVM and temperature in one graph. (batch, dims) -> (batch, classes)."""
        calibrated = self.svc_.calibrated_classifiers_[0]
        svc = convert_classifier(calibrated.estimator, self.n_features_in_, raw_scores=True)
        g = GraphBuilder("svm")
        x = self.standardise_.add(g, g.input("functionals", ["batch", self.n_features_in_]))
        logits = g.op("Mul", g.include(svc, x), g.constant([calibrated.calibrators[0].beta_]))
        g.output(g.op("Softmax", logits, axis=1), "probabilities", ["batch", len(self.classes_)])
        return g.model()
