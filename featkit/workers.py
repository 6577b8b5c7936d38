"""joblib's worker processes, begun and ended without a word on the screen, whatever ends who began them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from multiprocessing import current_process
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky.backend.process import LokyProcess

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


def results(workers: Parallel, tasks: Iterable[Any]) -> Generator[Any, None, None]:
    """What comes of the tasks, one after the other; ``workers`` return a generator.

    The workers are ended where the results are no longer asked for, and end with this process.
    """
    home = os.getpid()
    with ExitStack() as stack:
        with deaf() if effective_n_jobs(workers.n_jobs) > 1 else nullcontext():
            found = workers(delayed(_done)(home, *task) for task in tasks)
            stack.callback(_close, found)
        for result in found:  # noqa: UP028 - "yield from" would close them outside of `_close`
            yield result


def _done(home: int, work: Callable[..., Any], args: Any, more: Any) -> Any:
    """Do a task as joblib has it, and end if who gave it is no more."""
    end_with_parent(home)
    return work(*args, **more)


@cache
def end_with_parent(home: int) -> None:
    """Let a worker of the process ``home`` end within a second of its parent's death: nobody waits for it any more."""
    if is_worker(home):
        # One of loky's is begun by `home` itself, which may be gone before the first task is read.
        parent = home if isinstance(current_process(), LokyProcess) else os.getppid()
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def is_worker(home: int) -> bool:
    """Whether this is the main thread of a process that works for the process ``home``."""
    return os.getpid() != home and threading.current_thread() is threading.main_thread()


def _end_with(parent: int) -> None:
    _wait_for_end(parent)
    os._exit(1)


def _close(found: Any) -> None:
    with warnings.catch_warnings():
        # joblib tells of tasks that were done and not used: nobody asks for them any more.
        warnings.filterwarnings("ignore", ".*tasks", UserWarning)
        found.close()


@contextmanager
def deaf() -> Iterator[None]:
    """Let processes that are begun meanwhile never hear Ctrl-C, which a terminal sends to all. Here it comes after.

    A worker takes a second to import what it needs, and would answer an interrupt there with a traceback. It need not
    hear any: who began it ends it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows has no signals to keep back
        yield
        return
    _begin_trackers()
    with _put_off():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _put_off() -> Iterator[None]:
    """Answer Ctrl-C at the end. Keeping it back is not enough: it is heard through any other thread, as NumPy's are."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is None or threading.current_thread() is not threading.main_thread():  # not for us to answer
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _begin_trackers() -> None:
    """Begin the two helpers that worker processes come with; at their start they would let Ctrl-C through again."""
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as of_loky

    resource_tracker.ensure_running()
    of_loky.ensure_running()
