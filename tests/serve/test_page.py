"""The page in a real Chromium whose microphone is a file: clips, recordings, live, keyboard, phone, light and dark."""

from __future__ import annotations

import base64
import csv
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import speaking
from browsing import CHROMIUM, CONTRAST, LIGHTNESS, NEEDED, OVERFLOWING, chromium, shown, write_clips
from playwright.sync_api import Browser, Locator, Page, Route, expect

from featkit import load
from featkit.audio import read
from featkit.quality import FLAGS, flags
from featkit.serve import Limits

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NEEDED)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def browser(clips: Path) -> Iterator[Browser]:
    with chromium(clips / "microphone.wav") as started:
        yield started


Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, served: speaking.Served) -> Iterator[Opened]:
    """Opens the page. Afterwards nothing may have gone wrong in it, and it may have asked nobody but its server."""
    contexts, wrong, asked = [], [], []

    def open_page(at: str = served.url, script: str = "", **settings: Any) -> Page:
        context = browser.new_context(permissions=["microphone"], **settings)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(script)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url.replace("ws://", "http://")))
        page.goto(at)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [line for line in wrong if not line.startswith("Failed to load resource")] == []  # a clip was refused
    assert [url for url in asked if not re.match(r"http://127\.0\.0\.1:\d+/|blob:|data:", url)] == []
    assert asked


def ready(page: Page) -> Page:
    expect(page.locator("#facts dt").first).to_be_attached()
    return page


def labelled(page: Page, *paths: Path) -> None:
    page.locator("#files").set_input_files([str(path) for path in paths])
    expect(page.locator("#result")).to_be_visible()


def until(page: Page, true: Callable[[], bool]) -> None:
    """Wait for what no locator shows."""
    for _ in range(500):
        if true():
            return
        page.wait_for_timeout(20)
    pytest.fail("it did not happen within 10 s")


def answer(path: Path) -> dict[str, float]:
    model = load(speaking.model_file())
    return dict(zip(model.labels, map(float, model.predict_proba([str(path)])[0]), strict=True))


def test_a_clip_is_labelled_as_the_model_labels_it(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    labelled(page, clips / "long.wav")
    want = answer(clips / "long.wav")
    expect(page.locator("#result-label")).to_have_text(max(want, key=lambda label: want[label]), ignore_case=True)
    assert shown(page) == pytest.approx({label: 100 * value for label, value in want.items()}, abs=0.51)
    expect(page.locator("#wave path")).to_have_count(1)
    expect(page.locator("#chart path")).to_have_count(len(want))


def test_a_dropped_clip_is_labelled(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    content = list((clips / "anger.wav").read_bytes())
    dropped = page.evaluate_handle(
        """content => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(content)], "dropped.wav"));
            return data;
        }""",
        content,
    )
    page.dispatch_event("#main", "drop", {"dataTransfer": dropped})
    expect(page.locator("#result-file")).to_have_text("dropped.wav")


def test_the_timeline_stands_in_numbers_too(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    labelled(page, clips / "long.wav")
    page.get_by_text("Timeline as numbers").click()
    seconds = soundfile.info(clips / "long.wav").duration
    ends = page.locator("#numbers tbody tr td:nth-child(2)").all_inner_texts()
    assert len(ends) > 5
    assert float(re.findall(r"[\d.]+", ends[-1])[0]) == pytest.approx(seconds, abs=0.06)


def test_many_clips_become_a_table_and_a_csv(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    names = ("anger.wav", "text.wav", "sadness.wav")
    labelled(page, *(clips / name for name in names))
    expect(page.locator("#csv")).to_be_enabled()
    with page.expect_download() as download:
        page.locator("#csv").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()))
    assert [row["file"] for row in rows] == list(names)
    for row in (rows[0], rows[2]):
        want = answer(clips / row["file"])
        assert row["label"] == max(want, key=lambda label: want[label])
        assert {label: float(row[label]) for label in want} == pytest.approx(want, abs=1e-5)
    assert "is text, not audio" in rows[1]["error"]
    expect(page.get_by_role("status")).to_have_text("3 clips are done, 1 could not be used.")
    page.get_by_role("button", name="text.wav").click()
    expect(page.locator("#result-error")).to_contain_text("is text, not audio")
    page.get_by_role("button", name="sadness.wav").click()
    expect(page.locator("#result-file")).to_have_text("sadness.wav")
    expect(page.locator("#result-error")).to_be_hidden()


def odd(folder: Path) -> Path:
    """A recording of a telephone with a dead channel and peaks that are cut off."""
    wave, _ = soundfile.read(folder / "anger.wav", dtype="float32")
    clipped = (40 * wave[::2]).clip(-1, 1)
    soundfile.write(folder / "odd.wav", np.stack([2 * clipped, 0 * clipped], axis=1).clip(-1, 1), 8_000)
    return folder / "odd.wav"


def test_what_is_odd_about_a_recording_stands_beside_its_label(opened: Opened, clips: Path) -> None:
    path = odd(clips)
    (narrow, channels) = flags(*read(path))
    page = ready(opened())
    labelled(page, path)
    told = [
        "High tones are missing, as on a telephone (4.0 kHz)",
        "Channels differ, and their mean was taken (2 of 2 silent)",
    ]
    expect(page.locator("#result-quality li")).to_have_text(told)
    expect(page.get_by_role("status")).to_contain_text("Of the recording: high tones are missing, as on a telephone")
    labelled(page, clips / "anger.wav")
    expect(page.locator("#result-file")).to_have_text("anger.wav")
    expect(page.locator("#result-quality")).to_be_hidden()
    expect(page.locator("#rows .odd")).to_have_text(["high tones are missing, channels differ"])
    with page.expect_download() as download:
        page.locator("#csv").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()))
    assert [row["quality"] for row in rows] == [f"{narrow}; {channels}", ""]


def test_every_flag_has_plain_words(opened: Opened) -> None:
    page = ready(opened())
    words = page.evaluate("async () => (await import('/static/quality.js')).WORDS")
    assert list(words) == list(FLAGS)


def test_of_what_the_browser_has_decoded_it_is_told_that_its_end_is_not_sure(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    refusal = {"code": "not_audio", "reason": "The clip cannot be decoded."}
    page.route("**/predict*", lambda route: route.fulfill(status=415, json=refusal), times=1)
    shutil.copy(clips / "anger.wav", clips / "talk.m4a")  # any browser decodes a wav, whatever its name
    labelled(page, clips / "talk.m4a")
    expect(page.locator("#result-quality li")).to_have_text(["The format does not tell whether all is there (M4A)"])


def test_a_second_is_not_called_seconds(opened: Opened) -> None:
    with speaking.running(Limits(max_seconds=1)) as brief:
        expect(ready(opened(brief.url)).locator("#formats")).to_have_text(re.compile("up to 32 MB and 1 s$"))


def test_clips_that_were_cleared_are_neither_shown_nor_announced(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    held: list[Route] = []
    page.route("**/predict*", lambda route: held.append(route), times=2)
    page.evaluate(
        """() => {
            window.heard = [];
            const text = id => document.getElementById(id).textContent;
            const hear = () => heard.push(text("result-file"), text("say"));
            new MutationObserver(hear).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    page.locator("#files").set_input_files([str(clips / "anger.wav")] * 5)
    until(page, lambda: len(held) == 2)
    page.get_by_role("button", name="Clear").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for route in held:
        route.continue_()
    labelled(page, clips / "sadness.wav")
    expect(page.get_by_role("status")).to_contain_text("sadness.wav sounds like")
    assert len([url for url in asked if "predict" in url]) == 1
    told = "".join(page.evaluate("heard"))
    assert "sadness.wav" in told
    assert "anger.wav" not in told
    assert "are done" not in told
    expect(page.locator("#rows tr")).to_have_count(1)


def test_clearing_frees_the_clip_that_could_be_played(opened: Opened, clips: Path) -> None:
    count = """
        window.made = new Set();
        const make = URL.createObjectURL, free = URL.revokeObjectURL;
        URL.createObjectURL = given => { const url = make(given); made.add(url); return url; };
        URL.revokeObjectURL = url => { made.delete(url); free(url); };
    """
    page = ready(opened(script=count))
    labelled(page, clips / "anger.wav", clips / "sadness.wav")
    expect(page.locator("#csv")).to_be_enabled()
    assert page.evaluate("made.size") == 1
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate("made.size") == 0
    labelled(page, clips / "sadness.wav")
    expect(page.locator("#play")).to_be_enabled()


def test_two_clips_at_a_time_are_asked_for_however_they_come(opened: Opened, clips: Path) -> None:
    count = """
        window.most = 0;
        let now = 0;
        const ask = window.fetch;
        window.fetch = async (path, ...how) => {
            if (!String(path).includes("predict")) return ask(path, ...how);
            most = Math.max(most, ++now);
            try { return await ask(path, ...how); } finally { now--; }
        };
    """
    page = ready(opened(script=count))
    for _ in range(3):
        page.locator("#files").set_input_files([str(clips / "long.wav"), str(clips / "anger.wav")])
    expect(page.locator("#batch-progress")).to_have_text("6")
    expect(page.locator("#csv")).to_be_enabled()
    expect(page.get_by_role("status")).to_have_text("2 clips are done.")
    assert page.evaluate("most") == 2


def test_a_recording_of_the_microphone_is_labelled(opened: Opened) -> None:
    page = ready(opened())
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#clock")).to_have_text(re.compile("0:02"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#result-file")).to_have_text("Recording 1.wav")
    expect(page.locator("#listening")).to_be_hidden()
    assert 1.5 < float(page.locator("#seek").get_attribute("max") or 0) < 10


def test_a_recording_that_ends_at_the_limit_is_not_too_long(opened: Opened) -> None:
    with speaking.running(Limits(max_seconds=1.5)) as brief:
        page = ready(opened(brief.url))
        page.get_by_role("button", name="Record").click()
        expect(page.locator("#result-file")).to_have_text("Recording 1.wav")
        expect(page.locator("#result-error")).to_be_hidden()
        assert 1.3 < float(page.locator("#seek").get_attribute("max") or 0) <= 1.5


def test_going_live_shows_how_a_voice_sounds(opened: Opened) -> None:
    page = ready(opened())
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#live-chart path").first).to_be_attached()
    expect(page.locator("#live-label")).to_have_text(re.compile("anger|neutral|sadness|not sure|silence", re.I))
    assert sum(shown(page, "#live-bars").values()) == pytest.approx(100, abs=2)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#listening")).to_be_hidden()
    expect(page.locator("#notice")).to_be_hidden()


def test_live_bars_keep_up_with_the_label(opened: Opened) -> None:
    page = ready(opened())
    page.evaluate(
        """() => {
            window.heard = [];
            const hear = () => {
                for (const row of document.querySelectorAll("#live-bars li")) {
                    const [track, fill] = [row.querySelector(".track"), row.querySelector(".track div")];
                    const drawn = fill.getBoundingClientRect().width / track.getBoundingClientRect().width;
                    heard.push([drawn, parseFloat(row.querySelector(".value").textContent) / 100]);
                }
                const bold = document.querySelector("#live-bars .top-one")?.textContent ?? "";
                const label = document.getElementById("live-label").textContent;
                told.push([label, bold]);
            };
            window.told = [];
            new MutationObserver(hear).observe(document.getElementById("live-label"), { childList: true });
        }"""
    )
    page.get_by_role("button", name="Go live").click()
    until(page, lambda: page.evaluate("heard.length") >= 21)  # the first three come before the first answer
    page.get_by_role("button", name="Stop").click()
    drawn, said = np.array(page.evaluate("heard"))[3:].T
    assert said.max() > 0.3
    np.testing.assert_allclose(drawn, said, atol=0.011)  # the least bar is two pixels wide
    for label, bold in page.evaluate("told"):
        assert bold == (label if label in ("Anger", "Neutral", "Sadness") else "")


def test_the_microphone_is_opened_without_any_processing(opened: Opened) -> None:
    spy = """
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async wish => {
            const stream = await open(wish);
            window.wished = wish.audio;
            window.got = stream.getAudioTracks()[0].getSettings();
            return stream;
        };
    """
    page = ready(opened(script=spy))
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#listening")).to_be_visible()
    for settings in (page.evaluate("window.wished"), page.evaluate("window.got")):
        for processing in ("echoCancellation", "noiseSuppression", "autoGainControl"):
            assert settings[processing] is False
    page.get_by_role("button", name="Stop").click()


def test_a_denied_microphone_is_told(opened: Opened) -> None:
    deny = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };"
    page = ready(opened(script=deny))
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#notice")).to_contain_text("may not use the microphone")
    expect(page.locator("#live")).to_be_enabled()


@pytest.mark.parametrize(
    "broken",
    [
        "AudioContext.prototype.createMediaStreamSource = () => { throw new Error('broken'); };",
        "AudioWorklet.prototype.addModule = async () => { throw new Error('broken'); };",
    ],
)
def test_a_microphone_that_cannot_be_read_leaves_nothing_open(broken: str, opened: Opened) -> None:
    count = """
        window.contexts = [];
        window.AudioContext = class extends AudioContext {
            constructor(...how) { super(...how); contexts.push(this); }
        };
    """
    page = ready(opened(script=broken + count))
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#notice")).to_contain_text("The microphone cannot be read (broken)")
    until(page, lambda: page.evaluate("contexts.every(({ state }) => state === 'closed')"))
    assert page.evaluate("contexts.length") >= 1


def test_a_name_that_is_html_stays_text(opened: Opened, clips: Path, tmp_path: Path) -> None:
    page = ready(opened())
    evil = tmp_path / "<img src=x onerror=alert(1)>.wav"
    shutil.copy(clips / "anger.wav", evil)
    labelled(page, evil, clips / "sadness.wav")
    expect(page.locator("#result-file")).to_have_text(evil.name)
    expect(page.locator("main img")).to_have_count(0)


def test_a_csv_runs_no_formula(opened: Opened, clips: Path, tmp_path: Path) -> None:
    page = ready(opened())
    shutil.copy(clips / "anger.wav", tmp_path / "=1+1.wav")
    labelled(page, tmp_path / "=1+1.wav", clips / "sadness.wav")
    expect(page.locator("#csv")).to_be_enabled()
    with page.expect_download() as download:
        page.locator("#csv").click()
    assert "'=1+1.wav" in Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_all_can_be_done_by_keyboard(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    labelled(page, clips / "long.wav", clips / "anger.wav")
    expect(page.locator("#csv")).to_be_enabled()
    page.locator("body").evaluate("body => { body.tabIndex = -1; body.focus(); body.removeAttribute('tabindex'); }")
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    wanted = ["files", "record", "live", "play", "seek", "Timeline as numbers", "csv", "clear", "anger.wav"]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted
    page.locator("#seek").focus()
    page.keyboard.press("End")
    expect(page.locator("#seek")).to_have_attribute("aria-valuetext", re.compile("anger|neutral|sadness"))
    page.get_by_role("button", name="anger.wav").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result-file")).to_have_text("anger.wav")
    page.locator("#live").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("#live")).to_be_focused()


def test_where_the_keyboard_is_can_be_seen(opened: Opened) -> None:
    page = ready(opened())
    for _ in range(3):
        page.keyboard.press("Tab")
    width = page.evaluate(
        "getComputedStyle(document.activeElement.closest('label') ?? document.activeElement).outlineWidth"
    )
    assert float(width.removesuffix("px")) >= 2


def test_a_screen_reader_hears_of_the_answer_and_of_every_control(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    labelled(page, clips / "long.wav")
    best = page.locator("#result-label").inner_text().lower()
    expect(page.get_by_role("status")).to_have_text(re.compile(rf"long\.wav sounds like {best}, \d+ ?%", re.IGNORECASE))
    heard = page.locator("body").aria_snapshot()
    for part in ("heading", "main", "complementary", 'slider "Position in the clip"', 'button "Play"', "Waveform"):
        assert part in heard
    assert re.search(r'img "Emotions over the clip: \w+', heard)
    assert not re.search(r"^\s*- (button|link|slider|img|textbox)( \[.*\])?:?$", heard, re.MULTILINE)  # without a name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: Any, opened: Opened, clips: Path) -> None:
    page = ready(opened(color_scheme=scheme))
    labelled(page, clips / "anger.wav", clips / "text.wav")
    expect(page.locator("#csv")).to_be_enabled()
    page.wait_for_timeout(300)  # transitions
    faint = page.evaluate(CONTRAST)
    assert faint == []
    assert (page.evaluate(LIGHTNESS) > 0.5) == (scheme == "light")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_width_is_scrolled_sideways(width: int, opened: Opened, clips: Path) -> None:
    page = ready(opened(viewport={"width": width, "height": 800}))
    shutil.copy(odd(clips), clips / "a name without_any_place_to_break_it_that_goes_on_and_on.wav")
    names = ("long.wav", "text.wav", "odd.wav", "a name without_any_place_to_break_it_that_goes_on_and_on.wav")
    labelled(page, *(clips / name for name in names))
    expect(page.locator("#csv")).to_be_enabled()
    for name in names:
        page.locator("#rows").get_by_role("button", name=name).click()
        page.locator("#result .numbers").evaluate("details => { details.open = true; }")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERFLOWING) == []
    tall = page.locator(".actions .button, #csv, #clear").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert tall == [44] * 5  # one line of words


LINES = """button => {
    const lines = [], range = document.createRange(), walker = document.createTreeWalker(button, NodeFilter.SHOW_TEXT);
    for (let top = null, node = walker.nextNode(); node; node = walker.nextNode()) {
        for (let i = 0; i < node.length; i++) {
            range.setStart(node, i);
            range.setEnd(node, i + 1);
            const at = range.getBoundingClientRect().top;
            if (at !== top) lines.push("");
            lines[lines.length - 1] += node.data[i];
            top = at;
        }
    }
    return lines;
}"""
"""The text of an element, line by line, as it is drawn."""

HAPPY = {
    "label": "happiness", "probabilities": {"anger": 0.0002, "happiness": 0.5298, "sadness": 0.47}, "seconds": 0.05,
    "quality": [], "peaks": [[-0.1, 0.1]] * 9,
    "timeline": [{"start": 0, "end": 0.05, "label": "happiness",
                  "probabilities": {"anger": 0.0002, "happiness": 0.5298, "sadness": 0.47}}],
}  # fmt: skip


@pytest.fixture
def happy(opened: Opened, served: speaking.Served) -> Callable[..., Page]:
    """A page to whose model every clip sounds happy for 50 ms."""

    def open_happy(**settings: Any) -> Page:
        page = opened(at="about:blank", **settings)
        labels = {"labels": ["anger", "happiness", "sadness"]}
        page.route("**/model", lambda route: route.fulfill(json=route.fetch().json() | labels))
        page.route("**/predict*", lambda route: route.fulfill(json=HAPPY))
        page.goto(served.url)
        return ready(page)

    return open_happy


def same_line(*found: Locator) -> bool:
    """Whether they stand side by side, from left to right."""
    boxes = [one.bounding_box() for one in found]
    assert all(boxes)
    middles = [box["y"] + box["height"] / 2 for box in boxes if box]
    lefts = [box["x"] for box in boxes if box]
    return max(middles) - min(middles) < 12 and lefts == sorted(lefts)


@pytest.mark.parametrize("width", [320, 360, 400, 1280])
def test_what_belongs_together_stands_in_one_line(
    width: int, happy: Callable[..., Page], clips: Path, tmp_path: Path
) -> None:
    page = happy(viewport={"width": width, "height": 800})
    paths = [
        tmp_path / name for name in ("clip192s.wav", "happiness_of-somebody.wav", *[f"{i}.wav" for i in range(13)])
    ]
    for path in paths:
        shutil.copy(clips / "anger.wav", path)
    labelled(page, *paths)
    expect(page.locator("#csv")).to_be_enabled()
    page.locator("#rows").get_by_role("button", name=paths[0].name).click()
    assert same_line(page.locator("#result-label"), page.locator("#result-share"))
    assert len(page.locator("#result-label").evaluate(LINES)) == 1
    assert same_line(
        page.locator("#batch-title"),
        page.locator("#batch-progress"),
        page.get_by_role("button", name="Download CSV"),
        page.locator("#clear"),
    )
    names = page.locator("#rows button")
    assert names.nth(0).evaluate(LINES) in (["clip192s.wav"], ["clip192s", ".wav"])
    assert all(re.search(r"[_-]$|^[^.]+$|wav$", line) for line in names.nth(1).evaluate(LINES))
    assert not [line for line in names.nth(1).evaluate(LINES) if line in ("v", "av", "wav")]
    assert page.locator("#result-file").inner_text() == "clip192s.wav"


def test_what_is_no_share_has_no_bar(happy: Callable[..., Page], clips: Path) -> None:
    page = happy()
    labelled(page, clips / "anger.wav")
    page.wait_for_timeout(300)  # transitions
    expect(page.locator("#bars .value")).to_have_text(["0 %", "53 %", "47 %"])
    widths = page.locator("#bars .track div").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    assert widths[0] == 0
    assert min(widths[1:]) > 50


def test_of_a_clip_below_a_second_milliseconds_are_told(happy: Callable[..., Page], clips: Path) -> None:
    page = happy()
    labelled(page, clips / "anger.wav", clips / "sadness.wav")
    expect(page.locator("#csv")).to_be_enabled()
    expect(page.locator("#rows td:last-child")).to_have_text(["50 ms", "50 ms"])
    expect(page.locator("#axis-end")).to_have_text("50 ms")
    page.get_by_text("Timeline as numbers").click()
    expect(page.locator("#numbers tbody td").nth(1)).to_have_text("0.05")


# Of a picture: the middle brightness of its first, its middle and its last column but one.
COLUMNS = """async (picture) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${picture}`)).blob());
    const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
    context.drawImage(image, 0, 0);
    return [1, image.width - 2].map((x) => {
        const { data } = context.getImageData(x, 0, 1, image.height);
        return Array.from({ length: image.height }, (_, y) => data[4 * y + 1]).sort((a, b) => a - b)[image.height >> 1];
    });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_that_goes_on_has_a_shadow_on_that_side(scheme: Any, opened: Opened, clips: Path) -> None:
    page = ready(opened(viewport={"width": 320, "height": 800}, color_scheme=scheme))
    labelled(page, clips / "long.wav")
    page.get_by_text("Timeline as numbers").click()
    page.locator("#numbers thead th").last.evaluate("head => { head.textContent = 'disappointment'.repeat(3); }")
    box, blank = page.locator(".numbers .scroll"), page.context.new_page()

    def edges() -> tuple[int, int]:
        left, right = blank.evaluate(COLUMNS, base64.b64encode(box.screenshot()).decode())
        return left, right

    left, right = edges()
    assert left - right > 8  # more is on the right
    box.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
    after = edges()
    assert after[1] == left
    assert after[1] - after[0] > 8  # more is on the left
    page.locator("#numbers thead th").last.evaluate("head => { head.textContent = 'sadness'; }")
    page.set_viewport_size({"width": 1280, "height": 800})
    assert edges() == (left, left)


def test_a_table_that_is_too_wide_scrolls_inside_its_box(opened: Opened, clips: Path) -> None:
    page = ready(opened(viewport={"width": 320, "height": 800}))
    labelled(page, clips / "long.wav")
    page.get_by_text("Timeline as numbers").click()
    page.locator("#numbers thead th").last.evaluate("head => { head.textContent = 'disappointment'.repeat(3); }")
    box = page.locator(".numbers .scroll")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth + 100")
    box.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    until(page, lambda: box.evaluate("box => box.scrollLeft") > 0)
    assert page.evaluate(OVERFLOWING) == []


def test_fingers_hit_the_buttons(opened: Opened) -> None:
    page = ready(opened(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True))
    for name in ("record", "live"):
        box = page.locator(f"#{name}").bounding_box()
        assert box is not None
        assert box["height"] >= 44


def test_the_model_card_says_what_the_model_is(opened: Opened) -> None:
    page = ready(opened())
    card = page.locator("#card")
    expect(card).to_contain_text("mfcc39")
    expect(card).to_contain_text("It names how a voice sounds to the listeners")
    expect(page.locator("#legend li")).to_have_count(3)


def test_a_command_on_the_card_is_shown_as_one(opened: Opened) -> None:
    card = ready(opened()).locator("#card")
    expect(card.locator("code")).to_have_text(["featkit fit --evaluate"])
    assert "`" not in card.inner_text()


def test_a_clip_that_comes_before_the_model_waits_for_it(opened: Opened, served: speaking.Served, clips: Path) -> None:
    page = opened(at="about:blank")
    held: list[Route] = []
    page.route("**/model", lambda route: held.append(route))
    page.goto(served.url)
    until(page, lambda: bool(held))
    page.locator("#files").set_input_files(str(clips / "anger.wav"))
    expect(page.locator("#rows td").nth(1)).to_have_text("…")
    held[0].continue_()
    expect(page.locator("#result-file")).to_have_text("anger.wav")
    expect(page.locator("#batch")).to_be_hidden()


def test_an_emotion_that_was_not_in_the_truth_has_no_recall(opened: Opened, served: speaking.Served) -> None:
    def unheard(route: Route) -> None:
        told = route.fetch().json()
        route.fulfill(json=told | {"recalls": {"anger": 0.5, "neutral": 0, "sadness": None}})

    page = opened(at="about:blank")
    page.route("**/model", unheard)
    page.goto(served.url)
    ready(page)
    expect(page.locator("#recalls .value")).to_have_text(["50 %", "0 %", "–"])


def test_a_page_without_its_token_asks_for_it(opened: Opened, clips: Path) -> None:
    with speaking.running(token=speaking.TOKEN) as guarded:
        page = opened(guarded.url)
        expect(page.locator("#token")).to_be_focused()
        expect(page.locator("#notice")).to_be_hidden()
        page.keyboard.type("not the token, but long")
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_have_text(re.compile("This is not the token of the server"))
        page.locator("#token").fill(speaking.TOKEN)
        page.keyboard.press("Enter")
        ready(page)
        labelled(page, clips / "anger.wav")
        page.get_by_role("button", name="Go live").click()
        expect(page.locator("#live-chart path").first).to_be_attached()
        page.get_by_role("button", name="Stop").click()


def test_a_token_in_the_address_is_used_and_taken_out_of_it(opened: Opened, clips: Path) -> None:
    with speaking.running(token=speaking.TOKEN) as guarded:
        page = ready(opened(f"{guarded.url}/#token={speaking.TOKEN}"))
        assert speaking.TOKEN not in page.url
        labelled(page, clips / "anger.wav")


def test_a_server_that_has_gone_is_told(opened: Opened, clips: Path) -> None:
    page = ready(opened())
    page.route("**/predict*", lambda route: route.abort())
    page.locator("#files").set_input_files(str(clips / "anger.wav"))
    expect(page.locator("#result-error")).to_contain_text("The server does not answer")
