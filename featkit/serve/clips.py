"""Bytes of an upload → wave, or a refusal. Decoded in memory, by libsndfile alone, never further than allowed."""

from __future__ import annotations

from featkit import audio
from featkit.audio import Wave
from featkit.errors import AudioError
from featkit.serve.refusals import RequestError

_HERE = "the clip"
_STATUS = {"not_audio": 415, "too_long": 413, "truncated": 422}


def decode(content: bytes, max_seconds: float) -> Wave:
    """An upload as `featkit.audio.decode` decodes it.

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
        return audio.decode(content, _HERE, max_seconds=max_seconds)
    except AudioError as error:
        if error.code not in _STATUS:
            raise unusable(error) from None
        raise RequestError(_STATUS[error.code], error.code, f"The clip {_reason(error)}") from None


def unusable(error: Exception) -> RequestError:
    """An error of featkit about a clip, as an answer to the one who sent it."""
    return RequestError(422, "unusable", f"The clip cannot be used: {_reason(error)}")


def _reason(error: Exception) -> str:
    text = str(error)
    for where in (f"{_HERE}: ", "clip 0: "):
        text = text.removeprefix(where)
    return text
