"""The socket: blocks of 16-bit samples in, events out, one speaker's stream each."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from featkit.audio import RATES, SAMPLE_RATE
from featkit.errors import FeatkitError
from featkit.runtime import Model
from featkit.serve.limits import Desk
from featkit.serve.metrics import Counts
from featkit.serve.query import bad_query, check_names, number, window_and_hop
from featkit.serve.refusals import REFUSED, RequestError, busy, refused
from featkit.stream import EnergyGate, LiveRecogniser

# Why a socket is closed (RFC 6455, 7.4.1): what a client reads if it does not read our last message.
_CLOSE = {"text": 1003, "odd_bytes": 1007, "too_long": 1008, "slow": 1008, "busy": 1013, "timeout": 1013}


class Live:
    """The endpoint of ``/stream``.

    The query names ``rate`` in Hz (16 000), ``window`` and ``hop`` in seconds. Every binary message is a block of
    mono little-endian 16-bit samples, of any even number of bytes. Every window is answered by one JSON object, as
    `featkit.stream.Event.as_dict` has it. The text message ``end`` asks for what is left, and for the end. What is
    refused is told as ``{"code", "reason"}`` before the socket closes.
    """

    def __init__(self, model: Model, desk: Desk, counts: Counts) -> None:
        self.open = 0
        """Streams at present."""
        self._model = model
        self._desk = desk
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one client until it goes away."""
        socket = WebSocket(scope, receive, send)
        try:
            rate, live = self._begun(socket)
        except RequestError as refusal:
            await refused(refusal)(scope, receive, send)
            return
        self.open += 1
        try:
            await socket.accept("featkit" if "featkit" in scope["subprotocols"] else None)
            await self._talk(socket, rate, live)
        except (WebSocketDisconnect, TimeoutError):
            pass  # it has gone, or does not read what it is told
        finally:
            self.open -= 1

    def _begun(self, socket: WebSocket) -> tuple[float, LiveRecogniser]:
        query, limits = socket.query_params, self._desk.limits
        if self.open >= limits.streams:
            raise busy("There are as many streams as are allowed.")
        check_names(query, "rate", "window", "hop")
        rate = number(query, "rate", *RATES, SAMPLE_RATE)
        window, hop = window_and_hop(query)
        try:
            return rate, LiveRecogniser(self._model, window=window, hop=hop, smoothing="mean", gate=EnergyGate())
        except FeatkitError as error:
            raise bad_query(str(error)) from None

    async def _talk(self, socket: WebSocket, rate: float, live: LiveRecogniser) -> None:
        clock, heard = asyncio.get_running_loop().time, 0.0
        start = clock()
        try:
            while (block := await self._next(socket)) is not None:
                heard += block.size / rate
                self._check(heard, clock() - start)
                begun = clock()
                events = await self._desk.work(_pushed, live, block, rate)
                self._counts.heard(socket.scope["path"], block.size / rate)
                start += clock() - begun  # our own time is not the client's
                await self._tell(socket, events)
            await self._tell(socket, await self._desk.work(_finished, live))
            await socket.close()
        except RequestError as refusal:
            socket.scope[REFUSED] = refusal.code
            await socket.send_text(json.dumps(refusal.body(), ensure_ascii=False))
            await socket.close(_CLOSE[refusal.code])

    def _check(self, heard: float, waited: float) -> None:
        """Seconds of sound against the limit and against the seconds we waited: crumbs do not hold a stream."""
        most = self._desk.limits.max_stream_seconds
        if heard > most:
            raise RequestError(413, "too_long", f"A stream may last {most:g} s; begin another.")
        if heard < 0.5 * (waited - self._desk.limits.idle):
            raise RequestError(408, "slow", f"{heard:.1f} s of sound came in {waited:.0f} s, less than half of it.")

    async def _next(self, socket: WebSocket) -> Any:
        """The next block, or None at the end."""
        try:
            async with asyncio.timeout(self._desk.limits.idle):
                message = await _message(socket)
        except TimeoutError:
            raise RequestError(408, "slow", f"Nothing came for {self._desk.limits.idle:g} s.") from None
        text, block = message.get("text"), message.get("bytes")
        if text == "end":
            return None
        if block is None:
            raise RequestError(
                400, "text", "Send blocks of 16-bit samples as binary messages; of texts only 'end' is known."
            )
        if len(block) % 2:
            reason = f"A block has an odd number of bytes, {len(block)}; 16-bit samples have two each."
            raise RequestError(400, "odd_bytes", reason)
        return np.frombuffer(block, dtype="<i2")

    async def _tell(self, socket: WebSocket, events: list[dict[str, Any]]) -> None:
        for event in events:
            async with asyncio.timeout(self._desk.limits.idle):  # a client that does not read is not waited for
                await socket.send_text(json.dumps(event, ensure_ascii=False))


async def _message(socket: WebSocket) -> Message:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return message


def _pushed(live: LiveRecogniser, block: Any, rate: float) -> list[dict[str, Any]]:
    return [event.as_dict() for event in live.push(block, rate)]


def _finished(live: LiveRecogniser) -> list[dict[str, Any]]:
    return [event.as_dict() for event in live.finish()]
