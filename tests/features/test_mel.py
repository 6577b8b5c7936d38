"""mfcc39 and logmel against librosa, over their parameters."""

import librosa
import numpy as np
import pytest

from featkit.errors import FeatureError
from featkit.features.logmel import LogMel
from featkit.features.mfcc import MFCC39

TOLERANCE = 1e-3
"""Largest absolute difference, dB or coefficients of up to several hundred. librosa's DFT runs in float64, ours in
float32: that costs most in bands 80 dB below the loudest of their frame."""


def tolerance_of(e):
    """Longer frames and narrower bands lose more, and liftering multiplies coefficients by up to 1 + lifter / 2."""
    return TOLERANCE * (1 if e.n_fft <= 401 else 3) * (3 if getattr(e, "lifter", 0) else 1)


def librosa_logmel(wave, e):
    """(time, n_mels)."""
    mel = librosa.feature.melspectrogram(
        y=wave,
        sr=16_000,
        n_fft=e.n_fft,
        hop_length=e.hop_length,
        win_length=e.win_length,
        window=e.window,
        center=e.center,
        pad_mode=e.pad_mode,
        power=e.power,
        n_mels=e.n_mels,
        fmin=e.fmin,
        fmax=e.fmax,
        htk=e.htk,
        norm=e.mel_norm,
    )
    ref = np.max if e.ref == "max" else e.ref
    return librosa.power_to_db(mel, ref=ref, amin=e.amin, top_db=e.top_db).T


def librosa_mfcc(wave, e):
    """(time, (1 + deltas) * n_mfcc)."""
    mfcc = librosa.feature.mfcc(S=librosa_logmel(wave, e).T, n_mfcc=e.n_mfcc, lifter=e.lifter)
    deltas = [
        librosa.feature.delta(mfcc, width=e.delta_width, order=order, mode=e.delta_mode)
        for order in range(1, e.deltas + 1)
    ]
    return np.concatenate([mfcc, *deltas]).T


def assert_equal_to_librosa(extractor, waves):
    reference = librosa_mfcc if isinstance(extractor, MFCC39) else librosa_logmel
    for wave in waves:
        ours, theirs = extractor.frames(wave), reference(wave, extractor)
        assert ours.dtype == np.float32
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= tolerance_of(extractor)


SPECTRUM = [
    {},
    {"n_mels": 26},
    {"n_mels": 64, "n_fft": 512},
    {"n_fft": 512},
    {"n_fft": 1024, "n_mels": 128},
    {"n_fft": 401},  # prime
    {"n_fft": 399},  # odd, 21 * 19
    {"n_fft": 512, "win_length": 400},
    {"n_fft": 512, "win_length": 401, "window": "hamming"},
    {"n_fft": 1024, "win_length": 25, "n_mels": 20},
    {"hop_length": 200},
    {"hop_length": 128},
    {"hop_length": 128, "n_fft": 512},
    {"hop_length": 161},
    {"hop_length": 500},  # gaps between frames
    {"window": "hamming"},
    {"window": "blackman"},
    {"window": "boxcar"},
    {"center": False},
    {"center": False, "n_fft": 512, "hop_length": 200},
    {"pad_mode": "reflect"},
    {"pad_mode": "reflect", "n_fft": 401, "hop_length": 128},
    {"power": 1.0},
    {"power": 1.0, "n_fft": 512, "hop_length": 128},
    {"fmin": 50.0, "fmax": 7_000.0},
    {"fmax": 4_000.0, "n_mels": 26},
    {"htk": True, "n_mels": 26},
    {"htk": True, "mel_norm": None, "n_mels": 26},
    {"mel_norm": None},
    {"ref": "max"},
    {"ref": "max", "top_db": None},
    {"ref": 0.02},
    {"ref": 1e-12},  # below amin, which then is the reference
    {"amin": 1e-5},
    {"top_db": None},
    {"top_db": 40.0},
    {"top_db": 0.0},
]
CEPSTRUM = [
    {"n_mfcc": 20},
    {"n_mfcc": 40},
    {"n_mfcc": 1},
    {"lifter": 22},
    {"lifter": 22, "n_mfcc": 20, "htk": True, "window": "hamming", "n_mels": 26},
    {"deltas": 0},
    {"deltas": 1},
    {"delta_width": 5},
    {"delta_width": 3},
    {"delta_width": 15},
    {"delta_mode": "nearest"},
    {"delta_mode": "nearest", "delta_width": 5, "deltas": 1},
]


def name_of(settings):
    return ",".join(f"{key}={value}" for key, value in settings.items()) or "defaults"


@pytest.mark.parametrize("settings", SPECTRUM + CEPSTRUM, ids=name_of)
def test_mfcc39_is_librosas(settings, waves):
    assert_equal_to_librosa(MFCC39(**settings), waves[:3])


@pytest.mark.parametrize("settings", SPECTRUM, ids=name_of)
def test_logmel_is_librosas(settings, waves):
    settings = {"n_mels": 40, **settings}
    assert_equal_to_librosa(LogMel(**settings), waves[:2])


def test_the_defaults_are_librosas_on_every_clip(waves):
    assert_equal_to_librosa(MFCC39(), waves)
    assert_equal_to_librosa(LogMel(), waves)


def test_the_table_of_parameters_is_right_about_librosa(waves):
    """The words of the docstring: librosa called with its own parameter names from the wave on."""
    wave = waves[0]
    theirs = librosa.feature.mfcc(y=wave, sr=16_000, n_mfcc=13, n_mels=40, n_fft=400, hop_length=160)
    assert np.abs(MFCC39(deltas=0).frames(wave) - theirs.T).max() <= TOLERANCE
    as_librosa = MFCC39(n_mfcc=20, n_mels=128, n_fft=2048, hop_length=512, deltas=0)
    theirs = librosa.feature.mfcc(y=wave, sr=16_000)
    assert np.abs(as_librosa.frames(wave) - theirs.T).max() <= tolerance_of(as_librosa)


@pytest.mark.parametrize(("center", "frames"), [(True, 301), (False, 298)])
@pytest.mark.parametrize("kind", [MFCC39, LogMel])
def test_three_seconds_are_301_frames_centred_and_298_not(kind, center, frames):
    assert len(kind(center=center).frames(np.ones(48_000, dtype=np.float32))) == frames


@pytest.mark.parametrize("n_samples", [400, 559, 560, 561, 1_679, 1_680, 1_681])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
def test_every_length_gives_librosas_number_of_frames(n_samples, center, pad_mode, synthetic_waves):
    wave = synthetic_waves[0][8_000 : 8_000 + n_samples]
    assert_equal_to_librosa(LogMel(n_mels=40, center=center, pad_mode=pad_mode), [wave])


@pytest.mark.parametrize("n_samples", [400, 800, 1_200])
@pytest.mark.parametrize("delta_width", [9, 15])
def test_a_clip_with_fewer_frames_than_delta_width_repeats_its_last_frame(n_samples, delta_width, synthetic_waves):
    extractor = MFCC39(delta_width=delta_width)
    frames = extractor.frames(synthetic_waves[0][8_000 : 8_000 + n_samples])
    time = 1 + n_samples // 160
    mfcc = frames[:, :13].T
    longer = np.pad(mfcc, ((0, 0), (0, delta_width - time)), mode="edge")
    for order in (1, 2):
        theirs = librosa.feature.delta(longer, width=delta_width, order=order)[:, :time]
        assert np.abs(frames[:, 13 * order : 13 * (order + 1)].T - theirs).max() <= TOLERANCE


@pytest.mark.parametrize("kind", [MFCC39, LogMel])
@pytest.mark.parametrize("settings", [{}, {"center": False}, {"pad_mode": "reflect"}])
def test_one_sample_is_padded_to_a_frame(kind, settings):
    frames = kind(**settings).extract(np.ones(1, dtype=np.float32), "frames", pad_short=True)
    assert len(frames) == (1 if settings.get("center") is False else 3)
    assert np.isfinite(frames).all()


def test_the_graph_pads_a_short_clip_as_extract_does():
    """An exported model runs the graph without `extract`."""
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 100).astype(np.float32)
    for settings in ({}, {"center": False}, {"pad_mode": "reflect"}):
        extractor = MFCC39(**settings)
        np.testing.assert_array_equal(extractor.frames(wave), extractor.extract(wave, "frames", pad_short=True))


@pytest.mark.parametrize("kind", [MFCC39, LogMel])
@pytest.mark.parametrize("settings", [{}, {"ref": "max"}, {"top_db": None}])
def test_silence_gives_finite_numbers(kind, settings):
    silence = np.zeros(16_000, dtype=np.float32)
    assert np.isfinite(kind(**settings).frames(silence)).all()
    assert np.isfinite(kind(**settings).functionals(silence)).all()


def test_loud_and_quiet_clips_stay_equal_to_librosa(synthetic_waves):
    wave = synthetic_waves[0]
    assert_equal_to_librosa(MFCC39(), [wave * np.float32(1e-4), wave * np.float32(30)])


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"hop_length": 0}, "mfcc39 needs hop_length >= 1, n_mels >= 1 and 2 <= win_length <= n_fft; they are 0, 40,"),
        ({"n_mels": 0}, "they are 160, 0, 400, 400"),
        ({"win_length": 401}, "they are 160, 40, 401, 400"),
        ({"win_length": 0}, "they are 160, 40, 0, 400"),
        ({"n_fft": 1}, "they are 160, 40, 1, 1"),
        ({"pad_mode": "edge"}, r"pad_mode must be one of \('constant', 'reflect'\); it is 'edge'"),
        ({"mel_norm": 2}, r"mel_norm must be one of \('slaney', None\); it is 2"),
        ({"power": 3}, r"power must be 1 \(magnitude\) or 2 \(energy\); it is 3"),
        ({"ref": "mean"}, "ref must be a power or 'max'; it is 'mean'"),
        ({"amin": 0}, "amin must be positive and top_db not negative; they are 0, 80.0"),
        ({"top_db": -1}, "amin must be positive and top_db not negative; they are 1e-10, -1"),
        ({"window": "kaiser"}, "window must be one of hann, hamming, blackman, boxcar; it is 'kaiser'"),
        ({"fmin": 4_000, "fmax": 300}, "Mel bands need 0 <= fmin < fmax <= 8000 Hz; they are 4000 and 300 Hz"),
        ({"fmax": 0.0}, "they are 0 and 0 Hz"),
        ({"fmax": 8_001}, "they are 0 and 8001 Hz"),
        ({"n_mels": 128}, "of 128 mel bands hold no DFT bin at n_fft=400; lower n_mels or raise n_fft"),
        ({"n_mfcc": 41}, "n_mfcc must lie between 1 and n_mels=40; it is 41"),
        ({"n_mfcc": 0}, "n_mfcc must lie between 1 and n_mels=40; it is 0"),
        ({"lifter": -1}, r"lifter must be 0 \(none\) or positive; it is -1"),
        ({"deltas": 3}, "deltas must be 0, 1 or 2; it is 3"),
        ({"delta_width": 4}, "delta_width must be odd and at least 3; it is 4"),
        ({"delta_width": 1}, "delta_width must be odd and at least 3; it is 1"),
        ({"delta_mode": "mirror"}, "delta_mode must be 'interp' or 'nearest'; it is 'mirror'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, why):
    with pytest.raises(FeatureError, match=why):
        MFCC39(**settings).frames(np.ones(16_000, dtype=np.float32))
