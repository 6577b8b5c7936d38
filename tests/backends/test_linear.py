"""The linear machines answer as scikit-learn's, and of two clips' products nothing is taken twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from featkit_backends import linear
from featkit_backends.linear import Linear, LinearMachine, solve_pairs, solve_ridge
from featkit_backends.margins import pairs_of
from sklearn.linear_model import Ridge
from sklearn.svm import SVC
from speech import inputs, speech

from featkit.errors import DataError
from featkit.graph import run, session

X, Y, SPEAKERS = inputs("functionals"), speech().labels, speech().speakers
MACHINES = ("svm", "ridge")


def rows(classes: int) -> Any:
    """60 vectors, their classes, and weights."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 6)), np.arange(60) % classes, rng.uniform(0.5, 2, 60)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_pairs_have_the_decision_values_of_scikit_learn(classes: int) -> None:
    Z, index, weight = rows(classes)
    gram = Z @ Z.T
    svc = SVC(kernel="linear", C=2.0, tol=1e-8, decision_function_shape="ovo").fit(Z, index, weight)
    dual, intercept = solve_pairs(gram, index, weight, 2.0)
    ours = gram @ dual.T + intercept
    theirs = svc.decision_function(Z)
    # Of two classes scikit-learn's one value speaks for the second.
    np.testing.assert_allclose(ours, -theirs[:, None] if classes == 2 else theirs, atol=5e-3)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_ridge_has_the_values_of_scikit_learn(classes: int) -> None:
    Z, index, weight = rows(classes)
    target = np.where(index[:, None] == np.arange(classes), 1, -1)
    theirs = Ridge(alpha=1 / 0.7).fit(Z, target, weight)
    dual, intercept = solve_ridge(Z @ Z.T, index, weight, 0.7)
    np.testing.assert_allclose(Z @ Z.T @ dual.T + intercept, theirs.predict(Z), atol=1e-8)


def test_each_pair_counts_for_one_class_and_against_the_other() -> None:
    np.testing.assert_array_equal(pairs_of(1), [[1, -1]])
    np.testing.assert_array_equal(pairs_of(3), [[1, -1, 0], [1, 0, -1], [0, 1, -1]])


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("classes", [2, 3])
def test_clips_far_apart_are_told_apart_surely(machine: Any, classes: int) -> None:
    index = np.arange(40) % classes
    Z = np.eye(5)[index] + 0.01 * np.random.default_rng(0).normal(size=(40, 5))
    fitted = Linear(machine).fit(Z, index)
    assert fitted.predict(Z).tolist() == index.tolist()
    assert fitted.predict_proba(Z).max(axis=1).min() > 0.9


def test_cut_values_do_not_jump() -> None:
    """Between two clips the probabilities go over steadily, where whole votes would leap."""
    fitted = Linear().fit(X, Y)
    way = np.linspace(0, 1, 2001)[:, None] * (X[23] - X[0]) + X[0]
    assert np.abs(np.diff(fitted.predict_proba(way), axis=0)).max() < 0.01


@pytest.mark.parametrize("machine", MACHINES)
def test_calibration_holds_out_whole_speakers_and_copies(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found, sizes = [], []
    folds, calibrate = linear.speaker_folds, linear.calibrate
    monkeypatch.setattr(linear, "speaker_folds", lambda *args: found.append(folds(*args)) or found[-1])
    monkeypatch.setattr(linear, "calibrate", lambda *args: sizes.append(len(args[1])) or calibrate(*args))
    solve = LinearSpy(monkeypatch)
    Linear(machine).fit(X, Y, groups=SPEAKERS, copies=[[row, row] for row in X])
    assert sizes == [24]
    assert solve.rows == [*(3 * len(train) for train, _ in found[0]), 72]
    for train, test in found[0]:
        assert set(SPEAKERS[train]).isdisjoint(SPEAKERS[test])


class LinearSpy:
    """How many rows each machine was made of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        for name in ("solve_pairs", "solve_ridge"):
            monkeypatch.setattr(linear, name, self.spy(getattr(linear, name)))

    def spy(self, solve: Any) -> Any:
        return lambda gram, *rest: self.rows.append(len(gram)) or solve(gram, *rest)


@pytest.mark.parametrize("machine", MACHINES)
def test_copies_like_their_clips_change_nothing_where_weights_make_up_for_them(machine: Any) -> None:
    plain = Linear(machine, C=1.0).fit(X, Y, groups=SPEAKERS)
    copied = Linear(machine, C=0.5).fit(X, Y, groups=SPEAKERS, copies=[[row] for row in X])
    np.testing.assert_allclose(plain.predict_proba(X), copied.predict_proba(X), atol=2e-3)


@pytest.mark.parametrize("machine", MACHINES)
def test_clips_of_weight_zero_and_their_copies_are_as_if_they_were_not_there(machine: Any) -> None:
    weight = (np.arange(24) < 18).astype(float)
    rubbish = np.where(weight[:, None] > 0, X, 1e6).astype(np.float32)
    copies = [[1.1 * row] for row in rubbish]
    weighted = Linear(machine).fit(rubbish, Y, weight, SPEAKERS, copies=copies)
    fewer = Linear(machine).fit(X[:18], Y[:18], None, SPEAKERS[:18], copies=copies[:18])
    np.testing.assert_allclose(weighted.predict_proba(X), fewer.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_graph_answers_alike(machine: Any) -> None:
    fitted = Linear(machine).fit(X, Y)
    noise = X + X.std(axis=0) * np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    np.testing.assert_allclose(run(session(fitted.to_onnx()), noise), fitted.predict_proba(noise), atol=1e-5)


@pytest.mark.parametrize("alike", [False, True])
def test_where_columns_are_alike_one_that_varies_by_rounding_becomes_zero(alike: bool) -> None:
    Z = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    Z[:, 1] *= 1e-7
    machine = LinearMachine("svm", 1.0, None)
    places = np.arange(24)
    machine.fit(Z, places % 2, places, None, [(places[:12], places[12:])], alike=alike)
    assert (machine.standardise.factor > 0).tolist() == [True, not alike, True]


@pytest.mark.parametrize("machine", MACHINES)
def test_equal_clips_are_any_class(machine: Any) -> None:
    fitted = Linear(machine).fit(np.ones((12, 3)), np.repeat(["a", "b"], 6))
    np.testing.assert_allclose(fitted.predict_proba(np.ones((1, 3))), 0.5, atol=0.01)


def test_refuses_a_machine_it_does_not_know() -> None:
    with pytest.raises(DataError, match="linear: machine is 'svm' or 'ridge'; it is 'forest'"):
        Linear("forest").fit(X, Y)  # type: ignore[arg-type]


@pytest.mark.parametrize("C", [0, -1.0, "1", True, np.nan])
def test_refuses_a_cost_that_makes_no_sense(C: Any) -> None:
    with pytest.raises(DataError, match=r"linear: C lies between 1e-09 and 1e\+09; it is"):
        Linear(C=C).fit(X, Y)


@pytest.mark.parametrize("folds", [1, 2.5, None])
def test_refuses_a_number_of_folds_that_makes_no_sense(folds: Any) -> None:
    with pytest.raises(DataError, match=f"linear: calibration_folds is a whole number from 2 on; it is {folds}"):
        Linear(calibration_folds=folds).fit(X, Y)
