"""What an operator may know of the server, as Prometheus reads it: how many, how long, how much. Nothing of a clip.

The text is version 0.0.4 of the exposition format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds, upper ends of the histogram: a short clip takes milliseconds, and an answer by default 30 s at most."""


class Counts:
    """What has been counted since the start. Used inside one event loop, so nothing need be locked."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._refused: Counter[str] = Counter()
        self._audio: defaultdict[str, float] = defaultdict(float)
        self._answers: defaultdict[str, _Histogram] = defaultdict(_Histogram)

    def requested(self, method: str, route: str, status: str, code: str | None) -> None:
        """Count a request that has ended, and if it was refused, why."""
        self._requests[method, route, status] += 1
        if code is not None:
            self._refused[code] += 1

    def answered(self, route: str, seconds: float, answer: Mapping[str, Any]) -> None:
        """Count an answer about a clip, or about a batch, of which single rows may be refusals."""
        self._answers[route].add(seconds)
        for row in answer.get("results", [answer]):
            if "error" in row:
                self._refused[row["error"]["code"]] += 1
            else:
                self.heard(route, row["seconds"])

    def heard(self, route: str, seconds: float) -> None:
        """Count sound that was judged."""
        self._audio[route] += seconds

    def text(self, now: Mapping[str, float]) -> str:
        """All of it, and what is so ``now``: the gauges by name."""
        return "".join([*self._counters(), *self._histogram(), *_gauges(now)])

    def _counters(self) -> Iterator[str]:
        yield _head("featkit_requests_total", "counter", "Requests that have ended; 101 is a stream.")
        for (method, route, status), count in sorted(self._requests.items()):
            yield _row("featkit_requests_total", count, method=method, route=route, status=status)
        yield _head("featkit_refused_total", "counter", "Refused requests, streams and clips of a batch.")
        for code, count in sorted(self._refused.items()):
            yield _row("featkit_refused_total", count, code=code)
        yield _head("featkit_audio_seconds_total", "counter", "Sound that was judged.")
        for route, seconds in sorted(self._audio.items()):
            yield _row("featkit_audio_seconds_total", seconds, route=route)

    def _histogram(self) -> Iterator[str]:
        name = "featkit_answer_seconds"
        yield _head(name, "histogram", "From a complete request to its answer.")
        for route, answers in sorted(self._answers.items()):
            yield from answers.rows(name, route)


class _Histogram:
    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def rows(self, name: str, route: str) -> Iterator[str]:
        """A bucket holds those below it too."""
        for i, end in enumerate((*BUCKETS, "+Inf"), 1):
            yield _row(f"{name}_bucket", sum(self._counts[:i]), route=route, le=str(end))
        yield _row(f"{name}_sum", self._seconds, route=route)
        yield _row(f"{name}_count", sum(self._counts), route=route)


_GAUGES = {
    "featkit_streams": "Streams that are open.",
    "featkit_places": "Requests that may be worked on or wait.",
    "featkit_places_taken": "Requests that are worked on or wait.",
    "featkit_upload_bytes": "Uploads that are held in memory.",
    "process_resident_memory_bytes": "Resident memory of the server.",
}


def _gauges(now: Mapping[str, float]) -> Iterator[str]:
    for name, value in now.items():
        yield _head(name, "gauge", _GAUGES[name]) + _row(name, value)


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _row(name: str, value: float, **labels: str) -> str:
    """One line. No value of a label needs an escape: none of them comes from a client."""
    told = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{f'{{{told}}}' if told else ''} {value}\n"


def resident() -> dict[str, float]:
    """Bytes of memory that are in use, where the system tells it cheaply, which is on Linux."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return {}
    return {"process_resident_memory_bytes": pages * os.sysconf("SC_PAGE_SIZE")}
