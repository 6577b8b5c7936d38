"""Whole files in every container, codec, rate and number of channels that libsndfile reads."""

from __future__ import annotations

import numpy as np
import soundfile
from battery.kinds import Kind, content, encoded, named, sound, written

# Layers I and II, MP3 in a wav and 12 bits of DWVW can only be read.
_NOT_WRITTEN = {("MP3", "MPEG_LAYER_I"), ("MP3", "MPEG_LAYER_II"), ("WAV", "MPEG_LAYER_III"), ("AIFF", "DWVW_12")}
_UNCHECKED = {"AVR", "MAT5", "PAF", "PVF", "IRCAM", "WVE", "SD2"}
_REFUSED = {
    "XI": r"an instrument \(XI\) does not tell its rate; convert the file to wav",
    "MPC2K": "an MPC 2000 sample is known by two bytes only",
    "SDS": r"a MIDI sample dump \(SDS\) does not tell whether it is whole",
}
# Telephone codecs, and 8 bits a sample or fewer: how far the level of the tone may be off, as a share.
_COARSE = {
    "GSM610": 0.2, "IMA_ADPCM": 0.05, "MS_ADPCM": 0.05, "G721_32": 0.05, "G723_24": 0.1, "G723_40": 0.05,
    "NMS_ADPCM_16": 0.2, "NMS_ADPCM_24": 0.1, "NMS_ADPCM_32": 0.05, "VORBIS": 0.05, "OPUS": 0.05,
    "MPEG_LAYER_III": 0.05,
}  # fmt: skip
# What encoders append, at most: a block.
_PADDED = {"IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "G723_24", "G723_40"}


_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 24, "FLOAT": 24, "DOUBLE": 24}
_BITS |= {"ALAC_16": 16, "ALAC_20": 20, "ALAC_24": 24, "ALAC_32": 24, "DWVW_16": 16, "DWVW_24": 24}


def _codec(container: str, codec: str) -> Kind:
    rate = 8000 if container == "WVE" else 16_000
    flags = (*(("narrow",) if rate < 16_000 else ()), *(("unchecked",) if container in _UNCHECKED else ()))
    return Kind(
        f"{container}-{codec}".lower(),
        written(named(container), rate=rate, format=container, subtype=codec),
        _REFUSED.get(container, ""),
        flags=flags,
        hz=1008 if (container, codec) == ("VOC", "PCM_U8") else 1000,  # its rates are 1 MHz over a whole number
        tolerance=_COARSE.get(codec, 0.02),
        error=2.0 ** (2 - _BITS[codec]) if codec in _BITS and container != "VOC" else None,
        slack=0.08 if codec in _PADDED or container == "VOC" else 0.001,
    )


def _rate(rate: int) -> Kind:
    hz = 1000 if rate >= 4000 else 200
    narrow = ("narrow",) if rate < 16_000 else ()
    return Kind(f"{rate}-hz", written("clip.wav", sound(rate, hz=hz), rate), flags=narrow, hz=hz)


def _channels(n: int) -> Kind:
    return Kind(f"{n}-channels", written("clip.wav", np.repeat(sound()[:, None], n, axis=1), subtype="FLOAT"))


def _lossy(container: str, codec: str, rate: int) -> Kind:
    flags = ("narrow",) if rate < 16_000 else ()
    make = written(named(container), rate=rate, format=container, subtype=codec)
    return Kind(f"{codec}-{rate}-hz".lower(), make, flags=flags, tolerance=0.05)


def _two(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


_other = sound(hz=310, level=0.3)
_tone = sound()

KINDS = [
    *(
        _codec(container, codec)
        for container in soundfile.available_formats()
        if container != "RAW"
        for codec in soundfile.available_subtypes(container)
        if (container, codec) not in _NOT_WRITTEN
    ),
    *map(
        _rate, (1000, 2000, 4000, 8000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)
    ),
    *map(_channels, (1, 2, 3, 4, 5, 6, 7, 8, 64)),
    *(_lossy("MP3", "MPEG_LAYER_III", rate) for rate in (8000, 22_050, 44_100, 48_000)),
    *(_lossy("OGG", "OPUS", rate) for rate in (8000, 12_000, 24_000, 48_000)),
    *(_lossy("OGG", "VORBIS", rate) for rate in (8000, 44_100, 96_000)),
    Kind("aiff-named-wav", content("clip.wav", lambda: encoded(format="AIFF"))),
    Kind("flac-named-mp3", content("clip.mp3", lambda: encoded(format="FLAC"))),
    Kind("mp3-named-wav", content("clip.wav", lambda: encoded(format="MP3")), tolerance=0.05),
    Kind(
        "65-channels",
        written("clip.wav", np.repeat(_tone[:500, None], 65, axis=1)),
        "claims 65 channels; 64 are the most",
    ),
    Kind("one-channel-silent", written("clip.wav", _two(_tone, 0 * _tone)), flags=("channels",), level=0.2),
    Kind("channels-differ", written("clip.wav", _two(_tone, _other)), flags=("channels",), level=0.2, tolerance=0.05),
    Kind("channels-nearly-cancel", written("clip.wav", _two(_tone, -0.9 * _tone)), flags=("channels",), level=0.02),
    Kind(
        "channels-cancel", written("clip.wav", _two(_tone, -_tone), subtype="FLOAT"), "its 2 channels cancel each other"
    ),
]
