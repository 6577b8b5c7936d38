"""Varied waves are what their settings say, in numbers; they follow from seed and content; nothing fails mid-run."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from speech import write_wav

from featkit import audio
from featkit.audio import SAMPLE_RATE, Wave
from featkit.augment import (
    MIN_SAMPLES,
    TRANSFORMS,
    Augment,
    Background,
    Gain,
    Noise,
    Pitch,
    Room,
    Shift,
    Speed,
    Transform,
    augment_files,
    find_augment,
)
from featkit.cli import cli
from featkit.datasets import open_dataset
from featkit.datasets.synthetic import synthesise
from featkit.errors import AudioError, DataError, FeatkitError, PluginError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def clip() -> Wave:
    return synthesise("neutral", 0, 0, take=0)


def tone(f0: float = 200, seconds: float = 1.0) -> Wave:
    """Ten harmonics, each at half the amplitude of the one below."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics = [0.3 * 0.5**k * np.sin(2 * np.pi * f0 * (k + 1) * time) for k in range(10)]
    wave: Wave = np.sum(harmonics, axis=0).astype(np.float32)
    return wave


def pitch_of(wave: Wave) -> float:
    f0 = librosa.yin(wave, fmin=100, fmax=400, sr=SAMPLE_RATE, frame_length=2048)
    return float(np.median(f0[4:-4]))


def cents(high: float, low: float) -> float:
    return float(1200 * np.log2(high / low))


def db(power: float) -> float:
    return float(10 * np.log10(power))


def power(wave: Any) -> float:
    return float(np.mean(np.square(wave, dtype=np.float64)))


def snr(wave: Wave, noisy: Wave) -> float:
    return db(power(wave) / power(noisy.astype(np.float64) - wave))


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    """Two recordings of noise, one longer than a clip, one in a folder below and shorter."""
    (tmp_path / "noises" / "more").mkdir(parents=True)
    for name, n in (("long.wav", 80_000), ("more/short.wav", 3_000)):
        write_wav(tmp_path / "noises" / name, rng(n).uniform(-0.5, 0.5, n).astype(np.float32))
    return tmp_path / "noises"


# --- transforms against what they promise --------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [-5, 0, 15, 40])
def test_white_noise_has_the_ratio_asked_for_and_is_white(asked: float, clip: Wave) -> None:
    noisy = Noise(snr=asked, spread=0)(clip, rng())
    assert snr(clip, noisy) == pytest.approx(asked, abs=0.1)
    spectrum = np.abs(np.fft.rfft(noisy.astype(np.float64) - clip)) ** 2
    low, high = np.array_split(spectrum, 2)
    assert db(low.mean() / high.mean()) == pytest.approx(0, abs=0.5)


def test_a_faint_clip_is_no_exception(clip: Wave) -> None:
    faint = np.float32(1e-25) * clip  # whose squares are zero in 32 bits
    assert snr(faint, Noise(snr=10, spread=0)(faint, rng())) == pytest.approx(10, abs=0.1)


def test_ratios_are_drawn_from_the_whole_range_and_not_beyond(clip: Wave) -> None:
    ratios = [snr(clip, Noise(snr=20, spread=5)(clip, rng(seed))) for seed in range(60)]
    assert 14.9 < min(ratios) < 16
    assert 24 < max(ratios) < 25.1


@pytest.mark.parametrize("f0", [130.0, 210.0])
def test_pitch_moves_by_the_cents_drawn_at_equal_duration(f0: float) -> None:
    wave = tone(f0)
    for seed in range(4):
        drawn = rng(seed).uniform(-100, 100)
        shifted = Pitch(cents=100).change(wave, rng(seed))
        assert shifted.shape == wave.shape
        assert cents(pitch_of(shifted), pitch_of(wave)) == pytest.approx(drawn, abs=5)


def test_pitch_at_most_moves_by_what_is_allowed() -> None:
    moved = [abs(cents(pitch_of(Pitch(cents=50)(tone(), rng(seed))), pitch_of(tone()))) for seed in range(12)]
    assert 30 < max(moved) < 55


@pytest.mark.parametrize("n", [MIN_SAMPLES, 700, 1023])
def test_pitch_takes_clips_below_one_window(n: int) -> None:
    assert Pitch()(tone()[:n], rng()).shape == (n,)


@pytest.mark.parametrize("factor", [0.9, 0.95, 1.1])
def test_speed_changes_length_and_pitch_by_the_same_factor(factor: float) -> None:
    wave = tone(200, 2.0)
    faster = Speed(factor=(factor, factor))(wave, rng())
    assert faster.size == pytest.approx(wave.size / factor, abs=1)
    assert cents(pitch_of(faster), pitch_of(wave)) == pytest.approx(cents(factor, 1), abs=3)


def test_speeds_are_drawn_from_the_whole_range_and_not_beyond(clip: Wave) -> None:
    factors = [clip.size / Speed()(clip, rng(seed)).size for seed in range(60)]
    assert 0.8999 < min(factors) < 0.91
    assert 1.09 < max(factors) < 1.1001


def test_gain_scales_by_the_whole_range_and_clips_nothing() -> None:
    wave = np.array([1.0, -0.5] * 400, dtype=np.float32)
    gains = []
    for seed in range(60):
        louder = Gain(db=6)(wave, rng(seed))
        np.testing.assert_allclose(louder[1::2], louder[::2] * -0.5, rtol=1e-6)
        gains.append(db(power(louder) / power(wave)))
    assert -6.01 < min(gains) < -5
    assert 5 < max(gains) < 6.01


def test_shift_moves_silence_in_and_keeps_the_length() -> None:
    wave = np.arange(1, 8_001, dtype=np.float32)
    shifts = []
    for seed in range(60):
        moved = Shift(seconds=0.1)(wave, rng(seed))
        assert moved.shape == wave.shape
        later = int(np.argmax(moved != 0)) - int(np.argmax(moved[::-1] != 0))
        expected = np.zeros_like(wave)
        expected[max(later, 0) : 8_000 + min(later, 0)] = wave[max(-later, 0) : 8_000 - max(later, 0)]
        np.testing.assert_array_equal(moved, expected)
        shifts.append(later)
    assert -1600 <= min(shifts) < -1400
    assert 1400 < max(shifts) <= 1600


def test_shift_moves_a_short_clip_by_half_of_it_at_most() -> None:
    wave = np.ones(500, dtype=np.float32)
    kept = [np.count_nonzero(Shift(seconds=1)(wave, rng(seed))) for seed in range(60)]
    assert 250 <= min(kept) < 270


def click(at: int = 3_000, n: int = 24_000) -> Wave:
    wave = np.zeros(n, dtype=np.float32)
    wave[at] = 0.5
    return wave


@pytest.mark.parametrize("rt60", [0.15, 0.3, 0.6])
def test_the_tail_of_a_room_decays_by_60_db_in_the_time_asked_for(rt60: float) -> None:
    wet = Room(rt60=(rt60, rt60))(click(), rng()).astype(np.float64)
    tail = wet[3_001 : 3_000 + round(rt60 * SAMPLE_RATE)]
    decay = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2))  # Schroeder's backward integration
    fitted = (decay < -5) & (decay > -25)  # T20 of ISO 3382-1
    slope = np.polyfit(np.flatnonzero(fitted) / SAMPLE_RATE, decay[fitted], 1)[0]
    assert -60 / slope == pytest.approx(rt60, rel=0.1)


def test_the_direct_sound_stays_in_place_at_the_ratio_asked_for_and_nothing_comes_before_it() -> None:
    wet = Room(drr=3, spread=0)(click(), rng()).astype(np.float64)
    assert int(np.abs(wet).argmax()) == 3_000
    assert db(wet[3_000] ** 2 / np.sum(wet[3_001:] ** 2)) == pytest.approx(3, abs=0.01)
    assert np.abs(wet[:3_000]).max() < 1e-9


def test_a_room_keeps_length_and_level(clip: Wave) -> None:
    wet = Room()(clip, rng())
    assert wet.shape == clip.shape
    assert power(wet) == pytest.approx(power(clip), rel=1e-5)
    assert not np.array_equal(wet, clip)


def test_a_measured_response_is_convolved_without_its_delay(tmp_path: Path, clip: Wave) -> None:
    response = np.zeros(2_000, dtype=np.float32)
    response[[700, 1_100]] = -0.8, 0.4  # 700 samples on the way, an echo 400 later
    write_wav(tmp_path / "hall.wav", response)
    wet = Room(folder=tmp_path)(clip, rng())
    expected = -clip.astype(np.float64)
    expected[400:] += 0.5 * clip[:-400]
    expected *= np.sqrt(power(clip) / power(expected))
    np.testing.assert_allclose(wet, expected, atol=1e-5)


@pytest.mark.parametrize("asked", [0, 15])
def test_background_has_the_ratio_asked_for_whether_looped_or_cropped(asked: float, noises: Path, clip: Wave) -> None:
    for seed in range(8):
        assert snr(clip, Background(noises, snr=asked, spread=0)(clip, rng(seed))) == pytest.approx(asked, abs=0.1)


def test_background_is_a_piece_of_a_recording_from_a_random_place(noises: Path) -> None:
    long, short = audio.load(noises / "long.wav"), audio.load(noises / "more/short.wav")
    wave = tone()
    places: dict[str, set[int]] = {"long": set(), "short": set()}
    for seed in range(20):
        added = Background(noises, snr=0, spread=0)(wave, rng(seed)).astype(np.float64) - wave
        for name, noise in (("long", long), ("short", np.tile(short, 8))):
            fit = np.correlate(noise, added[:1_000], "valid")
            place = int(fit.argmax())
            piece = noise[place : place + wave.size]
            if piece.size == wave.size and np.corrcoef(piece, added)[0, 1] > 0.999:
                places[name].add(place)
    assert sum(map(len, places.values())) >= 15
    assert min(map(len, places.values())) >= 4


# --- what holds for all --------------------------------------------------------------------------------------------


def every(folder: Path) -> list[Transform]:
    return [Noise(), Pitch(), Speed(), Gain(), Shift(), Room(), Room(folder), Background(folder)]


def test_every_transform_is_listed_and_gives_a_new_float32_wave(noises: Path, clip: Wave) -> None:
    assert {type(transform) for transform in every(noises)} == set(TRANSFORMS.values())
    before = clip.copy()
    for transform in every(noises):
        changed = transform(clip, rng(1))
        assert (changed.dtype.name, changed.ndim) == ("float32", 1), transform
        assert changed.flags.c_contiguous, transform
        assert not np.array_equal(changed[: clip.size], clip[: changed.size]), transform
        np.testing.assert_array_equal(clip, before)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 3_000),
    level=st.sampled_from([1e-30, 1e-4, 1.0, 900.0]),
    kind=st.sampled_from(["noise", "click", "step"]),
    seed=st.integers(0, 2**32),
)
def test_whatever_goes_in_the_result_is_finite_and_never_silent(n: int, level: float, kind: str, seed: int) -> None:
    shape = {"noise": rng(seed).standard_normal(n).clip(-1, 1), "click": np.eye(1, n)[0], "step": np.ones(n)}[kind]
    wave = (level * shape).astype(np.float32)
    plan = Augment((Shift(), Speed(), Pitch(), Room(), Noise(snr=0), Gain(db=20)))
    varied = plan(wave, rng(seed))
    assert np.isfinite(varied).all()
    assert varied.any()
    assert varied.size >= min(n, MIN_SAMPLES)


def test_a_wave_that_would_become_too_short_is_left_alone() -> None:
    wave = tone()[:420]
    assert Speed(factor=(1.1, 1.1))(wave, rng()) is wave
    assert Speed(factor=(1.01, 1.01))(wave, rng()) is not wave


def test_a_wave_that_would_become_silent_is_left_alone() -> None:
    wave = np.zeros(1_000, dtype=np.float32)
    wave[0] = 1
    moved = [Shift()(wave, rng(seed)) for seed in range(20)]
    assert all(some.any() for some in moved)
    assert {True, False} == {some is wave for some in moved}


def test_a_crop_of_digital_silence_adds_nothing(tmp_path: Path, clip: Wave) -> None:
    noise = np.zeros(2 * SAMPLE_RATE * 60, dtype=np.float32)
    noise[0] = 1
    write_wav(tmp_path / "gap.wav", noise)
    np.testing.assert_array_equal(Background(tmp_path)(clip, rng()), clip)


def test_probability_0_is_the_identity_and_1_is_always(clip: Wave) -> None:
    assert all(Noise(p=0)(clip, rng(seed)) is clip for seed in range(100))
    assert not any(Noise(p=1)(clip, rng(seed)) is clip for seed in range(100))


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_the_probability_is_obeyed(p: float) -> None:
    wave, chance = tone()[:500], rng()
    made = sum(Gain(p=p)(wave, chance) is not wave for _ in range(1_000))
    assert made == pytest.approx(1_000 * p, abs=4 * np.sqrt(1_000 * p * (1 - p)))  # four standard deviations


def test_transforms_are_applied_in_the_order_in_which_they_stand(clip: Wave) -> None:
    first = Augment((Noise(snr=5, spread=0), Speed(factor=(1.1, 1.1))))(clip, rng(3))
    chance = rng(3)
    np.testing.assert_array_equal(first, Speed(factor=(1.1, 1.1))(Noise(snr=5, spread=0)(clip, chance), chance))
    other = Augment((Speed(factor=(1.1, 1.1)), Noise(snr=5, spread=0)))(clip, rng(3))
    assert first.shape == other.shape
    assert not np.array_equal(first, other)


# --- copies --------------------------------------------------------------------------------------------------------


def test_a_copy_follows_from_seed_content_and_number_alone(clip: Wave) -> None:
    plan = find_augment("speed+noise+gain")
    copies = plan.copies(clip, 3, seed=7)
    plan.copies(tone(), 2, seed=7)  # whatever else is made in between
    for again in (plan.copies(clip.copy(), 5, seed=7), find_augment("speed+noise+gain").copies(clip.tolist(), 3, 7)):
        for one, other in zip(copies, again[:3], strict=True):
            np.testing.assert_array_equal(one, other)


def test_copies_are_the_same_in_another_process(clip: Wave, tmp_path: Path) -> None:
    np.save(tmp_path / "clip.npy", clip)
    code = (
        "import sys, hashlib, numpy; from featkit.augment import find_augment;"
        "copy = find_augment('speed+room+noise').copies(numpy.load(sys.argv[1]), 2, 5)[1];"
        "print(hashlib.sha256(copy.tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "clip.npy")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert told == hashlib.sha256(find_augment("speed+room+noise").copies(clip, 2, 5)[1].tobytes()).hexdigest()


def test_other_seeds_numbers_and_waves_give_other_copies(clip: Wave) -> None:
    plan = Augment((Gain(),))
    gains = [power(copy) / power(clip) for seed in (0, 1, -1) for copy in plan.copies(clip, 3, seed)]
    gains += [power(copy) / power(tone()) for copy in plan.copies(tone(), 3, 0)]
    assert len({round(gain, 5) for gain in gains}) == 12


def test_no_copy_is_no_copy(clip: Wave) -> None:
    assert Augment((Gain(),)).copies(clip, 0) == []


@pytest.mark.parametrize(
    ("n", "seed", "message"),
    [
        (-1, 0, "The number of copies must be a whole number from 0 on; it is -1."),
        (1.5, 0, "The number of copies must be a whole number from 0 on; it is 1.5."),
        (1, "a", "The seed must be a whole number; it is 'a'."),
    ],
)
def test_copies_are_counted_in_whole_numbers(n: Any, seed: Any, message: str, clip: Wave) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        Augment((Gain(),)).copies(clip, n, seed)


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (np.zeros(500, np.float32), "all 500 samples are zero"),
        (np.full(500, np.nan, np.float32), "500 of 500 samples are not finite"),
        (np.empty(0, np.float32), "holds 0 samples"),
    ],
)
def test_what_is_no_clip_is_refused(wave: Wave, message: str) -> None:
    plan = Augment((Gain(),))
    with pytest.raises(AudioError, match=message):
        plan(wave, rng())
    with pytest.raises(AudioError, match=message):
        plan.copies(wave, 1)


# --- plans ---------------------------------------------------------------------------------------------------------


def test_a_plan_is_read_in_order_with_its_settings() -> None:
    assert find_augment(" speed+pitch:cents=30 + noise:snr=15,p=1+room:rt60=(0.2,0.3)").transforms == (
        Speed(), Pitch(cents=30), Noise(snr=15, p=1), Room(rt60=(0.2, 0.3)),
    )  # fmt: skip


def test_a_path_stands_in_quotes_and_may_hold_any_sign(noises: Path) -> None:
    odd = noises.rename(noises.with_name("a+b's: 1,2"))
    (background, room) = find_augment(f'background:folder="{odd}",snr=3+room').transforms
    assert background == Background(folder=str(odd), snr=3)
    assert room == Room()


def test_standard_is_a_plan_that_others_may_follow() -> None:
    standard = find_augment("standard")
    assert standard.transforms == (Speed(factor=(0.85, 1.15)),)
    assert find_augment("standard+room:p=0.3").transforms == (*standard.transforms, Room(p=0.3))


def test_a_plan_is_checked_and_returned_as_it_is() -> None:
    plan = Augment((Noise(),))
    assert find_augment(plan) is plan
    with pytest.raises(PluginError, match=r"noise: snr must be a number from -20 to 100 dB; it is 'loud'\."):
        find_augment(Augment((Noise(snr="loud"),)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noice", "No transform is named 'noice'. Did you mean 'noise'? Known: standard, noise, pitch, speed, "),
        ("standart", "No transform is named 'standart'. Did you mean 'standard'?"),
        ("", "No transform is named ''. Known: "),
        ("noise++gain", "No transform is named ''. Known: "),
        ("noise:snt=3", "No setting of noise is named 'snt'. Did you mean 'snr'? Settings: p, snr, spread."),
        ("noise:3", "'noise:3': settings are written as in 'noise:first=1,second=word'."),
        ("background:folder=noise/", "settings are written as in 'background:first=1,second=word'."),
        ("background:folder='noise", "settings are written as in 'background:first=1,second=word'."),
        ("noise:snr=open('x')", "the value of snr is neither a word, a number nor a tuple."),
        ("standard:p=1", "'standard:p=1': standard takes no settings; write out speed:factor="),
        ("noise:p=1.1", "noise: p must be a number from 0 to 1; it is 1.1."),
        ("noise:p=true", "noise: p must be a number from 0 to 1; it is True."),
        ("noise:spread=-1", "noise: spread must be a number from 0 to 50 dB; it is -1."),
        ("pitch:cents=1300", "pitch: cents must be a number from 0 to 1200 cents; it is 1300."),
        (
            "speed:factor=1.1",
            "speed: factor must be two numbers from 0.5 to 2, the lower first, as in factor=(a,b); it",
        ),
        ("speed:factor=(1.1,0.9)", "the lower first, as in factor=(a,b); it is (1.1, 0.9)."),
        ("speed:factor=(0.1,0.9)", "speed: factor must be two numbers from 0.5 to 2, "),
        ("gain:db=50", "gain: db must be a number from 0 to 40 dB; it is 50."),
        ("gain:db=none", "gain: db must be a number from 0 to 40 dB; it is None."),
        ("shift:seconds=-1", "shift: seconds must be a number from 0 to 10 s; it is -1."),
        ("room:rt60=(0.1,'a')", "room: rt60 must be two numbers from 0.02 to 10 s, the lower first"),
        ("room:drr=90", "room: drr must be a number from -20 to 60 dB; it is 90."),
        ("room:spread=90", "room: spread must be a number from 0 to 30 dB; it is 90."),
        ("background:snr=101", "background: snr must be a number from -20 to 100 dB; it is 101."),
        ("background:spread=51", "background: spread must be a number from 0 to 50 dB; it is 51."),
    ],
)
def test_a_plan_that_cannot_be_read_says_what_it_should_be(text: str, message: str) -> None:
    with pytest.raises(PluginError, match=re.escape(message)):
        find_augment(text)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Noise(), "augment must be the text of a plan or an Augment, not Noise."),
        (Augment(()), "A plan is a tuple of at least one transform, as in Augment((Noise(),)), not ()."),
        (Augment(Noise()), "A plan is a tuple of at least one transform"),  # type: ignore[arg-type]
        (Augment(("noise",)), "A plan is a tuple of at least one transform"),  # type: ignore[arg-type]
        (Augment((Noise(snr=float("nan")),)), "noise: snr must be a number from -20 to 100 dB; it is nan."),
    ],
)
def test_what_is_no_plan_is_refused(plan: Any, message: str) -> None:
    with pytest.raises(PluginError, match=re.escape(message)):
        find_augment(plan)


def test_a_missing_librosa_gives_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    monkeypatch.setitem(sys.modules, "librosa.effects", None)
    message = (
        "The transform 'pitch' needs the package 'librosa', which is not installed: pip install 'featkit[augment]'"
    )
    with pytest.raises(PluginError, match=re.escape(message)):
        find_augment("pitch")
    assert find_augment("speed+noise").transforms == (Speed(), Noise())


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, numpy; from featkit.augment import find_augment;"
        "find_augment('noise+speed+gain+shift').copies(numpy.ones(1000), 1);"
        "print(*sorted({'librosa', 'scipy', 'joblib', 'sklearn'} & set(sys.modules)), 'end')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["end"]


@pytest.mark.parametrize("kind", [Background, Room])
def test_a_folder_that_cannot_be_used_is_told_before_the_run(kind: Callable[..., Transform], tmp_path: Path) -> None:
    name = str(kind.name)  # type: ignore[attr-defined]
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.wav").write_text("I am no audio")
    with pytest.raises(DataError, match=rf"{name}: '.*nowhere' does not exist; name a folder of audio files\."):
        kind(tmp_path / "nowhere").check()
    with pytest.raises(DataError, match=rf"{name}: '.*file\.wav' is a file, not a folder; name a folder"):
        kind(tmp_path / "file.wav").check()
    with pytest.raises(DataError, match=rf"{name}: no audio file was found below '.*empty'"):
        kind(tmp_path / "empty").check()
    with pytest.raises(AudioError, match=rf"{name}: .*file\.wav: is text, not audio"):
        kind(tmp_path).check()
    with pytest.raises(DataError, match=rf"{name}: folder must be a path in quotes, .*; it is 3\."):
        kind(3).check()


def test_a_mended_folder_passes(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("I am no audio")
    room = Room(tmp_path)
    with pytest.raises(AudioError, match="is text, not audio"):
        room.check()
    (tmp_path / "bad.wav").unlink()
    write_wav(tmp_path / "good.wav", tone()[:500])
    room.check()
    assert room(tone(), rng()).any()


def test_background_needs_a_folder() -> None:
    with pytest.raises(DataError, match=r"background: needs a folder of noise recordings; write background:folder="):
        find_augment("background")
    with pytest.raises(DataError, match=r"background: needs a folder of noise recordings; write background:folder="):
        Background()(tone(), rng())


# --- specification -------------------------------------------------------------------------------------------------


def test_the_specification_is_plain_and_tells_every_setting() -> None:
    spec = find_augment("noise:snr=15+speed").spec
    assert json.loads(json.dumps(spec)) == spec
    assert spec == {
        "augment": [
            {"name": "noise", "version": 1, "params": {"p": 1.0, "snr": 15.0, "spread": 5.0}},
            {"name": "speed", "version": 1, "params": {"p": 1.0, "factor": [0.9, 1.1]}},
        ]
    }


def test_equal_plans_have_one_hash_and_others_another() -> None:
    hashes = [find_augment(text).spec_hash for text in ("noise:snr=15", "noise:snr=15.0,p=1", "noise: spread=5,snr=15")]
    assert len(set(hashes)) == 1
    assert re.fullmatch("[0-9a-f]{16}", hashes[0])
    others = ["noise", "noise:snr=15,p=0.5", "noise:snr=15+gain", "gain+noise:snr=15"]
    assert len({hashes[0], *(find_augment(text).spec_hash for text in others)}) == 5


def test_the_hash_knows_what_is_in_a_folder(noises: Path) -> None:
    def plan() -> Augment:
        return find_augment(f"background:folder='{noises}'")

    before = plan().spec_hash
    assert plan().spec_hash == before
    write_wav(noises / "third.wav", tone())
    assert plan().spec_hash != before


# --- files and the command -----------------------------------------------------------------------------------------


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="featkit")


def listed(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Names that come again: in two folders, and with two suffixes in one."""
    root = tmp_path / "recordings"
    for i, name in enumerate(("mia/one.wav", "mia/two.wav", "tom/one.wav", "tom/one.flac")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, synthesise("neutral", i, 0, take=0)[:12_000], SAMPLE_RATE)
    return root


def test_augment_keeps_folders_and_gives_every_copy_a_name_of_its_own(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    result = run("augment", "--augment", "speed+noise", "--copies", 2, recordings, out)
    assert result.exit_code == 0, result.output
    assert f"{out}: 8 copies of 4 clips, listed in manifest.csv" in result.output
    names = [f"{stem}_aug{k}.wav" for stem in ("mia/one", "mia/two", "tom/one", "tom/one-2") for k in (1, 2)]
    assert [row["file"] for row in listed(out)] == names
    there = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert there == sorted([*names, "manifest.csv"])
    sources = ["mia/one.wav", "mia/two.wav", "tom/one.flac", "tom/one.wav"]
    assert [row["source"] for row in listed(out)] == [str(recordings / name) for name in sources for _ in range(2)]


def test_the_files_hold_the_very_copies_and_nothing_is_clipped(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    loud = np.float32(0.99) * tone()
    write_wav(recordings / "loud.wav", loud / np.abs(loud).max())
    assert run("augment", "--augment", "gain:db=20", "--seed", 4, "--jobs", 2, recordings, out).exit_code == 0
    rows = listed(out)
    assert len(rows) == 5 * 4
    peaks = []
    for i, row in enumerate(rows):
        expected = find_augment("gain:db=20").copies(audio.load(row["source"]), 4, seed=4)[i % 4]
        np.testing.assert_array_equal(audio.load(out / row["file"]), expected)
        peaks.append(np.abs(expected).max())
    assert max(peaks) > 2
    assert soundfile.info(out / rows[0]["file"]).subtype == "FLOAT"


def test_seeds_differ_and_repeat(recordings: Path, tmp_path: Path) -> None:
    clip, copies = recordings / "mia" / "one.wav", {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("augment", "--augment", "noise", "--copies", 1, "--seed", seed, clip, tmp_path / name).exit_code == 0
        copies[name] = audio.load(tmp_path / name / "one_aug1.wav")
    np.testing.assert_array_equal(copies["a"], copies["b"])
    assert not np.array_equal(copies["a"], copies["c"])


def test_copies_of_a_corpus_inherit_label_and_speaker_and_are_a_corpus(recordings: Path, tmp_path: Path) -> None:
    table = tmp_path / "corpus.csv"
    table.write_text(
        "file,label,speaker\nrecordings/mia/one.wav,anger,mia\nrecordings/tom/one.wav,joy,tom\n", encoding="utf-8"
    )
    out = tmp_path / "out"
    result = run("augment", "--augment", "speed", "--copies", 3, "--data", table, out)
    assert result.exit_code == 0, result.output
    clips = list(open_dataset(str(out / "manifest.csv")).clips())
    assert [(clip.label, clip.speaker) for clip in clips] == [("anger", "mia")] * 3 + [("joy", "tom")] * 3
    assert [clip.path for clip in clips[::3]] == [out / "mia/one_aug1.wav", out / "tom/one_aug1.wav"]
    assert all(audio.load(clip.path).size for clip in clips)


def test_copies_of_a_corpus_without_speakers_are_a_corpus_without_speakers(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("augment", "--augment", "gain", "--copies", 1, "--data", recordings, out).exit_code == 0
    clips = list(open_dataset(str(out / "manifest.csv")).clips())
    assert [(clip.label, clip.speaker) for clip in clips] == [("mia", None)] * 2 + [("tom", None)] * 2


def test_a_bad_file_costs_one_row(recordings: Path, tmp_path: Path) -> None:
    (recordings / "mia" / "text.wav").write_text("I am no audio")
    out = tmp_path / "out"
    result = run("augment", "--augment", "gain", "--copies", 1, recordings, out)
    assert result.exit_code == 1
    assert len(listed(out)) == 4
    assert "1 of 5 files could not be used:" in result.stderr
    assert "text.wav: is text, not audio" in result.stderr


def test_the_same_file_named_twice_is_copied_once(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [recordings, recordings / "tom" / ".." / "mia" / "one.wav"]
    assert run("augment", "--augment", "gain", "--copies", 1, *words, out).exit_code == 0
    assert len(listed(out)) == 4


def test_folders_beside_each_other_stay_apart(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [recordings / "mia", recordings / "tom"]
    assert run("augment", "--augment", "gain", "--copies", 1, *words, out).exit_code == 0
    assert [row["file"] for row in listed(out)][:3] == ["mia/one_aug1.wav", "mia/two_aug1.wav", "tom/one_aug1.wav"]


def test_a_second_run_does_not_copy_the_copies_inside_the_recordings(recordings: Path) -> None:
    for _ in range(2):
        out = recordings / "copies"
        assert run("augment", "--augment", "gain", "--copies", 1, recordings, out).exit_code == 0
        assert len(listed(out)) == 4


def test_paths_with_dots_and_relative_paths_are_one_place(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recordings / "mia")
    assert run("augment", "--augment", "gain", "--copies", 1, "../tom", "one.wav", "../../out").exit_code == 0
    names = ["tom/one_aug1.wav", "tom/one-2_aug1.wav", "mia/one_aug1.wav"]
    assert [row["file"] for row in listed(tmp_path / "out")] == names
    assert all((tmp_path / "out" / name).is_file() for name in names)


def test_a_write_that_fails_leaves_no_draft(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(draft: Path, *_: Any, **__: Any) -> None:
        draft.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    result = run("augment", "--augment", "gain", recordings, tmp_path / "out")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_augment_files_gives_paths_or_the_error_of_each_file(recordings: Path, tmp_path: Path) -> None:
    files = [recordings / "mia" / "one.wav", recordings / "none.wav"]
    good, bad = augment_files(files, [tmp_path / "x" / "a", tmp_path / "x" / "b"], "gain", n=2)
    assert good == [tmp_path / "x" / "a_aug1.wav", tmp_path / "x" / "a_aug2.wav"]
    assert isinstance(bad, FeatkitError)
    assert "none.wav: there is no such file." in str(bad)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--augment", "noice", "recordings", "out"], "Did you mean 'noise'?"),
        (
            ["--augment", "gain", "none.wav", "out"],
            "None of 1 files can be used. The first: none.wav: there is no such",
        ),
        (
            ["--augment", "gain", "recordings/mia", "corpus.csv"],
            "corpus.csv: is a file; the last word names the folder",
        ),
        (["--augment", "gain", "recordings/mia", "recordings/mia"], "copies would lie among the recordings"),
        (["--augment", "gain", "recordings/mia/one.wav", "recordings/mia"], "copies would lie among the recordings"),
        (["--augment", "gain", "--data", "recordings", "recordings"], "copies would lie among the recordings"),
        (["--augment", "gain", "recordings", "mine"], "manifest.csv: is a manifest of something else"),
        (
            ["--augment", "gain", "--data", "f.parquet", "out"],
            "f.parquet holds features; copies are made of sound: name the corpus with the rec",
        ),
        (
            ["--augment", "gain", "copies", "copies/out"],
            "copies: holds no audio file besides the copies in copies/out.",
        ),
    ],
)
def test_a_problem_is_one_line_and_nothing_is_written(
    words: list[str], message: str, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("corpus.csv").write_text("file,label\nrecordings/mia/one.wav,a\nrecordings/tom/one.wav,b\n")
    Path("mine").mkdir()
    Path("mine/manifest.csv").write_text("file,label\na.wav,anger\n")
    Path("copies/out").mkdir(parents=True)
    write_wav(Path("copies/out/old_aug1.wav"), tone())
    assert run("extract", "--data", "corpus.csv", "-o", "f.parquet").exit_code == 0
    before = sorted(tmp_path.rglob("*"))
    result = run("augment", *words)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", [[], ["a.wav"], ["--data", "x.csv", "a.wav", "out"], ["--copies", "0", "a.wav", "o"]])
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    result = run("augment", *words)
    assert result.exit_code == 2
    assert "Usage: featkit augment" in result.stderr


def test_the_command_has_help_with_an_example() -> None:
    result = run("augment", "--help")
    assert result.exit_code == 0
    assert "featkit augment recordings/ copies/" in result.output.split("\n", 2)[2]


@pytest.mark.skipif(os.name == "nt", reason="a file name of Windows is not case-sensitive")
def test_names_that_differ_in_case_alone_do_not_collide_elsewhere(recordings: Path, tmp_path: Path) -> None:
    write_wav(recordings / "mia" / "ONE.wav", tone())
    assert run("augment", "--augment", "gain", "--copies", 1, recordings / "mia", tmp_path / "out").exit_code == 0
    names = [row["file"].casefold() for row in listed(tmp_path / "out")]
    assert len(set(names)) == len(names) == 3
