"""Whether there is a voice in a window at all: energy against a noise floor that follows the room."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from featkit.audio import SAMPLE_RATE, Wave
from featkit.errors import AudioError

_FRAME = SAMPLE_RATE // 50  # 20 ms


class EnergyGate:
    """Tells windows with a voice from those without, by their level over the room's noise.

    The noise floor is the least level, smoothed over 100 ms, within the last windows: speech has pauses, in which it
    falls to the noise (minimum statistics, R. Martin, "Noise power spectral density estimation based on optimal
    smoothing and minimum statistics", IEEE Trans. Speech and Audio Processing 9(5), 2001; here of the whole band, and
    without its correction of bias). It knows nothing of speech itself: a door that slams passes, a hum that never
    pauses is taken for the floor.

    Parameters
    ----------
    margin
        dB over the floor from which a frame of 20 ms counts as voice.
    share
        Part of a window's frames that must do so.
    memory
        Windows that the floor is sought in; 20 at a hop of 0.5 s are 10 s.
    quietest
        dB relative to full scale; the floor is never taken to be lower, so what is below this and the margin is no
        voice.

    Examples
    --------
    >>> gate = EnergyGate()
    >>> noise = np.random.default_rng(0).normal(0, 0.001, 48_000).astype(np.float32)
    >>> tone = np.sin(np.arange(16_000) / 5).astype(np.float32)
    >>> gate(noise), gate(np.concatenate([noise[:32_000], 0.1 * tone]))
    (False, True)
    """

    def __init__(self, margin: float = 10.0, share: float = 0.1, memory: int = 20, quietest: float = -70.0) -> None:
        if not (0 < margin < np.inf and 0 < share <= 1 and memory >= 1 and np.isfinite(quietest)):
            raise AudioError(
                "A gate needs a margin above 0 dB, a share above 0 and up to 1, a memory of 1 window or more and a "
                f"quietest level in dB; these are {margin}, {share}, {memory} and {quietest}."
            )
        self.margin, self.share, self.quietest = margin, share, quietest
        self._floors: deque[float] = deque(maxlen=memory)

    def __call__(self, wave: Wave) -> bool:
        """Hear a window (n_samples,) at 16 000 Hz, and say whether there is a voice in it."""
        powers = _powers(wave)
        smooth = np.convolve(powers, np.full(5, 0.2), mode="valid") if powers.size >= 5 else powers
        self._floors.append(_decibels(smooth).min())
        floor = max(min(self._floors), self.quietest)
        return bool(np.mean(_decibels(powers) > floor + self.margin) >= self.share)


def _powers(wave: Wave) -> npt.NDArray[np.float64]:
    """Mean square of each frame of 20 ms; a shorter wave is one frame. -> (frames,)."""
    frame = min(_FRAME, wave.size)
    frames = wave[: wave.size // frame * frame].reshape(-1, frame).astype(np.float64)
    powers: npt.NDArray[np.float64] = np.mean(frames**2, axis=1)
    return powers


def _decibels(powers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Relative to full scale; silence is −120."""
    levels: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(powers, 1e-12))
    return levels
