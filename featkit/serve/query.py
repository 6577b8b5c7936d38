"""What may stand in the query of a request, within which bounds, and what it means where it is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from featkit.serve.refusals import RequestError

WINDOW = 3.0
"""Seconds of a window, where the client names no other."""

HOP = 0.5
"""Seconds between the windows of a stream, where the client names no other; a clip has a timeline only if it does."""

WINDOWS = (0.1, 60.0)
"""Seconds, the shortest and longest window."""

SHORTEST_HOP = 0.05
"""Seconds. The longest hop is the window: a longer one would leave gaps."""

MAX_PEAKS = 4_000


@dataclass(frozen=True)
class Wishes:
    """What a client wants to know of a clip beside its label: the parameters of the query.

    Parameters
    ----------
    hop, window
        Seconds between the windows of a timeline, and the length of one; no timeline without ``hop``.
    peaks
        Into how many lowest and highest samples the waveform is drawn together; 0 for none.
    """

    hop: float | None = None
    window: float = WINDOW
    peaks: int = 0

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wishes:
        """Read them from a query; what would have no effect is refused, for it is a mistake."""
        check_names(query, "hop", "window", "peaks")
        window, hop = window_and_hop(query)
        if "window" in query and "hop" not in query:
            raise bad_query("window is the length of the windows of a timeline, and hop asks for one: add hop.")
        peaks = number(query, "peaks", 0, MAX_PEAKS, 0)
        if peaks != int(peaks):
            raise bad_query(f"peaks must be a whole number from 0 to {MAX_PEAKS}.")
        return cls(hop if "hop" in query else None, window, int(peaks))


def check_names(query: Mapping[str, str], *known: str) -> None:
    """Refuse a query with another name: it is a spelling mistake."""
    if not set(query) <= set(known):
        names = f"{', '.join(known[:-1])} and {known[-1]}"
        raise bad_query(f"The query knows {names}; another name stands in it.")


def window_and_hop(query: Mapping[str, str]) -> tuple[float, float]:
    """Both in seconds."""
    window = number(query, "window", *WINDOWS, WINDOW)
    return window, number(query, "hop", SHORTEST_HOP, window, min(HOP, window))


def number(query: Mapping[str, str], name: str, low: float, high: float, default: float) -> float:
    """A number of a query within its bounds, or a refusal."""
    try:
        value = float(query.get(name, default))
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise bad_query(f"{name} must be a number from {low:g} to {high:g}.")
    return value


def bad_query(reason: str) -> RequestError:
    """A query that makes no sense."""
    return RequestError(400, "bad_query", reason)
