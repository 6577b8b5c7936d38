"""One run at a time on one output: a lock that dies with its process, however that ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featkit.errors import DataError
from featkit.files import writing

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
    """Hold the file ``path`` locked; it is there only as long as it is held, but on Windows, where it stays, empty.

    Raises
    ------
    DataError
        Another run holds it: that one works on ``what``. Or the disk has no locks.
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
        with writing(what):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(handle)
        except OSError as error:
            os.close(handle)
            raise DataError(f"{what}: {_reason(error)}") from None
        if _is_still(handle, path):
            return handle
        os.close(handle)  # its holder removed it between our two calls


def _reason(error: OSError) -> str:
    """What the refusal of a lock means, and what to do."""
    if error.errno in (errno.EACCES, errno.EAGAIN):  # on Windows, and elsewhere
        return "another run is at work on it; wait for its end, or name another output."
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"its disk gives no locks ({reason}), so two runs could spoil it; name an output on another disk."


def _is_still(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
