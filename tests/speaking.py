"""A small model, a server that runs in this process on a free port, and plain ways to speak to it."""

from __future__ import annotations

import atexit
import http.client
import io
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile
from speech import fitted, speech

from featkit.runtime import Model, load
from featkit.serve import Limits, create_app
from featkit.serve.server import bound, server

TOKEN = "a-token-of-24-characters"


@cache
def model_file() -> Path:
    """A model of three emotions, trained on 24 synthetic clips."""
    folder = mkdtemp(prefix="featkit-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "model.onnx"
    fitted().export(path)
    return path


@cache
def model() -> Model:
    return load(model_file())


def wav(
    wave: npt.ArrayLike | None = None, rate: int = 16_000, form: str = "WAV", subtype: str = "PCM_16", **given: Any
) -> bytes:
    """A file in memory; the first synthetic clip if no samples are given."""
    target = io.BytesIO()
    soundfile.write(target, speech().waves[0] if wave is None else wave, rate, format=form, subtype=subtype, **given)
    return target.getvalue()


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.content)

    def refused(self, status: int, code: str) -> str:
        """The reason, once it is sure that it was refused in this way."""
        assert (self.status, self.json["code"]) == (status, code)
        assert set(self.json) == {"code", "reason"}
        reason = self.json["reason"]
        assert "Traceback" not in reason
        assert "/tmp" not in reason
        return str(reason)


class Served:
    """A server that runs."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(
        self, path: str, body: bytes | None = None, method: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def form(self, path: str, files: list[tuple[str, bytes]], boundary: str = "x0x") -> Answer:
        """A multipart form with files."""
        return self.ask(
            path, form(files, boundary), headers={"content-type": f"multipart/form-data; boundary={boundary}"}
        )

    def raw(self, *pieces: bytes, wait: float = 5.0) -> Answer:
        """Bytes as they are; what comes back until the server closes, or for ``wait`` seconds."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as line:
            for piece in pieces:
                line.sendall(piece)
            response = http.client.HTTPResponse(line)
            response.begin()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def form(files: list[tuple[str, bytes]], boundary: str = "x0x") -> bytes:
    """The body of a multipart form."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()])


@contextmanager
def running(limits: Limits | None = None, **given: Any) -> Iterator[Served]:
    """A server in a thread of this process; ended in good order afterwards."""
    limits = limits or Limits()
    place = bound("127.0.0.1", 0)
    served = server(create_app(given.pop("model", None) or model(), "model.onnx", limits, **given), limits)
    thread = threading.Thread(target=served.run, kwargs={"sockets": [place]})
    thread.start()
    try:
        while not served.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield Served(place.getsockname()[1])
    finally:
        served.should_exit = True
        thread.join(20)
        place.close()
        assert not thread.is_alive()


def expected(content: bytes) -> npt.NDArray[np.float32]:
    """Probabilities of a 16 kHz mono file, by the runtime alone."""
    wave, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate == 16_000
    return model().predict_proba([wave])[0]
