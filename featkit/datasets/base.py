"""The corpus contract: a corpus is one file with its licence, citation and label map, and yields clips."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from featkit.errors import DataError


@dataclass(frozen=True, order=True)
class Clip:
    """One recording of one speaker showing one emotion: the noun that all of featkit shares.

    ``speaker`` and ``text`` (which sentence) are None where the corpus does not know them.
    """

    path: Path
    label: str
    speaker: str | None = None
    text: str | None = None


class Dataset(ABC):
    """A corpus on disk. Subclasses state where it comes from and write ``clips``.

    Parameters
    ----------
    root
        Folder (or file) of the unpacked corpus.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    labels: ClassVar[tuple[str, ...] | None]
    """The emotions of the corpus in featkit's common names; None where the data decide."""
    languages: ClassVar[tuple[str, ...]] = ()
    licence: ClassVar[str]
    citation: ClassVar[str]
    url: ClassVar[str]
    expected_clips: ClassVar[int | None] = None
    """How many clips the complete corpus has; None where the data decide. A part of a corpus is no error."""
    synthetic: ClassVar[bool] = False
    """True where the recordings are not of people; every score shown on them says so."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @abstractmethod
    def clips(self) -> Iterator[Clip]:
        """Yield every clip in a fixed order. Raises `DataError` where the corpus is not found or not read."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"

    def _files(self) -> list[Path]:
        """Audio files below ``root`` in sorted order; an error names what is missing."""
        if not self.root.is_dir():
            state = "is a file, not a folder" if self.root.exists() else "does not exist"
            raise DataError(f"{self.name}: '{self.root}' {state}; name the folder of the {self.title} corpus.")
        files = find_audio(self.root)
        if not files:
            raise DataError(
                f"{self.name}: no audio file was found below '{self.root}'; name the folder of the {self.title} corpus."
            )
        return files


AUDIO_SUFFIXES = tuple(
    f".{kind}"
    for kind in (
        "wav", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "snd", "caf", "w64", "rf64",
        "m4a", "aac", "mp4", "wma", "amr", "3gp", "webm", "mka",
    )
)  # fmt: skip
"""What counts as audio when a folder is searched. A file that is named is always tried."""


def find_audio(folder: Path) -> list[Path]:
    """Audio files below a folder, sorted. Links are followed once; hidden names (``._clip.wav``) are passed over."""
    files: list[Path] = []
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        place = os.path.realpath(root)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and place not in seen)
        if place not in seen:
            files += [Path(root, name) for name in names if not name.startswith(".")]
        seen.add(place)
    return sorted(path for path in files if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
