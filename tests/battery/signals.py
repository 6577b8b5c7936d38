"""Files that store well what is no good recording."""

from __future__ import annotations

import numpy as np
import soxr
from battery.kinds import RATE, Kind, Samples, sound, written, zeros

_tone = sound()
_long = sound(seconds=3)


def _stored(name: str, samples: Samples, *flags: str, **more: object) -> Kind:
    seconds = samples.shape[0] / RATE
    make = written("clip.wav", samples, subtype="DOUBLE")
    return Kind(name, make, flags=flags, seconds=seconds, **{"hz": None, **more})  # type: ignore[arg-type]


def _refused(name: str, samples: Samples, message: str, subtype: str = "DOUBLE") -> Kind:
    return Kind(name, written("clip.wav", samples, subtype=subtype), message)


def _full(samples: Samples) -> Samples:
    return np.clip(5 * samples, -1, 1)


def _with(places: slice, value: float) -> Samples:
    samples = _long.copy()
    samples[places] = value
    return samples


def _lost(every: int, length: int) -> Samples:
    """Packets of ``length`` samples lost in the middle of sound."""
    samples = _long.copy()
    for start in range(4000, samples.size - 4000, every):
        samples[start : start + length] = 0
    return samples


def _narrow(rate: int) -> Samples:
    return np.asarray(soxr.resample(sound(rate, seconds=3), rate, RATE))


_fading = _tone * np.linspace(0, 1, RATE) ** 2
_two = np.stack([_tone, np.full(RATE, np.nan)], 1)
_finite = "samples (is|are) not finite"
KINDS = [
    _refused("no-samples", np.empty(0), "holds 0 samples"),
    _stored("one-sample", np.array([0.5]), "short", "dc"),
    _stored("10-ms", _tone[:160], "short"),
    _stored("25-ms", _tone[:400], "short"),
    _stored("59-ms", _tone[:944], "short"),
    _stored("99-ms", _tone[:1584], "short"),
    _stored("100-ms", _tone[:1600]),
    _refused("all-zero", zeros(1), r"all 16000 samples are zero \(digital silence\)"),
    _refused("all-zero-16-bits", zeros(1), "all 16000 samples are zero", "PCM_16"),
    _stored("one-click-in-silence", np.where(np.arange(RATE) == 8000, 0.5, 0), "silent"),
    _stored("silence-with-hiss", 1e-4 * np.random.default_rng(0).standard_normal(RATE), "quiet"),
    _stored("one-step-of-16-bits", np.sign(_tone) / 32768, "quiet"),
    _stored("one-bit-of-24", np.sign(_tone) / 2**23, "quiet", "silent"),
    _stored("60-db-down", _tone / 1000, "quiet", hz=1000, level=4e-4),
    _stored("silent-start-of-2-s", np.append(zeros(2), _tone), "silent"),
    _stored("silent-end-of-2-s", np.append(_tone, zeros(2)), "silent"),
    _stored("half-silent", np.append(_tone, zeros(1.2)), "silent"),
    _stored("a-second-of-padding", np.append(_long, zeros(1))),
    _stored("pause-with-silence", np.concatenate([_fading[::-1], zeros(0.5), _fading])),
    _stored("constant", np.full(RATE, 0.3), "dc", "narrow"),
    _stored("constant-full-scale", np.full(RATE, 1.0), "dc", "clipped", "narrow"),
    _stored("constant-offset", _long + 0.2, "dc", hz=1000),
    _stored("clipped", _full(_long), "clipped"),
    _stored("clipped-a-little", np.clip(np.where(np.arange(_long.size) % RATE < 900, 4, 1) * _long, -1, 1), "clipped"),
    Kind("clipped-at-44-khz", written("clip.wav", _full(sound(44_100)), 44_100), flags=("clipped",), hz=None),
    Kind("clipped-16-bits", written("clip.wav", _full(_tone), subtype="PCM_16"), flags=("clipped",), hz=None),
    _stored("square", np.sign(np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)), "clipped"),
    _stored("20-db-over", 25 * _long, "loud", hz=1000, level=10),
    _stored("lost-packets", _lost(8000, 320), "dropout"),
    _stored("one-lost-packet", _with(slice(20_000, 20_160), 0), "dropout"),
    _stored("8-khz-in-a-16-khz-file", _narrow(8000), "narrow", hz=1000),
    _stored("6-khz-in-a-16-khz-file", _narrow(6000), "narrow", hz=1000),
    _stored("pure-tone", 0.4 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE), "narrow"),
    _refused("one-nan", _with(slice(5, 6), np.nan), f"1 of 48000 {_finite}"),
    _refused("all-nan", _with(slice(None), np.nan), f"48000 of 48000 {_finite}"),
    _refused("inf", _with(slice(7, 9), np.inf), f"2 of 48000 {_finite}"),
    _refused("minus-inf", _with(slice(7, 9), -np.inf), f"2 of 48000 {_finite}"),
    _refused("beyond-float32", _with(slice(7, 8), 1e300), f"1 of 48000 {_finite}"),
    Kind("nan-at-44-khz", written("clip.wav", np.full(44_100, np.nan), 44_100, subtype="FLOAT"), _finite),
    Kind("nan-in-one-channel", written("clip.wav", _two, subtype="FLOAT"), _finite),
    _refused("integers-as-floats", 20_000 * _tone, r"samples reach [\d.]+, a wave −1 to 1; scale integers"),
    _refused("denormal", np.full(RATE, 1e-320), "all 16000 samples are zero"),
]  # fmt: skip
