"""What lies in folders of recordings and is no recording, under the names of recordings."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
from battery.kinds import Kind, Maker, content, wav, written

_noise = np.random.default_rng(0).bytes(4000)
_html = "<!DOCTYPE html><html><title>404 – nicht gefunden</title></html>".encode() * 20
_lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def _not(name: str, data: bytes, message: str, suffix: str = "wav") -> Kind:
    return Kind(f"{name}-named-{suffix}", content(f"clip.{suffix}", data), rf"clip\.{suffix}: ({message})", "not_audio")


def _raw(suffix: str) -> Kind:
    message = "raw samples tell neither their rate nor their format; convert the file to wav"
    return Kind(f"noise-named-{suffix}", content(f"clip.{suffix}", _noise), message)


def _linked(target: str) -> Maker:
    def make(folder: Path) -> Path:
        (folder / "clip.wav").symlink_to(target)
        return folder / "clip.wav"

    return make


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "clip.wav")
    return folder / "clip.wav"


def _socket(folder: Path) -> Path:
    here = os.getcwd()
    os.chdir(folder)  # a socket's path may have a hundred bytes
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("clip.wav")
    finally:
        os.chdir(here)
    return folder / "clip.wav"


def _folder(folder: Path) -> Path:
    (folder / "clip.wav").mkdir()
    return folder / "clip.wav"


def _unreadable(folder: Path) -> Path:
    path = written("clip.wav")(folder)
    path.chmod(0)
    return path


def _sparse(name: str, head: bytes, size: int) -> Maker:
    def make(folder: Path) -> Path:
        with (folder / name).open("wb") as file:
            file.write(head)
            file.truncate(size)
        return folder / name

    return make


_is_text = "is text, not audio"
_is_page = "is a web page, not audio: a download that failed"
_is_list = "is a playlist, not audio; give the files that it names"
_broken = "cannot be decoded"
_MAGIC = {
    "flac": b"fLaC", "ogg": b"OggS", "aiff": b"FORM\0\0\xff\xffAIFF", "au": b".snd", "caf": b"caff\0\1\0\0",
    "riff": b"RIFF\xff\xff\xff\xffWAVE",
}  # fmt: skip

_MAY_ALL = not hasattr(os, "geteuid") or os.geteuid() == 0
"""Whether a file without permissions is read all the same: by root, and on Windows."""

KINDS = [
    Kind("empty", content("clip.wav", b""), r"the file is empty \(0 bytes\)"),
    *(_not("html", _html, _is_page, suffix) for suffix in ("wav", "mp3", "au", "vox", "gsm", "m4a")),
    *(_not("csv", b"file,label\na.wav,anger\n", _is_text, suffix) for suffix in ("wav", "mp3", "snd", "aac")),
    _not("utf-8", "Übung macht den Meister – ".encode() * 50, _is_text),
    _not("json", b'{"detail": "not found"}', _is_text),
    _not("git-lfs", _lfs, "is a Git LFS pointer, not the audio; fetch the real file"),
    _not("git-lfs", _lfs, "is a Git LFS pointer", "m4a"),
    *(_not("m3u", b"#EXTM3U\nhttp://example.org/a.mp3\n", _is_list, suffix) for suffix in ("wav", "mp3", "m4a", "aac")),
    *(_not("concat", b"ffconcat version 1.0\nfile other.wav\n", _is_list, suffix) for suffix in ("wav", "m4a", "mka")),
    _not("pls", b"[playlist]\nFile1=a.wav\n", _is_list),
    _not("zip", b"PK\x03\x04" + _noise, "is a zip archive, not audio; unpack it"),
    _not("zip", b"PK\x03\x04" + _noise, "is a zip archive", "mp3"),
    _not("gzip", b"\x1f\x8b\x08" + _noise, "is compressed by gzip; unpack it"),
    _not("7z", b"7z\xbc\xaf\x27\x1c" + _noise, "is a 7z archive"),
    _not("rar", b"Rar!\x1a\x07" + _noise, "is a rar archive"),
    _not("bzip2", b"BZh9" + _noise, "is compressed by bzip2"),
    _not("xz", b"\xfd7zXZ\0" + _noise, "is compressed by xz"),
    _not("pdf", b"%PDF-1.4\n" + _noise, "is a PDF"),
    _not("png", b"\x89PNG\r\n\x1a\n" + _noise, r"is a picture \(PNG\)"),
    _not("jpeg", b"\xff\xd8\xff\xe0" + _noise, r"is a picture \(JPEG\)", "mp3"),
    _not("gif", b"GIF89a" + _noise, r"is a picture \(GIF\)"),
    _not("program", b"\x7fELF" + _noise, "is a program"),
    _not("parquet", b"PAR1" + _noise, "is a Parquet table"),
    _not("m4a", b"\0\0\0\x20ftypM4A " + _noise, r"is an MP4 or M4A file, .*rename it to end in \.m4a, or convert it"),
    _not("webm", b"\x1a\x45\xdf\xa3" + _noise, "is a Matroska or WebM file", "mp3"),
    _not("wma", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + _noise, "is a WMA file"),
    _not("amr", b"#!AMR\n" + _noise, "is an AMR file"),
    _not("sphere", b"NIST_1A\n   1024\n" + b"sample_coding -s9 pcm,shorten\n".ljust(2000), "is a NIST SPHERE file"),
    *(_not("noise", _noise, _broken, suffix) for suffix in ("wav", "mp3", "flac", "ogg", "aiff", "caf")),
    *(_not("zeros", bytes(4000), _broken, suffix) for suffix in ("wav", "mp3", "flac")),
    *(_not(f"{name}-and-noise", magic + _noise, _broken) for name, magic in _MAGIC.items()),
    _not("mpeg-and-noise", b"\xff\xfb\x90\x64" + _noise, _broken, "mp3"),
    _not("id3-and-noise", b"ID3\x04\0\0\0\0\x0f\x76" + _noise, _broken, "mp3"),
    *(_raw(suffix) for suffix in ("au", "snd", "gsm", "vox", "raw")),
    Kind("noise-named-mpc", content("clip.snd", b"\x01\x04" + _noise), "an MPC 2000 sample|raw samples"),
    _not("resource-fork", b"\0\5\x16\7\0\2\0\0Mac OS X        " + _noise, r"is what macOS keeps beside a file"),
    Kind("folder", _folder, "is a folder, not an audio file"),
    Kind("fifo", _fifo, "is not a regular file, not an audio file"),
    Kind("socket", _socket, "is not a regular file, not an audio file"),
    Kind("device", lambda folder: "/dev/zero", "is not a regular file"),
    Kind("link-to-device", _linked("/dev/zero"), "is not a regular file"),
    Kind("link-to-itself", _linked("clip.wav"), "cannot be read: Too many levels of symbolic links"),
    Kind("link-to-nothing", _linked("gone.wav"), "there is no such file, only a link to one that is gone"),
    Kind("missing", lambda folder: folder / "gone.wav", r"gone\.wav: there is no such file\."),
    Kind("below-a-file", lambda folder: written("clip.wav")(folder) / "a.wav", "there is no such file"),
    Kind("of-the-kernel", lambda folder: "/proc/self/maps", "the file is empty"),
    Kind("sparse-20-gb", _sparse("clip.wav", wav(), 20 << 30), "has 21474836480 bytes; 11520000000 hold", "too_long"),
    Kind("sparse-mpeg", _sparse("clip.mp3", b"\xff\xfb\x90\x64", 10 << 30), _broken, "not_audio"),
    *([] if _MAY_ALL else [Kind("unreadable", _unreadable, "cannot be read: Permission denied")]),
]  # fmt: skip
