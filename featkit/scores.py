"""What was answered to every judged clip, and the scores that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from featkit import metrics
from featkit.protocols import LEAKS, Places
from featkit.tables import percent


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of every judged clip by a model that has not heard its speaker, and the scores that follow."""

    y_true: npt.NDArray[Any]
    y_pred: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[Any]
    speakers: npt.NDArray[Any] | None
    protocol: str
    """As it stands in tables: "leave one of 10 speakers out" or "5 random folds, SPEAKERS LEAK"."""
    cpu_seconds: float
    """Training and prediction of all folds, without extraction."""
    places: Places = field(default_factory=lambda: np.arange(0))
    """(n,) where the judged clips stand among those that were given."""
    histories: Sequence[Sequence[Mapping[str, float]]] = ()
    """Of networks: for each network of each fold one dict an epoch, as ``SERClassifier.history_``."""
    importance: Mapping[str, metrics.Difference] | None = None
    """Family of features → what shuffling it costs of UA, with its interval; None where nobody asked."""
    chosen: Sequence[str] = ()
    """Of a `TunedClassifier`: what the search in each fold chose, as the command line reads it: "svm:C=10"."""

    def __str__(self) -> str:
        """Protocol and scores in one line, in percent."""
        scores = f"UA {percent(self.ua, self.ua_interval)}, WA {percent(self.wa)}"
        return f"{self.protocol}, {len(self.y_true)} clips: {scores}"

    def __repr__(self) -> str:
        return f"Evaluation({self})"

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """(labels, labels) counts: rows are the truth, columns the prediction."""
        return metrics.confusion(self.y_true, self.y_pred, self.labels)

    @property
    def wa(self) -> float:
        """Accuracy."""
        return metrics.wa(self.confusion)

    @property
    def ua(self) -> float:
        """Mean recall over the emotions."""
        return metrics.ua(self.confusion)

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the emotions."""
        return metrics.macro_f1(self.confusion)

    @property
    def recalls(self) -> dict[str, float]:
        """Recall of each emotion; NaN for one that none of the judged clips shows."""
        return {str(k): float(v) for k, v in zip(self.labels, metrics.recalls(self.confusion), strict=True)}

    @cached_property
    def reliability(self) -> metrics.Reliability:
        """How often answers are right that are given with this or that confidence, in 15 bins."""
        return metrics.reliability(np.clip(self.probabilities.max(axis=1), 0, 1), self.y_true == self.y_pred)

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1: how far confidence and accuracy are apart. See `featkit.metrics`."""
        return self.reliability.ece

    @cached_property
    def by_speaker(self) -> dict[str, npt.NDArray[np.int64]] | None:
        """Speaker → (labels, labels) counts, speakers sorted; None where they are not known."""
        if self.speakers is None:
            return None
        counts = metrics.confusion_by(self.y_true, self.y_pred, self.labels, self.speakers)
        return dict(zip(map(str, np.unique(self.speakers)), counts, strict=True))

    @property
    def speaker_uas(self) -> dict[str, float] | None:
        """UA of each speaker, over the emotions that this speaker shows."""
        return None if self.by_speaker is None else {name: metrics.ua(n) for name, n in self.by_speaker.items()}

    @cached_property
    def ua_interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of UA over speakers; None without at least two known ones."""
        if self.by_speaker is None or len(self.by_speaker) < 2:
            return None
        return metrics.ua_interval(np.stack(list(self.by_speaker.values())))

    @property
    def leaks(self) -> bool:
        """Whether the judged speakers were heard in training, so that the scores are too high."""
        return LEAKS in self.protocol

    def summary(self) -> dict[str, Any]:
        """Scores and how they were measured, as plain data; None for what there is not."""
        return {
            "protocol": self.protocol,
            "clips": len(self.y_true),
            "speakers": None if self.by_speaker is None else len(self.by_speaker),
            "WA": round(self.wa, 4),
            "UA": round(self.ua, 4),
            "UA_95": None if self.ua_interval is None else [round(end, 4) for end in self.ua_interval],
            "macro_F1": round(self.macro_f1, 4),
            "ECE": round(self.ece, 4),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "recalls": {k: None if np.isnan(v) else round(v, 4) for k, v in self.recalls.items()},
        }
