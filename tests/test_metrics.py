"""Scores equal scikit-learn's; the interval of UA is Student's, with the error of a plain bootstrap over speakers."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, recall_score

from featkit import metrics
from featkit.errors import DataError

PAIRS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=40)


@given(PAIRS)
def test_scores_equal_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    counts = metrics.confusion(truth, predicted, list("abcd"))
    np.testing.assert_array_equal(counts, confusion_matrix(truth, predicted, labels=list("abcd")))
    assert metrics.wa(counts) == pytest.approx(accuracy_score(truth, predicted))
    assert metrics.macro_f1(counts) == pytest.approx(f1_score(truth, predicted, average="macro"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true", UserWarning)
        warnings.filterwarnings("ignore", "A single label was found", UserWarning)
        assert metrics.ua(counts) == pytest.approx(balanced_accuracy_score(truth, predicted))
    heard = sorted(set(truth))
    recalls = metrics.recalls(counts)
    np.testing.assert_allclose(
        recalls[~np.isnan(recalls)], recall_score(truth, predicted, labels=heard, average=None, zero_division=0)
    )
    assert [label for label, recall in zip("abcd", recalls, strict=True) if not np.isnan(recall)] == heard


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        (["a"], ["a", "b"], "there are 2 predictions and 1 labels"),
        ([], [], "there are 0 predictions and 0 labels"),
        (["a"], ["c"], "The label 'c' is not one of a, b"),
    ],
)
def test_labels_that_do_not_fit_are_refused(truth: list[str], predicted: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        metrics.confusion(truth, predicted, ["a", "b"])


def tables(seed: int, speakers: int = 8, clips: int = 30) -> np.ndarray:
    """Counts by speaker; some speakers are understood much better than others."""
    rng = np.random.default_rng(seed)
    found = []
    for ability in rng.uniform(0.2, 0.95, speakers):
        truth = rng.integers(3, size=clips)
        predicted = np.where(rng.random(clips) < ability, truth, rng.integers(3, size=clips))
        found.append(metrics.confusion(truth, predicted, range(3)))
    return np.stack(found)


def test_interval_is_that_of_t_with_the_error_of_a_plain_bootstrap() -> None:
    counts, rng = tables(0), np.random.default_rng(1)
    values = [metrics.ua(counts[rng.integers(8, size=8)].sum(axis=0)) for _ in range(4000)]
    error = np.std(values) * np.sqrt(8 / 7)
    for level in (0.5, 0.95):
        plain = scipy.stats.t(df=7, loc=metrics.ua(counts.sum(axis=0)), scale=error).interval(level)
        np.testing.assert_allclose(metrics.ua_interval(counts, level=level), plain, atol=0.01)


def test_interval_of_a_mean_of_speakers_is_that_of_student() -> None:
    hits = np.array([3, 5, 6, 8, 9])  # of ten clips of one emotion each: UA is the mean of the speakers
    counts = np.zeros((5, 2, 2), int)
    counts[:, 0, 0], counts[:, 0, 1] = hits, 10 - hits
    student = scipy.stats.t(df=4, loc=hits.mean() / 10, scale=scipy.stats.sem(hits) / 10).interval(0.95)
    np.testing.assert_allclose(metrics.ua_interval(counts), student, atol=0.005)


def test_interval_of_a_draw_without_some_emotion_averages_over_the_others() -> None:
    counts = np.array([[[5, 0], [0, 0]], [[0, 0], [0, 5]]] * 2)  # each speaker shows one emotion only
    assert metrics.ua_interval(counts) == (1.0, 1.0), "no clip of an emotion is no recall of 0"


def test_two_speakers_tell_nothing_of_others() -> None:
    counts = np.array([[[5, 5], [0, 0]], [[9, 1], [0, 0]]])
    assert metrics.ua_interval(counts) == (0.0, 1.0)
    assert metrics.ua_difference(counts, counts[::-1]).interval == (-1.0, 1.0)


def test_interval_is_repeated_by_its_seed() -> None:
    counts = tables(0)
    assert metrics.ua_interval(counts, seed=1) == metrics.ua_interval(counts, seed=1)
    assert metrics.ua_interval(counts, n_resamples=50, seed=1) != metrics.ua_interval(counts, n_resamples=50, seed=2)


def test_clips_of_one_speaker_are_not_independent() -> None:
    counts = tables(3)
    clips = [
        np.outer(np.eye(3)[i], np.eye(3)[j]).astype(int)
        for i, row in enumerate(counts.sum(axis=0))
        for j, n in enumerate(row)
        for _ in range(n)
    ]
    by_speaker, by_clip = (np.ptp(metrics.ua_interval(table)) for table in (counts, np.stack(clips)))
    assert by_speaker > 1.5 * by_clip


@pytest.mark.parametrize("speakers", [4, 6, 20])
def test_interval_covers_the_truth_as_often_as_it_says(speakers: int) -> None:
    truth = metrics.ua(tables(99, speakers=20_000).sum(axis=0))
    hits = 0
    for seed in range(200):
        low, high = metrics.ua_interval(tables(seed, speakers=speakers), n_resamples=400)
        hits += low <= truth <= high
    assert 0.91 <= hits / 200 <= 0.98


def test_one_speaker_has_no_interval() -> None:
    with pytest.raises(DataError, match="needs at least two speakers; there is 1"):
        metrics.ua_interval(tables(0)[:1])


def test_the_calibration_error_is_that_of_the_definition_by_hand() -> None:
    # Bins of width 1/15: 0.62 and 0.65 lie in (9/15, 10/15], 0.95 in (14/15, 1], 0.10 in (1/15, 2/15].
    told = metrics.reliability(np.array([0.62, 0.65, 0.95, 0.10]), np.array([1, 0, 1, 0]))
    assert told.clips.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]
    assert told.accuracy[[1, 9, 14]].tolist() == [0, 0.5, 1]
    assert told.confidence[[1, 9, 14]] == pytest.approx([0.10, 0.635, 0.95])
    assert told.ece == pytest.approx((1 * 0.10 + 2 * 0.135 + 1 * 0.05) / 4)
    assert np.isnan(told.accuracy[0])


def test_a_bin_ends_with_its_upper_edge() -> None:
    told = metrics.reliability(np.array([0.0, 0.5, 0.75, 1.0]), np.array([0, 0, 1, 1]), bins=4)
    assert told.clips.tolist() == [1, 1, 1, 1]


def test_who_is_right_as_often_as_sure_has_no_error() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.2, 1, 100_000)
    assert metrics.reliability(sure, rng.random(100_000) < sure).ece < 0.01
    assert metrics.reliability(np.full(100, 0.9), np.zeros(100)).ece == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        ([], [], "one confidence for each answer, at least one; there are 0 and 0"),
        ([0.5], [1, 0], "there are 1 and 2"),
        ([0.5, 1.5], [1, 0], "Confidences lie between 0 and 1; they reach from 0.5 to 1.5"),
        ([np.nan], [1], "Confidences lie between 0 and 1; they reach from nan to nan"),
    ],
)
def test_what_is_no_confidence_is_refused(confidence: list[float], right: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        metrics.reliability(np.array(confidence), np.array(right))


def test_the_interval_of_a_difference_has_the_error_of_a_plain_paired_bootstrap() -> None:
    first, second, rng = tables(0), tables(5), np.random.default_rng(1)
    found = metrics.ua_difference(first, second)
    draws = rng.integers(8, size=(4000, 8))
    values = np.array([metrics.ua(second[own].sum(axis=0)) - metrics.ua(first[own].sum(axis=0)) for own in draws])
    plain = scipy.stats.t(df=7, loc=found.ua, scale=np.std(values) * np.sqrt(8 / 7)).interval(0.95)
    np.testing.assert_allclose(found.interval, plain, atol=0.015)
    assert found.ua == pytest.approx(metrics.ua(second.sum(axis=0)) - metrics.ua(first.sum(axis=0)))


def test_p_is_that_of_an_exact_test_of_exchange() -> None:
    """By hand: every speaker's table stands for the one model or for the other."""
    first, second = tables(0), tables(5)
    found = metrics.ua_difference(first, second)
    values = []
    for swap in product([False, True], repeat=8):
        one = np.sum([b if s else a for a, b, s in zip(first, second, swap, strict=True)], axis=0)
        other = np.sum([a if s else b for a, b, s in zip(first, second, swap, strict=True)], axis=0)
        values.append(abs(metrics.ua(other) - metrics.ua(one)))
    assert found.p == pytest.approx(np.mean(np.array(values) >= abs(found.ua) - 1e-12))


def test_three_speakers_that_gain_and_three_that_stay_are_no_evidence() -> None:
    """A sign test says 2 / 2**3; draws of speakers would say 0.03."""
    first = np.tile(np.array([[6, 4], [4, 6]]), (6, 1, 1))
    second = first.copy()
    second[:3] = [[8, 2], [2, 8]]
    assert metrics.ua_difference(first, second).p == 0.25
    assert metrics.ua_difference(first, first).p == 1


def test_p_of_many_speakers_is_drawn_and_never_zero() -> None:
    first = np.tile(np.array([[6, 4], [4, 6]]), (20, 1, 1))
    second = np.tile(np.array([[9, 1], [1, 9]]), (20, 1, 1))
    assert metrics.ua_difference(first, second, n_resamples=500).p == 1 / 501
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(200):
        hits = rng.binomial(10, 0.6, size=(2, 6, 2))
        counts = [np.stack([np.stack([h, 10 - h], -1)[:, 0], np.stack([10 - h, h], -1)[:, 1]], 1) for h in hits]
        false += metrics.ua_difference(*counts, n_resamples=10).p <= 0.05
    assert false <= 20  # of 200 at 0.05: 10 on average


def test_differences_of_other_speakers_are_refused() -> None:
    with pytest.raises(DataError, match=r"the same speakers and labels; the counts are \(8, 3, 3\) and \(7, 3, 3\)"):
        metrics.ua_difference(tables(0), tables(0)[1:])
    with pytest.raises(DataError, match="needs at least two speakers; there is 1"):
        metrics.ua_difference(tables(0)[:1], tables(1)[:1])
