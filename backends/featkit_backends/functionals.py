"""What backends over functionals share: the checks at their door."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from featkit.backend import Backend, Float, heard
from featkit.errors import DataError


class FunctionalsBackend(Backend):
    """Base of backends that read (n, dims) functionals."""

    consumes: ClassVar[Any] = "functionals"

    def _check_training(
        self, X: Any, y: Any, sample_weight: Any, groups: Any
    ) -> tuple[Float, npt.NDArray[np.intp], npt.NDArray[np.float64] | None, npt.NDArray[Any] | None]:
        """Store ``classes_``; return float32 features, index of each label in ``classes_``, weights and speakers."""
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        places, weights = heard(sample_weight, len(y))
        self.classes_, index = np.unique(y[places], return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"Training needs at least two classes; y has 1 class only: '{self.classes_[0]}'.")
        return X[places], index, weights, None if groups is None else np.asarray(groups)[places]

    def _check_features(self, X: Any) -> Float:
        check_is_fitted(self, "classes_")
        checked: Float = validate_data(self, X, dtype=np.float32, reset=False)
        return checked


def with_copies(X: Float, copies: Any, sample_weight: Any) -> tuple[Float, npt.NDArray[np.intp]]:
    """Clips and behind them their varied copies. (clips, dims) -> (rows, dims), and the clip of each row (rows,).

    ``copies`` and ``sample_weight`` are those that ``fit`` was given; ``X`` holds the clips of a weight above 0, as
    `FunctionalsBackend._check_training` returns them.
    """
    parent = np.arange(len(X))
    if copies is None:
        return X, parent
    if sample_weight is not None:  # a clip that is not there has no copies either
        copies = [own for own, weight in zip(copies, sample_weight, strict=True) if weight]
    parent = np.concatenate([parent, np.repeat(parent, [len(own) for own in copies])])
    return np.concatenate([X, *(np.stack(own) for own in copies if len(own))]).astype(np.float32), parent
