"""How long a model takes for a clip, told in one way by tables and cards. A leaf: the standard library only."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

_FIRST = 3  # calls that are slower than all others, and not counted


def median_seconds(calls: Sequence[Callable[[], Any]], clock: Callable[[], float] = time.process_time) -> float:
    """Median over ``calls``, each made once, after the first few were made to warm up.

    Tables compare models, so they count CPU time: what else the computer does is no fault of a model. A card tells how
    long people wait, so it reads a ``clock`` on the wall, `time.perf_counter`.

    Examples
    --------
    >>> median_seconds([lambda: time.sleep(0.01)] * 3, time.perf_counter) >= 0.01
    True
    """
    for call in calls[:_FIRST]:
        call()
    return statistics.median(_seconds(call, clock) for call in calls)


def _seconds(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start
