"""joblib's worker processes, begun and ended without a word on the screen, also where Ctrl-C is pressed meanwhile."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from joblib import Parallel, effective_n_jobs


def results(workers: Parallel, tasks: Iterable[Any]) -> Generator[Any, None, None]:
    """What comes of the tasks, one after the other; ``workers`` return a generator.

    The workers are ended where the results are no longer asked for.
    """
    with ExitStack() as stack:
        with deaf() if effective_n_jobs(workers.n_jobs) > 1 else nullcontext():
            found = workers(tasks)
            stack.callback(_close, found)
        for result in found:  # noqa: UP028 - "yield from" would close them outside of `_close`
            yield result


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
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_trackers() -> None:
    """Begin the two helpers that worker processes come with; at their start they would let Ctrl-C through again."""
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as of_loky

    resource_tracker.ensure_running()
    of_loky.ensure_running()
