"""Limits and the desk: places, clocks, and what is given back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from featkit.serve import Limits, ServeError
from featkit.serve.limits import Desk
from featkit.serve.refusals import RequestError


@pytest.mark.parametrize("name", ["max_bytes", "max_seconds", "workers", "places", "timeout", "idle", "streams"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ServeError, match=f"{name} must be above 0; it is 0."):
        Limits(**{name: 0})


def test_not_a_number_and_more_than_featkit_decodes_are_refused() -> None:
    with pytest.raises(ServeError, match="timeout must be above 0; it is nan"):
        Limits(timeout=float("nan"))
    with pytest.raises(ServeError, match=r"max_seconds may be up to 3600; it is 4000."):
        Limits(max_seconds=4_000)


def at_a_desk(limits: Limits, scene: Callable[[Desk], Any]) -> Any:
    async def play() -> Any:
        desk = Desk(limits)
        try:
            return await scene(desk)
        finally:
            desk.close()

    return asyncio.run(play())


def test_work_is_done_in_a_thread_and_its_errors_come_back() -> None:
    async def scene(desk: Desk) -> None:
        assert await desk.work(threading.current_thread) is not threading.main_thread()
        with pytest.raises(ZeroDivisionError):
            await desk.work(lambda: 1 / 0)

    at_a_desk(Limits(), scene)


def test_one_more_than_there_are_places_is_refused_and_told_when_to_come() -> None:
    async def scene(desk: Desk) -> None:
        gate = threading.Event()
        taken = [asyncio.create_task(desk.work(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError, match=r"Every place is taken. Come again in a second.") as told:
            await desk.work(int)
        assert (told.value.status, told.value.headers) == (503, {"Retry-After": "1"})
        gate.set()
        await asyncio.gather(*taken)
        await asyncio.sleep(0.01)
        assert await desk.work(int) == 0

    at_a_desk(Limits(places=2, workers=1), scene)


def test_a_job_that_is_too_slow_keeps_its_place_until_it_has_ended() -> None:
    async def scene(desk: Desk) -> None:
        gate = threading.Event()
        with pytest.raises(RequestError, match=r"took more than 0.05 s. Send less at once") as told:
            await desk.work(gate.wait)
        assert told.value.headers == {"Retry-After": "5"}
        with pytest.raises(RequestError, match="Every place is taken"):
            await desk.work(int)
        gate.set()
        await asyncio.sleep(0.1)
        assert await desk.work(int) == 0

    at_a_desk(Limits(places=1, workers=1, timeout=0.05), scene)


def test_a_job_that_has_not_begun_when_its_time_is_over_is_not_done() -> None:
    async def scene(desk: Desk) -> None:
        gate, done = threading.Event(), []
        first = asyncio.create_task(desk.work(gate.wait))
        second = asyncio.create_task(desk.work(done.append, 1))
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [RequestError, RequestError]
        gate.set()
        await asyncio.sleep(0.1)
        assert done == []

    at_a_desk(Limits(workers=1, timeout=0.05), scene)


def test_all_uploads_together_are_limited_and_given_back() -> None:
    async def scene(desk: Desk) -> None:
        desk.take(800)
        with pytest.raises(RequestError, match="Too many large uploads are under way"):
            desk.take(1)
        desk.give_back(800)
        desk.take(1)

    at_a_desk(Limits(max_bytes=100), scene)
