"""What backends share that make one vector of the frames of a clip, for a linear classifier."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from featkit.backend import Backend, Float, heard, speaker_folds
from featkit.errors import DataError
from featkit.graph import GraphBuilder
from featkit_backends.frames import clips_of
from featkit_backends.functionals import with_copies
from featkit_backends.linear import LinearMachine, Machine, check_settings


class VectorBackend(Backend):
    """Base of backends that describe the frames of a clip by one vector and tell vectors apart by a `LinearMachine`.

    Subclasses take the five settings below and their own, and write ``_learn``, ``_describe`` and ``_add_description``.
    """

    consumes: ClassVar[Any] = "frames"

    machine: Machine
    C: float
    class_weight: Literal["balanced"] | None
    calibration_folds: int
    random_state: int | None

    @abstractmethod
    def _learn(self, clips: list[Float]) -> None:
        """Learn what describes a clip, without labels, from the training clips (time, dims)."""

    @abstractmethod
    def _describe(self, clip: Float) -> npt.NDArray[Any]:
        """One clip as one vector. (time, dims) -> (values,)."""

    @abstractmethod
    def _add_description(self, g: GraphBuilder, frames: str) -> str:
        """Write ``_describe`` into a graph. (batch, time, dims) -> (batch, values)."""

    def _check_settings(self) -> None:
        """Refuse settings that make no sense; subclasses add theirs."""
        check_settings(self)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, *, copies: Any = None) -> Self:
        """Learn from a list of (time, dims) frames. See `featkit.backend.Backend.fit`.

        ``copies`` are learned from as their clip is; what describes a clip, and the temperature, are learned on the
        clips alone. The description is learned once on all training clips, so it has heard, without their labels, the
        speakers on which the temperature is learned.

        Raises
        ------
        FeatureError
            Frames of different or wrong width, or not finite.
        DataError
            A setting makes no sense, or there are fewer than two classes.
        """
        self._check_settings()
        check_consistent_length(X, y, sample_weight, groups, copies)
        check_classification_targets(y)
        places, sample_weight = heard(sample_weight, len(X))
        self.classes_, index = np.unique(np.asarray(y)[places], return_inverse=True)
        clips = clips_of([X[i] for i in places])
        if len(self.classes_) < 2:
            raise DataError(f"Training needs at least two classes; y has 1 class only: '{self.classes_[0]}'.")
        self.n_features_in_ = clips[0].shape[1]
        own = [[] if copies is None or not len(copies[i]) else clips_of(copies[i], self.n_features_in_) for i in places]
        groups = None if groups is None else np.asarray(groups)[places]
        folds = speaker_folds(index, groups, self.calibration_folds, self.random_state)
        self._learn(clips)
        described = [[self._describe(copy) for copy in some] for some in own]
        vectors, parent = with_copies(np.stack([self._describe(clip) for clip in clips]), described, None)
        self.machine_ = LinearMachine(self.machine, self.C, self.class_weight)
        self.machine_.fit(vectors, index, parent, sample_weight, folds, alike=True)
        return self

    def predict_proba(self, X: Any) -> Float:
        """Calibrated probabilities of a list of (time, dims) frames. -> (n, classes)."""
        check_is_fitted(self, "machine_")
        clips = clips_of(X, self.n_features_in_)
        return self.machine_.predict_proba(np.stack([self._describe(clip) for clip in clips]))

    def to_onnx(self) -> Any:
        """Description, scaling, machine and temperature in one graph. (batch, time, dims) -> (batch, classes)."""
        check_is_fitted(self, "machine_")
        g = GraphBuilder(self.name)
        frames = g.input("frames", ["batch", "time", self.n_features_in_])
        vectors = self._add_description(g, frames)
        g.output(self.machine_.add(g, vectors), "probabilities", ["batch", len(self.classes_)])
        return g.model()
