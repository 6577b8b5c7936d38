"""The socket: the same answers as offline, and a plain end for everything that is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from speaking import TOKEN, Served, model, running
from speech import speech
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from featkit.serve import Limits
from featkit.stream import EnergyGate, LiveRecogniser


@contextmanager
def stream(served: Served, query: str = "", **given: Any) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{served.port}/stream{query}", **given) as socket:
        yield socket


def told(socket: ClientConnection) -> list[dict[str, Any]]:
    """All that comes until the end."""
    rows = []
    try:
        while True:
            rows.append(json.loads(socket.recv(timeout=10)))
    except ConnectionClosed:
        return rows


def test_a_window_shorter_than_the_usual_hop_is_its_own_hop(served: Served) -> None:
    with stream(served, "?window=0.25") as socket:
        socket.send(bytes(16_000))
        socket.send("end")
        assert [row["end"] for row in told(socket)] == [0.25, 0.5]


def refused(served: Served, query: str = "", **given: Any) -> tuple[int, str]:
    """Status and code of a socket that was not opened."""
    with (
        pytest.raises(InvalidStatus, match="server rejected WebSocket connection") as why,
        stream(served, query, **given),
    ):
        pass
    answer = why.value.response
    return answer.status_code, json.loads(answer.body)["code"]


@pytest.mark.parametrize("rate", [16_000, 44_100, 8_000, 192_000])
def test_events_are_those_of_the_live_recogniser_whatever_the_blocks(served: Served, rate: int) -> None:
    sound = np.tile(np.concatenate(speech().waves[:4]), -(-rate // 16_000))[: 4 * rate]
    samples = (32_767 * sound).astype("<i2")
    live = LiveRecogniser(model(), window=1.0, hop=0.5, smoothing="mean", gate=EnergyGate())
    wanted = [event.as_dict() for event in live.push(samples, rate) + live.finish()]
    with stream(served, f"?rate={rate}&window=1&hop=0.5") as socket:
        for start in range(0, samples.size, 7_777):
            socket.send(samples[start : start + 7_777].tobytes())
        socket.send("end")
        rows = told(socket)
    assert len(rows) == len(wanted) >= 7
    for row, want in zip(rows, wanted, strict=True):
        assert row.pop("latency") >= 0
        del want["latency"]
        assert row == want
    assert socket.close_code == 1000


def test_silence_and_empty_blocks_are_no_mistakes(served: Served) -> None:
    with stream(served, "?window=0.5&hop=0.5") as socket:
        socket.send(b"")
        socket.send(bytes(32_000))
        socket.send("end")
        rows = told(socket)
    assert [(row["label"], row["reason"]) for row in rows] == [(None, "silence")] * 2


def test_a_stream_that_ends_before_it_began_has_no_events(served: Served) -> None:
    with stream(served) as socket:
        socket.send("end")
        assert told(socket) == []


@pytest.mark.parametrize(
    ("message", "code", "closed", "reason"),
    [
        (b"abc", "odd_bytes", 1007, "A block has an odd number of bytes, 3; 16-bit samples have two each."),
        ("hello", "text", 1003, "of texts only 'end' is known"),
        ("", "text", 1003, "of texts only 'end' is known"),
    ],
)
def test_what_is_no_block_ends_the_stream_with_its_reason(
    served: Served, message: bytes | str, code: str, closed: int, reason: str
) -> None:
    with stream(served) as socket:
        socket.send(message)
        (row,) = told(socket)
    assert row["code"] == code
    assert reason in row["reason"]
    assert socket.close_code == closed


def test_a_text_that_is_no_utf_8_is_refused_as_other_texts_are(served: Served) -> None:
    with stream(served) as socket:
        socket.send(b"\xff\xfe", text=True)
        (row,) = told(socket)
    assert row["code"] == "text"
    assert socket.close_code == 1003


def test_a_message_of_256_kib_is_a_block(served: Served) -> None:
    with stream(served, "?window=3&hop=3") as socket:
        socket.send(bytes(262_144))
        socket.send("end")
        assert [row["end"] for row in told(socket)] == [3.0, 6.0, 8.192]
    assert socket.close_code == 1000


def test_a_message_that_is_too_large_ends_the_stream(served: Served) -> None:
    with stream(served) as socket:
        socket.send(bytes(262_146))
        assert told(socket) == []  # the protocol itself ends it, without an object
    assert socket.close_code == 1009
    assert socket.close_reason == "frame with 262146 bytes exceeds limit of 262144 bytes"


def test_a_stream_that_is_too_long_is_ended() -> None:
    with running(Limits(max_stream_seconds=1)) as served, stream(served) as socket:
        socket.send(bytes(32_000))
        socket.send(bytes(2))
        assert [row["code"] for row in told(socket)] == ["too_long"]
    assert socket.close_code == 1008


def test_whoever_sends_nothing_is_sent_away() -> None:
    with running(Limits(idle=0.3)) as served, stream(served) as socket:
        start = time.monotonic()
        assert [row["code"] for row in told(socket)] == ["slow"]
        assert 0.2 < time.monotonic() - start < 5
    assert socket.close_code == 1008


@pytest.mark.parametrize("crumb", [b"", b"\0\0"])
def test_whoever_sends_crumbs_is_sent_away(crumb: bytes) -> None:
    with running(Limits(idle=0.3)) as served, stream(served) as socket:
        start = time.monotonic()
        with suppress(ConnectionClosed):
            while time.monotonic() - start < 5:
                socket.send(crumb)
                time.sleep(0.05)
        assert "0.0 s of sound came in 0 s" in told(socket)[0]["reason"]
    assert socket.close_code == 1008


def test_more_streams_than_allowed_are_refused_until_one_ends() -> None:
    with running(Limits(streams=1)) as served:
        with stream(served):
            assert refused(served) == (503, "busy")
        time.sleep(0.2)
        with stream(served) as socket:
            socket.send("end")


def test_a_busy_server_says_so_on_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featkit.serve.live._pushed", lambda *_: time.sleep(0.3))
    with running(Limits(timeout=0.1)) as served, stream(served) as socket:
        socket.send(bytes(100))
        assert [row["code"] for row in told(socket)] == ["timeout"]
    assert socket.close_code == 1013


@pytest.mark.parametrize("query", ["?rate=0", "?rate=x", "?rate=1e9", "?window=1&hop=2", "?window=nan", "?speed=1"])
def test_a_wrong_query_is_refused_before_the_socket_opens(served: Served, query: str) -> None:
    assert refused(served, query) == (400, "bad_query")


def test_pages_of_other_origins_and_other_hosts_are_refused(served: Served) -> None:
    assert refused(served, origin="http://evil.example") == (403, "wrong_origin")
    assert refused(served, origin="null") == (403, "wrong_origin")
    with stream(served, origin=served.url) as socket:
        socket.send("end")
    with pytest.raises(InvalidStatus, match="HTTP 400"), connect("ws://evil.example/stream", sock=_line(served.port)):
        pass


def test_an_allowed_page_elsewhere_may_open_a_stream() -> None:
    with running(origins=("http://localhost:3000",)) as served:
        with stream(served, origin="http://localhost:3000") as socket:
            socket.send("end")
            assert told(socket) == []
        assert socket.close_code == 1000
        assert refused(served, origin="http://localhost:3001") == (403, "wrong_origin")


def _line(port: int) -> Any:
    import socket

    return socket.create_connection(("127.0.0.1", port))


def test_a_socket_on_another_path_is_refused_in_json(served: Served) -> None:
    with pytest.raises(InvalidStatus, match="HTTP 404") as why, connect(f"ws://127.0.0.1:{served.port}/other"):
        pass
    assert json.loads(why.value.response.body)["code"] == "unknown_path"


def test_nothing_is_logged_of_a_socket_that_is_refused_or_closed(caplog: pytest.LogCaptureFixture) -> None:
    with running(Limits(streams=1)) as served:
        assert refused(served, "?rate=0") == (400, "bad_query")
        assert refused(served, origin="http://evil.example") == (403, "wrong_origin")
        with pytest.raises(InvalidStatus, match="HTTP 404"), connect(f"ws://127.0.0.1:{served.port}/other"):
            pass
        with stream(served) as socket:
            assert refused(served) == (503, "busy")
            socket.send(b"\xff", text=True)
            told(socket)
    assert caplog.messages == []


def test_the_token_comes_as_a_subprotocol_or_as_a_header() -> None:
    with running(token=TOKEN) as served:
        assert refused(served) == (401, "wrong_token")
        assert refused(served, subprotocols=["featkit", "token.wrong"]) == (401, "wrong_token")
        with stream(served, subprotocols=["featkit", f"token.{TOKEN}"]) as socket:
            assert socket.subprotocol == "featkit"
        with stream(served, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as socket:
            assert socket.subprotocol is None


def test_a_client_that_vanishes_leaves_nothing_open() -> None:
    with running(Limits(streams=1)) as served:
        for _ in range(3):
            with stream(served) as socket:
                socket.send(bytes(1000))
                socket.socket.close()
            time.sleep(0.3)


def test_whoever_waits_for_a_slow_model_is_not_blamed_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featkit.serve.live._pushed", lambda *_: time.sleep(0.3) or [])
    with running(Limits(idle=0.3)) as served, stream(served) as socket:
        for _ in range(4):
            socket.send(bytes(200))
        socket.send("end")
        assert told(socket) == []
    assert socket.close_code == 1000
