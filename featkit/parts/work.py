"""What a worker does: a few files in hand one after the other, their rows kept as a part."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from featkit.errors import FeatkitError, ModelError, PluginError
from featkit.parts.folder import Folder
from featkit.parts.lifetime import limited, settle

KEYS = pa.schema([("file", pa.string()), ("bytes", pa.int64()), ("mtime_ns", pa.int64())])
"""What says of which state of which file a row is."""

TROUBLE = pa.schema([("stage", pa.string()), ("reason", pa.string()), ("hint", pa.string())])
"""Why there is no row of a file; null where there is one."""

PART = 2.0
"""Seconds of work in a part: what a worker repeats at most after a crash, but for a file that takes longer."""

MOST_VALUES = 1 << 22
"""Numbers that are held before they are written, 16 to 32 MB."""


class FileError(FeatkitError):
    """A file that gives no row: the stage it failed in, the reason, and what to do."""

    def __init__(self, stage: str, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.stage, self.reason, self.hint = stage, reason, hint

    @classmethod
    def of(cls, stage: str, error: FeatkitError, where: str) -> FileError:
        """What a message of featkit says in two cells: what is, without the name, and what to do, which comes last."""
        text = str(error).removeprefix(f"{where}: ").rstrip(".")
        end = max(text.rfind(". "), text.rfind("; "))
        return cls(stage, text) if end < 0 else cls(stage, text[:end], text[end + 2 :])


def reading_stage(path: str) -> str:
    """The stage in which a file fails that cannot be read: "decode" if that lies in what it holds, else "open"."""
    opens = os.path.isfile(path) and os.access(path, os.R_OK) and os.path.getsize(path) > 0
    return "decode" if opens else "open"


class Rows(Protocol):
    """What the rows of files look like."""

    @property
    def schema(self) -> pa.Schema:
        """Columns of a row, without those of `KEYS`."""

    @property
    def detail(self) -> str | None:
        """Column of lists of structs that becomes a table of its own; in the main one stands their number.

        Also named where ``schema`` is without it: that says whose table an earlier run may have left.
        """


class Work(Rows, Protocol):
    """What is done with a file. It is pickled; what is costly to make is to be made once a process."""

    def __call__(self, path: str) -> Mapping[str, Any]:
        """The row of one file, or `FileError`."""


@dataclass(frozen=True)
class Task:
    """Files for one worker."""

    work: Work
    folder: Folder
    number: int
    files: tuple[str, ...]
    notes: tuple[Mapping[str, Any], ...]
    """Of each file."""
    root: str
    """Folder from which relative paths start: a worker elsewhere may stand in another one."""
    strict: bool
    """Stop at the first file that fails."""
    timeout: float
    """Seconds for one file; a worker that takes longer ends itself."""
    home: int
    """Process that hands the tasks out."""


@dataclass(frozen=True)
class Report:
    """What came of a task: files that were done, seconds, how many of them failed, and the first failure."""

    files: int
    seconds: float
    failed: int = 0
    first: str | None = None


def part_schema(work: Rows) -> pa.Schema:
    """Columns of a part."""
    return pa.schema([*KEYS, *TROUBLE, *work.schema])


def widths(schema: pa.Schema) -> dict[str, int]:
    """Numbers in an item of each column of lists: how long the lists are decides what a row weighs."""
    return {field.name: _width(field.type.value_type) for field in schema if _is_list(field.type)}


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _width(kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    return int(kind.num_fields) if pa.types.is_struct(kind) else 1


def do(task: Task) -> Report:
    """Do a task and keep what came of it."""
    settle(task.home)
    begun, count, failures, rows = time.perf_counter(), 0, list[str](), _Rows(task)
    with task.folder.hand() as in_hand:
        for path, note in zip(task.files, task.notes, strict=True):
            in_hand(path)
            with limited(task.home, task.timeout):
                row = row_of(task.work, path, task.root)
            rows.add({**row, **note})
            count += 1
            if row["reason"] is not None:
                failures.append(f"{row['file']}: {row['reason']}")
                if task.strict:
                    break
        rows.commit()
    return Report(count, time.perf_counter() - begun, len(failures), failures[0] if failures else None)


class _Rows:
    """Rows of a task until they are kept: at its end, or when they become too much to be held or to be lost."""

    def __init__(self, task: Task) -> None:
        self._task, self._rows, self._weight, self._since = task, list[Mapping[str, Any]](), 0, time.monotonic()
        self._schema, self._lists = part_schema(task.work), widths(task.work.schema)

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        lists = (len(row[name]) * width for name, width in self._lists.items() if row.get(name) is not None)
        self._weight += len(self._schema) + sum(lists)
        if self._weight > MOST_VALUES or time.monotonic() - self._since > 1.5 * PART:  # a task is about one PART
            self.commit()

    def commit(self) -> None:
        if self._rows:
            self._task.folder.commit(self._task.number, pa.Table.from_pylist(self._rows, self._schema))
        self._rows, self._weight, self._since = [], 0, time.monotonic()


def row_of(work: Work, path: str, root: str) -> dict[str, Any]:
    """The row of one file as a part holds it: what came of it, or why nothing did."""
    place = os.path.join(root, path)
    before = stamp(place)
    try:
        row = dict(work(place))
        if stamp(place) != before:
            raise FileError("open", "the file changed while it was read", "give the same command again")
    except FileError as failure:
        return trouble(path, before, failure)
    except (ModelError, PluginError):  # not the fault of this file
        raise
    except Exception as error:  # one file costs one row, whatever a decoder or a model makes of it
        return trouble(path, before, FileError("model", f"{type(error).__name__}: {' '.join(str(error).split())}"))
    return {**_keys(path, before), **dict.fromkeys(TROUBLE.names), **row}


def trouble(path: str, of: tuple[int | None, int | None], failure: FileError) -> dict[str, Any]:
    """The row of a file that gave none."""
    told = (failure.stage, failure.reason, failure.hint)
    return _keys(path, of) | dict(zip(TROUBLE.names, map(as_text, told), strict=True))


def stamp(path: str) -> tuple[int | None, int | None]:
    """Size and time of change of a file, ns: another stamp is another content. None where there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None, None
    return found.st_size, max(-(1 << 63), min(found.st_mtime_ns, (1 << 63) - 1))


def as_text(name: str) -> str:
    r"""A name as tables can hold it: a byte that is no UTF-8 is written out.

    Examples
    --------
    >>> as_text("caf\udce9.wav")
    'caf\\udce9.wav'
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return name.encode("utf-8", "backslashreplace").decode()
    return name  # the same object: of millions of names one is kept


def _keys(path: str, of: tuple[int | None, int | None]) -> dict[str, Any]:
    return {"file": as_text(path), "bytes": of[0], "mtime_ns": of[1]}
