"""Support vector machine with calibrated probabilities."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC

from featkit.backend import Float, balanced_weights, speaker_folds
from featkit.graph import OPSET, OPSET_ML, GraphBuilder
from featkit_backends.functionals import FunctionalsBackend
from featkit_backends.standardise import Standardiser


class SVM(FunctionalsBackend):
    """SVM over standardised functionals; probabilities by Platt's method on speakers the SVM has not seen.

    The label is always the most probable class, so labels and probabilities agree.

    Parameters
    ----------
    kernel
        "rbf" or "linear".
    C
        Cost of errors: higher fits the training clips closer.
    gamma
        Width of the RBF kernel: "scale" is 1 / (dims * variance), "auto" is 1 / dims, or a number.
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
        C: float = 1.0,
        gamma: float | Literal["scale", "auto"] = "scale",
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
        X, index = self._check_training(X, y)
        weight = balanced_weights(index, sample_weight) if self.class_weight == "balanced" else sample_weight
        self.standardise_ = Standardiser(X, sample_weight)
        self.svc_ = CalibratedClassifierCV(
            SVC(kernel=self.kernel, C=self.C, gamma=self.gamma, random_state=self.random_state),
            ensemble=False,
            cv=speaker_folds(index, groups, self.calibration_folds, self.random_state),
        ).fit(self.standardise_(X), index, sample_weight=weight)
        return self

    def predict_proba(self, X: Any) -> Float:
        """Calibrated probabilities. (n, dims) -> (n, classes)."""
        proba: Float = self.svc_.predict_proba(self.standardise_(self._check_features(X))).astype(np.float32)
        return proba

    def to_onnx(self) -> Any:
        """Scaling, clipping, SVM and calibration in one graph. (batch, dims) -> (batch, classes)."""
        from skl2onnx import to_onnx

        from featkit_backends.convert import probabilities_only

        dims = self.n_features_in_
        with warnings.catch_warnings():
            # skl2onnx 1.20 looks at SVC's probA_, which scikit-learn 1.9 deprecates and we do not use.
            warnings.filterwarnings("ignore", "Attribute `prob", FutureWarning)
            svc = to_onnx(
                self.svc_,
                np.zeros((1, dims), np.float32),
                options={id(self.svc_): {"zipmap": False}},
                target_opset={"": OPSET, "ai.onnx.ml": OPSET_ML},
            )
        g = GraphBuilder("svm")
        x = self.standardise_.add(g, g.input("functionals", ["batch", dims]))
        g.output(g.include(probabilities_only(svc), x), "probabilities", ["batch", len(self.classes_)])
        return g.model()
