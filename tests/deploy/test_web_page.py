"""The folder in a real Chromium that reaches nothing but its files: the same answers as Python's, and no server."""

from __future__ import annotations

import csv
import http.server
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr
from browsing import CHROMIUM, CONTRAST, NEEDED, OVERFLOWING, chromium, shown, write_clips
from playwright.sync_api import Browser, Page, Request, expect
from speech import fitted

from featkit import SERClassifier, audio, load, quality
from featkit.datasets.synthetic import synthesise
from featkit.deploy import browser as onnxruntime_web
from featkit.deploy.web import write_web
from featkit.errors import AudioError
from featkit.runtime import Model
from featkit.stream import EnergyGate, LiveRecogniser, sliding
from featkit.stream.smoothing import Smoother
from featkit.stream.windows import Windows

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NEEDED)

RECIPES = {"svm": "mfcc39", "xgboost": "mfcc39", "cnn_lstm": "mfcc39", "transformer": "logmel"}
NPM = shutil.which("npm")


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The browser's onnxruntime: as an export has kept it, or by npm, which then is kept too."""
    kept = onnxruntime_web.kept_in()
    if not onnxruntime_web._whole(kept):
        package = f"onnxruntime-web@{onnxruntime_web.VERSION}"
        if NPM is None:
            pytest.skip(f"needs {package}: write any model with featkit export --to web once, or install npm")
        folder = tmp_path_factory.mktemp("npm")
        got = subprocess.run(
            [NPM, "pack", "--silent", package], cwd=folder, capture_output=True, text=True, timeout=300
        )
        if got.returncode:
            pytest.skip(f"needs {package}, and npm cannot fetch it: {got.stderr.strip()[-200:]}")
        with tarfile.open(next(folder.glob("*.tgz"))) as packed:
            packed.extractall(folder, filter="data")
        kept.mkdir(parents=True, exist_ok=True)
        for name, content in onnxruntime_web.runtime_files(folder / "package").items():
            (kept / name).write_bytes(content)
    return kept


class Host(http.server.SimpleHTTPRequestHandler):
    """A plain host of files that says nothing."""

    def log_message(self, *line: object) -> None:
        pass


class OpenHost(Host):
    """One that pages of other hosts may ask."""

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


@contextmanager
def running(host: type[http.server.SimpleHTTPRequestHandler], folder: Path) -> Iterator[str]:
    """The address of a host of this folder."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(host, directory=folder)) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


class Site:
    """Folders below one address, none of them at its root."""

    def __init__(self, root: Path, url: str, runtime: Path) -> None:
        self.root, self.url, self._runtime = root, url, runtime

    def model(self, backend: str) -> Model:
        path = self.root.parent / f"{backend}.onnx"
        if not path.exists():
            fitted(RECIPES[backend], backend).export(path)
        return load(path)

    def page(self, backend: str) -> str:
        """The address of a folder with this model."""
        self.model(backend)
        if not (self.root / backend).exists():
            write_web(self.root.parent / f"{backend}.onnx", self.root / backend, runtime=self._runtime)
        return f"{self.url}/{backend}/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("host")
    with running(Host, root) as url:
        yield Site(root / "sites", f"{url}/sites", runtime)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_clips(tmp_path_factory.mktemp("clips"))
    said, _ = soundfile.read(folder / "long.wav", dtype="float32")
    loud = soxr.resample(said, 16_000, 48_000)
    soundfile.write(folder / "stereo.wav", np.stack([loud, 0.4 * loud], axis=1), 48_000)
    return folder


@pytest.fixture(scope="module")
def browser(clips: Path) -> Iterator[Browser]:
    with chromium(clips / "microphone.wav") as started:
        yield started


Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, site: Site) -> Iterator[Opened]:
    """Opens a page and cuts it off from all but its folder. Afterwards nothing may have gone wrong in it."""
    contexts, wrong, elsewhere = [], [], []

    def open_page(at: str | None = None, script: str = "", **settings: Any) -> Page:
        context = browser.new_context(permissions=["microphone"], **settings)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(script)

        def asked(request: Request) -> None:
            if not request.url.startswith((site.url, "blob:", "data:")):
                elsewhere.append(request.url)

        context.on("request", asked)
        page.on("websocket", lambda socket: elsewhere.append(socket.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.goto(at or site.page("svm"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
    assert elsewhere == []


@pytest.fixture(scope="module")
def workshop(browser: Browser, site: Site) -> Iterator[Page]:
    """One page in which the modules of its scripts are tried."""
    page = browser.new_page()
    page.goto(site.page("svm"))
    yield ready(page)
    page.context.close()


def ready(page: Page) -> Page:
    expect(page.locator("#facts dt").first).to_be_attached()  # 14 MB of machine code are compiled
    return page


def labelled(page: Page, *paths: Path) -> None:
    page.locator("#files").set_input_files([str(path) for path in paths])
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#result-file")).to_have_text(paths[0].name)


def told(page: Page, *paths: Path) -> list[dict[str, str]]:
    """The rows of the CSV file."""
    labelled(page, *paths)
    expect(page.locator("#csv")).to_be_enabled()
    with page.expect_download() as download:
        page.evaluate("document.getElementById('csv').click()")
    return list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()))


def probabilities(row: dict[str, str], model: Model) -> npt.NDArray[np.float64]:
    assert not row["error"], row
    return np.array([float(row[label]) for label in model.labels])


def given(page: Page, module: str, code: str, *values: Any) -> Any:
    """Run a function of the page's own modules: ``code`` is JavaScript of (module, …values)."""
    return page.evaluate(
        f"async (values) => ({code})(await import(new URL('static/{module}', location.href)), ...values)", list(values)
    )


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", RECIPES)
def test_a_model_answers_in_the_browser_as_in_python(backend: str, opened: Opened, site: Site, clips: Path) -> None:
    page, model = ready(opened(site.page(backend))), site.model(backend)
    page.context.set_offline(True)  # all has been loaded: from here on nothing is needed, not even the host
    paths = [clips / name for name in ("anger.wav", "sadness.wav", "long.wav", "stereo.wav")]
    rows = told(page, *paths)
    for path, row in zip(paths, rows, strict=True):
        want = model.predict_proba([path])[0]
        # Trees jump where a feature passes a threshold: what was converted from 48 kHz may differ more.
        within = 0.02 if backend == "xgboost" and path.name == "stereo.wav" else 1e-3
        np.testing.assert_allclose(probabilities(row, model), want, atol=within, err_msg=f"{backend} {path.name}")
        assert row["label"] == model.labels[int(want.argmax())]
    same = np.array([probabilities(row, model) for row in rows[:3]])
    np.testing.assert_allclose(same, model.predict_proba(paths[:3]), atol=1e-5)  # 16 kHz: the very same samples


def test_the_timeline_is_that_of_sliding_windows(opened: Opened, site: Site, clips: Path) -> None:
    page, model = ready(opened()), site.model("svm")
    labelled(page, clips / "long.wav")
    page.get_by_text("Timeline as numbers").click()
    rows = [row.split("\t") for row in page.locator("#numbers tbody tr").all_inner_texts()]
    windows = sliding(model, audio.load(clips / "long.wav"), 3, 0.5)
    assert len(rows) == len(windows) > 10
    for row, window in zip(rows, windows, strict=True):
        assert row[:2] == [f"{window.start:.1f}", f"{window.end:.1f}"]
        assert window.probabilities is not None
        np.testing.assert_allclose(
            [float(cell.removesuffix("%")) for cell in row[2:]], 100 * window.probabilities, atol=0.51
        )
    expect(page.locator("#wave path")).to_have_count(1)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_wav_at_16_khz_holds_the_very_samples_that_python_reads(
    subtype: str, channels: int, workshop: Page, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, (2_000, channels))
    for form in ("WAV", "WAVEX"):
        soundfile.write(tmp_path / "clip.wav", noise, 16_000, subtype, format=form)
        content = list((tmp_path / "clip.wav").read_bytes())
        found = given(
            workshop, "clip.js",
            "async (m, bytes) => [...(await m.read(new Blob([new Uint8Array(bytes)]), 9)).samples]", content,
        )  # fmt: skip
        np.testing.assert_array_equal(np.array(found, np.float32), audio.load(tmp_path / "clip.wav"))


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 44_099, 96_000])
def test_other_rates_are_converted_as_soxr_converts_them(rate: int, workshop: Page) -> None:
    wave = soxr.resample(synthesise("anger", 1, 0, 0), 16_000, rate)
    noise = np.random.default_rng(0).normal(0, 0.001, wave.size).astype(np.float32)
    samples = wave + noise
    found = given(
        workshop, "resample.js",
        """(m, samples, rate) => {
            const whole = m.resampled(Float32Array.from(samples), rate), stream = new m.Resampler(rate), parts = [];
            for (let at = 0; at < samples.length; at += 1000) {
                parts.push(...stream.push(Float32Array.from(samples.slice(at, at + 1000))));
            }
            parts.push(...stream.flush());
            return [[...whole], parts];
        }""",
        samples.tolist(), rate,
    )  # fmt: skip
    want = soxr.resample(samples, rate, 16_000, quality="HQ")
    whole, parts = np.array(found[0]), np.array(found[1])
    assert whole.shape == want.shape
    assert np.abs(whole - want).max() < 5e-4 * np.abs(want).max() + 5e-4
    np.testing.assert_array_equal(whole, parts)  # block by block as at once


def test_what_the_browser_decodes_gets_nearly_the_same_answer(opened: Opened, site: Site, tmp_path: Path) -> None:
    wave = soxr.resample(np.concatenate([synthesise("sadness", 2, i, 0) for i in range(3)]), 16_000, 44_100)
    paths = []
    for form, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")):
        paths.append(tmp_path / f"clip.{form.lower()}")
        soundfile.write(paths[-1], wave, 44_100, subtype, format=form)
    rows = told(ready(opened()), *paths)
    found = [probabilities(row, site.model("svm")) for row in rows]
    np.testing.assert_allclose(found, site.model("svm").predict_proba(paths), atol=0.01)


def test_a_file_is_decoded_at_its_own_rate(workshop: Page, tmp_path: Path) -> None:
    for form, subtype, rate in (
        ("FLAC", "PCM_16", 44_100),
        ("OGG", "VORBIS", 22_050),
        ("MP3", "MPEG_LAYER_III", 16_000),
    ):
        soundfile.write(tmp_path / "clip", np.zeros(rate), rate, subtype, format=form)
        content = list((tmp_path / "clip").read_bytes())
        assert given(workshop, "heads.js", "(m, bytes) => m.headOf(new Uint8Array(bytes)).rate", content) == rate


# --- what is no clip -------------------------------------------------------------------------------------------------

_IN_HEADER = (12, 19, 20, 21, 22, 36)
"""Bytes after which a wav is cut off: before, at and within what tells its format."""


def refused(path: Path) -> str:
    """What Python says of a file."""
    with pytest.raises(AudioError) as error:
        audio.load(path)
    return str(error.value).removeprefix(f"{path}: ").replace(" (inf)", "")


def test_what_is_no_clip_is_refused_in_the_words_of_python(opened: Opened, tmp_path: Path) -> None:
    wave = synthesise("anger", 1, 0, 0)
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, wave * 40_000, 16_000, "FLOAT")
    bad = {"empty.wav": b"", "text.wav": b"I am no audio", "noise.wav": bytes(range(256)) * 4}
    for name, samples in (
        ("silent", np.zeros(16_000)), ("none", np.zeros(0)), ("nan", np.full(16_000, np.nan)), ("brief", wave[:100]),
        ("one", np.zeros(1)), ("one-nan", np.array([0.1, np.nan])),
    ):  # fmt: skip
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000, "FLOAT")
    soundfile.write(tmp_path / "against.wav", np.stack([wave, -wave], axis=1), 16_000, "FLOAT")
    soundfile.write(tmp_path / "whole.wav", wave, 16_000)
    soundfile.write(tmp_path / "silent-8-bit.wav", np.zeros((16_000, 2)), 16_000, "PCM_U8")  # its zero is 128
    bad["cut.wav"] = (tmp_path / "whole.wav").read_bytes()[:9000]
    bad |= {f"cut-{n}.wav": (tmp_path / "whole.wav").read_bytes()[:n] for n in _IN_HEADER}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    names = ["silent", "silent-8-bit", "none", "nan", "against", "cut", "text"]
    others = ["empty", *(f"cut-{n}" for n in _IN_HEADER), "noise", "loud", "brief", "one", "one-nan"]
    rows = told(ready(opened()), *(tmp_path / f"{name}.wav" for name in [*names, *others]))
    for name, row in zip(names, rows, strict=False):
        assert refused(tmp_path / f"{name}.wav").removeprefix("is ") in row["error"], name
    assert [row["error"] for row in rows[len(names) :]] == [
        "The clip is empty (0 bytes); choose an audio file.",
        *["The clip cannot be decoded; it is damaged or in a format that this browser does not read."] * 7,
        f"The clip cannot be used: samples reach {np.abs(wave * 40_000).max():.0f}, a wave −1 to 1; scale integers to "
        "that range.",
        "The clip cannot be used: it has 6.25 ms and the model needs at least 25 ms; choose a longer one.",
        "The clip cannot be used: its only sample is zero (digital silence); drop the clip.",
        "The clip cannot be used: 1 of 2 samples is not finite (NaN or inf); repair or drop the clip.",
    ]


@pytest.mark.parametrize(
    ("form", "subtype", "rate"),
    [
        ("WAV", "PCM_16", 16_000), ("WAV", "ULAW", 8_000), ("WAVEX", "PCM_24", 44_100),
        ("FLAC", "PCM_16", 16_000), ("FLAC", "PCM_16", 44_100), ("FLAC", "PCM_24", 48_000),
    ],
)  # fmt: skip
def test_what_breaks_off_is_refused_and_what_is_whole_is_not(
    form: str, subtype: str, rate: int, opened: Opened, site: Site, tmp_path: Path
) -> None:
    wave = soxr.resample(np.concatenate([synthesise("sadness", 2, i, 0) for i in range(3)]), 16_000, rate)
    whole, half, most, tagged = (tmp_path / f"{name}.bin" for name in ("whole", "half", "most", "tagged"))
    soundfile.write(whole, wave, rate, subtype, format=form)
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    most.write_bytes(content[: -len(content) // 20])
    tagged.write_bytes((b"ID3\4\0\0\0\0\1\0" + bytes(128) if form == "FLAC" else b"") + content)
    rows = told(ready(opened()), whole, half, most, tagged)
    assert rows[0]["label"] == site.model("svm").predict([whole])[0]
    assert rows[3]["label"] == rows[0]["label"]
    for path, row in zip((half, most), rows[1:3], strict=True):
        assert re.fullmatch(
            r"The clip is truncated: \d+ of \d+ \w+ are there; copy or convert it again\.", row["error"]
        )
        said = refused(path)  # of a FLAC libsndfile notices mostly that a frame breaks off, before samples are counted
        assert said.removeprefix("is ") in row["error"] or (form == "FLAC" and "it is truncated or damaged" in said)
    if form == "FLAC":
        assert f" of {wave.size} samples" in rows[1]["error"]


# --- what is odd about a clip ----------------------------------------------------------------------------------------


def odd_waves() -> dict[str, npt.NDArray[Any]]:
    """Recordings with faults, by name: (n,) or (n, 2) at 16 kHz."""
    random = np.random.default_rng(4)
    wave, noise = synthesise("anger", 1, 0, 0), random.normal(0, 0.1, 40_000)
    gap = np.concatenate([noise[:16_000], np.zeros(700), noise[16_000:20_000], np.zeros(90), noise[20_000:]])
    low = soxr.resample(soxr.resample(noise, 16_000, 6_000), 6_000, 16_000)
    return {
        "good": wave, "brief": wave[8_000:9_000], "quiet": wave / 900, "loud": 9 * wave / np.abs(wave).max(),
        "clipped": np.clip(3 * wave / np.abs(wave).max(), -1, 1), "dc": wave / 2 + 0.2, "gap": gap, "low": low,
        "padded": np.concatenate([np.zeros(30_000), wave]), "behind": np.concatenate([wave, np.zeros(30_000)]),
        "faint": np.concatenate([noise[:3_000], noise / 2_000]), "tone": np.sin(np.arange(20_000) / 8) / 2,
        "mute": np.stack([wave, wave / 9_000], axis=1), "differ": np.stack([wave, noise[: wave.size]], axis=1),
        "both": np.stack([wave, wave], axis=1),
    }  # fmt: skip


def test_flags_are_those_of_python(opened: Opened, tmp_path: Path) -> None:
    odd = odd_waves()
    for name, wave in odd.items():
        soundfile.write(tmp_path / f"{name}.wav", wave, 16_000, "FLOAT")
    soundfile.write(tmp_path / "telephone.wav", odd["good"][::2], 8_000)
    soundfile.write(tmp_path / "ulaw.wav", odd["good"][::2], 8_000, "ULAW")
    soundfile.write(tmp_path / "stereo.flac", odd["mute"], 16_000)
    content = (tmp_path / "telephone.wav").read_bytes()
    (tmp_path / "unclosed.wav").write_bytes(content[:4] + b"\0" * 4 + content[8:40] + b"\0" * 4 + content[44:])
    behind = content[:40] + (4_000).to_bytes(4, "little") + content[44:] + bytes(80_000)
    (tmp_path / "unread.wav").write_bytes(behind)
    paths = sorted(tmp_path.iterdir())
    rows = told(ready(opened()), *paths)
    wanted = {path.name: "; ".join(quality.flags(*audio.read(path))) for path in paths}
    assert {row["file"]: row["quality"] for row in rows} == wanted
    words = {flag.split()[0] for flags in wanted.values() for flag in flags.split("; ") if flag}
    assert words == set(quality.FLAGS) - {"cut", "unchecked"}  # those of other formats, below


@pytest.mark.parametrize(("form", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_of_what_does_not_tell_its_length_it_is_told_that_it_breaks_off(
    form: str, subtype: str, opened: Opened, tmp_path: Path
) -> None:
    wave = np.concatenate([synthesise("sadness", 2, i, 0) for i in range(5)])
    rate = 48_000 if subtype == "OPUS" else 22_050
    whole, half = tmp_path / "whole", tmp_path / "half"
    soundfile.write(whole, soxr.resample(wave, 16_000, rate), rate, subtype, format=form)
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    rows = told(ready(opened()), whole, half)
    assert rows[0]["quality"] == "; ".join(quality.flags(*audio.read(whole)))
    (said,) = quality.flags(*audio.read(half))
    (found,) = [flag for flag in rows[1]["quality"].split("; ") if flag.startswith("cut")]
    number = r"\d+\.\d+"
    assert re.sub(number, "#", found) == re.sub(number, "#", said)
    np.testing.assert_allclose(*(np.array(re.findall(number, text), float) for text in (found, said)), atol=0.15)


def test_other_streams_after_an_ogg_are_told(workshop: Page, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.ogg", synthesise("sadness", 2, 0, 0), 16_000, "VORBIS", format="OGG")
    content = (tmp_path / "one.ogg").read_bytes()
    other = content.replace(content[14:18], b"\1\2\3\4")
    found = given(
        workshop, "heads.js",
        "(m, all) => all.map((bytes) => m.headOf(new Uint8Array(bytes)))", [list(content), list(content + other)],
    )  # fmt: skip
    assert [(head["cut"], head["unread"], head["checked"]) for head in found] == [
        (False, False, True),
        (False, True, True),
    ]


def test_an_mp4_whose_last_box_reaches_beyond_the_file_is_cut(workshop: Page) -> None:
    def box(name: bytes, content: bytes, size: int | None = None) -> bytes:
        return (8 + len(content) if size is None else size).to_bytes(4, "big") + name + content

    start = box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", bytes(40))
    files = [
        start + box(b"mdat", bytes(100)),
        start + box(b"mdat", bytes(100), 500),
        start + box(b"mdat", bytes(100), 0),  # to the end
        start + box(b"mdat", (16 + 100).to_bytes(8, "big") + bytes(100), 1),  # a length of 64 bits
        start + box(b"mdat", (16 + 101).to_bytes(8, "big") + bytes(100), 1),
    ]
    code = "(m, all) => all.map((bytes) => m.headOf(new Uint8Array(bytes)))"
    found = given(workshop, "heads.js", code, [list(file) for file in files])
    assert [head["cut"] for head in found] == [False, True, False, False, True]
    assert not any(head["checked"] for head in found)


def test_a_wav_whose_length_was_never_written_is_read_to_its_end(opened: Opened, clips: Path, tmp_path: Path) -> None:
    content = (clips / "anger.wav").read_bytes()
    unknown = (b"\0" * 4, b"\xff" * 4)
    for i, length in enumerate(unknown):
        (tmp_path / f"{i}.wav").write_bytes(content[:4] + length + content[8:40] + length + content[44:])
    rows = told(ready(opened()), clips / "anger.wav", tmp_path / "0.wav", tmp_path / "1.wav")
    assert rows[0]["label"]
    plain = {**rows[0], "file": ""}
    assert [{**row, "file": ""} for row in rows[1:]] == [{**plain, "quality": "unclosed"}, plain]


def test_what_is_too_long_is_refused_before_it_is_judged(opened: Opened, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.full(301 * 8_000, 0.1), 8_000)
    row = told(ready(opened()), tmp_path / "long.wav")[0]
    assert row["error"] == "The clip is longer than 300 s; cut it into clips first."


def test_a_short_clip_is_padded_where_the_model_learned_so(
    opened: Opened, site: Site, runtime: Path, tmp_path: Path
) -> None:
    waves = [synthesise(emotion, speaker, 0, 0) for emotion in ("anger", "sadness") for speaker in range(4)]
    SERClassifier(pad_short=True).fit(waves, ["anger"] * 4 + ["sadness"] * 4, groups=list(range(4)) * 2).export(
        tmp_path / "m.onnx"
    )
    write_web(tmp_path / "m.onnx", site.root / "padded", runtime=runtime)
    soundfile.write(tmp_path / "brief.wav", waves[0][4_000:4_100], 16_000)
    model = load(tmp_path / "m.onnx")
    row = told(ready(opened(f"{site.url}/padded/")), tmp_path / "brief.wav")[0]
    np.testing.assert_allclose(probabilities(row, model), model.predict_proba([tmp_path / "brief.wav"])[0], atol=1e-5)
    assert float(row["seconds"]) == 100 / 16_000


# --- live ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", ["vote", "mean"])
def test_labels_are_smoothed_and_held_as_in_python(smoothing: Any, workshop: Page) -> None:
    random = np.random.default_rng(1)
    windows = random.dirichlet(np.full(4, 0.2), 400).astype(np.float32)
    windows[::7] = windows[::7].round(1)  # some equal ones
    settings = {"smoothing": smoothing, "votes": 5, "threshold": 0.6, "hysteresis": 0.1}
    found = given(
        workshop, "live.js",
        "(m, settings, windows) => { const s = new m.Smoother(settings); return windows.map((w) => s.hear(w)); }",
        settings, windows.tolist(),
    )  # fmt: skip
    smoother = Smoother(list("abcd"), **settings)
    want = [smoother(window) for window in windows]
    assert [None if label is None else "abcd"[label] for label, _ in found] == [label for label, _ in want]
    np.testing.assert_allclose([values for _, values in found], [values for _, values in want], atol=1e-7)
    assert len({label for label, _ in want}) == 5  # all of them, and not sure


def test_windows_are_cut_as_in_python(workshop: Page) -> None:
    blocks = [int(n) for n in np.random.default_rng(2).integers(1, 900, 40)]
    wave = np.arange(sum(blocks), dtype=np.float32)
    found = given(
        workshop, "live.js",
        """(m, blocks) => {
            const windows = new m.Windows(1000, 300);
            let at = 0;
            return blocks.flatMap((n) => {
                const block = Float32Array.from({ length: n }, () => at++);
                return windows.push(block).map(([start, w]) => [start, w[0], w.at(-1), w.length]);
            });
        }""",
        blocks,
    )  # fmt: skip
    windows, want, at = Windows(1000, 300), [], 0
    for n in blocks:
        want += [[start, w[0], w[-1], w.size] for start, w in windows.push(wave[at : at + n])]
        at += n
    assert found == want
    assert len(want) > 40


def test_the_gate_opens_as_in_python(workshop: Page) -> None:
    random = np.random.default_rng(3)
    levels = 10 ** random.uniform(-5, -1, 30)
    waves = [(random.normal(0, level, 4_000) * (random.random() > 0.1)).astype(np.float32) for level in levels]
    gate = EnergyGate()
    settings = {"margin": 10, "share": 0.1, "memory": 20, "quietest": -70}
    found = given(
        workshop, "live.js",
        """(m, settings, waves) => {
            const gate = new m.Gate(settings);
            return waves.map((wave) => gate.hears(Float32Array.from(wave)));
        }""",
        settings, [wave.tolist() for wave in waves],
    )  # fmt: skip
    want = [gate(wave) for wave in waves]
    assert found == want
    assert len(set(want)) == 2


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_stream_is_heard_as_in_python(rate: int, workshop: Page, site: Site, clips: Path) -> None:
    parts = (audio.load(clips / "long.wav")[:96_000], np.zeros(64_000, np.float32), audio.load(clips / "anger.wav"))
    said = np.concatenate(parts)
    sound = said if rate == 16_000 else soxr.resample(said, 16_000, rate)
    samples = np.clip(np.round(32_768 * sound), -32_768, 32_767).astype(np.int16)
    found = given(
        workshop, "api.js",
        """(m, samples, rate, count) => new Promise((done, failed) => {
            const events = [];
            const stream = m.stream(rate, (event) => { if (events.push(event) === count) done(events); }, failed);
            for (let i = 0; i < samples.length; i += 1024) stream.send(Int16Array.from(samples.slice(i, i + 1024)));
        })""",
        samples.tolist(), rate, 1 + (said.size - 48_000) // 8_000,
    )  # fmt: skip
    live = LiveRecogniser(site.model("svm"), smoothing="mean", gate=EnergyGate())
    want = [event.as_dict() for event in live.push(samples, rate)][: len(found)]
    assert len(want) == len(found) > 15
    for event, wanted in zip(found, want, strict=True):
        assert [event[key] for key in ("start", "end", "label", "reason")] == [
            wanted[key] for key in ("start", "end", "label", "reason")
        ]
        for key in ("probabilities", "smoothed"):
            assert (event[key] is None) == (wanted[key] is None)
            assert event[key] is None or event[key] == pytest.approx(wanted[key], abs=1e-3)
    assert {event["reason"] for event in found} >= {None, "silence"}


def test_a_recording_of_the_microphone_is_labelled(opened: Opened) -> None:
    page = ready(opened())
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#clock")).to_have_text(re.compile("0:02"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#result-file")).to_have_text("Recording 1.wav")
    assert sum(shown(page).values()) == pytest.approx(100, abs=2)
    assert 1.5 < float(page.locator("#seek").get_attribute("max") or 0) < 10


def test_going_live_shows_how_a_voice_sounds(opened: Opened) -> None:
    spy = """
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async wish => { window.wished = wish.audio; return open(wish); };
    """
    page = ready(opened(script=spy))
    page.context.set_offline(True)
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#live-chart path").first).to_be_attached()
    expect(page.locator("#live-label")).to_have_text(re.compile("anger|neutral|sadness|not sure|silence", re.I))
    for processing in ("echoCancellation", "noiseSuppression", "autoGainControl"):
        assert page.evaluate("window.wished")[processing] is False
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#listening")).to_be_hidden()
    expect(page.locator("#notice")).to_be_hidden()


def test_a_device_that_is_too_slow_says_so(opened: Opened) -> None:
    page = ready(opened())
    slow = "(m) => { Worker.prototype.postMessage = () => {}; }"  # no window is ever answered
    given(page, "api.js", slow)
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#notice")).to_contain_text("This device hears more slowly than you speak")
    expect(page.locator("#live")).to_be_enabled()


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_says_that_recordings_stay_here(opened: Opened) -> None:
    page = ready(opened())
    expect(page.locator("#private-text")).to_have_text("Recordings stay on this device")
    assert "server" not in page.locator("body").inner_text().lower()
    expect(page.locator("#card")).to_contain_text("It names how a voice sounds to the listeners")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_opened_as_a_file_it_says_what_it_needs(width: int, scheme: Any, browser: Browser, site: Site) -> None:
    site.page("svm")
    page = browser.new_page(viewport={"width": width, "height": 640}, color_scheme=scheme)
    page.goto((site.root / "svm" / "index.html").as_uri())
    expect(page.locator("#unstarted")).to_be_visible()
    expect(page.locator("#unstarted")).to_contain_text("only from a web server, not as a file")
    expect(page.locator("#unstarted code").first).to_have_text("python -m http.server")
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(OVERFLOWING) == []
    page.context.close()


def test_from_a_host_it_says_nothing_of_one(opened: Opened) -> None:
    expect(ready(opened()).locator("#unstarted")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: Any, opened: Opened, clips: Path) -> None:
    page = ready(opened(color_scheme=scheme))
    labelled(page, clips / "anger.wav", clips / "text.wav")
    expect(page.locator("#csv")).to_be_enabled()
    page.wait_for_timeout(300)  # transitions
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("width", [320, 1280])
def test_no_width_is_scrolled_sideways(width: int, opened: Opened, clips: Path) -> None:
    page = ready(opened(viewport={"width": width, "height": 800}))
    labelled(page, clips / "long.wav", clips / "text.wav", clips / "anger.wav")
    expect(page.locator("#csv")).to_be_enabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_all_can_be_reached_by_keyboard(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    labelled(page, clips / "long.wav", clips / "anger.wav")
    expect(page.locator("#csv")).to_be_enabled()
    page.locator("body").evaluate("body => { body.tabIndex = -1; body.focus(); body.removeAttribute('tabindex'); }")
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {"files", "record", "live", "play", "seek", "csv", "clear", "anger.wav"} <= set(reached)


# --- what may go wrong on the way ------------------------------------------------------------------------------------


def test_neither_page_nor_worker_can_ask_anybody_else(browser: Browser, site: Site, tmp_path: Path) -> None:
    reached: list[str] = []

    class Stranger(OpenHost):
        def log_message(self, *line: object) -> None:
            reached.append(self.path)

    with running(Stranger, tmp_path) as url:
        page = browser.new_page()
        page.goto(site.page("svm"))
        ready(page)
        leak = f"fetch('{url}/').then(() => 'reached', (error) => error.name)"
        assert page.evaluate(leak) == "TypeError"
        (worker,) = page.workers
        assert worker.evaluate(leak) == "TypeError"
        assert reached == []
        page.goto(f"{site.page('svm')}model.json")  # where nothing forbids it the stranger answers
        assert page.evaluate(leak) == "reached"
        page.context.close()


def halting(gate: threading.Event, whole: bool) -> type[Host]:
    """A host that sends 2 MB of the WebAssembly, and at the gate the rest of it or nothing more."""

    class Halting(Host):
        def copyfile(self, source: Any, target: Any) -> None:
            if self.path.endswith(onnxruntime_web.WASM):
                target.write(source.read(2_000_000))
                gate.wait(30)
            if whole or not self.path.endswith(onnxruntime_web.WASM):
                super().copyfile(source, target)

    return Halting


def drop(page: Page, path: Path) -> None:
    dropped = page.evaluate_handle(
        """([name, content]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(content)], name));
            return data;
        }""",
        [path.name, list(path.read_bytes())],
    )
    page.dispatch_event("#main", "drop", {"dataTransfer": dropped})


@pytest.fixture
def loading(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[tuple[Page, threading.Event]]:
    """A page whose model is on its way, and the gate that lets it come, or lets it break off."""
    site.page("svm")
    gate = threading.Event()
    with running(halting(gate, whole=request.param), site.root) as url:
        page = browser.new_page()
        page.goto(f"{url}/svm/")
        yield page, gate
        gate.set()
        page.context.close()


@pytest.mark.parametrize("loading", [True], indirect=True)
def test_clips_that_come_before_the_model_wait_for_it(loading: tuple[Page, threading.Event], clips: Path) -> None:
    page, gate = loading
    expect(page.locator("#formats")).to_have_text(re.compile(r"^Loading the model: 2\.\d of 1\d\.\d MB$"))
    expect(page.get_by_text("Choose files")).to_be_visible()
    expect(page.locator("#record")).to_be_disabled()
    drop(page, clips / "anger.wav")
    expect(page.get_by_role("status")).to_have_text("The clip waits for the model.")
    page.locator("#files").set_input_files([str(clips / "sadness.wav"), str(clips / "text.wav")])
    expect(page.locator("#rows td:nth-child(2)")).to_have_text(["…"] * 3)
    gate.set()
    expect(page.locator("#csv")).to_be_enabled()
    expect(page.locator("#rows td:nth-child(2)")).to_have_text(
        [re.compile("^Anger"), re.compile("^Sadness"), re.compile("is text")]
    )
    expect(page.locator("#formats")).to_have_text(re.compile("up to 32 MB"))
    expect(page.locator("#record")).to_be_enabled()


@pytest.mark.parametrize("loading", [False], indirect=True)
def test_clips_that_waited_for_a_model_that_did_not_come_say_so(
    loading: tuple[Page, threading.Event], clips: Path
) -> None:
    page, gate = loading
    expect(page.locator("#formats")).to_contain_text("Loading the model: 2.")
    drop(page, clips / "anger.wav")
    gate.set()
    told = f"The model cannot be loaded: .*{onnxruntime_web.WASM} did not arrive"
    expect(page.locator("#rows .failed")).to_have_text(re.compile(told))
    expect(page.locator("#notice")).to_have_text(re.compile(told))
    drop(page, clips / "sadness.wav")
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#notice")).to_be_visible()


def test_a_page_without_digests_of_its_own_checks_its_files_too(browser: Browser, site: Site) -> None:
    site.page("svm")
    folder = site.root / "plain"
    shutil.copytree(site.root / "svm", folder)
    worker = folder / "static" / "worker.js"  # as a browser has it over http from another computer
    worker.write_text(f"Object.defineProperty(crypto, 'subtle', {{ value: undefined }});\n{worker.read_text()}")
    page = browser.new_page()
    page.goto(f"{site.url}/plain/")
    ready(page)
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-1] + b"x")
    page.reload()
    expect(page.locator("#notice")).to_contain_text("model.onnx did not arrive, or is not the file")
    page.context.close()


@pytest.mark.parametrize("name", ["model.onnx", f"onnxruntime/{onnxruntime_web.WASM}", "model.json"])
def test_a_file_that_is_missing_or_damaged_is_told(name: str, browser: Browser, site: Site, runtime: Path) -> None:
    site.page("svm")
    folder = site.root / "damaged"
    shutil.copytree(site.root / "svm", folder)
    try:
        (folder / name).unlink()
        page = browser.new_page()
        page.goto(f"{site.url}/damaged/")
        expect(page.locator("#notice")).to_contain_text(f"{name} did not arrive")
        if name != "model.json":
            (folder / name).write_bytes(b"other bytes")
            page.reload()
            told = f"{name} did not arrive, or is not the file that belongs here"
            expect(page.locator("#notice")).to_contain_text(told)
        expect(page.locator("#record")).to_be_hidden()
        page.context.close()
    finally:
        shutil.rmtree(folder)


def test_from_a_cdn_the_runtime_comes_checked(
    browser: Browser, site: Site, clips: Path, runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in onnxruntime_web.runtime_files(runtime).items():
        (tmp_path / name).write_bytes(content)
    with running(OpenHost, tmp_path) as url:
        monkeypatch.setattr(onnxruntime_web, "CDN", f"{url}/")
        site.model("svm")
        write_web(site.root.parent / "svm.onnx", site.root / "cdn", cdn=True)
        page = browser.new_page()
        page.goto(f"{site.url}/cdn/")
        labelled(ready(page), clips / "anger.wav")
        expect(page.locator("#result-label")).to_have_text("Anger")
        with (tmp_path / onnxruntime_web.SCRIPT).open("a") as script:
            script.write("fetch('https://example.org')")
        page.reload()
        told = f"{onnxruntime_web.SCRIPT} did not arrive, or is not the file"
        expect(page.locator("#notice")).to_contain_text(told)
        page.context.close()
