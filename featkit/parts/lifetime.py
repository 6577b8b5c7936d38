"""How a worker ends: with the process that hands out the tasks, or when a file takes too long."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

if sys.platform == "win32":  # where a process keeps the number of its parent when that is gone
    import _winapi

    def _wait_for_end(parent: int) -> None:
        with suppress(OSError):  # it is gone already
            handle = _winapi.OpenProcess(_winapi.SYNCHRONIZE, False, parent)
            _winapi.WaitForSingleObject(handle, _winapi.INFINITE)
else:

    def _wait_for_end(parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(1)


@cache
def settle(home: int) -> None:
    """In a process of its own: Ctrl-C is the parent's to handle, and a crash is told in a row, not on the screen."""
    if _is_worker(home):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        faulthandler.disable()
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process within a second of its parent's death: nobody waits for it any more."""
    _wait_for_end(parent)
    os._exit(1)


def _is_worker(home: int) -> bool:
    return os.getpid() != home and threading.current_thread() is threading.main_thread()


@contextmanager
def limited(home: int, seconds: float) -> Iterator[None]:
    """End this worker if the file takes too long, even where it hangs in foreign code."""
    if not _is_worker(home):
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=_nowhere())
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@cache
def _nowhere() -> Any:
    return open(os.devnull, "w")  # as long as the process lives
