"""What a model says of the windows of a whole wave, and of one window. A stream asks it the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featkit.audio import SAMPLE_RATE, Wave, check_wave
from featkit.errors import AudioError, FeatureError, ModelError
from featkit.runtime import SPEAKER_PRIOR, Model
from featkit.stream.smoothing import Probabilities
from featkit.stream.windows import bounds, n_samples

SILENCE = "silence"
"""Reason of a window without a label: there is no voice in it."""


@dataclass(frozen=True, eq=False)
class Segment:
    """What a model says of one window of a wave.

    Attributes
    ----------
    start, end
        Seconds.
    probabilities
        (classes,), or None where there is no answer.
    reason
        Why there is none: "silence", or what the model said; else None.
    """

    start: float
    end: float
    probabilities: Probabilities | None
    reason: str | None


def sliding(model: Model, wave: npt.ArrayLike, window: float = 3.0, hop: float = 0.5) -> list[Segment]:
    """What a model says of the windows of a whole wave: offline what `LiveRecogniser` says of it live, bit by bit.

    Parameters
    ----------
    model
        From `featkit.load`. One with normalise="speaker" follows the wave as one speaker.
    wave
        (n_samples,) at 16 000 Hz, as `featkit.audio.load` gives it.
    window, hop
        Seconds. No window is padded: the last one ends at the last sample, and a wave shorter than a window is judged
        as it is.

    Returns
    -------
    One segment a window, in order of time.

    Raises
    ------
    AudioError
        The wave is no clip, or a setting makes no sense.
    """
    length, step = n_samples(window, hop)
    samples = check_wave(wave, "the wave")
    answer = answerer(model, length, step)
    return [
        Segment(start / SAMPLE_RATE, stop / SAMPLE_RATE, *judged(answer, samples[start:stop]))
        for start, stop in bounds(samples.size, length, step)
    ]


def answerer(model: Model, window: int, hop: int) -> Callable[[Wave], Probabilities]:
    """The model as a function of one window."""
    if not model.labels:
        raise ModelError("The model knows no emotion (it has 0 classes); train it on at least two.")
    shortest = model.recipe["min_samples"]
    if window < shortest and not model.recipe["pad_short"]:
        raise ModelError(
            f"The window has {window} samples ({1000 * window / SAMPLE_RATE:.0f} ms) and the model needs {shortest} "
            f"({1000 * shortest / SAMPLE_RATE:.0f} ms); make it longer."
        )
    if not model.normalise:
        return lambda wave: model.predict_proba([wave])[0]
    # Overlapping windows tell the same seconds again, so more of them make half a minute.
    (member,) = model.recipe["members"]
    return model.follow(prior=SPEAKER_PRIOR[member["view"]] * window / hop).predict_proba


def judged(answer: Callable[[Wave], Probabilities], wave: Wave) -> tuple[Probabilities | None, str | None]:
    """Probabilities of a window, or the reason why there are none: one bad window does not end a stream."""
    if not wave.any():
        return None, SILENCE
    try:
        probabilities = answer(wave)
    except (AudioError, FeatureError) as error:
        return None, str(error).removeprefix("clip 0: ")
    if not np.isfinite(probabilities).all():
        return None, "the model gave probabilities that are not finite"
    return probabilities, None
