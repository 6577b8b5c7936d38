"""A real Chromium whose microphone is a file, and what can be asked of a page in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr
from playwright.sync_api import Browser, Page, expect, sync_playwright

from featkit.datasets.synthetic import synthesise

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDED = "needs the chromium program: apt-get install chromium"
expect.set_options(timeout=20_000)  # a busy computer compiles 14 MB of machine code in seconds
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # fmt: skip


@contextmanager
def chromium(microphone: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = [*_FLAGS, f"--use-file-for-fake-audio-capture={microphone}"]
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield started
        started.close()


def write_clips(folder: Path) -> Path:
    """Recordings as people have them: two short ones, a long one, and a text that calls itself wav."""
    for emotion in ("anger", "sadness"):
        soundfile.write(folder / f"{emotion}.wav", synthesise(emotion, 1, 0, 0), 16_000)
    said = np.concatenate(
        [synthesise(emotion, 1, i, 0) for i, emotion in enumerate(("anger", "neutral", "sadness") * 2)]
    )
    soundfile.write(folder / "long.wav", said, 16_000)
    soundfile.write(folder / "microphone.wav", soxr.resample(said, 16_000, 48_000), 48_000)
    (folder / "text.wav").write_text("no audio at all")
    return folder


def shown(page: Page, bars: str = "#bars") -> dict[str, float]:
    """Probabilities as the bars have them, in percent."""
    rows = [row.inner_text().split("\n") for row in page.locator(f"{bars} li").all()]
    return {cells[0].strip().lower(): float(cells[-1].removesuffix("%")) for cells in rows}


# Text whose contrast is below 4.5 (3 for large text), WCAG 2.1, 1.4.3. Colours go through a canvas, which knows oklch.
CONTRAST = """() => {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = colour => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
    const ground = element => {
        for (let e = element; e; e = e.parentElement) {
            const colour = rgba(getComputedStyle(e).backgroundColor);
            if (colour[3] > 250) return colour;
        }
        return [255, 255, 255, 255];
    };
    const faint = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility() || element.closest(":disabled, .sr, .skip, noscript, svg")) continue;
        const style = getComputedStyle(element);
        const [a, b] = [light(rgba(style.color)), light(ground(element))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        const large = parseFloat(style.fontSize) >= 24;
        if (ratio < (large ? 3 : 4.5)) faint.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
    }
    return faint;
}"""
# What reaches beyond the window, and what is cut off by a box that does not scroll.
OVERFLOWING = """() => [...document.querySelectorAll("body *")].filter(element => {
    if (!element.checkVisibility() || element.closest(".sr, .skip, .scroll *, svg")) return false;
    const inline = getComputedStyle(element).display === "inline";
    return element.getBoundingClientRect().right > innerWidth + 0.5
        || (!inline && !element.matches(".scroll") && element.scrollWidth > element.clientWidth + 1);
}).map(element => `${element.tagName} ${element.id} ${element.textContent.trim().slice(0, 30)}`)"""
LIGHTNESS = """() => {
    const context = document.createElement("canvas").getContext("2d");
    context.fillStyle = getComputedStyle(document.body).backgroundColor;
    context.fillRect(0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data[1] / 255;
}"""
