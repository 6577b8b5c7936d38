"""Changes by what else is heard: the room, and recorded noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from featkit.audio import SAMPLE_RATE, Wave
from featkit.augment.basic import add, power
from featkit.augment.folder import Folder, check_audio, drawn
from featkit.augment.transform import Rng, Transform, around
from featkit.errors import DataError


@dataclass(frozen=True)
class Room(Transform):
    """Reverberation: the wave convolved with the impulse response of a room.

    From ``folder`` a measured response is drawn. Without one, a tail of white Gaussian noise that decays exponentially
    is drawn after the direct sound (Polack, "La transmission de l'énergie sonore dans les salles", thesis, Le Mans
    1988), which serves as well as measured ones where speech is recognised (Ko et al., "A study on data augmentation of
    reverberant speech for robust speech recognition", ICASSP 2017, for simulated rooms in general). The direct sound,
    which is the largest sample of a response, keeps its place in time; the clip keeps its length and RMS level.

    Parameters
    ----------
    folder
        Impulse responses, audio files at any rate; None for synthetic ones. The settings below are for these alone.
    rt60
        Shortest and longest reverberation time, seconds: the tail falls by 60 dB in that time.
    drr
        Centre of the direct-to-reverberant energy ratio, dB.
    spread
        Half the width of the range of that ratio, dB.

    Examples
    --------
    >>> click = np.zeros(16_000, dtype=np.float32)
    >>> click[4000] = 1
    >>> int(Room().change(click, np.random.default_rng(0)).argmax())
    4000
    """

    folder: Folder | None = None
    rt60: tuple[float, float] = (0.1, 0.5)
    drr: float = 5.0
    spread: float = 5.0
    name: ClassVar[str] = "room"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range, `DataError` or `AudioError` for the folder."""
        super().check()
        self._pair("rt60", 0.02, 10, "s")
        self._number("drr", -20, 60, "dB")
        self._number("spread", 0, 30, "dB")
        if self.folder is not None:
            check_audio(self.name, self.folder)

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Reverberate. (n,) -> (n,)."""
        from scipy.signal import fftconvolve

        response = self._synthetic(rng) if self.folder is None else drawn(self.name, self.folder, rng)
        delay = int(np.abs(response).argmax())
        wet = fftconvolve(wave.astype(np.float64), response[: delay + wave.size].astype(np.float64))
        wet = wet[delay : delay + wave.size]
        level = power(wet)
        return (wet * math.sqrt(power(wave) / level)).astype(np.float32) if level > 0 else wave

    def _synthetic(self, rng: Rng) -> Wave:
        """A direct sound of 1, then a tail. -> (rt60 * 16 000,)."""
        rt60 = rng.uniform(*self.rt60)
        time = np.arange(1, round(rt60 * SAMPLE_RATE)) / SAMPLE_RATE
        tail = rng.standard_normal(time.size) * 10 ** (-3 * time / rt60)  # −60 dB is an amplitude of 10**-3
        tail *= 10 ** (-around(self.drr, self.spread, rng) / 20) / np.linalg.norm(tail)
        return np.concatenate([[1.0], tail]).astype(np.float32)


@dataclass(frozen=True)
class Background(Transform):
    """Recorded noise at a random signal-to-noise ratio, uniform in ``snr`` ± ``spread``.

    So corpora of noise such as MUSAN are meant to be used (Snyder, Chen & Povey, arXiv:1510.08484, 2015). One file
    is drawn; a longer one is cropped at a random place, a shorter one looped from a random place. A crop of digital
    silence adds nothing. The ratio is that of the mean powers over the whole clip.

    Parameters
    ----------
    folder
        Recordings of noise, at any rate; best cut to minutes, because a file is decoded whole.
    snr
        Centre of the ratio, dB.
    spread
        Half the width of its range, dB.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import soundfile
    >>> from featkit.augment import find_augment
    >>> with TemporaryDirectory() as folder:
    ...     soundfile.write(Path(folder, "hum.wav"), np.sin(np.arange(8_000)), 16_000)
    ...     plan = find_augment(f"background:folder='{Path(folder).as_posix()}',snr=10")
    ...     plan(np.ones(16_000, dtype=np.float32), np.random.default_rng(0)).shape
    (16000,)
    """

    folder: Folder | None = None
    snr: float = 15.0
    spread: float = 5.0
    name: ClassVar[str] = "background"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range, `DataError` or `AudioError` for the folder."""
        super().check()
        self._ratio()
        check_audio(self.name, self._recordings())

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Add a recording. (n,) -> (n,)."""
        noise = drawn(self.name, self._recordings(), rng)
        spare = noise.size - wave.size
        start = int(rng.integers(spare + 1 if spare >= 0 else noise.size))
        piece = np.take(noise, np.arange(start, start + wave.size), mode="wrap")
        return add(wave, piece, around(self.snr, self.spread, rng))

    def _recordings(self) -> Folder:
        if self.folder is None:
            raise DataError("background: needs a folder of noise recordings; write background:folder='noise/'.")
        return self.folder
