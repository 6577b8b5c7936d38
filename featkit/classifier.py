"""The estimator that joins an extractor and a backend: waves → labels."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from featkit.backend import Backend, Float, find_backend, heard
from featkit.errors import DataError
from featkit.extraction import clip_list, extract
from featkit.features.base import FeatureExtractor, Features, View, find_extractor

if TYPE_CHECKING:
    from featkit.export import ExportReport


class SERClassifier(ClassifierMixin, BaseEstimator):
    """Speech emotion recogniser: any feature set with any backend, as one scikit-learn classifier.

    Everything that is learned (scaler, clipping, calibration, network) is learned in ``fit``, so cross-validation
    that clones the estimator cannot leak. ``X`` is a list of paths, of waves (any length, 16 000 Hz, mono) or of
    extracted `Features`, or a 2-D array of equally long waves.

    Parameters
    ----------
    features
        Name of a set ("mfcc39", "logmel", "egemaps", …), names joined by ``+``, or an extractor with its settings.
    backend
        "svm", "xgboost", "cnn_lstm" or another installed name, or a backend with its settings.
    pad_short
        Append silence to clips that are too short for the features; by default they are an error.
    n_jobs
        joblib workers for extraction; -1 for all cores.
    progress
        Show a bar while features are extracted.

    Attributes
    ----------
    classes_
        Labels in sorted order, the columns of ``predict_proba``.
    extractor_, backend_
        The fitted parts.

    Examples
    --------
    >>> from featkit import SERClassifier
    >>> from featkit.datasets.synthetic import synthesise
    >>> angry = [synthesise("anger", speaker, 0, 0) for speaker in range(5)]
    >>> sad = [synthesise("sadness", speaker, 0, 0) for speaker in range(5)]
    >>> clf = SERClassifier(features="mfcc39", backend="svm").fit(angry + sad, ["anger"] * 5 + ["sadness"] * 5)
    >>> clf.predict([synthesise("sadness", 5, 1, 0)])
    array(['sadness'], dtype='<U7')
    """

    classes_: npt.NDArray[Any]
    extractor_: FeatureExtractor
    backend_: Backend

    def __init__(
        self,
        features: str | FeatureExtractor = "mfcc39",
        backend: str | Backend = "svm",
        *,
        pad_short: bool = False,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.features = features
        self.backend = backend
        self.pad_short = pad_short
        self.n_jobs = n_jobs
        self.progress = progress

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Extract features and train the backend.

        Parameters
        ----------
        X
            Clips: see the class.
        y
            (n,) labels.
        sample_weight
            (n,) weights, or None. A clip of weight 0 is as if it were not there.
        groups
            (n,) speakers. With them, whatever the backend holds out (calibration, early stopping) is held out by
            speaker.

        Raises
        ------
        AudioError
            A clip cannot be used; the message names it.
        DataError
            A label or speaker is missing, there are fewer than two classes, or a class has one clip.
        """
        if y is None:
            raise DataError("SERClassifier requires y to be passed, but the target y is None.")
        clips, y = clip_list(X), column(y, "label")
        groups = None if groups is None else column(groups, "speaker")
        check_consistent_length(clips, y, groups)
        check_classification_targets(y)
        places, sample_weight = heard(sample_weight, len(clips))
        clips, y = [clips[i] for i in places], y[places]
        groups = None if groups is None else groups[places]
        _check_classes(y)
        if len(getattr(X, "shape", ())) == 2:  # scikit-learn's name for the width
            self.n_features_in_ = X.shape[1]

        self.extractor_ = find_extractor(clone(self.features, safe=False))
        backend = clone(find_backend(self.backend))
        features = self._extract(clips, self.extractor_, backend.consumes)
        self.backend_ = backend.fit(_stack(features, backend.consumes), y, sample_weight, groups)
        self.classes_ = self.backend_.classes_
        first = [int(np.flatnonzero(y == label)[0]) for label in self.classes_]
        self.check_clips_ = [clips[i] for i in first]  # one of each class, on which export proves itself
        self.data_ = {
            "clips": len(clips),
            "labels": {str(label): count for label, count in sorted(Counter(y.tolist()).items())},
            "speakers": None if groups is None else len(set(groups.tolist())),
        }
        return self

    def predict_proba(self, X: Any) -> Float:
        """Probabilities of each emotion. -> (n, classes), columns as ``classes_``."""
        check_is_fitted(self, "backend_")
        features = self._extract(X, self.extractor_, self.backend_.consumes)
        return self.backend_.predict_proba(_stack(features, self.backend_.consumes))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The most probable emotion of each clip. -> (n,)."""
        best = np.argmax(self.predict_proba(X), axis=1)
        labels: npt.NDArray[Any] = self.classes_[best]
        return labels

    def extract(self, X: Any) -> list[Features]:
        """The features this estimator learns from, to give to ``fit``, ``GridSearchCV`` or ``evaluate`` as X."""
        return self._extract(X, find_extractor(self.features), find_backend(self.backend).consumes)

    def export(
        self, path: str | os.PathLike[str], *, clips: Any = None, scores: dict[str, Any] | None = None
    ) -> ExportReport:
        """Write one ONNX file that holds everything, checked against this estimator. See `featkit.export`."""
        from featkit.export import export

        return export(self, Path(path), clips=clips, scores=scores)

    def set_params(self, **params: Any) -> Self:
        """Change parameters; ``backend__C`` and ``features__n_mfcc`` reach inside, also where the part is a name."""
        for part, find in (("features", find_extractor), ("backend", find_backend)):
            nested = any(name.startswith(f"{part}__") for name in params)
            if nested and isinstance(params.get(part, getattr(self, part)), str):
                params[part] = find(params.get(part, getattr(self, part)))
        changed: Self = super().set_params(**params)
        return changed

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.string = True
        # scikit-learn's checks feed rows of 2 to 10 random numbers, of which no emotion can be heard.
        tags.classifier_tags.poor_score = True
        return tags

    def _extract(self, clips: Any, extractor: FeatureExtractor, view: View) -> list[Features]:
        return extract(clips, extractor, view, pad_short=self.pad_short, n_jobs=self.n_jobs, progress=self.progress)


def column(values: Any, what: str) -> npt.NDArray[Any]:
    """Labels or speakers as an array (n,) without holes."""
    for i, value in enumerate(np.asarray(values, dtype=object).ravel()):
        if not isinstance(value, str | int | float | np.generic) or value != value or value in (np.inf, -np.inf):
            raise DataError(f"The {what} of clip {i} is {value!r}. Drop the clip or give it a {what}.")
    array = column_or_1d(values, warn=True)
    return np.array(array.tolist()) if array.dtype == object else array


def _check_classes(y: npt.NDArray[Any]) -> None:
    labels, counts = np.unique(y, return_counts=True)
    if len(labels) < 2:
        raise DataError(
            f"Training needs at least two emotions; y has 1 class only: '{labels[0]}' ({len(y)} clips). "
            "Add clips of another class."
        )
    if counts.min() < 2:
        raise DataError(
            f"The class '{labels[counts.argmin()]}' has one sample; training needs at least two clips of every class. "
            "Add clips or drop the class."
        )


def _stack(features: list[Features], view: View) -> Any:
    """(n, dims) for functionals; a list of (time, dims) for frames."""
    values = [clip.values for clip in features]
    return np.stack(values) if view == "functionals" else values
