"""Any file or array → wave: (n_samples,) float32, mono, −1 to 1, at 16 000 Hz. The door by which all audio enters."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

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
"""More are refused in arrays: they are samples lying the wrong way round."""

_LOUDEST = 1_000  # float recordings may exceed 1 by a few times; beyond this they are integers that nobody scaled
_BLOCK = 1 << 16  # samples decoded at a time: memory grows with what is there, not with what a header claims
_DENSEST = 400_000  # samples a second over all channels, stereo at 192 kHz: decoding costs by samples, not by seconds
_HEAD = 512  # bytes that tell what a file is
_FFMPEG_SUFFIXES = frozenset({".m4a", ".aac", ".mp4", ".wma", ".amr", ".3gp", ".webm", ".mka"})
_FFMPEG_BYTES = 1 << 30  # 46 minutes at 48 kHz in stereo
# Where libsndfile's log says how much a header promises: "data : 96000 (should be 48000)".
_SIZE_LINE = {
    "WAV": "data", "WAVEX": "data", "RF64": "riff size", "W64": "riff", "CAF": "data", "AIFF": "ssnd",
    "AU": "data size",
}  # fmt: skip
# Sizes written by programs that stream and know no length: ffmpeg, libsndfile, sox, arecord.
_PLACEHOLDER_SIZES = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFFF00})


def load(
    path: str | os.PathLike[str],
    *,
    normalise: Literal["peak", "rms"] | None = None,
    seconds: float | None = None,
) -> Wave:
    """Decode a file to a mono 16 kHz wave.

    Channels are averaged; the rate is converted by soxr at HQ quality. Reads whatever libsndfile reads (wav, flac,
    ogg, opus, mp3, aiff, au, caf …); m4a, aac, wma and amr go through the ``ffmpeg`` program where it is installed.

    Parameters
    ----------
    path
        Audio file.
    normalise
        Scale to peak 1 or to RMS 0.1. Default: as recorded.
    seconds
        Pad with silence or crop around the centre to this length (see `fit_length`). Default: as recorded.

    Returns
    -------
    (n_samples,) float32, mono, at 16 000 Hz.

    Raises
    ------
    AudioError
        The file is missing, empty, truncated, not audio, silent, or holds samples that are not finite.
    """
    wave = check_wave(_decode(Path(path)), str(path))
    if normalise is not None:
        wave = scale(wave, normalise)
    return wave if seconds is None else fit_length(wave, seconds)


def decode(content: bytes, where: str = "the clip", *, max_seconds: float | None = None) -> Wave:
    """Decode a whole audio file that lies in memory, as `load` decodes one on disk: the same samples.

    Nothing touches the disk and no other program is asked, so only what libsndfile reads is read.

    Parameters
    ----------
    content
        wav, flac, ogg, opus, mp3, aiff, au or caf.
    where
        Name of the clip, for messages.
    max_seconds
        What is longer is refused while it is decoded. Default: `MAX_SECONDS`.

    Returns
    -------
    (n_samples,) float32, mono, at 16 000 Hz.

    Raises
    ------
    AudioError
        As `load`; its ``code`` tells programs why.
    """
    if not content:
        raise AudioError(f"{where}: is empty (0 bytes); send an audio file.")
    source = _mended(content) if _never_closed(content[:_HEAD], len(content)) else content
    try:
        wave = _read(io.BytesIO(source), where, max_seconds)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{where}: {_explain(error, content[:_HEAD])}", "not_audio") from None
    return check_wave(wave, where)


def to_wave(samples: npt.ArrayLike, rate: int) -> Wave:
    """Turn samples of any rate and layout into a wave.

    Parameters
    ----------
    samples
        (n,) or (n, channels); floats in −1 to 1, or integers, which are scaled by their full range.
    rate
        Hz.

    Returns
    -------
    (m,) float32, mono (the mean of the channels), at 16 000 Hz.

    Examples
    --------
    >>> import numpy as np
    >>> stereo_44k = np.zeros((44_100, 2), dtype=np.int16)
    >>> to_wave(stereo_44k, 44_100).shape
    (16000,)
    """
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 1 <= array.shape[1] <= MAX_CHANNELS):
        shape = f"(n,) or (n, 1 to {MAX_CHANNELS} channels)"
        raise AudioError(f"Samples must have shape {shape}; these have {array.shape}.")
    if array.dtype.kind not in "fiu":
        raise AudioError(f"Samples must be floats or integers; these are {array.dtype}.")
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(f"The sample rate is {rate} Hz; it must lie between {RATES[0]} and {RATES[1]} Hz.")
    if array.dtype.kind == "i":
        array = array / np.float32(np.iinfo(array.dtype).max + 1)
    elif array.dtype.kind == "u":  # unsigned PCM is centred on half its range
        half = np.float32(np.iinfo(array.dtype).max // 2 + 1)
        array = (array - half) / half
    mono = array.mean(axis=1, dtype=np.float32) if array.ndim == 2 else array.astype(np.float32)
    if rate != SAMPLE_RATE and mono.size:
        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ").astype(np.float32, copy=False)
    return np.ascontiguousarray(mono)


def check_wave(wave: npt.ArrayLike, where: str = "the clip") -> Wave:
    """Return ``wave`` as (n_samples,) float32, or say why it is no clip: empty, not finite, silent, never scaled.

    Parameters
    ----------
    wave
        (n_samples,) numbers at 16 000 Hz.
    where
        Name of the file or clip, for the message.
    """
    array = np.asarray(wave)
    whole = array.dtype.kind in "iu"
    if array.dtype.kind == "c":
        raise AudioError(f"{where}: Complex data not supported; a wave holds real numbers.")
    if array.dtype.kind not in "fiub":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise AudioError(f"{where}: a wave must hold numbers, not {array.dtype}.") from None
    if array.ndim != 1:
        raise AudioError(f"{where}: a wave is one-dimensional, mono; this one has shape {array.shape}.")
    if array.size == 0:
        raise AudioError(f"{where}: holds 0 samples; remove it or record it again.")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told below
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise AudioError(f"{where}: {bad} of {array.size} samples are NaN or infinite (inf); repair or drop the clip.")
    if not array.any():
        raise AudioError(f"{where}: all {array.size} samples are zero (digital silence); drop the clip.")
    if (peak := np.abs(array).max()) > (1 if whole else _LOUDEST):
        raise AudioError(f"{where}: samples reach {peak:.0f}, a wave −1 to 1; scale integers by featkit.audio.to_wave.")
    return array


def at_least(wave: Wave, n_samples: int, pad: bool, where: str = "the clip") -> Wave:
    """Return ``wave`` if it has ``n_samples``; else append silence (``pad``) or refuse."""
    if wave.size >= n_samples:
        return wave
    if not pad:
        raise AudioError(
            f"{where}: has {wave.size} samples ({1000 * wave.size / SAMPLE_RATE:.0f} ms); these features need at "
            f"least {n_samples} ({1000 * n_samples / SAMPLE_RATE:.0f} ms). Drop the clip, or train with pad_short=True "
            "(--pad-short)."
        )
    return np.pad(wave, (0, n_samples - wave.size))


def scale(wave: Wave, how: Literal["peak", "rms"]) -> Wave:
    """Scale to a peak of 1, or to a root mean square of 0.1. (n,) -> (n,); silence stays silence."""
    if how not in ("peak", "rms"):
        raise AudioError(f"normalise must be 'peak' or 'rms', not {how!r}.")
    level = float(np.abs(wave).max()) if how == "peak" else float(np.sqrt(np.mean(wave**2))) / 0.1
    return wave / np.float32(level) if level > 0 else wave


def fit_length(
    wave: Wave, seconds: float = 3.0, *, crop: Literal["centre", "random"] = "centre", seed: int | None = None
) -> Wave:
    """Pad with silence at the end, or crop, to exactly ``seconds``. (n,) -> (seconds * 16 000,).

    Examples
    --------
    >>> import numpy as np
    >>> fit_length(np.ones(16_000, dtype=np.float32)).shape
    (48000,)
    """
    if crop not in ("centre", "random"):
        raise AudioError(f"crop must be 'centre' or 'random', not {crop!r}.")
    n = _n_samples(seconds)
    spare = wave.size - n
    if spare <= 0:
        return np.pad(wave, (0, -spare))
    start = spare // 2 if crop == "centre" else int(np.random.default_rng(seed).integers(spare + 1))
    return wave[start : start + n]


def segments(wave: Wave, seconds: float = 3.0, hop: float | None = None) -> npt.NDArray[np.float32]:
    """Cut into windows that cover the whole clip; the last one is padded. (n,) -> (windows, seconds * 16 000).

    Parameters
    ----------
    wave
        (n_samples,) at 16 000 Hz.
    seconds, hop
        Length of a window and distance between windows, seconds. ``hop`` defaults to ``seconds``; a longer one
        leaves gaps.
    """
    n, step = _n_samples(seconds), _n_samples(seconds if hop is None else hop)
    count = 1 + max(0, -(-(wave.size - n) // step))
    padded = np.pad(wave, (0, max(0, n + (count - 1) * step - wave.size)))
    return np.stack([padded[i * step : i * step + n] for i in range(count)])


def as_wave(clip: Any, where: str) -> Wave:
    """Path → decoded wave; array → checked wave: the two shapes in which a clip may be given."""
    if isinstance(clip, (str, os.PathLike)):
        return load(clip)
    return check_wave(clip, where)


def name_of(clip: Any, index: int) -> str:
    """How a clip is called in messages and tables: its path, or its place in the list."""
    return os.fspath(clip) if isinstance(clip, (str, os.PathLike)) else f"clip {index}"


def stored_as(path: str | os.PathLike[str]) -> Any:
    """Rate, channels, subtype and format of a file, as soundfile has them; None if libsndfile does not read it."""
    try:
        return soundfile.info(_place(path))
    except soundfile.LibsndfileError:
        return None


def _n_samples(seconds: float) -> int:
    if not 1 / SAMPLE_RATE <= seconds <= MAX_SECONDS:
        raise AudioError(f"A length must lie between one sample and {MAX_SECONDS} s; it is {seconds} s.")
    return round(seconds * SAMPLE_RATE)


def _decode(path: Path) -> Wave:
    """Decode a file."""
    try:
        if not path.exists():
            raise AudioError(f"{path}: there is no such file.")
        if not path.is_file():  # a fifo or device would block for ever
            raise AudioError(f"{path}: is {'a folder' if path.is_dir() else 'not a regular file'}, not an audio file.")
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
        never_closed = _never_closed(head, path.stat().st_size)
        source = io.BytesIO(_mended(path.read_bytes())) if never_closed else _place(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}.") from None
    if not head:
        raise AudioError(f"{path}: the file is empty (0 bytes); copy or record it again.")
    suffix = path.suffix.lower()
    if suffix == ".raw":
        raise AudioError(f"{path}: raw samples tell neither their rate nor their format; convert the file to wav.")
    if suffix in _FFMPEG_SUFFIXES:
        return _decode_with_ffmpeg(path)
    try:
        return _read(source, str(path))
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: {_explain(error, head)}", "not_audio") from None


def _never_closed(head: bytes, size: int) -> bool:
    """Whether a file is a wav whose writer died: it says that it holds 0 bytes, and holds more."""
    data = head.find(b"data\0\0\0\0")
    return head.startswith(b"RIFF") and 8 + int.from_bytes(head[4:8], "little") <= data + 8 < size


def _mended(content: bytes) -> bytes:
    """A wav that was never closed, saying that its length is not known."""
    data, unknown = content.find(b"data\0\0\0\0", 0, _HEAD), b"\xff" * 4
    return b"".join((content[:4], unknown, content[8 : data + 4], unknown, content[data + 8 :]))


def _place(path: str | os.PathLike[str]) -> str | bytes:
    """A path as libsndfile is to have it. Outside Windows as bytes: a name that is not UTF-8 is opened too."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


class _Stream(soundfile.SoundFile):
    """Read once, from start to end. soundfile seeks after every block, which a FLAC of unknown length cannot."""

    def seekable(self) -> bool:
        return False


def _read(source: Any, where: str, max_seconds: float | None = None) -> Wave:
    """Read to the true end, block by block: mean of the channels at 16 000 Hz. The header's length is only compared."""
    max_seconds = MAX_SECONDS if max_seconds is None else max_seconds
    with _Stream(source) as file:
        rate, channels = file.samplerate, file.channels
        if not RATES[0] <= rate <= RATES[1]:
            raise AudioError(
                f"{where}: claims a sample rate of {rate} Hz; it must lie between {RATES[0]} and {RATES[1]} Hz."
            )
        buffer = np.empty((max(1, _BLOCK // channels), channels), dtype=np.float32)
        resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", "HQ")
        blocks: list[Wave] = []
        total = 0
        # buffer_read_into ignores the header's frame count, which is wrong in many MP3s.
        while n := file.buffer_read_into(buffer, dtype="float32"):
            total += n
            if total > max_seconds * rate:
                raise AudioError(f"{where}: is longer than {max_seconds:.4g} s; cut it into clips first.", "too_long")
            if total * channels > max_seconds * _DENSEST:
                reason = f"has {channels} channels at {rate} Hz: too many samples for its length"
                raise AudioError(f"{where}: {reason}; mix it down first.", "too_long")
            mono = buffer[:n].mean(axis=1) if channels > 1 else buffer[:n, 0].copy()
            blocks.append(resampler.resample_chunk(mono) if resampler else mono)
        if lack := _lack(file, total):
            raise AudioError(f"{where}: is truncated: {lack} are there; copy or convert it again.", "truncated")
    if resampler and total:
        blocks.append(resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True))
    return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.float32)


def _lack(file: Any, total: int) -> str | None:
    """What is there and what the header promises, if that is more. Only uncompressed files and FLAC promise."""
    if file.format == "FLAC":  # a stream of unknown length says 2**63 - 1
        return f"{total} of {file.frames} samples" if total < file.frames < 1 << 40 else None
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
    reason = str(error).rsplit(": ", 1)[-1].strip().rstrip(".")
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the audio; fetch the real file."
    if head.startswith(b"NIST_1A"):
        return "is a NIST SPHERE file, probably compressed with shorten; convert it with sph2pipe."
    if all(byte in b"\t\n\r\x0c" or 32 <= byte < 127 for byte in head):
        return f"is text, not audio (it starts with {head[:24].decode('ascii').splitlines()[0]!r})."
    return f"cannot be decoded ({reason}); it is damaged or in a format that libsndfile does not read."


def _decode_with_ffmpeg(path: Path) -> Wave:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise AudioError(
            f"{path}: {path.suffix} needs the ffmpeg program, which is not installed. "
            "Install ffmpeg, or convert the file to wav or flac."
        )
    # A wav through a pipe, so that channels, rate and length are treated as in every other file.
    source = ["-v", "error", "-nostdin", "-protocol_whitelist", "file", "-i", f"file:{path}", "-vn"]
    limits = ["-t", str(MAX_SECONDS + 1), "-fs", str(_FFMPEG_BYTES)]
    done = subprocess.run(
        [ffmpeg, *source, *limits, "-f", "wav", "-c:a", "pcm_f32le", "-"], capture_output=True, check=False
    )
    if len(done.stdout) >= _FFMPEG_BYTES:
        raise AudioError(f"{path}: expands to more than {_FFMPEG_BYTES >> 20} MB; cut it into clips first.")
    try:
        return _read(io.BytesIO(done.stdout), str(path))
    except soundfile.LibsndfileError:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it decoded to nothing"]
        raise AudioError(f"{path}: ffmpeg cannot decode it ({lines[-1].strip()}).", "not_audio") from None
