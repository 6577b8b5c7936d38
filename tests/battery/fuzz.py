"""Files with wrong bytes in them, read one after the other: python fuzz.py FIRST LAST. Says which one it is at."""

from __future__ import annotations

import contextlib
import resource
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from battery.kinds import encoded, sound

from featkit import audio
from featkit.errors import AudioError
from featkit.quality import flags

MEMORY = 3 << 30
"""Bytes of address space, libraries included: more is a header that was believed."""

_CODECS = (
    ("WAV", "PCM_16"), ("WAV", "MS_ADPCM"), ("WAV", "GSM610"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("CAF", "ALAC_16"),
    ("W64", "PCM_16"), ("RF64", "PCM_16"), ("NIST", "PCM_16"), ("VOC", "PCM_16"), ("MAT5", "FLOAT"),
)  # fmt: skip


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Up to eight changes, most of them within the first 200 bytes, where headers are."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        end = len(changed) if rng.random() < 0.3 else min(200, len(changed))
        place, kind = int(rng.integers(end)), rng.integers(5)
        if kind == 0:
            changed[place] = int(rng.integers(256))
        elif kind == 1:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:  # the extremes of four bytes
            changed[place : place + 4] = rng.choice(
                [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"]
            )
        elif kind == 3:
            del changed[place : place + int(rng.integers(1, 40))]
        else:
            changed[place:place] = changed[: int(rng.integers(1, 40))]
        if not changed:
            return b"\0"
    return bytes(changed)


def one(data: bytes, path: Path) -> str:
    """The answer of the door; where a file and bytes in memory are both accepted, to the same samples."""
    path.write_bytes(data)
    try:
        wave, stored = audio.read(path)
    except AudioError as error:
        assert str(error).startswith(f"{path}: "), error  # noqa: PT017
        return error.code
    assert np.isfinite(wave).all()
    flags(wave, stored)
    with contextlib.suppress(AudioError):  # libsndfile takes some damaged headers from a disk only
        np.testing.assert_array_equal(audio.decode(data), wave)
    return "accepted"


def main(first: int, last: int) -> None:
    """Number ``first`` to ``last``; each has its own seed, so that one can be looked at alone."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("error")
    seeds = [encoded(sound(seconds=0.3), format=container, subtype=codec) for container, codec in _CODECS]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            print(number, end=" ", flush=True)
            rng = np.random.default_rng(number)
            print(one(mutated(seeds[number % len(seeds)], rng), Path(folder) / "clip"), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
