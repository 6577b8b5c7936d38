"""Promises of a backend."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from featkit.backend import Backend
from featkit.contract.trial import EMOTIONS, TOLERANCE, check_name, pickled, same, speech, through_json
from featkit.errors import PluginError
from featkit.extraction import extract
from featkit.graph import run, session

_NO_SETTINGS = ("n_jobs", "progress")  # these change no answer, and stand in no model file


def check_backend(backend: Backend) -> None:
    """Refuse a backend that breaks a promise; see `featkit.contract.check`."""
    check_name("backends", backend)
    if backend.consumes not in ("frames", "functionals"):
        raise PluginError(f"{backend.name}: consumes must be 'frames' or 'functionals', not {backend.consumes!r}.")
    waves, y, groups = speech()
    X = _given(backend, [clip.values for clip in extract(waves, backend.default_features, backend.consumes)])
    for count in (3, 2):
        places = np.flatnonzero(np.isin(y, EMOTIONS[:count]))
        some = _given(backend, [X[i] for i in places])
        trained = _trained(backend, some, y[places], groups[places])
        _probabilities(trained, some, count)
        _graph(trained, some)
    _again(backend, trained, some, y[places], groups[places])


def _given(backend: Backend, values: list[Any]) -> Any:
    return np.stack(values) if backend.consumes == "functionals" else values


def _trained(backend: Backend, X: Any, y: npt.NDArray[Any], groups: npt.NDArray[Any]) -> Backend:
    """A fitted copy, which left as it was what it was given."""
    given = copy.deepcopy(X)
    trained: Backend = clone(backend).fit(given, y, groups=groups)
    trained.predict_proba(given)
    for got, before in zip(given, X, strict=True):
        same(got, before, f"{backend.name}: changes the features that it is given")
    expected, classes = np.unique(y).tolist(), np.asarray(trained.classes_).tolist()
    if classes != expected:
        raise PluginError(f"{backend.name}: classes_ must be {expected}; they are {classes}.")
    return trained


def _probabilities(backend: Backend, X: Any, count: int) -> None:
    """Rows of probabilities, of a clip alone as among others."""
    proba = np.asarray(backend.predict_proba(X))
    if proba.shape != (len(X), count):
        raise PluginError(f"{backend.name}: predict_proba gave {proba.shape}; it must be {(len(X), count)}.")
    if not (np.isfinite(proba).all() and proba.min() >= 0 and np.allclose(proba.sum(axis=1), 1, atol=1e-5)):
        raise PluginError(f"{backend.name}: the rows of predict_proba must be probabilities that sum to 1.")
    same(backend.predict_proba(X[:1]), proba[:1], f"{backend.name}: a clip alone is judged otherwise", TOLERANCE)


def _graph(backend: Backend, X: Any) -> None:
    """The graph takes any batch, and any length where it reads frames, and answers as the backend."""
    graph = session(backend.to_onnx())
    if len(graph.get_inputs()) != 1:
        raise PluginError(
            f"{backend.name}: the graph has {len(graph.get_inputs())} inputs; it must have the features alone."
        )
    for batch in _batches(backend, X):
        what = f"{backend.name}: the graph does not answer as predict_proba for an input of {batch.shape}"
        try:
            got = run(graph, batch)
        except Exception as error:  # onnxruntime's exceptions have no common base class
            raise PluginError(f"{what}: {str(error).splitlines()[0][:200]}") from None
        same(got, backend.predict_proba(batch), what, TOLERANCE)


def _batches(backend: Backend, X: Any) -> list[npt.NDArray[np.float32]]:
    if backend.consumes == "functionals":
        return [X[:1], X[:3], X]
    shortest = min(map(len, X))
    pair = np.stack([clip[:shortest] for clip in X[:2]])
    return [X[0][None], pair, pair[:, : shortest // 3], np.concatenate([pair, pair, pair], axis=1)]


def _again(backend: Backend, trained: Backend, X: Any, y: npt.NDArray[Any], groups: npt.NDArray[Any]) -> None:
    """Copies through pickle, of the settings in a model file, and fitted once more judge the same."""
    expected, name = trained.predict_proba(X), backend.name
    settings = {key: value for key, value in backend.get_params(deep=False).items() if key not in _NO_SETTINGS}
    rebuilt = type(backend)(**through_json(settings, name))
    same(pickled(trained, name).predict_proba(X), expected, f"{name}: a pickled copy judges otherwise")
    same(_trained(backend, X, y, groups).predict_proba(X), expected, f"{name}: fitted again it judges otherwise")
    same(
        _trained(rebuilt, X, y, groups).predict_proba(X), expected, f"{name}: made of its settings it judges otherwise"
    )
