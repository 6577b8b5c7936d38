"""The search inside every fit: with `evaluate`, nested cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from featkit.backend import Float, Space
from featkit.classifier import Recogniser, SERClassifier
from featkit.columns import column
from featkit.errors import DataError
from featkit.extraction import Failure
from featkit.features.base import Features
from featkit.tuning.search import tune
from featkit.tuning.trials import Tuning


class TunedClassifier(Recogniser):
    """A `SERClassifier` whose settings are searched whenever it is fitted, on the clips it is fitted on alone.

    In `evaluate` that makes nested cross-validation: every fold searches on its training speakers, and is scored on
    speakers that the search has not heard, so the score is not optimistic.

    Parameters
    ----------
    classifier
        Where the search starts; its own settings are the first trial.
    space, n_trials, cv, seed
        As for `tune`. Of fewer speakers than ``cv`` each is left out in turn.
    n_jobs
        joblib workers for extraction and for the folds of the search; -1 for all cores.
    progress
        Show bars.

    Attributes
    ----------
    search_
        The `Tuning` of the last fit.
    best_
        The classifier with the settings it found, fitted on all clips.

    Examples
    --------
    >>> from itertools import product
    >>> from featkit import SERClassifier, evaluate
    >>> from featkit.datasets.synthetic import synthesise
    >>> emotions, speakers, sentences = zip(*product(["anger", "sadness"], [0, 1, 2], [0, 1]))
    >>> waves = [synthesise(*said, take=0) for said in zip(emotions, speakers, sentences)]
    >>> tuned = TunedClassifier(SERClassifier(), space={"C": [0.1, 10]}, cv=2)
    >>> evaluate(tuned, waves, emotions, groups=speakers).ua
    1.0
    """

    search_: Tuning
    best_: SERClassifier

    def __init__(
        self,
        classifier: SERClassifier,
        *,
        space: Space | None = None,
        n_trials: int = 20,
        cv: int | Literal["loso"] = 5,
        seed: int = 0,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.classifier = classifier
        self.space = space
        self.n_trials = n_trials
        self.cv = cv
        self.seed = seed
        self.n_jobs = n_jobs
        self.progress = progress

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Search, then fit the best on all clips. Clips without speakers are parted at random."""
        if sample_weight is not None:
            raise DataError("TunedClassifier does not weigh clips; leave out sample_weight.")
        clips = self.extract(X)
        speakers = None if groups is None else column(groups, "speaker")
        few = speakers is not None and self.cv != "loso" and len(np.unique(speakers)) < self.cv
        self.search_ = tune(
            self.classifier, clips, y, speakers, space=self.space, n_trials=self.n_trials,
            cv="loso" if few else self.cv, allow_leakage=speakers is None, seed=self.seed, n_jobs=self.n_jobs,
            progress=self.progress,
        )  # fmt: skip
        if self.search_.interrupted:  # half a search would be another recipe
            raise KeyboardInterrupt
        self.best_ = self.search_.classifier.fit(clips, y, groups=speakers)
        self.classes_ = self.best_.classes_
        return self

    def predict_proba(self, X: Any, groups: Any = None) -> Float:
        """Probabilities by the best settings. -> (n, classes)."""
        check_is_fitted(self, "best_")
        return self.best_.predict_proba(X, groups)

    def extract(self, X: Any) -> list[Features]:
        """See `Recogniser.extract`."""
        return self._worker().extract(X)

    def extract_all(self, X: Any) -> tuple[list[Features | None], list[Failure]]:
        """See `Recogniser.extract_all`."""
        return self._worker().extract_all(X)

    def members(self) -> Sequence[SERClassifier]:
        """The best classifier once it is found, before that the one to start from."""
        return [self.best_ if hasattr(self, "best_") else self.classifier]

    @property
    def chosen(self) -> str:
        """See `Recogniser.chosen`."""
        return self.search_.ranked[0].backend

    def _worker(self) -> SERClassifier:
        worker: SERClassifier = clone(self.classifier).set_params(n_jobs=self.n_jobs, progress=self.progress)
        return worker
