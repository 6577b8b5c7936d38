"""What a run says to programs: a line of JSON at its start, its end, every ten seconds, and for failures."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from featkit.parts.folder import kept
from featkit.parts.work import Report

EVERY = 10.0
"""Seconds between two lines of progress."""

MOST = 10
"""Failures that are told between two lines of progress; the others are counted there."""


class Log:
    """Writes to a file, or nowhere. Lines of an earlier run stay above."""

    def __init__(self, path: Path | None, total: int, todo: int) -> None:
        self._file: Any = None
        if path is not None:
            with kept(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  closed in `end`
        self._begun = self._told = time.monotonic()
        self._todo, self._done, self._failed, self._warned, self._silent = todo, 0, 0, 0, 0
        self._write("start", files=total, todo=todo, skipped=total - todo)

    def count(self, report: Report) -> None:
        """Take in what came of a task."""
        self._done += report.files - report.failed
        self._failed += report.failed
        if report.first is not None and self._warned < MOST:
            self._warned += 1
            self._write("warning", first=report.first, failed=report.failed)
        else:
            self._silent += report.failed
        if time.monotonic() - self._told >= EVERY:
            self._told, self._warned = time.monotonic(), 0
            self._write("progress", **self._speed(), warnings_left_out=self._silent)

    def end(self, **summary: Any) -> None:
        """Tell of the end: what became of the files, or the error."""
        self._write("end", **summary, **self._speed(), warnings_left_out=self._silent)
        if self._file:
            self._file.close()

    def _speed(self) -> dict[str, Any]:
        seconds = time.monotonic() - self._begun
        tried = self._done + self._failed
        left = (self._todo - tried) * seconds / tried if tried else None
        return {
            "done": self._done, "failed": self._failed, "seconds": round(seconds, 3),
            "files_per_second": round(tried / max(seconds, 1e-3), 2), "seconds_left": left and round(left, 1),
        }  # fmt: skip

    def _write(self, event: str, **fields: Any) -> None:
        if self._file:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._file.write(json.dumps({"time": now, "event": event} | fields, ensure_ascii=False) + "\n")
