"""What is answered about clips. Runs in a worker thread; knows nothing of HTTP but its refusals."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featkit.audio import SAMPLE_RATE, Wave
from featkit.errors import FeatkitError
from featkit.runtime import Model
from featkit.serve.clips import decode, unusable
from featkit.serve.limits import Limits
from featkit.serve.refusals import RequestError
from featkit.serve.uploads import files_of
from featkit.stream import sliding

WINDOW = 3.0
"""Seconds of a window of a timeline, where the client names no other."""

MAX_PEAKS = 4_000


@dataclass(frozen=True)
class Wishes:
    """What a client wants to know of a clip beside its label: the parameters of the query.

    Parameters
    ----------
    hop, window
        Seconds between the windows of a timeline, and the length of one; no timeline without ``hop``.
    peaks
        Into how many lowest and highest samples the waveform is drawn together; 0 for none.
    """

    hop: float | None = None
    window: float = WINDOW
    peaks: int = 0

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wishes:
        """Read them from a query; unknown names are refused, for they are spelling mistakes."""
        for name in query:
            if name not in ("hop", "window", "peaks"):
                raise RequestError(
                    400, "bad_query", "The query knows hop, window and peaks; another name stands in it."
                )
        window = number(query, "window", 0.1, 60, WINDOW)
        hop = number(query, "hop", 0.05, window) if "hop" in query else None  # a longer one would leave gaps
        return cls(hop, window, int(number(query, "peaks", 0, MAX_PEAKS)))


def number(query: Mapping[str, str], name: str, low: float, high: float, default: float = 0.0) -> float:
    """A number of a query within its bounds, or a refusal."""
    try:
        value = float(query.get(name, default))
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise RequestError(400, "bad_query", f"{name} must be a number from {low:g} to {high:g}.")
    return value


class Answerer:
    """Labels clips with one model, within limits."""

    def __init__(self, model: Model, limits: Limits) -> None:
        self._model = model
        self._limits = limits

    def one(self, body: bytes, content_type: str, wishes: Wishes) -> dict[str, Any]:
        """The answer to a request with one clip."""
        files = files_of(body, content_type, 1)
        return self._answer(decode(files[0].content, self._limits.max_seconds), wishes)

    def many(self, body: bytes, content_type: str, wishes: Wishes) -> dict[str, Any]:
        """The answers to a form of clips, in their order. A bad clip costs its own row."""
        files = files_of(body, content_type, self._limits.max_files)
        end = time.monotonic() + 0.8 * self._limits.timeout  # what is done by then is told, the rest is not begun
        left = self._limits.max_seconds
        rows: list[dict[str, Any]] = []
        for file in files:
            row: dict[str, Any] = {"name": file.name}
            try:
                if time.monotonic() > end:
                    raise RequestError(503, "timeout", "There was no time left for this clip; send fewer at once.")
                wave = decode(file.content, left)
                left -= wave.size / SAMPLE_RATE
                row |= self._answer(wave, wishes)
            except RequestError as refusal:
                row["error"] = refusal.body()
            rows.append(row)
        return {"results": rows}

    def _answer(self, wave: Wave, wishes: Wishes) -> dict[str, Any]:
        try:
            proba = self._model.predict_proba([wave])[0]
            answer: dict[str, Any] = {
                "label": self._model.labels[int(proba.argmax())],
                "probabilities": self._by_label(proba),
                "seconds": round(wave.size / SAMPLE_RATE, 3),
            }
            if wishes.hop is not None:
                answer["timeline"] = self._timeline(wave, wishes)
        except FeatkitError as error:
            raise error if isinstance(error, RequestError) else unusable(error) from None
        if wishes.peaks:
            answer["peaks"] = peaks(wave, wishes.peaks)
        return answer

    def _by_label(self, proba: Any) -> dict[str, float]:
        return {label: round(float(p), 6) for label, p in zip(self._model.labels, proba, strict=True)}

    def _timeline(self, wave: Wave, wishes: Wishes) -> list[dict[str, Any]]:
        """One row a window."""
        assert wishes.hop is not None
        windows = 1 + max(0.0, (wave.size / SAMPLE_RATE - wishes.window) / wishes.hop)
        if windows > self._limits.max_windows:
            reason = f"{windows:.0f} windows are more than the {self._limits.max_windows} that are allowed."
            raise RequestError(422, "too_many_windows", f"{reason} Ask for a longer hop.")
        rows = []
        for segment in sliding(self._model, wave, wishes.window, wishes.hop):
            row: dict[str, Any] = {"start": round(segment.start, 3), "end": round(segment.end, 3)}
            if segment.probabilities is None:
                row |= {"label": None, "reason": segment.reason}
            else:
                best = self._model.labels[int(segment.probabilities.argmax())]
                row |= {"label": best, "probabilities": self._by_label(segment.probabilities)}
            rows.append(row)
        return rows


def peaks(wave: Wave, count: int) -> list[list[float]]:
    """Lowest and highest sample of ``count`` equal stretches, for drawing. (n,) -> (≤ count, 2)."""
    edges = np.linspace(0, wave.size, min(count, wave.size) + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(wave, edges), np.maximum.reduceat(wave, edges)
    return [[round(float(a), 3), round(float(b), 3)] for a, b in zip(low, high, strict=True)]
