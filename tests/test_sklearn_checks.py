"""scikit-learn's own checks of an estimator, with the few that a recogniser of speech must fail, and why."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from featkit import SERClassifier
from featkit.backend import find_backend

LENGTHS = "clips may be of other lengths than those heard in training"
ONES = "class_weight is 'balanced' or None; other weights are given as sample_weight"
WEIGHTS = "weighing a clip twice is not the same as two copies: folds and random subsets are drawn over clips"


def expected(estimator: BaseEstimator) -> dict[str, str]:
    if isinstance(estimator, SERClassifier):
        return {
            "check_n_features_in_after_fitting": LENGTHS,
            "check_classifiers_train": LENGTHS,
            "check_estimators_dtypes": "its row of zeros is digital silence, which is refused",
            "check_sample_weight_equivalence_on_dense_data": WEIGHTS + "; and one class keeps a single clip",
        }
    return {
        "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
        "check_class_weight_classifiers": ONES,
    }


@pytest.mark.filterwarnings("ignore:X is a matrix")  # of features, as far as anybody can tell
@parametrize_with_checks(
    [
        SERClassifier(pad_short=True),
        find_backend("svm"),
        find_backend("xgboost:n_estimators=5,n_jobs=1"),
    ],
    expected_failed_checks=expected,
)
def test_scikit_learn_check(estimator: Any, check: Any) -> None:
    check(estimator)
