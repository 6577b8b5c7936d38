"""Traps: what is learned from nothing must score at chance. Each test also shows the leaky way, which does not.

Features and labels are random, so whatever lies above chance is a leak. The leaky ways are written out here, as they
stand in tutorials, so that a featkit that took one of them would be seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from featkit import Features, SERClassifier, TunedClassifier, evaluate, tune
from featkit.features.base import find_extractor

SPEC = find_extractor("mfcc39").spec_hash
DIMS = 60
CHANCE = 0.5
Matrix = npt.NDArray[np.float32]


def noise(n: int, seed: int, speakers: int = 6, dims: int = DIMS) -> tuple[Matrix, Any, Any]:
    """Random functionals and labels of clips that have nothing in common but their speakers."""
    rng = np.random.default_rng(seed)
    y, groups = np.tile(["a", "b"], n // 2), np.repeat(np.arange(speakers), n // speakers).astype(str)
    return rng.standard_normal((n, dims)).astype(np.float32), y, groups


def clips(X: Matrix) -> list[Features]:
    return [Features(row, "functionals", SPEC) for row in X]


def honest(X: Matrix, y: Any, groups: Any, classifier: Any = None, **settings: Any) -> float:
    """The score of featkit's own road."""
    made = classifier or SERClassifier("mfcc39", "svm:kernel=linear,C=0.01")
    return evaluate(made, clips(X), y, groups, **({"cv": 6} | settings)).ua


def mean(score: Any, seeds: int = 5) -> float:
    return float(np.mean([score(seed) for seed in range(seeds)]))


def at_chance(value: float) -> bool:
    return abs(value - CHANCE) < 0.09


def test_selecting_features_outside_the_fold_finds_emotion_in_noise() -> None:
    def leaky(seed: int) -> float:
        X, y, groups = noise(120, seed, dims=351)
        best = SelectKBest(f_classif, k=20).fit_transform(X, y)  # sees the test clips
        return balanced_accuracy_score(
            y, cross_val_predict(SVC(kernel="linear"), best, y, groups=groups, cv=GroupKFold(6))
        )

    def inside(seed: int) -> float:
        X, y, groups = noise(120, seed, dims=351)
        model = make_pipeline(SelectKBest(f_classif, k=20), SVC(kernel="linear"))
        found = cross_val_predict(model, X, y, groups=groups, cv=GroupKFold(6))
        return float(balanced_accuracy_score(y, found))

    assert mean(leaky) > 0.7
    assert at_chance(mean(inside)), "inside the fold it is no leak"
    assert at_chance(mean(lambda seed: honest(*noise(120, seed, dims=351))))


def test_scaling_outside_the_fold_lets_the_test_clips_through() -> None:
    """One column tells in every fold by its sign about the mean of all clips which label the test clips have."""

    def drift(seed: int) -> tuple[Matrix, Any, Any]:
        X, _, groups = noise(120, seed)
        # Of odd speakers every clip is a, of even ones b; the level of the corpus is the mean of both.
        y = np.where(groups.astype(int) % 2 == 1, "a", "b")
        return X, y, groups

    def statistics(seed: int, leaky: bool) -> float:
        """How far the mean of the test clips lies from 0 after scaling: by the test clips themselves, or without."""
        X, _, groups = drift(seed)
        X = X + 5 * (groups == "0")[:, None].astype(np.float32)  # one voice lies elsewhere
        train, test = groups != "0", groups == "0"
        scaler = StandardScaler().fit(X if leaky else X[train])
        return float(np.abs(scaler.transform(X[test])).mean())

    assert statistics(0, leaky=True) < 0.6 * statistics(0, leaky=False), "the leaky scaler knows where the voice lies"
    # featkit's own numbers in a fold do not change with what the held-out speaker sounds like.
    X, y, groups = noise(120, 0)
    moved = X + 5 * (groups == "0")[:, None].astype(np.float32)
    before, after = (
        evaluate(SERClassifier("mfcc39", "svm"), clips(one), y, groups, cv="test:0").probabilities for one in (X, moved)
    )
    fitted = [
        SERClassifier("mfcc39", "svm").fit(clips(one[groups != "0"]), y[groups != "0"], groups=groups[groups != "0"])
        for one in (X, moved)
    ]
    for told, (one, model) in zip((before, after), zip((X, moved), fitted, strict=True), strict=True):
        np.testing.assert_array_equal(told, model.predict_proba(clips(one[groups == "0"])))
    np.testing.assert_array_equal(*(model.predict_proba(clips(X[:10])) for model in fitted))


def test_oversampling_before_the_split_puts_copies_into_the_test() -> None:
    def rare(seed: int) -> tuple[Matrix, Any, Any]:
        X, _, groups = noise(120, seed)
        y = np.where(np.arange(120) % 5 == 0, "b", "a")
        return X, y, groups

    def leaky(seed: int) -> float:
        X, y, _ = rare(seed)
        places = np.concatenate([np.flatnonzero(y == "a"), np.repeat(np.flatnonzero(y == "b"), 4)])
        folds = KFold(6, shuffle=True, random_state=seed)
        found = cross_val_predict(KNeighborsClassifier(1), X[places], y[places], cv=folds)
        return float(balanced_accuracy_score(y[places], found))

    assert mean(leaky) > 0.7
    assert at_chance(mean(lambda seed: honest(*rare(seed)))), "class weights repeat nothing"


def varied(X: Matrix, n: int, seed: int) -> npt.NDArray[np.float32]:
    """Copies of every clip, a little changed. -> (n, clips, dims)."""
    rng = np.random.default_rng(seed)
    return (X + 0.1 * rng.standard_normal((n, *X.shape))).astype(np.float32)


def test_augmenting_before_the_split_puts_the_clip_into_training_and_test() -> None:
    def leaky(seed: int) -> float:
        X, y, _ = noise(120, seed)
        many = np.concatenate([X, *varied(X, 3, seed)])
        folds = KFold(6, shuffle=True, random_state=seed)
        found = cross_val_predict(SVC(C=10), many, np.tile(y, 4), cv=folds)
        return float(balanced_accuracy_score(np.tile(y, 4), found))

    def inside(seed: int) -> float:
        X, y, groups = noise(120, seed)
        copies = varied(X, 3, seed)
        given = [Features(row, "functionals", SPEC, tuple(copies[:, i]), "by hand") for i, row in enumerate(X)]
        return evaluate(SERClassifier("mfcc39", "svm"), given, y, groups, cv=6).ua

    assert mean(leaky) > 0.9
    assert at_chance(mean(inside)), "copies live inside their clip and stay in its fold"


def test_the_best_of_a_search_on_the_test_folds_is_above_chance() -> None:
    start = SERClassifier("mfcc39", "xgboost:n_estimators=2,max_depth=2,n_jobs=1")
    space = {"random_state": list(range(6))}  # which means nothing, and yet one of them is the best

    def leaky(seed: int) -> float:
        X, y, groups = noise(60, seed, speakers=3)
        return tune(start, clips(X), y, groups, space=space, n_trials=6, cv=3, seed=seed).ranked[0].ua

    def nested(seed: int) -> float:
        X, y, groups = noise(60, seed, speakers=3)
        return evaluate(TunedClassifier(start, space=space, n_trials=2, cv=2, seed=seed), clips(X), y, groups).ua

    optimistic, fair = mean(leaky, 6), mean(nested, 6)
    assert optimistic > 0.55, "chosen on the very folds that it is told of"
    assert at_chance(fair)


def test_a_voice_in_training_and_test_is_recognised() -> None:
    """Every speaker has a mood of the day and a voice: who knows the voice knows the mood."""

    def moody(seed: int) -> tuple[Matrix, Any, Any]:
        rng = np.random.default_rng(seed)
        X, _, groups = noise(240, seed, speakers=24, dims=351)
        voices = rng.standard_normal((24, 351)).astype(np.float32)
        moods = rng.permutation(np.repeat(["a", "b"], 12))
        who = groups.astype(int)
        return X + voices[who], moods[who], groups

    def leaky(seed: int) -> float:
        return honest(*moody(seed), cv="random", allow_leakage=True)

    assert mean(leaky, 3) > 0.95
    assert abs(mean(lambda seed: honest(*moody(seed)), 6) - CHANCE) < 0.12
    X, y, groups = moody(0)
    assert "SPEAKERS LEAK" in evaluate(
        SERClassifier("mfcc39", "svm"), clips(X), y, groups, cv="random", allow_leakage=True
    ).protocol  # fmt: skip


@pytest.mark.parametrize("backend", ["svm", "xgboost:n_estimators=10,n_jobs=1"])
def test_noise_scores_at_chance_with_every_classical_backend(backend: str) -> None:
    assert at_chance(mean(lambda seed: honest(*noise(120, seed), SERClassifier("mfcc39", backend)), 4))
