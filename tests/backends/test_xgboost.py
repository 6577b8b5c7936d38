"""The trees are XGBoost's own, on features as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from featkit_backends.xgboost import XGBoost
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.class_weight import compute_sample_weight
from speech import inputs, speech
from xgboost import XGBClassifier

SETTINGS: dict[str, Any] = {"n_estimators": 12, "max_depth": 3, "learning_rate": 0.3, "n_jobs": 1, "random_state": 1}


@pytest.mark.parametrize("class_weight", ["balanced", None])
def test_equals_xgboost_on_the_training_clips(class_weight: Any) -> None:
    X, y = inputs("functionals")[3:], speech().labels[3:]
    ours = XGBoost(**SETTINGS, class_weight=class_weight, subsample=0.7, colsample_bytree=0.3, reg_lambda=2).fit(X, y)
    theirs = XGBClassifier(**SETTINGS, subsample=0.7, colsample_bytree=0.3, reg_lambda=2, tree_method="hist")
    theirs.fit(X, LabelEncoder().fit_transform(y), sample_weight=compute_sample_weight(class_weight, y))
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_the_last_bit_of_a_feature_does_not_move_a_training_clip() -> None:
    X, y = inputs("functionals"), speech().labels
    ours = XGBoost(**SETTINGS).fit(X, y)
    for neighbour in (np.nextafter(X, np.float32(-np.inf)), np.nextafter(X, np.float32(np.inf))):
        np.testing.assert_array_equal(ours.predict_proba(neighbour), ours.predict_proba(X))


def test_thresholds_between_neighbouring_floats_still_part_them() -> None:
    low = np.float32(1)
    X = np.repeat([[low], [np.nextafter(low, np.float32(2))]], 20, axis=0)
    y = np.repeat(["a", "b"], 20)
    ours = XGBoost(n_estimators=5, subsample=1, colsample_bytree=1, n_jobs=1).fit(X, y)
    assert ours.predict(X).tolist() == y.tolist()
