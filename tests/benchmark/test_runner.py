"""Each set meets each backend under each protocol, features are extracted once, and a failing recipe costs its rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from speech import write_features

from featkit import SERClassifier, evaluate, extraction
from featkit.benchmark import Options, Protocol, Recipe, Row, benchmark, measured
from featkit.benchmark.runner import Failed, cells, made
from featkit.benchmark.state import code_hash, data_hash, sources_hash
from featkit.corpus import Corpus, read_corpus
from featkit.errors import DataError, LeakageError, PluginError

SMALL = "xgboost:n_estimators=5,n_jobs=1"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each clip that is extracted."""
    found: list[str] = []
    one = extraction.extract_one

    def spy(clip: object, where: str, *rest: object) -> object:
        if isinstance(clip, np.ndarray):
            found.append(where)
        return one(clip, where, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(extraction, "extract_one", spy)
    return found


def test_each_set_meets_each_backend_and_each_view_is_extracted_once(corpus: Corpus, calls: list[str]) -> None:
    rows, failures = benchmark(corpus, ["mfcc39", "logmel"], ["svm", SMALL])
    assert [(row.features, row.backend) for row in rows] == [
        ("mfcc39", "svm"), ("mfcc39", SMALL), ("logmel", "svm"), ("logmel", SMALL),
    ]  # fmt: skip
    assert failures == []
    assert len(calls) == 2 * len(corpus.files)


def test_recipes_and_protocols_share_what_is_extracted(corpus: Corpus, calls: list[str]) -> None:
    recipes = [Recipe("mfcc39", "svm"), Recipe("logmel", "svm"), Recipe("mfcc39", SMALL)]
    rows = list(made(cells([corpus], recipes, [Protocol(), Protocol(2)]), Options()))
    assert len(rows) == 6
    assert len(calls) == 2 * len(corpus.files)


def test_a_row_holds_what_evaluate_says(corpus: Corpus, row: Row) -> None:
    told = evaluate(SERClassifier("mfcc39", "svm"), corpus.clips, corpus.labels, corpus.speakers)
    assert row.evaluation.y_pred.tolist() == told.y_pred.tolist()
    np.testing.assert_allclose(row.evaluation.probabilities, told.probabilities, atol=5e-4)
    assert (row.evaluation.ua, row.evaluation.ua_interval) == (told.ua, told.ua_interval)
    assert row.extraction_seconds > 0


def test_a_bad_clip_is_left_out_counted_and_listed_once(corpus: Corpus) -> None:
    clips = [np.zeros(16_000, np.float32), *corpus.clips[1:]]
    broken = replace(corpus, clips=clips)
    rows, failures = benchmark(broken, ["mfcc39"], ["svm", SMALL])
    assert [failure.reason for failure in failures] == [
        "clip 0: all 16000 samples are zero (digital silence); drop the clip."
    ]
    assert [row.failed_clips for row in rows] == [1, 1]
    assert rows[0].evaluation.places.tolist() == list(range(1, 24)), "places count among all clips"
    assert rows[0].files[0] == "01.wav"


def test_a_recipe_that_fails_costs_its_rows_alone(corpus: Corpus) -> None:
    recipes = [Recipe("mfcc39", "svm:kernel=cubic"), Recipe("mfcc39", "smv"), Recipe("mfcc39", "svm")]
    results = list(made(cells([corpus], recipes, [Protocol()]), Options()))
    failed = [one for one in results if isinstance(one, Failed)]
    assert len(failed) == 2
    assert any("Did you mean 'svm'?" in one.reason for one in failed)
    assert [one.recipe.backend for one in results if isinstance(one, Row)] == ["svm"]


def test_strictly_the_first_failure_is_raised(corpus: Corpus) -> None:
    with pytest.raises(PluginError, match="Did you mean 'svm'"):
        measured(corpus, [Recipe("mfcc39", "smv")], [Protocol()], Options())


def test_a_corpus_without_a_usable_clip_is_an_error() -> None:
    silent = Corpus("c", ["a"], [np.zeros(16_000, np.float32)], np.array(["anger"]), np.array(["1"]))
    with pytest.raises(DataError, match=r"c: none of 1 clips can be used\. The first: .*digital silence"):
        benchmark(silent, ["mfcc39"], ["svm"])


def test_without_speakers_it_is_refused(corpus: Corpus) -> None:
    with pytest.raises(LeakageError, match="Evaluation needs speakers"):
        benchmark(replace(corpus, speakers=None), ["mfcc39"], ["svm"])


def test_one_corpus_is_learned_from_and_another_is_judged(corpus: Corpus) -> None:
    labels = np.where(corpus.labels == "neutral", "calm", corpus.labels)
    files, clips = [f"others/{file}" for file in corpus.files], [0.9 * wave for wave in corpus.clips]
    second = replace(corpus, name="others", files=files, clips=clips, labels=labels)
    (row,), _ = measured(corpus, [Recipe("mfcc39", "svm")], [Protocol()], Options(), second)
    assert row.corpus == "four voices → others"
    assert row.protocol.cv == "across"
    assert row.evaluation.labels.tolist() == ["anger", "sadness"]
    assert row.files == [f"{i:02d}.wav" for i in np.flatnonzero(second.labels != "calm")]


def test_what_was_learned_from_is_not_judged_under_another_name(corpus: Corpus) -> None:
    second = replace(corpus, name="others", files=[f"others/{file}" for file in corpus.files])
    with pytest.raises(DataError, match="'clip 0' of others is the same recording as 'clip 0' of four voices"):
        measured(corpus, [Recipe("mfcc39", "svm")], [Protocol()], Options(), second)


def test_the_model_is_measured_where_that_is_asked(corpus: Corpus, manifest: Path) -> None:
    on_disk = read_corpus(str(manifest))
    (row,), _ = measured(on_disk, [Recipe("mfcc39", "svm")], [Protocol(2)], Options(deploy=True))
    assert row.model is not None
    assert row.model.reads == "wave"
    assert row.model.n_bytes > 10_000
    assert 0 < row.model.milliseconds < 1000
    assert row.model.clips == 24


def test_a_model_that_cannot_be_exported_costs_no_score(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ZeroDivisionError("no such operator")

    monkeypatch.setattr("featkit.benchmark.runner.deploy", refuse)
    (row,), _ = measured(corpus, [Recipe("mfcc39", "svm")], [Protocol(2)], Options(deploy=True))
    assert (row.model, row.no_model) == (None, "ZeroDivisionError: no such operator")
    assert row.evaluation.ua > 0.5


def test_a_missing_recording_costs_its_clip(manifest: Path, tmp_path: Path) -> None:
    for path in manifest.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "00.wav").unlink()
    rows, failures = benchmark(read_corpus(str(tmp_path / "clips.csv")), ["mfcc39"], ["svm"], cv=2)
    assert (len(failures), rows[0].failed_clips, len(rows[0].files)) == (1, 1, 23)


def test_a_model_of_a_feature_table_is_timed_from_its_features(manifest: Path, tmp_path: Path) -> None:
    table = read_corpus(write_features(tmp_path / "f.parquet", manifest))
    (row,), _ = measured(table, [Recipe()], [Protocol(2)], Options(deploy=True))
    assert row.features == "mfcc39"
    assert row.model is not None
    assert row.model.reads == "features"


def test_the_hash_of_the_data_is_that_of_their_content(manifest: Path, tmp_path: Path) -> None:
    corpus = read_corpus(str(manifest))
    assert data_hash(corpus) == data_hash(corpus.only(np.arange(24)[::-1])), "the order does not count"
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in manifest.parent.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    assert data_hash(read_corpus(str(moved / "clips.csv"))) == data_hash(corpus)
    for change in ({"labels": corpus.labels[::-1]}, {"speakers": None}, {"texts": None}):
        assert data_hash(replace(corpus, **change)) != data_hash(corpus)  # type: ignore[arg-type]
    (moved / "03.wav").write_bytes((moved / "04.wav").read_bytes())
    assert data_hash(read_corpus(str(moved / "clips.csv"))) != data_hash(corpus)


def test_the_hash_of_the_code_is_that_of_what_decides_scores(tmp_path: Path) -> None:
    for name in ("metrics.py", "cli/fit.py", "plots.py", "benchmark/recipe.py", "benchmark/html.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one = 1\n")
    first = sources_hash([tmp_path])
    assert sources_hash([tmp_path]) == first
    for name in ("cli/fit.py", "plots.py", "benchmark/html.py"):
        (tmp_path / name).write_text("two = 2\n")
    assert sources_hash([tmp_path]) == first
    assert sources_hash([tmp_path], ["plugin 1.0"]) != first
    (tmp_path / "metrics.py").write_text("two = 2\n")
    assert sources_hash([tmp_path]) != first
    assert len(code_hash()) == 12
