"""Two rows side by side, and a row made again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from featkit import metrics
from featkit.benchmark.rows import Made, Row
from featkit.errors import DataError
from featkit.scores import Evaluation


@dataclass(frozen=True)
class Comparison:
    """UA of a second evaluation less that of a first, on the clips that both judged."""

    difference: metrics.Difference
    clips: int
    speakers: int
    left_out: int = 0
    """Clips that only one of the two could use."""

    def __str__(self) -> str:
        found, low, high = map(_points, (self.difference.ua, *self.difference.interval))
        more = f"; {self.left_out} clips that only one could use left out" if self.left_out else ""
        return (
            f"difference of UA {found} [{low}, {high}] points, p = {self.difference.p:.2g} "
            f"(over {self.speakers} speakers, {self.clips} clips{more})"
        )


def _points(value: float) -> str:
    """A share as points, with so many digits that only what is 0 is told as 0."""
    points = 100 * value
    return next((text for text in (f"{points:+.1f}", f"{points:+.2f}") if float(text)), f"{points:+.1f}")


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """UA of ``second`` less that of ``first`` over speakers. See `featkit.metrics.ua_difference`.

    Raises
    ------
    DataError
        They do not judge the same clips, or speakers are not known.
    """
    if first.speakers is None or second.speakers is None:
        raise DataError("A comparison draws speakers; evaluate on a corpus that knows them.")
    shared, here, there = np.intersect1d(first.places, second.places, return_indices=True)
    columns = ((first.y_true, second.y_true), (first.speakers, second.speakers))
    if not len(shared) or any(a[here].astype(str).tolist() != b[there].astype(str).tolist() for a, b in columns):
        raise DataError("The two were not measured on the same clips: labels or speakers differ.")
    labels = sorted({str(label) for label in (*first.labels, *second.labels)})
    speakers = first.speakers[here]

    def counts(told: Evaluation, at: Any) -> Any:
        return metrics.confusion_by(told.y_true[at], told.y_pred[at], labels, speakers)

    difference = metrics.ua_difference(counts(first, here), counts(second, there))
    left_out = len(first.places) + len(second.places) - 2 * len(shared)
    return Comparison(difference, len(shared), len(np.unique(speakers)), left_out)


def compare_rows(first: Row, second: Row) -> Comparison:
    """The same of two rows, which must be of the same data and protocol.

    Raises
    ------
    DataError
        They are not.
    """
    told = {
        "data": [f"{row.corpus} ({row.data})" for row in (first, second)],
        "protocol": [row.evaluation.protocol for row in (first, second)],
    }
    for what, (one, other) in told.items():
        if one != other:
            raise DataError(
                f"The rows are of different {what} ({one} and {other}), so their scores say nothing of each other; "
                "compare rows that share corpus and protocol."
            )
    return compare(first.evaluation, second.evaluation)


Verdict = Literal["REPRODUCED", "WITHIN INTERVAL", "NOT REPRODUCED"]


@dataclass(frozen=True)
class Verification:
    """A row beside the same measured again."""

    verdict: Verdict
    differences: list[str] = field(default_factory=list)
    """What is not as it was, in words."""


def verify(row: Row, again: Row) -> Verification:
    """Judge a repetition: the same labels clip by clip, or a UA inside the interval of the row, or neither."""
    differences = [*_state(row, again)]
    theirs, ours = row.evaluation, again.evaluation
    before = dict(zip(row.files, theirs.y_pred.astype(str), strict=True)) if row.files else {}
    now = dict(zip(again.files, ours.y_pred.astype(str), strict=True)) if row.files else {}
    if row.files and before.keys() != now.keys():
        differences.append(f"clips: {len(before.keys() - now.keys())} are gone, {len(now.keys() - before.keys())} new")
    changed = sum(before[name] != now[name] for name in before.keys() & now.keys())
    if changed:
        differences.append(f"labels: {changed} of {len(before)} clips are judged otherwise")
    if round(ours.ua, 4) != round(theirs.ua, 4):
        differences.append(f"UA: {100 * theirs.ua:.1f} % was, {100 * ours.ua:.1f} % is")
    if row.data != again.data:
        return Verification("NOT REPRODUCED", differences)
    if before == now and before:
        return Verification("REPRODUCED", differences)
    low, high = theirs.ua_interval or (theirs.ua, theirs.ua)
    return Verification("WITHIN INTERVAL" if low <= ours.ua <= high else "NOT REPRODUCED", differences)


def _state(row: Row, again: Row) -> list[str]:
    told = []
    if row.data != again.data:
        told.append(f"data: hash {row.data} was, {again.data} is: other recordings, labels or speakers")
    if row.evaluation.protocol != again.evaluation.protocol:
        told.append(f"protocol: {row.evaluation.protocol} was, {again.evaluation.protocol} is")
    if row.made.code != again.made.code:
        told.append(f"code: hash {row.made.code} was, {again.made.code} is")
    return told + [f"version: {line}" for line in _versions(row.made, again.made)]


def _versions(before: Made, now: Made) -> list[str]:
    told = []
    for name in sorted(before.versions.keys() | now.versions.keys()):
        one, other = (made.versions.get(name, "none") for made in (before, now))
        if one != other:
            told.append(f"{name} {one} was, {other} is")
    return told
