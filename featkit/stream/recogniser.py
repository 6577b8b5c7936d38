"""The live recogniser: blocks of sound in, events out. Synchronous, without threads or a framework."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from featkit.audio import RATES, SAMPLE_RATE, Wave, check_wave, to_wave
from featkit.errors import AudioError
from featkit.runtime import Model
from featkit.stream.offline import SILENCE, answerer, judged
from featkit.stream.resampling import Resampler
from featkit.stream.smoothing import Probabilities, Smoother, Smoothing
from featkit.stream.windows import Windows, n_samples

UNSURE = "not sure"
"""Reason of a window without a label: no emotion reaches the threshold."""

LOST = "gap"
"""Reason of the last event of a stream that ends in lost sound: there is no window."""

_PIECE = 1 << 14  # samples at 16 000 Hz


@dataclass(frozen=True, eq=False)
class Event:
    """What is told of one window of a stream.

    Attributes
    ----------
    start, end
        The window, in seconds of stream time: gaps count.
    label
        The emotion after smoothing; None where there is none, and ``reason`` says why.
    reason
        None, "silence", "not sure", "gap", or what the model said of a window that it could not judge.
    raw
        The most probable emotion of this window alone; None where it was not judged.
    probabilities, smoothed
        (classes,) of this window alone, and over the last windows; None where it was not judged.
    latency
        Seconds from the arrival of the window's last sample to this event.
    gap
        Seconds of sound that were lost since the event before.
    dropped
        Windows that were left out since the event before, because the model was too slow.
    labels
        Emotions, in the order of the probabilities.
    """

    start: float
    end: float
    label: str | None
    reason: str | None
    raw: str | None
    probabilities: Probabilities | None
    smoothed: Probabilities | None
    latency: float
    gap: float
    dropped: int
    labels: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The event as what JSON can hold; probabilities by emotion, or None."""
        return {
            "start": round(self.start, 6),
            "end": round(self.end, 6),
            "label": self.label,
            "reason": self.reason,
            "raw": self.raw,
            "probabilities": self._by_label(self.probabilities),
            "smoothed": self._by_label(self.smoothed),
            "latency": round(self.latency, 6),
            "gap": round(self.gap, 6),
            "dropped": self.dropped,
        }

    def _by_label(self, values: Probabilities | None) -> dict[str, float] | None:
        if values is None:
            return None
        return {label: round(float(value), 6) for label, value in zip(self.labels, values, strict=True)}


@dataclass(frozen=True, eq=False)
class _Window:
    """A window that waits for its answer."""

    start: int
    wave: Wave
    arrived: float
    lost: float
    """Seconds that were lost in the whole stream before it ended."""


class LiveRecogniser:
    """Recognises emotion in one stream of sound, whose blocks may have any length.

    Windows of ``window`` seconds begin every ``hop`` seconds, the first once a whole one is there. None is padded: when
    the stream ends, or is broken by a gap, the last window is the one that ends at its last sample, and a sound shorter
    than a window is judged as it is. Probabilities are those of the model on the same samples of the whole recording,
    bit by bit, whatever the blocks (`featkit.stream.sliding` gives them offline).

    ``push`` answers every window at once. A consumer that must not fall behind instead calls ``feed`` for all that has
    come and ``answer`` while there are ``pending`` windows; of those, only the newest ``backlog`` are kept.

    Parameters
    ----------
    model
        From `featkit.load`. One with normalise="speaker" follows the stream as one speaker.
    window, hop
        Seconds.
    smoothing, votes, threshold, hysteresis
        See `featkit.stream.smoothing.Smoother`. Smoothing starts anew after silence and after a gap.
    gate
        Says of a window (n_samples,) whether there is a voice in it, as `EnergyGate` does; windows without are not
        given to the model. Default: all are, but digital silence.
    backlog
        How many windows may wait between ``feed`` and ``answer``; older ones are dropped and counted.

    Attributes
    ----------
    labels
        Emotions, in the order of the probabilities.
    lost, dropped
        Seconds of sound that were lost, and windows that were dropped, in the whole stream.

    Raises
    ------
    AudioError
        A setting makes no sense.
    ModelError
        The model knows no emotion, or needs longer windows.

    Examples
    --------
    >>> live = LiveRecogniser(featkit.load("model.onnx"))  # doctest: +SKIP
    >>> for block in blocks:  # doctest: +SKIP
    ...     for event in live.push(block, 44_100):
    ...         print(event.end, event.label)
    """

    def __init__(
        self, model: Model, *, window: float = 3.0, hop: float = 0.5, smoothing: Smoothing = "vote", votes: int = 5,
        threshold: float = 0.4, hysteresis: float = 0.1, gate: Callable[[Wave], bool] | None = None,
        backlog: int | None = None,
    ) -> None:  # fmt: skip
        if backlog is not None and backlog < 1:
            raise AudioError(f"backlog is the number of windows that may wait, 1 or more; it is {backlog}.")
        length, step = n_samples(window, hop)
        self._answer = answerer(model, length, step)
        self.labels = tuple(model.labels)
        self._smoother = Smoother(self.labels, smoothing, votes, threshold, hysteresis)
        self._gate = gate
        self._windows = Windows(length, step)
        self._resampler: Resampler | None = None
        self._waiting: deque[_Window] = deque()
        self._backlog = backlog
        self._arrivals: deque[tuple[float, float]] = deque()
        """(samples of stream time at 16 000 Hz, moment): by when which samples had come."""
        self._heard = 0.0
        self._told_lost, self._told_dropped = 0.0, 0
        self._ended = False
        self.lost, self.dropped = 0.0, 0

    def push(self, block: npt.ArrayLike, rate: float, arrived: float | None = None) -> list[Event]:
        """Take a block and answer all windows that it completes, in order.

        Parameters
        ----------
        block
            (n,) or (n, channels), which are averaged; floats in −1 to 1, or integers, which are scaled by their range.
            What lies between the first and the last sample that is not finite counts as lost: a ``gap``.
        rate
            Hz; the same for the whole stream.
        arrived
            ``time.monotonic()`` when the block came, to measure latency from. Default: now.

        Raises
        ------
        AudioError
            The block has another shape, rate or kind of samples than it may. Nothing of it was taken, and the stream
            may go on: say ``gap`` for what it held.
        """
        events: list[Event] = []
        for _ in self._taken(block, rate, arrived):
            events += self._answers()
        return events

    def feed(self, block: npt.ArrayLike, rate: float, arrived: float | None = None) -> None:
        """Take a block as ``push`` does, but only cut windows; ``answer`` is to be called while any are ``pending``."""
        for _ in self._taken(block, rate, arrived):
            while self._backlog is not None and len(self._waiting) > self._backlog:
                self._waiting.popleft()
                self.dropped += 1

    @property
    def pending(self) -> int:
        """Windows that wait for ``answer``."""
        return len(self._waiting)

    @property
    def seconds(self) -> float:
        """Stream time so far."""
        return self._windows.position / SAMPLE_RATE

    def answer(self) -> Event:
        """Judge the oldest window that waits.

        Raises
        ------
        AudioError
            None waits.
        """
        if not self._waiting:
            raise AudioError("No window waits for an answer; feed blocks while pending is 0.")
        window = self._waiting.popleft()
        gap, dropped = window.lost - self._told_lost, self.dropped - self._told_dropped
        self._told_lost, self._told_dropped = window.lost, self.dropped
        if gap > 0:
            self._smoother.reset()
        probabilities, reason = self._past_gate(window.wave)
        label, raw, smoothed = None, None, None
        if probabilities is not None:
            raw = self.labels[int(probabilities.argmax())]
            label, smoothed = self._smoother(probabilities)
            reason = UNSURE if label is None else None
        start, end = window.start / SAMPLE_RATE, (window.start + window.wave.size) / SAMPLE_RATE
        latency = time.monotonic() - window.arrived
        return Event(start, end, label, reason, raw, probabilities, smoothed, latency, gap, dropped, self.labels)

    def gap(self, seconds: float) -> None:
        """Tell that sound of this length was lost after the blocks so far. Stream time goes on by it.

        No window reaches across: what came before ends here, and its last window is answered with the next ``push``.

        Raises
        ------
        AudioError
            The length is negative or not finite.
        """
        self._still_open()
        if not 0 <= seconds < float("inf"):
            raise AudioError(f"A gap has a length in seconds, 0 or more; this one is {seconds}.")
        if seconds > 0:
            self._end_of_sound()
            self._windows.skip(round(seconds * SAMPLE_RATE))
            self._heard = self._windows.position
            self.lost += seconds

    def finish(self) -> list[Event]:
        """End the stream and answer what is left: the window that ends at the last sample.

        Where the stream ended in lost sound, a last event with the reason "gap" tells of it.
        """
        if not self._ended:
            self._end_of_sound()
            self._ended = True
        events = self._answers()
        if gap := self.lost - self._told_lost:
            self._told_lost = self.lost
            events.append(Event(self.seconds - gap, self.seconds, None, LOST, None, None, None, 0, gap, 0, self.labels))
        return events

    def _checked(self, block: npt.ArrayLike, rate: float) -> Wave:
        """The block as mono samples at its own rate, or why it is none."""
        self._still_open()
        if not isinstance(rate, (int, float, np.number)) or not RATES[0] <= rate <= RATES[1]:
            raise AudioError(f"The sample rate is {rate!r} Hz; it must lie between {RATES[0]} and {RATES[1]} Hz.")
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold becomes infinite, and so lost
            samples = to_wave(block, SAMPLE_RATE)  # said to have our rate, for the resampler keeps the state
        finite = samples[np.isfinite(samples)]
        if finite.any():  # silence is no clip, but it may well be a block
            check_wave(finite, f"the block at {self.seconds:.2f} s")
        if self._resampler is None:
            self._resampler = Resampler(float(rate))
        if rate != self._resampler.rate:
            raise AudioError(
                f"The stream began at {self._resampler.rate:g} Hz and this block has {rate:g} Hz; a stream keeps one "
                "rate. Make a new LiveRecogniser for another one."
            )
        return samples

    def _still_open(self) -> None:
        if self._ended:
            raise AudioError("This stream has ended; make a new LiveRecogniser for another one.")

    def _taken(self, block: npt.ArrayLike, rate: float, arrived: float | None) -> Iterator[None]:
        """Take a block in pieces, so that an hour in one does not become an hour of overlapping windows."""
        samples, moment = self._checked(block, rate), time.monotonic() if arrived is None else arrived
        bad = np.flatnonzero(~np.isfinite(samples))
        first, after = (bad[0], bad[-1] + 1) if bad.size else (samples.size, samples.size)
        piece = max(1, int(_PIECE * rate / SAMPLE_RATE))
        for start in range(0, first, piece):
            self._take(samples[start : min(start + piece, first)], moment)
            yield
        if bad.size:
            self.gap((after - first) / rate)
        for start in range(after, samples.size, piece):
            self._take(samples[start : start + piece], moment)
            yield
        yield

    def _take(self, samples: Wave, arrived: float) -> None:
        assert self._resampler is not None
        self._heard += samples.size * SAMPLE_RATE / self._resampler.rate
        self._arrivals.append((self._heard, arrived))
        self._queue(self._windows.push(self._resampler.push(samples)))

    def _end_of_sound(self) -> None:
        if self._resampler is not None:
            self._queue(self._windows.push(self._resampler.flush()))
        self._queue(self._windows.flush())

    def _queue(self, windows: Iterable[tuple[int, Wave]]) -> None:
        for start, wave in windows:
            # Half a sample, because the count at 16 000 Hz is rounded and what was heard is not.
            while len(self._arrivals) > 1 and self._arrivals[0][0] < start + wave.size - 0.5:
                self._arrivals.popleft()
            self._waiting.append(_Window(start, wave, self._arrivals[0][1], self.lost))

    def _answers(self) -> list[Event]:
        return [self.answer() for _ in range(len(self._waiting))]

    def _past_gate(self, wave: Wave) -> tuple[Probabilities | None, str | None]:
        if self._gate is not None and not self._gate(wave):
            found: tuple[Probabilities | None, str | None] = None, SILENCE
        else:
            found = judged(self._answer, wave)
        if found[1] == SILENCE:
            self._smoother.reset()
        return found
