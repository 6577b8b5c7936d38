"""Tables say how their numbers were made, in Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import html
import io
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browsing import CHROMIUM, NEEDED, chromium
from playwright.sync_api import Browser
from sklearn.metrics import balanced_accuracy_score

from featkit.benchmark import Options, Protocol, Recipe, Row, measured, report
from featkit.benchmark.deployed import Deployed
from featkit.benchmark.html import html_report
from featkit.benchmark.report import csv_report, heading, latex_report, notes, title
from featkit.corpus import Corpus
from featkit.errors import FeatkitError
from featkit.metrics import Difference


def heads(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_the_title_names_corpus_protocol_and_that_it_is_synthetic(row: Row) -> None:
    first, _, head, _, line = report([row]).splitlines()
    assert first == (
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
    assert "transductive, seed 3" in table[5]
    assert "1.23 (features)" in table[6]


def test_remarks_are_plain_words_in_every_form(row: Row) -> None:
    told = replace(row, recipe=replace(row.recipe, normalise="speaker", tune=5))
    for text in (report([told]), csv_report([told]), latex_report([told]), html_report([told])[0], str(told.recipe)):
        assert "transductive, tuned with 5 trials in each fold" in text
        assert "*transductive" not in text


def test_clips_that_could_not_be_used_are_told_in_every_form(row: Row) -> None:
    whole = replace(row, corpus="c", synthetic=False)
    one, three = replace(whole, failed_clips=1), replace(whole, failed_clips=3)
    assert heading([whole]) == "c: 24 clips, 3 emotions, leave one of 4 speakers out"
    assert heading([one]) == f"{heading([whole])}; 1 clip could not be used"
    for text in (report([three, three]), latex_report([three]), html_report([three])[0]):
        assert f"{heading([whole])}; 3 clips could not be used" in text
    assert "unusable" not in report([three, three])


def test_rows_that_could_use_more_or_fewer_clips_tell_each_its_own(row: Row) -> None:
    told = row.evaluation
    columns = ("y_true", "y_pred", "probabilities", "speakers", "places")
    short = replace(told, **{name: getattr(told, name)[2:] for name in columns})
    whole = replace(row, corpus="c", synthetic=False)
    rows = [whole, replace(whole, evaluation=short, failed_clips=2)]
    assert heading(rows) == (
        "c: 22 to 24 clips, 3 emotions, leave one of 4 speakers out; up to 2 clips could not be used"
    )
    _, _, head, _, *lines = report(rows).splitlines()
    assert [heads(line)[-1] for line in (head, *lines[:2])] == ["unusable", "0", "2"]


def test_one_test_speaker_is_the_reason_why_there_is_no_interval(corpus: Corpus) -> None:
    rows, _ = measured(corpus, [Recipe("mfcc39", "svm")], [Protocol("test:s1"), Protocol("test:s1,s2")], Options())
    assert title(rows[:1]).endswith(
        ": 6 clips, 3 emotions, test speaker s1, learned from 3 others; one speaker: no interval"
    )
    assert "; one speaker: no interval</h2>" in html_report(rows[:1])[0]
    assert title(rows[1:]).endswith("test speakers s1, s2, learned from 2 others; UA with 95 % interval over speakers")


def test_across_corpora_all_is_said_once(corpus: Corpus) -> None:
    labels = np.where(corpus.labels == "neutral", "calm", corpus.labels)
    clips = [0.5 * clip for clip in corpus.clips]
    second = replace(corpus, name="b", files=[f"b/{file}" for file in corpus.files], labels=labels, clips=clips)
    (row,), _ = measured(replace(corpus, name="a"), [Recipe("mfcc39", "svm")], [Protocol()], Options(), second)
    told = (
        "Learned from a (16 clips; 8 of neutral left out), tested on b (16 clips; 8 of calm left out): "
        "4 test speakers, 2 emotions"
    )
    assert heading([replace(row, synthetic=False)]) == told
    assert title([replace(row, synthetic=False)]) == f"{told}; UA with 95 % interval over speakers"
    assert "SYNTHETIC" in title([row])
    assert heading([replace(row, synthetic=False, evaluation=replace(row.evaluation, speakers=None))]) == told.replace(
        "4 test speakers, ", ""
    )


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


def test_what_the_folds_chose_is_told_a_line_a_choice(row: Row) -> None:
    chosen = ["svm:C=1", "svm:C=3,kernel=rbf", "svm:C=3,kernel=rbf", "svm:C=1", "svm:C=3,kernel=rbf"]
    tuned = replace(row, recipe=replace(row.recipe, tune=5), evaluation=replace(row.evaluation, chosen=chosen))
    (note,) = notes([row, tuned])
    assert note.splitlines() == [
        "mfcc39 + svm, tuned with 5 trials in each fold: the folds chose",
        "  - 3 × svm:C=3,kernel=rbf",
        "  - 2 × svm:C=1",
    ]
    assert note in report([tuned])
    assert html.escape(note) in html_report([tuned])[0]


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


def test_latex_spares_a_paper_the_costs(row: Row) -> None:
    told = replace(row, model=Deployed(12_345, 1.234, "wave", 25))
    (line,) = [line for line in latex_report([told]).splitlines() if "UA &" in line]
    assert line.split(" & ") == ["    features", "backend", "WA", "UA", "macro-F1", r"ECE \\"]
    assert {"CPU s", "extraction", "kB", "ms"} <= set(heads(report([told]).splitlines()[2]))
    assert {"cpu_seconds", "extraction_seconds", "model.n_bytes", "model.milliseconds"} <= set(
        csv_report([told]).splitlines()[0].split(",")
    )


def test_every_table_of_latex_has_a_label_of_its_own(row: Row) -> None:
    names = ["EMO-DB", "emodb → rav.csv", "EMO-DB", "语音"]
    rows = [replace(row, corpus=name, data=str(i)) for i, name in enumerate(names)]
    text = latex_report(rows)
    assert re.findall(r"\\label{(.*)}", text) == ["tab:emo-db", "tab:emodb-rav-csv", "tab:emo-db:2", "tab:corpus"]
    assert len(re.findall(r"\\caption{.*}\n  \\label{", text)) == 4, "a label before its caption numbers the section"


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


def test_the_picture_has_the_order_of_the_table_and_the_heading_no_more_than_the_head(row: Row) -> None:
    right = replace(
        row, recipe=Recipe("right", "svm"), evaluation=replace(row.evaluation, y_pred=row.evaluation.y_true)
    )
    wrong = np.full_like(row.evaluation.y_true, "anger")
    worst = replace(row, recipe=Recipe("worst", "svm"), evaluation=replace(row.evaluation, y_pred=wrong))
    for rows in ([right, worst], [worst, right]):
        text, _ = html_report(rows)
        picture = ET.fromstring(re.findall(r"<svg .*?</svg>", text, re.DOTALL)[0])
        words = sorted(picture.iter("{http://www.w3.org/2000/svg}text"), key=lambda word: float(word.get("y", "nan")))
        order = [word.text for word in words if str(word.text).endswith("+ svm")]
        assert order == [str(one.recipe) for one in rows]
        (head,) = re.findall("<h2>(.*?)</h2>", text)
        assert "interval over speakers" not in head
        assert "with a 95 % interval over speakers" in text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("no") / "microphone.wav") as started:
        yield started


@pytest.mark.skipif(CHROMIUM is None, reason=NEEDED)
@pytest.mark.parametrize("width", [375, 500, 1300])
def test_all_of_the_intervals_is_seen_and_read_on_a_screen_of_any_width(
    width: int, row: Row, browser: Browser, tmp_path: Path
) -> None:
    long = replace(
        row, recipe=Recipe("egemaps+mfcc39", "svm:kernel=linear,C=0.01", augment="standard", tune=20, seed=2)
    )
    (tmp_path / "report.html").write_text(html_report([row, long])[0], encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((tmp_path / "report.html").as_uri())
    ends = page.locator("svg.intervals").bounding_box()
    assert ends is not None
    assert ends["x"] >= 0
    assert ends["x"] + ends["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    words = page.locator("svg.intervals text").all()
    assert min(word.bounding_box()["height"] for word in words if word.text_content()) >= 9  # type: ignore[index]
    page.close()


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
