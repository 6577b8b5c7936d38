"""A server of files that breaks off, falls silent or lies as it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 800  # 204 800 bytes


@dataclass
class Server:
    """What the next answers will be, and which requests came."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/a.zip": CONTENT})
    tag: str | None = '"one"'
    ranges: bool = True
    obeys_if_range: bool = True
    length: bool = True
    brief: bool = False  # a part is sent without ETag and length
    cut: int | None = None  # bytes after which the connection is closed, once
    status: list[int] = field(default_factory=list)
    silent: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def served() -> Iterator[Server]:
    """``/a.zip`` on this computer, as long as the block runs."""
    state = Server()
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.requests.append(dict(self.headers))
            if state.silent:
                release.wait(3)
                self.close_connection = True
                return
            if state.status or self.path not in state.files:
                self.send_error(state.status.pop(0) if state.status else 404)
                return
            self.answer(state.files[self.path])

        def answer(self, content: bytes) -> None:
            begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
            same = not state.obeys_if_range or self.headers.get("If-Range") == state.tag
            partial = "Range" in self.headers and state.ranges and same
            begin = begin if partial else 0
            if partial and begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if partial else 200)
            if partial:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            brief = partial and state.brief
            if state.tag and not brief:
                self.send_header("ETag", state.tag)
            if state.length and not brief:
                self.send_header("Content-Length", str(len(content) - begin))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            cut, state.cut = state.cut, None
            self.wfile.write(content[begin:][:cut])
            self.close_connection = cut is not None or not state.length or brief

        def log_message(self, *words: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/a.zip"
    yield state
    release.set()
    http.shutdown()
    thread.join()
    http.server_close()
