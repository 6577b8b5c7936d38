"""Parquet that shows damage: the footer holds the size and the hash of all bytes of the file. A leaf."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.parquet as parquet

_KEY = b"featkit_seal"
_BLANK = b"0" * 64 + b":" + b"0" * 20
_SEAL = re.compile(re.escape(_KEY) + rb".{1,3}?([0-9a-f]{64}:\d{20})", re.DOTALL)


class SealedWriter:
    """Writes Parquet with its seal: ``SHA-256:size`` in the footer, of the bytes with zeros in place of the seal.

    Whatever reads Parquet reads the file; who rewrites it leaves the seal out, and so shows that it is another file.
    """

    def __init__(self, path: Path, schema: pa.Schema, metadata: Mapping[str, str]) -> None:
        self._path, self._file = path, _Hashing(path)
        # Where few values are many times the same: speakers, labels. Of numbers hardly any comes twice.
        words = [field.name for field in schema if pa.types.is_string(field.type)]
        schema = schema.with_metadata(metadata)
        self._writer = parquet.ParquetWriter(self._file, schema, compression="zstd", use_dictionary=words)

    def write(self, rows: pa.Table) -> None:
        """Write rows as row groups of their own."""
        self._writer.write_table(rows)

    def close(self) -> None:
        """Write the footer, and the seal into it."""
        self._writer.add_key_value_metadata({_KEY: _BLANK})
        self._writer.close()
        self._file.close()
        with open(self._path, "rb+") as file:
            file.seek(_place(file))
            file.write(b"%s:%020d" % (self._file.digest.hexdigest().encode(), self._path.stat().st_size))


def state(path: Path) -> Literal["whole", "damaged", "other"]:
    """Whether a file is, bit for bit, what `SealedWriter` wrote; "other" if another program wrote or rewrote it.

    Reads the whole file, at 1 to 2 GB a second.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not _ends_as_parquet(file, size):
            return "damaged"
        place = _place(file)
        if place < 0:
            return "other"
        file.seek(place)
        told, _, length = file.read(len(_BLANK)).decode().partition(":")
        if int(length) != size:
            return "other"
        return "whole" if told == _digest(file, place) else "damaged"


def _digest(file: BinaryIO, place: int) -> str:
    """The hash of a file whose seal at ``place`` is taken for zeros."""
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(min(1 << 20, place - file.tell())):
        digest.update(piece)
    digest.update(_BLANK)
    file.seek(place + len(_BLANK))
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _ends_as_parquet(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - 4))
    return size > 12 and file.read() == b"PAR1"


def _place(file: BinaryIO) -> int:
    """Where the seal stands; -1 if there is none."""
    size = os.fstat(file.fileno()).st_size
    file.seek(size - 8)
    footer = min(size, 8 + int.from_bytes(file.read(4), "little"))
    file.seek(size - footer)
    found = list(_SEAL.finditer(file.read()))
    return size - footer + found[-1].start(1) if found else -1


class _Hashing:
    """A new file that hashes what is written to it; for pyarrow, as much of a file as it asks for."""

    def __init__(self, path: Path) -> None:
        self._file, self.digest = open(path, "wb"), hashlib.sha256()  # noqa: SIM115  closed by who writes to it

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed
