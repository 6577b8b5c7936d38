"""Which clips are one recording, changed: fingerprints of spectral movement, matched at the best lag and speed.

A fingerprint is a spectrogram with 47 bands, ten an octave, floored 30 dB below its loudest value. Its window of
64 ms shows the harmonics, so that two takes of one sentence differ where their pitch does. Each band is compared by its
movement about its mean over half a second: level, filters and steady noise drop out. On this scale another speed is a
shift of the bands and a stretch of time, so it is searched without the recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from scipy import fft
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tqdm import tqdm

from featkit.audio import SAMPLE_RATE, Wave

Array: TypeAlias = npt.NDArray[np.float32]
Fingerprint: TypeAlias = npt.NDArray[np.uint8]
"""(frames, BANDS), 10 ms a frame, in steps of 1/8 dB above the floor."""

BANDS = 47
SPEEDS = tuple(1.02**k for k in range(-8, 9))
"""0.85 to 1.17 in steps of 2 %: "standard" of `featkit.augment` and more."""
CANDIDATE = 0.6
"""Coarse similarity from which a pair is looked at closely."""
LEAST_FRAMES = 50
"""Shorter clips (0.5 s) are not compared: a syllable is too like another."""

_WINDOW, _FFT, _HOP = 1024, 2048, SAMPLE_RATE // 100
_LOWEST, _PER_OCTAVE = 150.0, 10  # Hz; 47 bands end at 3.64 kHz: telephone speech has them too
_RANGE = 30.0  # dB
_NEAR = 401  # frames, 4 s: a short clip is found in a longer one that has louder speech elsewhere
_SOFTER = 20.0  # dB; what is softer than that is no speech
_STEPS = 8  # a dB
_SMOOTH = 51  # frames
_POOL = 4  # frames that become one in the coarse search
_TEMPLATE = 800  # frames: of a longer clip its loudest 8 s are searched for; a slightly wrong speed would drift apart
_BLOCK = 128  # clips
_CELLS = 1 << 22  # lags × pairs at a time: 32 MB
_FLAT = 1.0  # dB² per frame and band; a hum has less movement than this


class Match(NamedTuple):
    """Two clips that are one recording with ``similarity`` 0 to 1; ``a`` played at ``speed`` sounds like ``b``."""

    a: int
    b: int
    similarity: float
    speed: float


def fingerprint(wave: Wave) -> Fingerprint:
    """(n_samples,) at 16 000 Hz -> (1 + n // 160, BANDS)."""
    padded = np.pad(wave, (_WINDOW // 2, _WINDOW // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    parts = []
    for start in range(0, len(frames), 1024):  # an hour would take gigabytes
        spectra = fft.rfft(frames[start : start + 1024] * window, _FFT, axis=1)
        parts.append(10 * np.log10((spectra.real**2 + spectra.imag**2) @ _bands().T + 1e-12))
    decibel = np.concatenate(parts)
    loudest = maximum_filter1d(decibel.max(axis=1), _NEAR)
    floor = np.maximum(loudest, loudest.max() - _SOFTER) - _RANGE
    steps: Fingerprint = np.round(_STEPS * np.maximum(decibel - floor[:, None], 0)).astype(np.uint8)
    return steps


def similarity(a: Fingerprint, b: Fingerprint, speed: float = 1.0) -> float:
    """Correlation of movement at the best lag, −1 to 1, where ``a`` is played at ``speed`` times its own.

    At least half of the movement of one of the two must overlap.

    Examples
    --------
    >>> wave = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    >>> round(similarity(fingerprint(wave), fingerprint(wave[1600:])), 1)
    1.0
    """
    shared = _shared(speed)
    x, y = _movement(_warped(_decibel(a), speed))[:, shared], _movement(_decibel(b))[:, shared]
    length = fft.next_fast_len(len(x) + len(y), real=True)
    spectra = fft.rfft(x, length, axis=0).conj() * fft.rfft(y, length, axis=0)
    lags = np.arange(1 - len(x), len(y))
    products = fft.irfft(spectra.sum(axis=1), length)[lags]
    powers = []
    for part, start in ((x, -lags), (y, lags)):
        sums = np.concatenate([[0.0], np.cumsum((part.astype(np.float64) ** 2).sum(axis=1))])
        other = len(y) if part is x else len(x)
        powers.append((sums[np.minimum(len(part), start + other)] - sums[np.maximum(start, 0)], sums[-1]))
    (px, all_x), (py, all_y) = powers
    enough = ((px >= 0.5 * all_x) | (py >= 0.5 * all_y)) & (np.minimum(px, py) > 1e-6)
    found = products[enough] / np.sqrt(px[enough] * py[enough])
    return float(np.clip(found.max(), -1, 1)) if found.size else 0.0


def matches(
    prints: Sequence[Fingerprint], least: float, *, n_jobs: int | None = None, progress: bool = False
) -> list[Match]:
    """All pairs of similarity ``least`` or more, the most similar first.

    Every pair is compared at every lag and at all of `SPEEDS`, on a coarse copy of the fingerprints, in blocks of
    matrix products. What reaches `CANDIDATE` there is compared again in full, and its speed refined.

    Clips shorter than `LEAST_FRAMES`, and those in which nothing moves, are in no pair.
    """
    order = sorted((i for i, p in enumerate(prints) if _comparable(p)), key=lambda i: (len(prints[i]), i))
    whole = [_coarse(prints[i]) for i in order]
    starts = range(0, len(order), _BLOCK)
    workers = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    with threadpool_limits(1):  # the products are small: threads inside them would wait for each other
        results = workers(delayed(_search)([prints[i] for i in order[s : s + _BLOCK]], whole, s) for s in starts)
        bar = tqdm(results, total=len(starts), desc="compare", unit="block", disable=not progress, leave=False)
        pairs = [(order[i], order[j], speed) for found in bar for i, j, speed in found]
        near = workers(delayed(_refined)(prints, *pair) for pair in pairs)
        bar = tqdm(near, total=len(pairs), desc="look closely", unit="pair", disable=not progress, leave=False)
        found = [match for match in bar if match.similarity >= least]
    return sorted(found, key=lambda match: (-match.similarity, match.a, match.b))


def _search(templates: Sequence[Fingerprint], whole: Sequence[Array], first: int) -> list[tuple[int, int, float]]:
    """Candidates: clips ``first`` and on against all that are as long or longer. -> places of both, speed"""
    excerpts = [_excerpt(template) for template in templates]
    varied = [[_coarse(excerpt, speed) for excerpt in excerpts] for speed in SPEEDS]
    longest = max(len(x) for row in varied for x in row)
    found = []
    for block in _chunks(whole, first, longest, len(templates)):
        length = fft.next_fast_len(longest + max(len(x) for x in whole[block]), real=True)
        spectra, energy = _spectra(whole[block], length)
        scores = np.stack([_scores(*_spectra(row, length), spectra, energy, length) for row in varied])
        best = scores.max(axis=0)
        for i, j in np.argwhere(best >= CANDIDATE).tolist():
            if i < block.start - first + j:  # each pair once, and none with itself
                found.append((first + i, block.start + j, SPEEDS[scores[:, i, j].argmax()]))
    return found


def _chunks(whole: Sequence[Array], first: int, longest: int, n_templates: int) -> Iterator[slice]:
    """Clips from ``first`` on in pieces whose products with all templates fit into memory."""
    start = first
    while start < len(whole):
        stop = start + 1
        while stop < len(whole) and (longest + len(whole[stop])) * (stop + 1 - start) * n_templates <= _CELLS:
            stop += 1
        yield slice(start, stop)
        start = stop


def _spectra(clips: Sequence[Array], length: int) -> tuple[npt.NDArray[np.complex64], Array]:
    """Spectra along time and energies. -> (length // 2 + 1, clips, bands), (clips,)"""
    padded = np.zeros((length, len(clips), clips[0].shape[1]), dtype=np.float32)
    for i, clip in enumerate(clips):
        padded[: len(clip), i] = clip
    return fft.rfft(padded, axis=0), np.square(padded).sum(axis=(0, 2))


def _scores(own: npt.NDArray[np.complex64], own_energy: Array, other: Any, other_energy: Array, length: int) -> Array:
    """Products at the best lag, relative to the smaller energy: a part of a clip is found. -> (own, other)"""
    products = fft.irfft(np.matmul(own.conj(), np.ascontiguousarray(other.transpose(0, 2, 1))), length, axis=0).max(
        axis=0
    )
    scores: Array = products / np.minimum(own_energy[:, None], other_energy)
    return scores


def _refined(prints: Sequence[Fingerprint], a: int, b: int, speed: float) -> Match:
    """The pair in full, at the speed near ``speed`` that fits best: steps of 1 %, then half of the last step."""
    template = _excerpt(prints[a])
    tried = {one: similarity(template, prints[b], one) for one in (1.0, speed)}
    step = 0.01
    while step > 0.001 and 0.6 < max(tried.values()) < 0.998:
        best = max(tried, key=tried.__getitem__)
        for other in (best - step, best + step):
            tried[other] = similarity(template, prints[b], other)
        step /= 2
    best = max(tried, key=tried.__getitem__)
    return Match(a, b, tried[best], best)


def _comparable(print_: Fingerprint) -> bool:
    """Long enough, and something moves in it."""
    return len(print_) >= LEAST_FRAMES and float(np.mean(_movement(_decibel(print_)) ** 2)) >= _FLAT


def _excerpt(print_: Fingerprint) -> Fingerprint:
    """The 8 s in which most moves, or all of a shorter clip."""
    if len(print_) <= _TEMPLATE:
        return print_
    sums = np.cumsum(np.square(_movement(_decibel(print_))).sum(axis=1))
    start = int(np.argmax(sums[_TEMPLATE:] - sums[:-_TEMPLATE])) + 1
    return print_[start : start + _TEMPLATE]


def _coarse(print_: Fingerprint, speed: float = 1.0) -> Array:
    """Movement with a fourth of the frames and half of the bands, at another speed. -> (frames / 4 / speed, 24)

    Without what moves in all bands alike: that is the rhythm of the sentence, which its takes share.
    """
    n = -(-len(print_) // _POOL)
    decibel = np.zeros((n * _POOL, BANDS), dtype=np.float32)
    decibel[: len(print_)] = _decibel(print_)
    moved = _movement(_warped(decibel.reshape(n, _POOL, BANDS).mean(axis=1), speed), _SMOOTH // _POOL)
    moved -= moved.mean(axis=1, keepdims=True)
    pairs = np.pad(moved, ((0, 0), (0, 1))).reshape(len(moved), -1, 2)
    halved: Array = pairs.mean(axis=2)
    return halved


def _decibel(print_: Fingerprint) -> Array:
    decibel: Array = print_.astype(np.float32) / np.float32(_STEPS)
    return decibel


def _movement(decibel: Array, frames: int = _SMOOTH) -> Array:
    """Each band about its mean over half a second; a clip goes on beyond its ends as it is there. -> same shape"""
    smooth: Array = uniform_filter1d(decibel, frames, axis=0, mode="nearest")
    return decibel - smooth


def _warped(decibel: Array, speed: float) -> Array:
    """As if played ``speed`` times as fast. (frames, BANDS) -> (frames / speed, BANDS)"""
    if speed == 1 or len(decibel) < 2:
        return decibel
    time = np.arange(0, len(decibel) - 1, speed)
    i = time.astype(int)
    part = (time - i)[:, None].astype(np.float32)
    faster = decibel[i] * (1 - part) + decibel[i + 1] * part
    band = np.clip(np.arange(BANDS) - _PER_OCTAVE * math.log2(speed), 0, BANDS - 1)
    j = np.minimum(band.astype(int), BANDS - 2)
    part = (band - j).astype(np.float32)
    moved: Array = (faster[:, j] * (1 - part) + faster[:, j + 1] * part) * _shared(speed)
    return moved


def _shared(speed: float) -> npt.NDArray[np.bool_]:
    """Bands that are within the range both before and after a change of speed. -> (BANDS,)"""
    band = np.arange(BANDS) - _PER_OCTAVE * math.log2(speed)
    inside: npt.NDArray[np.bool_] = (band >= 0) & (band <= BANDS - 1)
    return inside


@cache
def _bands() -> Array:
    """Triangles ten an octave, none narrower than the window can resolve, of sum 1. -> (BANDS, bins)"""
    edges = _LOWEST * 2 ** (np.arange(-1, BANDS + 1) / _PER_OCTAVE)
    bins, width, centre = np.arange(_FFT // 2 + 1) * SAMPLE_RATE / _FFT, SAMPLE_RATE / _WINDOW, edges[1:-1, None]
    low, high = np.minimum(edges[:-2, None], centre - width), np.maximum(edges[2:, None], centre + width)
    weights = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    bands: Array = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return bands
