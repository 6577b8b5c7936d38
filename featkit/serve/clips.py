"""Bytes of an upload → wave, or a refusal. Decoded in memory, by libsndfile alone, never further than allowed."""

from __future__ import annotations

import re

from featkit.audio import Wave, read_bytes
from featkit.errors import AudioError
from featkit.quality import flags
from featkit.serve.refusals import RequestError

_HERE = "the clip"
_STATUS = {"not_audio": 415, "too_long": 413, "truncated": 422}

FORMATS = "wav, flac, ogg, opus, mp3, aiff, au or caf"
"""What is read."""

# featkit's advice is for whoever has Python and a command line; a client of the API has an upload.
_SAID_HERE = (
    (r"in a format that libsndfile does not read\.", f"in another format than {FORMATS}."),
    (r"scale integers by featkit\.audio\.to_wave.*\.", "scale them to that range, or store them as integers."),
    (r": 1 of (\d+ \w+) are there", r": 1 of \1 is there"),
)


def decode(content: bytes, max_seconds: float) -> tuple[Wave, list[str]]:
    """An upload as `featkit.audio.read` reads a file: the same samples, and the flags of its quality.

    Parameters
    ----------
    content
        A whole file: wav, flac, ogg, opus, mp3, aiff, au, caf.
    max_seconds
        What is longer is refused while it is decoded.

    Returns
    -------
    (n_samples,) float32, mono, at 16 000 Hz, and what is odd about the clip, as `featkit.quality.flags` says it.

    Raises
    ------
    RequestError
        400 empty, 413 too long, 415 no audio, 422 audio that is no clip: truncated, silent, not finite.
    """
    if not content:
        raise RequestError(400, "empty", "The file is empty (0 bytes); send an audio file.")
    try:
        wave, stored = read_bytes(content, _HERE, max_seconds=max_seconds)
    except AudioError as error:
        if error.code not in _STATUS:
            raise unusable(error) from None
        raise RequestError(_STATUS[error.code], error.code, f"The clip {_reason(error)}") from None
    return wave, flags(wave, stored)


def unusable(error: Exception) -> RequestError:
    """An error of featkit about a clip, as an answer to the one who sent it."""
    return RequestError(422, "unusable", f"The clip cannot be used: {_reason(error)}")


def _reason(error: Exception) -> str:
    text = str(error)
    for where in (f"{_HERE}: ", "clip 0: "):
        text = text.removeprefix(where)
    for pattern, here in _SAID_HERE:
        text = re.sub(pattern, here, text)
    return text
