"""Tables say how their numbers were made, and each view is extracted once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from featkit import extraction
from featkit.benchmark import benchmark, markdown, report
from featkit.corpus import Corpus
from featkit.datasets.synthetic import synthesise
from featkit.errors import DataError, FeatkitError, FeatureError

CELLS = [(emotion, speaker, take) for emotion in ("anger", "sadness") for speaker in range(3) for take in range(2)]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    waves = [synthesise(emotion, speaker, 0, take) for emotion, speaker, take in CELLS]
    return Corpus(
        "three voices",
        [f"{i}.wav" for i in range(len(waves))],
        waves,
        np.array([emotion for emotion, _, _ in CELLS]),
        np.array([str(speaker) for _, speaker, _ in CELLS]),
        synthetic=True,
    )


def test_each_set_meets_each_backend_and_each_view_is_extracted_once(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted: list[str] = []
    one = extraction.extract_one

    def spy(clip: object, where: str, *rest: object) -> object:
        if isinstance(clip, np.ndarray):
            extracted.append(where)
        return one(clip, where, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(extraction, "extract_one", spy)
    rows, failures = benchmark(corpus, ["mfcc39", "logmel"], ["svm", "xgboost:n_estimators=5"])
    assert [(row.features, row.backend) for row in rows] == [
        ("mfcc39", "svm"),
        ("mfcc39", "xgboost:n_estimators=5"),
        ("logmel", "svm"),
        ("logmel", "xgboost:n_estimators=5"),
    ]
    assert failures == []
    assert len(extracted) == 2 * len(CELLS)


def test_the_title_names_corpus_protocol_and_that_it_is_synthetic(corpus: Corpus) -> None:
    rows, _ = benchmark(corpus, ["mfcc39"], ["svm"])
    title, _, head, _, row = report(rows).splitlines()
    assert title == (
        "three voices (SYNTHETIC speech: it shows that the program runs, not how well it does on people): 12 clips, "
        "2 emotions, leave one of 3 speakers out; UA with 95 % interval over speakers"
    )
    assert [cell.strip() for cell in head.split("|")[1:-1]] == ["features", "backend", "WA", "UA", "macro-F1", "CPU s"]
    assert f"{100 * rows[0].evaluation.ua:.1f} [" in row
    assert json.loads(json.dumps(rows[0].summary()))["UA"] == round(rows[0].evaluation.ua, 4)


def test_a_bad_clip_is_left_out_and_listed_once(corpus: Corpus) -> None:
    clips = [*corpus.clips[:-1], np.zeros(16_000, np.float32)]
    broken = Corpus("c", corpus.files, clips, corpus.labels, corpus.speakers)
    rows, failures = benchmark(broken, ["mfcc39"], ["svm", "xgboost:n_estimators=5"])
    assert [failure.reason for failure in failures] == [
        "clip 11: all 16000 samples are zero (digital silence); drop the clip."
    ]
    assert len(rows[0].evaluation.y_true) == 11


def test_a_corpus_without_a_usable_clip_is_an_error(corpus: Corpus) -> None:
    silent = Corpus("c", ["a"], [np.zeros(16_000, np.float32)], np.array(["anger"]), np.array(["1"]))
    with pytest.raises(DataError, match=r"c: none of 1 clips can be used\. The first: .*digital silence"):
        benchmark(silent, ["mfcc39"], ["svm"])


def test_recordings_make_no_table_before_extraction(corpus: Corpus) -> None:
    with pytest.raises(FeatureError, match="three voices holds recordings; extract features first"):
        corpus.table()


def test_no_rows_make_no_table() -> None:
    with pytest.raises(FeatkitError, match="There are no rows to show"):
        markdown([])
