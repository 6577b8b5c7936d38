"""Bytes of an upload → wave. Decoded in memory, by libsndfile alone, never further than allowed."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from featkit import audio
from featkit.audio import SAMPLE_RATE, Wave
from featkit.errors import AudioError
from featkit.serve.refusals import RequestError

RATES = (1_000, 384_000)
"""Hz, the lowest and highest rate an upload may claim."""

MAX_SAMPLES = 400_000
"""For each second that is allowed, over all channels: stereo at 192 kHz. Decoding costs by samples, not by seconds."""

_BLOCK = 1 << 16  # samples decoded at a time
_HERE = "the clip"


def decode(content: bytes, max_seconds: float) -> Wave:
    """Decode an upload as `featkit.audio.load` decodes a file: the same samples, but of memory and with a limit.

    Rate conversion runs block by block, so memory grows with seconds and not with what a header claims.

    Parameters
    ----------
    content
        A whole file: wav, flac, ogg, opus, mp3, aiff, au, caf.
    max_seconds
        What is longer is refused while it is decoded.

    Returns
    -------
    (n_samples,) float32, mono, at 16 000 Hz.

    Raises
    ------
    RequestError
        400 empty, 413 too long, 415 no audio, 422 audio that is no clip: truncated, silent, not finite.
    """
    if not content:
        raise RequestError(400, "empty", "The body is empty (0 bytes); send an audio file.")
    try:
        with audio._Stream(io.BytesIO(_mended(content))) as file:
            wave, total = _read(file, max_seconds)
            lack = audio._lack(file, total)
    except soundfile.LibsndfileError as error:
        told = audio._explain(error, content[:512])
        raise RequestError(415, "not_audio", f"The clip {told}") from None
    if lack:
        raise RequestError(422, "truncated", f"The clip is truncated: {lack} are there; copy or convert it again.")
    try:
        return audio.check_wave(wave, _HERE)
    except AudioError as error:
        raise unusable(error) from None


def unusable(error: Exception) -> RequestError:
    """An error of featkit about a clip, as an answer to the one who sent it."""
    text = str(error)
    for where in (f"{_HERE}: ", "clip 0: "):
        text = text.removeprefix(where)
    return RequestError(422, "unusable", f"The clip cannot be used: {text}")


def _mended(content: bytes) -> bytes:
    """A wav that was never closed says it holds 0 bytes: let it say that its length is not known."""
    data = content.find(b"data\0\0\0\0", 0, 512)
    if not (content.startswith(b"RIFF") and 8 + int.from_bytes(content[4:8], "little") <= data + 8 < len(content)):
        return content
    unknown = b"\xff" * 4
    return b"".join((content[:4], unknown, content[8 : data + 4], unknown, content[data + 8 :]))


def _read(file: Any, max_seconds: float) -> tuple[Wave, int]:
    """To the true end, block by block: mean of the channels at 16 000 Hz, and how many samples were read."""
    rate = file.samplerate
    if not RATES[0] <= rate <= RATES[1]:
        reason = f"The clip claims a sample rate of {rate} Hz; it must lie between {RATES[0]} and {RATES[1]} Hz."
        raise RequestError(422, "unusable", reason)
    buffer = np.empty((max(1, _BLOCK // file.channels), file.channels), dtype=np.float32)
    resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", "HQ")
    blocks: list[npt.NDArray[np.float32]] = []
    total = 0
    while n := file.buffer_read_into(buffer, dtype="float32"):
        total += n
        if total > max_seconds * min(rate, MAX_SAMPLES / file.channels):
            reason = f"The clip holds more than the {max_seconds:.4g} s of audio that are allowed."
            if total <= max_seconds * rate:
                reason = f"The clip has {file.channels} channels at {rate} Hz: too many samples for its length."
            raise RequestError(413, "too_long", reason)
        mono = buffer[:n].mean(axis=1) if file.channels > 1 else buffer[:n, 0].copy()
        blocks.append(resampler.resample_chunk(mono) if resampler else mono)
    if resampler and total:
        blocks.append(resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True))
    return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.float32), total
