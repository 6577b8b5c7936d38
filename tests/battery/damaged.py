"""Files that were cut, overwritten, joined or never completed, and headers that lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from battery.kinds import Kind, content, encoded, named, sound, wav

_CUT = r"is truncated: (only )?\d+ (of \d+ )?(bytes|samples) are there|to its end \(flac decoder lost sync\)"
_BROKEN = "cannot be decoded"
_POINTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
_CONTAINERS = (
    "WAV",
    "WAVEX",
    "RF64",
    "W64",
    "FLAC",
    "AIFF",
    "AU",
    "NIST",
    "VOC",
    "SVX",
    "MAT4",
    "HTK",
    "CAF",
    "OGG",
    "MP3",
)


def _part(container: str, share: float) -> bytes:
    whole = encoded(sound(seconds=3), format=container)
    return whole[: int(share * len(whole))]


def _truncated(container: str, share: float) -> Kind:
    name, make = (
        f"{container.lower()}-cut-at-{100 * share:.0f}-percent",
        content(named(container), lambda: _part(container, share)),
    )
    if container in ("OGG", "MP3"):
        if container == "OGG" and share <= 0.2:  # the tables of the codec fill the first 3.6 kB
            return Kind(name, make, _BROKEN, "not_audio")
        if container == "OGG" and share <= 0.4:  # a page holds a second of this sound
            return Kind(name, make, "is truncated: it ends before its first sample", "truncated")
        flags = ("cut", "short") if share == 0.1 else () if (container, share) == ("MP3", 0.99) else ("cut",)
        return Kind(name, make, flags=flags, hz=None if share < 0.5 else 1000, tolerance=0.05, seconds=None)
    if container == "HTK":  # libsndfile knows an HTK file by its length alone
        return Kind(name, make, _BROKEN, "not_audio")
    if container == "CAF" and share < 0.99:
        return Kind(name, make, _BROKEN, "not_audio")
    return Kind(name, make, _CUT, "truncated")


def _overwritten(**how: str) -> bytes:
    data = bytearray(encoded(sound(seconds=3), **how))
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(0).bytes(300)
    return bytes(data)


def _lying(name: str, refused: str = "", code: str = "unusable", flags: tuple[str, ...] = (), **claims: Any) -> Kind:
    make = content("clip.wav", lambda: wav(**claims))
    return Kind(f"wav-claims-{name}", make, refused, code, flags, hz=None if flags else 1000, seconds=None)


def _joined(container: str) -> bytes:
    return encoded(format=container) + encoded(sound(hz=500), format=container)


def _streamed_flac() -> bytes:
    """STREAMINFO holds the number of samples in its last 36 bits before the MD5; 0 means unknown."""
    data = bytearray(encoded(format="FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


def _mp3(frames: int) -> bytes:
    """An mp3 of 1 s whose first frame claims another number of frames, of 576 samples each."""
    data = encoded(format="MP3")
    place = max(data.find(b"Xing"), data.find(b"Info"))
    return data[: place + 8] + frames.to_bytes(4, "big") + data[place + 12 :]


KINDS = [
    *(_truncated(container, share) for container in _CONTAINERS for share in _POINTS),
    Kind("wav-cut-in-header", content("clip.wav", lambda: wav()[:30]), _BROKEN, "not_audio"),
    Kind("wav-cut-after-header", content("clip.wav", lambda: wav()[:44]), r"is truncated|holds 0 samples", "truncated"),
    Kind(
        "wav-one-byte-lost", content("clip.wav", lambda: wav()[:-1]), "is truncated: 31999 of 32000 bytes", "truncated"
    ),
    Kind("flac-overwritten", content("clip.flac", lambda: _overwritten(format="FLAC")), _CUT, "truncated"),
    Kind(
        "vorbis-overwritten",
        content("a.ogg", lambda: _overwritten(format="OGG")),
        flags=("cut",),
        seconds=None,
        tolerance=0.05,
    ),
    Kind(
        "opus-overwritten",
        content("a.opus", lambda: _overwritten(format="OGG", subtype="OPUS")),
        flags=("cut",),
        seconds=None,
        tolerance=0.05,
    ),
    Kind("mp3-overwritten", content("a.mp3", lambda: _overwritten(format="MP3")), hz=None, seconds=3, slack=0.2),
    Kind("wavs-joined", content("clip.wav", lambda: _joined("WAV")), _BROKEN, "not_audio"),
    Kind("oggs-joined", content("clip.ogg", lambda: _joined("OGG")), flags=("unread",), tolerance=0.05),
    Kind("mp3s-joined", content("clip.mp3", lambda: _joined("MP3")), flags=("unread",), tolerance=0.05),
    Kind("flac-of-unknown-length", content("clip.flac", _streamed_flac)),
    Kind("wav-never-closed", content("clip.wav", lambda: wav(claims=0, riff=0)), flags=("unclosed",)),
    Kind("wav-streamed-by-ffmpeg", content("clip.wav", lambda: wav(claims=0xFFFFFFFF))),
    Kind("wav-streamed-by-arecord", content("clip.wav", lambda: wav(claims=0x7FFFF000))),
    Kind("mp3-claims-more", content("a.mp3", lambda: _mp3(500)), flags=("cut",), tolerance=0.05, slack=0.1),
    Kind("mp3-claims-less", content("a.mp3", lambda: _mp3(5)), hz=None, seconds=None),
    _lying("no-samples", "holds 0 samples", samples=np.empty(0)),
    _lying("one-byte", "holds 0 samples", claims=1),
    _lying("far-too-little", flags=("unread", "short"), claims=2000, samples=sound(seconds=6)),
    _lying("4-gb", r"is truncated: 32000 of 4000000000 bytes", "truncated", claims=4_000_000_000),
    *(
        _lying(f"{rate}-hz", f"claims a sample rate of {rate} Hz; it must lie between 1000 and 768000", rate=rate)
        for rate in (1, 2, 5, 10, 999, 768_001, 2_000_000_000)
    ),
    _lying("0-hz", _BROKEN, "not_audio", rate=0),
    _lying("4-ghz", _BROKEN, "not_audio", rate=4_000_000_000),
    _lying("0-channels", _BROKEN, "not_audio", channels=0),
    _lying("1000-channels", "claims 1000 channels; 64 are the most that are read", channels=1000),
    _lying("65535-channels", _BROKEN, "not_audio", channels=65_535),
    _lying("0-bits", _BROKEN, "not_audio", bits=0),
    _lying("64-bit-integers", _BROKEN, "not_audio", bits=64),
    _lying("codec-0", _BROKEN, "not_audio", codec=0),
    _lying("codec-unknown", _BROKEN, "not_audio", codec=0x1234),
    _lying("codec-mp3", _BROKEN, "not_audio", codec=85),
    _lying("float", "samples (is|are) not finite|samples reach", bits=32, codec=3),
    _lying("12-bits-in-16", bits=12, align=2),
    _lying("no-block-size", align=0),
]
