"""The folder of parts beside an output, and the rules by which a part is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from featkit.errors import DataError

_KEY = b"settings"
_DRAFT = ".draft"
_HAND = ".inhand"


@dataclass(frozen=True)
class Folder:
    """Parts of rows that were made with the same settings.

    A part is an Arrow file called ``NUMBER-HASH.arrow``. The hash is of its content, so that a part which lost
    some of it (power, disk) is known as such; the number says which of two parts is newer.
    """

    path: Path
    key: str
    """Hash of the settings. Parts of others, left by a worker that outlived its run, are not looked at."""

    def commit(self, number: int, rows: pa.Table) -> Path:
        """Write a part: synced, then renamed. Returns its path.

        Raises
        ------
        DataError
            The disk is full or cannot be written.
        """
        rows = rows.combine_chunks().replace_schema_metadata({_KEY: self.key.encode()})
        draft = self.path / f"{number:08d}-{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}{_DRAFT}"
        with kept(self.path):
            try:
                with pa.OSFile(str(draft), "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
                    writer.write_table(rows)
                part = self.path / f"{number:08d}-{_hash(draft)}.arrow"
                replace_synced(draft, part)
            finally:
                draft.unlink(missing_ok=True)
        return part

    def parts(self, seen: Collection[Path | None] = ()) -> list[Path]:
        """Whole parts that were not seen yet, the newest last. What is damaged or of other settings is removed."""
        found = []
        for path in sorted(set(self.path.glob("*.arrow")) - set(seen)):
            if is_whole(path) and _key(path) == self.key:
                found.append(path)
            else:
                path.unlink()
        return found

    def next_number(self) -> int:
        """A number above that of every part."""
        return 1 + max((int(path.name.partition("-")[0]) for path in self.path.glob("*.arrow")), default=0)

    def clear(self) -> None:
        """Remove what an earlier run left half done. Nobody else may be at work here."""
        for pattern in (f"*{_DRAFT}", f"*{_HAND}"):
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)

    @contextmanager
    def hand(self) -> Iterator[Callable[[str], None]]:
        """Take down which file a worker has in hand, so that it is known if the worker dies."""
        who = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
        note = self.path / f"{who}{_HAND}"
        with kept(self.path), open(note, "wb", buffering=0) as file:

            def write(path: str) -> None:
                file.seek(0)  # written over, not anew: file systems flush a file that was cut to nothing, in 5 ms
                file.write(os.fsencode(path) + b"\0")

            yield write
        note.unlink(missing_ok=True)  # not where it is interrupted: what broke off here is worth knowing

    def in_hand(self) -> dict[str, float]:
        """Files that dead workers had in hand, with the seconds since they were taken. The notes are removed."""
        found = {}
        for note in self.path.glob(f"*{_HAND}"):
            found[os.fsdecode(note.read_bytes().partition(b"\0")[0])] = time.time() - note.stat().st_mtime
            note.unlink()
        found.pop("", None)  # died between making the note and writing it
        return found

    def write(self, name: str, text: str) -> None:
        """Write a small file, whole or not at all."""
        with kept(self.path):
            draft = self.path / f"{name}{_DRAFT}"
            draft.write_text(text, encoding="utf-8")
            replace_synced(draft, self.path / name)

    def remove(self) -> None:
        """Remove all parts: first from sight, so that no half of them is ever taken for the whole."""
        if self.path.is_dir():
            self.path.replace(self._old)
        self.sweep()

    def sweep(self) -> None:
        """Remove what a run left that ended while it removed its parts."""
        shutil.rmtree(self._old, ignore_errors=True)

    @property
    def _old(self) -> Path:
        return self.path.with_name(self.path.name + ".old")


def read_part(path: Path) -> pa.Table:
    """Rows of a part, mapped from disk rather than read."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


@contextmanager
def kept(where: Path) -> Iterator[None]:
    """Turn a failed write into one line that says what becomes of the work."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DataError(
            f"{where}: cannot be written: {reason}. What is done stays; mend that and give the same command again."
        ) from None


def replace_synced(draft: Path, target: Path) -> None:
    """Give a finished draft its name so that neither crash nor power loss can leave half of it under that name."""
    with open(draft, "rb+") as file:
        os.fsync(file.fileno())
    draft.replace(target)
    if os.name != "nt":
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def is_whole(part: Path) -> bool:
    """Whether each bit of a part is as it was written."""
    return part.stem.partition("-")[2] == _hash(part)


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _key(path: Path) -> str:
    with pa.memory_map(str(path)) as file:
        metadata: dict[bytes, bytes] = pa.ipc.open_file(file).schema.metadata or {}
        return metadata.get(_KEY, b"").decode()
