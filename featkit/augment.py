"""Wave → varied wave: what a small corpus lacks in voices, levels and rooms. For training only, never for scores."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from featkit import plugins
from featkit.audio import SAMPLE_RATE, Wave, check_wave, load
from featkit.datasets.base import find_audio
from featkit.errors import AudioError, DataError, FeatkitError, PluginError
from featkit.files import replacing

Rng: TypeAlias = np.random.Generator
Folder: TypeAlias = str | os.PathLike[str]

MIN_SAMPLES = 400
"""A wave that would become shorter (25 ms, one frame) is left as it was."""

STANDARD = "speed:factor=(0.85,1.15)"
"""The plan called "standard". On EMO-DB pitch shifting, white noise and gain took more than they gave
(``benchmarks/ablation.py``). Those who expect other rooms or levels than in training add them."""

_PITCH_FFT = 1024  # samples, 64 ms: librosa's 2048 smears speech at 16 kHz


@dataclass(frozen=True)
class Transform(ABC):
    """One random change of a wave. Subclass it, name it, write ``change``; fields are its settings.

    Parameters
    ----------
    p
        Probability that the change is made, 0 to 1. Default 1: what is named is done.

    Examples
    --------
    >>> class Invert(Transform):
    ...     name = "invert"
    ...     def change(self, wave, rng):
    ...         return -wave
    >>> Augment((Invert(),))(np.ones(16_000, dtype=np.float32), np.random.default_rng(0))[0]
    np.float32(-1.0)
    """

    p: float = field(default=1.0, kw_only=True)

    name: ClassVar[str]
    """What it is called in a plan."""
    version: ClassVar[int] = 1
    """Raise it when the same settings begin to give other waves."""

    @abstractmethod
    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Make the change; all chance comes from ``rng``. (n_samples,) at 16 000 Hz -> (m,), a new array."""

    def check(self) -> None:
        """Raise an error for settings that make no sense. Subclasses with settings add to it."""
        self._number("p", 0, 1)

    def __call__(self, wave: Wave, rng: Rng) -> Wave:
        """Change the wave with probability ``p``. (n_samples,) -> (m,).

        A result that is silent or shorter than `MIN_SAMPLES` is no clip: the wave is then returned as it was.
        """
        if rng.random() >= self.p:
            return wave
        changed = np.ascontiguousarray(self.change(wave, rng), dtype=np.float32)
        return changed if changed.size >= MIN_SAMPLES and changed.any() else wave

    @property
    def spec(self) -> dict[str, Any]:
        """Name, version and settings, ready for JSON; of a folder also what is in it."""
        settings = {setting.name: self._plain(setting.name) for setting in fields(self)}
        return {"name": self.name, "version": self.version, "params": settings}

    def _plain(self, setting: str) -> Any:
        value = getattr(self, setting)
        if setting == "folder" and value is not None:
            return {"path": os.fspath(value), "content": _content(_listed(self.name, value))}
        if isinstance(value, Real):
            return float(value)  # 20 and 20.0 are one setting
        return [float(end) for end in value] if isinstance(value, (tuple, list)) else value

    def _number(self, setting: str, low: float, high: float, unit: str = "") -> None:
        value = getattr(self, setting)
        if not _is_within(value, low, high):
            ends = f"{low:g} to {high:g} {unit}".rstrip()
            raise PluginError(f"{self.name}: {setting} must be a number from {ends}; it is {value!r}.")

    def _ratio(self) -> None:
        """Check the settings of a signal-to-noise ratio."""
        self._number("snr", -20, 100, "dB")
        self._number("spread", 0, 50, "dB")

    def _pair(self, setting: str, low: float, high: float, unit: str = "") -> None:
        value = getattr(self, setting)
        two = isinstance(value, (tuple, list)) and len(value) == 2 and all(_is_within(end, low, high) for end in value)
        if not two or value[0] > value[1]:
            ends = f"{low:g} to {high:g} {unit}".rstrip()
            raise PluginError(
                f"{self.name}: {setting} must be two numbers from {ends}, the lower first, as in {setting}=(a,b); "
                f"it is {value!r}."
            )


@dataclass(frozen=True)
class Noise(Transform):
    """White Gaussian noise at a random signal-to-noise ratio, uniform in ``snr`` ± ``spread``.

    The ratio is that of the mean powers over the whole clip, pauses included.

    Parameters
    ----------
    snr
        Centre of the ratio, dB.
    spread
        Half the width of its range, dB.

    Examples
    --------
    >>> wave = np.ones(16_000, dtype=np.float32)
    >>> noise = Noise(snr=20, spread=0)(wave, np.random.default_rng(0)) - wave
    >>> round(float(10 * np.log10(1 / np.mean(noise**2))), 1)
    20.0
    """

    snr: float = 20.0
    spread: float = 5.0
    name: ClassVar[str] = "noise"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range."""
        super().check()
        self._ratio()

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Add noise. (n,) -> (n,)."""
        snr = _around(self.snr, self.spread, rng)
        return _add(wave, rng.standard_normal(wave.size, dtype=np.float32), snr)


@dataclass(frozen=True)
class Pitch(Transform):
    """Another pitch at the same duration, uniform in ± ``cents``, by `librosa.effects.pitch_shift`.

    A phase vocoder stretches the clip (Laroche & Dolson, IEEE Trans. Speech Audio Process. 7(3), 1999) and resampling
    brings it back to its length, so the formants move with the pitch. Pitch tells emotions apart: keep the shift small.

    Parameters
    ----------
    cents
        Largest shift, hundredths of a semitone.

    Raises
    ------
    PluginError
        librosa is not installed; ``check`` says so.

    Examples
    --------
    >>> Pitch(cents=50).change(np.ones(16_000, dtype=np.float32), np.random.default_rng(0)).shape
    (16000,)
    """

    cents: float = 50.0
    name: ClassVar[str] = "pitch"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range, or if librosa is missing."""
        super().check()
        self._number("cents", 0, 1200, "cents")
        _pitch_shift()

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Shift the pitch. (n,) -> (n,)."""
        steps = _around(0, self.cents, rng) / 100
        padded = np.pad(wave, (0, max(0, _PITCH_FFT - wave.size)))  # librosa warns of clips below one window
        shifted: Wave = _pitch_shift()(padded, sr=SAMPLE_RATE, n_steps=steps, n_fft=_PITCH_FFT)
        return shifted[: wave.size]


@dataclass(frozen=True)
class Speed(Transform):
    """Play faster or slower, by a factor uniform in ``factor``: duration, pitch and formants change together.

    Resampling, as Kaldi's speed perturbation does with the factors 0.9, 1 and 1.1 (Ko, Peddinti, Povey & Khudanpur,
    "Audio augmentation for speech recognition", Interspeech 2015). A factor of 1.1 raises the pitch by 165 cents.

    Parameters
    ----------
    factor
        Slowest and fastest; above 1 the clip becomes shorter and higher.

    Examples
    --------
    >>> Speed(factor=(1.25, 1.25)).change(np.ones(16_000, dtype=np.float32), np.random.default_rng(0)).shape
    (12800,)
    """

    factor: tuple[float, float] = (0.9, 1.1)
    name: ClassVar[str] = "speed"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range."""
        super().check()
        self._pair("factor", 0.5, 2)

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Resample. (n,) -> (n / factor,)."""
        import soxr

        faster: Wave = soxr.resample(wave, SAMPLE_RATE * rng.uniform(*self.factor), SAMPLE_RATE, quality="HQ")
        return faster


@dataclass(frozen=True)
class Gain(Transform):
    """Louder or softer, uniform in ± ``db``. Nothing is clipped: samples may exceed 1, as in float recordings.

    Parameters
    ----------
    db
        Largest change, dB.

    Examples
    --------
    >>> wave = np.ones(16_000, dtype=np.float32)
    >>> 0.5 < Gain(db=6).change(wave, np.random.default_rng(0)).max() < 2
    np.True_
    """

    db: float = 6.0
    name: ClassVar[str] = "gain"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range."""
        super().check()
        self._number("db", 0, 40, "dB")

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Scale. (n,) -> (n,)."""
        return wave * np.float32(10 ** (_around(0, self.db, rng) / 20))


@dataclass(frozen=True)
class Shift(Transform):
    """Earlier or later, uniform in ± ``seconds``, by at most half the clip; silence moves in, the length stays.

    What moves beyond an end is lost.

    Parameters
    ----------
    seconds
        Largest shift, seconds.

    Examples
    --------
    >>> wave = np.ones(16_000, dtype=np.float32)
    >>> int((Shift(seconds=0.1).change(wave, np.random.default_rng(0)) == 0).sum()) <= 1600
    True
    """

    seconds: float = 0.1
    name: ClassVar[str] = "shift"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range."""
        super().check()
        self._number("seconds", 0, 10, "s")

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Move in time. (n,) -> (n,)."""
        most = min(round(self.seconds * SAMPLE_RATE), wave.size // 2)
        later = int(rng.integers(-most, most + 1))
        moved = np.roll(wave, later)
        moved[slice(None, later) if later >= 0 else slice(later, None)] = 0
        return moved


@dataclass(frozen=True)
class Room(Transform):
    """Reverberation: the wave convolved with the impulse response of a room.

    From ``folder`` a measured response is drawn. Without one, a tail of white Gaussian noise that decays exponentially
    is drawn after the direct sound (Polack, "La transmission de l'énergie sonore dans les salles", thesis, Le Mans
    1988), which serves as well as measured ones where speech is recognised (Ko et al., "A study on data augmentation of
    reverberant speech for robust speech recognition", ICASSP 2017, for simulated rooms in general). The direct sound,
    which is the largest sample of a response, keeps its place in time; the clip keeps its length and RMS level.

    Parameters
    ----------
    folder
        Impulse responses, audio files at any rate; None for synthetic ones. The settings below are for these alone.
    rt60
        Shortest and longest reverberation time, seconds: the tail falls by 60 dB in that time.
    drr
        Centre of the direct-to-reverberant energy ratio, dB.
    spread
        Half the width of the range of that ratio, dB.

    Examples
    --------
    >>> click = np.zeros(16_000, dtype=np.float32)
    >>> click[4000] = 1
    >>> int(Room().change(click, np.random.default_rng(0)).argmax())
    4000
    """

    folder: Folder | None = None
    rt60: tuple[float, float] = (0.1, 0.5)
    drr: float = 5.0
    spread: float = 5.0
    name: ClassVar[str] = "room"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range, `DataError` or `AudioError` for the folder."""
        super().check()
        self._pair("rt60", 0.02, 10, "s")
        self._number("drr", -20, 60, "dB")
        self._number("spread", 0, 30, "dB")
        if self.folder is not None:
            _check_audio(self.name, self.folder)

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Reverberate. (n,) -> (n,)."""
        from scipy.signal import fftconvolve

        response = self._synthetic(rng) if self.folder is None else _drawn(self.name, self.folder, rng)
        delay = int(np.abs(response).argmax())
        wet = fftconvolve(wave.astype(np.float64), response[: delay + wave.size].astype(np.float64))
        wet = wet[delay : delay + wave.size]
        level = _power(wet)
        return (wet * math.sqrt(_power(wave) / level)).astype(np.float32) if level > 0 else wave

    def _synthetic(self, rng: Rng) -> Wave:
        """A direct sound of 1, then a tail. -> (rt60 * 16 000,)."""
        rt60 = rng.uniform(*self.rt60)
        time = np.arange(1, round(rt60 * SAMPLE_RATE)) / SAMPLE_RATE
        tail = rng.standard_normal(time.size) * 10 ** (-3 * time / rt60)  # −60 dB is an amplitude of 10**-3
        tail *= 10 ** (-_around(self.drr, self.spread, rng) / 20) / np.linalg.norm(tail)
        return np.concatenate([[1.0], tail]).astype(np.float32)


@dataclass(frozen=True)
class Background(Transform):
    """Recorded noise at a random signal-to-noise ratio, uniform in ``snr`` ± ``spread``.

    So corpora of noise such as MUSAN are meant to be used (Snyder, Chen & Povey, arXiv:1510.08484, 2015). One file
    is drawn; a longer one is cropped at a random place, a shorter one looped from a random place. A crop of digital
    silence adds nothing. The ratio is that of the mean powers over the whole clip.

    Parameters
    ----------
    folder
        Recordings of noise, at any rate; best cut to minutes, because a file is decoded whole.
    snr
        Centre of the ratio, dB.
    spread
        Half the width of its range, dB.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import soundfile
    >>> with TemporaryDirectory() as folder:
    ...     soundfile.write(Path(folder, "hum.wav"), np.sin(np.arange(8_000)), 16_000)
    ...     plan = find_augment(f"background:folder='{Path(folder).as_posix()}',snr=10")
    ...     plan(np.ones(16_000, dtype=np.float32), np.random.default_rng(0)).shape
    (16000,)
    """

    folder: Folder | None = None
    snr: float = 15.0
    spread: float = 5.0
    name: ClassVar[str] = "background"

    def check(self) -> None:
        """Raise `PluginError` for settings out of range, `DataError` or `AudioError` for the folder."""
        super().check()
        self._ratio()
        _check_audio(self.name, self._recordings())

    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Add a recording. (n,) -> (n,)."""
        noise = _drawn(self.name, self._recordings(), rng)
        spare = noise.size - wave.size
        start = int(rng.integers(spare + 1 if spare >= 0 else noise.size))
        piece = np.take(noise, np.arange(start, start + wave.size), mode="wrap")
        return _add(wave, piece, _around(self.snr, self.spread, rng))

    def _recordings(self) -> Folder:
        if self.folder is None:
            raise DataError("background: needs a folder of noise recordings; write background:folder='noise/'.")
        return self.folder


TRANSFORMS: dict[str, type[Transform]] = {
    kind.name: kind for kind in (Noise, Pitch, Speed, Gain, Shift, Room, Background)
}
"""What a plan may name, besides "standard"."""


@dataclass(frozen=True)
class Augment:
    """A plan: transforms that are applied one after the other, each with its own probability.

    Every copy keeps the label and the speaker of its original. Copies belong on the training side of a fold only, with
    all clips of their speaker.

    Parameters
    ----------
    transforms
        In the order in which they are applied.

    Examples
    --------
    >>> plan = Augment((Speed(), Noise(snr=15, p=0.5)))
    >>> wave = np.sin(np.arange(16_000, dtype=np.float32))
    >>> [copy.dtype.name for copy in plan.copies(wave, 2, seed=0)]
    ['float32', 'float32']
    """

    transforms: tuple[Transform, ...]

    def __call__(self, wave: npt.ArrayLike, rng: Rng) -> Wave:
        """Vary one wave. (n_samples,) at 16 000 Hz -> (m,), finite, not silent; samples may exceed 1.

        Raises
        ------
        AudioError
            The wave is no clip: empty, silent, not finite (see `featkit.audio.check_wave`).
        """
        varied = check_wave(wave)
        for transform in self.transforms:
            varied = transform(varied, rng)
        return varied

    def copies(self, wave: npt.ArrayLike, n: int, seed: int = 0) -> list[Wave]:
        """Vary one wave ``n`` times. (n_samples,) -> n waves.

        A copy follows from the seed, the samples of the wave and its own number alone: neither from its neighbours nor
        from the order, the fold or the worker in which it is made, so that equal waves have equal copies.
        """
        if not _is_whole(n) or n < 0:
            raise DataError(f"The number of copies must be a whole number from 0 on; it is {n!r}.")
        if not _is_whole(seed):
            raise DataError(f"The seed must be a whole number; it is {seed!r}.")
        checked = check_wave(wave)
        content = hashlib.sha256(checked.tobytes()).hexdigest()
        return [self(checked, _rng(int(seed), content, number)) for number in range(1, int(n) + 1)]

    def check(self) -> None:
        """Raise an error for a plan that cannot be carried out, so that nothing fails in the middle of a run.

        Every file of every folder is decoded once for that.

        Raises
        ------
        PluginError
            It holds no transform, or one with settings out of range, or librosa is missing.
        DataError, AudioError
            A folder is missing, holds no audio, or holds a file that cannot be read.
        """
        given = self.transforms
        if not isinstance(given, tuple) or not given or not all(isinstance(part, Transform) for part in given):
            raise PluginError(f"A plan is a tuple of at least one transform, as in Augment((Noise(),)), not {given!r}.")
        for transform in given:
            transform.check()

    @property
    def spec(self) -> dict[str, Any]:
        """All that decides what becomes of a wave, ready for JSON."""
        return {"augment": [transform.spec for transform in self.transforms]}

    @property
    def spec_hash(self) -> str:
        """Short hash of ``spec``: SHA-256 of the canonical JSON, 16 hex digits, as features have."""
        content = json.dumps(self.spec, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def find_augment(augment: str | Augment) -> Augment:
    """Text → checked plan. A plan is checked and returned as it is.

    Parameters
    ----------
    augment
        Transforms joined by ``+`` in the order in which they are applied, each with settings where it needs any:
        ``speed+pitch+noise:snr=15,p=0.5``. A path needs quotes and forward slashes: ``background:folder='noise/'``.
        "standard" stands for `STANDARD`, which suits small corpora of speech.

    Raises
    ------
    PluginError
        A name or setting is unknown (the message suggests the nearest one), a value is out of range, or librosa is
        missing (the message holds the pip line).
    DataError, AudioError
        A folder cannot be used.

    Examples
    --------
    >>> find_augment("speed+noise:snr=15,p=0.5").transforms[1]
    Noise(p=0.5, snr=15, spread=5.0)
    """
    if isinstance(augment, str):
        augment = Augment(_transforms(augment))
    elif not isinstance(augment, Augment):
        raise PluginError(f"augment must be the text of a plan or an Augment, not {type(augment).__name__}.")
    augment.check()
    return augment


def augment_files(
    files: Sequence[Folder],
    targets: Sequence[Path],
    augment: str | Augment = "standard",
    n: int = 4,
    seed: int = 0,
    *,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[list[Path] | FeatkitError]:
    """Write ``n`` varied copies of each file as ``<target>_aug1.wav`` …: mono, 16 000 Hz, 32-bit float.

    Float, because 16-bit files would clip what is louder than 1. A file is replaced only when it is complete.

    Parameters
    ----------
    files
        Recordings.
    targets
        Path of the copies of each file, without ``_aug1.wav``. Folders are made.
    augment, n, seed
        The plan, and what `Augment.copies` takes.
    n_jobs
        joblib workers; -1 for all cores.
    progress
        Show a bar with the time left.

    Returns
    -------
    For each file the paths of its copies, or the error for which it has none.
    """
    from joblib import Parallel, delayed
    from tqdm import tqdm

    plan = find_augment(augment)
    # As in extraction: decoding, resampling and FFTs release the GIL, and threads start at once.
    workers = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    results = workers(
        delayed(_write_copies)(file, target, plan, n, seed) for file, target in zip(files, targets, strict=True)
    )
    return list(tqdm(results, total=len(files), desc="augment", unit="clip", disable=not progress, leave=False))


def _write_copies(file: Folder, target: Path, plan: Augment, n: int, seed: int) -> list[Path] | FeatkitError:
    try:
        copies = plan.copies(load(file), n, seed)
    except FeatkitError as error:
        return error
    target.parent.mkdir(parents=True, exist_ok=True)
    paths = [target.with_name(f"{target.name}_aug{number}.wav") for number in range(1, n + 1)]
    for path, copy in zip(paths, copies, strict=True):
        _write(path, copy)
    return paths


def _write(path: Path, wave: Wave) -> None:
    import soundfile

    with replacing(path) as draft:
        soundfile.write(draft, wave, SAMPLE_RATE, subtype="FLOAT", format="WAV")


def _transforms(text: str) -> tuple[Transform, ...]:
    found: list[Transform] = []
    # At every + outside quotes: the rest of the text then consists of whole quotations and other characters.
    for part in re.split(r"""\+(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""", text):
        name, settings = plugins.parse(part)
        if name != "standard":
            found.append(_transform(name, settings))
        elif settings:
            raise PluginError(f"'{part}': standard takes no settings; write out {STANDARD} and change it.")
        else:
            found += _transforms(STANDARD)
    return tuple(found)


def _transform(name: str, settings: dict[str, Any]) -> Transform:
    if name not in TRANSFORMS:
        raise PluginError(plugins.unknown("transform", name, ["standard", *TRANSFORMS], "Known"))
    kind = TRANSFORMS[name]
    known = [f.name for f in fields(kind)]
    for setting in settings:
        if setting not in known:
            raise PluginError(plugins.unknown(f"setting of {name}", setting, known, "Settings"))
    return kind(**settings)


def _rng(seed: int, content: str, number: int) -> Rng:
    digest = hashlib.sha256(f"{seed} {content} {number}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _around(centre: float, spread: float, rng: Rng) -> float:
    return float(rng.uniform(centre - spread, centre + spread))


def _is_within(value: Any, low: float, high: float) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and low <= float(value) <= high


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral)  # of Python or numpy


def _power(samples: npt.NDArray[Any]) -> float:
    """Mean square, in 64 bits: the square of a faint sample is zero in 32."""
    return float(np.mean(np.square(samples, dtype=np.float64)))


def _add(wave: Wave, noise: Wave, snr: float) -> Wave:
    """The wave with noise at ``snr`` dB below it. (n,), (n,) -> (n,)."""
    power = _power(noise)
    if power == 0:
        return wave
    scale = math.sqrt(_power(wave) / power) * 10 ** (-snr / 20)
    return (wave + scale * noise.astype(np.float64)).astype(np.float32)


def _pitch_shift() -> Any:
    try:
        from librosa.effects import pitch_shift
    except ModuleNotFoundError as error:
        raise plugins.missing(error, "transform 'pitch'") from None
    return pitch_shift


def _drawn(name: str, folder: Folder, rng: Rng) -> Wave:
    """One file of a folder, decoded."""
    files = _listed(name, folder)
    path = files[int(rng.integers(len(files)))]
    return _loaded(path, _changed(path))


@lru_cache(maxsize=8)  # few: a recording of noise may last minutes
def _loaded(path: Path, changed: int) -> Wave:
    wave = load(path)
    wave.flags.writeable = False
    return wave


@cache  # an error is not kept, so that a mended file passes
def _check_file(path: Path, changed: int) -> None:
    load(path)


def _changed(path: Path) -> int:
    """When a file was last written, nanoseconds."""
    return path.stat().st_mtime_ns


@lru_cache(maxsize=32)
def _walked(folder: Path) -> tuple[Path, ...]:
    return tuple(find_audio(folder))


def _listed(name: str, folder: Folder) -> tuple[Path, ...]:
    """Audio files of a folder, sorted, as they were when it was last checked."""
    if not isinstance(folder, (str, os.PathLike)):
        raise DataError(f"{name}: folder must be a path in quotes, as in {name}:folder='my/files'; it is {folder!r}.")
    path = Path(folder).expanduser()
    if not path.is_dir():
        state = "is a file, not a folder" if path.exists() else "does not exist"
        raise DataError(f"{name}: '{path}' {state}; name a folder of audio files.")
    files = _walked(path)
    if not files:
        raise DataError(f"{name}: no audio file was found below '{path}'; name a folder of audio files.")
    return files


def _check_audio(name: str, folder: Folder) -> None:
    _walked.cache_clear()
    for path in _listed(name, folder):
        try:
            _check_file(path, _changed(path))
        except AudioError as error:
            raise AudioError(f"{name}: {error}") from None


def _content(files: Sequence[Path]) -> str:
    """Short hash of the names and sizes of a folder's files."""
    listing = "\n".join(f"{path.name} {path.stat().st_size}" for path in files)
    return hashlib.sha256(listing.encode()).hexdigest()[:16]
