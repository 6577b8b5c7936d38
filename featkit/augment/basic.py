"""Changes of the wave alone: noise, pitch, speed, level, place in time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from featkit import plugins
from featkit.audio import SAMPLE_RATE, Wave
from featkit.augment.transform import Rng, Transform, around

_PITCH_FFT = 1024  # samples, 64 ms: librosa's 2048 smears speech at 16 kHz


@dataclass(frozen=True)
class Noise(Transform):
    """White Gaussian noise at a random signal-to-noise ratio, uniform in ``snr`` ± ``spread``.

    The ratio is that of the mean powers over the whole clip, pauses included.

    Parameters
    ----------
    snr
        Centre of the ratio, dB.
    spread
        Half the width of its range, dB.

    Examples
    --------
    >>> wave = np.ones(16_000, dtype=np.float32)
    >>> noise = Noise(snr=20, spread=0)(wave, np.random.default_rng(0)) - wave
    >>> round(float(10 * np.log10(1 / np.mean(noise**2))), 1)
    20.0
    """

    snr: float = 20.0
    spread: float = 5.0
    name: ClassVar[str] = "noise"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range."""
        super().check()
        self._ratio()

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Add noise. (n,) -> (n,)."""
        snr = around(self.snr, self.spread, rng)
        return add(wave, rng.standard_normal(wave.size, dtype=np.float32), snr)


@dataclass(frozen=True)
class Pitch(Transform):
    """Another pitch at the same duration, uniform in ± ``cents``, by `librosa.effects.pitch_shift`.

    A phase vocoder stretches the clip (Laroche & Dolson, IEEE Trans. Speech Audio Process. 7(3), 1999) and resampling
    brings it back to its length, so the formants move with the pitch. Pitch tells emotions apart: keep the shift small.

    Parameters
    ----------
    cents
        Largest shift, hundredths of a semitone.

    Raises
    ------
    PluginError
        librosa is not installed; ``check`` says so.

    Examples
    --------
    >>> Pitch(cents=50).change(np.ones(16_000, dtype=np.float32), np.random.default_rng(0)).shape
    (16000,)
    """

    cents: float = 50.0
    name: ClassVar[str] = "pitch"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range, or if librosa is missing."""
        super().check()
        self._number("cents", 0, 1200, "cents")
        _pitch_shift()

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Shift the pitch. (n,) -> (n,)."""
        steps = around(0, self.cents, rng) / 100
        padded = np.pad(wave, (0, max(0, _PITCH_FFT - wave.size)))  # librosa warns of clips below one window
        shifted: Wave = _pitch_shift()(padded, sr=SAMPLE_RATE, n_steps=steps, n_fft=_PITCH_FFT)
        return shifted[: wave.size]


@dataclass(frozen=True)
class Speed(Transform):
    """Play faster or slower, by a factor uniform in ``factor``: duration, pitch and formants change together.

    Resampling, as Kaldi's speed perturbation does with the factors 0.9, 1 and 1.1 (Ko, Peddinti, Povey & Khudanpur,
    "Audio augmentation for speech recognition", Interspeech 2015). A factor of 1.1 raises the pitch by 165 cents.

    Parameters
    ----------
    factor
        Slowest and fastest; above 1 the clip becomes shorter and higher.

    Examples
    --------
    >>> Speed(factor=(1.25, 1.25)).change(np.ones(16_000, dtype=np.float32), np.random.default_rng(0)).shape
    (12800,)
    """

    factor: tuple[float, float] = (0.9, 1.1)
    name: ClassVar[str] = "speed"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range."""
        super().check()
        self._pair("factor", 0.5, 2)

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Resample. (n,) -> (n / factor,)."""
        import soxr

        faster: Wave = soxr.resample(wave, SAMPLE_RATE * rng.uniform(*self.factor), SAMPLE_RATE, quality="HQ")
        return faster


@dataclass(frozen=True)
class Gain(Transform):
    """Louder or softer, uniform in ± ``db``. Nothing is clipped: samples may exceed 1, as in float recordings.

    Parameters
    ----------
    db
        Largest change, dB.

    Examples
    --------
    >>> wave = np.ones(16_000, dtype=np.float32)
    >>> 0.5 < Gain(db=6).change(wave, np.random.default_rng(0)).max() < 2
    np.True_
    """

    db: float = 6.0
    name: ClassVar[str] = "gain"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range."""
        super().check()
        self._number("db", 0, 40, "dB")

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Scale. (n,) -> (n,)."""
        return wave * np.float32(10 ** (around(0, self.db, rng) / 20))


@dataclass(frozen=True)
class Shift(Transform):
    """Earlier or later, uniform in ± ``seconds``, by at most half the clip; silence moves in, the length stays.

    What moves beyond an end is lost.

    Parameters
    ----------
    seconds
        Largest shift, seconds.

    Examples
    --------
    >>> wave = np.ones(16_000, dtype=np.float32)
    >>> int((Shift(seconds=0.1).change(wave, np.random.default_rng(0)) == 0).sum()) <= 1600
    True
    """

    seconds: float = 0.1
    name: ClassVar[str] = "shift"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range."""
        super().check()
        self._number("seconds", 0, 10, "s")

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Move in time. (n,) -> (n,)."""
        most = min(round(self.seconds * SAMPLE_RATE), wave.size // 2)
        later = int(rng.integers(-most, most + 1))
        moved = np.roll(wave, later)
        moved[slice(None, later) if later >= 0 else slice(later, None)] = 0
        return moved


def power(samples: npt.NDArray[Any]) -> float:
    """Mean square, in 64 bits: the square of a faint sample is zero in 32."""
    return float(np.mean(np.square(samples, dtype=np.float64)))


def add(wave: Wave, noise: Wave, snr: float) -> Wave:
    """The wave with noise at ``snr`` dB below it. (n,), (n,) -> (n,)."""
    level = power(noise)
    if level == 0:
        return wave
    scale = math.sqrt(power(wave) / level) * 10 ** (-snr / 20)
    return (wave + scale * noise.astype(np.float64)).astype(np.float32)


def _pitch_shift() -> Any:
    try:
        from librosa.effects import pitch_shift
    except ModuleNotFoundError as error:
        raise plugins.missing(error, "transform 'pitch'") from None
    return pitch_shift
