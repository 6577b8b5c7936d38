"""Weights of a trained network as safetensors, for those who go on in torch: no pickle, no code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from featkit import plugins
from featkit.errors import ModelError
from featkit.files import replacing
from featkit.settings import differing, set_name

if TYPE_CHECKING:
    from featkit.classifier import SERClassifier

_KEY = "featkit"
_FORMAT = 2
_POPULATION = "population"
"""The tensor beside the network's own: what the training speakers are like, of an estimator with normalise."""


def save_weights(classifier: SERClassifier, path: str | os.PathLike[str]) -> None:
    """Write the tensors of a fitted network, with labels and settings in the metadata. The file is replaced whole."""
    save_file = _safetensors().save_file
    check_is_fitted(classifier, "backend_")
    backend = classifier.backend_
    if not hasattr(backend, "weights"):
        raise ModelError(f"{backend.name} is no network, so it has no weights; export it, or save it with joblib.")
    about = {
        "format": _FORMAT,
        "labels": classifier.classes_.tolist(),
        "features": classifier.extractor_.spec,
        "feature_hash": classifier.extractor_.spec_hash,
        "normalise": classifier.normalise,
        "backend": backend.name,
        "settings": {key: _plain(value) for key, value in backend.get_params().items()},
        "data": classifier.data_,
    }
    tensors = dict(backend.weights())
    if classifier.normalise:
        tensors[_POPULATION] = classifier.population_
    with replacing(Path(path)) as draft:
        save_file(tensors, draft, metadata={_KEY: json.dumps(about)})


def load_weights(classifier: SERClassifier, path: str | os.PathLike[str]) -> None:
    """Make ``classifier`` fitted, with the weights, labels and scaling of the file.

    Raises
    ------
    ModelError
        The file is missing, damaged or not featkit's, or is of another backend, other features, another ``normalise``
        or another architecture than ``classifier``.
    """
    safe_open = _safetensors_open()
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file of weights.")
    extractor, backend, _ = classifier.parts()
    backend = clone(backend)
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except Exception as error:  # safetensors' errors have no public base class
        raise ModelError(f"{path}: is damaged or not a safetensors file ({type(error).__name__}).") from None
    if text is None:
        raise ModelError(f"{path}: holds weights, but not of featkit: its metadata has no entry '{_KEY}'.")
    about: dict[str, Any] = json.loads(text)
    if about["format"] != _FORMAT:
        raise ModelError(
            f"{path}: has format {about['format']} and this featkit reads {_FORMAT}; save the weights again from the "
            "estimator that they are of."
        )
    same = about["feature_hash"] == extractor.spec_hash
    if about["backend"] != backend.name or not same:
        other = "" if same else f": {differing(extractor.spec, about['features'])}"
        raise ModelError(
            f"{path}: was trained with {about['backend']} on {set_name(about['features'])} ({about['feature_hash']}); "
            f"this estimator is {backend.name} on {extractor.name} ({extractor.spec_hash}){other}. Give it the same "
            "parts."
        )
    if about["normalise"] != classifier.normalise:
        raise ModelError(
            f"{path}: was trained with normalise={about['normalise']!r}, and this estimator has "
            f"{classifier.normalise!r}. Give it the same."
        )
    population = tensors.pop(_POPULATION, None)
    try:
        backend.set_weights(tensors, np.array(about["labels"]))
    except (RuntimeError, KeyError) as error:  # torch's word for other names or shapes
        changed = {
            key: value
            for key, value in about["settings"].items()
            if key in backend.get_params() and _plain(backend.get_params()[key]) != value
        }
        raise ModelError(
            f"{path}: its tensors do not fit this {backend.name}. Settings it was trained with that differ here: "
            f"{changed or 'none; it is of another version'}."
        ) from error
    classifier.extractor_, classifier.backend_ = extractor, backend
    classifier.classes_, classifier.data_ = backend.classes_, about["data"]
    classifier.check_clips_ = []
    if population is not None:
        classifier.population_ = population


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value.item() if isinstance(value, np.generic) else value


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise plugins.missing(error, "file of weights") from None
    return safetensors.numpy


def _safetensors_open() -> Any:
    _safetensors()
    from safetensors import safe_open

    return safe_open
