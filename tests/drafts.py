"""A small corpus of files, and a way to put a trap into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from featkit.audio import SAMPLE_RATE, Wave
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
