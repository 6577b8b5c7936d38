"""What backends share: weights of clips, folds by speaker, lookup by name."""

from __future__ import annotations

import numpy as np
import pytest
from featkit_backends.svm import SVM

from featkit.backend import clip_weights, find_backend, heard, speaker_folds
from featkit.errors import DataError, PluginError


def test_a_name_gives_a_backend_with_its_settings() -> None:
    assert find_backend("svm:C=10,kernel=linear").get_params()["C"] == 10
    backend = SVM(C=7)
    assert find_backend(backend) is backend


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(PluginError, match=r"No backend is named 'smv'\. Did you mean 'svm'\? Installed: cnn_lstm, "):
        find_backend("smv")


def test_what_is_no_backend_is_refused() -> None:
    with pytest.raises(PluginError, match=r"backend must be a name or a Backend, not int"):
        find_backend(3)  # type: ignore[arg-type]


def test_balanced_weights_give_every_class_the_same_sum() -> None:
    y, given = np.array(list("aaabbc")), np.array([1.0, 2, 3, 4, 5, 6])
    for sample_weight in (None, given):
        weights = clip_weights(y, sample_weight)
        sums = [weights[y == label].sum() for label in "abc"]
        np.testing.assert_allclose(sums, sums[0])
        assert weights.sum() == pytest.approx(6 if sample_weight is None else given.sum())
    np.testing.assert_array_equal(clip_weights(y, given, None), given)
    np.testing.assert_array_equal(clip_weights(y, None, None), np.ones(6))


@pytest.mark.parametrize("wrong", ["balance", {"a": 2}, 3])
def test_another_class_weight_is_refused(wrong: object) -> None:
    with pytest.raises(DataError, match=r"class_weight is 'balanced' or None, not .*give other weights as sample_wei"):
        clip_weights(np.array(["a", "b"]), None, wrong)  # type: ignore[arg-type]


def test_weights_of_zero_are_left_out_and_impossible_ones_refused() -> None:
    places, weights = heard([1, 0, 3], 3)
    assert places.tolist() == [0, 2]
    assert weights is not None
    assert weights.tolist() == [1, 3]
    assert heard(None, 2)[0].tolist() == [0, 1]
    for wrong, message in (([1, 2], "shape"), ([0, 0, 0], "zero"), ([1, -1, 1], "[Nn]egative")):
        with pytest.raises(ValueError, match=message):
            heard(wrong, 3)


def test_folds_are_made_of_whole_speakers_and_show_every_class() -> None:
    rng = np.random.default_rng(0)
    y, speakers = rng.integers(3, size=60), rng.integers(6, size=60)
    folds = speaker_folds(y, speakers, 5, 0)
    assert len(folds) == 5
    assert sorted(i for _, test in folds for i in test) == list(range(60))
    for train, test in folds:
        assert set(speakers[train]).isdisjoint(speakers[test])
        assert set(y[train]) == {0, 1, 2}


def test_there_are_no_more_folds_than_speakers_or_clips_of_a_class() -> None:
    y = np.array([0, 1] * 10)
    assert len(speaker_folds(y, np.repeat(["a", "b"], 10), 5, 0)) == 2
    assert len(speaker_folds(np.array([0, 0, 1, 1]), np.arange(4), 5, 0)) == 2
    assert len(speaker_folds(np.array([0, 0, 0, 1, 1]), None, 5, 0)) == 2


def test_folds_over_clips_stand_in_where_speakers_cannot_be_parted() -> None:
    y = np.array([0, 1] * 4 + [2, 2])
    only_one_says_2 = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 3])
    for groups in (only_one_says_2, np.zeros(10), None):
        folds = speaker_folds(y, groups, 3, 0)
        assert len(folds) == 2
        assert all(set(y[train]) == {0, 1, 2} for train, _ in folds)
