"""Keeps what C libraries print (ALSA, PortAudio, LiteRT) out of the terminal; what matters comes as exceptions."""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import Any


class Muted:
    """While entered, file descriptor 2 leads nowhere, and Python's ``sys.stderr`` to where it led.

    May be entered again, also by other threads: the last one out puts everything back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept: tuple[int, Any] | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._kept = _led_away()

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside or self._kept is None:
                return
            (descriptor, stderr), self._kept = self._kept, None
            if sys.stderr is not stderr:
                sys.stderr.close()
                sys.stderr = stderr
            os.dup2(descriptor, 2)
            os.close(descriptor)


def _led_away() -> tuple[int, Any] | None:
    """Lead file descriptor 2 to nowhere. -> a copy of it, and the ``sys.stderr`` there was."""
    ours = sys.stderr
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr to protect
        return None
    if isinstance(ours, io.TextIOWrapper) and ours is sys.__stderr__:
        ours.flush()
        sys.stderr = os.fdopen(os.dup(kept), "w", buffering=1, encoding=ours.encoding, errors="backslashreplace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    return kept, ours


muted = Muted()
