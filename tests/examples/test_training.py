"""Examples that train and evaluate print scores that are right, and leave models that work."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from speech import speech

from featkit import SERClassifier, evaluate, load
from featkit.corpus import Corpus, read_corpus
from featkit.scores import Evaluation

EXAMPLES = Path(__file__).parents[2] / "examples"
Run = Callable[..., str]


def numbers(text: str, pattern: str) -> list[float]:
    found = re.search(pattern, text)
    assert found, text
    return [float(value) for value in found.groups()]


def points(scores: Evaluation) -> list[float]:
    """UA and the ends of its interval, as the examples print them."""
    assert scores.ua_interval
    low, high = scores.ua_interval
    return [float(f"{100 * scores.ua:.1f}"), float(f"{100 * low:.0f}"), float(f"{100 * high:.0f}")]


@pytest.fixture(scope="module")
def known(corpus: Path) -> Corpus:
    return read_corpus(str(corpus))


@pytest.fixture(scope="module")
def expected(known: Corpus) -> Evaluation:
    """mfcc39 and svm, one speaker left out at a time."""
    return evaluate(SERClassifier("mfcc39", "svm"), known.clips, known.labels, groups=known.speakers)


def test_train_and_export_runs_without_any_argument(run: Run, cache: Path, tmp_path: Path) -> None:
    told = run("train_and_export.py", XDG_CACHE_HOME=cache, LOCALAPPDATA=cache)
    assert "synthetic: 336 clips, leave one of 6 speakers out\n" in told
    ua, low, high = numbers(told, r"UA ([\d.]+) \[([\d.]+), ([\d.]+)\]")
    assert 100 / 7 < low < ua < high
    model = load(tmp_path / "model.onnx")
    assert (model.inputs, model.recipe["scores"]["synthetic"]) == (["wave"], True)
    (last,) = re.findall(r"^(.*\.wav): (\w+)$", told, re.MULTILINE)
    assert Path(last[0]).is_relative_to(cache)
    assert model.predict([last[0]]).tolist() == [last[1]]


def test_train_and_export_takes_a_corpus_features_and_a_backend(
    run: Run, corpus: Path, expected: Evaluation, tmp_path: Path
) -> None:
    told = run("train_and_export.py", "--data", corpus, "-o", "mine.onnx")
    assert "corpus.csv: 56 clips, leave one of 4 speakers out\n" in told
    assert numbers(told, r"UA ([\d.]+) \[([\d.]+), ([\d.]+)\]") == points(expected)
    assert load(tmp_path / "mine.onnx").recipe["scores"]["synthetic"] is False


def test_compare_sets_prints_each_set_and_its_difference_to_the_first(
    run: Run, corpus: Path, known: Corpus, expected: Evaluation, tmp_path: Path
) -> None:
    told = run("compare_sets.py", "--data", corpus, "--sets", "mfcc39", "logmel", "--plot", "sets.png")
    other = evaluate(SERClassifier("logmel", "svm"), known.clips, known.labels, groups=known.speakers)
    for name, scores in (("mfcc39", expected), ("logmel", other)):
        assert numbers(told, rf"\| {name} +\| ([\d.]+) \[([\d.]+), ([\d.]+)\]") == points(scores)
    (difference,) = numbers(told, r"logmel against mfcc39: difference of UA ([+-][\d.]+) ")
    assert difference == pytest.approx(100 * (other.ua - expected.ua), abs=0.051)
    assert (tmp_path / "sets.png").read_bytes().startswith(b"\x89PNG")


def test_the_features_of_own_extractor_are_those_of_librosa(monkeypatch: pytest.MonkeyPatch) -> None:
    librosa = pytest.importorskip("librosa")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from own_extractor import Loudness

    wave = speech().waves[0]  # without a sample of exactly 0, which libraries count in their own ways
    frames = Loudness().extract(wave, "frames")
    level = librosa.feature.rms(y=wave[1:], frame_length=400, hop_length=160, center=False)[0]
    np.testing.assert_allclose(frames[:, 0], librosa.amplitude_to_db(level, top_db=None), atol=1e-3)
    crossings = librosa.util.frame(librosa.zero_crossings(wave, pad=False)[1:], frame_length=400, hop_length=160)
    np.testing.assert_allclose(frames[:, 1], crossings.mean(axis=0), atol=1e-6)
    assert Loudness().functionals(wave).shape == (len(Loudness().functional_names),)


def test_own_extractor_leaves_a_model_that_takes_the_waveform(
    run: Run, corpus: Path, known: Corpus, tmp_path: Path
) -> None:
    told = run("own_extractor.py", "--data", corpus)
    ua, chance = numbers(told, r"loudness: UA ([\d.]+), chance ([\d.]+), leave one of 4 speakers out")
    assert chance == 14.3
    assert ua > 2 * chance  # level alone tells much of synthetic emotions
    model = load(tmp_path / "own_extractor.onnx")
    assert model.inputs == ["wave"]
    assert told.endswith(f": {model.predict(known.clips[:1])[0]}\n")


def test_own_backend_is_scored_beside_svm_and_exported(
    run: Run, corpus: Path, known: Corpus, expected: Evaluation, tmp_path: Path
) -> None:
    told = run("own_backend.py", "--data", corpus)
    (forest,) = numbers(told, r"forest UA ([\d.]+), leave one of 4 speakers out")
    (svm,) = numbers(told, r"svm    UA ([\d.]+), leave one of 4 speakers out")
    assert forest > 2 * 14.3
    assert svm == points(expected)[0]
    model = load(tmp_path / "own_backend.onnx")
    assert (model.inputs, model.recipe["members"][0]["backend"]["name"]) == (["wave"], "forest")
    assert told.endswith(f": {model.predict(known.clips[:1])[0]}\n")


def test_grid_search_tries_every_setting_and_judges_the_best_on_unheard_speakers(
    run: Run, corpus: Path, known: Corpus
) -> None:
    told = run("grid_search.py", "--data", corpus, "--folds", 3)
    tried = re.findall(r"^(linear|rbf) +C=(\S+) +UA ([\d.]+)$", told, re.MULTILINE)
    assert len({(kernel, C) for kernel, C, _ in tried}) == 8
    best, ua = re.findall(r"^best: ({.*}), UA ([\d.]+) in the search$", told, re.MULTILINE)[0]
    assert float(ua) == max(float(score) for *_, score in tried)
    setting = ast.literal_eval(best)
    assert (setting["backend__kernel"], str(setting["backend__C"]), ua) in tried
    told_ua, unheard = re.findall(r"^UA ([\d.]+) on the unheard speakers (s0\d)$", told, re.MULTILINE)[0]
    svm = f"svm:kernel={setting['backend__kernel']},C={setting['backend__C']}"
    clips, theirs = np.array(known.clips), known.speakers == unheard
    answers = SERClassifier("mfcc39", svm).fit(clips[~theirs], known.labels[~theirs]).predict(clips[theirs])
    assert float(told_ua) == pytest.approx(100 * balanced_accuracy_score(known.labels[theirs], answers), abs=0.051)


def test_grid_search_says_why_the_score_of_its_search_may_be_the_lower_one(run: Run, corpus: Path, cache: Path) -> None:
    told = run("grid_search.py", XDG_CACHE_HOME=cache, LOCALAPPDATA=cache)
    searched, unheard = numbers(told, r"UA ([\d.]+) in the search\nUA ([\d.]+) on the unheard")
    assert searched < unheard  # on the synthetic corpus, which makes the sentence needed
    assert "Higher than in the search: its folds learn from fewer speakers" in told
    told = run("grid_search.py", "--data", corpus)
    searched, unheard = numbers(told, r"UA ([\d.]+) in the search\nUA ([\d.]+) on the unheard")
    assert ("Higher than in the search" in told) == (unheard > searched)


def test_grid_search_says_what_it_cannot_fold(refused: Run, corpus: Path, tmp_path: Path) -> None:
    assert "n_splits=9 greater than the number of groups" in refused("grid_search.py", "--data", corpus, "--folds", 9)
    rows = [line.split(",")[:2] for line in corpus.read_text().splitlines()]
    (tmp_path / "nobody.csv").write_text("".join(f"{file},{label}\n" for file, label in rows))
    assert refused("grid_search.py", "--data", tmp_path / "nobody.csv").startswith(
        "nobody.csv does not tell who speaks"
    )


@pytest.mark.parametrize("name", ["compare_sets", "grid_search", "own_backend", "own_extractor", "train_and_export"])
def test_what_trains_says_in_one_line_that_there_is_no_corpus(refused: Run, name: str) -> None:
    assert "there is no file 'none.csv'" in refused(f"{name}.py", "--data", "none.csv")


def test_cross_corpus_says_in_one_line_that_there_is_no_corpus(refused: Run) -> None:
    assert "there is no file 'none.csv'" in refused("cross_corpus.py", "none.csv", "none.csv")


def test_cross_corpus_scores_two_corpora_inside_and_across_plain_and_by_speaker(
    run: Run, corpus: Path, cache: Path, known: Corpus, expected: Evaluation
) -> None:
    told = run("cross_corpus.py", corpus, "synthetic", XDG_CACHE_HOME=cache, LOCALAPPDATA=cache).splitlines()
    protocols = [
        "leave one of 4 speakers out",
        "leave one of 6 speakers out",
        "learned from manifest (56 clips), tested on Synthetic speech (336 clips)",
        "learned from Synthetic speech (336 clips), tested on manifest (56 clips)",
    ]
    assert (told[0], told[5]) == ("plain:", "every speaker normalised, transductive:")
    assert [line.partition("chance 14.3: ")[2] for line in (*told[1:5], *told[6:])] == protocols * 2
    normalised = SERClassifier("mfcc39", "svm", normalise="speaker")
    by_speaker = evaluate(normalised, known.clips, known.labels, groups=known.speakers)
    for line, scores in ((told[1], expected), (told[6], by_speaker)):
        assert numbers(line, r"UA ([\d.]+) \[([\d.]+), ([\d.]+)\]") == points(scores)
