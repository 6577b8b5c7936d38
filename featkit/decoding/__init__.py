"""Files that nobody vouches for → wave, and how it was stored; or an `AudioError`. Used through `featkit.audio`."""

from __future__ import annotations

import io
import os
import stat
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from featkit.decoding import ffmpeg, heads
from featkit.decoding.heads import shown as shown
from featkit.decoding.sound import DENSEST, UNTOLD, read
from featkit.decoding.sound import MAX_CHANNELS as MAX_CHANNELS
from featkit.decoding.sound import MAX_SECONDS as MAX_SECONDS
from featkit.decoding.sound import RATES as RATES
from featkit.decoding.sound import SAMPLE_RATE as SAMPLE_RATE
from featkit.decoding.sound import Stored as Stored
from featkit.decoding.sound import Wave as Wave
from featkit.errors import AudioError

_LARGEST = 8 * MAX_SECONDS * DENSEST  # bytes of a file: 64 bits a sample


def decode_file(path: Path, max_seconds: float) -> tuple[Wave, Stored]:
    """Decode a file."""
    where = shown(path)
    size = _size(path, where)
    try:
        with path.open("rb") as stream:
            head = stream.read(heads.HEAD)
            end = heads.end(stream, head, size)
    except OSError as error:
        raise AudioError(f"{where}: cannot be read: {error.strerror}.") from None
    suffix = path.suffix.lower()
    if suffix == ".raw":
        raise AudioError(f"{where}: {UNTOLD['RAW']}; convert the file to wav.")
    if told := heads.no_audio(head):
        raise AudioError(f"{where}: {told}", "not_audio")
    if suffix in ffmpeg.SUFFIXES:
        return ffmpeg.decode(path, where, max_seconds)
    if told := heads.needs_ffmpeg(head):
        raise AudioError(f"{where}: {told}", "not_audio")
    unclosed = heads.never_closed(head, size)
    with _Mended(path, heads.mended(head)) if unclosed else nullcontext(_place(path)) as source:
        wave, stored = read(source, where, head, max_seconds)
    return wave, _completed(where, stored, unclosed, end)


def _completed(where: str, stored: Stored, unclosed: bool, end: str) -> Stored:
    """What is stored, with what the first and last bytes tell besides."""
    if end == "cut" and not stored.seconds:
        raise AudioError(
            f"{where}: is truncated: it ends before its first sample; copy or convert it again.", "truncated"
        )
    return replace(stored, unclosed=unclosed, cut=end == "cut", unread=stored.unread or end == "unread")


def _size(path: Path, where: str) -> int:
    """Bytes of a regular file. Asked before it is opened: a pipe or device would block for ever."""
    try:
        about = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a NUL in a name is a ValueError
        gone = ", only a link to one that is gone" if path.is_symlink() else ""
        raise AudioError(f"{where}: there is no such file{gone}.") from None
    except OSError as error:
        raise AudioError(f"{where}: cannot be read: {error.strerror}.") from None
    if not stat.S_ISREG(about.st_mode):
        what = "a folder" if stat.S_ISDIR(about.st_mode) else "not a regular file"
        raise AudioError(f"{where}: is {what}, not an audio file.")
    if about.st_size == 0:
        raise AudioError(f"{where}: the file is empty (0 bytes); copy or record it again.")
    if about.st_size > _LARGEST:
        reason = f"has {about.st_size} bytes; {_LARGEST} hold {MAX_SECONDS} s in any format"
        raise AudioError(f"{where}: {reason}; cut it into clips first.", "too_long")
    return about.st_size


class _Mended(io.FileIO):
    """A file with another head."""

    def __init__(self, path: Path, head: bytes) -> None:
        super().__init__(path)
        self._head = head

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, which is all that soundfile asks of a file."""
        place = self.tell()
        n = super().readinto(buffer) or 0
        if fresh := self._head[place : place + n]:
            buffer[: len(fresh)] = fresh
        return n


def decode_bytes(content: bytes, where: str, max_seconds: float) -> tuple[Wave, Stored]:
    """Decode a file that lies in memory: nothing touches the disk, and no other program is asked."""
    if not content:
        raise AudioError(f"{where}: is empty (0 bytes); send an audio file.")
    head = content[: heads.HEAD]
    if told := heads.no_audio(head):
        raise AudioError(f"{where}: {told}", "not_audio")
    unclosed = heads.never_closed(head, len(content))
    if unclosed:
        content = heads.mended(head) + content[heads.HEAD :]
    wave, stored = read(io.BytesIO(content), where, head, max_seconds)
    return wave, _completed(where, stored, unclosed, heads.end(io.BytesIO(content), head, len(content)))


def _place(path: str | os.PathLike[str]) -> str | bytes:
    """A path as libsndfile is to have it. Outside Windows as bytes: a name that is not UTF-8 is opened too."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)
