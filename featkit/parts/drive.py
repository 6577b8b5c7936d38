"""Hands files out to workers until each has a row, whatever becomes of the workers."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from joblib import effective_n_jobs
from tqdm import tqdm

from featkit.errors import DataError
from featkit.parts.folder import Folder, read_part
from featkit.parts.ledger import Ledger
from featkit.parts.log import Log
from featkit.parts.pool import Reports, alone, cause_of_death, own_processes, runner
from featkit.parts.work import PART, FileError, Report, Task, Work, as_text, part_schema, stamp, trouble

WORTH = 15.0
"""Seconds of work for each worker that are worth its start: a second or two until it has imported what it needs."""

_MOST_FILES = 512


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes
    ----------
    n_jobs
        Workers; -1 for all cores. Any joblib engine serves (``joblib.parallel_config``).
    retry_failed
        Do again what failed in an earlier run.
    overwrite
        Begin anew, whatever is there.
    strict
        Stop at the first file that fails.
    timeout
        Seconds for one file.
    progress
        Show a bar with the time left.
    tell
        Is given what people should know before the work begins, a line at a time.
    log
        File to write lines of JSON to: start, progress, failures, end.
    """

    n_jobs: int = 1
    retry_failed: bool = False
    overwrite: bool = False
    strict: bool = False
    timeout: float = 600.0
    progress: bool = False
    tell: Callable[[str], None] = lambda line: None
    log: Path | None = None


class Driver:
    """Does files of a ledger; their rows are parts in the folder, and entered."""

    def __init__(self, ledger: Ledger, folder: Folder, work: Work, options: Options, log: Log) -> None:
        self._ledger, self._folder, self._work, self._options, self._log = ledger, folder, work, options, log
        self._files, self._seconds, self._reports, self._left = 0, 0.0, 0, 0
        self._bar: Any = None

    def do(self, files: Sequence[int]) -> None:
        """Give each file a row, good or bad.

        Raises
        ------
        DataError
            The disk is full, the workers do not live long enough for a file, or with ``strict`` one failed.
        """
        old, left, total = len(self._ledger.sources), list(files), len(self._ledger.files)
        with _bar(total, total - len(left), self._options.progress) as self._bar:
            while left:
                self._left = len(left)
                suspects = self._together(left)
                enter(self._folder, self._ledger)
                for path, seconds in suspects.items():
                    i = self._ledger.find(path)
                    if i is not None and not self._ledger.newer_than(i, old):
                        self._alone(i, seconds)
                enter(self._folder, self._ledger)
                before, left = left, [i for i in left if not self._ledger.newer_than(i, old)]
                self._bar.n = total - len(left)  # reports of tasks that were done when a worker died are lost
                if len(left) == len(before):
                    raise DataError(
                        "The workers end before they have done a file; there may be too little memory. Give fewer "
                        "--jobs; what is done stays."
                    )

    def _together(self, files: Sequence[int]) -> dict[str, float]:
        """Let the workers do the files. Returns what they had in hand if one of them died, and for how long."""
        rest, n = iter(files), self._options.n_jobs
        try:
            if own_processes() and effective_n_jobs(n) > 1:
                self._follow(alone(self._tasks(rest, until=self._is_long)))
            self._follow(runner(n)(self._tasks(rest)))
        except BrokenExecutor:
            return self._folder.in_hand()
        return {}

    def _is_long(self) -> bool:
        """Whether enough is left to be done for all workers that were asked for."""
        n = effective_n_jobs(self._options.n_jobs)
        each = self._seconds / self._files if self._reports > 1 else 0.0  # the first task also loads what it needs
        return bool(self._left * each >= n * WORTH)

    def _alone(self, i: int, seconds: float) -> None:
        """Do alone what a worker had in hand when it died: if that one dies of it too, this is the culprit."""
        path = self._ledger.files[i]
        reason, hint = f"took longer than {self._options.timeout:g} s", "give a longer --timeout, or leave it out"
        if seconds < self._options.timeout:
            try:
                self._follow(alone(self._tasks(iter([i]))))
                return
            except BrokenExecutor as error:
                if max(self._folder.in_hand().values(), default=0) < self._options.timeout:
                    reason = f"worker died: {cause_of_death(error)}"
                    hint = "it may be damaged or need too much memory; convert it, leave it out, or say --retry-failed"
        row = trouble(path, stamp(path), FileError("worker", reason, hint))
        self._folder.commit(self._folder.next_number(), pa.Table.from_pylist([row], part_schema(self._work)))
        self._count(Report(1, 0.0, 1, f"{as_text(path)}: {reason}"))

    def _follow(self, reports: Reports) -> None:
        with closing(reports):
            for report in reports:
                self._count(report)

    def _count(self, report: Report) -> None:
        if report.seconds:
            self._files, self._seconds, self._reports = report.files, report.seconds, self._reports + 1
        self._left -= report.files
        self._log.count(report)
        self._bar.update(report.files)
        if self._options.strict and report.first:
            raise DataError(f"{report.first}. This is the first failure (--strict); what is done stays.")

    def _tasks(self, files: Iterator[int], until: Callable[[], bool] = lambda: False) -> Iterator[Task]:
        """Tasks as long as files took so far; they are asked for one by one."""
        for number in itertools.count(self._folder.next_number()):
            paths = () if until() else tuple(self._ledger.files[i] for i in itertools.islice(files, self._in_a_part()))
            if not paths:
                return
            notes = tuple(map(self._ledger.notes.row, paths))
            yield Task(
                self._work, self._folder, number, paths, notes, os.getcwd(), self._options.strict,
                self._options.timeout, os.getpid(),
            )  # fmt: skip

    def _in_a_part(self) -> int:
        """How many files make a part, if they take as long as those of the last report."""
        if not self._files:
            return 1  # nobody knows how long it takes
        return max(1, min(_MOST_FILES, round(PART * self._files / max(self._seconds, 1e-3))))


def _bar(total: int, done: int, progress: bool) -> Any:
    """A bar, if it is wanted; also on a terminal that does not know its size, where tqdm alone shows nothing."""
    columns, rows = shutil.get_terminal_size() if progress and _is_sizeless() else (None, None)
    return tqdm(
        total=total, initial=done, unit="file", leave=False, disable=not progress, ncols=columns, nrows=rows
    )  # fmt: skip


def _is_sizeless() -> bool:
    try:
        return 0 in os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):  # no terminal
        return False


def enter(folder: Folder, ledger: Ledger) -> None:
    """Enter the parts that the ledger does not know yet."""
    for path in folder.parts(ledger.sources):
        ledger.add(path, read_part(path))
