"""Trials on disk, so that a search that is killed goes on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from featkit.errors import DataError
from featkit.features.base import Features
from featkit.tables import csv_line
from featkit.tuning.trials import Trial


@dataclass(frozen=True)
class _Record:
    """One line of a `TrialFile`."""

    data: str
    folds: str
    features: str
    backend: str
    UA: float | None
    UA_low: float | None
    UA_high: float | None
    WA: float | None
    macro_F1: float | None  # noqa: N815 - named as in every summary
    cpu_seconds: float | None
    failure: str | None


@dataclass(frozen=True)
class TrialFile:
    """Trials on disk, one line each, so that a search that is killed loses at most one.

    ``data`` and ``folds`` say what the scores stand for, and every line repeats them: trials of other data or folds
    cannot be compared, so a file that holds such is refused.
    """

    path: Path
    """*.jsonl or *.csv."""
    data: str
    folds: str

    def append(self, trial: Trial) -> None:
        """Write one trial to the end."""
        scores = {name: value for name, value in trial.summary().items() if name not in trial.settings}
        record = asdict(_Record(self.data, self.folds, trial.features, trial.backend, **scores))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            if self._is_csv:
                head = "" if file.tell() else csv_line(record)
                file.write(head + csv_line("" if value is None else value for value in record.values()))
            else:
                file.write(json.dumps(record) + "\n")

    def read(self) -> list[Trial]:
        """The trials so far, without their ``settings``; none where there is no file.

        Half a line at the end, which is what a killed search may leave, is cut off.

        Raises
        ------
        DataError
            The file is something else, or its trials were made on other data or folds.
        """
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            records = self._records(whole.decode("utf-8"))
        except (ValueError, TypeError, csv.Error):
            records = []
        if content and not records:
            raise DataError(f"{self.path}: is no file of trials that featkit tune wrote; give another name.")
        for record in records:
            for what, theirs, ours in (("data", record.data, self.data), ("folds", record.folds, self.folds)):
                if theirs != ours:
                    raise DataError(
                        f"{self.path}: holds trials on other {what} ({theirs}) than this search ({ours}); give another "
                        "name, or the same settings as before."
                    )
        if len(whole) < len(content):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        return [_trial(record) for record in records]

    @property
    def _is_csv(self) -> bool:
        if self.path.suffix not in (".jsonl", ".csv"):
            raise DataError(f"{self.path}: trials are kept as *.jsonl or *.csv.")
        return self.path.suffix == ".csv"

    def _records(self, text: str) -> list[_Record]:
        if not self._is_csv:
            return [_Record(**json.loads(line)) for line in text.splitlines()]
        numbers = {name for name, kind in _Record.__annotations__.items() if kind == "float | None"}

        def value(name: str, cell: str) -> Any:
            return None if cell == "" else float(cell) if name in numbers else cell

        rows = csv.DictReader(io.StringIO(text), strict=True)
        return [_Record(**{name: value(name, cell) for name, cell in row.items()}) for row in rows]


def _trial(record: _Record) -> Trial:
    ua, wa, macro_f1, cpu_seconds = (
        math.nan if number is None else number for number in (record.UA, record.WA, record.macro_F1, record.cpu_seconds)
    )
    ends = None if record.UA_low is None or record.UA_high is None else (record.UA_low, record.UA_high)
    return Trial({}, record.features, record.backend, ua, ends, wa, macro_f1, cpu_seconds, record.failure)


def digest(clips: Sequence[Features], y: Any, speakers: Any) -> str:
    """Hash of extracted features, labels and speakers, 16 hex digits: scores on another one cannot be compared."""
    content = hashlib.sha256(
        json.dumps([list(map(str, y)), speakers is not None and list(map(str, speakers))]).encode()
    )
    for clip in clips:
        content.update(f"{clip.spec_hash} {clip.view} {clip.values.shape} {clip.augment}".encode())
        content.update(clip.values.tobytes())
    return content.hexdigest()[:16]
