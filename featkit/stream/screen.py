"""Events on a terminal: bars that are drawn over themselves, or a line an event where nothing can be drawn over."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import TextIO

from featkit.stream.recogniser import LOST, Event
from featkit.tables import counted, padded, text_width

_EIGHTHS = " ▏▎▍▌▋▊▉"
_SHORTEST_BAR = 6  # cells; below it the number says more
_LONGEST_BAR = 60


@dataclass(frozen=True)
class Look:
    """What a terminal can show: its size in cells, and whether it knows block characters, colours, and the way back."""

    columns: int = 80
    rows: int = 24
    blocks: bool = True
    colours: bool = False
    drawn_over: bool = True

    @classmethod
    def of(cls, out: TextIO) -> Look:
        """The terminal behind ``out`` as it is now. NO_COLOR and TERM=dumb are minded."""
        columns, rows = shutil.get_terminal_size()
        obeys = _obeys(out)
        colours = obeys and "NO_COLOR" not in os.environ
        return cls(columns, rows, "utf" in (out.encoding or "").lower(), colours, obeys)


def _obeys(out: TextIO) -> bool:
    """Whether the terminal takes escape sequences for commands. A console of Windows is asked to; old ones cannot."""
    if os.environ.get("TERM") == "dumb":
        return False
    if sys.platform == "win32":
        from colorama.winterm import enable_vt_processing  # which click brings there

        return bool(enable_vt_processing(out.fileno()))
    return True


class Screen:
    """Draws each event over the one before, or a line an event where that cannot be. Notices stay above the bars."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._widths: list[int] = []  # of the lines that stand there now
        self._lost, self._dropped = 0.0, 0

    def show(self, event: Event) -> None:
        """Replace what stands there."""
        self._lost += event.gap
        self._dropped += event.dropped
        look = Look.of(self._out)
        if not look.drawn_over:
            self._out.write(f"{line(event)}\n")
            self._out.flush()
            return
        lines = frame(event, look, _losses(self._lost, self._dropped))
        self._out.write(self._back(look) + "".join(f"{line}\n" for line in lines))
        self._out.flush()
        self._widths = [text_width(_without_colours(line)) for line in lines]

    def say(self, text: str) -> None:
        """A line for people; the next frame comes below it."""
        self._out.write(f"{self._back(Look.of(self._out))}{printable(text)}\n")
        self._out.flush()
        self._widths = []

    def _back(self, look: Look) -> str:
        """Go up to where the frame began, and clear from there. A narrower window has wrapped its lines."""
        lines = sum(max(1, -(-width // max(1, look.columns))) for width in self._widths)
        return f"\x1b[{lines}F\x1b[J" if lines else ""


def frame(event: Event, look: Look, footer: str = "") -> list[str]:
    """Lines for one event, none longer than the terminal and not more of them: headline, bars, footer.

    Bars are the probabilities of the window alone; the headline is the smoothed label, or the whole reason why there
    is none. Where rows are few, the most probable emotions stay.
    """
    width = max(1, look.columns - 1)  # a full last column would wrap
    room = max(1, look.rows - 1)  # the cursor stands in the last row
    lines = _headline(event, width)[:room]
    below = [_fit(footer, width).rstrip()] if footer and room > len(lines) else []
    values = [0.0] * len(event.labels) if event.probabilities is None else event.probabilities.tolist()
    kept = sorted(range(len(values)), key=lambda i: -values[i])[: room - len(lines) - len(below)]
    if look.colours:
        lines = [f"\x1b[1m{row}\x1b[0m" for row in lines]
    return lines + [_row(event, i, values[i], width, look) for i in sorted(kept)] + below


def line(event: Event) -> str:
    """An event as one line of text: where, what, how sure, and what is missing before it."""
    name, value = _told(event)
    told = f"{event.start:8.2f} {event.end:8.2f}  {padded(name, _widest(event))}"
    told += f"  {value:.2f}" if value is not None else ""
    lost = _losses(event.gap, event.dropped)
    return (f"{told}  ({lost})" if lost else told).rstrip()


def printable(text: str) -> str:
    """Text that cannot command a terminal: labels come from a file that a stranger may have made."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _told(event: Event) -> tuple[str, float | None]:
    """The label with its smoothed value, or why there is none."""
    if event.label is not None and event.smoothed is not None:
        return printable(event.label), float(event.smoothed[event.labels.index(event.label)])
    if event.reason == LOST:
        return "end", None
    return printable(event.reason or ""), None


def _headline(event: Event, width: int) -> list[str]:
    name, value = _told(event)
    told = name if value is None else f"{name} {value:.2f}"
    minutes, seconds = divmod(event.end, 60)
    clock = f"{minutes:02.0f}:{seconds:04.1f}"
    for right in (f"{clock}  {1000 * event.latency:.0f} ms", clock):
        if text_width(told) + 2 + len(right) <= width:
            return [padded(told, width - len(right)) + right]
    if value is None:
        return _wrapped(told, width)
    return [_fit(told if text_width(told) <= width else name, width).rstrip()]  # half a number would be another one


def _row(event: Event, i: int, value: float, width: int, look: Look) -> str:
    """Name, bar and number; of a narrow terminal first the bar goes, then the name is cut."""
    number = "" if event.probabilities is None else f"{value:.2f}"
    names = min(_widest(event), max(1, width - 6))
    size = min(_LONGEST_BAR, width - names - 8)
    name = _fit(printable(event.labels[i]), names)
    if size < _SHORTEST_BAR:
        return _fit(f"{name}  {number}", width).rstrip()
    bar = _fit(_bar(value, size, look.blocks), size)
    if look.colours and event.labels[i] == event.label:
        name, bar = f"\x1b[1m{name}\x1b[0m", f"\x1b[32m{bar}\x1b[0m"
    return f"{name}  {bar}  {number}".rstrip()


def _bar(value: float, size: int, blocks: bool) -> str:
    eighths = round(8 * size * min(1.0, max(0.0, value)))
    if not blocks:
        return "#" * round(eighths / 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _widest(event: Event) -> int:
    """Cells of the longest label, or of what may stand in its place."""
    return max(8, *(text_width(printable(label)) for label in event.labels))


def _losses(lost: float, dropped: int) -> str:
    told = [f"{lost:.2f} s of sound lost"] if lost else []
    if dropped:
        told.append(f"{counted(dropped, 'window')} dropped")
    return ", ".join(told)


def _fit(text: str, columns: int) -> str:
    """Cut or padded to this many columns."""
    while text_width(text) > columns:
        text = text[:-1]
    return padded(text, columns)


def _wrapped(text: str, columns: int) -> list[str]:
    """The text in lines of at most this many columns, broken at blanks where there are any."""
    lines = []
    while text_width(text) > columns:
        fitting = _fit(text, columns).rstrip()
        head = text[: len(fitting) + 1].rpartition(" ")[0] or fitting
        lines.append(head)
        text = text[max(1, len(head)) :].lstrip()  # what is wider than all columns is left out
    return [*lines, text]


def _without_colours(text: str) -> str:
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[32m"):
        text = text.replace(code, "")
    return text
