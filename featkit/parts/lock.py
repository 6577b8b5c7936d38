"""One run at a time on one output: a lock that dies with its process, however that ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featkit.errors import DataError
from featkit.parts.folder import kept

if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, what: Path) -> Iterator[None]:
    """Hold the file ``path`` locked; it is there only as long as it is held.

    Raises
    ------
    DataError
        Another run holds it: that one works on ``what``.
    """
    handle = _held(path, what)
    try:
        yield
    finally:
        if sys.platform != "win32":  # there an open file cannot be removed
            path.unlink(missing_ok=True)
        os.close(handle)


def _held(path: Path, what: Path) -> int:
    while True:
        with kept(what):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(handle)
        except OSError:
            os.close(handle)
            raise DataError(
                f"{what}: another run is at work on it; wait for its end, or name another output."
            ) from None
        if _is_still(handle, path):
            return handle
        os.close(handle)  # its holder removed it between our two calls


def _is_still(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
