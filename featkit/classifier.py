"""The estimator that joins an extractor and a backend: waves → labels."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from featkit import normalise as speaker
from featkit.augment import Augment, find_augment
from featkit.backend import Backend, Float, find_backend, heard
from featkit.columns import column, labelled, same_length
from featkit.errors import DataError
from featkit.extraction import Copies, Failure, extract, extract_all
from featkit.features.base import FeatureExtractor, Features, View, find_extractor, stack

if TYPE_CHECKING:
    from featkit.export import ExportReport


class Recogniser(ClassifierMixin, BaseEstimator, ABC):
    """Clips → emotions: what `SERClassifier` and all that is built of it can do, and `evaluate` judges."""

    classes_: npt.NDArray[Any]
    """Labels in sorted order, the columns of ``predict_proba``."""
    n_jobs: int | None
    progress: bool

    @abstractmethod
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn from clips, their labels (n,) and, where they are known, their speakers ``groups`` (n,)."""

    @abstractmethod
    def predict_proba(self, X: Any, groups: Any = None) -> Float:
        """Probabilities of each emotion. -> (n, classes). Only what is `transductive` asks for ``groups``."""

    @abstractmethod
    def extract(self, X: Any) -> list[Any]:
        """The features that are learned from, to give to ``fit``, ``GridSearchCV`` or ``evaluate`` as X.

        With augmentation each holds its varied copies, which ``fit`` uses and ``predict`` does not.
        """

    @abstractmethod
    def extract_all(self, X: Any) -> tuple[list[Any], list[Failure]]:
        """As ``extract``, but a bad clip costs one row: its place holds None, and a `Failure` says why."""

    @abstractmethod
    def members(self) -> Sequence[SERClassifier]:
        """The classifiers of which it consists; once it is fitted, the fitted ones."""

    @property
    def chosen(self) -> str | None:
        """What a search inside ``fit`` found, as the command line reads it: "svm:C=10"; None where none is made."""
        return None

    @property
    def transductive(self) -> bool:
        """Whether an answer needs all clips of its speaker: such scores are not comparable with others."""
        return any(member.normalise == "speaker" for member in self.members())

    def predict(self, X: Any, groups: Any = None) -> npt.NDArray[Any]:
        """The most probable emotion of each clip. -> (n,)."""
        best = np.argmax(self.predict_proba(X, groups), axis=1)
        labels: npt.NDArray[Any] = self.classes_[best]
        return labels

    def export(
        self, path: str | os.PathLike[str], *, clips: Any = None, scores: dict[str, Any] | None = None,
        corpora: Sequence[str] = (),
    ) -> ExportReport:  # fmt: skip
        """Write one ONNX file that holds everything, checked against this estimator. See `featkit.export`."""
        from featkit.export import export

        return export(self, Path(path), clips=clips, scores=scores, corpora=corpora)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.string = True
        # scikit-learn's checks feed rows of 2 to 10 random numbers, of which no emotion can be heard.
        tags.classifier_tags.poor_score = True
        return tags


class SERClassifier(Recogniser):
    """Speech emotion recogniser: any feature set with any backend, as one scikit-learn classifier.

    Everything that is learned (scaler, clipping, calibration, network) is learned in ``fit``, so cross-validation
    that clones the estimator cannot leak. ``X`` is a list of paths, of waves (any length, 16 000 Hz, mono) or of
    extracted `Features`, or a 2-D array of equally long waves.

    Parameters
    ----------
    features
        Name of a set ("mfcc39", "logmel", "egemaps", …), names joined by ``+``, or an extractor with its settings.
        Default: what the backend asks for, which is "mfcc39" unless it says otherwise.
    backend
        "svm", "xgboost", "cnn_lstm" or another installed name, or a backend with its settings.
    augment
        Plan of `featkit.augment` by which training clips are varied: "standard", names joined by ``+`` as in
        "speed+noise:snr=15", or an `Augment`. Only what ``fit`` learns from is varied, never what is held out in it
        for validation or calibration, and never what is predicted. Default: no augmentation.
    copies
        Varied copies of every training clip. A network takes the clip or one of its copies each epoch, at random;
        others learn from all of them. The copies inherit label, weight and speaker.
    normalise
        "speaker" takes out of every clip what its speaker is like on the whole: features in deviations from the mean
        over all clips of the speaker. It needs ``groups`` in ``fit`` and in ``predict``, and hears the speaker's other
        clips before it judges one (*transductive*). Default: None.
    random_state
        Seed of the copies. The backend has a seed of its own.
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

    extractor_: FeatureExtractor
    backend_: Backend

    def __init__(
        self,
        features: str | FeatureExtractor | None = None,
        backend: str | Backend = "svm",
        *,
        augment: str | Augment | None = None,
        copies: int = 4,
        normalise: Literal["speaker"] | None = None,
        random_state: int = 0,
        pad_short: bool = False,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.features = features
        self.backend = backend
        self.augment = augment
        self.copies = copies
        self.normalise = normalise
        self.random_state = random_state
        self.pad_short = pad_short
        self.n_jobs = n_jobs
        self.progress = progress

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, *,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:  # fmt: skip
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
        checkpoint
            File that a network writes after every epoch. Where it exists, training goes on from it, to the same
            result as if it had not been interrupted.

        Raises
        ------
        AudioError
            A clip cannot be used; the message names it.
        DataError
            A label or speaker is missing, there are fewer than two classes, a class has one clip, or the checkpoint
            is damaged or of another run.
        """
        if y is None:
            raise DataError("SERClassifier requires y to be passed, but the target y is None.")
        clips, y, groups = labelled(X, y, groups)
        places, sample_weight = heard(sample_weight, len(clips))
        clips, y = [clips[i] for i in places], y[places]
        groups = None if groups is None else groups[places]
        _check_classes(y)
        if len(getattr(X, "shape", ())) == 2:  # scikit-learn's name for the width
            self.n_features_in_ = X.shape[1]

        extractor, backend, copies = self.parts()
        self.extractor_, backend = clone(extractor, safe=False), clone(backend)
        if checkpoint is not None and not has_fit_parameter(backend, "checkpoint"):
            raise DataError(f"{backend.name} does not train in epochs, so it writes no checkpoint; leave it out.")
        features = self._extract(clips, self.extractor_, backend.consumes, copies)
        if self._by_speaker(groups):
            self.population_ = speaker.statistics([clip.values for clip in features])
            features = _normalised(features, groups)
        self.backend_ = _fit(backend, features, y, sample_weight, groups, checkpoint)
        self.classes_ = self.backend_.classes_
        first = [int(np.flatnonzero(y == label)[0]) for label in self.classes_]
        self.check_clips_ = [clips[i] for i in first]  # one of each class, on which export proves itself
        self.data_ = {
            "clips": len(clips),
            "seconds": _lengths(features),
            "labels": {str(label): count for label, count in sorted(Counter(y.tolist()).items())},
            "speakers": None if groups is None else len(set(groups.tolist())),
            "augment": None if copies is None else copies.summary(),
        }
        if getattr(self.backend_, "interrupted_", False):
            self.data_["stopped"] = len(self.history_)
        return self

    def predict_proba(self, X: Any, groups: Any = None) -> Float:
        """Probabilities of each emotion. -> (n, classes), columns as ``classes_``.

        With ``normalise="speaker"`` ``groups`` (n,) are the speakers, and each speaker's clips are judged together.
        """
        check_is_fitted(self, "backend_")
        features = self._extract(X, self.extractor_, self.backend_.consumes)
        if self._by_speaker(groups):
            groups = column(groups, "speaker")
            same_length(clips=features, speakers=groups)
            features = _normalised(features, groups)
        return self.backend_.predict_proba(stack([clip.values for clip in features], self.backend_.consumes))

    def extract(self, X: Any) -> list[Features]:
        """The features this estimator learns from. See `Recogniser.extract`."""
        extractor, backend, copies = self.parts()
        return self._extract(X, extractor, backend.consumes, copies)

    def extract_all(self, X: Any) -> tuple[list[Features | None], list[Failure]]:
        """The same for clips of which some cannot be used. See `Recogniser.extract_all`."""
        extractor, backend, copies = self.parts()
        return extract_all(
            X, extractor, backend.consumes, pad_short=self.pad_short, copies=copies, n_jobs=self.n_jobs,
            progress=self.progress,
        )  # fmt: skip

    def members(self) -> Sequence[SERClassifier]:
        """This one alone."""
        return [self]

    def parts(self) -> tuple[FeatureExtractor, Backend, Copies | None]:
        """What the names stand for: extractor, backend, and the copies that are made of training clips."""
        backend = find_backend(self.backend)
        extractor = find_extractor(backend.default_features if self.features is None else self.features)
        copies = None if self.augment is None else Copies(find_augment(self.augment), self.copies, self.random_state)
        return extractor, backend, copies

    @property
    def reading(self) -> tuple[str, View, str | None, bool]:
        """What classifiers share that read the same features: set, view, copies, and what is done with short clips."""
        extractor, backend, copies = self.parts()
        return extractor.spec_hash, backend.consumes, None if copies is None else copies.key, self.pad_short

    @property
    def history_(self) -> list[dict[str, float]]:
        """One dict an epoch of a network: epoch, lr, loss and, with validation, validation_loss and validation_ua."""
        check_is_fitted(self, "backend_")
        if not hasattr(self.backend_, "history_"):
            raise AttributeError(f"{self.backend_.name} does not train in epochs, so it has no history.")
        history: list[dict[str, float]] = self.backend_.history_
        return history

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write the tensors of a network as *.safetensors, to go on in torch. See `featkit.weights`."""
        from featkit.weights import save_weights

        save_weights(self, path)

    def load_weights(self, path: str | os.PathLike[str]) -> Self:
        """Become fitted with the weights of a file; the settings must be those it was trained with.

        ``backend_.module_`` is then a ``torch.nn.Module`` to go on training; predict and export use it as it is.
        """
        from featkit.weights import load_weights

        load_weights(self, path)
        return self

    def set_params(self, **params: Any) -> Self:
        """Change parameters; ``backend__C`` and ``features__n_mfcc`` reach inside, also where the part is a name."""
        for part, find in (("backend", find_backend), ("features", find_extractor)):
            if any(name.startswith(f"{part}__") for name in params):
                value = params.get(part, getattr(self, part))
                if value is None:
                    value = find_backend(params.get("backend", self.backend)).default_features
                params[part] = find(value)
        changed: Self = super().set_params(**params)
        return changed

    def _by_speaker(self, groups: Any) -> bool:
        if self.normalise not in (None, "speaker"):
            raise DataError(f"normalise is 'speaker' or None, not {self.normalise!r}.")
        if self.normalise and groups is None:
            raise DataError("normalise='speaker' needs to know who speaks in every clip; give groups=speakers.")
        return self.normalise == "speaker"

    def _extract(
        self, clips: Any, extractor: FeatureExtractor, view: View, copies: Copies | None = None
    ) -> list[Features]:
        return extract(
            clips, extractor, view, pad_short=self.pad_short, copies=copies, n_jobs=self.n_jobs, progress=self.progress
        )


def _normalised(features: list[Features], groups: Any) -> list[Features]:
    """Values in deviations from each speaker's own mean; copies as the clip they were made of."""
    about = speaker.statistics_of([clip.values for clip in features], groups.tolist())
    return [
        replace(
            clip,
            values=speaker.standardised(clip.values, about[who]),
            copies=tuple(speaker.standardised(copy, about[who]) for copy in clip.copies),
        )
        for clip, who in zip(features, groups.tolist(), strict=True)
    ]


def _fit(
    backend: Backend, features: list[Features], y: Any, sample_weight: Any, groups: Any, checkpoint: Any
) -> Backend:
    """Train on clips and their copies. A backend that holds nothing out is given the copies as further clips."""
    more = {} if checkpoint is None else {"checkpoint": checkpoint}
    values = [clip.values for clip in features]
    copies = [clip.copies for clip in features]
    if any(copies) and has_fit_parameter(backend, "copies"):
        more["copies"] = copies
    elif any(copies):
        values += [copy for own in copies for copy in own]
        places = np.repeat(np.arange(len(features)), [len(own) for own in copies])
        y, sample_weight, groups = (
            None if given is None else np.concatenate([given, given[places]]) for given in (y, sample_weight, groups)
        )
    return backend.fit(stack(values, backend.consumes), y, sample_weight, groups, **more)


def _lengths(features: Sequence[Features]) -> list[float] | None:
    """Seconds below which one in twenty of the clips lies, half of them, and all but one in twenty."""
    known = [clip.seconds for clip in features if clip.seconds is not None]
    if len(known) < len(features):
        return None
    return [round(float(length), 3) for length in np.quantile(known, [0.05, 0.5, 0.95])]


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
