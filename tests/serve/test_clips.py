"""Decoding of uploads: the same samples as from a file, within limits, and without a disk."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speaking import wav
from speech import speech

from featkit.audio import load
from featkit.serve.clips import decode
from featkit.serve.refusals import RequestError


def tone(rate: int, seconds: float = 1.3) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * 200 * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_upload_holds_the_samples_of_the_same_file(tmp_path: Path, rate: int, channels: int) -> None:
    samples = np.stack([tone(rate) * (1 - 0.5 * channel) for channel in range(channels)], axis=1)
    content = wav(samples, rate, subtype="PCM_24")
    (tmp_path / "clip.wav").write_bytes(content)
    np.testing.assert_array_equal(decode(content, 60)[0], load(tmp_path / "clip.wav"))


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"),
        ("AU", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16"), ("WAV", "ULAW"), ("WAV", "FLOAT"),
    ],
)  # fmt: skip
def test_every_format_of_libsndfile_is_read_from_memory(tmp_path: Path, form: str, subtype: str) -> None:
    content = wav(tone(48_000), 48_000, form, subtype)
    (tmp_path / f"clip.{form.lower()}").write_bytes(content)
    np.testing.assert_array_equal(decode(content, 60)[0], load(tmp_path / f"clip.{form.lower()}"))


def test_a_wav_that_was_never_closed_is_read_to_its_end() -> None:
    content = bytearray(wav())
    content[4:8] = content[40:44] = b"\0\0\0\0"
    wave, quality = decode(bytes(content), 60)
    np.testing.assert_array_equal(wave, decode(wav(), 60)[0])
    assert quality == ["unclosed"]


def test_a_small_file_that_expands_to_hours_is_refused_early_and_cheaply() -> None:
    bomb = wav(np.zeros(8_000 * 3_600, dtype=np.int16), 8_000, "FLAC")
    assert len(bomb) < 400_000
    tracemalloc.start()
    with pytest.raises(RequestError, match=r"The clip is longer than 60 s; cut it into clips first") as told:
        decode(bomb, 60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (told.value.status, told.value.code) == (413, "too_long")
    assert peak < 20_000_000


def test_memory_grows_with_seconds_and_not_with_the_rate() -> None:
    content = wav(tone(384_000, 20), 384_000, "FLAC")
    tracemalloc.start()
    wave, _ = decode(content, 60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert wave.size == 20 * 16_000
    assert peak < 4 * wave.nbytes + 2_000_000


def test_as_long_as_is_allowed_is_allowed() -> None:
    assert decode(wav(tone(16_000, 2.0)), 2.0)[0].size == 32_000
    with pytest.raises(RequestError, match=r"is longer than 1.9 s"):
        decode(wav(tone(16_000, 2.0)), 1.9)


def test_so_many_channels_that_decoding_would_take_long_are_refused() -> None:
    with pytest.raises(RequestError, match=r"The clip has 64 channels at 48000 Hz: too many samples for its length"):
        decode(wav(np.zeros((48_000, 64), dtype=np.int16), 48_000), 2.0)


@pytest.mark.parametrize("length", [0, 3, 12, 43, 44, 45, 60])
def test_a_wav_cut_off_anywhere_is_refused(length: int) -> None:
    with pytest.raises(RequestError, match=r"empty|cannot be decoded|truncated|holds 0 samples|is text"):
        decode(wav(speech().waves[0])[:length], 60)


def test_a_flac_cut_in_half_is_truncated() -> None:
    content = wav(form="FLAC")
    with pytest.raises(RequestError, match=r"The clip is truncated: \d+ of \d+ samples are there|cannot be decoded"):
        decode(content[: len(content) // 2], 60)


def test_formats_for_ffmpeg_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(RequestError, match="in another format than wav, flac, ogg"):
        decode(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(200), 60)


def test_nothing_is_written_for_a_large_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    decode(wav(tone(48_000, 30), 48_000), 60)
    assert list(tmp_path.iterdir()) == []


def test_the_libsndfile_of_the_tests_reads_what_is_promised() -> None:
    assert {"WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF"} <= set(soundfile.available_formats())
