"""What backends over functionals share: the checks at their door."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted, validate_data

from featkit.backend import Backend, Float


class FunctionalsBackend(Backend):
    """Base of backends that read (n, dims) functionals."""

    consumes: ClassVar[Any] = "functionals"

    def _check_training(self, X: Any, y: Any) -> tuple[Float, npt.NDArray[np.intp]]:
        """Store ``classes_`` and return float32 features with the index of each label in ``classes_``."""
        X, y = validate_data(self, X, y, dtype=np.float32)
        self.classes_, index = np.unique(y, return_inverse=True)
        return X, index

    def _check_features(self, X: Any) -> Float:
        check_is_fitted(self, "classes_")
        checked: Float = validate_data(self, X, dtype=np.float32, reset=False)
        return checked
