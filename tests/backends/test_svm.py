"""The SVM answers as the same pipeline put together from scikit-learn's parts."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from featkit_backends import svm
from featkit_backends.margins import votes
from featkit_backends.standardise import Standardiser
from featkit_backends.svm import SVM
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight
from speech import inputs, speech

from featkit.errors import DataError
from featkit.graph import GraphBuilder, run, session


def unbalanced() -> tuple[Any, Any]:
    """21 clips: one class is rarer than the others."""
    kept = np.flatnonzero((speech().labels != "sadness") | (np.arange(24) > 8))
    return inputs("functionals")[kept], speech().labels[kept]


class Voting(SVC):
    """SVC whose pairs of classes count by their margins, as written in the documentation of `SVM`."""

    def decision_function(self, X: Any) -> Any:
        values = super().decision_function(X)
        found = np.zeros((len(X), len(self.classes_)))
        for column, (one, other) in enumerate(combinations(range(len(self.classes_)), 2)):
            for row, value in enumerate(values[:, column]):
                found[row, one] += max(-1, min(1, value))
                found[row, other] -= max(-1, min(1, value))
        return found


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("class_weight", ["balanced", None])
def test_equals_a_pipeline_of_scikit_learn(kernel: Any, class_weight: Any) -> None:
    X, y = unbalanced()
    ours = SVM(kernel=kernel, C=2.0, gamma=1.0, class_weight=class_weight, calibration_folds=3).fit(X, y)

    Z = np.clip(StandardScaler().fit_transform(X), -5, 5)
    index = LabelEncoder().fit_transform(y)
    theirs = CalibratedClassifierCV(
        Voting(kernel=kernel, C=2.0, gamma="scale", decision_function_shape="ovo"),
        method="temperature",
        ensemble=False,
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
    ).fit(Z, index, sample_weight=compute_sample_weight(class_weight, y))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(Z), atol=1e-3)


def test_labels_of_two_classes_are_those_of_the_machine_itself() -> None:
    two = speech().labels != "neutral"
    X, y = inputs("functionals")[two], speech().labels[two]
    ours = SVM(C=0.1).fit(X, y)
    assert ours.predict(X).tolist() == ours.classes_[ours.svc_.predict(ours.standardise_(X))].tolist()


def test_a_pair_counts_by_its_margin_and_no_further() -> None:
    np.testing.assert_allclose(votes(np.array([[0.5, 3.0, -0.2]])), [[1.5, -0.7, -0.8]], rtol=1e-6)


def test_the_highest_probability_tells_right_labels_from_wrong_ones() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=600)
    X = (rng.normal(size=(600, 8)) + 0.9 * np.eye(4, 8)[y]).astype(np.float32)
    proba = SVM().fit(X[:300], y[:300]).predict_proba(X[300:])
    assert roc_auc_score(proba.argmax(axis=1) == y[300:], proba.max(axis=1)) > 0.6


def test_calibration_holds_out_whole_speakers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    folds = svm.speaker_folds
    monkeypatch.setattr(svm, "speaker_folds", lambda *args: found.append(folds(*args)) or found[-1])
    SVM().fit(inputs("functionals"), speech().labels, groups=speech().speakers)
    assert len(found[0]) == 4
    for train, test in found[0]:
        assert set(speech().speakers[train]).isdisjoint(speech().speakers[test])


def test_clips_of_weight_zero_are_as_if_they_were_not_there() -> None:
    X, y = inputs("functionals"), speech().labels
    weight = (np.arange(24) < 18).astype(float)
    X_with_rubbish = np.where(weight[:, None] > 0, X, 1e6).astype(np.float32)
    weighted = SVM().fit(X_with_rubbish, y, weight, speech().speakers)
    fewer = SVM().fit(X[:18], y[:18], None, speech().speakers[:18])
    np.testing.assert_allclose(weighted.predict_proba(X), fewer.predict_proba(X), atol=1e-6)


def test_another_kernel_is_refused() -> None:
    with pytest.raises(DataError, match=r"svm: kernel is 'rbf' or 'linear'; it is 'linera'"):
        SVM(kernel="linera").fit(inputs("functionals"), speech().labels)  # type: ignore[arg-type]


def test_standardised_columns_have_mean_zero_deviation_one_and_are_clipped() -> None:
    X = np.random.default_rng(0).normal(3, 2, (500, 2)).astype(np.float32)
    Z = Standardiser(X)(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(Z.std(axis=0), 1, atol=1e-5)
    assert Standardiser(X)(X * 1000).max() == 5


def test_a_constant_column_becomes_zero() -> None:
    X = np.stack([np.full(7, 0.1), np.zeros(7), np.arange(7)], axis=1).astype(np.float32)
    assert not Standardiser(X)(X + 100)[:, :2].any()


def test_standardisation_in_a_graph_is_the_same() -> None:
    X = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    scaler = Standardiser(X, np.linspace(0, 1, 50))
    g = GraphBuilder("scale")
    g.output(scaler.add(g, g.input("x", ["n", 4])), "y", ["n", 4])
    np.testing.assert_array_equal(run(session(g.model()), 3 * X), scaler(3 * X))
