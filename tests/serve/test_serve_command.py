"""featkit serve: what it prints, and one plain line for everything that goes wrong at the start."""

from __future__ import annotations

import importlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result
from speaking import TOKEN, Answer, Served, model, model_file
from speech import speech
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from featkit import SERClassifier
from featkit.cli import cli
from featkit.cli.serve import _reach
from featkit.errors import PluginError
from featkit.serve import Limits, ServeError, create_app
from featkit.serve.server import bound, is_loopback, server, shown


def run(*words: object, **given: str) -> Result:
    return CliRunner(env={"FEATKIT_TOKEN": None} | given).invoke(cli, ["serve", *map(str, words)], prog_name="featkit")


def one_line(result: Result) -> str:
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def foreign(path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [other])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9), path)


def test_what_is_no_model_of_ours_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("I am a text")
    (tmp_path / "half.onnx").write_bytes(model_file().read_bytes()[:5000])
    (tmp_path / "empty.onnx").touch()
    foreign(tmp_path / "foreign.onnx")
    told = {"text": "is text, not a model", "half": "is damaged or not an ONNX model", "empty": "the file is empty"}
    for name, reason in told.items():
        assert f"{name}.onnx: {reason}" in one_line(run(tmp_path / f"{name}.onnx"))
    assert "but not one that featkit wrote" in one_line(run(tmp_path / "foreign.onnx"))
    assert "there is no such model file" in one_line(run(tmp_path / "none.onnx"))


def test_a_model_that_needs_speakers_is_one_line(tmp_path: Path) -> None:
    known = SERClassifier(normalise="speaker").fit(speech().waves, speech().labels, groups=speech().speakers)
    known.export(tmp_path / "m.onnx")
    assert "a request tells no speaker. Serve a model that was trained without" in one_line(run(tmp_path / "m.onnx"))


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = one_line(run(model_file(), "--port", port))
        with pytest.raises(ServeError, match=rf"Cannot listen on 127.0.0.1, port {port}: Address already in use"):
            bound("127.0.0.1", port)
    assert "Choose another by --port." in told


def test_a_host_that_is_none_is_one_line() -> None:
    assert "is not an address of this computer" in one_line(run(model_file(), "--host", "no-such-host.invalid"))
    with pytest.raises(ServeError, match=r"'no-such-host.invalid' is not an address of this computer"):
        bound("no-such-host.invalid", 0)
    assert "Cannot listen on 192.0.2.1, port 0" in one_line(run(model_file(), "--host", "192.0.2.1", "--port", 0))


def test_whoever_lets_others_in_needs_a_token() -> None:
    told = one_line(run(model_file(), "--host", "0.0.0.0", "--port", 0))
    assert "0.0.0.0 can be reached from other computers, so the server needs a token: set FEATKIT_TOKEN" in told
    weak = one_line(run(model_file(), "--host", "0.0.0.0", "--port", 0, FEATKIT_TOKEN="short"))
    assert "A token has 16 to 200 letters" in weak
    assert "A token has 16 to 200 letters" in one_line(run(model_file(), "--port", 0, "--token", "short"))


@pytest.mark.parametrize(
    "words", [["--port", "70000"], ["--max-mb", "0"], ["--max-seconds", "-1"], ["--places", "0"], ["--workers", "0"]]
)
def test_settings_that_make_no_sense_are_wrong_usage(words: list[str]) -> None:
    assert run(model_file(), *words).exit_code == 2


def test_a_missing_package_is_told_with_the_line_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("featkit.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    monkeypatch.setitem(sys.modules, "starlette.responses", None)
    told = "The server needs the package 'starlette', which is not installed: pip install 'featkit[serve]'"
    assert told in one_line(run(model_file()))
    for name in [name for name in sys.modules if name.startswith("featkit.serve")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(PluginError, match=re.escape(told)):
        importlib.import_module("featkit.serve")


def test_addresses_are_shown_as_people_type_them() -> None:
    with bound("127.0.0.1", 0) as place:
        assert shown(place) == f"http://127.0.0.1:{place.getsockname()[1]}"
        assert is_loopback(place)
    with bound("0.0.0.0", 0) as place:
        assert not is_loopback(place)
    if socket.has_ipv6 and _has_ipv6():
        with bound("::1", 0) as place:
            assert shown(place).startswith("http://[::1]:")
            assert is_loopback(place)


def _has_ipv6() -> bool:
    try:
        bound("::1", 0).close()
    except ServeError:
        return False
    return True


@pytest.mark.parametrize(("stop", "more"), [(signal.SIGINT, []), (signal.SIGTERM, ["--host", "127.0.0.2"])])
def test_the_program_serves_where_it_says_and_ends_in_good_order(stop: int, more: list[str]) -> None:
    if more and not sys.platform.startswith("linux"):
        pytest.skip("only Linux gives this computer all of 127.0.0.0/8")
    words = [sys.executable, "-m", "featkit", "serve", str(model_file()), "--port", "0", "--token", TOKEN, *more]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "model.onnx: anger, neutral, sadness\n"
        url = program.stdout.readline().split()[0].partition("#")[0]
        try:
            with urllib.request.urlopen(f"{url}health", timeout=20) as answer:
                assert answer.read() == b'{"status":"ok"}'
            program.send_signal(stop)
            rest, errors = program.communicate(timeout=20)
        finally:
            program.kill()  # or a failure would wait for it
    assert errors == ""
    assert "Traceback" not in rest


WORKING = """
import sys, time
import featkit.serve.live
featkit.serve.live._pushed = lambda *_: time.sleep(1) or []
from featkit.cli import cli
cli(["serve", sys.argv[1], "--port", "0"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one program")
@pytest.mark.parametrize("streams", [0, 1])
def test_a_second_ctrl_c_ends_it_as_quietly_as_the_first(streams: int) -> None:
    words = [sys.executable, "-c", WORKING, str(model_file())]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        program.stdout.readline()
        url = program.stdout.readline().split()[0].replace("http", "ws")
        try:
            with ExitStack() as opened:
                for _ in range(streams):
                    opened.enter_context(connect(f"{url}stream")).send(bytes(200))  # something is worked on
                time.sleep(0.3)
                for _ in range(2):
                    program.send_signal(signal.SIGINT)
                    time.sleep(0.02)
                rest, errors = program.communicate(timeout=20)
        finally:
            program.kill()
    assert (rest, errors) == ("Stopped.\n", "")


def test_who_waits_when_the_server_stops_is_told_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits, begun = Limits(), threading.Event()
    monkeypatch.setattr("featkit.serve.answers.decode", lambda *_: begun.set() or time.sleep(1))
    place = bound("127.0.0.1", 0)
    served = server(create_app(model(), "model.onnx", limits), limits)
    served.config.timeout_graceful_shutdown = 0
    thread = threading.Thread(target=served.run, kwargs={"sockets": [place]})
    thread.start()
    answers: list[Answer] = []
    client = Served(place.getsockname()[1])
    asking = threading.Thread(target=lambda: answers.append(client.ask("/predict", b"RIFF")))
    asking.start()
    assert begun.wait(10)
    served.should_exit = True
    for one in (thread, asking):
        one.join(20)
    place.close()
    assert answers[0].refused(503, "busy") == "The server is stopping. Come again in a second."
    assert caplog.messages == []


def test_a_stop_ends_streams_and_half_sent_uploads_in_the_words_of_the_docs(caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits()
    place = bound("127.0.0.1", 0)
    port = place.getsockname()[1]
    served = server(create_app(model(), "model.onnx", limits), limits)
    served.config.timeout_graceful_shutdown = 1
    thread = threading.Thread(target=served.run, kwargs={"sockets": [place]})
    thread.start()
    half = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf"
    with connect(f"ws://127.0.0.1:{port}/stream") as stream, socket.create_connection(("127.0.0.1", port)) as upload:
        stream.send(bytes(200))
        upload.sendall(half)
        time.sleep(0.3)  # both are at work
        served.should_exit = True
        with pytest.raises(ConnectionClosed, match="1012"):
            stream.recv(timeout=10)
        thread.join(20)
        answer = upload.recv(65_536)
    place.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["reason"] == "The server is stopping. Come again in a second."
    assert caplog.messages == []


def first_lines(*words: str) -> str:
    """What the program says when it is ready."""
    command = [sys.executable, "-m", "featkit", "serve", str(model_file()), "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        said = program.stdout.readline() + program.stdout.readline()
        program.kill()
    return said


def test_who_can_reach_it_is_told_as_it_is() -> None:
    assert _reach(True, (), None) == "Only this computer can reach it."
    proxied = "This computer can reach it, and whoever a proxy lets in as emo.example"
    assert _reach(True, ("emo.example",), None) == f"{proxied}, and no token is asked for."
    assert _reach(True, ("emo.example",), TOKEN) == f"{proxied}, with the token."
    assert _reach(False, ("emo.example",), TOKEN) == "Other computers can reach it, unencrypted, with the token."
    assert f"{proxied}, and no token" in first_lines("--allow-host", "emo.example")


def test_hosts_and_origins_that_are_none_are_one_line() -> None:
    assert "'https://emo.example' is no name of a host" in one_line(
        run(model_file(), "--allow-host", "https://emo.example")
    )
    assert "'*' is no origin: give scheme, host and port" in one_line(run(model_file(), "--allow-origin", "*"))


def test_the_access_log_has_a_line_for_every_request_and_is_off_by_default() -> None:
    assert logged() == []
    lines = [line.split() for line in logged("--access-log", "--allow-origin", "http://localhost:3000")]
    assert [(method, path, status, code) for _, method, path, status, _, _, _, code in lines] == [
        ("GET", "/health", "200", "-"),
        ("GET", "/nothing%0Aat%20all", "404", "unknown_path"),
        ("POST", "/predict", "415", "not_audio"),
        ("OPTIONS", "/predict", "200", "-"),
    ]
    for time_of, _, _, _, spent, *sizes, _ in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time_of)
        assert float(spent) > 0
        assert all(size.isdecimal() for size in sizes)
    assert lines[2][5] == "13"


def logged(*words: str) -> list[str]:
    """What the program writes to stderr of four requests."""
    command = [sys.executable, "-m", "featkit", "serve", str(model_file()), "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        program.stdout.readline()
        client = Served(int(program.stdout.readline().split()[0].rstrip("/").rpartition(":")[2]))
        preflight = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
        try:
            client.ask("/health?secret=1")
            client.ask("/nothing%0aat%20all")
            client.ask("/predict?hop=1", b"I am no audio")
            client.ask("/predict", method="OPTIONS", headers=preflight)
            program.terminate()
            return program.communicate(timeout=20)[1].splitlines()
        finally:
            program.kill()


def test_to_serve_no_training_library_is_loaded() -> None:
    code = "import sys, featkit.serve, featkit.serve.server; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "starlette" in loaded
    assert not {"sklearn", "scipy", "onnx", "torch", "pandas", "xgboost", "opensmile", "sounddevice"} & set(loaded)


def test_a_local_server_is_known_by_the_host_that_was_asked_for_and_by_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known: list[tuple[str, ...]] = []

    def create(model: object, name: str, limits: object, *, hosts: tuple[str, ...], **given: object) -> None:
        known.append(hosts)
        raise ServeError("enough")

    asked = socket.getaddrinfo
    monkeypatch.setattr("featkit.serve.create_app", create)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **given: asked("127.0.0.1", *rest, **given))
    assert run(model_file(), "--host", "my-laptop", "--port", 0, "--allow-host", "other").exit_code == 1
    assert known == [("localhost", "127.0.0.1", "::1", "my-laptop", "127.0.0.1", "other")]
