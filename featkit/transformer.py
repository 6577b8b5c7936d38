"""Functionals as a scikit-learn transformer, for those who want a matrix and their own pipeline."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from featkit.extraction import extract
from featkit.features.base import FeatureExtractor, find_extractor


class Functionals(TransformerMixin, BaseEstimator):
    """Clips → (n, dims) functionals with a name for every column. It learns nothing.

    Parameters
    ----------
    features
        Name of a set, names joined by ``+``, or an extractor.
    pad_short
        Append silence to clips that are too short instead of refusing them.
    n_jobs
        joblib workers for extraction.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.linear_model import RidgeClassifier
    >>> pipeline = make_pipeline(Functionals("mfcc39"), RidgeClassifier())
    >>> Functionals("mfcc39").fit_transform([np.ones(16_000)]).shape
    (1, 351)
    >>> Functionals("mfcc39").get_feature_names_out()[0]
    'mfcc_1_mean'
    """

    def __init__(
        self, features: str | FeatureExtractor = "mfcc39", *, pad_short: bool = False, n_jobs: int | None = None
    ) -> None:
        self.features = features
        self.pad_short = pad_short
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """There is nothing to learn."""
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """List of paths or waves -> (n, dims); a DataFrame after ``set_output(transform="pandas")``."""
        clips = extract(X, self.features, "functionals", pad_short=self.pad_short, n_jobs=self.n_jobs)
        return np.stack([clip.values for clip in clips])

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[Any]:
        """Names of the columns."""
        return np.asarray(find_extractor(self.features).names("functionals"), dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True
