"""Trials of a search and what came of them: as objects, as a table, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featkit.classifier import SERClassifier
from featkit.tables import markdown, percent, seconds
from featkit.tuning.words import word

OPTIMISM = (
    "The best score of a search is optimistic, because it was chosen on these very folds. An honest number comes from "
    "speakers that the search has not heard: a test set, or the whole search again inside each training fold (nested)."
)


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, with what they scored, or why they failed. Scores are 0 to 1; NaN after a failure."""

    settings: Mapping[str, Any]
    """As ``SERClassifier.set_params`` takes them: ``{"backend__C": 10}``."""
    features: str
    backend: str
    """Set and backend as the command line reads them: "svm:C=10,gamma=0.5,kernel=rbf"."""
    ua: float = math.nan
    ua_interval: tuple[float, float] | None = None
    """95 %, over speakers; None where they are not known."""
    wa: float = math.nan
    macro_f1: float = math.nan
    cpu_seconds: float = math.nan
    failure: str | None = None

    def summary(self) -> dict[str, Any]:
        """Settings and scores as plain data; None for what there is not."""
        low, high = self.ua_interval or (None, None)
        numbers = {"UA": self.ua, "WA": self.wa, "macro_F1": self.macro_f1, "cpu_seconds": self.cpu_seconds}
        scores = {name: None if math.isnan(number) else number for name, number in numbers.items()}
        return dict(self.settings) | {"UA_low": low, "UA_high": high} | scores | {"failure": self.failure}


@dataclass(frozen=True, eq=False)
class Tuning:
    """What a search has tried, and the best of it."""

    rows: tuple[Trial, ...]
    """Trials in the order they were made, the classifier's own settings first."""
    classifier: SERClassifier
    """A clone with the best settings, not fitted."""
    protocol: str
    """The folds, as in `featkit.Evaluation`."""
    planned: int
    """Trials that were meant; more than there are rows where Ctrl-C ended the search."""

    @property
    def ranked(self) -> list[Trial]:
        """Highest UA first, of equals the one tried first; failures last."""
        return sorted(self.rows, key=lambda row: math.inf if row.failure is not None else -row.ua)

    @property
    def best(self) -> Mapping[str, Any]:
        """The settings with the highest UA, for ``set_params``. That UA is optimistic: see `tune`."""
        return self.ranked[0].settings

    @property
    def interrupted(self) -> bool:
        """Whether the search ended before its plan."""
        return len(self.rows) < self.planned

    def table(self) -> list[dict[str, Any]]:
        """One row a trial, best first, as plain data."""
        return [row.summary() for row in self.ranked]

    def report(self, top: int = 20) -> str:
        """The ``top`` trials as a Markdown table, best first, the reasons of failures, and how far to trust them."""
        failed = [row for row in self.rows if row.failure is not None]
        good = self.ranked[: len(self.rows) - len(failed)]
        title = (
            f"{len(self.rows)} trials{f' of {self.planned}, then interrupted' if self.interrupted else ''}, "
            f"{self.protocol}{'' if good[0].ua_interval is None else '; UA with 95 % interval over speakers'}"
        )
        parts = [title, markdown([_cells(row) for row in good[:top]])]
        if len(good) > top:
            parts.append(f"… and {len(good) - top} more.")
        if failed:
            reasons = [f"  {told(row.settings)}: {row.failure}" for row in failed]
            parts.append("\n".join([f"{len(failed)} of {len(self.rows)} trials failed:", *reasons]))
        return "\n\n".join([*parts, OPTIMISM])


def told(settings: Mapping[str, Any]) -> str:
    """Settings in a line."""
    return ", ".join(f"{name.removeprefix('backend__')}={word(value)}" for name, value in settings.items())


def _cells(row: Trial) -> dict[str, str]:
    """One row of the Markdown table, in percent, as `featkit.benchmark.report` writes them."""
    scores = {
        "WA": percent(row.wa),
        "UA": percent(row.ua, row.ua_interval),
        "macro-F1": percent(row.macro_f1),
        "CPU s": seconds(row.cpu_seconds),
    }
    return {name.removeprefix("backend__"): word(value) for name, value in row.settings.items()} | scores
