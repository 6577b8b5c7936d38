"""What stands around all else: it sees every request pass, counts it, and writes a line of it where one is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featkit.serve.metrics import Counts
from featkit.serve.refusals import REFUSED

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})
_LONGEST = 200  # letters of a path in the log


class Watch:
    """ASGI middleware: counts and the access log.

    Parameters
    ----------
    app
        What is watched.
    routes
        Paths that are counted by name. All others are one, or whoever asks for nonsense would fill the memory.
    counts
        Where they are counted.
    log
        Takes a line for every request, or None. Neither addresses nor queries stand in it.
    """

    def __init__(
        self, app: ASGIApp, routes: Collection[str], counts: Counts, log: Callable[[str], object] | None
    ) -> None:
        self._app = app
        self._routes = frozenset(routes)
        self._counts = counts
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass and see what becomes of it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        start, seen = time.perf_counter(), _Seen(receive, send)
        try:
            await self._app(scope, seen.receive, seen.send)
        finally:
            method, path, code = scope.get("method", "GET"), scope["path"], scope.get(REFUSED)
            known = method if method in _METHODS else "other", path if path in self._routes else "other"
            self._counts.requested(*known, seen.status, code)
            if self._log is not None:
                what, spent = f"{method[:20]} {_quoted(path)}", 1000 * (time.perf_counter() - start)
                self._log(f"{_now()} {what} {seen.status} {spent:.1f} {seen.came} {seen.went} {code or '-'}")


class _Seen:
    """One request on its way: its status, and bytes of what came and what went."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.status = "-"  # what is broken off before it has an answer
        self.came = self.went = 0
        self._receive, self._send = receive, send

    async def receive(self) -> Message:
        message = await self._receive()
        self.came += _size(message)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] in _STARTS:
            self.status = str(message["status"])
        elif message["type"] == "websocket.accept":
            self.status = "101"
        self.went += _size(message)
        await self._send(message)


def _size(message: Message) -> int:
    """Bytes of content in a message of a request or a socket."""
    return len(message.get("body") or message.get("bytes") or (message.get("text") or "").encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(path: str) -> str:
    """Without spaces and line breaks, or a client could write a line of its own."""
    return quote(path)[:_LONGEST]
