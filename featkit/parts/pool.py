"""Who does the tasks: joblib's workers, or one process alone."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky import ProcessPoolExecutor
from joblib.parallel import BACKENDS, get_active_backend

from featkit.parts.cluster import deaths
from featkit.parts.work import Report, Task, do
from featkit.workers import deaf, results

Reports = Generator[Report, None, None]
Runner = Callable[[Iterable[Task]], Reports]


def runner(n_jobs: int) -> Runner:
    """What does tasks with ``n_jobs`` workers, of whatever engine joblib is told to use; one worker is a process too.

    A runner raises BrokenExecutor where a worker dies.
    """
    if own_processes() and effective_n_jobs(n_jobs) == 1:
        return alone
    return lambda tasks: together(tasks, n_jobs)


def own_processes() -> bool:
    """Whether workers are processes that joblib starts here, each of which costs a second before it does anything."""
    return isinstance(get_active_backend()[0], (BACKENDS["loky"], BACKENDS["sequential"]))


def together(tasks: Iterable[Task], n_jobs: int) -> Reports:
    """Reports in the order in which tasks end."""
    # A task is a second or two of work as it is: joblib need not gather them.
    workers = Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator_unordered")
    try:
        # Tasks that were done when the reports end are found by who reads the folder.
        yield from results(workers, (delayed(do)(task) for task in tasks))
    except deaths() as error:
        raise BrokenExecutor(str(error)) from None


def alone(tasks: Iterable[Task]) -> Reports:
    """One task after the other in one process, so that a file which kills it leaves this process alive."""
    with _process() as process:
        for task in tasks:
            with deaf():
                report = process.submit(do, task)
            yield report.result()


@contextmanager
def _process() -> Iterator[Any]:
    # One thread, and 300 s without work until it ends: as joblib has it for its own processes.
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    process = ProcessPoolExecutor(max_workers=1, timeout=300, env=one)
    try:
        yield process
    finally:
        process.shutdown(wait=True, kill_workers=True)


def cause_of_death(error: BrokenExecutor) -> str:
    """What the operating system says of a worker that is gone.

    Examples
    --------
    >>> cause_of_death(BrokenExecutor("The exit codes of the workers are {SIGSEGV(-11)}"))
    'signal 11 (SIGSEGV)'
    """
    found = re.search(r"\((-?\d+)\)\}", str(error))
    code = int(found[1]) if found else 0
    if code >= 0:
        return f"exit code {code}" if found else "no reason known"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"
