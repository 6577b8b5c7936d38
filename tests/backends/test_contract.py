"""Every installed backend keeps the contract: one id per backend and promise."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from speech import BACKENDS, EMOTIONS, fitted, inputs, small, speech

from featkit.backend import Backend, find_backend
from featkit.errors import DataError
from featkit.graph import run, session

pytestmark = pytest.mark.parametrize("name", BACKENDS)


def trained(name: str) -> tuple[Backend, Any]:
    """A fitted backend, not to be changed, and its training features."""
    backend = fitted(backend=name).backend_
    return backend, inputs(backend.consumes)


def refitted(name: str, y: Any = None, sample_weight: Any = None, **params: Any) -> Any:
    """Probabilities of the training clips by a backend fitted anew."""
    backend = small(name, **params)
    X = inputs(backend.consumes)
    return backend.fit(X, speech().labels if y is None else y, sample_weight).predict_proba(X)


def test_is_found_by_its_name_and_says_which_view_it_reads(name: str) -> None:
    assert find_backend(name).name == name
    assert find_backend(name).consumes in ("frames", "functionals")


def test_classes_are_the_sorted_labels(name: str) -> None:
    assert trained(name)[0].classes_.tolist() == sorted(EMOTIONS)


def test_probabilities_are_float32_rows_that_sum_to_one(name: str) -> None:
    backend, X = trained(name)
    proba = backend.predict_proba(X)
    assert proba.dtype == np.float32
    assert proba.shape == (24, 3)
    assert proba.min() >= 0
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)


def test_label_is_the_most_probable_class(name: str) -> None:
    backend, X = trained(name)
    assert backend.predict(X).tolist() == backend.classes_[backend.predict_proba(X).argmax(axis=1)].tolist()


def test_score_is_better_than_chance_on_what_it_has_learned(name: str) -> None:
    backend, X = trained(name)
    assert backend.score(X, speech().labels) > 0.6


@pytest.mark.parametrize("classes", [2, 3])
def test_graph_answers_as_the_trained_backend(name: str, classes: int) -> None:
    some = np.isin(speech().labels, EMOTIONS[:classes])
    backend = small(name)
    X = [x for x, wanted in zip(inputs(backend.consumes), some, strict=True) if wanted]
    X = np.stack(X) if backend.consumes == "functionals" else X
    backend.fit(X, speech().labels[some])
    model = backend.to_onnx()
    onnx.checker.check_model(model)
    graph = session(model)
    if backend.consumes == "functionals":
        batches = [X[:1], X[:3], X]
    else:
        rng = np.random.default_rng(0)
        scale = np.concatenate(X)
        shapes = [(batch, time) for batch in (1, 3) for time in (1, 2, 3, 7, 300, 1000)]
        batches = [rng.normal(scale.mean(0), scale.std(0), (*shape, scale.shape[1])) for shape in shapes]
    for batch in batches:
        np.testing.assert_allclose(run(graph, batch), backend.predict_proba(batch), atol=1e-5)


def test_graph_reads_one_input_of_any_batch(name: str) -> None:
    backend, _ = trained(name)
    graph = backend.to_onnx().graph
    axes = graph.input[0].type.tensor_type.shape.dim
    assert len(graph.input) == 1
    assert len(axes) == (2 if backend.consumes == "functionals" else 3)
    assert all(axis.dim_param for axis in axes[:-1])


def test_equal_seeds_give_equal_answers_and_a_clone_learns_the_same(name: str) -> None:
    first, second = small(name, random_state=3), small(name, random_state=3)
    X, y = inputs(first.consumes), speech().labels
    expected = first.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(second.fit(X, y).predict_proba(X), expected)
    copied = clone(first)
    assert copied.get_params() == first.get_params()
    with pytest.raises(NotFittedError):
        copied.predict(X)


def test_survives_pickling(name: str) -> None:
    backend, X = trained(name)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(backend)).predict_proba(X), backend.predict_proba(X))


def test_does_not_change_what_it_is_given(name: str) -> None:
    backend = small(name)
    X, y, weight = copy.deepcopy(inputs(backend.consumes)), speech().labels.copy(), np.linspace(1, 2, 24)
    backend.fit(X, y, weight, speech().speakers).predict_proba(X)
    for given, kept in zip(X, inputs(backend.consumes), strict=True):
        np.testing.assert_array_equal(given, kept)
    np.testing.assert_array_equal(y, speech().labels)
    np.testing.assert_array_equal(weight, np.linspace(1, 2, 24))


def test_weights_change_what_is_learned(name: str) -> None:
    weight = np.where(speech().labels == "anger", 20.0, 0.5)
    plain, weighted = refitted(name, class_weight=None), refitted(name, sample_weight=weight, class_weight=None)
    assert weighted[:, 0].mean() > plain[:, 0].mean()


def test_balanced_weights_lift_a_rare_class(name: str) -> None:
    y = np.where(np.arange(24) % 6 == 0, "rare", "common")
    plain, balanced = refitted(name, y, class_weight=None), refitted(name, y, class_weight="balanced")
    assert balanced[:, 1].mean() > plain[:, 1].mean()


def test_refuses_a_class_weight_it_does_not_know(name: str) -> None:
    backend = small(name, class_weight="balance")
    X = inputs(backend.consumes)
    with pytest.raises(DataError, match=r"class_weight is 'balanced' or None, not 'balance'"):
        backend.fit(X, speech().labels)


def test_integer_labels_come_back_as_they_were(name: str) -> None:
    backend = small(name)
    X, y = inputs(backend.consumes), np.searchsorted(EMOTIONS, speech().labels) + 7
    backend.fit(X, y)
    assert backend.classes_.tolist() == [7, 8, 9]
    assert set(backend.predict(X)) <= {7, 8, 9}
