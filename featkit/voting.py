"""Several recognisers as one: the average of their probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from featkit.audio import name_of
from featkit.backend import Float
from featkit.classifier import Recogniser, SERClassifier
from featkit.errors import DataError
from featkit.extraction import Failure, clip_list
from featkit.features.base import Bundle


class SERVoting(Recogniser):
    """Average of the probabilities of several `SERClassifier`, each with its own features and backend.

    Every member learns from the same clips. A clip that one of them cannot use is used by none.

    Parameters
    ----------
    classifiers
        The members, two or more.
    n_jobs
        joblib workers for extraction; -1 for all cores.
    progress
        Show a bar while features are extracted.

    Attributes
    ----------
    classes_
        Labels in sorted order, the columns of ``predict_proba``.
    classifiers_
        The fitted members.

    Examples
    --------
    >>> from featkit import SERClassifier, SERVoting
    >>> from featkit.datasets.synthetic import synthesise
    >>> angry = [synthesise("anger", speaker, 0, 0) for speaker in range(5)]
    >>> sad = [synthesise("sadness", speaker, 0, 0) for speaker in range(5)]
    >>> both = SERVoting([SERClassifier("mfcc39"), SERClassifier("logmel")])
    >>> both.fit(angry + sad, ["anger"] * 5 + ["sadness"] * 5).predict(sad[:1])
    array(['sadness'], dtype='<U7')
    """

    classifiers_: list[SERClassifier]

    def __init__(
        self, classifiers: Sequence[SERClassifier], *, n_jobs: int | None = None, progress: bool = False
    ) -> None:
        self.classifiers = classifiers
        self.n_jobs = n_jobs
        self.progress = progress

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit every member. See `SERClassifier.fit`."""
        clips = clip_list(X)
        self.classifiers_ = [member.fit(clips, y, sample_weight, groups) for member in self._fresh()]
        self.classes_ = self.classifiers_[0].classes_
        return self

    def predict_proba(self, X: Any, groups: Any = None) -> Float:
        """Mean of the members' probabilities. -> (n, classes)."""
        check_is_fitted(self, "classifiers_")
        clips = clip_list(X)
        found = [member.predict_proba(clips, groups) for member in self.classifiers_]
        mean: Float = np.mean(found, axis=0, dtype=np.float32)
        return mean

    def extract(self, X: Any) -> list[Bundle]:
        """The features of all members, clip by clip. See `Recogniser.extract`."""
        clips = clip_list(X)
        return [Bundle(parts) for parts in zip(*(reader.extract(clips) for reader in self._readers()), strict=True)]

    def extract_all(self, X: Any) -> tuple[list[Bundle | None], list[Failure]]:
        """The same for clips of which some cannot be used. See `Recogniser.extract_all`."""
        clips = clip_list(X)
        results = [reader.extract_all(clips) for reader in self._readers()]
        found = [_bundle(parts) for parts in zip(*(clips for clips, _ in results), strict=True)]
        why = {failure.clip: failure for _, bad in reversed(results) for failure in bad}
        return found, [why[name_of(clip, i)] for i, clip in enumerate(clips) if found[i] is None]

    def members(self) -> Sequence[SERClassifier]:
        """The classifiers, fitted ones once there are any."""
        return self.classifiers_ if hasattr(self, "classifiers_") else self.classifiers

    def _readers(self) -> list[SERClassifier]:
        """One member for all that read the same features."""
        return list({member.reading: member for member in self._fresh()}.values())

    def _fresh(self) -> list[SERClassifier]:
        """Unfitted clones that work as this estimator is told to."""
        members = list(self.classifiers)
        strange = [type(member).__name__ for member in members if not isinstance(member, SERClassifier)]
        if strange or len(members) < 2:
            raise DataError(
                f"SERVoting takes two or more SERClassifiers; it was given {', '.join(strange) or len(members)}."
            )
        return [clone(member).set_params(n_jobs=self.n_jobs, progress=self.progress) for member in members]


def _bundle(parts: Iterable[Any]) -> Bundle | None:
    """Features of one clip, None where any are missing."""
    given = tuple(parts)
    return None if any(part is None for part in given) else Bundle(given)
