"""Files that nobody vouches for, each with the one answer that is right: refused, accepted, or accepted with flags."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

RATE = 16_000
LEVEL = 0.4
"""Amplitude of the tone in `sound`."""

Samples = npt.NDArray[np.float64]
Maker = Callable[[Path], Path | str]
"""Writes a file into a folder of its own."""


@dataclass(frozen=True)
class Kind:
    """One kind of file: how it is made, and what the door must say."""

    name: str
    make: Maker
    refused: str = ""
    """Regular expression of the message; "" where the file must be accepted."""
    code: str = "unusable"
    flags: tuple[str, ...] = ()
    """The words that must be told, and no others."""
    hz: float | None = 1000.0
    """The tone that must come out; None where nothing is known of the wave."""
    level: float = LEVEL
    tolerance: float = 0.02
    """Of the level. Telephone codecs and lossy ones need more."""
    error: float | None = None
    """Of any sample against `sound`, where the codec loses nothing but steps of its size."""
    seconds: float | None = 1.0
    slack: float = 0.001
    """Seconds that may lack or be too many: encoders pad."""


def sound(rate: int = RATE, seconds: float = 1.0, hz: float = 1000.0, level: float = LEVEL) -> Samples:
    """A tone with noise in all bands 27 dB below it, as a stand-in for speech. (n,)"""
    t = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(0).standard_normal(t.size)
    return level * (np.sin(2 * np.pi * hz * t) + 0.03 * noise)


def written(name: str, samples: Samples | None = None, rate: int = RATE, **how: str) -> Callable[[Path], Path]:
    """A maker that writes samples with soundfile. Without samples `sound`."""

    def make(folder: Path) -> Path:
        path = folder / name
        soundfile.write(path, sound(rate) if samples is None else samples, rate, **how)
        return path

    return make


def content(name: str, data: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    """A maker that writes bytes."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data if isinstance(data, bytes) else data())
        return path

    return make


def encoded(samples: Samples | None = None, rate: int = RATE, **how: str) -> bytes:
    """What soundfile writes, as bytes."""
    file = io.BytesIO()
    soundfile.write(file, sound(rate) if samples is None else samples, rate, **how)
    return file.getvalue()


def wav(
    samples: Samples | None = None, *, rate: int = RATE, claims: int | None = None, channels: int = 1, bits: int = 16,
    codec: int = 1, align: int | None = None, riff: int | None = None,
) -> bytes:  # fmt: skip
    """A wav of 16-bit samples whose header says whatever it is told to say."""
    data = np.round((sound() if samples is None else samples) * 32767).astype("<i2").tobytes()
    size = len(data) if claims is None else claims
    block = channels * bits // 8 if align is None else align
    form = struct.pack("<HHIIHH", codec, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits)
    whole = min(size + 36, 0xFFFFFFFF) if riff is None else riff
    head = struct.pack("<4sI4s4sI", b"RIFF", whole, b"WAVE", b"fmt ", 16) + form + struct.pack("<4sI", b"data", size)
    return head + data


def named(container: str) -> str:
    """The usual name of a file in this container."""
    suffix = {"WAVEX": "wav", "RF64": "wav", "SVX": "iff", "IRCAM": "sf", "MAT4": "mat", "MAT5": "mat"}
    return f"clip.{suffix.get(container, container.lower())}"


def zeros(seconds: float) -> Samples:
    """Digital silence. (n,)"""
    return np.zeros(round(RATE * seconds))
