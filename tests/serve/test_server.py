"""The server against clients that mean harm or know no better, and what it leaves behind: on real connections."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from speaking import Answer, Served, expected, model_file, running, wav
from speech import speech

from featkit.serve import Limits, ServeError
from featkit.serve.server import bound, is_loopback, shown

HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def impatient() -> Iterator[Served]:
    """Waits one second for what takes ten by default."""
    with running(Limits(idle=1, max_bytes=1_000_000)) as server:
        yield server


def connected(served: Served, *pieces: bytes) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    for piece in pieces:
        line.sendall(piece)
    return line


def rest(line: socket.socket) -> bytes:
    """What still comes until the server closes."""
    heard = b""
    try:
        while piece := line.recv(65_536):
            heard += piece
    except ConnectionResetError:
        pass
    return heard


def answered(heard: bytes) -> Answer:
    head, _, body = heard.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return Answer(int(lines[0].split()[1]), headers, body)


def seconds_until_cut_off(line: socket.socket, piece: bytes, pause: float = 0.0) -> float:
    """Sends the same again and again, without looking at what comes back."""
    start = time.monotonic()
    with line:
        try:
            while time.monotonic() - start < 10:
                line.sendall(piece)
                time.sleep(pause)
        except (ConnectionResetError, BrokenPipeError):
            pass
    return time.monotonic() - start


# --- slow clients ---------------------------------------------------------------------------------------------------


def test_300_half_sent_requests_are_closed_while_health_answers(impatient: Served) -> None:
    start = time.monotonic()
    heads = [connected(impatient, HEAD) for _ in range(150)]
    bodies = [connected(impatient, HEAD + b"Content-Length: 1000\r\n\r\nhalf") for _ in range(150)]
    waits = []
    for _ in range(5):
        begun = time.monotonic()
        assert impatient.ask("/health").json == {"status": "ok"}
        waits.append(time.monotonic() - begun)
    assert np.median(waits) < 0.1
    for line in heads:
        assert rest(line) == b""
    for line in bodies:
        assert "did not arrive: 4 bytes" in answered(rest(line)).refused(408, "slow")
    assert time.monotonic() - start < 1 + 2 + 3  # idle, the time to read why, and a busy machine
    for line in [*heads, *bodies]:
        line.close()


def test_by_default_a_half_sent_request_lasts_less_than_15_seconds() -> None:
    from featkit.serve.server import _LINGER

    assert Limits().idle + _LINGER < 15


def test_a_head_that_comes_letter_by_letter_is_cut_off(impatient: Served) -> None:
    assert seconds_until_cut_off(connected(impatient, HEAD), b"x", pause=0.1) < 3


def test_a_body_that_comes_letter_by_letter_is_cut_off(impatient: Served) -> None:
    line = connected(impatient, HEAD + b"Content-Length: 1000\r\n\r\n")
    assert seconds_until_cut_off(line, b"x", pause=0.1) < 5


def test_a_kept_connection_may_pause_and_go_on(impatient: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", impatient.port, timeout=10)
    for _ in range(2):
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b'{"status":"ok"}'
        time.sleep(1.5)  # longer than a half-sent request may last
    connection.close()


def test_a_client_that_asks_and_never_reads_is_cut_off(impatient: Served) -> None:
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(("127.0.0.1", impatient.port))
    line.settimeout(8)
    ask = b"GET /static/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert seconds_until_cut_off(line, 100 * ask) < 6


# --- too much -------------------------------------------------------------------------------------------------------


def test_an_upload_of_2_gigabytes_is_refused_by_its_head(impatient: Served) -> None:
    start = time.monotonic()
    answer = impatient.raw(HEAD + b"Content-Length: 2000000000\r\n\r\n")
    assert "larger than allowed; the most is 1 MB" in answer.refused(413, "too_large")
    assert time.monotonic() - start < 1


def test_an_upload_without_a_length_or_an_end_is_cut_off(impatient: Served) -> None:
    line = connected(impatient, HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"
    assert seconds_until_cut_off(line, chunk) < 5  # it may read for two seconds why it is refused
    assert impatient.ask("/health").status == 200


def test_the_reason_reaches_a_client_that_sends_without_a_length(impatient: Served) -> None:
    line = connected(impatient, HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(17):
        line.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")
    answered(rest(line)).refused(413, "too_large")
    line.close()


def test_200_clients_at_once_are_answered_rightly_or_told_to_come_again() -> None:
    body = wav()
    want = expected(body)
    with running(Limits(places=8)) as served:
        gate = threading.Barrier(200)

        def client(_: int) -> Answer:
            gate.wait(30)
            return served.ask("/predict", body)

        with ThreadPoolExecutor(200) as pool:
            answers = list(pool.map(client, range(200)))
    good = [answer for answer in answers if answer.status == 200]
    assert len(good) >= 8
    for answer in good:
        np.testing.assert_allclose(list(answer.json["probabilities"].values()), want, atol=1e-6)
    for answer in answers:
        if answer.status != 200:
            assert "Every place is taken" in answer.refused(503, "busy")
            assert int(answer.headers["retry-after"]) >= 1


def test_connections_beyond_the_limit_are_closed_unheard() -> None:
    with running(Limits(connections=5)) as served:
        lines = [connected(served) for _ in range(8)]
        time.sleep(0.3)
        lines[0].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert answered(rest(lines[0])).status == 200
        assert rest(lines[7]) == b""
        for line in lines:
            line.close()
        time.sleep(0.2)
        assert served.ask("/health").status == 200


# --- what is no proper request --------------------------------------------------------------------------------------


def test_what_is_no_http_is_refused_in_json(served: Served) -> None:
    assert "not an HTTP/1.1 request" in served.raw(b"\x16\x03\x01 hello\r\n\r\n").refused(400, "bad_request")


def test_two_requests_in_one_piece_are_both_answered(served: Served) -> None:
    first = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    line = connected(served, first + last)
    assert rest(line).count(b'{"status":"ok"}') == 2
    line.close()


def test_a_client_that_goes_away_in_the_middle_does_no_harm(served: Served) -> None:
    for _ in range(20):
        connected(served, HEAD + b"Content-Length: 100000\r\n\r\nabc").close()
    assert served.ask("/predict", wav()).status == 200


def test_a_head_without_end_is_refused(served: Served) -> None:
    line = connected(served, HEAD + b"X: " + b"x" * 100_000)
    assert b" 400 " in rest(line)[:20]
    line.close()


# --- what is left ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors by /proc")
def test_no_thread_and_no_descriptor_is_left() -> None:
    expected(wav())  # the model is loaded
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with running(Limits(idle=1)) as served:
        for body in (wav(), b"text", b"", wav()[:3000]):
            served.ask("/predict", body)
        served.form("/batch", [("a.wav", wav()), ("b.wav", b"")])
        connected(served, HEAD).close()
    assert threading.active_count() <= threads  # fewer where one of an earlier test has ended meanwhile
    assert len(os.listdir("/proc/self/fd")) <= descriptors


WATCHED = """
import json, os, sys, tempfile
sys.path[:0] = sys.argv[2:]
import speaking
from featkit.runtime import load

OTHERS = ("os.mkdir", "os.rename", "os.link", "tempfile.mkstemp", "subprocess.Popen", "os.system", "os.posix_spawn",
          "socket.connect", "socket.sendto", "socket.getaddrinfo")
seen, watching = [], False

def watch(event, given):
    if not watching or "127.0.0.1" in str(given):
        return
    if event == "open":
        path, mode, flags = given
        if set(mode or "") & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            seen.append([event, str(path)])
    elif event in OTHERS:
        seen.append([event, str(given)])

with open(sys.argv[1] + "/in.json") as file:
    bodies = [bytes.fromhex(text) for text in json.load(file)]
sys.addaudithook(watch)
with speaking.running(model=load(speaking.model_file())) as served:
    watching = True
    tempfile.TemporaryFile().close()
    assert seen.pop() and not seen.clear()  # it does see files
    for path in ("/", "/static/app.js", "/model", "/health", "/openapi.json"):
        assert served.ask(path).status == 200
    for body in bodies:
        served.ask("/predict?hop=0.5&peaks=10", body)
    assert served.form("/batch", [("../../evil.wav", body) for body in bodies]).status == 200
    watching = False
print(json.dumps(seen))
"""


def test_nothing_touches_the_disk_and_no_request_leaves_the_machine(tmp_path: Path) -> None:
    large = np.tile(speech().waves[0], 60)  # more than any form parser keeps in memory by itself
    bodies = [
        wav(),
        wav(large),
        wav(large, form="FLAC"),
        b"text",
        b"",
        wav()[:2000],
        wav(large, form="OGG", subtype="VORBIS"),
    ]
    (tmp_path / "in.json").write_text(json.dumps([body.hex() for body in bodies]))
    empty, here = tmp_path / "empty", Path(__file__).parent
    empty.mkdir()
    words = [sys.executable, "-c", WATCHED, str(tmp_path), str(here), str(here.parent)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=empty, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert list(empty.iterdir()) == []


def test_the_command_leaves_no_file_and_no_telemetry_behind(tmp_path: Path) -> None:
    code = "import sys; from featkit.cli import cli; cli(sys.argv[1:])"
    words = [sys.executable, "-u", "-c", code, "serve", str(model_file()), "--port", "0"]
    names = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    names |= {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=names) as server:
        assert server.stdout is not None
        server.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", server.stdout.readline())
        assert found
        assert Served(int(found[1])).ask("/predict", wav()).status == 200
        server.terminate()
    assert list(tmp_path.iterdir()) == []  # onnxruntime would keep an identifier and a data base of what it reports


# --- the place ------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_told_in_one_line() -> None:
    with bound("127.0.0.1", 0) as place:
        port = place.getsockname()[1]
        with pytest.raises(ServeError, match=rf"Cannot listen on 127.0.0.1, port {port}: .*in use. Choose another"):
            bound("127.0.0.1", port)


def test_an_address_of_another_computer_is_refused() -> None:
    with pytest.raises(ServeError, match=r"Cannot listen on 192\.0\.2\.1|is not an address of this computer"):
        bound("192.0.2.1", 0)


def test_a_name_that_is_no_address_is_refused() -> None:
    with pytest.raises(ServeError, match="'no such host' is not an address of this computer"):
        bound("no such host", 0)


def test_only_this_computer_reaches_the_default_place() -> None:
    with bound("127.0.0.1", 0) as place:
        assert is_loopback(place)
        assert place.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle on, which costs 40 ms an answer
        assert shown(place) == f"http://127.0.0.1:{place.getsockname()[1]}"
    with bound("0.0.0.0", 0) as everywhere:
        assert not is_loopback(everywhere)


def test_the_model_file_is_read_once_and_may_go(tmp_path: Path) -> None:
    from featkit.runtime import load

    copy = tmp_path / "model.onnx"
    copy.write_bytes(model_file().read_bytes())
    with running(model=load(copy)) as served:
        copy.unlink()
        assert served.ask("/predict", wav()).status == 200
        assert served.ask("/model").status == 200
