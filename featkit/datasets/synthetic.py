"""Speech made by code: a source-filter synthesiser that speaks nonsense sentences in seven emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile
from scipy import ndimage

from featkit.audio import SAMPLE_RATE, Wave
from featkit.datasets.base import Clip, Dataset
from featkit.errors import DataError
from featkit.files import cache_folder, replacing

Array: TypeAlias = npt.NDArray[np.float64]
Response: TypeAlias = npt.NDArray[np.complex128]

VERSION = 1
"""Raise it with every change that can be heard: it is in the path of the clips, so that none is stale."""

SENTENCES = (
    "nekal ibam sud molen",
    "hat sundig pron ju venzi",
    "fi got laS jonkil goster",
    "kun se mina lod belam",
    "toka refid manu wesal",
    "Silmo dapu lerin zovat",
)
"""Nonsense, one letter a sound (S as in *ship*), so no word gives an emotion away (Banse & Scherer 1996)."""


class Cues(NamedTuple):
    """How a voice sounds, in units that add up: speaker, emotion and take each contribute a summand."""

    f0: float = 0  # mean pitch, semitones
    span: float = 0  # height of the pitch accents, octaves (factors of two)
    rate: float = 0  # sounds per second, octaves
    energy: float = 0  # level, dB
    jitter: float = 0  # change of length from period to period, octaves
    shimmer: float = 0  # change of amplitude from period to period, octaves
    tilt: float = 0  # loss at 3 kHz, high in a lax voice and low in a tense one, dB
    breath: float = 0  # aspiration noise, dB
    rise: float = 0  # pitch movement at the end, semitones
    jaw: float = 0  # the first formant rises as the jaw opens, octaves
    tract: float = 0  # all formants rise as the vocal tract shortens, octaves


# fmt: off
#                 f0  span   rate energy jitter shimmer tilt breath rise   jaw tract
NEUTRAL   = Cues( 0,  1.6,   0,   -27,   -6.6,  -4.4,   9,   -20,   -2,   0,    0)
"""The male voice that all others depart from: f0 re 115 Hz, energy re full scale, breath re the pulses. Its
accents are 2**1.6 = 3 semitones high, its jitter is 2**-6.6 = 1 %, its shimmer 5 %."""

FEMALE    = Cues( 9.6, 0,    0,     0,    0,     0,     0,     2,    0,   0,    0.2)
"""What a woman's voice adds: 200 Hz in place of 115, and formants 15 % higher (cf. Hillenbrand et al. 1995)."""

EMOTIONS = {
    "anger":     Cues( 4,  0.5,  0.25,  7,  0.8,  0.7, -6,  -2, -2,  0.15,  0),
    "disgust":   Cues(-1,  0.2, -0.35, -1,  1.4,  1.0,  2,   0, -2,  0.05,  0),
    "fear":      Cues( 5, -0.4,  0.4,   0,  1.4,  0.5, -1,   5,  0, -0.1,   0),
    "happiness": Cues( 4,  0.8,  0.1,   4,  0.0, -0.2, -4,   2,  2,  0.1,   0.03),
    "neutral":   Cues(),
    "sadness":   Cues(-2, -0.8, -0.4,  -6,  0.4,  0.2,  6,   8, -2, -0.15,  0),
    "surprise":  Cues( 6,  1.0,  0.05,  1,  0.0,  0.0,  0,   4,  7,  0,     0),
}
"""What each emotion adds to `NEUTRAL`.

The directions follow the reviews by Murray & Arnott (1993), Scherer (2003) and Juslin & Laukka (2003): anger
and happiness high, wide, loud and bright; fear high, fast and irregular; sadness low, narrow, slow, soft and
lax; disgust low, slow and grumbled. Surprise, which these hardly cover, is very high and wide with a rising
end. The sizes are ours.
"""

SPREAD    = Cues( 1.4, 0.35, 0.1,   2.2,  0.4,   0.35,  2,     3,    1,   0.07, 0.03)
"""How far voices stray from these settings: the emotions overlap, as they do between people."""
# fmt: on

_STRAY = (0.65, 0.5, 0.65)  # of SPREAD: a speaker's habit, a speaker's way with one emotion, one take


class Phone(NamedTuple):
    """Targets of one sound. Formants after Hillenbrand et al. (1995, Table V) and Klatt (1980, Table III)."""

    ms: float  # duration
    voice: float  # amplitude of voicing, 0 to 1
    hiss: float  # amplitude of frication, relative to voicing
    centre: float  # of the frication, Hz
    f1: float
    f2: float
    f3: float
    accent: float = 0  # height of the pitch accent on it
    final: bool = False  # in the last syllable


PHONES = {
    "a": Phone(110, 1, 0, 0, 768, 1333, 2522),
    "e": Phone(100, 1, 0, 0, 580, 1799, 2605),
    "i": Phone(90, 1, 0, 0, 342, 2322, 3000),
    "o": Phone(105, 1, 0, 0, 497, 910, 2459),
    "u": Phone(95, 1, 0, 0, 378, 997, 2343),
    "w": Phone(60, 0.6, 0, 0, 290, 610, 2150),
    "j": Phone(60, 0.6, 0, 0, 260, 2070, 3020),
    "r": Phone(60, 0.6, 0, 0, 310, 1060, 1380),
    "l": Phone(65, 0.6, 0, 0, 310, 1050, 2880),
    "m": Phone(70, 0.4, 0, 0, 270, 1100, 2130),
    "n": Phone(65, 0.4, 0, 0, 270, 1340, 2470),
    "s": Phone(105, 0, 0.5, 6000, 320, 1390, 2530),
    "S": Phone(110, 0, 0.6, 3500, 300, 1840, 2750),
    "f": Phone(95, 0, 0.15, 4500, 340, 1100, 2080),
    "h": Phone(55, 0, 0.15, 1800, 500, 1500, 2500),
    "z": Phone(80, 0.35, 0.25, 6000, 240, 1390, 2530),
    "v": Phone(65, 0.4, 0.08, 4500, 220, 1100, 2080),
    "p": Phone(70, 0, 0.3, 1200, 400, 1100, 2150),
    "t": Phone(70, 0, 0.5, 4500, 400, 1600, 2600),
    "k": Phone(75, 0, 0.4, 2200, 300, 1990, 2850),
    "b": Phone(60, 0.15, 0.15, 1000, 200, 1100, 2150),
    "d": Phone(55, 0.15, 0.25, 4000, 200, 1600, 2600),
    "g": Phone(60, 0.15, 0.2, 2000, 200, 1990, 2850),
}
_PAUSE = Phone(120, 0, 0, 0, 500, 1500, 2500)
_PLOSIVES = "ptkbdg"
_BURST_MS = 20

_HOP = 80  # 5 ms: the tract holds still for that long
_FFT = 640  # room for a window of two hops and 30 ms of ringing: the narrowest formant has lost 57 dB by then
_BINS = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)  # Hz
_HIGH_FORMANTS = (3500.0, 4500.0, 5500.0, 6500.0)  # Hz, F4 to F7, which hardly move (Klatt 1980)
_BANDWIDTHS = (70.0, 90.0, 130.0, 200.0, 280.0, 350.0, 420.0)  # Hz, F1 to F7
_HISS_WIDTH = 1300.0  # Hz


class Synthetic(Dataset):
    """A small corpus that needs no download: every speaker says every sentence in every emotion.

    The clips are written when they are first asked for, and kept. They show that a program runs, not how well
    it does on people.

    Parameters
    ----------
    root
        Folder for the clips. Default: ``featkit/synthetic`` in the user's cache folder.
    n_speakers, n_sentences, n_takes
        Size; speakers are female and male in turn. There are at most ``len(SENTENCES)`` sentences.
    seed
        Another seed is another set of speakers.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     clips = list(Synthetic(folder, n_speakers=2, n_sentences=1, n_takes=1).clips())
    >>> len(clips), clips[0].label, clips[0].speaker, clips[0].text
    (14, 'anger', 's00', 'nekal ibam sud molen')
    """

    name = "synthetic"
    title = "Synthetic speech"
    labels = tuple(EMOTIONS)
    licence = "CC0 1.0 (made by code)"
    citation = f"featkit synthetic speech, version {VERSION}. No person was recorded."
    url = ""
    synthetic = True

    def __init__(
        self,
        root: str | Path | None = None,
        n_speakers: int = 6,
        n_sentences: int = 4,
        n_takes: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__(cache_folder("synthetic") if root is None else root)
        self.n_speakers = n_speakers
        self.n_sentences = n_sentences
        self.n_takes = n_takes
        self.seed = seed

    def clips(self) -> Iterator[Clip]:
        """Yield the clips by speaker, emotion, sentence and take; those not yet on disk are made first."""
        self._check_sizes()
        folder = self.root / f"v{VERSION}-seed{self.seed}"
        sizes = (range(self.n_speakers), EMOTIONS, range(self.n_sentences), range(self.n_takes))
        for speaker, emotion, sentence, take in product(*sizes):
            path = folder / f"s{speaker:02d}" / f"{emotion}-{sentence}-{take}.wav"
            if not path.exists():
                _write(path, synthesise(emotion, speaker, sentence, take, self.seed))
            yield Clip(path, emotion, f"s{speaker:02d}", SENTENCES[sentence])

    def _check_sizes(self) -> None:
        for name, least in {"n_speakers": 1, "n_sentences": 1, "n_takes": 1, "seed": 0}.items():
            if getattr(self, name) < least:
                raise DataError(f"synthetic: {name} is {getattr(self, name)}; it must be {least} or more.")
        if self.n_sentences > len(SENTENCES):
            raise DataError(
                f"synthetic: n_sentences is {self.n_sentences}, but there are {len(SENTENCES)} sentences; "
                "raise n_takes for more clips."
            )


def synthesise(emotion: str, speaker: int, sentence: int, take: int, seed: int = 0) -> Wave:
    """Speak one sentence: glottal pulses and noise, shaped by a vocal tract that moves from sound to sound.

    The same arguments give the same samples.

    Parameters
    ----------
    emotion
        One of `EMOTIONS`.
    speaker, take, seed
        Any whole numbers from 0; even speakers are female, odd ones male.
    sentence
        Place in `SENTENCES`.

    Returns
    -------
    (n_samples,) float32, mono, within −1 to 1, at 16 000 Hz; 1 to 4 s long.

    Raises
    ------
    DataError
        There is no such emotion.

    Examples
    --------
    >>> wave = synthesise("anger", speaker=0, sentence=0, take=0)
    >>> bool((wave == synthesise("anger", speaker=0, sentence=0, take=0)).all())
    True
    """
    if emotion not in EMOTIONS:
        raise DataError(f"synthetic: no emotion is called '{emotion}'. There are: {', '.join(EMOTIONS)}.")
    cues, rng = _cues(emotion, speaker, sentence, take, seed)
    _, voice, hiss, centre, f1, f2, f3, accent, final = _articulate(SENTENCES[sentence], cues.rate, rng)
    voice = _smooth(voice, 5)
    f0 = 115 * 2 ** ((cues.f0 + _melody(voice, accent, final, cues, rng)) / 12)
    formants = _smooth(np.array([f1 * 2**cues.jaw, f2, f3]), 13) * 2**cues.tract
    speech = _filter(_phonate(f0, voice, cues, rng), _tract(formants, cues))
    speech /= _rms(speech)
    speech += _filter(rng.standard_normal(len(speech)), _frication(hiss, centre * 2**cues.tract))
    speech *= min(10 ** (cues.energy / 20) / _rms(speech), 0.9 / np.abs(speech).max())
    floor = 10 ** (rng.normal(-62, 3) / 20)  # noise of the recording
    wave: Wave = (speech + floor * rng.standard_normal(len(speech))).astype(np.float32)
    return wave


def one_of_each() -> list[Wave]:
    """The same voice saying the same sentence in every emotion, where speech is wanted and none is at hand."""
    return [synthesise(emotion, speaker=0, sentence=0, take=0) for emotion in EMOTIONS]


def _cues(emotion: str, speaker: int, sentence: int, take: int, seed: int) -> tuple[Cues, np.random.Generator]:
    """How this clip sounds, and the stream of chance for what else is in it."""
    place = tuple(EMOTIONS).index(emotion)
    rng = _rng(seed, speaker, place, sentence, take)
    streams = (_rng(seed, speaker), _rng(seed, speaker, place), rng)
    stray = np.sum([w * r.standard_normal(len(SPREAD)) for w, r in zip(_STRAY, streams, strict=True)], axis=0)
    sex = FEMALE if speaker % 2 == 0 else Cues()
    return Cues(*np.sum([NEUTRAL, sex, EMOTIONS[emotion], SPREAD * stray], axis=0)), rng


def _articulate(text: str, rate: float, rng: np.random.Generator) -> Array:
    """Say one sound after the other. -> (fields of `Phone`, frames)"""
    accented = {m.end() - 1 for m in re.finditer(r"\b[^aeiou ]*[aeiou]", text)}  # first vowel of each word
    last = max(text.rfind(vowel) for vowel in "aeiou")
    phones = [_PAUSE]
    for i, letter in enumerate(text):
        if letter == " ":
            continue
        phone = PHONES[letter]._replace(final=i >= last)
        if i in accented:
            phone = phone._replace(accent=rng.uniform(0.6, 1.4), ms=1.2 * phone.ms)
        if letter in _PLOSIVES:  # the mouth closes, then bursts open
            phones.append(phone._replace(hiss=0))
            phone = phone._replace(ms=_BURST_MS)
        phones.append(phone)
    targets = np.array([*phones, _PAUSE])
    lengthening = 1 + 0.5 * targets[:, -1]  # the end of a sentence drags
    ms = targets[:, 0] * lengthening * 2 ** (-rate + rng.normal(0, 0.15, len(targets)))
    return np.repeat(targets, np.round(ms * SAMPLE_RATE / 1000 / _HOP).astype(int), axis=0).T


def _melody(voice: Array, accent: Array, final: Array, cues: Cues, rng: np.random.Generator) -> Array:
    """Pitch about its mean: a decline, accents, the final movement, some wavering. -> (frames,) semitones"""
    melody = np.linspace(3, 0, len(voice))
    melody += 2**cues.span * _smooth(accent, 25)
    melody += cues.rise * np.cumsum(final) / final.sum()
    melody += _smooth(rng.normal(0, 0.8, len(voice)), 15)
    return melody - np.average(melody, weights=voice)


def _phonate(f0: Array, voice: Array, cues: Cues, rng: np.random.Generator) -> Array:
    """Pulses of the glottis one by one, and breath while it is open. (frames,) -> (n_samples,)

    The flow is Rosenberg's (1971): a rising half cosine, a falling quarter. Its differences between the edges of
    the samples stand for its derivative: being means over a sample, they alias less where the glottis shuts.
    """
    n, knots = len(f0) * _HOP, np.arange(len(f0)) * _HOP
    edges = np.arange(n + 1)
    phase = np.cumsum(np.interp(edges, knots, f0)) / SAMPLE_RATE
    periods = np.diff(np.interp(np.arange(int(phase[-1]) + 2), phase, edges)).clip(1)
    periods *= 1 + 2**cues.jitter * rng.standard_normal(len(periods))
    onsets = np.cumsum(periods) - periods
    heights = 1 + 2**cues.shimmer * rng.standard_normal(len(periods))

    pulse = np.searchsorted(onsets, edges, side="right") - 1
    at = (edges - onsets[pulse]) / periods[pulse]
    closure = np.clip(0.45 + 0.015 * cues.tilt, 0.4, 0.8)  # open quotient: a lax voice closes late and briefly
    peak = 2 / 3 * closure
    opening = 0.5 - 0.5 * np.cos(np.pi * at / peak)
    closing = np.cos(np.pi / 2 * (at - peak) / (closure - peak))
    flow = heights[pulse] * np.where(at < peak, opening, np.where(at < closure, closing, 0))

    pulses = np.diff(flow)
    breath = 10 ** (cues.breath / 20) * rng.standard_normal(n) * flow[1:]
    source: Array = (pulses / _rms(pulses) + breath) * np.interp(edges[1:], knots, voice)
    return source


def _tract(formants: Array, cues: Cues) -> Response:
    """Response of the tilt and a cascade of resonators (Klatt 1980). (3, frames) -> (frames, bins)"""
    corner = 3000 / np.sqrt(10 ** (max(cues.tilt, 1.0) / 10) - 1)  # Hz, of a one-pole low-pass
    response: Response = np.ones((formants.shape[1], 1)) / (1 + 1j * _BINS / corner)
    z = np.exp(-2j * np.pi * _BINS / SAMPLE_RATE)
    high = [np.full(formants.shape[1], hz * 2**cues.tract) for hz in _HIGH_FORMANTS]
    for formant, bandwidth in zip([*formants, *high], _BANDWIDTHS, strict=True):
        radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        b = 2 * radius * np.cos(2 * np.pi * formant / SAMPLE_RATE)[:, None]
        response *= (1 - b + radius**2) / (1 - b * z + radius**2 * z**2)
    return response


def _frication(hiss: Array, centre: Array) -> Array:
    """Response that makes noise a hiss: a band about the centre. (frames,) -> (frames, bins)"""
    band = np.exp(-0.5 * ((_BINS - centre[:, None]) / _HISS_WIDTH) ** 2)
    return _smooth((hiss[:, None] * band).T, 5).T


def _filter(source: Array, responses: Array | Response) -> Array:
    """Filter each frame by its own response and overlap-add. (n_samples,), (frames, bins) -> (n_samples,)"""
    padded = np.pad(source, (_HOP, _HOP))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _HOP)[: len(source) : _HOP]
    spectra = np.fft.rfft(windows * np.hanning(2 * _HOP + 1)[:-1], _FFT)
    blocks = np.fft.irfft(spectra * responses, _FFT).reshape(len(responses), -1, _HOP)
    out = np.zeros((len(responses) + blocks.shape[1], _HOP))
    for i in range(blocks.shape[1]):
        out[i : i + len(responses)] += blocks[:, i]
    return out.ravel()[_HOP : _HOP + len(source)]


def _smooth(track: Array, frames: int) -> Array:
    """Hann-weighted mean over time. (..., frames) -> (..., frames)"""
    weights = np.hanning(frames + 2)
    smoothed: Array = ndimage.convolve1d(track, weights / weights.sum(), axis=-1, mode="nearest")
    return smoothed


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x**2)))


def _rng(*key: int) -> np.random.Generator:
    """One stream of chance per key; its length goes in, as NumPy takes (1,) and (1, 0) for the same."""
    return np.random.default_rng([len(key), *key])


def _write(path: Path, wave: Wave) -> None:
    try:
        with replacing(path) as draft:
            soundfile.write(draft, wave, SAMPLE_RATE, "PCM_16", format="WAV")
    except OSError as error:
        raise DataError(
            f"synthetic: '{path}' cannot be written ({error.strerror}). Name another folder (root=, on the command "
            "line synthetic:FOLDER), or set XDG_CACHE_HOME to one that can be written."
        ) from error
