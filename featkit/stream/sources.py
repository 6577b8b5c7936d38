"""Where blocks come from, and how they and the recogniser meet."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from featkit import audio
from featkit.audio import SAMPLE_RATE
from featkit.errors import AudioError
from featkit.stream.recogniser import Event, LiveRecogniser


class Block(NamedTuple):
    """Some sound, as a source gives it. Any iterable of blocks is a source."""

    samples: Any
    """(n,) or (n, channels), as `LiveRecogniser.push` takes them."""
    rate: float
    """Hz."""
    arrived: float | None = None
    """``time.monotonic()`` when it came; None for now."""
    gap: float = 0.0
    """Seconds of sound that were lost before it."""


def replay(path: str | os.PathLike[str], speed: float = 1.0, block: int = 1024) -> Iterator[Block]:
    """Give a file as if it were recorded now.

    Parameters
    ----------
    path
        Audio file; it is decoded first, as a whole (`featkit.audio.load`), so one that holds nothing but silence, or
        samples that are no numbers, is refused where a microphone would give windows without a label.
    speed
        2 replays twice as fast as it was recorded, ``float("inf")`` as fast as it is taken.
    block
        Samples at 16 000 Hz.

    Raises
    ------
    AudioError
        The file cannot be used, or speed or block are not above 0.
    """
    if not speed > 0 or block < 1:
        raise AudioError(f"A replay needs a speed above 0 and blocks of 1 sample or more; these are {speed}, {block}.")
    return _paced(audio.load(path), speed, block)


def _paced(wave: audio.Wave, speed: float, block: int) -> Iterator[Block]:
    began = time.monotonic()
    for start in range(0, wave.size, block):
        samples = wave[start : start + block]
        due = began + (start + samples.size) / SAMPLE_RATE / speed
        if speed == float("inf"):
            due = time.monotonic()
        elif (early := due - time.monotonic()) > 0:
            time.sleep(early)
        yield Block(samples, SAMPLE_RATE, due)


def recognise(recogniser: LiveRecogniser, source: Iterable[Block]) -> Iterator[Event]:
    """Events of a whole source, each as soon as it is there.

    A source that goes on while the model works, as a `Microphone` does, says by ``waiting()`` whether it already has
    more. That is taken before the next window is answered, so a model that is too slow drops the oldest windows beyond
    the recogniser's ``backlog``.
    """
    more = getattr(source, "waiting", lambda: False)
    for block in source:
        if block.gap:
            recogniser.gap(block.gap)
        recogniser.feed(block.samples, block.rate, block.arrived)
        while recogniser.pending and not more():
            yield recogniser.answer()
    yield from recogniser.finish()
