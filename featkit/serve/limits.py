"""How much the server takes on, in one place, and the desk at which the work is done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from featkit.audio import MAX_SECONDS
from featkit.errors import ServeError
from featkit.serve.refusals import RequestError, busy

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What one request may cost, and how many there may be.

    Parameters
    ----------
    max_bytes
        Of one request, as sent.
    max_seconds
        Of audio in one request, as decoded: one megabyte of FLAC can hold hours.
    max_files
        In one batch.
    max_windows
        Of one timeline.
    workers
        Threads that decode and recognise.
    places
        Requests that may be worked on or wait for a worker; one more is answered 503.
    timeout
        Seconds from a complete request to its answer; after that it is answered 503.
    idle
        Seconds a client may send nothing before a request is complete, or between two blocks of a stream.
    min_rate
        Bytes a second below which an upload is cut off, once ``idle`` seconds have passed.
    streams
        Sockets open at once.
    max_stream_seconds
        Length of one stream.
    connections
        Open at once; one more is closed unheard.
    """

    max_bytes: int = 32_000_000
    max_seconds: float = 300.0
    max_files: int = 100
    max_windows: int = 2_000
    workers: int = field(default_factory=lambda: min(4, os.cpu_count() or 1))
    places: int = 64
    timeout: float = 30.0
    idle: float = 10.0
    min_rate: int = 16_000
    streams: int = 8
    max_stream_seconds: float = 3_600.0
    connections: int = 800

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ServeError(f"{name} must be above 0; it is {value}.")
        if self.max_seconds > MAX_SECONDS:
            raise ServeError(f"max_seconds may be up to {MAX_SECONDS}; it is {self.max_seconds:g}.")

    @property
    def buffered(self) -> int:
        """Bytes of all uploads under way. Slow clients hold what they have sent, not a place."""
        return 8 * self.max_bytes


class Desk:
    """Where clips are worked on: a few threads, a limited queue before them, and a clock.

    Must be used inside one event loop; `close` it in the end.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.taken = 0
        """Places at which something is worked on or waits."""
        self.buffered = 0
        """Bytes of uploads that are held."""
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="featkit-serve")

    async def work(self, job: Callable[..., T], *given: Any) -> T:
        """Run ``job`` in a thread.

        Raises
        ------
        RequestError
            503: all places are taken, or the answer took too long. A job that is too slow keeps its place until it
            has ended, for its thread cannot be stopped.
        """
        if self.taken >= self.limits.places:
            raise busy("Every place is taken.")
        self.taken += 1
        loop = asyncio.get_running_loop()
        job_ended = self._pool.submit(job, *given)
        job_ended.add_done_callback(lambda _: loop.call_soon_threadsafe(self._free))
        answer = asyncio.wrap_future(job_ended)
        try:
            async with asyncio.timeout(self.limits.timeout):
                return await answer  # a client that goes away takes a job with it that has not begun
        except TimeoutError:
            reason = f"The answer took more than {self.limits.timeout:g} s. Send less at once, or come again later."
            raise RequestError(503, "timeout", reason, {"Retry-After": "5"}) from None

    def _free(self) -> None:
        self.taken -= 1

    def take(self, n_bytes: int) -> None:
        """Count bytes of an upload that are held in memory. Refused (503) where all uploads together are too large."""
        if self.buffered + n_bytes > self.limits.buffered:
            raise busy("Too many large uploads are under way.")
        self.buffered += n_bytes

    def give_back(self, n_bytes: int) -> None:
        """They are held no longer."""
        self.buffered -= n_bytes

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
