"""A small corpus of files, and a way to put a trap into it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from featkit.audio import SAMPLE_RATE, Wave
from featkit.augment import find_augment
from featkit.corpus import Corpus


@dataclass
class Draft:
    """A corpus before its traps are closed: the tests add, change and leave out clips."""

    folder: Path
    clean: dict[tuple[str, str, str], Wave]
    files: list[str] = field(default_factory=list)
    cells: list[tuple[str, str, str]] = field(default_factory=list)
    """Label, speaker, sentence."""

    def add(
        self, name: str, wave: Wave, label: str, speaker: str, text: str = "x", rate: int = SAMPLE_RATE, **stored: str
    ) -> None:
        path = self.folder / name
        soundfile.write(path, wave, rate, **stored)
        self.files.append(str(path))
        self.cells.append((label, speaker, text))

    def fill(self, change: Callable[[Wave, str, int], Wave] = lambda wave, label, i: wave) -> Draft:
        for i, ((label, speaker, text), wave) in enumerate(self.clean.items()):
            self.add(f"{label}-{speaker}-{text}.wav", change(wave, label, i), label, speaker, text)
        return self

    def corpus(self) -> Corpus:
        labels, speakers, texts = (np.array(column) for column in zip(*self.cells, strict=True))
        return Corpus("draft", self.files, self.files, labels, speakers, texts)


def coded(wave: Wave, **stored: str) -> Wave:
    """Through a lossy file and back."""
    file = io.BytesIO()
    soundfile.write(file, wave, 16_000, **stored)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def noisy(wave: Wave, snr: float) -> Wave:
    noise = np.random.default_rng(1).standard_normal(wave.size)
    return (wave + noise * np.sqrt(np.mean(wave**2)) * 10 ** (-snr / 20)).astype(np.float32)


def through(rate: float, wave: Wave) -> Wave:
    return soxr.resample(soxr.resample(wave, 16_000, rate), rate, 16_000).astype(np.float32)


def played(speed: float, wave: Wave) -> Wave:
    return soxr.resample(wave, 16_000 * speed, 16_000).astype(np.float32)


CHANGED: dict[str, Callable[[Wave], Wave]] = {
    "trimmed": lambda w: w[3_200:-4_000],
    "a third cut off": lambda w: w[: 2 * w.size // 3],
    "late": lambda w: np.append(np.zeros(5_000, np.float32), w),
    "noise at 30 dB": lambda w: noisy(w, 30),
    "noise at 20 dB": lambda w: noisy(w, 20),
    "noise at 10 dB": lambda w: noisy(w, 10),
    "u-law": lambda w: coded(w, format="WAV", subtype="ULAW"),
    "8 bits": lambda w: coded(w, format="WAV", subtype="PCM_U8"),
    "softer by 20 dB": lambda w: w / 10,
    "upside down": lambda w: -w,
    "low-pass at 3.4 kHz": lambda w: through(6_800, w),
    "8 kHz and back": lambda w: through(8_000, w),
    "MP3": lambda w: coded(w, format="MP3"),
    "Vorbis": lambda w: coded(w, format="OGG", subtype="VORBIS"),
    "2 % faster": lambda w: played(1.02, w),
    "2 % slower": lambda w: played(0.98, w),
    "15 % faster": lambda w: played(1.15, w),
    "15 % slower": lambda w: played(0.85, w),
    "faster, noisy and trimmed": lambda w: noisy(played(1.07, w), 20)[2_000:],
    "augmented": lambda w: find_augment("standard").copies(w, 1)[0],
}
