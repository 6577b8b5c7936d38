"""A stream of samples → overlapping windows, and the same cuts of a whole wave."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from featkit.audio import SAMPLE_RATE, Wave
from featkit.errors import AudioError, DataError

LONGEST = 60.0
"""Seconds, of a window."""

SHORTEST_HOP = 0.01
"""Seconds: a hundred answers a second are more than anybody can use."""


def n_samples(window: float, hop: float) -> tuple[int, int]:
    """Window and hop in samples at 16 000 Hz, from seconds.

    Examples
    --------
    >>> n_samples(3.0, 0.5)
    (48000, 8000)
    """
    if not 0 < window <= LONGEST:
        raise AudioError(f"A window must be longer than 0 s and at most {LONGEST:g} s; it is {window} s.")
    if not SHORTEST_HOP <= hop <= window:
        raise AudioError(
            f"The hop is {hop} s; it must lie between {SHORTEST_HOP} s and the window, {window} s, or sound would "
            "fall between two windows."
        )
    return round(window * SAMPLE_RATE), round(hop * SAMPLE_RATE)


def window_and_hop(window: float | None, hop: float | None) -> tuple[float, float] | None:
    """Seconds as they are given, where None for the hop means the window → both, or None for no windows.

    Raises
    ------
    DataError
        There is a hop without a window.
    AudioError
        Lengths that make no sense.

    Examples
    --------
    >>> window_and_hop(3, None), window_and_hop(3, 1), window_and_hop(None, None)
    ((3.0, 3.0), (3.0, 1.0), None)
    """
    if window is None:
        if hop is not None:
            raise DataError("hop is the distance between windows; give their length with window (--window), too.")
        return None
    both = float(window), float(window if hop is None else hop)
    n_samples(*both)
    return both


def bounds(total: int, window: int, hop: int) -> list[tuple[int, int]]:
    """Where the windows of a whole wave begin and end, in samples.

    No window is padded: the last one ends at the last sample, and so overlaps its neighbour by more than the others.
    A wave shorter than a window is one window.

    Examples
    --------
    >>> bounds(10, window=4, hop=3), bounds(11, window=4, hop=3), bounds(3, window=4, hop=3)
    ([(0, 4), (3, 7), (6, 10)], [(0, 4), (3, 7), (6, 10), (7, 11)], [(0, 3)])
    """
    cuts = [(start, start + window) for start in range(0, total - window + 1, hop)]
    if total > (cuts[-1][1] if cuts else 0):
        cuts.append((max(0, total - window), total))
    return cuts


class Windows:
    """Cuts samples that come in pieces as `bounds` cuts the whole. It holds a window and a hop, never more.

    Attributes
    ----------
    position
        Samples of stream time so far: those that came, and those that were skipped.
    """

    def __init__(self, window: int, hop: int) -> None:
        self._window, self._hop = window, hop
        self._buffer = np.empty(window + hop, dtype=np.float32)
        self._filled = 0
        self._begun = False
        self.position = 0

    def push(self, samples: Wave) -> Iterator[tuple[int, Wave]]:
        """Take samples (n,). Yields first sample, in stream time, and a copy (window,) of each window they complete."""
        taken = 0
        while taken < samples.size:
            aim = self._window + (self._hop if self._begun else 0)
            piece = samples[taken : taken + aim - self._filled]
            self._buffer[self._filled : self._filled + piece.size] = piece
            self._filled += piece.size
            self.position += piece.size
            taken += piece.size
            if self._filled == aim:
                if self._begun:  # the oldest hop of samples has been in its last window
                    self._buffer[: self._window] = self._buffer[self._hop : aim].copy()
                self._begun, self._filled = True, self._window
                yield self.position - self._window, self._buffer[: self._window].copy()

    def flush(self) -> Iterator[tuple[int, Wave]]:
        """End what came so far: yields the last window, where samples are in none yet. Then all begins anew."""
        filled, begun = self._filled, self._begun
        self._filled, self._begun = 0, False
        if filled > (self._window if begun else 0):
            last = self._buffer[max(0, filled - self._window) : filled].copy()
            yield self.position - last.size, last

    def skip(self, count: int) -> None:
        """Let stream time pass without samples; to be called after `flush`."""
        self.position += count
