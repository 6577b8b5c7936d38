"""The backend contract: features → probabilities, written exactly alike by us and by anybody else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin

from featkit import plugins
from featkit.errors import DataError, PluginError
from featkit.features.base import FeatureExtractor, View

Float = npt.NDArray[np.float32]
Space: TypeAlias = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]]
"""Values by setting; several such where a setting has a meaning beside some values of others alone."""


class Backend(ClassifierMixin, BaseEstimator, ABC):
    """A classifier of one view of features. Register it under the entry-point group ``featkit.backends``.

    The constructor stores, ``fit`` thinks, and learned things end in an underscore, as everywhere in scikit-learn.
    """

    name: ClassVar[str]
    """Equals the entry-point name."""
    consumes: ClassVar[View]
    """The view it reads: "functionals" (X is (n, dims)) or "frames" (X is a list of (time, dims))."""
    space: ClassVar[Space] = MappingProxyType({})
    """Settings worth searching, with the values worth trying: where `featkit.tune` looks. Empty: nothing to search."""

    @property
    def default_features(self) -> str | FeatureExtractor:
        """The feature set that `SERClassifier` takes where none is named."""
        return "mfcc39"

    classes_: npt.NDArray[Any]
    """Labels in sorted order; the columns of ``predict_proba``."""

    @abstractmethod
    def fit(self, X: Any, y: npt.NDArray[Any], sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn from features.

        Parameters
        ----------
        X
            (n, dims) float32 for functionals; a list of n arrays (time, dims) for frames.
        y
            (n,) labels, at least two different ones with two clips each.
        sample_weight
            (n,) positive weights, or None.
        groups
            (n,) speakers, or None. Whatever is held out inside ``fit`` must be held out by speaker.

        Notes
        -----
        Two more are given to a ``fit`` that takes them: ``copies``, (n,) sequences of varied copies of each clip, of
        which none may be validated on (a ``fit`` without it is given the copies as further clips), and
        ``checkpoint``, a file to write after every epoch and to go on from where it exists.
        """

    @abstractmethod
    def predict_proba(self, X: Any) -> Float:
        """Probabilities. -> (n, classes), columns as ``classes_``."""

    @abstractmethod
    def to_onnx(self) -> Any:
        """An ONNX model with the one input features, (batch, dims) or (batch, time, dims), → (batch, classes)."""

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The most probable label of each clip. -> (n,)."""
        best = np.argmax(self.predict_proba(X), axis=1)
        labels: npt.NDArray[Any] = self.classes_[best]
        return labels


def find_backend(backend: str | Backend) -> Backend:
    """Name, with settings where it needs any ("svm:C=10"), → backend. A backend is returned as it is."""
    if isinstance(backend, Backend):
        return backend
    if not isinstance(backend, str):
        raise PluginError(f"backend must be a name or a Backend, not {type(backend).__name__}.")
    found: Backend = plugins.build("backends", backend)
    return found


def clip_weights(
    y: npt.NDArray[Any], sample_weight: Any = None, class_weight: str | None = "balanced"
) -> npt.NDArray[np.float64]:
    """Weight of each clip in training: ``sample_weight``, and if "balanced" the same sum for every class. -> (n,).

    Examples
    --------
    >>> clip_weights(np.array(["a", "a", "a", "b"]))
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    given = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if class_weight is None:
        return given
    if not isinstance(class_weight, str) or class_weight != "balanced":
        raise DataError(
            f"class_weight is 'balanced' or None, not {class_weight!r}; give other weights as sample_weight."
        )
    classes, index = np.unique(y, return_inverse=True)
    total = np.bincount(index, weights=given, minlength=len(classes))
    weights: npt.NDArray[np.float64] = given * (given.sum() / (len(classes) * total))[index]
    return weights


def heard(sample_weight: Any, n: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64] | None]:
    """Check the weights of n clips. -> places and weights of those that count: weight 0 is as if not there."""
    from sklearn.utils.validation import _check_sample_weight

    if sample_weight is None:
        return np.arange(n), None
    if np.asarray(sample_weight).dtype.kind in "OUS":
        raise DataError("sample_weight holds words; speakers are given by name, as groups=.")
    weights = _check_sample_weight(sample_weight, np.empty((n, 1)), dtype=np.float64, ensure_non_negative=True)
    places = np.flatnonzero(weights)
    if not len(places):  # which scikit-learn says itself from 1.9 on
        raise DataError("All sample weights are zero: no clip is left to learn from; leave sample_weight out.")
    return places, weights[places]


def speaker_folds(
    y: npt.NDArray[Any], groups: Any, n_splits: int, seed: int | None
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Splits for what a backend holds out: by speaker where speakers are known, stratified by label.

    Fewer folds are made where there are fewer speakers or clips of a class. Every training side holds every class; a
    speaker split for which that is impossible is replaced by one over clips.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    classes, index, counts = np.unique(y, return_inverse=True, return_counts=True)
    placeholder = np.zeros(len(y))
    if groups is not None and len(set(groups)) > 1:
        k = min(n_splits, len(set(groups)), int(counts.max()))
        splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
        folds = list(quietly(splitter.split(placeholder, index, groups)))
        if all(len(np.unique(index[train])) == len(classes) and len(test) for train, test in folds):
            return folds
    k = max(2, min(n_splits, int(counts.min())))
    return list(StratifiedKFold(k, shuffle=True, random_state=seed).split(placeholder, index))


def quietly(splits: Any) -> Any:
    """Without scikit-learn's warning about classes smaller than the number of folds: groups decide here."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield from splits
