"""No speaker stands in training and in test, everything is learned inside the fold, and the protocol says how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_val_predict
from speech import EMOTIONS, SPEAKERS, extracted, small, speech, write_wav

from featkit import SERClassifier, SERVoting, TunedClassifier, evaluate, metrics, tune
from featkit.errors import DataError, LeakageError
from featkit.evaluation import evaluate_across, permuted
from featkit.features.mfcc import MFCC39

WAVES, LABELS, GROUPS = speech()
X = extracted("functionals")


class Spy(SERClassifier):
    """Notes which clips are learned from and which are judged."""

    seen: ClassVar[list[tuple[str, list[int], Any]]] = []

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        self.seen.append(("fit", places(X), groups))
        return super().fit(X, y, sample_weight, groups)

    def predict_proba(self, X: Any) -> Any:
        self.seen.append(("predict", places(X), None))
        return super().predict_proba(X)


def places(clips: Any) -> list[int]:
    return [next(i for i, clip in enumerate(X) if clip is one) for one in clips]


@pytest.fixture
def seen() -> list[tuple[str, list[int], Any]]:
    Spy.seen.clear()
    return Spy.seen


@pytest.mark.parametrize(("cv", "folds"), [("loso", 4), (2, 2)])
def test_the_speaker_that_is_judged_was_not_learned_from(seen: Any, cv: Any, folds: int) -> None:
    result = evaluate(Spy(), X, LABELS, GROUPS, cv=cv)
    fits, predictions = ([entry for entry in seen if entry[0] == kind] for kind in ("fit", "predict"))
    assert len(fits) == len(predictions) == folds
    for (_, trained, groups), (_, tested, _) in zip(fits, predictions, strict=True):
        assert set(GROUPS[trained]).isdisjoint(GROUPS[tested])
        assert sorted(trained + tested) == list(range(24))
        assert groups.tolist() == GROUPS[trained].tolist(), "backends hold out by speaker as well"
    assert sorted(i for _, tested, _ in predictions for i in tested) == list(range(24))
    assert result.protocol == ("leave one of 4 speakers out" if cv == "loso" else "2 folds of 4 speakers")


def test_equals_scikit_learns_cross_validation() -> None:
    result = evaluate(SERClassifier(), WAVES, LABELS, GROUPS)
    cv = LeaveOneGroupOut()
    probabilities = cross_val_predict(
        SERClassifier(), X, LABELS, groups=GROUPS, cv=cv, method="predict_proba", params={"groups": GROUPS}
    )
    np.testing.assert_allclose(result.probabilities, probabilities, atol=1e-6)
    assert result.y_pred.tolist() == result.labels[probabilities.argmax(axis=1)].tolist()
    assert result.ua == pytest.approx(balanced_accuracy_score(LABELS, result.y_pred))


def test_features_are_extracted_once_for_all_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    functionals = MFCC39.functionals
    monkeypatch.setattr(MFCC39, "functionals", lambda self, wave: calls.append(1) or functionals(self, wave))
    evaluate(SERClassifier(), WAVES, LABELS, GROUPS)
    assert len(calls) == 24


@pytest.mark.parametrize("backend", ["svm", "xgboost"])
def test_permuted_labels_score_at_chance(backend: str) -> None:
    rng = np.random.default_rng(0)
    scores = [evaluate(SERClassifier(backend=small(backend)), X, rng.permutation(LABELS), GROUPS).ua for _ in range(6)]
    assert np.mean(scores) == pytest.approx(1 / 3, abs=0.12)


def test_true_labels_score_above_chance() -> None:
    assert evaluate(SERClassifier(), X, LABELS, GROUPS).ua > 0.5


def test_a_class_unheard_in_one_fold_keeps_its_column() -> None:
    y = LABELS.copy()
    y[(GROUPS == "s0") & (y == "sadness")] = "neutral"  # s0 is never sad
    result = evaluate(SERClassifier(), X, y, GROUPS)
    assert result.labels.tolist() == list(EMOTIONS)
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_given_estimator_stays_unfitted() -> None:
    classifier = SERClassifier()
    evaluate(classifier, X, LABELS, GROUPS)
    assert not hasattr(classifier, "backend_")


def test_without_speakers_it_is_refused() -> None:
    with pytest.raises(LeakageError, match=r"needs speakers: .* Give groups=speakers .*, or allow_leakage=True"):
        evaluate(SERClassifier(), X, LABELS)


def test_leakage_that_is_allowed_is_marked() -> None:
    result = evaluate(SERClassifier(), X, LABELS, allow_leakage=True, cv=3)
    assert result.protocol == "3 random folds, SPEAKERS LEAK"
    assert result.ua_interval is None
    assert result.summary()["speakers"] is None
    assert result.summary()["UA_95"] is None
    assert evaluate(SERClassifier(), X, LABELS, allow_leakage=True).protocol == "5 random folds, SPEAKERS LEAK"


def test_known_speakers_are_kept_apart_even_where_leakage_is_allowed() -> None:
    assert evaluate(SERClassifier(), X, LABELS, GROUPS, allow_leakage=True).protocol == "leave one of 4 speakers out"


def test_summary_is_plain_data() -> None:
    result = evaluate(SERClassifier(), X, LABELS, GROUPS)
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["clips"] == 24
    assert summary["speakers"] == 4
    assert summary["UA"] == round(result.ua, 4)
    assert summary["WA"] == round(float(np.mean(result.y_pred == LABELS)), 4)
    assert summary["UA_95"][0] <= summary["UA"] <= summary["UA_95"][1]
    assert list(summary["recalls"]) == list(EMOTIONS)
    assert summary["macro_F1"] == round(result.macro_f1, 4)
    assert np.mean(list(summary["recalls"].values())) == pytest.approx(result.ua, abs=1e-3)


def test_whole_numbers_may_be_labels() -> None:
    numbers = np.searchsorted(EMOTIONS, LABELS)
    result = evaluate(SERClassifier(), X, numbers, GROUPS)
    assert result.ua == evaluate(SERClassifier(), X, LABELS, GROUPS).ua
    assert list(result.summary()["recalls"]) == ["0", "1", "2"]


def test_progress_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(SERClassifier(), X, LABELS, GROUPS, cv=2, progress=True)
    assert "2 folds of 4 speakers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": ["s0"] * 24}, "needs at least 2 speakers for this cv; there are 1"),
        ({"cv": 5}, "needs at least 5 speakers for this cv; there are 4"),
        ({"cv": 1}, "cv must be 'loso' or a number of folds from 2 on; it is 1"),
        ({"cv": "kfold"}, "No protocol is named 'kfold'"),
        ({"groups": None, "allow_leakage": True, "cv": 9}, "9 folds need at least 9 clips of every emotion"),
        ({"groups": [None, *GROUPS[1:]]}, "The speaker of clip 0 is None"),
        ({"y": [None, *LABELS[1:]]}, "The label of clip 0 is None"),
        (
            {"y": np.where((SPEAKERS[2] == GROUPS) & (LABELS == "anger"), "fear", LABELS)},
            r"All clips of the emotion 'fear' \(speaker s2\) fall in one test fold",
        ),
    ],
)
def test_data_that_cannot_be_judged_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"y": LABELS, "groups": GROUPS} | change
    with pytest.raises(DataError, match=message):
        evaluate(SERClassifier(), X, **given)


@pytest.mark.parametrize("what", ["X", "y", "groups"])
def test_lengths_that_do_not_match_are_refused(what: str) -> None:
    given: dict[str, Any] = {"X": X, "y": LABELS, "groups": GROUPS}
    given[what] = given[what][:23]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        evaluate(SERClassifier(), **given)


def test_scores_do_not_depend_on_the_number_of_workers() -> None:
    serial, parallel = (evaluate(SERClassifier(), X, LABELS, GROUPS, n_jobs=n_jobs) for n_jobs in (None, 2))
    np.testing.assert_array_equal(parallel.probabilities, serial.probabilities)
    np.testing.assert_array_equal(parallel.y_pred, serial.y_pred)


def test_more_folds_than_clips_of_any_emotion_are_refused() -> None:
    speakers = [f"s{i}" for i in range(len(LABELS))]
    with pytest.raises(DataError, match="9 folds need an emotion with at least 9 clips; the most frequent has 8"):
        evaluate(SERClassifier(), X, LABELS, speakers, cv=9)


def test_only_our_estimator_is_evaluated() -> None:
    with pytest.raises(DataError, match="evaluate takes an estimator of featkit, not a GridSearchCV"):
        evaluate(GridSearchCV(SERClassifier(), {}), X, LABELS, GROUPS)  # type: ignore[arg-type]


# --- other protocols -------------------------------------------------------------------------------------------------

SENTENCES = np.array([str(i % 2) for i in range(24)])


def test_a_fixed_test_set_is_judged_alone() -> None:
    result = evaluate(SERClassifier(), X, LABELS, GROUPS, cv="test:s1")
    assert result.protocol == "test speaker s1, learned from 3 others"
    assert result.places.tolist() == np.flatnonzero(GROUPS == "s1").tolist()
    assert result.y_true.tolist() == LABELS[GROUPS == "s1"].tolist()
    assert result.ua_interval is None, "one speaker has no interval"
    assert result.summary()["speakers"] == 1


def test_an_emotion_that_the_test_speakers_never_show_has_no_recall() -> None:
    y = LABELS.copy()
    y[(GROUPS == "s0") & (y == "sadness")] = "neutral"
    result = evaluate(SERClassifier(), X, y, GROUPS, cv=["s0"])
    assert result.summary()["recalls"]["sadness"] is None
    assert result.probabilities.shape == (6, 3)
    json.dumps(result.summary(), allow_nan=False)


def test_speakers_and_sentences_are_left_out_at_once(seen: Any) -> None:
    evaluate(Spy(), X, LABELS, GROUPS, sentences=SENTENCES, cv="both:2")
    fits, asked = ([entry[1] for entry in seen if entry[0] == kind] for kind in ("fit", "predict"))
    assert len(fits) == 4
    for trained, tested in zip(fits, asked, strict=True):
        assert set(GROUPS[trained]).isdisjoint(GROUPS[tested])
        assert set(SENTENCES[trained]).isdisjoint(SENTENCES[tested])
    assert sorted(i for tested in asked for i in tested) == list(range(24))


def test_one_corpus_is_learned_from_and_another_judged(seen: Any) -> None:
    half, rest = np.arange(12), np.arange(12, 24)
    told = np.where(LABELS[rest] == "neutral", "calm", LABELS[rest])
    result = evaluate_across(
        Spy(), [X[i] for i in half], LABELS[half], [X[i] for i in rest], told, GROUPS[half], GROUPS[rest],
        names=("first", "second"),
    )  # fmt: skip
    assert result.protocol == (
        "learned from first (8 clips; 4 of neutral left out), tested on second (8 clips; 4 of calm left out)"
    )
    (_, trained, groups), (_, tested, _) = seen
    assert set(trained) <= set(half)
    assert set(groups) == {"s0", "s1"}
    assert tested == [12 + place for place in result.places]
    assert result.labels.tolist() == ["anger", "sadness"]
    assert set(result.speakers) == {"s2", "s3"}  # type: ignore[arg-type]


def test_people_of_the_same_name_in_two_corpora_are_no_leak() -> None:
    result = evaluate_across(SERClassifier(), X[:12], LABELS[:12], X[12:], LABELS[12:], GROUPS[:12], GROUPS[:12])
    assert not result.leaks
    assert len(result.y_true) == 12


def test_a_file_in_both_corpora_is_refused(tmp_path: Any) -> None:
    with pytest.raises(DataError, match=r"'.*b\.wav' stands in both corpora; what is judged must not be learned from"):
        evaluate_across(SERClassifier(), ["a.wav", "b.wav"], ["x", "y"], ["c.wav", "./b.wav"], ["x", "y"])


def test_a_file_in_both_corpora_under_another_name_is_refused(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.wav", "b.wav", "c.wav")]
    for path, wave in zip(paths, (WAVES[0], WAVES[1], WAVES[0]), strict=True):
        write_wav(path, wave)
    told = r"^'.*c\.wav' of lab is the same recording as '.*a\.wav' of acted; what is judged must not be learned from"
    with pytest.raises(DataError, match=told):
        evaluate_across(SERClassifier(), paths[:2], ["x", "y"], [paths[2], "d.wav"], ["x", "y"], names=("acted", "lab"))


BOTH = SERVoting([SERClassifier(), SERClassifier("logmel")])


@pytest.mark.parametrize(
    "made",
    [
        lambda waves: waves,
        lambda waves: [wave.astype(np.float64) for wave in waves],
        lambda waves: SERClassifier().extract(waves),
        lambda waves: BOTH.extract(waves),
    ],
    ids=["waves", "doubles", "features", "bundles"],
)
def test_the_same_samples_in_both_corpora_are_refused(made: Any) -> None:
    first, second = WAVES[:12], [WAVES[6], *WAVES[12:]]
    with pytest.raises(DataError, match=r"^'clip 0' of the second is the same recording as 'clip 6' of the first"):
        evaluate_across(SERClassifier(), made(first), LABELS[:12], made(second), LABELS[[6, *range(12, 24)]])


def test_corpora_that_share_no_two_emotions_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"one \(anger, neutral, sadness\) and two \(anger, calm\) share fewer than two"
    ):
        evaluate_across(
            SERClassifier(), X, LABELS, X[:4], ["anger", "calm"] * 2, names=("one", "two")
        )  # fmt: skip


def test_labels_are_permuted_within_each_speaker() -> None:
    mixed = permuted(LABELS, GROUPS, 0)
    assert mixed.tolist() != LABELS.tolist()
    for speaker in SPEAKERS:
        assert sorted(mixed[speaker == GROUPS]) == sorted(LABELS[speaker == GROUPS])
    assert permuted(LABELS, GROUPS, 0).tolist() == mixed.tolist()
    assert permuted(LABELS, GROUPS, 1).tolist() != mixed.tolist()
    assert sorted(permuted(LABELS, None, 0)) == sorted(LABELS)


def test_the_honest_path_scores_permuted_labels_at_chance() -> None:
    results = [evaluate(SERClassifier(), X, LABELS, GROUPS, permute=True, seed=seed) for seed in range(8)]
    assert np.mean([result.ua for result in results]) == pytest.approx(1 / 3, abs=0.12)
    assert results[0].protocol == "leave one of 4 speakers out, LABELS PERMUTED"


# --- what else is told -----------------------------------------------------------------------------------------------


def test_each_speaker_has_a_ua() -> None:
    result = evaluate(SERClassifier(), X, LABELS, GROUPS)
    assert result.speaker_uas is not None
    for speaker in SPEAKERS:
        own = speaker == GROUPS
        assert result.speaker_uas[speaker] == pytest.approx(balanced_accuracy_score(LABELS[own], result.y_pred[own]))
    assert evaluate(SERClassifier(), X, LABELS, allow_leakage=True, cv=2).speaker_uas is None


def test_it_is_shown_in_one_line() -> None:
    result = evaluate(SERClassifier(), X, LABELS, GROUPS)
    ends = [f"{100 * end:.0f}" for end in result.ua_interval or ()]
    wa, ua = (
        100 * score for score in (np.mean(result.y_pred == LABELS), balanced_accuracy_score(LABELS, result.y_pred))
    )
    line = f"leave one of 4 speakers out, 24 clips: UA {ua:.1f} [{', '.join(ends)}], WA {wa:.1f}"
    assert (str(result), repr(result)) == (line, f"Evaluation({line})")
    alone = evaluate(SERClassifier(), X, LABELS, GROUPS, cv=["s1"])
    assert (
        str(alone)
        == f"test speaker s1, learned from 3 others, 6 clips: UA {100 * alone.ua:.1f}, WA {100 * alone.wa:.1f}"
    )


def test_features_are_shown_in_a_few_words() -> None:
    assert repr(X[0]) == f"Features(functionals, (351,), {MFCC39().spec_hash[:8]})"
    assert len(repr(SERClassifier().extract(list(WAVES)))) < 50 * len(WAVES)


def test_the_calibration_error_is_that_of_the_predictions() -> None:
    result = evaluate(SERClassifier(), X, LABELS, GROUPS)
    told = metrics.reliability(result.probabilities.max(axis=1), result.y_pred == LABELS)
    assert result.ece == told.ece == pytest.approx(result.summary()["ECE"], abs=1e-4)


def test_networks_leave_their_learning_curves() -> None:
    pytest.importorskip("torch")
    result = evaluate(SERClassifier(backend=small("mlp", epochs=3)), X, LABELS, GROUPS)
    assert [len(history) for history in result.histories] == [3, 3, 3, 3]
    assert {"epoch", "loss"} <= result.histories[0][0].keys()
    assert evaluate(SERClassifier(), X, LABELS, GROUPS).histories == []


def test_an_average_and_a_search_are_judged_as_any_recogniser() -> None:
    both = SERVoting([SERClassifier("mfcc39"), SERClassifier("logmel")])
    assert evaluate(both, WAVES, LABELS, GROUPS, cv=2).ua > 0.5
    assert evaluate(both, WAVES, LABELS, GROUPS, cv=2).chosen == []
    tuned = TunedClassifier(SERClassifier(), space={"C": [0.1, 10]}, cv=2)
    result = evaluate(tuned, X, LABELS, GROUPS, cv=2)
    assert result.ua > 0.5


def test_every_fold_tells_what_its_search_chose() -> None:
    """The same searches made by hand, on the training clips of each fold."""
    space = {"C": [0.001, 1], "kernel": ["linear", "rbf"]}
    labels, groups = np.array(LABELS), np.array(GROUPS)
    result = evaluate(TunedClassifier(SERClassifier(), space=space, cv=2), X, LABELS, GROUPS)
    by_hand = []
    for speaker in np.unique(groups):
        heard = np.flatnonzero(groups != speaker)
        found = tune(SERClassifier(), [X[i] for i in heard], labels[heard], groups[heard], space=space, cv=2)
        by_hand.append(found.ranked[0].backend)
    assert result.chosen == by_hand


def test_what_normalises_by_speaker_is_told_who_speaks() -> None:
    result = evaluate(SERClassifier(normalise="speaker"), X, LABELS, GROUPS, cv=2, importance=True)
    assert result.ua > 0.5
    assert result.importance is not None
    across = evaluate_across(
        SERClassifier(normalise="speaker"), X[:12], LABELS[:12], X[12:], LABELS[12:], GROUPS[:12], GROUPS[12:]
    )
    assert len(across.y_true) == 12
