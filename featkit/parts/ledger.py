"""Which row of which part stands for which file."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from featkit.errors import DataError
from featkit.parts.work import as_text, stamp

_NONE = -1


@dataclass(frozen=True)
class Notes:
    """What is known of files besides what the work finds: columns of a row that the command gives.

    ``of`` holds a value for each of ``columns``, by path. New notes take the place of old ones without new work.
    """

    columns: tuple[str, ...] = ()
    of: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    def row(self, path: str) -> dict[str, str | None]:
        """The columns of one file; none, if nothing is noted of it."""
        return dict(zip(self.columns, self.of[path], strict=True)) if path in self.of else {}


class Ledger:
    """The files of a command, and where their rows are. Of two rows the one that was added later counts.

    Rows of files that the command does not name are known too, behind those it names: work is not thrown away.

    Attributes
    ----------
    files
        Paths, each once.
    sources
        Parts, or None for the finished output.
    notes
        What the command knows of its files.
    forgotten
        Failures of files that are named no longer.
    renoted
        Rows whose notes are not those of the command.
    """

    def __init__(self, files: Iterable[str], notes: Notes) -> None:
        self.files = list(dict.fromkeys(files))
        self.notes = notes
        self.sources: list[Path | None] = []
        self.forgotten = self.renoted = 0
        self._index: dict[str, int] = {}
        for i, path in enumerate(self.files):
            if self._index.setdefault(as_text(path), i) != i:
                raise DataError(f"{as_text(path)}: two files would have this name in the table; rename one of them.")
        n = len(self.files)
        self._source, self._row = array("l", [_NONE]) * n, array("l", [_NONE]) * n
        self._bytes, self._mtime = array("q", [_NONE]) * n, array("q", [_NONE]) * n
        self._failed = bytearray(n)

    def add(self, source: Path | None, rows: pa.Table, first: int = 0) -> None:
        """Take in rows of a source, which are its ``first`` and those that follow."""
        if self.sources[-1:] != [source]:
            self.sources.append(source)
        at = len(self.sources) - 1
        failed = rows["reason"].is_valid().to_pylist()
        columns = [rows[name].to_pylist() for name in ("file", "bytes", "mtime_ns")]
        noted = [rows[name].to_pylist() for name in self.notes.columns]
        for row, (file, size, mtime, bad) in enumerate(zip(*columns, failed, strict=True), first):
            i = self._index.get(file)
            if i is not None and not bad and noted:
                old = tuple(column[row - first] for column in noted)
                self.renoted += self.notes.of.get(self.files[i], old) != old if i < len(self.files) else 0
            if i is None and bad:
                self.forgotten += 1
                continue
            if i is None:
                i = self._new(file)
            self._source[i], self._row[i], self._failed[i] = at, row, bad
            self._bytes[i], self._mtime[i] = (_NONE if value is None else value for value in (size, mtime))

    def _new(self, file: str) -> int:
        self._index[file] = len(self._source)
        for column in (self._source, self._row, self._bytes, self._mtime):
            column.append(_NONE)
        self._failed.append(0)
        return self._index[file]

    def known(self, i: int) -> bool:
        """Whether there is a row of file ``i``."""
        return self._source[i] != _NONE

    def changed(self, i: int) -> bool:
        """Whether file ``i`` is another than the one its row tells of."""
        return tuple(_NONE if value is None else value for value in stamp(self.files[i])) != (
            self._bytes[i], self._mtime[i],
        )  # fmt: skip

    def failed(self, i: int) -> bool:
        """Whether file ``i`` gave no row."""
        return bool(self._failed[i])

    def newer_than(self, i: int, source: int) -> bool:
        """Whether the row of file ``i`` comes from a source behind the first ``source``."""
        return self._source[i] >= source

    def stands(self, source: Path | None, file: str, row: int) -> bool:
        """Whether this row of this source is what stands for a file."""
        i = self._index.get(file)
        return i is not None and self.known(i) and (self.sources[self._source[i]], self._row[i]) == (source, row)

    def place(self, i: int) -> tuple[int, int]:
        """Source and row of file ``i``."""
        return self._source[i], self._row[i]

    def find(self, path: str) -> int | None:
        """Number of a file."""
        return self._index.get(as_text(path))

    def good(self) -> Iterator[int]:
        """Files with a row, in the order of the table."""
        return (i for i in range(len(self._source)) if self.known(i) and not self._failed[i])

    def bad(self) -> Iterator[int]:
        """Files that gave no row, in the order of the table."""
        return (i for i in range(len(self.files)) if self._failed[i])

    @property
    def others(self) -> int:
        """Rows of files that the command does not name."""
        return sum(self._source[i] != _NONE for i in range(len(self.files), len(self._source)))

    @property
    def renamed(self) -> int:
        """Files that the command names and that seem to be among the others, too: under another path."""
        n = len(self.files)
        others = {self._state(path, i) for path, i in self._index.items() if i >= n and self.known(i)}
        return sum(self._state(path, i) in others for path, i in self._index.items() if i < n) if others else 0

    def _state(self, path: str, i: int) -> tuple[str, int, int]:
        return os.path.basename(path), self._bytes[i], self._mtime[i]
