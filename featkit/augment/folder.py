"""Recordings in a folder of the user's: one of them drawn, all of them checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from featkit.audio import Wave, load
from featkit.datasets.base import find_audio
from featkit.errors import AudioError, DataError

Folder: TypeAlias = str | os.PathLike[str]


def drawn(name: str, folder: Folder, rng: np.random.Generator) -> Wave:
    """One file of a folder, decoded."""
    files = listed(name, folder)
    path = files[int(rng.integers(len(files)))]
    return _loaded(path, _changed(path))


@lru_cache(maxsize=8)  # few: a recording of noise may last minutes
def _loaded(path: Path, changed: int) -> Wave:
    wave = load(path)
    wave.flags.writeable = False
    return wave


@cache  # an error is not kept, so that a mended file passes
def _check_file(path: Path, changed: int) -> None:
    load(path)


def _changed(path: Path) -> int:
    """When a file was last written, nanoseconds."""
    return path.stat().st_mtime_ns


@lru_cache(maxsize=32)
def _walked(folder: Path) -> tuple[Path, ...]:
    return tuple(find_audio(folder))


def listed(name: str, folder: Folder) -> tuple[Path, ...]:
    """Audio files of a folder, sorted, as they were when it was last checked."""
    if not isinstance(folder, (str, os.PathLike)):
        raise DataError(f"{name}: folder must be a path in quotes, as in {name}:folder='my/files'; it is {folder!r}.")
    path = Path(folder).expanduser()
    if not path.is_dir():
        state = "is a file, not a folder" if path.exists() else "does not exist"
        raise DataError(f"{name}: '{path}' {state}; name a folder of audio files.")
    files = _walked(path)
    if not files:
        raise DataError(f"{name}: no audio file was found below '{path}'; name a folder of audio files.")
    return files


def check_audio(name: str, folder: Folder) -> None:
    """Decode every file of a folder once, unless it was decoded as it is now."""
    _walked.cache_clear()
    for path in listed(name, folder):
        try:
            _check_file(path, _changed(path))
        except AudioError as error:
            raise AudioError(f"{name}: {error}") from None


def content(files: Sequence[Path]) -> str:
    """Short hash of the names and sizes of a folder's files."""
    listing = "\n".join(f"{path.name} {path.stat().st_size}" for path in files)
    return hashlib.sha256(listing.encode()).hexdigest()[:16]
