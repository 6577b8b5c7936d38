"""Tiny recordings as real copies of corpora have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from featkit.datasets.base import Dataset
from featkit.datasets.describe import corpora


def published() -> list[type[Dataset]]:
    """Corpora of the literature: those with a citation."""
    return [corpus for corpus in corpora() if corpus.citation and not corpus.synthetic]


def record(path: Path, *, seed: int = 0, rate: int = 16_000, channels: int = 1, form: str | None = None) -> Path:
    """A tenth of a second of noise, its folder included. ``form`` is the true format, whatever the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, (rate // 10, channels))
    soundfile.write(path, noise, rate, format=form)
    return path


def with_chunk(path: Path, name: bytes) -> Path:
    """A wav that has a chunk of 1000 bytes between its header and its samples."""
    content = record(path).read_bytes()
    content = content[:36] + name + (1000).to_bytes(4, "little") + bytes(1000) + content[36:]
    path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    return path


def touch(folder: Path, *names: str) -> None:
    """Empty files, their folders included."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
