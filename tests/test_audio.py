"""Any file or array becomes one mono float32 wave at 16 kHz, or an error that names the file.

Files that nobody vouches for, kind by kind: tests/battery.
"""

import os
import pickle
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from featkit import audio
from featkit.audio import (
    SAMPLE_RATE,
    as_wave,
    at_least,
    check_wave,
    fit_length,
    load,
    name_of,
    scale,
    segments,
    to_wave,
)
from featkit.decoding import ffmpeg
from featkit.errors import AudioError


def tone(rate: int = SAMPLE_RATE, hz: float = 1000.0, level: float = 0.5, seconds: float = 1.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def assert_tone(wave: np.ndarray, hz: float, level: float, tolerance: float = 0.01) -> None:
    """The strongest line of the middle half second is at ``hz`` and has the amplitude ``level``."""
    assert wave.dtype == np.float32
    assert wave.ndim == 1
    middle = wave[wave.size // 2 - 4000 : wave.size // 2 + 4000].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(8000))) / 2000
    assert abs(spectrum.argmax() * 2 - hz) <= 2
    assert spectrum.max() == pytest.approx(level, rel=tolerance)


def written(path: Path, samples: np.ndarray, rate: int = SAMPLE_RATE, **how: str) -> Path:
    soundfile.write(path, samples, rate, **how)
    return path


def wav_bytes(claimed: int, samples: np.ndarray, rate: int = SAMPLE_RATE) -> bytes:
    """A 16-bit wav whose header claims ``claimed`` bytes of samples."""
    riff = min(claimed + 36, 0xFFFFFFFF) if claimed else 0
    data = (samples * 32767).astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + struct.pack("<4sI", b"data", claimed) + data


# Files that can be read


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6])
def test_every_rate_and_channel_count_becomes_mono_16_khz(tmp_path: Path, rate: int, channels: int) -> None:
    levels = np.linspace(0.1, 0.6, channels) if channels > 1 else np.array([0.5])
    path = written(tmp_path / "clip.wav", tone(rate, level=1)[:, None] * levels, rate, subtype="FLOAT")
    wave = load(path)
    assert abs(wave.size - 16_000) <= 1
    assert_tone(wave, 1000, levels.mean())


@pytest.mark.parametrize(("container", "codec"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
@pytest.mark.parametrize("rate", [8000, 48_000])
def test_lossy_stereo_at_other_rates_keeps_the_tone(tmp_path: Path, container: str, codec: str, rate: int) -> None:
    path = written(tmp_path / "clip", np.stack([tone(rate)] * 2, 1), rate, format=container, subtype=codec)
    assert_tone(load(path), 1000, 0.5, 0.05)


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 48_000])
def test_resampling_is_soxr_hq(rate: int) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, rate).astype(np.float32)
    assert np.array_equal(to_wave(samples, rate), soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ"))


def test_a_file_at_16_khz_is_not_touched(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 3000).astype(np.float32)
    assert np.array_equal(load(written(tmp_path / "a.wav", samples, subtype="FLOAT")), samples)


def test_blocks_are_joined_without_a_seam(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (200_000, 2)).astype(np.float32)
    path = written(tmp_path / "long.wav", samples, subtype="FLOAT")
    assert np.array_equal(load(path), samples.mean(axis=1))


def test_a_link_to_a_file_loads(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(written(tmp_path / "a.wav", tone()))
    assert load(str(tmp_path / "link.wav")).size == 16_000


def test_a_streamed_au_of_unknown_length_loads(tmp_path: Path) -> None:
    path = written(tmp_path / "a.au", tone(), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[8:12] = b"\xff" * 4
    path.write_bytes(content)
    assert load(path).size == 16_000


# Files that cannot


def test_a_flac_that_decodes_to_less_than_it_promises_is_truncated(tmp_path: Path) -> None:
    path = written(tmp_path / "cut.flac", tone())
    content = bytearray(path.read_bytes())
    content[8 + 14 : 8 + 18] = struct.pack(">I", 17_000)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"is truncated: 16000 of 17000 samples|cannot be decoded"):
        load(path)


def test_a_header_that_claims_gigabytes_allocates_only_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "huge.wav"
    path.write_bytes(wav_bytes(4_000_000_000, tone()))
    tracemalloc.start()
    try:
        with pytest.raises(AudioError, match="is truncated: 32000 of 4000000000 bytes"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_bytes_in_memory_are_decoded_as_the_file_on_disk(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.flac", tone(rate=44_100), rate=44_100)
    np.testing.assert_array_equal(audio.decode(path.read_bytes()), load(path))


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda content: b"", "unusable", r"the clip: is empty \(0 bytes\)"),
        (lambda content: b"no audio", "not_audio", "the clip: is text, not audio"),
        (lambda content: content[:-100], "truncated", "the clip: is truncated: 31900 of 32000 bytes"),
        (lambda content: content[:44] + bytes(32_000), "unusable", "digital silence"),
    ],
)
def test_what_is_wrong_with_bytes_is_told_to_people_and_programs(tmp_path: Path, change, code, message) -> None:
    content = written(tmp_path / "clip.wav", tone()).read_bytes()
    with pytest.raises(AudioError, match=message) as told:
        audio.decode(change(content))
    assert told.value.code == code
    assert pickle.loads(pickle.dumps(told.value)).code == code  # workers send errors home


def test_bytes_that_hold_more_than_is_allowed_are_refused(tmp_path: Path) -> None:
    content = written(tmp_path / "clip.flac", tone(seconds=3)).read_bytes()
    with pytest.raises(AudioError, match=r"the clip: is longer than 2\.5 s; cut it into clips first") as told:
        audio.decode(content, max_seconds=2.5)
    assert told.value.code == "too_long"


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_a_file_longer_than_the_limit_is_refused(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / f"long.{suffix}", tone(seconds=2.5))
    monkeypatch.setattr(audio, "MAX_SECONDS", 2)
    with pytest.raises(AudioError, match=r"long\.\w+: is longer than 2 s; cut it into clips first"):
        load(path)
    monkeypatch.setattr(audio, "MAX_SECONDS", 3)
    assert load(path).size >= 40_000


@given(st.binary(max_size=600))
def test_no_bytes_get_through_the_door(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"bytes\.wav: "):
        load(path)


@given(st.data(), st.sampled_from(["WAV", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64"]))
def test_a_damaged_header_is_an_audio_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, container: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    content = bytearray(written(path, tone(seconds=0.1), format=container, subtype="PCM_16").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 90))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        wave = load(path)
    except AudioError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017
    else:
        assert wave.dtype == np.float32
        assert np.isfinite(wave).all()


# Formats that need ffmpeg


def fake_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """An ``ffmpeg`` that does what ``script`` says, and an m4a for it."""
    program = tmp_path / "a program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    (tmp_path / "clip.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    return tmp_path / "clip.m4a"


def test_m4a_without_ffmpeg_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip.M4A").write_bytes(b"....ftypM4A ")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(AudioError, match=r"clip\.M4A: \.M4A needs the ffmpeg program.*Install ffmpeg, or convert"):
        load(tmp_path / "clip.M4A")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for ffmpeg is a shell script")
def test_what_ffmpeg_pipes_is_treated_as_any_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.stack([tone(48_000), 0 * tone(48_000)], axis=1)
    piped = written(tmp_path / "piped.wav", samples, 48_000, subtype="FLOAT")
    wave = load(fake_ffmpeg(tmp_path, monkeypatch, f"cat '{piped}'"))
    assert np.array_equal(wave, load(piped))
    assert_tone(wave, 1000, 0.25)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for ffmpeg is a shell script")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'moov atom not found' >&2; exit 1", r"ffmpeg cannot decode it \(moov atom not found\)"),
        ("exit 0", r"ffmpeg cannot decode it \(it decoded to nothing\)"),
    ],
)
def test_what_ffmpeg_complains_of_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    path = fake_ffmpeg(tmp_path, monkeypatch, script)
    with pytest.raises(AudioError, match=rf"clip\.m4a: {message}"):
        load(path)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for ffmpeg is a shell script")
def test_an_m4a_that_expands_beyond_the_limits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake_ffmpeg(tmp_path, monkeypatch, f"cat '{written(tmp_path / 'piped.wav', tone(seconds=2.5))}'")
    monkeypatch.setattr(audio, "MAX_SECONDS", 2)
    with pytest.raises(AudioError, match=r"clip\.m4a: is longer than 2 s"):
        load(path)
    monkeypatch.setattr(ffmpeg, "MAX_BYTES", 1 << 14)
    with pytest.raises(AudioError, match=r"clip\.m4a: expands to more than"):
        load(path)


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@needs_ffmpeg
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_m4a_loads_through_ffmpeg(tmp_path: Path, rate: int) -> None:
    written(tmp_path / "in.wav", np.stack([tone(rate)] * 2, 1), rate)
    target = tmp_path / "- ü.m4a"
    assert os.spawnlp(os.P_WAIT, "ffmpeg", "ffmpeg", "-v", "error", "-i", str(tmp_path / "in.wav"), str(target)) == 0
    wave = load(target)
    assert wave.size == pytest.approx(16_000, abs=2400)
    assert_tone(wave, 1000, 0.5, 0.05)


@needs_ffmpeg
def test_a_damaged_m4a_names_what_ffmpeg_says(tmp_path: Path) -> None:
    (tmp_path / "bad.m4a").write_bytes(np.random.default_rng(0).bytes(2000))
    with pytest.raises(AudioError, match=r"bad\.m4a: ffmpeg cannot decode it"):
        load(tmp_path / "bad.m4a")


@needs_ffmpeg
def test_a_longer_m4a_than_allowed_is_refused_and_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "in.wav", tone(seconds=3))
    target = str(tmp_path / "long.m4a")
    assert os.spawnlp(os.P_WAIT, "ffmpeg", "ffmpeg", "-v", "error", "-i", str(tmp_path / "in.wav"), target) == 0
    monkeypatch.setattr(audio, "MAX_SECONDS", 1)
    with pytest.raises(AudioError, match="is longer than 1 s"):
        load(target)


# Arrays


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_signed_integers_are_scaled_by_their_full_range(dtype: type) -> None:
    info = np.iinfo(dtype)
    wave = to_wave(np.array([info.min, 0, info.max // 2 + 1], dtype=dtype), SAMPLE_RATE)
    assert wave.tolist() == [-1.0, 0.0, 0.5]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_unsigned_integers_are_centred_on_half_their_range(dtype: type) -> None:
    half = np.iinfo(dtype).max // 2 + 1
    assert to_wave(np.array([0, half, half + half // 2], dtype=dtype), SAMPLE_RATE).tolist() == [-1.0, 0.0, 0.5]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">i2"])
def test_every_float_width_and_byte_order_gives_native_float32(dtype: str) -> None:
    wave = to_wave(np.array([0, 1], dtype=dtype), SAMPLE_RATE)
    assert wave.dtype == np.float32
    assert wave.dtype.isnative
    assert wave[1] == (1 / 32768 if dtype == ">i2" else 1)


def test_mono_is_the_mean_of_the_channels() -> None:
    channels = np.random.default_rng(0).uniform(-1, 1, (500, 6))
    assert to_wave(channels, SAMPLE_RATE) == pytest.approx(channels.mean(axis=1), abs=1e-7)


def test_no_samples_stay_no_samples() -> None:
    assert to_wave(np.empty((0, 2)), 48_000).shape == (0,)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((2, 2, 2)), 16_000, r"must have shape \(n,\) or \(n, 1 to 64 channels\); these have \(2, 2, 2\)"),
        (np.zeros((2, 16_000)), 16_000, r"1 to 64 channels\); these have \(2, 16000\)"),
        (np.zeros((5, 0)), 16_000, r"1 to 64 channels\); these have \(5, 0\)"),
        (np.array(["a"]), 16_000, "must be floats or integers; these are <U1"),
        (np.zeros(5, dtype=complex), 16_000, "must be floats or integers; these are complex128"),
        (np.zeros(5), 0, "The sample rate is 0 Hz; it must lie between 1000 and 768000 Hz"),
        (np.zeros(5), 10**7, "The sample rate is 10000000 Hz"),
        (np.zeros(5), "16000", "The sample rate is '16000' Hz; it must lie between 1000 and 768000 Hz"),
    ],
)
def test_samples_that_are_no_sound_are_refused(samples: np.ndarray, rate: int, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        to_wave(samples, rate)


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (np.zeros((2, 3)), r"x: a wave is one-dimensional, mono; this one has shape \(2, 3\)"),
        (np.empty(0), "x: holds 0 samples"),
        (np.array([0.1, np.nan]), r"x: 1 of 2 samples is not finite \(NaN or inf\)"),
        (np.array([1e300, 0.1]), "x: 1 of 2 samples is not finite"),
        (np.zeros(7), r"x: all 7 samples are zero \(digital silence\)"),
        (np.full(7, 1e-300), "x: all 7 samples are zero"),
        (
            np.array([5, -20_000], dtype=np.int16),
            "x: samples reach 20000, a wave −1 to 1; scale integers by featkit.audio",
        ),
        (np.array([1 + 1j]), "x: Complex data not supported"),
        (np.array(["loud"]), "x: a wave must hold numbers, not <U4"),
        (None, "x: a wave must hold numbers|x: a wave is one-dimensional"),
    ],
)
def test_arrays_that_are_no_clip_are_refused(wave: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        check_wave(wave, "x")


def test_a_checked_wave_is_float32_and_contiguous() -> None:
    wave = check_wave(np.ones((10, 2))[:, 0])
    assert wave.dtype == np.float32
    assert wave.flags.c_contiguous
    assert check_wave([1.0, 2, 3]).tolist() == [1.0, 2.0, 3.0]
    assert check_wave(np.array([1.5, 2], dtype=object)).tolist() == [1.5, 2.0]


def test_quiet_integers_are_no_wave_either() -> None:
    with pytest.raises(
        AudioError, match=r"samples reach 300, a wave −1 to 1; scale integers by featkit\.audio\.to_wave"
    ):
        check_wave(np.array([100, -300, 5], dtype=np.int16))


def test_a_clip_is_a_path_or_a_wave_and_has_a_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", tone())
    assert np.array_equal(as_wave(path, ""), as_wave(str(path), ""))
    assert as_wave(np.ones(3), "clip 4").tolist() == [1, 1, 1]
    with pytest.raises(AudioError, match="clip 4: holds 0 samples"):
        as_wave([], "clip 4")
    assert name_of(path, 4) == str(path)
    assert name_of(np.ones(3), 4) == "clip 4"


# Level and length


def test_peak_and_rms_reach_their_targets(tmp_path: Path) -> None:
    wave = tone(level=0.3).astype(np.float32)
    assert np.abs(scale(wave, "peak")).max() == pytest.approx(1)
    assert np.sqrt(np.mean(scale(wave, "rms") ** 2)) == pytest.approx(0.1, rel=1e-6)
    path = written(tmp_path / "a.wav", wave, subtype="FLOAT")
    assert np.array_equal(load(path, normalise="peak"), scale(wave, "peak"))
    assert np.array_equal(load(path, normalise="rms"), scale(wave, "rms"))
    assert scale(wave, "peak").dtype == scale(wave, "rms").dtype == np.float32


def test_silence_stays_silence() -> None:
    assert not scale(np.zeros(5, dtype=np.float32), "peak").any()
    assert not scale(np.zeros(5, dtype=np.float32), "rms").any()


def test_another_normalisation_is_refused() -> None:
    with pytest.raises(AudioError, match="normalise must be 'peak' or 'rms', not 'loud'"):
        scale(np.ones(5, dtype=np.float32), "loud")  # type: ignore[arg-type]


RAMP = np.arange(1, 16_001, dtype=np.float32)  # tells every sample apart


def test_a_short_clip_is_padded_at_its_end() -> None:
    fitted = fit_length(RAMP, 2)
    assert fitted.shape == (32_000,)
    assert np.array_equal(fitted[:16_000], RAMP)
    assert not fitted[16_000:].any()


def test_a_long_clip_is_cropped_around_its_centre() -> None:
    assert fit_length(RAMP, 0.5)[[0, -1]].tolist() == [4001, 12_000]
    assert np.array_equal(fit_length(RAMP, 1), RAMP)


def test_a_random_crop_follows_its_seed_and_reaches_both_ends() -> None:
    starts = [int(fit_length(RAMP[:803], 0.05, crop="random", seed=seed)[0]) for seed in range(40)]
    assert starts == [int(fit_length(RAMP[:803], 0.05, crop="random", seed=seed)[0]) for seed in range(40)]
    assert set(starts) == {1, 2, 3, 4}


def test_load_fits_the_length(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", tone(), subtype="FLOAT")
    assert np.array_equal(load(path, seconds=0.5), fit_length(load(path), 0.5))
    assert load(path, seconds=3).shape == (48_000,)


@pytest.mark.parametrize("wave", [RAMP, RAMP[:10]])
def test_another_crop_is_refused(wave: np.ndarray) -> None:
    with pytest.raises(AudioError, match="crop must be 'centre' or 'random', not 'center'"):
        fit_length(wave, 0.5, crop="center")  # type: ignore[arg-type]


def test_stereo_is_not_made_half_as_long() -> None:
    with pytest.raises(
        AudioError, match=r"this one has shape \(16000, 2\)\. Samples of a recording become one by feat"
    ):
        fit_length(np.zeros((16_000, 2), np.float32), 3.0)


@pytest.mark.parametrize("seconds", [0, -1, 1e-9, float("nan"), float("inf")])
def test_a_length_must_hold_a_sample_and_end(seconds: float) -> None:
    with pytest.raises(AudioError, match="A length must lie between one sample and 3600 s; it is"):
        fit_length(RAMP, seconds)


@given(st.integers(1, 60_000), st.integers(1, 20_000), st.floats(0.2, 1))
def test_segments_cover_the_whole_clip(n_samples: int, length: int, part: float) -> None:
    wave = np.arange(1, n_samples + 1, dtype=np.float32)
    hop = max(1, round(length * part), n_samples // 50)
    length = max(length, hop)
    windows = segments(wave, length / SAMPLE_RATE, hop / SAMPLE_RATE)
    assert windows.shape[1] == length
    assert all(window[0] == i * hop + 1 for i, window in enumerate(windows))
    assert np.array_equal(np.unique(windows[windows > 0]), wave)
    assert np.count_nonzero(windows[-1]) > 0
    if len(windows) > 1:  # the last window is needed
        assert (len(windows) - 2) * hop + length < n_samples


def test_segments_lie_end_to_end_unless_told_otherwise() -> None:
    assert segments(RAMP, 0.25).shape == (4, 4000)
    assert segments(RAMP, 0.3)[-1, -1] == 0
    assert segments(RAMP, 3.0).shape == (1, 48_000)


def test_a_clip_that_is_too_short_is_padded_or_refused() -> None:
    assert at_least(RAMP, 16_000, pad=False) is RAMP
    assert np.array_equal(at_least(RAMP[:2], 4, pad=True), [1, 2, 0, 0])
    with pytest.raises(AudioError, match=r"x: has 160 samples \(10 ms\).* need at least 400 \(25 ms\).*pad_short=True"):
        at_least(RAMP[:160], 400, pad=False, where="x")


def test_channels_that_come_first_are_named_as_such() -> None:
    with pytest.raises(AudioError, match=r"these have \(2, 16000\)\. Here the channels come first: give samples\.T\."):
        to_wave(np.zeros((2, 16_000)), 16_000)


@pytest.mark.parametrize(("full", "divisor"), [(32_767, "32768"), (2.0**31 - 1, "2147483648")])
def test_floats_of_whole_numbers_are_told_their_scale(full: float, divisor: str) -> None:
    wave = full * np.sin(np.arange(1600))
    with pytest.raises(AudioError, match=f"scale integers by featkit.audio.to_wave, divide floats by {divisor}\\."):
        check_wave(wave)
    assert np.abs(check_wave(wave / float(divisor))).max() <= 1
