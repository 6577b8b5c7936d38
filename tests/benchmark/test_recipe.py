"""A recipe is plain data, builds what it says, and equal recipes are equal however they were written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from speech import extracted

from featkit import SERClassifier, SERVoting, TunedClassifier
from featkit.backend import find_backend
from featkit.benchmark import Recipe
from featkit.benchmark.recipe import combined
from featkit.corpus import Corpus
from featkit.errors import DataError, PluginError
from featkit.features.mfcc import MFCC39


def test_it_builds_the_classifier_that_it_describes() -> None:
    made = Recipe("mfcc39", "svm:C=3", augment="noise", copies=2, normalise="speaker", seed=7).classifier()
    assert isinstance(made, SERClassifier)
    assert (made.augment, made.copies, made.normalise, made.random_state) == ("noise", 2, "speaker", 7)
    assert (made.parts()[1].C, made.parts()[1].random_state) == (3, 7)


def test_a_seed_that_the_backend_names_itself_stays() -> None:
    assert Recipe("mfcc39", "svm:random_state=3", seed=7).classifier().parts()[1].random_state == 3  # type: ignore[attr-defined]


def test_tuning_happens_inside_the_fold() -> None:
    made = Recipe("mfcc39", "svm", tune=5, seed=2).classifier()
    assert isinstance(made, TunedClassifier)
    assert (made.n_trials, made.seed) == (5, 2)
    assert Recipe("mfcc39", "svm", tune=5).remarks == ["tuned with 5 trials in each fold"]


def test_a_preset_is_built_with_seed_and_copies() -> None:
    pytest.importorskip("opensmile")
    try:
        made = Recipe(preset="best", copies=2, seed=3).classifier()
    except PluginError as error:
        pytest.skip(str(error))
    assert isinstance(made, SERVoting)
    assert {(member.copies, member.random_state) for member in made.members()} == {(2, 3)}


def test_equal_recipes_have_one_key_and_others_another() -> None:
    one = Recipe("mfcc39", "svm", copies=9)
    assert one == Recipe("mfcc39")
    assert one.key == Recipe("mfcc39").key, "copies mean nothing without augmentation"
    changes = [{"seed": 1}, {"augment": "noise"}, {"tune": 3}, {"normalise": "speaker"}, {"pad_short": True}]
    assert len({replace(one, **change).key for change in changes} | {one.key}) == 6  # type: ignore[arg-type]


def test_the_set_that_is_meant_is_named() -> None:
    bare = Corpus("c", [], [], *[None] * 2)  # type: ignore[arg-type]
    assert Recipe().on(bare).features == "mfcc39"
    table = replace(bare, clips=extracted("functionals"), extractor=MFCC39(n_mfcc=20))
    assert Recipe().on(table).features == "mfcc39:n_mfcc=20"
    assert Recipe("logmel").on(table).features == "logmel"


def test_it_is_written_in_words() -> None:
    assert str(Recipe("egemaps", "svm:C=1", augment="standard", normalise="speaker", tune=9, seed=4)) == (
        "egemaps + svm:C=1, standard × 4, transductive, tuned with 9 trials in each fold, seed 4"
    )
    assert str(Recipe(preset="best", copies=2)) == "preset best, 2 copies"


def test_objects_are_written_as_the_command_line_reads_them() -> None:
    made = Recipe.of(MFCC39(n_mfcc=20), find_backend("svm:C=3"))
    assert (made.features, made.backend) == ("mfcc39:n_mfcc=20", "svm:C=3")


def test_combinations_are_made_once() -> None:
    made = combined(["mfcc39", "logmel"], ["svm"], ["best"], [None, "noise"], copies=[2, 4], seed=[0])
    assert len(made) == 2 * (1 + 2) + 2
    assert [one.preset for one in made].count("best") == 2


def test_a_preset_beside_features_is_refused() -> None:
    with pytest.raises(DataError, match="The preset 'best' brings its features, backend and augmentation; name only"):
        Recipe("mfcc39", preset="best")


def test_a_preset_is_not_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    voting = SERVoting([SERClassifier(backend=find_backend("svm")), SERClassifier("logmel", find_backend("svm"))])
    monkeypatch.setattr("featkit.benchmark.recipe.find_preset", lambda *_, **__: voting)
    with pytest.raises(DataError, match="The preset 'best' is an average of several and cannot be tuned"):
        Recipe(preset="best", tune=3).classifier()
