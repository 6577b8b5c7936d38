"""What libsndfile reads → mono wave at 16 000 Hz, and how it was stored. Headers are claims; samples are counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from featkit.decoding.hush import hush
from featkit.errors import AudioError

Wave: TypeAlias = npt.NDArray[np.float32]
"""(n_samples,) float32, mono, at 16 000 Hz."""

SAMPLE_RATE = 16_000
"""Hz. Every wave in featkit has this rate: one rate means no model can be served another than it was trained on."""

MAX_SECONDS = 3_600
"""A longer file is refused while it is decoded: a 1 MB FLAC of silence can expand to hours."""

RATES = (1_000, 768_000)
"""Hz, the lowest and highest rate a file may claim."""

MAX_CHANNELS = 64
"""More are refused: in arrays they are samples lying the wrong way round, in files a damaged header."""

_BLOCK = 1 << 16  # samples decoded at a time: memory grows with what is there, not with what a header claims
DENSEST = 400_000
"""Samples a second over all channels, stereo at 192 kHz: decoding costs by samples, not by seconds."""

# Formats that libsndfile reads and that do not tell, or not surely, what they hold: noise would come out.
UNTOLD = {
    "RAW": "raw samples tell neither their rate nor their format",
    "XI": "an instrument (XI) does not tell its rate",
    "MPC2K": "an MPC 2000 sample is known by two bytes only, which may be chance",
    "SDS": "a MIDI sample dump (SDS) does not tell whether it is whole",
}
# Where libsndfile's log says how much a header promises: "data : 96000 (should be 48000)".
_SIZE_LINE = {
    "WAV": "data", "WAVEX": "data", "RF64": "riff size", "W64": "riff", "CAF": "data", "AIFF": "ssnd",
    "AU": "data size", "SVX": "body",
}  # fmt: skip
_PLAIN = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU"})
# Formats of which a truncated file is found in another way: by libsndfile, or by `_lack`.
_WHOLE = frozenset({"FLAC", "MP3", "OGG", "NIST", "VOC", "MAT4", "HTK"})
# Sizes written by programs that stream and know no length: ffmpeg, libsndfile, sox, arecord.
_PLACEHOLDER_SIZES = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFFF00})


@dataclass(frozen=True)
class Stored:
    """How a file stores its sound: what is seen while it is decoded, and what no wave can tell afterwards."""

    rate: int
    """Hz."""
    channels: int
    subtype: str
    format: str
    """As soundfile names them; what ffmpeg decoded has the subtype "ffmpeg" and its suffix as format."""
    seconds: float
    """What was decoded."""
    promised: float | None = None
    """Seconds that the header tells, where it may be wrong and the file is taken all the same: mp3 and ogg."""
    checked: bool = True
    """Whether the format tells its length, so that a truncated file is surely found."""
    unclosed: bool = False
    """A wav whose header was never completed."""
    cut: bool = False
    """An ogg without its last page, or errors while ffmpeg decoded."""
    unread: bool = False
    """More sound follows, which the header does not tell of and no decoder reads."""
    levels: tuple[float, ...] = ()
    """RMS of every channel."""
    kept: float = 1.0
    """Power of the mean of the channels over the mean of their powers: 1 for equal channels, 0 where they cancel."""


class _Stream(soundfile.SoundFile):
    """Read once, from start to end. soundfile seeks after every block, which a FLAC of unknown length cannot."""

    def seekable(self) -> bool:
        return False


def read(source: Any, where: str, head: bytes, max_seconds: float) -> tuple[Wave, Stored]:
    """Read to the true end, block by block: mean of the channels at 16 000 Hz. The header's length is only compared."""
    with hush, _opened(source, where, head) as file:
        rate, channels = file.samplerate, file.channels
        resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", "HQ")
        waves: list[Wave] = []
        powers, power, total = np.zeros(channels), 0.0, 0
        # Of plain formats libsndfile knows by the size of the file what is there: no need to read it all.
        told = file.frames if file.format in _PLAIN else 0
        _limit(file, told, where, max_seconds)
        for block in _blocks(file, where):
            total += len(block)
            _limit(file, total, where, max_seconds)
            mono = block.mean(axis=1) if channels > 1 else block[:, 0].copy()
            if channels > 1:
                powers += np.einsum("ij,ij->j", block, block)
                power += float(np.dot(mono, mono))
            waves.append(resampler.resample_chunk(mono) if resampler else mono)
        if lack := _lack(file, total, head):
            raise AudioError(f"{where}: is truncated: {lack} are there; copy or convert it again.", "truncated")
        stored = _stored(file, total)
    if resampler and total:
        waves.append(resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True))
    if channels > 1 and total:
        kept = power / powers.mean() if powers.any() else 1.0
        stored = replace(stored, levels=tuple(np.sqrt(powers / total).tolist()), kept=float(kept))
    return np.concatenate(waves) if waves else np.empty(0, dtype=np.float32), stored


def _opened(source: Any, where: str, head: bytes) -> Any:
    """A file that libsndfile has opened, and whose header claims nothing absurd."""
    try:
        file = _Stream(source)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{where}: {_explain(error, head)}", "not_audio") from None
    wrong = ""
    if file.format in UNTOLD:
        wrong = f"{UNTOLD[file.format]}; convert the file to wav."
    elif not RATES[0] <= file.samplerate <= RATES[1]:
        wrong = f"claims a sample rate of {file.samplerate} Hz; it must lie between {RATES[0]} and {RATES[1]} Hz."
    elif file.channels > MAX_CHANNELS:
        wrong = f"claims {file.channels} channels; {MAX_CHANNELS} are the most that are read. Mix it down first."
    if wrong:
        file.close()
        raise AudioError(f"{where}: {wrong}")
    return file


def _limit(file: Any, total: int, where: str, max_seconds: float) -> None:
    """Refuse a file that holds too much: seconds, or samples over all channels."""
    if total > max_seconds * file.samplerate:
        raise AudioError(f"{where}: is longer than {max_seconds:.4g} s; cut it into clips first.", "too_long")
    if total * file.channels > max_seconds * DENSEST:
        reason = f"has {file.channels} channels at {file.samplerate} Hz: too many samples for its length"
        raise AudioError(f"{where}: {reason}; mix it down first.", "too_long")


def _blocks(file: Any, where: str) -> Iterator[npt.NDArray[np.float32]]:
    """(n, channels) until there is no more. Each is overwritten by the next."""
    buffer = np.empty((max(1, _BLOCK // file.channels), file.channels), dtype=np.float32)
    try:
        # buffer_read_into ignores the header's frame count, which is wrong in many MP3s.
        while n := file.buffer_read_into(buffer, dtype="float32"):
            yield buffer[:n]
    except soundfile.LibsndfileError as error:
        reason = (
            f"cannot be decoded to its end ({_reason(error)}); it is truncated or damaged: copy or convert it again."
        )
        raise AudioError(f"{where}: {reason}", "truncated") from None


def _stored(file: Any, total: int) -> Stored:
    """What libsndfile tells of a file that it has read."""
    streamed = file.format in ("MP3", "OGG") and 0 < file.frames < 1 << 40
    return Stored(
        file.samplerate,
        file.channels,
        file.subtype,
        file.format,
        seconds=total / file.samplerate,
        promised=file.frames / file.samplerate if streamed else None,
        checked=file.format in _SIZE_LINE or file.format in _WHOLE,
        unread=_unread(file),
    )


def _unread(file: Any) -> bool:
    """Whether a wav claims less than half of what it holds: a header that was not brought up to date."""
    if file.format not in ("WAV", "WAVEX"):
        return False
    length, claimed = (re.search(rf"^{key} *: (\d+)", file.extra_info, re.MULTILINE) for key in ("Length", "data"))
    return bool(length and claimed and int(length[1]) > 2 * int(claimed[1]) + (1 << 16))


def _lack(file: Any, total: int, head: bytes) -> str | None:
    """What is there and what the header promises, if that is more. Only uncompressed files and FLAC promise."""
    promised = file.frames if file.format == "FLAC" else 0
    if file.format == "NIST" and (count := re.search(rb"\nsample_count -i (\d+)", head)):
        promised = int(count[1])
    if total < promised < 1 << 40:  # a FLAC of unknown length says 2**63 - 1
        return f"{total} of {promised} samples"
    if file.format in ("VOC", "MAT4") and "truncated" in file.extra_info:
        return f"only {total} samples"
    for line in file.extra_info.lower().splitlines():
        key, _, rest = line.partition(":")
        sizes = re.match(r" (\d+) \(should be (\d+)\)", rest)
        if sizes and key.strip() == _SIZE_LINE.get(file.format):
            claimed, there = map(int, sizes.groups())
            if claimed > there and claimed not in _PLACEHOLDER_SIZES:
                return f"{there} of {claimed} bytes"
    return None


def _explain(error: Exception, head: bytes) -> str:
    """Say what a file is that libsndfile cannot open."""
    if head.startswith(b"NIST_1A"):
        return "is a NIST SPHERE file, probably compressed with shorten; convert it with sph2pipe."
    return f"cannot be decoded ({_reason(error)}); it is damaged or in a format that libsndfile does not read."


def _reason(error: Exception) -> str:
    """What libsndfile says. Of an MP3 without a single frame it says that the file does not exist."""
    reason = str(error).rsplit(": ", 1)[-1].strip().rstrip(".")
    return "it holds no MPEG audio" if reason.startswith("File does not exist") else reason
