"""A page of another origin in a real Chromium: what the documentation shows, allowed and not."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import speaking
from browsing import CHROMIUM, NEEDED, chromium, write_clips
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NEEDED)

DOCS = Path(__file__).parents[2] / "docs" / "serving.md"
STREAM = """([url, token]) => new Promise(done => {
    const socket = new WebSocket(url, ["featkit", `token.${token}`]);
    socket.onopen = () => socket.send("end");
    socket.onclose = closed => done(closed.code);
})"""


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *line: object) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of an empty page."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text("<!doctype html><title>A front end</title>")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=folder)) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        yield f"http://localhost:{host.server_port}"
        host.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(write_clips(tmp_path_factory.mktemp("clips")) / "microphone.wav") as started:
        yield started


@pytest.fixture
def page(browser: Browser, elsewhere: str) -> Iterator[Page]:
    opened = browser.new_page()
    opened.goto(elsewhere)
    yield opened
    opened.context.close()


def example(served: speaking.Served) -> str:
    """The fetch() of the documentation, for this server."""
    found = re.search(r"^```js\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None
    code = found[1].replace("http://127.0.0.1:8000", served.url)
    return (
        f"async ([content, token]) => {{ const file = new Blob([new Uint8Array(content)]);\n{code}\nreturn answer; }}"
    )


def asked(page: Page, served: speaking.Served, token: str = speaking.TOKEN) -> Any:
    return page.evaluate(example(served), [list(speaking.wav()), token])


def test_the_example_of_the_docs_labels_a_clip_from_an_allowed_origin(page: Page, elsewhere: str) -> None:
    with speaking.running(token=speaking.TOKEN, origins=(elsewhere,)) as served:
        assert asked(page, served)["label"] in speaking.model().labels
        assert asked(page, served, "another")["code"] == "wrong_token"  # it may read why it was refused
        stream = served.url.replace("http", "ws") + "/stream"
        assert page.evaluate(STREAM, [stream, speaking.TOKEN]) == 1000


def test_from_any_other_origin_the_browser_gets_nothing(page: Page) -> None:
    with speaking.running(token=speaking.TOKEN, origins=("http://localhost:1",)) as served:
        with pytest.raises(Exception, match="Failed to fetch"):
            asked(page, served)
        stream = served.url.replace("http", "ws") + "/stream"
        assert page.evaluate(STREAM, [stream, speaking.TOKEN]) == 1006
