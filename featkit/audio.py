"""Any file or array → wave: (n_samples,) float32, mono, −1 to 1, at 16 000 Hz. The door by which all audio enters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import soxr

from featkit.decoding import MAX_CHANNELS as MAX_CHANNELS
from featkit.decoding import MAX_SECONDS as MAX_SECONDS
from featkit.decoding import RATES as RATES
from featkit.decoding import SAMPLE_RATE as SAMPLE_RATE
from featkit.decoding import Stored as Stored
from featkit.decoding import Wave as Wave
from featkit.decoding import decode_bytes, decode_file, shown
from featkit.errors import AudioError

_LOUDEST = 1_000  # float recordings may exceed 1 by a few times; beyond this they are integers that nobody scaled


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
    wave = read(path)[0]
    if normalise is not None:
        wave = scale(wave, normalise)
    return wave if seconds is None else fit_length(wave, seconds)


def read(path: str | os.PathLike[str]) -> tuple[Wave, Stored]:
    """As `load`, and how the file stores what it holds, for `featkit.quality.flags`. Decodes once."""
    return _checked(*decode_file(Path(path), MAX_SECONDS), shown(path))


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
    return read_bytes(content, where, max_seconds=max_seconds)[0]


def read_bytes(content: bytes, where: str = "the clip", *, max_seconds: float | None = None) -> tuple[Wave, Stored]:
    """As `decode`, and how the file stores what it holds. Decodes once."""
    return _checked(*decode_bytes(content, where, MAX_SECONDS if max_seconds is None else max_seconds), where)


def _checked(wave: Wave, stored: Stored, where: str) -> tuple[Wave, Stored]:
    if stored.channels > 1 and any(stored.levels) and not wave.any():
        raise AudioError(f"{where}: its {stored.channels} channels cancel each other: their mean is silence.")
    return check_wave(wave, where), stored


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
        first = array.ndim == 2 and array.shape[0] <= MAX_CHANNELS
        advice = " Here the channels come first: give samples.T." if first else ""
        shape = f"(n,) or (n, 1 to {MAX_CHANNELS} channels)"
        raise AudioError(f"Samples must have shape {shape}; these have {array.shape}.{advice}")
    if array.dtype.kind not in "fiu":
        raise AudioError(f"Samples must be floats or integers; these are {array.dtype}.")
    try:
        known = RATES[0] <= rate <= RATES[1]
    except TypeError:
        known = False
    if not known:
        raise AudioError(f"The sample rate is {rate!r} Hz; it must lie between {RATES[0]} and {RATES[1]} Hz.")
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
    _require_mono(array, where)
    if array.size == 0:
        raise AudioError(f"{where}: holds 0 samples; remove it or record it again.")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told below
        array = np.ascontiguousarray(array, dtype=np.float32)
    low, high = float(array.min()), float(array.max())  # NaN, if one is in there; and no second array
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(array.size - np.isfinite(array).sum())
        told = f"{bad} of {array.size} samples {'is' if bad == 1 else 'are'} not finite (NaN or inf)"
        raise AudioError(f"{where}: {told}; repair or drop the clip.")
    if low == high == 0:
        told = "its only sample is" if array.size == 1 else f"all {array.size} samples are"
        raise AudioError(f"{where}: {told} zero (digital silence); drop the clip.")
    if (peak := max(-low, high)) > (1 if whole else _LOUDEST):
        scaled = "scale integers by featkit.audio.to_wave"
        if not whole:  # which it takes as they are
            scaled += f", divide floats by {32_768 if peak <= 32_768 else 2**31}"
        raise AudioError(f"{where}: samples reach {peak:.6g}, a wave −1 to 1; {scaled}.")
    return array


def _require_mono(wave: npt.NDArray[Any], where: str = "the clip") -> None:
    if wave.ndim != 1:
        raise AudioError(
            f"{where}: a wave is one-dimensional, mono; this one has shape {wave.shape}. Samples of a recording become "
            "one by featkit.audio.to_wave(samples, rate)."
        )


def at_least(wave: Wave, n_samples: int, pad: bool, where: str = "the clip") -> Wave:
    """Return ``wave`` if it has ``n_samples``; else append silence (``pad``) or refuse."""
    if wave.size >= n_samples:
        return wave
    if not pad:
        length = round(1000 * wave.size / SAMPLE_RATE, 1)
        raise AudioError(
            f"{where}: has {wave.size} samples ({length:g} ms); these features need at "
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
    _require_mono(wave)
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
    if isinstance(clip, tuple):  # samples and rate, as other libraries give them
        raise AudioError(
            f"{where}: is a tuple; a clip is a path or a wave at 16 000 Hz, which featkit.audio.to_wave(samples, rate) "
            "makes."
        )
    if isinstance(clip, bytes | bytearray | memoryview) or hasattr(clip, "read"):
        raise AudioError(
            f"{where}: is {type(clip).__name__}, the content of a file, of which featkit.audio.decode(content) makes "
            "a wave."
        )
    return check_wave(clip, where)


def name_of(clip: Any, index: int) -> str:
    """How a clip is called in messages and tables: its path, or its place in the list."""
    return os.fspath(clip) if isinstance(clip, (str, os.PathLike)) else f"clip {index}"


def _n_samples(seconds: float) -> int:
    if not 1 / SAMPLE_RATE <= seconds <= MAX_SECONDS:
        raise AudioError(f"A length must lie between one sample and {MAX_SECONDS} s; it is {seconds} s.")
    return round(seconds * SAMPLE_RATE)
