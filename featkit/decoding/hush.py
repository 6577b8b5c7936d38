"""Keeps what libmpg123 prints out of the terminal."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from typing import Any


class Hush:
    """Keeps out of the terminal what libmpg123 prints, while entered; what matters comes as errors.

    It writes to C's ``stderr``. Exchanging that variable leaves file descriptor 2 and ``sys.stderr`` alone, so that
    progress bars and other threads go on writing. glibc only: elsewhere the variable cannot be written, or not found.
    May be entered by several threads; the last one out puts it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept: int | None = None
        self._stderr, self._null = _c_streams()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1 and self._stderr is not None:
                self._kept, self._stderr.value = self._stderr.value, self._null

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._stderr is not None:
                self._stderr.value = self._kept


def _c_streams() -> tuple[Any, int | None]:
    """glibc's variable ``stderr``, and a stream that leads nowhere."""
    with contextlib.suppress(OSError, AttributeError, TypeError, ValueError):
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - another libc has none, and keeps its stderr where none may write
        libc.fopen.restype = ctypes.c_void_p
        null = libc.fopen(os.devnull.encode(), b"w")
        if null:
            return ctypes.c_void_p.in_dll(libc, "stderr"), null
    return None, None


hush = Hush()
