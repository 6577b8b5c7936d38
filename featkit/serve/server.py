"""The application on a port: uvicorn, with a clock for clients that never finish their request."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from featkit.errors import ServeError
from featkit.serve.limits import Limits
from featkit.serve.refusals import RequestError, busy, refused

_LINGER = 2.0  # seconds for a client to read why it was refused while it still sends

MAX_MESSAGE = 1 << 18
"""Bytes of one message on the socket: 1.4 s of 16-bit samples at 96 kHz. The page sends 2 kB."""


def _is_news(record: logging.LogRecord) -> bool:
    """Not so that requests are broken off by a stop: their clients are told, and there is nothing to be done."""
    return not str(record.msg).startswith("Cancel %s running task(s)")


def bound(host: str, port: int) -> socket.socket:
    """A socket that is bound to ``host`` and ``port`` (0 for any free one).

    Raises
    ------
    ServeError
        The port is taken, or the host is none of this computer.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise ServeError(f"'{host}' is not an address of this computer; give 127.0.0.1, or 0.0.0.0 for all.") from None
    place = socket.socket(family, kind, protocol)  # named, or asyncio leaves Nagle's delay of 40 ms an answer on
    try:
        if os.name == "posix":  # elsewhere it would let two programs share a port
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(address)
        place.listen(256)
    except OSError as error:
        place.close()
        reason = error.strerror or str(error)
        raise ServeError(f"Cannot listen on {host}, port {port}: {reason}. Choose another by --port.") from None
    return place


def is_loopback(place: socket.socket) -> bool:
    """Whether only this computer can reach the socket."""
    return ipaddress.ip_address(place.getsockname()[0]).is_loopback


def server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """A server for ``app``; ``run(sockets=[place])`` runs it until it is stopped."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    config = uvicorn.Config(
        _stoppable(app),
        http=_protocol(limits),
        ws=_Socket,
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # a few bytes may unfold to many
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
    )
    return _Server(config)


class _Server(uvicorn.Server):
    """uvicorn's, which takes a second Ctrl-C, or one right at the start, for a reason to print a traceback."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Signals are heard before the loop is there, and passed on when it has gone: in it they would break it off."""
        with self.capture_signals(), asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
            runner.run(self.serve(sockets))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Whoever is in a hurry need not wait for clients, but the threads end in good order."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()


def _stoppable(app: ASGIApp) -> ASGIApp:
    """Who is still waiting when the server stops is told so; uvicorn would log each as a mistake."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] == "lifespan":
                raise
            with suppress(RuntimeError):  # the answer has begun, or the socket is open and was closed
                await refused(busy("The server is stopping."))(scope, receive, send)

    return answered


class _Socket(WebSocketsSansIOProtocol):
    """uvicorn's, which takes a socket that was refused by HTTP for one that was forgotten, and logs that."""

    async def send(self, message: Any) -> None:
        """What was refused is complete."""
        await super().send(message)
        self.handshake_complete = self.handshake_complete or self.close_sent

    def send_receive_event_to_app(self) -> None:
        """A text that is no UTF-8 is refused as any other that is not known; uvicorn would log it as a mistake."""
        if self.curr_msg_data_type == "text":
            self.frames = [b"".join(self.frames).decode("utf-8", "replace").encode()]
        super().send_receive_event_to_app()


def _protocol(limits: Limits) -> type[asyncio.Protocol]:
    class Protocol(_PatientProtocol):
        patience = limits.idle
        most = min(limits.connections, _descriptors())

    return Protocol


def _descriptors() -> int:
    """How many connections the system lets this process have; some files are open already."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 1 << 20
    return max(8, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64)


class _PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, but nobody may hold a connection by half a request or an answer not read."""

    patience: float
    most: int

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A head must arrive in time; and there may not be too many connections."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._wait(self.patience)

    def data_received(self, data: bytes) -> None:
        """The clock runs from the first byte of a head to its last."""
        lingered = self._lingers()
        super().data_received(data)
        if self._lingers():
            return
        idle = self.conn.their_state is h11.IDLE
        if lingered or not idle:
            self._stop()
        if idle and self._timer is None and self.timeout_keep_alive_task is None:
            self._wait(self.patience)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """From here on the socket has its own clocks."""
        self._stop()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Whoever still sends may read the answer, and is then cut off: uvicorn would listen as long as bytes come."""
        super().on_response_complete()
        if self._lingers():
            self._stop()
            self._wait(_LINGER)

    def pause_writing(self) -> None:
        """More was told than was read: the rest must be read in time."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.patience, self.transport.abort)

    def resume_writing(self) -> None:
        """It was read."""
        super().resume_writing()
        self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody to wait for."""
        self._stop()
        self._read()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is answered in JSON too."""
        refusal = RequestError(400, "bad_request", "This is not an HTTP/1.1 request.")
        body = bytes(refused(refusal).body)
        head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
        self.transport.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
        self.transport.close()

    def _lingers(self) -> bool:
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY

    def _wait(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def shown(place: socket.socket) -> str:
    """The address of a bound socket as people type it."""
    host, port = place.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
