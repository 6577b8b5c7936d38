"""What the audit finds of copies, and how near other clips come.

python benchmarks/copies.py emodb:PATH ravdess:PATH
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import click
import numpy as np
import soundfile
import soxr

from featkit.audio import Wave, load
from featkit.audit.copies import NEAR_TWIN
from featkit.audit.fingerprint import fingerprint, matches
from featkit.augment import find_augment
from featkit.corpus import read_corpus
from featkit.tables import markdown

CLIPS = 60


def coded(wave: Wave, **stored: str) -> Wave:
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1, 1), 16_000, **stored)
    file.seek(0)
    decoded: Wave = soundfile.read(file, dtype="float32")[0]
    return decoded


def varied(plan: str) -> Callable[[Wave], Wave]:
    return lambda wave: find_augment(plan).copies(wave, 1)[0]


def played(wave: Wave, speed: float) -> Wave:
    changed: Wave = soxr.resample(wave, 16_000 * speed, 16_000).astype(np.float32)
    return changed


def through(wave: Wave, rate: int) -> Wave:
    changed: Wave = soxr.resample(soxr.resample(wave, 16_000, rate), rate, 16_000).astype(np.float32)
    return changed


def full(wave: Wave) -> Wave:
    louder: Wave = (wave * (0.9 / np.abs(wave).max())).astype(np.float32)
    return louder


COPIES: dict[str, Callable[[Wave], Wave]] = {
    "0.2 s and 0.3 s cut off": lambda w: w[3_200:-4_800],
    "last third cut off": lambda w: w[: 2 * w.size // 3],
    "middle half": lambda w: w[w.size // 4 : 3 * w.size // 4],
    "0.3 s later": lambda w: np.append(np.zeros(4_800, np.float32), w),
    "20 dB softer": lambda w: w / np.float32(10),
    "noise at 30 dB": varied("noise:snr=30,spread=0"),
    "noise at 20 dB": varied("noise:snr=20,spread=0"),
    "noise at 10 dB": varied("noise:snr=10,spread=0"),
    "u-law": lambda w: coded(w, format="WAV", subtype="ULAW"),
    "8 bits, peak at 0.9": lambda w: coded(full(w), format="WAV", subtype="PCM_U8"),
    "8 bits, as recorded": lambda w: coded(w, format="WAV", subtype="PCM_U8"),
    "8 kHz and back": lambda w: through(w, 8_000),
    "low-pass at 3.4 kHz": lambda w: through(w, 6_800),
    "MP3": lambda w: coded(w, format="MP3"),
    "Vorbis": lambda w: coded(w, format="OGG", subtype="VORBIS"),
    "clipped by 12 dB": lambda w: np.clip(4 * full(w), -1, 1),
    "2 % faster": lambda w: played(w, 1.02),
    "15 % slower": lambda w: played(w, 0.85),
    "augmented: standard": varied("standard"),
    "augmented: speed+noise+gain+shift": varied("speed+noise+gain+shift"),
    "11 % faster, 0.15 s and 0.25 s cut off": lambda w: played(w, 1.11)[2_400:-4_000],
    "augmented: room": varied("room"),
    "augmented: pitch": varied("pitch"),
    "treble raised: w[n] - 0.97 w[n-1]": lambda w: np.append(w[:1], w[1:] - 0.97 * w[:-1]),
}


@click.command()
@click.argument("corpora", nargs=-1, required=True)
def main(corpora: tuple[str, ...]) -> None:
    """Print both tables for the CORPORA named."""
    for spec in corpora:
        corpus = read_corpus(spec)
        waves = [load(file) for file in corpus.files]
        chosen = np.random.default_rng(0).choice(len(waves), min(CLIPS, len(waves)), replace=False)
        print(f"\n{corpus.name}: {len(chosen)} clips and a copy of each, all pairs compared\n")
        print(markdown([row(kind, change, [waves[i] for i in chosen]) for kind, change in COPIES.items()]))
        start, cpu = time.perf_counter(), time.process_time()
        found = matches([fingerprint(wave) for wave in waves], 0, n_jobs=2)
        spent = f"{time.perf_counter() - start:.0f} s, {time.process_time() - cpu:.0f} CPU s"
        print(f"\n{len(waves)} clips, {len(waves) * (len(waves) - 1) // 2} pairs in {spent}. The nearest:\n")
        for match in found[:5]:
            print(f"{match.similarity:.3f}  {corpus.files[match.a]}  {corpus.files[match.b]}")


def row(kind: str, change: Callable[[Wave], Wave], waves: list[Wave]) -> dict[str, str]:
    """Similarities of one kind of copy with their originals; a pair that the search loses counts as 0."""
    n = len(waves)
    prints = [fingerprint(wave) for wave in [*waves, *map(change, waves)]]
    own = np.zeros(n)
    false = 0
    for match in matches(prints, 0, n_jobs=2):
        if abs(match.a - match.b) == n:
            own[min(match.a, match.b)] = match.similarity
        else:
            false += match.similarity >= NEAR_TWIN
    return {
        "copy": kind,
        "found": f"{np.sum(own >= NEAR_TWIN)} of {n}",
        "lowest": f"{own.min():.3f}",
        "median": f"{np.median(own):.3f}",
        "false": str(false),
    }


if __name__ == "__main__":
    main()
