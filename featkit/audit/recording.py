"""What is measured of each recording, once: hash, level, silence, file kind, fingerprint. No wave is kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from featkit.audio import SAMPLE_RATE, Stored, Wave, check_wave, read
from featkit.audit.fingerprint import Fingerprint, fingerprint
from featkit.errors import AudioError
from featkit.quality import STEP, clipped, ends, offset

_FAINT = 1e-3  # of the peak, −60 dB: what counts as silence before and after speech


class Kind(NamedTuple):
    """How a recording is stored. Rate and channels are 0 where libsndfile does not read the file."""

    rate: int
    channels: int
    subtype: str
    format: str

    def __str__(self) -> str:
        return f"{self.rate} Hz, {self.channels} ch, {self.subtype} {self.format}" if self.rate else self.format


@dataclass(frozen=True, eq=False)
class Recording:
    """Measurements of one clip, decoded to 16 kHz mono."""

    digest: str
    """Hash of the samples: another container, name or lossless code has the same."""
    seconds: float
    peak: float
    rms: float
    offset: float
    """Absolute mean of the samples relative to their RMS."""
    clipped: float
    """Share of samples that lie in runs at full scale."""
    lead: float
    trail: float
    """Seconds below −60 dB of the peak at the start and at the end."""
    zeros: tuple[float, float]
    """Seconds of digital silence at the start and at the end."""
    kind: Kind | None
    """None where the clip is no file."""
    print_: Fingerprint | None
    """None where it was not asked for."""


def measure(wave: Wave, kind: Kind | None = None, prints: bool = True) -> Recording:
    """Measure a wave. (n_samples,) at 16 000 Hz."""
    size = np.abs(wave)
    peak, rms = float(size.max()), float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
    lead, trail = ends(size >= _FAINT * peak)
    return Recording(
        digest=hashlib.sha256((wave + np.float32(0)).tobytes()).hexdigest(),  # −0 becomes 0
        seconds=wave.size / SAMPLE_RATE,
        peak=peak,
        rms=rms,
        offset=offset(wave),
        clipped=clipped(size),
        lead=lead,
        trail=trail,
        zeros=ends(size >= STEP),
        kind=kind,
        print_=fingerprint(wave) if prints else None,
    )


def measure_all(
    clips: Sequence[Any], files: Sequence[str], *, prints: bool = True, n_jobs: int | None = None,
    progress: bool = False,
) -> list[Recording | AudioError]:  # fmt: skip
    """Measure clips (paths or waves), named by ``files``, one by one; one that cannot be used has its error instead."""
    # As in extraction: decoding and FFTs release the GIL, and threads start at once.
    workers = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    results = workers(delayed(_one)(clip, file, prints) for clip, file in zip(clips, files, strict=True))
    return list(tqdm(results, total=len(files), desc="listen", unit="clip", disable=not progress, leave=False))


def _one(clip: Any, where: str, prints: bool) -> Recording | AudioError:
    try:
        if not isinstance(clip, (str, os.PathLike)):
            return measure(check_wave(clip, where), None, prints)
        wave, stored = read(clip)
        return measure(wave, _kind(stored), prints)
    except AudioError as error:
        return error


def _kind(stored: Stored) -> Kind:
    if stored.subtype == "ffmpeg":
        return Kind(0, 0, "", stored.format)
    return Kind(stored.rate, stored.channels, stored.subtype, stored.format)
