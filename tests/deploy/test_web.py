"""What ``write_web`` writes, what it refuses, and where it takes the browser's onnxruntime from."""

from __future__ import annotations

import hashlib
import http.server
import inspect
import io
import json
import os
import re
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import onnx
import pytest
import speaking
from speech import speech

from featkit import SERClassifier
from featkit.card import described, limits
from featkit.deploy import browser
from featkit.deploy.web import _LIVE, write_web
from featkit.errors import ExportError, ModelError
from featkit.stream import EnergyGate, LiveRecogniser

PARTS = {browser.SCRIPT: b"// a script", browser.WASM: b"\0asm a machine"}


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small files take the place of the browser's onnxruntime. Nothing is fetched, no cache is the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(browser, "INTEGRITY", {name: browser.integrity_of(part) for name, part in PARTS.items()})
    folder = tmp_path / "package" / "dist"
    folder.mkdir(parents=True)
    for name, content in PARTS.items():
        (folder / name).write_bytes(content)
    return folder


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_page_model_runtime_and_its_licence(tmp_path: Path, stand_in: Path) -> None:
    report = write_web(speaking.model_file(), tmp_path / "a" / "site", runtime=stand_in.parent)
    site = tmp_path / "a" / "site"
    parts = {"onnxruntime/ort.wasm.bundle.min.js", f"onnxruntime/{browser.WASM}", "onnxruntime/LICENSE.txt"}
    assert {"index.html", "model.json", "model.onnx", "static/app.js", "static/worker.js"} | parts <= tree(site)
    assert (site / "model.onnx").read_bytes() == speaking.model_file().read_bytes()
    assert "Permission is hereby granted" in (site / "onnxruntime" / "LICENSE.txt").read_text()
    assert report.path == site
    assert report.n_bytes == sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    assert [path.name for path in site.parent.iterdir()] == ["site"]  # no draft is left


def test_the_page_is_the_servers_own_with_another_api(tmp_path: Path, stand_in: Path) -> None:
    write_web(speaking.model_file(), tmp_path / "site", runtime=stand_in)
    static = Path(inspect.getfile(SERClassifier)).parent / "serve" / "static"
    for name in ("app.js", "draw.js", "mic.js", "style.css", "tones.js", "worklet.js", "icon.svg"):
        assert (tmp_path / "site" / "static" / name).read_bytes() == (static / name).read_bytes()
    assert (tmp_path / "site" / "static" / "api.js").read_bytes() != (static / "api.js").read_bytes()


def test_the_page_speaks_of_no_server_and_asks_only_beside_itself(tmp_path: Path, stand_in: Path) -> None:
    write_web(speaking.model_file(), tmp_path / "site", runtime=stand_in)
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    page = re.sub(r'<div class="unstarted".*?</div>', "", index, flags=re.DOTALL)  # read where there is none
    assert not re.search("server|HTTP API|predict|token", page)
    assert not re.findall(r'(?:href|src)="(?:/|\w+:)', index)
    for script in (tmp_path / "site" / "static").glob("*.js"):
        assert not re.findall(r'(?:from|import) "(?!\./)', script.read_text()), script.name
    for line in (tmp_path / "site" / "static" / "api.js", tmp_path / "site" / "static" / "worker.js"):
        assert "://" not in line.read_text()


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(tmp_path: Path, stand_in: Path) -> None:
    write_web(speaking.model_file(), tmp_path / "site", runtime=stand_in)
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', index)
    assert found is not None
    policy = dict(rule.strip().split(" ", 1) for rule in found[1].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["connect-src"] == "'self'"
    assert "unsafe-inline" not in found[1]
    assert "://" not in found[1]
    assert index.index("Content-Security-Policy") < index.index("<script")


def test_the_page_is_told_what_a_server_tells(tmp_path: Path, stand_in: Path) -> None:
    write_web(speaking.model_file(), tmp_path / "site", runtime=stand_in)
    told = json.loads((tmp_path / "site" / "model.json").read_text(encoding="utf-8"))
    model = speaking.model()
    assert (told["name"], told["labels"]) == ("model.onnx", model.labels)
    assert told["card"] == described(model.recipe, model.inputs)
    assert told["cautions"] == limits(model.recipe)
    assert (told["max_bytes"], told["max_seconds"], told["window"]) == (32_000_000, 300, 3)
    assert (told["min_samples"], told["pad_short"]) == (model.recipe["min_samples"], False)
    assert told["files"]["wasm"]["bytes"] == len(PARTS[browser.WASM])
    assert told["files"]["model"]["bytes"] == speaking.model_file().stat().st_size
    assert told["files"]["model"]["integrity"] == browser.integrity_of(speaking.model_file().read_bytes())


def test_live_is_set_as_in_python() -> None:
    live = {name: value.default for name, value in inspect.signature(LiveRecogniser).parameters.items()}
    gate = {name: value.default for name, value in inspect.signature(EnergyGate).parameters.items()}
    told = {key: value for key, value in _LIVE.items() if key not in ("smoothing", "gate")}
    assert told == {key: live[key] for key in told}
    assert _LIVE["gate"] == gate


def test_a_folder_is_written_again_and_what_else_lies_there_is_left_alone(tmp_path: Path, stand_in: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()  # empty will do
    write_web(speaking.model_file(), site, runtime=stand_in)
    (site / "CNAME").write_text("example.org")
    (site / "index.html").write_text("changed")
    write_web(speaking.model_file(), site, runtime=stand_in)
    assert (site / "CNAME").read_text() == "example.org"
    assert (site / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_runtime_that_the_page_no_longer_asks_for_is_removed(tmp_path: Path, stand_in: Path) -> None:
    site = tmp_path / "site"
    write_web(speaking.model_file(), site, runtime=stand_in)
    write_web(speaking.model_file(), site, cdn=True)
    assert not (site / "onnxruntime").exists()
    write_web(speaking.model_file(), site, runtime=stand_in)
    (site / "onnxruntime" / "mine.txt").write_text("kept")
    write_web(speaking.model_file(), site, cdn=True)
    assert {place for place in tree(site) if place.startswith("onnxruntime")} == {"onnxruntime/mine.txt"}


@pytest.mark.parametrize("there", ["mine.txt", "model.json"])
def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path, stand_in: Path, there: str) -> None:
    (tmp_path / there).write_text('{"mine": 1}')
    before = tree(tmp_path)
    with pytest.raises(ExportError, match="holds other files; name a new folder"):
        write_web(speaking.model_file(), tmp_path, runtime=stand_in)
    assert tree(tmp_path) == before


def test_a_file_is_no_folder(tmp_path: Path, stand_in: Path) -> None:
    (tmp_path / "site").write_text("")
    with pytest.raises(ExportError, match="site' is a file; name a folder"):
        write_web(speaking.model_file(), tmp_path / "site", runtime=stand_in)


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: object) -> dict[str, bytes]:
        pytest.fail("it was fetched for nothing")

    monkeypatch.setattr(browser, "runtime_files", fetched)
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"file/site: cannot be written here \(.+\); name another place"):
        write_web(speaking.model_file(), tmp_path / "file" / "site")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_ours_that_is_locked_is_refused_before_anything_is_fetched(
    tmp_path: Path, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    write_web(speaking.model_file(), site, runtime=stand_in)
    monkeypatch.setattr(browser, "runtime_files", lambda *_: pytest.fail("it was fetched for nothing"))
    site.chmod(0o500)
    with pytest.raises(ExportError, match=r"site: cannot be written here \(Permission denied\)"):
        write_web(speaking.model_file(), site)


def test_a_disk_that_fills_up_leaves_nothing_behind(
    tmp_path: Path, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "model.onnx":
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        ExportError, match=r"site: cannot be written here \(No space left on device\); name another place"
    ):
        write_web(speaking.model_file(), tmp_path / "site", runtime=stand_in)
    assert not (tmp_path / "site").exists()
    assert not list(tmp_path.glob(".site*"))


def test_a_model_that_needs_featkit_beside_it_is_refused(tmp_path: Path, stand_in: Path) -> None:
    known = SERClassifier(normalise="speaker").fit(speech().waves, speech().labels, groups=speech().speakers)
    known.export(tmp_path / "m.onnx")
    with pytest.raises(ExportError, match=r"judges a clip beside the others .*, which a browser cannot do"):
        write_web(tmp_path / "m.onnx", tmp_path / "site", runtime=stand_in)
    assert not (tmp_path / "site").exists()


def test_a_model_of_opensmile_is_refused(tmp_path: Path, stand_in: Path) -> None:
    pytest.importorskip("opensmile")
    SERClassifier("egemaps").fit(speech().waves, speech().labels, groups=speech().speakers).export(tmp_path / "m.onnx")
    with pytest.raises(ExportError, match=r"starts at features \(functionals\) .*; a browser needs a model that reads"):
        write_web(tmp_path / "m.onnx", tmp_path / "site", runtime=stand_in)


def test_scores_that_no_browser_reads_are_refused(tmp_path: Path, stand_in: Path) -> None:
    proto = onnx.load(speaking.model_file())
    recipe = json.loads(proto.metadata_props[0].value)
    recipe["scores"] = {"recalls": {"anger": float("nan")}}
    proto.metadata_props[0].value = json.dumps(recipe)
    onnx.save(proto, tmp_path / "m.onnx")
    with pytest.raises(ExportError, match=r"m\.onnx: its scores hold NaN or infinity, .* export it again"):
        write_web(tmp_path / "m.onnx", tmp_path / "site", runtime=stand_in)
    assert not (tmp_path / "site").exists()


def test_what_is_no_model_is_refused(tmp_path: Path, stand_in: Path) -> None:
    with pytest.raises(ModelError, match="there is no such model file"):
        write_web(tmp_path / "m.onnx", tmp_path / "site", runtime=stand_in)
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="is text, not a model"):
        write_web(tmp_path / "m.onnx", tmp_path / "site", runtime=stand_in)


@pytest.mark.parametrize("place", ["package", "package/dist"])
def test_the_runtime_may_be_named_as_package_or_as_its_dist(tmp_path: Path, place: str) -> None:
    assert browser.runtime_files(tmp_path / place) == PARTS


def test_a_folder_without_the_runtime_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"does not hold ort.wasm.bundle.min.mjs and .*name the unpacked npm package"):
        browser.runtime_files(tmp_path)


def test_another_version_of_the_runtime_is_refused(tmp_path: Path, stand_in: Path) -> None:
    (stand_in / browser.SCRIPT).write_text("// another script")
    with pytest.raises(ExportError, match=r"holds another onnxruntime-web than 1\.\d+\.\d+, .* npm pack"):
        browser.runtime_files(tmp_path / "package")


def test_a_cdn_and_a_folder_exclude_each_other(tmp_path: Path, stand_in: Path) -> None:
    with pytest.raises(ExportError, match="Either onnxruntime-web comes from a CDN or from a folder"):
        write_web(speaking.model_file(), tmp_path / "site", runtime=stand_in, cdn=True)


def test_with_a_cdn_the_runtime_is_left_out_and_its_hashes_are_told(tmp_path: Path) -> None:
    write_web(speaking.model_file(), tmp_path / "site", cdn=True)
    assert not (tmp_path / "site" / "onnxruntime").exists()
    told = json.loads((tmp_path / "site" / "model.json").read_text(encoding="utf-8"))["files"]
    for key, name in (("script", browser.SCRIPT), ("wasm", browser.WASM)):
        assert told[key] == {"url": browser.CDN + name, "integrity": browser.INTEGRITY[name]}
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert f"connect-src 'self' {browser.CDN};" in index
    assert f"onnxruntime-web@{browser.VERSION}/dist/" in browser.CDN


# --- the registry ----------------------------------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An npm registry with one package; yields the paths that were asked for."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as package:
        for name, content in {**PARTS, "../../evil": b"", "ort.all.js": b"// not wanted"}.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    folder = tmp_path / "registry" / "onnxruntime-web" / "-"
    folder.mkdir(parents=True)
    (folder / f"onnxruntime-web-{browser.VERSION}.tgz").write_bytes(packed.getvalue())
    monkeypatch.setattr(browser, "_PACKAGE", "sha512:" + hashlib.sha512(packed.getvalue()).hexdigest())
    monkeypatch.setattr(browser, "_BYTES", len(packed.getvalue()))
    asked: list[str] = []

    class Registry(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *line: object) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Registry, directory=tmp_path / "registry")
    ) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{served.server_port}/")
        yield asked
        served.shutdown()
        thread.join()


def test_the_runtime_is_fetched_once_and_kept(tmp_path: Path, registry: list[str]) -> None:
    assert browser.runtime_files() == PARTS
    assert browser.runtime_files() == PARTS
    assert registry == [f"/onnxruntime-web/-/onnxruntime-web-{browser.VERSION}.tgz"]
    kept = tmp_path / "cache" / "featkit" / f"onnxruntime-web-{browser.VERSION}"
    assert tree(kept) == set(PARTS)


def test_a_damaged_copy_is_fetched_anew(registry: list[str]) -> None:
    browser.runtime_files()
    (browser.kept_in() / browser.WASM).write_bytes(b"cut off")
    assert browser.runtime_files() == PARTS
    assert len(registry) == 2


def test_another_package_than_the_published_one_is_refused(
    registry: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "_PACKAGE", "sha512:" + "0" * 128)
    with pytest.raises(ExportError, match=r"the SHA512 of what came is \w+, but 0+ was published"):
        browser.runtime_files()
    assert not tree(browser.kept_in())


def test_a_cache_that_cannot_be_written_is_told_with_the_ways_out(
    tmp_path: Path, registry: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    told = (
        rf"cannot be kept in '.*/file/featkit/onnxruntime-web-{browser.VERSION}' \(Not a directory\)\. Set "
        r"(XDG_CACHE_HOME|LOCALAPPDATA) to a folder .*--runtime FOLDER.*--cdn"
    )
    with pytest.raises(ExportError, match=told):
        browser.runtime_files()
    assert registry == []


def test_without_a_network_the_folder_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(ExportError, match=r"cannot be fetched: http.* unpack it here .*: --runtime FOLDER"):
        browser.runtime_files()


def test_a_registry_without_the_package_is_told(registry: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "VERSION", "0.0.0")
    with pytest.raises(ExportError, match=r"the server answers 404 \(.*\)\. Where there is no network"):
        browser.runtime_files()
