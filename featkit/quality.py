"""Flags of a recording that can be used and should be looked at: of its wave, and of how it was stored.

A flag is a word of `FLAGS` and mostly a number: "clipped 3.1 %". Thresholds and their reasons: docs/quality.md.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from featkit.audio import SAMPLE_RATE, Stored, Wave

FLAGS = {
    "short": "shorter than 0.1 s",
    "silent": "digital silence of more than 1.5 s at an end, or of half the clip; or hardly anything that is loud",
    "quiet": "so soft that less than 8 of 16 bits are used",
    "loud": "samples far beyond full scale",
    "clipped": "samples in runs at full scale",
    "dc": "a constant offset",
    "dropout": "digital silence that breaks off speech and lets it go on",
    "narrow": "nothing above 5 kHz, or a file of less than 16 kHz",
    "channels": "channels that differ, of which the mean was taken",
    "unclosed": "a wav whose header was never completed",
    "cut": "less than the header promises, no end, or errors while it was decoded",
    "unread": "more sound than the header tells of",
    "unchecked": "a format, or a decoder, that does not surely tell whether a file is whole",
}
"""Every word, and what it means."""

SHORT = 0.1
"""Seconds. Shorter clips hold no more than a few frames, and openSMILE's functionals need 60 ms."""
SILENCE = 1.5
"""Seconds of digital silence at one end. RAVDESS, with 1.0 s, is the most padded of the corpora measured."""
CLIPPED = 1e-3
"""Share of samples in runs at full scale; EMO-DB, whose peaks are scaled to 1, has at most 0.0002."""
OFFSET = 0.1
"""Mean relative to RMS; EMO-DB and RAVDESS have at most 0.04."""

STEP = 2.0**-16
"""Half a step of 16 bits: what is smaller is digital silence."""

_FULL = 0.98  # of full scale: what was clipped at another rate rings about it
_RUN = 3  # samples at full scale in a row: a peak is shorter
_QUIET = 2.0**-8  # peak, −48 dB; RAVDESS, the softest corpus measured, has 2**-7.6
_LOUD = 2.0  # peak; lossy codecs and resampling exceed 1 by a tenth or two
_FRAME = 512  # samples, 32 ms
_FAINT = 1e-6  # of the power of the loudest frame, −60 dB
_FAINT_SHARE = 0.7  # of all frames; RAVDESS has at most 0.58
_EDGE = 5_000  # Hz; EMO-DB and RAVDESS reach 7.5 kHz
_FAINT_BAND = 1e-6  # of the power of the strongest band, −60 dB: what is fainter is no sound of its own
_SPECTRA = 16  # frames that are looked at for the band, spread over the clip
_GAP = 80  # samples, 5 ms, of digital silence within speech: shorter ones come by chance
_BRINK = 0.1  # of the peak, −20 dB: how loud speech is that a dropout breaks off
_AROUND = 160  # samples, 10 ms, before and after a dropout
_LOST = 0.02  # share that is missing of what the header promises: encoders pad, and decoders cut the padding off
_ALIKE = 0.7  # power kept by the mean; two channels with nothing in common keep 0.5
_MUTE = 1e-3  # of the loudest channel, −60 dB

_window = np.hanning(_FRAME).astype(np.float32)


def flags(wave: Wave, stored: Stored | None = None) -> list[str]:
    """Say what is odd about a clip; nothing, for most.

    Parameters
    ----------
    wave
        (n_samples,) at 16 000 Hz, as `featkit.audio.load` gives it.
    stored
        What `featkit.audio.read` tells besides. Without it only the wave is judged.

    Examples
    --------
    >>> noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000).astype(np.float32)
    >>> flags(noise), flags(noise[:800] + np.float32(0.1))
    ([], ['short 50 ms', 'dc 87 %'])
    """
    size = np.abs(wave)
    peak = float(size.max())
    found = [*_length_and_level(wave, size, peak), *_faults(wave, size, peak)]
    if (edge := _edge(wave, stored)) is not None:
        found.append(f"narrow {edge / 1000:.1f} kHz")
    return found if stored is None else found + _storage(stored)


def clipped(size: Wave) -> float:
    """Share of samples that lie in runs at full scale. ``size``: (n_samples,), absolute values."""
    return _in_runs(size >= _FULL) / size.size


def offset(wave: Wave) -> float:
    """Absolute mean of the samples relative to their RMS; 0 for silence."""
    power = float(np.dot(wave, wave)) / wave.size
    return abs(float(wave.mean())) / power**0.5 if power else 0.0


def ends(loud: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Seconds before the first and after the last sample that is loud."""
    if not loud.any():
        return loud.size / SAMPLE_RATE, loud.size / SAMPLE_RATE
    return int(loud.argmax()) / SAMPLE_RATE, int(loud[::-1].argmax()) / SAMPLE_RATE


def padded(zeros: tuple[float, float], seconds: float) -> bool:
    """Whether there is more digital silence at the ends of a clip than recordings have."""
    return max(zeros) > SILENCE or sum(zeros) > seconds / 2


def _length_and_level(wave: Wave, size: Wave, peak: float) -> list[str]:
    found = []
    seconds = wave.size / SAMPLE_RATE
    if seconds < SHORT:
        found.append(f"short {1000 * seconds:.0f} ms")
    zeros = ends(size >= STEP)
    faint = _faint(wave)
    if padded(zeros, seconds) or faint > _FAINT_SHARE:
        found.append(f"silent {100 * max(faint, min(1.0, sum(zeros) / seconds)):.0f} %")
    if peak < _QUIET:
        found.append(f"quiet {_decibel(peak)} dB")
    elif peak > _LOUD:
        found.append(f"loud +{_decibel(peak)} dB")
    return found


def _faults(wave: Wave, size: Wave, peak: float) -> list[str]:
    found = []
    if _FULL <= peak <= _LOUD and (share := clipped(size)) > CLIPPED:
        found.append(f"clipped {100 * share:.1f} %")
    if (share := offset(wave)) > OFFSET:
        found.append(f"dc {100 * share:.0f} %")
    if gaps := _gaps(size, peak):
        found.append(f"dropout {len(gaps)} × {1000 * float(np.median(gaps)) / SAMPLE_RATE:.0f} ms")
    return found


def _storage(stored: Stored) -> list[str]:
    """Flags that only decoding sees."""
    found = _channels(stored)
    if stored.unclosed:
        found.append("unclosed")
    if stored.promised and stored.seconds < (1 - _LOST) * stored.promised:
        found.append(f"cut {stored.seconds:.2f} of {stored.promised:.2f} s")
    elif stored.cut:
        found.append(f"cut after {stored.seconds:.2f} s")
    if stored.unread:
        found.append(f"unread after {stored.seconds:.2f} s")
    if not stored.checked:
        found.append(f"unchecked {stored.format}")
    return found


def _channels(stored: Stored) -> list[str]:
    mute = [i + 1 for i, level in enumerate(stored.levels) if level < _MUTE * max(stored.levels)]
    if mute:
        return [f"channels {', '.join(map(str, mute))} of {stored.channels} silent"]
    if stored.kept < _ALIKE:
        return [f"channels differ, {10 * np.log10(max(stored.kept, 1e-10)):.0f} dB in the mean"]
    return []


def _decibel(peak: float) -> str:
    return f"{20 * np.log10(max(peak, 1e-10)):.0f}"


def _frames(wave: Wave) -> Wave:
    """(n_samples,) -> (frames, 512), without the rest."""
    return wave[: wave.size // _FRAME * _FRAME].reshape(-1, _FRAME)


def _faint(wave: Wave) -> float:
    """Share of frames that are 60 dB below the loudest."""
    frames = _frames(wave)
    if not len(frames):
        return 0.0
    power = np.einsum("ij,ij->i", frames, frames)
    return float(np.count_nonzero(power < _FAINT * power.max())) / len(frames)


def _edge(wave: Wave, stored: Stored | None) -> float | None:
    """Where sound ends, Hz, if that is too low: told by the rate of the file, else looked for in spectra."""
    if stored is not None and stored.rate < SAMPLE_RATE:
        return stored.rate / 2
    frames = _frames(wave)
    if not len(frames):
        return None
    chosen = frames[:: -(-len(frames) // _SPECTRA)]
    spectra = np.fft.rfft(chosen * _window)
    power = (np.square(spectra.real) + np.square(spectra.imag)).max(axis=0)
    edge = float(np.flatnonzero(power >= _FAINT_BAND * power.max())[-1]) * SAMPLE_RATE / _FRAME
    return edge if edge < _EDGE else None


def _gaps(size: Wave, peak: float) -> list[int]:
    """Lengths, in samples, of digital silence with loud speech right before and right after."""
    blocks = size[: size.size // (_GAP // 2) * (_GAP // 2)].reshape(-1, _GAP // 2)
    if not (blocks[:, ::13] < STEP).all(axis=1).any():  # a gap covers a whole block; four of its samples tell
        return []
    still = np.concatenate([[False], size < STEP, [False]])
    edges = np.flatnonzero(still[1:] != still[:-1])
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= _GAP
    return [
        int(stop - start)
        for start, stop in zip(starts[long].tolist(), stops[long].tolist(), strict=True)
        if start and stop < size.size
        and min(size[max(0, start - _AROUND) : start].max(), size[stop : stop + _AROUND].max()) > _BRINK * peak
    ]  # fmt: skip


def _in_runs(full: npt.NDArray[np.bool_]) -> int:
    """How many samples lie in runs of at least `_RUN`."""
    places = np.flatnonzero(full)
    last = np.flatnonzero(np.diff(places) > 1)
    lengths = np.diff(last, prepend=-1, append=places.size - 1)
    return int(lengths[lengths >= _RUN].sum())
