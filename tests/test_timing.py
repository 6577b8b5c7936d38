"""One way to time a model: warm-up is not counted, and the clock is the one that is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from featkit.timing import median_seconds


def test_the_median_is_of_all_calls_and_the_first_are_made_once_more_to_warm_up() -> None:
    made: list[int] = []
    ticks = iter([0.0, 1.0, 0.0, 9.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0])  # before and after each of five calls
    calls: list[Callable[[], None]] = [partial(made.append, i) for i in range(5)]
    assert median_seconds(calls, lambda: next(ticks)) == 3
    assert made == [0, 1, 2, 0, 1, 2, 3, 4]


def test_to_wait_takes_no_time_of_the_processor() -> None:
    calls = [lambda: time.sleep(0.05)] * 3
    assert median_seconds(calls) < 0.025
    assert median_seconds(calls, time.perf_counter) >= 0.05
