"""What is answered about clips. Runs in a worker thread; knows nothing of HTTP but its refusals."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from featkit.audio import SAMPLE_RATE, Wave
from featkit.errors import FeatkitError, ModelError
from featkit.runtime import Model
from featkit.serve.clips import decode, unusable
from featkit.serve.limits import Limits
from featkit.serve.query import Wishes, bad_query
from featkit.serve.refusals import RequestError
from featkit.serve.uploads import files_of
from featkit.stream import Segment, sliding


class Answerer:
    """Labels clips with one model, within limits."""

    def __init__(self, model: Model, limits: Limits) -> None:
        self._model = model
        self._limits = limits

    def one(self, body: bytes, content_type: str, wishes: Wishes) -> dict[str, Any]:
        """The answer to a request with one clip."""
        files = files_of(body, content_type, 1, "/batch takes several.")
        return self._answer(*decode(files[0].content, self._limits.max_seconds), wishes)

    def many(self, body: bytes, content_type: str, wishes: Wishes) -> dict[str, Any]:
        """The answers to a form of clips, in their order. A bad one costs its own row; a raw body has no name."""
        files = files_of(body, content_type, self._limits.max_files)
        end = time.monotonic() + 0.8 * self._limits.timeout  # what is done by then is told, the rest is not begun
        left = self._limits.max_seconds
        rows: list[dict[str, Any]] = []
        for file in files:
            row: dict[str, Any] = {"name": file.name}
            try:
                if time.monotonic() > end:
                    raise RequestError(503, "timeout", "There was no time left for this clip; send fewer at once.")
                wave, quality = self._decoded(file.content, left)
                left -= wave.size / SAMPLE_RATE
                row |= self._answer(wave, quality, wishes)
            except RequestError as refusal:
                row["error"] = refusal.body()
            rows.append(row)
        return {"results": rows}

    def _decoded(self, content: bytes, left: float) -> tuple[Wave, list[str]]:
        """One of many clips, which share the seconds of a request."""
        most = self._limits.max_seconds
        try:
            return decode(content, left)
        except RequestError as refusal:
            if refusal.code != "too_long" or left == most:
                raise
            reason = f"With this clip the request would hold more than {most:g} s of audio; send it in another one."
            raise RequestError(413, "too_long", reason) from None

    def _answer(self, wave: Wave, quality: list[str], wishes: Wishes) -> dict[str, Any]:
        self._check_length(wave)
        try:
            proba = self._model.predict_proba([wave])[0]
            answer: dict[str, Any] = {
                "label": self._model.labels[int(proba.argmax())],
                "probabilities": self._by_label(proba),
                "seconds": round(wave.size / SAMPLE_RATE, 3),
                "quality": quality,
            }
            if wishes.hop is not None:
                answer["timeline"] = self._timeline(wave, wishes)
        except FeatkitError as error:
            raise error if isinstance(error, RequestError) else unusable(error) from None
        if wishes.peaks:
            answer["peaks"] = peaks(wave, wishes.peaks)
        return answer

    def _check_length(self, wave: Wave) -> None:
        """As the model checks it, but with advice that a client can follow."""
        least = self._model.recipe["min_samples"]
        if wave.size < least and not self._model.recipe["pad_short"]:
            there, needed = (f"{1000 * samples / SAMPLE_RATE:.4g} ms" for samples in (wave.size, least))
            reason = (
                f"The clip cannot be used: it has {there} and the model needs at least {needed}; send a longer one."
            )
            raise RequestError(422, "unusable", reason)

    def _by_label(self, proba: Any) -> dict[str, float]:
        return {label: round(float(p), 6) for label, p in zip(self._model.labels, proba, strict=True)}

    def _timeline(self, wave: Wave, wishes: Wishes) -> list[dict[str, Any]]:
        """One row a window."""
        assert wishes.hop is not None
        windows = 1 + max(0.0, (wave.size / SAMPLE_RATE - wishes.window) / wishes.hop)
        if windows > self._limits.max_windows:
            reason = f"The timeline has {windows:.0f} windows; the most is {self._limits.max_windows}."
            raise RequestError(422, "too_many_windows", f"{reason} Ask for a longer hop.")
        try:
            judged = sliding(self._model, wave, wishes.window, wishes.hop)
        except ModelError as error:  # the model needs longer windows
            raise bad_query(str(error)) from None
        return [self._row(window) for window in judged]

    def _row(self, window: Segment) -> dict[str, Any]:
        row: dict[str, Any] = {"start": round(window.start, 3), "end": round(window.end, 3)}
        if window.probabilities is None:
            return row | {"label": None, "reason": window.reason}
        best = self._model.labels[int(window.probabilities.argmax())]
        return row | {"label": best, "probabilities": self._by_label(window.probabilities)}


def peaks(wave: Wave, count: int) -> list[list[float]]:
    """Lowest and highest sample of ``count`` equal stretches, for drawing. (n,) -> (≤ count, 2)."""
    edges = np.linspace(0, wave.size, min(count, wave.size) + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(wave, edges), np.maximum.reduceat(wave, edges)
    return [[round(float(a), 3), round(float(b), 3)] for a, b in zip(low, high, strict=True)]
