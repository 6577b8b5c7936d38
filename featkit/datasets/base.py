"""The corpus contract: a corpus is one file with its licence, citation and label map, and yields clips."""

from __future__ import annotations

import filecmp
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from featkit.errors import DataError

Names: TypeAlias = Mapping[str, str]
Counts: TypeAlias = Mapping[str, int]

EMOTIONS = (
    "anger", "happiness", "sadness", "fear", "surprise", "disgust", "neutral", "boredom", "calm", "frustration",
    "excitement",
)  # fmt: skip
"""The common names. Every built-in corpus maps its own names onto these, so that corpora can be joined."""


@dataclass(frozen=True, order=True)
class Clip:
    """One recording of one speaker showing one emotion: the noun that all of featkit shares.

    ``speaker``, ``text`` (which sentence: equal where the same words are said) and ``part`` (a split or session that
    the makers of the corpus define) are None where the corpus does not know them.
    """

    path: Path
    label: str
    speaker: str | None = None
    text: str | None = None
    part: str | None = None


@dataclass(frozen=True, order=True)
class Skipped:
    """A file that is no clip, and why.

    ``left out`` is known and right so, ``missing`` is listed by the corpus and not there, ``unexpected`` is a name
    that the corpus does not have: `Dataset.clips` refuses that one.
    """

    path: Path
    reason: str
    kind: Literal["left out", "missing", "unexpected"] = "left out"


@dataclass(frozen=True)
class Archive:
    """A zip that a program may download, and what is known of it beforehand."""

    url: str
    name: str
    size: int | None = None
    """Bytes, where published."""
    checksum: str | None = None
    """``md5:…`` or ``sha256:…``, where published."""
    members: str = ""
    """Regular expression: only members whose name it finds are unpacked."""
    lfs: str = ""
    """Address of a file that the zip holds as a Git LFS pointer; ``{path}`` is its place in the repository."""


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
    label_map: ClassVar[Names] = {}
    """The corpus's own names → the common ones."""
    languages: ClassVar[tuple[str, ...]] = ()
    licence: ClassVar[str]
    citation: ClassVar[str]
    url: ClassVar[str]
    expected_clips: ClassVar[int | None] = None
    """How many clips the complete corpus has; None where the data decide. A part of a corpus is no error."""
    expected_speakers: ClassVar[int | None] = None
    expected_by_label: ClassVar[Counts] = {}
    expected_by_speaker: ClassVar[Counts] = {}
    layout: ClassVar[str] = ""
    """What lies where on disk."""
    quirks: ClassVar[tuple[str, ...]] = ()
    """What is odd in real copies, and what is done about it."""
    unusable: ClassVar[Names] = {}
    """Names (without suffix) of recordings that the release spoils → why. They are left out."""
    identical: ClassVar[tuple[frozenset[str], ...]] = ()
    """Names (without suffix) of recordings that stand in the release more than once."""
    access: ClassVar[str] = ""
    """Where and how the corpus is had."""
    archives: ClassVar[tuple[Archive, ...]] = ()
    """What ``featkit data download`` may fetch; empty where a person must ask for the corpus."""
    synthetic: ClassVar[bool] = False
    """True where the recordings are not of people; every score shown on them says so."""
    doubt: str | None = None
    """What the owner of a copy should be asked, once its clips have been read."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @abstractmethod
    def clips(self) -> Iterator[Clip]:
        """Yield every clip in a fixed order. Raises `DataError` where the corpus is not found or not read."""

    def entries(self) -> Iterator[Clip | Skipped]:
        """Yield the clips, and between them what is no clip, and why. Here: nothing but clips."""
        yield from self.clips()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"

    def _files(self) -> list[Path]:
        """Audio files below ``root`` in sorted order; an error names what is missing."""
        self._check_root()
        files = find_audio(self.root)
        if not files:
            raise DataError(
                f"{self.name}: no audio file was found below '{self.root}'; name the folder of the {self.title} corpus."
            )
        return files

    def _check_root(self) -> None:
        if not self.root.is_dir():
            state = "is a file, not a folder" if self.root.exists() else "does not exist"
            if self.root.suffix.lower() in _SPREADSHEETS:
                raise DataError(f"'{self.root}' is a spreadsheet; save it as CSV (UTF-8), and name that.")
            raise DataError(f"{self.name}: '{self.root}' {state}; name the folder of the {self.title} corpus.")


_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")


class Published(Dataset):
    """A corpus as its makers publish it, where not every file is a clip. Subclasses write ``entries``."""

    def clips(self) -> Iterator[Clip]:
        """Yield the clips in a fixed order. Raises `DataError` at a file that does not belong to the corpus."""
        skipped: list[Skipped] = []
        found = False
        for entry in self.entries():
            if isinstance(entry, Clip):
                found = True
                yield entry
            elif entry.kind == "unexpected":
                raise DataError(f"{self.name}: {entry.reason}")
            else:
                skipped.append(entry)
        if not found:
            why = "".join(f" {len(skipped)} are none, '{one.path}' for one: {one.reason}." for one in skipped[:1])
            raise DataError(f"{self.name}: '{self.root}' holds no clip of {self.title}.{why}")

    @abstractmethod
    def entries(self) -> Iterator[Clip | Skipped]:
        """Yield the clips, and between them what is no clip, and why."""


class NamedFiles(Published):
    """A corpus whose file names say everything. Subclasses write ``pattern``, ``scheme`` and ``entry``.

    A file that stands in two folders with the same content is read once; with other content it is an error.
    """

    pattern: ClassVar[re.Pattern[str]]
    """What the name (see ``subject``) of every file must match."""
    scheme: ClassVar[str]
    """The same for people, to follow the words "does not fit"."""

    @abstractmethod
    def entry(self, path: Path, match: re.Match[str]) -> Clip | Skipped:
        """What the file is, from its name."""

    def subject(self, path: Path) -> str:
        """The name that is matched: here that of the file, without its suffix."""
        return path.stem

    def entries(self) -> Iterator[Clip | Skipped]:
        """Yield what every audio file is, in the order of paths."""
        found: dict[tuple[str | None, ...], Path] = {}
        for path in self._files():
            match = self.pattern.fullmatch(self.subject(path))
            if match is None:
                reason = f"the name of '{path}' does not fit {self.scheme}. Move it elsewhere."
                yield Skipped(path, reason, "unexpected")
                continue
            entry = self.entry(path, match)
            if isinstance(entry, Clip):
                first = found.setdefault(match.groups(), path)
                yield entry if first == path else _again(path, first)
            else:
                yield entry


def _again(path: Path, first: Path) -> Skipped:
    if path.stat().st_size == first.stat().st_size and filecmp.cmp(path, first, shallow=False):
        return Skipped(path, "a copy of a file in another folder")
    reason = f"'{path}' is the same clip as '{first}', with other content. Keep one of the two."
    return Skipped(path, reason, "unexpected")


AUDIO_SUFFIXES = tuple(
    f".{kind}"
    for kind in (
        "wav", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "snd", "caf", "w64", "rf64",
        "m4a", "aac", "mp4", "wma", "amr", "3gp", "webm", "mka",
    )
)  # fmt: skip
"""What counts as audio when a folder is searched. A file that is named is always tried."""


def find_audio(folder: Path) -> list[Path]:
    """Audio files below a folder, as `find_files` finds them."""
    return find_files(folder, AUDIO_SUFFIXES)


def find_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Files of some kinds below a folder, sorted. Links are followed once; hidden names (``._a.wav``) passed over.

    A link to nothing, or a pipe, is among them: who reads it says what it is, and nobody misses it in silence.

    Raises
    ------
    DataError
        A folder cannot be read: what it holds would be missing, and nobody would know.
    """
    files: list[Path] = []
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        place = os.path.realpath(root)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and place not in seen)
        if place not in seen:
            files += [Path(root, name) for name in names if not name.startswith(".")]
        seen.add(place)
    return sorted(path for path in files if path.suffix.lower() in suffixes and not path.is_dir())


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: this folder cannot be read ({error.strerror}); allow it, or name others.")
