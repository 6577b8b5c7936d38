"""A form beside the model it was made of: size, time, probabilities, labels, scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from featkit import metrics
from featkit.audio import Wave
from featkit.deploy.clips import Clips
from featkit.errors import ExportError
from featkit.tables import counted, markdown
from featkit.timing import median_seconds

Predict: TypeAlias = Callable[[Wave], npt.NDArray[np.float32]]
"""wave (n_samples,) -> probabilities (classes,)."""

_CALLS = 17  # of which the median is told


@dataclass(frozen=True, eq=False)
class Answers:
    """What one file says to all clips, and what that costs."""

    name: str
    n_bytes: int
    milliseconds: float
    """Median CPU time for a clip of 3 s, on one thread."""
    probabilities: npt.NDArray[np.float32]
    """(clips, classes)."""


class _Scores(NamedTuple):
    ua: float
    wa: float
    interval: tuple[float, float] | None
    """Of UA, over speakers; None where fewer than two are known."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The model before, perhaps cut to fixed windows, and the form after."""

    clips: Clips
    labels: list[str]
    before: Answers
    after: Answers
    windows: Answers | None = None
    """The model before, asked window by window, where the form has a fixed length."""

    @property
    def max_difference(self) -> float:
        """Largest difference of a probability from the model that was asked the same."""
        return _difference(self.windows or self.before, self.after)

    @property
    def agreement(self) -> float:
        """Share of clips with the label of the model that was asked the same, 0 to 1."""
        return _agreement(self.windows or self.before, self.after)

    @property
    def ua_drop(self) -> float | None:
        """Points of UA lost from the model on whole clips to the form, by its fixed length too; None without labels."""
        if self.clips.labels is None:
            return None
        return 100 * (self._scores(self.before).ua - self._scores(self.after).ua)

    def require(self, max_drop: float) -> None:
        """Refuse a form that loses more than ``max_drop`` points of UA, or per cent of labels where truth is unknown.

        Raises
        ------
        ExportError
            It loses more.
        """
        drop, judged = self.ua_drop, counted(len(self.clips), "clip")
        if drop is not None and drop > max_drop:
            raise ExportError(
                f"UA falls by {drop:.1f} points on {judged}{self._by_length()}; --max-drop allows "
                f"{max_drop:g}. Nothing was written."
            )
        if drop is None and self.agreement < 1 - max_drop / 100:
            raise ExportError(
                f"{100 * (1 - self.agreement):.1f} % of {judged} get another label; --max-drop allows "
                f"{max_drop:g} %. Nothing was written."
            )

    def require_finite(self) -> None:
        """Refuse a form that answers with what are no probabilities.

        Raises
        ------
        ExportError
            A number is NaN or infinite.
        """
        if not np.isfinite(self.after.probabilities).all():
            raise ExportError(f"{self.after.name} answers with numbers that are not finite. Nothing was written.")

    def require_equal(self, tolerance: float) -> None:
        """Refuse a form that should answer exactly as the model and does not.

        Raises
        ------
        ExportError
            A probability differs by more than ``tolerance``.
        """
        if not self.max_difference <= tolerance:
            raise ExportError(
                f"{self.after.name} does not answer as the model: probabilities differ by up to "
                f"{self.max_difference:.2g} (allowed {tolerance:g}). Nothing was written."
            )

    @property
    def windows_cost(self) -> str | None:
        """What the fixed length alone changes, in words; None where nothing does."""
        if self.windows is None or (same := _agreement(self.before, self.windows)) == 1:
            return None
        return f"{100 * (1 - same):.1f} % of clips get another label by the fixed length alone"

    def _by_length(self) -> str:
        """The part of the loss of UA that is the fixed length's, in words."""
        if self.windows is None:
            return ""
        part = 100 * (self._scores(self.before).ua - self._scores(self.windows).ua)
        return f", of which {part:.1f} by the fixed length alone (--seconds)"

    def summary(self) -> str:
        """The scores of both, or where there is no truth how often both say the same, in a sentence."""
        if self.clips.labels is None:
            return f"{100 * self.agreement:.1f} % of its labels are those of {self.before.name}."
        before, after = (100 * self._scores(answers).ua for answers in (self.before, self.after))
        return f"UA {after:.1f} %, of {self.before.name} {before:.1f} %."

    def table(self) -> str:
        """Before and after as a Markdown table."""
        rows = [self._row(self.before, None)]
        if self.windows is not None:
            rows.append(self._row(self.windows, self.before))
        return markdown([*rows, self._row(self.after, self.windows or self.before)])

    def _row(self, answers: Answers, other: Answers | None) -> dict[str, str]:
        row = {
            "file": answers.name,
            "kB": f"{answers.n_bytes / 1000:.0f}",
            "ms per 3 s": f"{answers.milliseconds:.2f}",
            "max Δp": "" if other is None else f"{_difference(other, answers):.1g}",
            "same label": "" if other is None else f"{100 * _agreement(other, answers):.1f} %",
        }
        if self.clips.labels is not None:
            scores = self._scores(answers)
            ends = scores.interval
            interval = f" [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]" if ends else ""
            row |= {"WA": f"{100 * scores.wa:.1f}", "UA": f"{100 * scores.ua:.1f}{interval}"}
        return row

    def _scores(self, answers: Answers) -> _Scores:
        truth, speakers = self.clips.labels, self.clips.speakers
        assert truth is not None
        said = np.array(self.labels)[answers.probabilities.argmax(axis=1)]
        counts = metrics.confusion(truth, said, self.labels)
        ends = None
        if speakers is not None and len(set(speakers)) > 1:
            ends = metrics.ua_interval(metrics.confusion_by(truth, said, self.labels, speakers))
        return _Scores(metrics.ua(counts), metrics.wa(counts), ends)


def asked(name: str, n_bytes: int, predict: Predict, clips: Clips) -> Answers:
    """Ask for every clip, and time one of 3 s."""
    probabilities = np.stack([predict(wave) for wave in clips.waves])
    return Answers(name, n_bytes, 1000 * median_seconds([partial(predict, clips.timed)] * _CALLS), probabilities)


def _difference(one: Answers, other: Answers) -> float:
    return float(np.abs(one.probabilities - other.probabilities).max())


def _agreement(one: Answers, other: Answers) -> float:
    same: Any = one.probabilities.argmax(axis=1) == other.probabilities.argmax(axis=1)
    return float(same.mean())
