"""Tables say how their numbers were made, in Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import html
import io
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from featkit.benchmark import Protocol, Recipe, Row, report
from featkit.benchmark.deployed import Deployed
from featkit.benchmark.html import html_report
from featkit.benchmark.report import csv_report, latex_report, notes
from featkit.errors import FeatkitError
from featkit.metrics import Difference


def heads(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_the_title_names_corpus_protocol_and_that_it_is_synthetic(row: Row) -> None:
    title, _, head, _, line = report([row]).splitlines()
    assert title == (
        "four voices (SYNTHETIC speech: it shows that the program runs, not how well it does on people): 24 clips, "
        "3 emotions, leave one of 4 speakers out; UA with 95 % interval over speakers"
    )
    assert heads(head) == ["features", "backend", "WA", "UA", "macro-F1", "ECE", "CPU s", "extraction"]
    assert f"{100 * row.evaluation.ua:.1f} [" in line


def test_a_column_is_there_where_a_row_needs_it(row: Row) -> None:
    told = replace(row, recipe=Recipe("mfcc39", "svm", augment="noise", normalise="speaker", seed=3))
    measured = replace(row, model=Deployed(12_345, 1.234, "features", 25))
    table = report([row, told, measured]).splitlines()
    assert {"augment", "remarks", "kB", "ms"} <= set(heads(table[2]))
    assert "noise × 4" in table[5]
    assert "*transductive*, seed 3" in table[5]
    assert "1.23 (features)" in table[6]


def test_rows_of_other_data_or_protocol_stand_in_another_table(row: Row) -> None:
    leaking = replace(row, evaluation=replace(row.evaluation, protocol="5 random folds, SPEAKERS LEAK"))
    text = report([row, leaking, replace(row, data="abc")])
    assert text.count("| features") == 3
    assert "SPEAKERS LEAK" in text


def test_seeds_are_told_together_with_mean_and_deviation(row: Row) -> None:
    recipe, uas = replace(row.recipe, backend="mlp"), []
    rows = [row]
    for seed, wrong in enumerate((1, 3, 8)):
        told = row.evaluation
        other = next(label for label in told.labels if label != told.y_true[0])
        predicted = np.where(np.arange(len(told.y_true)) < wrong, other, told.y_true)
        one = replace(row, recipe=replace(recipe, seed=seed), evaluation=replace(told, y_pred=predicted))
        uas.append(100 * balanced_accuracy_score(told.y_true, predicted))
        rows.append(one)
    assert len(set(uas)) == 3
    (note,) = notes(rows)
    assert note.startswith(f"{recipe}: WA ")
    assert note.endswith(f"UA {np.mean(uas):.1f} ± {np.std(uas, ddof=1):.1f} over 3 seeds")
    assert note in report(rows)
    assert html.escape(note) in html_report(rows)[0]
    assert notes([row]) == []


def test_csv_holds_every_number(row: Row) -> None:
    (line,) = csv.DictReader(io.StringIO(csv_report([row])))
    assert float(line["UA"]) == round(row.evaluation.ua, 4)
    assert float(line["UA_95_low"]) <= float(line["UA"]) <= float(line["UA_95_high"])
    assert line["key"] == row.key
    assert {"recalls.anger", "speaker_UA.s0", "made.code", "ECE"} <= line.keys()


def test_latex_is_booktabs_with_every_sign_escaped(row: Row) -> None:
    text = latex_report([replace(row, corpus="my_corpus & 100 % $x")])
    assert r"my\_corpus \& 100 \% \$x" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"95 \% interval" in text


def test_no_rows_make_no_report() -> None:
    with pytest.raises(FeatkitError, match="There are no rows to show"):
        report([])
    with pytest.raises(FeatkitError, match="There are no rows to show"):
        csv_report([])


class _Page(HTMLParser):
    """Every opened element is closed, and nothing is fetched."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.fetched += [
            str(value) for name, value in attrs if name in ("src", "href") and not str(value).startswith("#")
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def rich(row: Row) -> Row:
    """A row with everything that can be drawn, and names that are not for HTML."""
    history = [{"epoch": e, "loss": 1 / e, "validation_loss": 1 / e, "validation_ua": 0.5} for e in (1.0, 2.0)]
    return replace(
        row,
        corpus="<b>corpus</b>",
        recipe=Recipe("mfcc39", "svm", normalise="speaker", tune=2),
        protocol=Protocol(5, True),
        evaluation=replace(
            row.evaluation, protocol="5 random folds, SPEAKERS LEAK", histories=[history],
            importance={"MFCC <&>": Difference(0.1, (0.0, 0.2), 0.01)},
        ),
    )  # fmt: skip


def test_the_page_stands_alone_and_is_well_formed(row: Row, rich: Row) -> None:
    text, note = html_report([row, rich])
    assert note is None
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.fetched == []
    assert "<script" not in text
    assert "url(http" not in text
    assert "default-src 'none'" in text
    assert "<b>corpus</b>" not in text
    assert "&lt;b&gt;corpus&lt;/b&gt;" in text
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_marks_what_must_be_known(row: Row, rich: Row) -> None:
    text, _ = html_report([rich])
    for mark in ("SYNTHETIC", "SPEAKERS LEAK", "transductive", "tuned"):
        assert f'<span class="mark">{mark}</span>' in text, mark
    plain, _ = html_report([replace(row, synthetic=False)])
    assert 'class="mark"' not in plain


def test_every_picture_is_there_and_readable(rich: Row) -> None:
    text, _ = html_report([rich])
    assert text.count("<svg ") == 6
    for name in ("Confusion", "Calibration", "UA of each speaker", "Learning curves", "What shuffling a family"):
        assert f"<h3>{name}" in text, name
    for picture in re.findall(r"<svg .*?</svg>", text, re.DOTALL):
        ET.fromstring(picture)


def test_without_matplotlib_the_page_says_so(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text, note = html_report([row])
    assert note is not None
    assert "pip install 'featkit[plot]'" in note
    assert "<svg" not in text
    assert f"{100 * row.evaluation.ua:.1f}" in text


def test_an_emotion_that_nobody_showed_is_no_error(row: Row) -> None:
    told = row.evaluation
    more = np.array([*told.labels, "surprise"])
    padded = np.pad(told.probabilities, ((0, 0), (0, 1)))
    text, _ = html_report([replace(row, evaluation=replace(told, labels=more, probabilities=padded))])
    assert "nan" not in text.lower().replace("sans", "")
    assert "NaN" not in report([replace(row, evaluation=replace(told, labels=more, probabilities=padded))])
