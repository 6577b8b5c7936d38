"""A run from its first file to the joined tables, and every way to go on from an earlier one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from featkit.errors import DataError
from featkit.lock import locked
from featkit.parts.drive import Driver, Options, enter
from featkit.parts.folder import Folder, kept
from featkit.parts.join import join
from featkit.parts.ledger import Ledger, Notes
from featkit.parts.log import Log
from featkit.parts.output import Output
from featkit.parts.shape import Plain, Shape
from featkit.parts.work import Work
from featkit.settings import differing

_SETTINGS, _WHOLE = "settings.json", "whole"


@dataclass(frozen=True)
class Summary:
    """What became of the files of a command.

    Attributes
    ----------
    done, failed, skipped
        Files with a new row, without one, and with a row of an earlier run: together all that the command names.
    others
        Rows in the table of files that the command does not name.
    renamed
        Files of the command that seem to be among these, under another path, as ``a/x.wav`` and ``/data/a/x.wav``: they
        have the same name, size and time.
    failures
        The first few failures, one line each.
    failures_path
        The table of all of them, where there are any.
    """

    done: int
    failed: int
    skipped: int
    others: int
    renamed: int
    failures: Sequence[str]
    failures_path: Path


def run(
    files: Sequence[str | os.PathLike[str]], work: Work, settings: Mapping[str, Any], output: str | os.PathLike[str],
    options: Options | None = None, *, shape: Shape | None = None, notes: Notes | None = None,
) -> Summary:  # fmt: skip
    """Do the work on all files, beginning where an earlier run ended, and write its tables.

    Parameters
    ----------
    files
        Paths, in the order of the table.
    work
        Turns a file into a row.
    settings
        All that decides a row but the file, as JSON can hold it. Rows of other settings are never mixed with these.
    output
        ``*.parquet`` or ``*.csv``; the parts lie beside it in ``*.parts`` as long as it is not finished.
    options
        Default: one worker, no bar.
    shape
        How the rows stand in the table. Default: as they are.
    notes
        What is known of the files; columns of the work that it leaves to them.

    Raises
    ------
    DataError
        What is there was made with other settings or is no table of ours, another run is at work on it, the disk is
        full, or with ``strict`` a file failed. What is done stays.
    """
    tables = Output(Path(output), work, shape or Plain())
    with kept(tables.path):
        tables.path.parent.mkdir(parents=True, exist_ok=True)
    with locked(tables.lock, tables.path):
        ledger = Ledger((os.fspath(path) for path in files), notes or Notes())
        return _Run(ledger, tables, work, settings, options or Options()).all()


class _Run:
    def __init__(
        self, ledger: Ledger, output: Output, work: Work, settings: Mapping[str, Any], options: Options
    ) -> None:  # fmt: skip
        text = json.dumps(settings, sort_keys=True)
        self._settings, self._text, key = json.loads(text), text, hashlib.sha256(text.encode()).hexdigest()[:16]
        self._output, self._work, self._options, self._ledger = output, work, options, ledger
        self._folder = Folder(output.parts.absolute(), key)  # a worker elsewhere may stand in another folder

    def all(self) -> Summary:
        """From what is there to what should be there."""
        self._folder.sweep()
        if self._options.overwrite:
            self._folder.remove()
            self._output.remove()
        self._refuse_others()
        begun = self._folder.path.exists()
        # Once all rows of a finished table are parts as well, it is not looked at any more.
        finished = self._output.path.exists() and not (self._folder.path / _WHOLE).exists()
        self._look_up(finished)
        todo = self._todo()
        log = Log(self._options.log, len(self._ledger.files), len(todo))
        try:
            summary = self._done(finished, begun, todo, log)
        except BaseException as error:
            log.end(error=" ".join(str(error).split()) or type(error).__name__)
            raise
        log.end(summary={"done": summary.done, "failed": summary.failed, "skipped": summary.skipped})
        return summary

    def _done(self, finished: bool, begun: bool, todo: Sequence[int], log: Log) -> Summary:
        ledger = self._ledger
        if finished and not (begun or todo or ledger.forgotten or ledger.renoted):
            return self._summary(len(ledger.sources))
        self._prepare(finished)
        old = len(ledger.sources)
        Driver(ledger, self._folder, self._work, self._options, log).do(todo)
        join(ledger, self._output, self._settings)
        self._folder.remove()
        return self._summary(old)

    def _refuse_others(self) -> None:
        places = [(self._output.path, self._output.settings())]
        if self._folder.path.exists():
            places.append((self._folder.path, self._begun()))
        for path, found in places:
            if found == {}:
                raise DataError(f"{path}: is there and not of this command; name another output, or say --overwrite.")
            if found is not None and json.dumps(found, sort_keys=True) != self._text:
                raise DataError(
                    f"{path}: was made with other settings: {differing(self._settings, found)}. Give the same ones, "
                    "name another output, or begin anew with --overwrite."
                )

    def _begun(self) -> Any:
        """Settings of the parts; None if a run ended before it wrote them, and so before the first part."""
        try:
            return json.loads((self._folder.path / _SETTINGS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}

    def _look_up(self, finished: bool) -> None:
        """Enter all rows that are there."""
        first = 0
        if finished:
            self._output.check()
            for rows in self._output.keys(self._ledger.notes.columns):
                self._ledger.add(None, rows, first)
                first += len(rows)
        enter(self._folder, self._ledger)

    def _todo(self) -> list[int]:
        """Files without a row, and those whose row tells of something else."""
        ledger = self._ledger
        named = range(len(ledger.files))
        known = [i for i in named if ledger.known(i)]
        again = {i for i in known if ledger.changed(i)}
        if known:
            changed = f"; {len(again)} changed since and are done again" if again else ""
            bad = sum(ledger.failed(i) for i in known)
            failed = f", {bad} failed" if bad else ""
            done = f"{len(known) - bad} of {len(named)} files were done before{failed}{changed}"
            self._options.tell(f"{self._output.path}: {done}.")
        if self._options.retry_failed:
            again |= set(ledger.bad())
        return [i for i in named if i in again or not ledger.known(i)]

    def _prepare(self, finished: bool) -> None:
        """Make the folder of parts, and parts of the rows that only the finished table holds."""
        folder = self._folder
        with kept(folder.path):
            folder.path.mkdir(exist_ok=True)
            folder.clear()
        folder.write(_SETTINGS, json.dumps(self._settings, indent=2))
        if finished:
            number, first = folder.next_number(), 0
            for rows in self._output.rows():
                stands = [self._ledger.stands(None, file, first + i) for i, file in enumerate(rows["file"].to_pylist())]
                if any(stands):
                    folder.commit(number, rows.filter(pa.array(stands)))
                number, first = number + 1, first + len(rows)
            enter(folder, self._ledger)
        folder.write(_WHOLE, "")

    def _summary(self, old: int) -> Summary:
        ledger = self._ledger
        named, failed = range(len(ledger.files)), sum(1 for _ in ledger.bad())
        done = sum(ledger.newer_than(i, old) and not ledger.failed(i) for i in named)
        return Summary(
            done, failed, len(named) - done - failed, ledger.others, ledger.renamed, self._output.some_failures(),
            self._output.failures_path,
        )  # fmt: skip
