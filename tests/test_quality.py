"""Flags tell in a word and a number what is odd about a clip, and keep silent about good speech."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from speech import speech

from featkit.audio import SAMPLE_RATE, Stored, Wave, read
from featkit.audit.recording import measure
from featkit.quality import FLAGS, clipped, ends, flags, offset, padded

DOCS = Path(__file__).parents[1] / "docs" / "quality.md"
PLAIN = Stored(16_000, 1, "PCM_16", "WAV", seconds=3.0)


def hum(seconds: float = 3.0, level: float = 0.1) -> Wave:
    """Noise in all bands."""
    return np.random.default_rng(0).uniform(-level, level, round(SAMPLE_RATE * seconds)).astype(np.float32)


def over() -> Wave:
    """Of 1000 samples 20 lie at full scale, above and below in turn."""
    place = np.arange(48_000)
    return np.where(place % 1000 < 20, 1 - 2 * (place // 1000 % 2), hum()).astype(np.float32)


def with_zeros(*places: slice) -> Wave:
    wave = hum()
    for place in places:
        wave[place] = 0
    return wave


@pytest.mark.parametrize("clip", range(24))
def test_synthetic_speech_has_no_flag(clip: int) -> None:
    assert flags(speech().waves[clip], PLAIN) == []


@pytest.mark.parametrize("corpus", ["emodb_root", "ravdess_root"])
def test_published_corpora_have_no_flag(corpus: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(corpus)
    paths = sorted(path for path in root.rglob("*") if path.suffix in (".wav", ".flac"))[::30]
    assert paths
    assert {os.fspath(path): told for path in paths if (told := flags(*read(path)))} == {}


@pytest.mark.parametrize(
    ("wave", "told"),
    [
        (hum(0.05), "short 50 ms"),
        (with_zeros(slice(0, 32_000)), "silent 67 %"),
        (with_zeros(slice(0, 16_000), slice(38_400, None)), "silent 53 %"),
        (hum(level=1e-4), "quiet -80 dB"),
        (100 * hum(), "loud +20 dB"),
        (over(), "clipped 2.0 %"),
        (hum() + np.float32(0.08), "dc 81 %"),
        (with_zeros(slice(9000, 9320), slice(20_000, 20_320), slice(30_000, 30_320)), "dropout 3 × 20 ms"),
        (soxr.resample(hum(), 16_000, 8000), None),
    ],
    ids=["short", "late", "padded", "quiet", "loud", "clipped", "dc", "dropout", "short-but-whole"],
)
def test_a_fault_is_told_with_its_size(wave: Wave, told: str | None) -> None:
    assert flags(wave) == ([] if told is None else [told])


@pytest.mark.parametrize("rate", [4000, 6000, 8000])
def test_a_narrow_band_is_told_with_its_edge(rate: int) -> None:
    wave = soxr.resample(hum(3 * rate / 16_000), rate, 16_000)
    (told,) = flags(wave)
    word, edge, unit = told.split()
    assert (word, unit) == ("narrow", "kHz")
    assert float(edge) == pytest.approx(rate / 2000, abs=0.2)


@pytest.mark.parametrize("rate", [1000, 8000, 11_025])
def test_a_rate_below_16_khz_is_narrow_whatever_the_spectrum(rate: int) -> None:
    assert flags(hum(), replace(PLAIN, rate=rate)) == [f"narrow {rate / 2000:.1f} kHz"]


def test_narrow_says_why_a_file_of_12_khz_is_told_of_too() -> None:
    assert flags(hum(), replace(PLAIN, rate=12_000)) == ["narrow 6.0 kHz"]
    assert FLAGS["narrow"] == "nothing above 5 kHz, or a file of less than 16 kHz"


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (replace(PLAIN, channels=2, levels=(0.1, 0.0)), "channels 2 of 2 silent"),
        (replace(PLAIN, channels=4, levels=(0.0, 0.1, 0.1, 0.0)), "channels 1, 4 of 4 silent"),
        (replace(PLAIN, channels=2, levels=(0.1, 0.1), kept=0.5), "channels differ, -3 dB in the mean"),
        (replace(PLAIN, channels=2, levels=(0.1, 0.1), kept=0.0), "channels differ, -100 dB in the mean"),
        (replace(PLAIN, unclosed=True), "unclosed"),
        (replace(PLAIN, promised=4.0), "cut 3.00 of 4.00 s"),
        (replace(PLAIN, cut=True), "cut after 3.00 s"),
        (replace(PLAIN, promised=4.0, cut=True), "cut 3.00 of 4.00 s"),
        (replace(PLAIN, unread=True), "unread after 3.00 s"),
        (replace(PLAIN, checked=False, format="PVF"), "unchecked PVF"),
        (replace(PLAIN, promised=3.05), None),
        (replace(PLAIN, channels=2, levels=(0.1, 0.03), kept=0.8), None),
    ],
)
def test_what_decoding_saw_is_told(stored: Stored, told: str | None) -> None:
    assert flags(hum(), stored) == ([] if told is None else [told])


def test_several_flags_stand_beside_each_other() -> None:
    assert flags(np.full(800, 1, np.float32), replace(PLAIN, unclosed=True)) == [
        "short 50 ms", "clipped 100.0 %", "dc 100 %", "narrow 0.0 kHz", "unclosed",
    ]  # fmt: skip


def test_channels_are_compared_while_a_file_is_decoded(tmp_path: Path) -> None:
    left, right = hum(), hum()[::-1]
    soundfile.write(tmp_path / "a.wav", np.stack([left, 0.5 * right], axis=1), 16_000, subtype="FLOAT")
    wave, stored = read(tmp_path / "a.wav")
    assert stored.levels == pytest.approx([0.1 / 3**0.5, 0.05 / 3**0.5], rel=0.02)
    mean_power = np.mean(wave.astype(float) ** 2)
    assert stored.kept == pytest.approx(mean_power / np.mean(np.square(stored.levels)), rel=1e-4)


@pytest.mark.parametrize(
    "wave",
    [
        hum() * np.linspace(0, 1, 48_000, dtype=np.float32),
        # a noise gate: sound fades before it is cut off
        np.concatenate([hum(1) * np.linspace(1, 0, 16_000) ** 2, np.zeros(8000), hum(1)]).astype(np.float32),
        with_zeros(slice(9000, 9060)),
        with_zeros(slice(0, 14_000)),
    ],
    ids=["fading", "gated", "under-5-ms", "padded-by-less-than-half"],
)
def test_what_good_recordings_have_is_no_fault(wave: Wave) -> None:
    assert flags(wave) == []


@pytest.mark.parametrize("n", [1, 2, 3, 39, 40, 79, 511, 512, 513, 1024])
@pytest.mark.parametrize("value", [0.0, 1e-30, 0.5, 1.0, 999.0])
def test_any_length_and_level_has_an_answer(n: int, value: float) -> None:
    found = flags(np.full(n, value, np.float32))
    assert found[0].startswith("short ")
    assert {flag.split()[0] for flag in found} <= set(FLAGS)


def test_the_audit_measures_the_same() -> None:
    wave = np.clip(hum(level=0.5) + np.float32(0.1), -1, 1)
    measured = measure(wave, prints=False)
    size = np.abs(wave)
    assert (measured.clipped, measured.offset) == (clipped(size), offset(wave))
    assert measured.offset == pytest.approx(wave.mean() / wave.std(), rel=0.1)
    assert measured.zeros == (0, 0) == ends(size > 0)


def test_runs_at_full_scale_count_from_three_samples_on() -> None:
    size = np.zeros(100, np.float32)
    size[[0, 10, 11, 20, 21, 22, 96, 97, 98, 99]] = 1
    assert clipped(size) == 0.07
    assert clipped(np.zeros(5, np.float32)) == 0


def test_the_ends_of_silence_are_its_whole_length() -> None:
    assert ends(np.zeros(16_000, bool)) == (1, 1)
    loud = np.zeros(16_000, bool)
    loud[[1600, 7999]] = True
    assert ends(loud) == (0.1, 0.5)
    assert padded((1.6, 0), 10)
    assert padded((0.3, 0.3), 1)
    assert not padded((1.4, 1.4), 10)


def test_every_flag_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"| `{word}" in text for word in FLAGS)
