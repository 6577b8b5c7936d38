"""The view on a terminal: what stands on it after every event, at any size."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featkit.stream import Event
from featkit.stream.screen import Look, Screen, frame, line, printable

LABELS = ("anger", "neutral", "sadness")


def event(
    label: str | None = "anger", probabilities: tuple[float, ...] | None = (0.75, 0.125, 0.125),
    labels: tuple[str, ...] = LABELS, reason: str | None = None, gap: float = 0.0, dropped: int = 0, end: float = 63.5,
) -> Event:  # fmt: skip
    row = None if probabilities is None else np.array(probabilities, dtype=np.float32)
    raw = None if row is None else labels[int(row.argmax())]
    return Event(end - 3, end, label, reason, raw, row, row, 0.0042, gap, dropped, labels)


def cells(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


class Terminal(io.StringIO):
    """Knows the two commands that the screen gives, and what stands there after them."""

    encoding = "utf-8"

    def lines(self) -> list[str]:
        shown: list[str] = []
        for part in re.split(r"(\x1b\[\d+F\x1b\[J)", self.getvalue()):
            if up := re.fullmatch(r"\x1b\[(\d+)F\x1b\[J", part):
                del shown[-int(up[1]) :]
            else:
                shown += part.splitlines()
        return shown


@pytest.fixture(autouse=True)
def size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("NO_COLOR", "1")


def test_a_frame_has_a_headline_a_bar_for_each_emotion_and_what_was_lost() -> None:
    assert frame(event(), Look(40), "1.25 s of sound lost") == [
        "anger 0.75                01:03.5  4 ms",
        "anger     " + "█" * 17 + "▎" + " " * 5 + "  0.75",  # 23 cells, 0.75 of 184 eighths are 138
        "neutral   " + "██▉" + " " * 20 + "  0.12",
        "sadness   " + "██▉" + " " * 20 + "  0.12",
        "1.25 s of sound lost",
    ]


def test_where_there_is_no_label_the_headline_says_why() -> None:
    unsure = frame(event(None, reason="not sure"), Look(40))
    assert unsure[0].startswith("not sure  ")
    assert unsure[1].endswith("0.75")
    silent = frame(event(None, None, reason="silence"), Look(40))
    assert silent[0].startswith("silence  ")
    assert silent[1:] == ["anger", "neutral", "sadness"]


def test_a_reason_is_told_whole_however_long_it_is() -> None:
    reason = "has 100 samples (6 ms); one frame needs 400. Pass pad_short or drop the clip."
    told = event(None, None, reason=reason)
    shown = frame(told, Look(40), "1.25 s of sound lost")
    assert shown[:3] == ["has 100 samples (6 ms); one frame needs", "400. Pass pad_short or drop the clip.", "anger"]
    assert " ".join(frame(told, Look(20, rows=7))[:5]) == reason
    assert line(told).endswith(f"  {reason}")


def test_a_narrow_terminal_first_loses_latency_then_bars_then_names_but_never_half_a_number() -> None:
    assert frame(event(), Look(24))[:2] == ["anger 0.75      01:03.5", "anger     █████▎   0.75"]
    assert frame(event(), Look(16))[:2] == ["anger 0.75", "anger     0.75"]
    assert frame(event(), Look(10))[0] == "anger"
    assert frame(event(), Look(10))[1] == "ang  0.75"


def test_a_low_terminal_keeps_the_most_probable_emotions_in_their_order() -> None:
    rows = frame(event("sadness", (0.3, 0.1, 0.6)), Look(40, rows=4))
    assert [row.split()[0] for row in rows] == ["sadness", "anger", "sadness"]


def test_a_terminal_without_block_characters_gets_number_signs() -> None:
    assert frame(event(), Look(40, blocks=False))[1] == "anger     " + "#" * 17 + " " * 6 + "  0.75"


def test_colours_mark_the_label_and_change_nothing_else() -> None:
    coloured = frame(event("neutral"), Look(40, colours=True))
    assert "\x1b[32m" in coloured[2]
    assert "\x1b[32m" not in coloured[1]
    assert [re.sub(r"\x1b\[\d+m", "", row) for row in coloured] == frame(event("neutral"), Look(40))


@given(
    st.integers(1, 120),
    st.integers(1, 12),
    st.lists(st.text(max_size=12), min_size=3, max_size=3, unique=True),
    st.booleans(),
    st.sampled_from(["", "1.25 s of sound lost, 2 windows dropped"]),
    st.text(max_size=60),
)
def test_no_line_reaches_the_last_column_and_no_frame_the_last_row(
    columns: int, rows: int, labels: list[str], told: bool, footer: str, reason: str
) -> None:
    why = None if told else reason
    shown = event(labels[0] if told else None, (0.5, 0.3, 0.2) if told else None, tuple(labels), why)
    lines = frame(shown, Look(columns, rows), footer)
    assert all(cells(row) <= max(1, columns - 1) for row in lines)
    assert len(lines) <= max(1, rows - 1)
    assert all(row.isprintable() for row in lines)


def test_wide_characters_take_two_cells() -> None:
    rows = frame(event("愤怒", labels=("愤怒", "neutral", "sadness")), Look(40))
    assert rows[1].startswith("愤怒      █")
    assert cells(rows[1]) == cells(rows[2]) == 39


def test_a_label_cannot_command_the_terminal() -> None:
    nasty = ("\x1b[2Janger\n", "neutral", "sadness")
    assert printable(nasty[0]) == "?[2Janger?"
    assert all(
        "\x1b" not in row
        for row in [*frame(event(nasty[0], labels=nasty), Look()), line(event(nasty[0], labels=nasty))]
    )


def test_a_frame_stands_in_the_place_of_the_one_before() -> None:
    out = Terminal()
    screen = Screen(out)
    screen.show(event("anger"))
    screen.show(event("sadness", (0.0, 0.25, 0.75), gap=0.5))
    screen.show(event("neutral", (0.25, 0.75, 0.0), gap=0.25, dropped=1))
    assert out.lines() == frame(event("neutral", (0.25, 0.75, 0.0)), Look(40), "0.75 s of sound lost, 1 window dropped")


def test_what_is_said_to_people_stays_above_the_bars() -> None:
    out = Terminal()
    screen = Screen(out)
    screen.say("Listening")
    screen.show(event())
    screen.say("pulse delivers nothing")
    screen.show(event("neutral"))
    assert out.lines() == ["Listening", "pulse delivers nothing", *frame(event("neutral"), Look(40))]


def test_after_the_window_became_narrower_wrapped_lines_are_cleared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    screen = Screen(out)
    screen.show(event())  # 4 lines of 39 cells
    monkeypatch.setenv("COLUMNS", "20")
    screen.show(event())
    assert "\x1b[8F" in out.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", ""), ("TERM", "dumb")])
def test_colours_are_left_out_where_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    assert Look.of(Terminal()).colours
    monkeypatch.setenv(name, value)
    assert not Look.of(Terminal()).colours


class Lines(Terminal):
    """A terminal that would print a command as garbage."""

    def fileno(self) -> int:
        return 1


def check_lines(out: Lines) -> None:
    screen = Screen(out)
    screen.say("Listening")
    screen.show(event())
    screen.show(event("neutral", (0.125, 0.75, 0.125), gap=1.0))
    assert out.getvalue() == (
        "Listening\n   60.50    63.50  anger     0.75\n   60.50    63.50  neutral   0.75  (1.00 s of sound lost)\n"
    )


def test_where_nothing_can_be_drawn_over_every_event_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    check_lines(Lines())


@pytest.mark.parametrize("knows", [True, False])
def test_a_console_of_windows_is_asked_whether_it_knows_commands(monkeypatch: pytest.MonkeyPatch, knows: bool) -> None:
    asked: list[int] = []
    winterm = SimpleNamespace(enable_vt_processing=lambda handle: [asked.append(handle), knows][1])
    monkeypatch.setitem(sys.modules, "colorama.winterm", winterm)  # type: ignore[arg-type]
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("TERM", "xterm")
    if knows:
        assert Look.of(Lines()).drawn_over
    else:
        check_lines(Lines())
    assert set(asked) == {1}


def test_an_event_as_a_line_tells_where_what_and_what_is_missing_before_it() -> None:
    assert line(event()) == "   60.50    63.50  anger     0.75"
    assert line(event(None, reason="not sure")) == "   60.50    63.50  not sure"
    assert line(event(gap=1.25, dropped=2)).endswith("anger     0.75  (1.25 s of sound lost, 2 windows dropped)")
    assert line(event(None, None, reason="gap", gap=3.0)) == "   60.50    63.50  end       (3.00 s of sound lost)"
