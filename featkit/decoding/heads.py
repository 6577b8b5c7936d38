"""What a file is by its name and its first and last bytes, before a decoder sees it."""

from __future__ import annotations

import os
from typing import BinaryIO

HEAD = 512
"""Bytes at the start that tell what a file is."""

_OGG_PAGE = 1 << 16  # bytes; no page is longer. RFC 3533, section 6

# What people have in folders of recordings, or get when a download fails.
_NO_AUDIO = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the audio; fetch the real file"),
    (b"\x00\x05\x16\x07", "is what macOS keeps beside a file (._ files), not the audio; leave it out"),
    (b"PK\x03\x04", "is a zip archive, not audio; unpack it"),
    (b"\x1f\x8b", "is compressed by gzip; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive, not audio; unpack it"),
    (b"Rar!", "is a rar archive, not audio; unpack it"),
    (b"BZh", "is compressed by bzip2; unpack it"),
    (b"\xfd7zXZ", "is compressed by xz; unpack it"),
    (b"%PDF", "is a PDF, not audio"),
    (b"\x89PNG", "is a picture (PNG), not audio"),
    (b"\xff\xd8\xff", "is a picture (JPEG), not audio"),
    (b"GIF8", "is a picture (GIF), not audio"),
    (b"\x7fELF", "is a program, not audio"),
    (b"PAR1", "is a Parquet table, not audio"),
)
_BY_FFMPEG = (
    (4, b"ftyp", "an MP4 or M4A file", ".m4a"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM file", ".webm"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a WMA file", ".wma"),
    (0, b"#!AMR", "an AMR file", ".amr"),
)
_PLAYLISTS = ("#extm3u", "[playlist]", "ffconcat", "<asx", "<?xpf")


def no_audio(head: bytes) -> str | None:
    """Say what a file is that holds no audio at all; None where a decoder is to look at it."""
    for magic, told in _NO_AUDIO:
        if head.startswith(magic):
            return f"{told}."
    if head.startswith(b"NIST_1A") or needs_ffmpeg(head):  # the header of SPHERE is text
        return None
    text = text_of(head)
    if text is None:
        return None
    first = next((line for line in text.splitlines() if line.strip()), "")[:24]
    start = text.lstrip().lower()
    if start.startswith(("<!doctype html", "<html")):
        return f"is a web page, not audio: a download that failed? (it starts with {first!r})."
    if start.startswith(_PLAYLISTS):
        return f"is a playlist, not audio; give the files that it names (it starts with {first!r})."
    return f"is text, not audio (it starts with {first!r})."


def needs_ffmpeg(head: bytes) -> str | None:
    """Say what a file is that only ffmpeg reads, by whatever name it goes; None for all others."""
    for place, magic, what, suffix in _BY_FFMPEG:
        if head[place:].startswith(magic):
            return f"is {what}, which is read under its own name only; rename it to end in {suffix}, or convert it."
    return None


def never_closed(head: bytes, size: int) -> bool:
    """Whether a file is a wav whose writer died: it says that it holds 0 bytes, and holds more."""
    data = head.find(b"data\0\0\0\0")
    return head.startswith(b"RIFF") and 8 + int.from_bytes(head[4:8], "little") <= data + 8 < size


def mended(head: bytes) -> bytes:
    """The head of a wav that was never closed, saying that its length is not known."""
    data, unknown = head.find(b"data\0\0\0\0"), b"\xff" * 4
    return b"".join((head[:4], unknown, head[8 : data + 4], unknown, head[data + 8 :]))


def end(stream: BinaryIO, head: bytes, size: int) -> str:
    """How an ogg or mp3 ends: "" as it should, "cut" without a last page, "unread" where more follows than it tells.

    Parameters
    ----------
    stream, head, size
        The file, its first bytes, and how many it has.
    """
    if head.startswith(b"OggS"):
        stream.seek(max(0, size - _OGG_PAGE))
        return _ogg_end(head, stream.read(_OGG_PAGE))
    if head.startswith((b"ID3", b"\xff")):
        start = _id3(head)
        stream.seek(start)
        return _mp3_end(stream.read(HEAD), size - start)
    return ""


def _ogg_end(head: bytes, tail: bytes) -> str:
    """RFC 3533, section 6: byte 5 of a page holds flags, 4 for the last one; byte 14 begins the stream's number.

    Byte 26 tells how many segments there are, and as many bytes after it how long each is.
    """
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        return "cut"
    if page[14:18] != head[14:18]:
        return "unread"
    return "" if page[5] & 4 else "cut"


def _id3(head: bytes) -> int:
    """Bytes of an ID3v2 tag, whose size is written in 7 bits a byte."""
    if not head.startswith(b"ID3"):
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))


def _mp3_end(frame: bytes, size: int) -> str:
    """Encoders write into a first frame how many frames and bytes there are; decoders stop there."""
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    flags = int.from_bytes(frame[place + 4 : place + 8], "big") if place >= 0 else 0
    if not flags & 2:
        return ""
    told = place + (12 if flags & 1 else 8)
    return "unread" if size > 1.5 * int.from_bytes(frame[told : told + 4], "big") + 1024 else ""


def shown(path: str | os.PathLike[str]) -> str:
    """A path as messages show it: in one line, whatever its name holds.

    Examples
    --------
    >>> shown("a\\nb.wav")
    'a\\\\nb.wav'
    """
    text = os.fspath(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def text_of(head: bytes) -> str | None:
    """The first bytes of a file as text, if they are nothing else."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < HEAD - 4:  # the last character may be cut in two
            return None
        text = head[: error.start].decode("utf-8-sig")
    return text if all(c.isprintable() or c in "\t\n\r\x0c" for c in text) else None
