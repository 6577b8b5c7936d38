"""A model as a folder of static files: the page of ``featkit serve``, with the model inside the browser."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featkit import card
from featkit.deploy import browser
from featkit.deploy.source import require_wave
from featkit.errors import ExportError
from featkit.files import writing
from featkit.runtime import Model, load

MAX_BYTES = 32_000_000
"""Of one file: the browser holds it several times while it decodes."""

MAX_SECONDS = 300
"""Of one clip."""

WINDOW = 3
"""Seconds of a window, of a clip's timeline and live."""

# As featkit.serve has them: LiveRecogniser with means instead of votes, and an EnergyGate.
_LIVE = {
    "window": WINDOW, "hop": 0.5, "smoothing": "mean", "votes": 5, "threshold": 0.4, "hysteresis": 0.1,
    "gate": {"margin": 10, "share": 0.1, "memory": 20, "quietest": -70},
}  # fmt: skip

_PACKAGE = Path(__file__).parents[1]
_PAGE = _PACKAGE / "serve" / "static"
_OWN = _PACKAGE / "deploy" / "static"  # takes the place of what speaks to a server
_SERVER_ONLY = re.compile(r"\s*<!-- server -->.*?<!-- /server -->", re.DOTALL)
_HINT = '<p class="hint">'
_UNSTARTED = """<div class="unstarted" id="unstarted">
          <p>Nothing to press? Browsers start this page only from a web server, not as a file. In its folder run</p>
          <p><code>python -m http.server</code></p>
          <p>and open <code>http://127.0.0.1:8000</code>.</p>
        </div>
        """
"""Stands there until the page's script runs, which takes it away. Before what it says once there is a model."""

_LICENCE = "onnxruntime/LICENSE.txt"
_CHARSET = '<meta charset="utf-8">'
_MARK = "featkit_web"
"""The key of model.json by which a folder is known as one of ours. Its value is the version of the form."""


@dataclass(frozen=True)
class WebReport:
    """What was written."""

    path: Path
    n_bytes: int
    """Of all files."""


def write_web(model: Path, folder: Path, *, runtime: Path | None = None, cdn: bool = False) -> WebReport:
    """Write a folder that any host of static files can serve: page, model and onnxruntime-web.

    Parameters
    ----------
    model
        A model that takes the waveform, written by ``SERClassifier.export``.
    folder
        New, empty, or written by this function before: then its own files are replaced and others left alone.
    runtime
        Folder of the unpacked npm package onnxruntime-web, where it cannot be fetched.
    cdn
        Leave onnxruntime-web out; browsers fetch it from cdn.jsdelivr.net and check it.

    Raises
    ------
    ExportError
        The model needs featkit beside it, its scores are not finite, the folder holds other files or cannot be
        written, or there is no onnxruntime-web.
    ModelError
        The model is missing, damaged or not featkit's.
    """
    recogniser = load(model)
    require_wave(recogniser, model, "a browser")
    with writing(folder):
        _check_folder(folder)
    if cdn and runtime is not None:
        raise ExportError("Either onnxruntime-web comes from a CDN or from a folder; name one of both.")
    parts = {} if cdn else browser.runtime_files(runtime)
    files = _files(recogniser, model, parts)
    _put(files, folder)
    _remove_runtime(folder, files)
    return WebReport(folder, sum(map(len, files.values())))


def _check_folder(folder: Path) -> None:
    """Nobody's files are overwritten or mixed with ours, and ours can be written."""
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"'{folder}' is a file; name a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder):
        raise ExportError(f"'{folder}' holds other files; name a new folder, or one that was written by --to web.")
    with _beside(folder):  # before 33 MB are fetched for it
        if folder.is_dir():
            tempfile.TemporaryFile(dir=folder).close()


def _is_ours(folder: Path) -> bool:
    try:
        told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and _MARK in told


def _files(model: Model, path: Path, parts: dict[str, bytes]) -> dict[str, bytes]:
    """Content by place in the folder. Without ``parts`` onnxruntime-web is on the CDN."""
    content = path.read_bytes()
    urls = {name: _url(name, cdn=not parts) for name in browser.INTEGRITY}
    needed: dict[str, dict[str, Any]] = {
        "model": {"url": "model.onnx", "integrity": browser.integrity_of(content), "bytes": len(content)},
        "script": {"url": urls[browser.SCRIPT], "integrity": browser.INTEGRITY[browser.SCRIPT]},
        "wasm": {"url": urls[browser.WASM], "integrity": browser.INTEGRITY[browser.WASM]},
    }
    if parts:
        needed["wasm"]["bytes"] = len(parts[browser.WASM])
    files = {f"static/{file.name}": file.read_bytes() for place in (_PAGE, _OWN) for file in sorted(place.iterdir())}
    index = files.pop("static/index.html").decode()
    files["model.json"] = _json(_told(model, path.name, needed), path)
    files["index.html"] = _page(index, cdn=not parts).encode()
    files["model.onnx"] = content
    files |= {urls[name]: part for name, part in parts.items()}
    if parts:
        files[_LICENCE] = browser.LICENCE.read_bytes()
    return files


def _url(name: str, *, cdn: bool) -> str:
    """Where a part of onnxruntime-web is. Not every host knows that .mjs is JavaScript, and a browser insists on it."""
    return browser.CDN + name if cdn else f"onnxruntime/{name.replace('.mjs', '.js')}"


def _told(model: Model, name: str, needed: dict[str, Any]) -> dict[str, Any]:
    """What the page knows of the model: what a server tells it, and what it does itself."""
    return card.shown(model.recipe, model.inputs, name) | {
        _MARK: 1,
        "window": WINDOW,
        "max_bytes": MAX_BYTES,
        "max_seconds": MAX_SECONDS,
        "min_samples": model.recipe["min_samples"],
        "pad_short": model.recipe["pad_short"],
        "live": _LIVE,
        "files": needed,
    }


def _json(told: dict[str, Any], path: Path) -> bytes:
    """As browsers read it: to them NaN is no JSON."""
    try:
        return json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False).encode()
    except ValueError:
        raise ExportError(
            f"{path}: its scores hold NaN or infinity, which a browser cannot read; score the model anew, or leave its "
            "scores out, and export it again."
        ) from None


def _page(index: str, *, cdn: bool) -> str:
    """The page without what speaks of our server, with its headers, and with a word for who opens it as a file."""
    head = (
        f'{_CHARSET}\n  <meta http-equiv="Content-Security-Policy" content="{policy(cdn)}">\n'
        '  <meta name="referrer" content="no-referrer">'
    )
    return _SERVER_ONLY.sub("", index).replace(_CHARSET, head).replace(_HINT, _UNSTARTED + _HINT)


def policy(cdn: bool) -> str:
    """The Content-Security-Policy: nothing but the folder's own files, none of them inline, and WebAssembly."""
    # A worker from a blob is bound by it too; one from a file would not be. What comes from a CDN is imported as the
    # blob that was checked.
    script, connect = (" blob:", f" {browser.CDN}") if cdn else ("", "")
    return (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{script}; worker-src 'self' blob:; "
        f"connect-src 'self'{connect}; style-src 'self'; img-src 'self'; media-src blob:; base-uri 'none'; "
        "form-action 'none'"
    )


def _put(files: dict[str, bytes], folder: Path) -> None:
    """Write all beside the folder first, so that a full disk leaves it as it was; the mark of ours comes first."""
    with writing(folder), _beside(folder) as draft:
        for place, content in files.items():
            (draft / place).parent.mkdir(exist_ok=True)
            (draft / place).write_bytes(content)
        for place in sorted(files, key=lambda place: place != "model.json"):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (draft / place).replace(folder / place)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        yield Path(name)


def _remove_runtime(folder: Path, files: dict[str, bytes]) -> None:
    """What an earlier export has left of onnxruntime-web, and this one does not ask for."""
    for place in {_LICENCE, *(_url(name, cdn=False) for name in browser.INTEGRITY)} - files.keys():
        (folder / place).unlink(missing_ok=True)
    rest = folder / "onnxruntime"
    if rest.is_dir() and not any(rest.iterdir()):
        rest.rmdir()
