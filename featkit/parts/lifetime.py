"""How a worker ends: with the process that hands out the tasks, or when a file takes too long."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from featkit.workers import end_with_parent, is_worker


@cache
def settle(home: int) -> None:
    """In a process of its own: Ctrl-C is the parent's to handle, and a crash is told in a row, not on the screen."""
    if is_worker(home):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        faulthandler.disable()
        end_with_parent(home)


@contextmanager
def limited(home: int, seconds: float) -> Iterator[None]:
    """End this worker if the file takes too long, even where it hangs in foreign code."""
    if not is_worker(home):
        yield
        return
    faulthandler.dump_traceback_later(min(seconds, threading.TIMEOUT_MAX), exit=True, file=_nowhere())
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@cache
def _nowhere() -> Any:
    return open(os.devnull, "w")  # as long as the process lives
