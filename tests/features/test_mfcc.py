"""``mfcc39`` and ``logmel`` equal librosa with the same settings.

librosa's DFT runs in float64, ours in float32: the faintest band of a clip, 80 dB below the loudest, carries the
rounding of the loudest.
"""

from typing import Any

import librosa
import numpy as np
import pytest

from featkit.audio import Wave
from featkit.errors import FeatureError
from featkit.features.logmel import LogMel
from featkit.features.mel import MelExtractor
from featkit.features.mfcc import MFCC39

TOLERANCE = 1e-3
"""Absolute, on cepstra of up to several hundred. Seen on 80 real clips: 4e-4 at
most. The same in decibels on mel bands, where 2e-5 is seen."""


def librosa_logmel(wave: Wave, x: MelExtractor) -> np.ndarray:
    """(n_mels, time) by librosa, with the settings of ``x``."""
    mel = librosa.feature.melspectrogram(
        y=wave, sr=16_000, n_fft=x.n_fft, win_length=x.win_length, hop_length=x.hop_length, window=x.window,
        center=x.center, pad_mode=x.pad_mode, power=x.power, n_mels=x.n_mels, fmin=x.fmin, fmax=x.fmax, htk=x.htk,
        norm=x.mel_norm,
    )  # fmt: skip
    return librosa.power_to_db(mel, ref=np.max if x.ref == "max" else x.ref, amin=x.amin, top_db=x.top_db)


def librosa_mfcc(wave: Wave, x: MFCC39) -> np.ndarray:
    """(time, dims) by librosa, with the settings of ``x``."""
    mfcc = librosa.feature.mfcc(S=librosa_logmel(wave, x), n_mfcc=x.n_mfcc, lifter=x.lifter)
    orders = range(1, x.deltas + 1)
    deltas = [librosa.feature.delta(mfcc, width=x.delta_width, order=order, mode=x.delta_mode) for order in orders]
    return np.concatenate([mfcc, *deltas]).T


def assert_equal(ours: np.ndarray, theirs: np.ndarray, tolerance: float = TOLERANCE) -> None:
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance


def assert_is_librosas(extractor: MelExtractor, waves: list[Wave]) -> None:
    for wave in waves:
        if extractor.power == 1 and not wave.all():
            continue  # 80 dB of magnitude reach below what float32 rounds off where there is digital silence
        if isinstance(extractor, MFCC39):
            # The lifter multiplies the coefficients, and their rounding, by up to 1 + lifter / 2.
            tolerance = TOLERANCE * (5 if extractor.lifter else 1)
            assert_equal(extractor.frames(wave), librosa_mfcc(wave, extractor), tolerance)
        else:
            assert_equal(extractor.frames(wave), librosa_logmel(wave, extractor).T)


MEL_SETTINGS: list[dict[str, Any]] = [
    {},
    {"n_fft": 512},
    {"n_fft": 1024, "n_mels": 64},
    {"n_fft": 401},  # prime
    {"n_fft": 399, "n_mels": 23},  # odd, 21 * 19
    {"n_fft": 450, "hop_length": 150},
    {"n_fft": 512, "win_length": 400},
    {"n_fft": 512, "win_length": 401, "window": "hamming"},
    {"n_fft": 1024, "win_length": 25, "n_mels": 20},
    {"hop_length": 200},
    {"hop_length": 128},
    {"hop_length": 161},
    {"hop_length": 500},  # gaps between frames
    {"window": "hamming"},
    {"window": "blackman"},
    {"window": "boxcar"},
    {"center": False},
    {"center": False, "n_fft": 512, "hop_length": 128},
    {"pad_mode": "reflect"},
    {"pad_mode": "reflect", "n_fft": 401},
    {"power": 1.0},
    {"power": 1.0, "n_fft": 512, "hop_length": 128},
    {"fmin": 64.0, "fmax": 7600.0},
    {"fmax": 4000.0, "n_mels": 26},
    {"htk": True},
    {"mel_norm": None},
    {"htk": True, "mel_norm": None, "window": "hamming", "center": False},
    {"ref": "max"},
    {"ref": 0.5},
    {"ref": 1e-12},  # below amin, which then is the reference
    {"amin": 1e-5},
    {"top_db": None},
    {"top_db": 40.0},
    {"top_db": 0.0},
    {"ref": "max", "top_db": 30.0},
]
MFCC_SETTINGS: list[dict[str, Any]] = [
    {"n_mfcc": 20},
    {"n_mfcc": 40},
    {"n_mfcc": 1},
    {"n_mfcc": 13, "n_mels": 26, "htk": True},
    {"lifter": 22},
    {"delta_width": 5},
    {"delta_width": 21, "deltas": 1},
    {"delta_mode": "nearest"},
    {"delta_mode": "nearest", "delta_width": 3},
    {"deltas": 0},
    {"deltas": 1},
    {"n_mfcc": 20, "n_fft": 1024, "win_length": 400, "hop_length": 200, "lifter": 22, "deltas": 1, "delta_width": 5},
]


def name(settings: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in settings.items()) or "defaults"


@pytest.mark.parametrize("settings", MEL_SETTINGS, ids=name)
def test_logmel_is_librosas(settings: dict[str, Any], synthetic_waves: list[Wave]) -> None:
    assert_is_librosas(LogMel(**{"n_mels": 40, **settings}), synthetic_waves)


@pytest.mark.parametrize("settings", [{}, *MFCC_SETTINGS], ids=name)
def test_mfcc39_is_librosas(settings: dict[str, Any], synthetic_waves: list[Wave]) -> None:
    assert_is_librosas(MFCC39(**settings), synthetic_waves)


@pytest.mark.parametrize("settings", MEL_SETTINGS + MFCC_SETTINGS, ids=name)
def test_mfcc39_is_librosas_on_real_speech(settings: dict[str, Any], real_waves: list[Wave]) -> None:
    assert_is_librosas(MFCC39(**settings), real_waves[:1])


def test_the_defaults_are_librosas_on_more_real_speech(real_waves: list[Wave]) -> None:
    for extractor in (MFCC39(), MFCC39(n_mfcc=20, n_fft=512), LogMel(), LogMel(power=1.0)):
        assert_is_librosas(extractor, real_waves)


@pytest.mark.parametrize("gain", [1e-4, 30])
def test_quiet_and_loud_clips_stay_librosas(gain: float, wave: Wave) -> None:
    assert_is_librosas(MFCC39(), [wave * np.float32(gain)])


def test_the_docstring_s_column_of_librosa_s_defaults_is_right(wave: Wave) -> None:
    ours = MFCC39(n_mfcc=20, n_mels=128, n_fft=2048, hop_length=512, deltas=0).frames(wave)
    assert_equal(ours, librosa.feature.mfcc(y=wave, sr=16_000).T)
    ours = LogMel(n_mels=128, n_fft=2048, hop_length=512).frames(wave)
    assert_equal(ours, librosa.power_to_db(librosa.feature.melspectrogram(y=wave, sr=16_000)).T)


@pytest.mark.parametrize("n_samples", [400, 559, 560, 561, 1679, 1680, 1681])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_every_length_gives_librosas_frames(n_samples: int, center: bool, pad_mode: Any, wave: Wave) -> None:
    assert_is_librosas(LogMel(n_mels=40, center=center, pad_mode=pad_mode), [wave[2000 : 2000 + n_samples]])


def test_the_second_column_block_is_librosa_s_first_delta(wave: Wave) -> None:
    """Said once in librosa's own words, without the helpers above."""
    mfcc = librosa.feature.mfcc(y=wave, sr=16_000, n_mfcc=13, n_mels=40, n_fft=400, hop_length=160)
    frames = MFCC39().frames(wave)
    assert_equal(frames[:, :13], mfcc.T)
    assert_equal(frames[:, 13:26], librosa.feature.delta(mfcc).T)
    assert_equal(frames[:, 26:], librosa.feature.delta(mfcc, order=2).T)


@pytest.mark.parametrize(("center", "frames"), [(True, 301), (False, 298)])
def test_three_seconds_have_301_centred_frames_and_298_others(center: bool, frames: int) -> None:
    three_seconds = np.ones(48_000, dtype=np.float32)
    assert MFCC39(center=center).frames(three_seconds).shape == (frames, 39)
    assert LogMel(center=center).frames(three_seconds).shape == (frames, 64)


@pytest.mark.parametrize("seconds", [0.025, 0.05, 0.0651, 0.08, 0.09])
@pytest.mark.parametrize("center", [True, False])
def test_a_clip_of_fewer_frames_than_the_delta_repeats_its_last(seconds: float, center: bool, wave: Wave) -> None:
    clip = wave[2000 : 2000 + round(16_000 * seconds)]
    mfcc = MFCC39(deltas=0, center=center).frames(clip).T
    padded = np.pad(mfcc, ((0, 0), (0, max(0, 9 - mfcc.shape[1]))), mode="edge")
    deltas = [librosa.feature.delta(padded, order=order)[:, : mfcc.shape[1]] for order in (1, 2)]
    assert_equal(MFCC39(center=center).frames(clip), np.concatenate([mfcc, *deltas]).T)


@pytest.mark.parametrize("extractor", [MFCC39(), LogMel(), MFCC39(pad_mode="reflect"), LogMel(center=False)])
@pytest.mark.parametrize("n_samples", [1, 2, 399])
def test_less_than_a_frame_is_padded_to_one_when_asked(extractor: MelExtractor, n_samples: int) -> None:
    clip = np.full(n_samples, 0.5, dtype=np.float32)
    whole = np.pad(clip, (0, 400 - n_samples))
    for view in ("frames", "functionals"):
        padded = extractor.extract(clip, view, pad_short=True)
        assert np.isfinite(padded).all()
        assert np.array_equal(padded, extractor.extract(whole, view))
        with pytest.raises(ValueError, match=f"x: has {n_samples} samples .* need at least 400"):
            extractor.extract(clip, view, where="x")
    assert np.array_equal(extractor.frames(clip), extractor.frames(whole))


@pytest.mark.parametrize("extractor", [MFCC39(), LogMel(), LogMel(ref="max"), LogMel(top_db=None, power=1.0)])
def test_digital_silence_gives_finite_numbers(extractor: MelExtractor) -> None:
    silence = np.zeros(16_000, dtype=np.float32)
    frames = extractor.frames(silence)
    assert np.isfinite(frames).all()
    assert np.ptp(frames, axis=0).max() < 1e-4
    assert np.isfinite(extractor.functionals(silence)).all()


# Names and settings


@pytest.mark.parametrize(
    "extractor", [MFCC39(), MFCC39(n_mfcc=20, deltas=1), MFCC39(deltas=0), LogMel(), LogMel(n_mels=23)]
)
def test_every_column_has_its_own_name(extractor: MelExtractor, wave: Wave) -> None:
    for view in ("frames", "functionals"):
        names = extractor.names(view)
        assert len(names) == extractor.extract(wave, view).shape[-1]
        assert len(set(names)) == len(names)


def test_names_tell_what_a_column_is() -> None:
    names = MFCC39().names("frames")
    assert [names[0], names[13], names[38]] == ["mfcc_1", "delta_1", "delta2_13"]
    names = LogMel().names("functionals")
    assert [names[0], names[64], names[-1]] == ["logmel_1_mean", "logmel_1_std", "logmel_64_absdelta"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_mfcc": 41}, "n_mfcc must lie between 1 and n_mels=40; it is 41"),
        ({"n_mfcc": 0}, "n_mfcc must lie between"),
        ({"lifter": -1}, "lifter must be"),
        ({"deltas": 3}, "deltas must be 0, 1 or 2; it is 3"),
        ({"deltas": -1}, "deltas must be 0, 1 or 2; it is -1"),
        ({"delta_width": 8}, "delta_width must be odd and at least 3; it is 8"),
        ({"delta_mode": "mirror"}, "delta_mode must be 'interp' or 'nearest'; it is 'mirror'"),
        ({"n_mels": 300_000}, "mfcc39 takes n_fft and hop_length up to 16384 and n_mels up to 1024"),
        ({"n_fft": 1 << 20}, "mfcc39 takes n_fft and hop_length up to 16384"),
        ({"n_fft": 1}, "mfcc39 needs hop_length >= 1, n_mels >= 1 and 2 <= win_length <= n_fft"),
        ({"hop_length": 0}, "they are 0, 40, 400, 400"),
        ({"win_length": 401}, "they are 160, 40, 401, 400"),
        ({"win_length": 0}, "they are 160, 40, 0, 400"),
        ({"n_mels": 0}, "they are 160, 0, 400, 400"),
        ({"n_mels": 200}, "of 200 mel bands hold no DFT bin"),
        ({"pad_mode": "edge"}, "pad_mode must be 'constant' or 'reflect'; it is 'edge'"),
        ({"mel_norm": "area"}, "mel_norm must be 'slaney' or None; it is 'area'"),
        ({"power": 3}, r"power must be 1 \(magnitude\) or 2 \(energy\); it is 3"),
        ({"window": "kaiser"}, "window must be one of hann"),
        ({"fmax": 0.0}, "Mel bands need .* they are 0 and 0 Hz"),
        ({"fmax": 9000.0}, "Mel bands need .* they are 0 and 9000 Hz"),
        ({"ref": "mean"}, "ref must be .*'max'; it is 'mean'"),
        ({"amin": 0.0}, "amin must be positive and top_db not negative"),
        ({"top_db": -1.0}, "amin must be positive and top_db not negative"),
        ({"n_fft": 400.5}, "n_fft must be"),
        ({"n_mels": "40"}, "n_mels must be"),
        ({"center": "false"}, "center must be"),
        ({"fmin": "low"}, "fmin must be"),
    ],
    ids=lambda value: name(value) if isinstance(value, dict) else "",
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str, wave: Wave) -> None:
    extractor = MFCC39(**settings)
    with pytest.raises(FeatureError, match=message):
        extractor.frames(wave)
