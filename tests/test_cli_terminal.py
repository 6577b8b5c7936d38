"""What is printed fits the terminal, and nothing of it is lost."""

from __future__ import annotations

import pytest

from featkit.cli.terminal import fitted, folded
from featkit.tables import markdown, text_width

PATH = "Actor_07/03-01-03-01-02-01-07.flac"


def test_a_report_that_fits_stays_as_it_is() -> None:
    report = f"A title\n\n{markdown([{'a': 'x|y', 'b': ''}])}\n\n  - a list"
    assert fitted(report, 80) == report


def test_a_table_that_is_too_wide_is_folded_inside_its_cells() -> None:
    rows = [
        {"check": "copies", "fold": "", "finding": f"2 clips have the same samples: {PATH}"},
        {"check": "x|y", "fold": "", "finding": "愤怒 " * 12},
    ]
    assert fitted(markdown(rows), 40).splitlines() == [
        "check  finding",
        "------ ---------------------------------",
        "copies 2 clips have the same samples:",
        "       Actor_07/03-01-03-01-02-01-",
        "       07.flac",
        "x|y    愤怒 愤怒 愤怒 愤怒 愤怒 愤怒",
        "       愤怒 愤怒 愤怒 愤怒 愤怒 愤怒",
    ]


def test_heads_give_way_before_the_cells_below_them() -> None:
    told = fitted(markdown([{"speaker": "emodb/03", "happiness": "14", "surprise": "9"}]), 23).splitlines()
    assert told == ["speaker  happin surpris", "         ess    e", "-------- ------ -------", "emodb/03 14     9"]


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(columns: int) -> None:
    row = {"features": "egemaps+mfcc39", "backend": "svm:kernel=linear,C=0.01", "UA": "68.9 [56, 82]", "kB": "1036"}
    report = "\n\n".join(["A title of many words " * 6, markdown([row, row]), "  - 3 × " + "tree " * 40])
    told = fitted(report, columns)
    assert max(map(text_width, told.splitlines())) <= columns
    signs = "".join(told.split())
    assert signs.count("title") == 6
    assert signs.count("tree") == 40
    assert told.splitlines()[-1].startswith("  tree")


def test_a_terminal_without_room_gets_what_there_is() -> None:
    report = markdown([{"a": "one two three", "b": "four five six", "c": PATH}])
    assert "".join(fitted(report, 1).split()).count("three") == 1


@pytest.mark.parametrize(
    "report",
    [
        markdown([{"a": "a line\nthat was broken " * 4, "b": "1"}]),
        "| a title that begins with a bar, as a name of a file may, and is long",
        "|---------------------------------------|\n|-----------------------------|",
        "| a | b | c | d | e | f | g | h | i |\n|---|\n| 1 |",
    ],
)
def test_what_only_looks_like_a_table_loses_nothing(report: str) -> None:
    assert fitted(report, 30).split() == report.split()


def test_an_address_is_not_cut() -> None:
    assert folded(f"see https://example.org/{PATH} there", 20) == ["see", f"https://example.org/{PATH}", "there"]
