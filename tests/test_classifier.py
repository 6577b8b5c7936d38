"""SERClassifier is a scikit-learn classifier over clips: paths, waves of any length, or features."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from featkit_backends import svm, training
from featkit_backends.svm import SVM
from featkit_backends.xgboost import XGBoost
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from speech import EMOTIONS, SPEAKERS, extracted, fitted, small, speech, write_wav

from featkit import SERClassifier, evaluate
from featkit.augment import Augment, find_augment
from featkit.errors import AudioError, DataError, FeatkitError, FeatureError, PluginError
from featkit.features.mfcc import MFCC39

WAVES, LABELS, GROUPS = speech()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("clips")
    return [write_wav(folder / f"{i}.wav", wave) for i, wave in enumerate(WAVES)]


# What X may be


@pytest.mark.parametrize("kind", ["paths", "Paths", "Series", "array of paths", "object array", "features"])
def test_the_same_clips_give_the_same_answers_however_they_are_given(files: list[str], kind: str) -> None:
    ragged = np.empty(24, dtype=object)
    ragged[:] = WAVES
    X = {
        "paths": files,
        "Paths": [Path(file) for file in files],
        "Series": pd.Series(files, index=range(100, 124)),
        "array of paths": np.array(files),
        "object array": ragged,
        "features": extracted("functionals"),
    }[kind]
    y = pd.Series(LABELS) if kind == "Series" else LABELS
    classifier = SERClassifier().fit(X, y, groups=GROUPS)
    np.testing.assert_array_equal(classifier.predict_proba(X), fitted().predict_proba(WAVES))
    np.testing.assert_array_equal(classifier.predict_proba(WAVES), fitted().predict_proba(WAVES))


@pytest.mark.filterwarnings("ignore:X is a matrix")  # half a second is little for a wave
def test_a_two_dimensional_array_is_a_list_of_equally_long_waves() -> None:
    X = np.stack([wave[4000:12_000] for wave in WAVES])
    classifier = SERClassifier().fit(X, LABELS)
    assert classifier.n_features_in_ == 8000
    np.testing.assert_array_equal(classifier.predict_proba(X), classifier.predict_proba(list(X)))
    assert classifier.predict(X[:, :5000]).shape == (24,), "other lengths are other clips, not an error"


def test_features_can_be_extracted_once_and_used_everywhere() -> None:
    for backend in ("svm", "cnn_lstm"):
        trained = fitted(backend=backend)
        features = trained.extract(WAVES)
        np.testing.assert_array_equal(trained.predict_proba(features), trained.predict_proba(WAVES))


# What comes out


@pytest.mark.parametrize("backend", ["svm", "xgboost", "cnn_lstm"])
def test_labels_are_strings_and_the_most_probable(backend: str) -> None:
    classifier = fitted(backend=backend)
    proba, labels = classifier.predict_proba(WAVES), classifier.predict(WAVES)
    assert classifier.classes_.tolist() == list(EMOTIONS)
    assert labels.dtype.kind == "U"
    assert labels.tolist() == classifier.classes_[proba.argmax(axis=1)].tolist()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)


def test_score_is_accuracy() -> None:
    classifier = fitted()
    wrong = np.roll(LABELS, 1)
    assert classifier.score(WAVES, wrong) == accuracy_score(wrong, classifier.predict(WAVES))
    assert classifier.score(WAVES, LABELS) > 0.8


def test_whole_numbers_may_be_labels() -> None:
    y = np.searchsorted(EMOTIONS, LABELS)
    classifier = SERClassifier().fit(extracted("functionals"), y)
    assert classifier.classes_.tolist() == [0, 1, 2]
    assert classifier.score(extracted("functionals"), y) > 0.8


def test_unfitted_it_says_so() -> None:
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(SERClassifier(), method)(WAVES)


def test_it_remembers_what_it_was_trained_on() -> None:
    assert fitted().data_ == {
        "clips": 24, "labels": dict.fromkeys(EMOTIONS, 8), "speakers": 4, "augment": None,
        "seconds": pytest.approx(np.quantile([len(wave) / 16_000 for wave in WAVES], [0.05, 0.5, 0.95]), abs=0.001),
    }  # fmt: skip
    assert all(clip is WAVES[i] for clip, i in zip(fitted().check_clips_, [0, 2, 4], strict=True))
    assert SERClassifier().fit(extracted("functionals"), LABELS).data_["speakers"] is None


# Parameters


def test_parameters_reach_inside_where_the_part_is_a_name() -> None:
    classifier = SERClassifier().set_params(backend__C=10, features__n_mfcc=20, pad_short=True)
    assert classifier.backend.get_params()["C"] == 10
    assert classifier.features == MFCC39(n_mfcc=20)
    assert classifier.pad_short
    params = classifier.get_params()
    assert (params["backend__C"], params["features__n_mfcc"]) == (10, 20)
    assert SERClassifier().get_params() == {
        "features": None,
        "backend": "svm",
        "augment": None,
        "copies": 4,
        "normalise": None,
        "random_state": 0,
        "pad_short": False,
        "n_jobs": None,
        "progress": False,
    }


def test_part_and_its_parameter_can_be_set_together() -> None:
    classifier = SERClassifier().set_params(backend="xgboost", backend__max_depth=2)
    assert classifier.backend.name == "xgboost"
    assert classifier.backend.get_params()["max_depth"] == 2


def test_a_parameter_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Invalid parameter 'c' for estimator SVM"):
        SERClassifier().set_params(backend__c=1)
    with pytest.raises(FeatureError, match=r"named 'n_mfc'\. Did you mean 'n_mfcc'\?"):
        SERClassifier().set_params(features__n_mfc=1)


def test_a_clone_is_unfitted_and_its_parts_are_its_own() -> None:
    original = SERClassifier(MFCC39(n_mfcc=20), SVM(C=3)).fit(WAVES, LABELS)
    copied = clone(original).set_params(backend__C=5, features__n_mfcc=5)
    assert not hasattr(copied, "backend_")
    assert original.backend.C == 3
    assert original.features.n_mfcc == original.extractor_.n_mfcc == 20


def test_fitting_leaves_the_given_parts_as_they_were() -> None:
    features, backend = MFCC39(), SVM()
    classifier = SERClassifier(features, backend).fit(WAVES, LABELS)
    assert not hasattr(backend, "classes_")
    features.n_mfcc = 5
    assert classifier.extractor_.n_mfcc == 13


# Inside scikit-learn


def test_grid_search_reaches_the_backend_and_keeps_speakers_apart() -> None:
    search = GridSearchCV(SERClassifier(), {"backend__C": [0.01, 1], "backend__kernel": ["linear"]}, cv=GroupKFold(2))
    search.fit(WAVES, LABELS, groups=GROUPS)
    assert search.best_params_["backend__C"] in (0.01, 1)
    assert search.best_estimator_.predict(WAVES[:1])[0] in EMOTIONS


def test_cross_validated_predictions_of_ragged_lists() -> None:
    predicted = cross_val_predict(SERClassifier(), WAVES, LABELS, groups=GROUPS, cv=GroupKFold(4))
    assert accuracy_score(LABELS, predicted) > 0.5


def test_cross_validate_gives_each_fold_its_own_speakers() -> None:
    scores = cross_validate(
        SERClassifier(), extracted("functionals"), LABELS, groups=GROUPS, params={"groups": GROUPS}, cv=GroupKFold(2),
        return_estimator=True,
    )  # fmt: skip
    assert [estimator.data_["speakers"] for estimator in scores["estimator"]] == [2, 2]


def test_groups_can_be_routed_as_metadata() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_validate(
            SERClassifier().set_fit_request(groups=True), extracted("functionals"), LABELS,
            params={"groups": GROUPS}, cv=GroupKFold(2), return_estimator=True,
        )  # fmt: skip
    assert [estimator.data_["speakers"] for estimator in scores["estimator"]] == [2, 2]
    assert not sklearn.get_config()["enable_metadata_routing"]


def test_works_at_the_end_of_a_pipeline() -> None:
    quieter = FunctionTransformer(lambda waves: [wave / 2 for wave in waves])
    pipeline = make_pipeline(quieter, SERClassifier()).fit(WAVES, LABELS, serclassifier__groups=GROUPS)
    assert pipeline[-1].data_["speakers"] == 4
    assert pipeline.score(WAVES, LABELS) > 0.8


def test_survives_pickling() -> None:
    for backend in ("svm", "xgboost", "cnn_lstm"):
        classifier = fitted(backend=backend)
        copied = pickle.loads(pickle.dumps(classifier))
        np.testing.assert_array_equal(copied.predict_proba(WAVES), classifier.predict_proba(WAVES))


def test_folds_can_run_in_other_processes() -> None:
    args = (SERClassifier(), WAVES, LABELS)
    serial, parallel = (cross_validate(*args, groups=GROUPS, cv=GroupKFold(2), n_jobs=n)["test_score"] for n in (1, 2))
    np.testing.assert_array_equal(parallel, serial)


# Weights and speakers


def test_weights_change_what_is_learned() -> None:
    X = extracted("functionals")
    weight = np.where(LABELS == "anger", 10.0, 1.0)
    plain, weighted = (
        SERClassifier(backend=SVM(class_weight=None, C=0.01)).fit(X, LABELS, w).predict_proba(X) for w in (None, weight)
    )
    assert weighted[:, 0].mean() > plain[:, 0].mean()


@pytest.mark.parametrize("backend", ["svm", "xgboost", "cnn_lstm"])
def test_a_clip_of_weight_zero_is_as_if_it_were_not_there(backend: str) -> None:
    X = extracted(fitted(backend=backend).backend_.consumes)
    weight = np.where(GROUPS == "s3", 0.0, 1.0)
    weighted = SERClassifier(backend=small(backend)).fit(X, LABELS, weight, GROUPS)
    fewer = SERClassifier(backend=small(backend)).fit(X[:18], LABELS[:18], groups=GROUPS[:18])
    np.testing.assert_array_equal(weighted.predict_proba(X), fewer.predict_proba(X))
    lengths = [len(wave) / 16_000 for wave in WAVES[:18]]
    assert weighted.data_ == fewer.data_ == {"clips": 18, "labels": dict.fromkeys(EMOTIONS, 6), "speakers": 3,
        "augment": None, "seconds": pytest.approx(np.quantile(lengths, [0.05, 0.5, 0.95]), abs=0.001),
    }  # fmt: skip


def test_what_is_held_out_for_calibration_is_held_out_by_speaker(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    folds = svm.speaker_folds
    monkeypatch.setattr(svm, "speaker_folds", lambda *args: found.append(folds(*args)) or found[-1])
    SERClassifier().fit(extracted("functionals"), LABELS, groups=GROUPS)
    assert [sorted(set(GROUPS[test])) for _, test in found[0]] != []
    assert all(set(GROUPS[train]).isdisjoint(GROUPS[test]) for train, test in found[0])


def test_what_is_held_out_for_early_stopping_is_held_out_by_speaker(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = []
    train = training.train
    monkeypatch.setattr(training, "train", lambda *args, **more: parts.append(args[2]) or train(*args, **more))
    backend = small("cnn_lstm", epochs=1, validation=0.25)
    SERClassifier(backend=backend).fit(extracted("frames"), LABELS, groups=GROUPS)
    ((trained, held_out),) = parts
    assert len(set(GROUPS[held_out])) == 1
    assert set(GROUPS[trained]) == set(SPEAKERS) - set(GROUPS[held_out])


# What is refused


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("clip.wav", r"One path is given where a list of clips is expected; write \['clip\.wav'\]"),
        ([], "The list of clips is empty"),
    ],
)
def test_what_is_no_list_of_clips_is_refused(X: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        SERClassifier().fit(X, LABELS)
    with pytest.raises(DataError, match=message):
        fitted().predict(X)


def replaced(label: Any, at: int = 5) -> list[Any]:
    y: list[Any] = LABELS.tolist()
    y[at] = label
    return y


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (replaced(None), r"The label of clip 5 is None\. Drop the clip or give it a label"),
        (replaced(float("nan")), "The label of clip 5 is nan"),
        (pd.Series(replaced(None)), "The label of clip 5 is nan|The label of clip 5 is None"),
        (pd.Series(replaced(pd.NA), dtype="string"), "The label of clip 5 is <NA>"),
        (["anger"] * 24, r"at least two emotions; y has 1 class only: 'anger' \(24 clips\)"),
        (replaced("joy"), "The class 'joy' has one sample"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        SERClassifier().fit(extracted("functionals"), y)


def test_a_column_of_something_else_is_no_column_of_labels() -> None:
    waves = speech().waves * 2
    for labels in ([f"{i / 7 - 1:.3f}" for i in range(48)], [f"clip{i}.wav" for i in range(48)]):
        for judge in (SERClassifier().fit, lambda X, y: evaluate(SERClassifier(), X, y, np.arange(48) % 4)):
            with pytest.raises(DataError, match=r"48 different labels among 48 clips, as .*: is this the column of"):
                judge(waves, labels)
    with pytest.raises(DataError, match=r"Give one speaker for every clip, \(n,\)\."):
        SERClassifier().fit(speech().waves, speech().labels, groups=[("a", 1)] * 24)


def test_continuous_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="continuous"):
        SERClassifier().fit(extracted("functionals"), np.linspace(0, 1, 24))


def test_a_clip_without_speaker_is_refused() -> None:
    with pytest.raises(DataError, match=r"The speaker of clip 5 is None\. Drop the clip or give it a speaker"):
        SERClassifier().fit(extracted("functionals"), LABELS, groups=[None if i == 5 else "s" for i in range(24)])


@pytest.mark.parametrize("what", ["y", "groups", "sample_weight"])
def test_lengths_that_do_not_match_are_refused(what: str) -> None:
    given: dict[str, Any] = {"y": LABELS, "groups": GROUPS, "sample_weight": np.ones(24)}
    given[what] = given[what][:23]
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples|sample_weight\.shape"):
        SERClassifier().fit(extracted("functionals"), **given)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(PluginError, match=r"No backend is named 'smv'\. Did you mean 'svm'\?"):
        SERClassifier(backend="smv").fit(WAVES, LABELS)
    with pytest.raises(PluginError, match=r"No feature set is named 'egemap'\. Did you mean 'egemaps'\?"):
        SERClassifier(features="egemap").fit(WAVES, LABELS)
    with pytest.raises(FeatureError, match="features must be a name or a FeatureExtractor, not int"):
        SERClassifier(features=39).fit(WAVES, LABELS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        ("gone.wav", r"gone\.wav: there is no such file"),
        (np.r_[np.ones(999), np.nan], "clip 1: 1 of 1000 samples is not finite"),
        (np.zeros(1000), r"clip 1: all 1000 samples are zero \(digital silence\)"),
        (
            np.ones(399),
            r"clip 1: has 399 samples \(24.9 ms\); these features need at least 400.* make them with clf\.ext",
        ),
        (
            (np.ones(44_100), 44_100),
            r"clip 1: is a tuple; a clip is a path or a wave at 16 000 Hz, which .*to_wave\(samp",
        ),
        (np.ones((1000, 2)), r"clip 1: a wave is one-dimensional, mono; this one has shape \(1000, 2\)"),
        (np.ones(0), "clip 1: holds 0 samples"),
    ],
)
def test_a_bad_clip_is_refused_by_name(clip: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        fitted().predict([WAVES[0], clip])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": LABELS[:5]}, r"inconsistent numbers of samples: 24 clips, 5 labels\. Give one of each for every clip"),
        ({"groups": GROUPS[:5]}, r"24 clips, 24 labels, 5 speakers\. Give one of each"),
        ({"groups": "mia"}, r"One speaker is given, 'mia', where a list with one for every clip is expected"),
        ({"sample_weight": GROUPS}, r"sample_weight holds words; speakers are given by name, as groups="),
    ],
)
def test_columns_that_do_not_fit_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        SERClassifier().fit(**{"X": extracted("functionals"), "y": LABELS} | given)


def test_short_clips_are_padded_on_request() -> None:
    classifier = SERClassifier(pad_short=True).fit(extracted("functionals"), LABELS)
    assert classifier.predict([WAVES[0][8000:8100]]).shape == (1,)


def test_features_of_other_settings_or_the_other_view_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"clip 0: these features have specification"):
        SERClassifier(MFCC39(n_mfcc=20)).fit(extracted("functionals"), LABELS)
    with pytest.raises(FeatureError, match=r"clip 0: these are frames; the backend reads functionals"):
        fitted().predict(extracted("frames"))


def test_a_backend_is_given_copies_of_training_clips_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(SVM, "fit", _spy(SVM.fit, seen))
    clf = SERClassifier(augment="noise", copies=3).fit(WAVES, LABELS)
    (copies,) = (more["copies"] for _, more in seen)
    assert [len(own) for own in copies] == [3] * 24
    plan = find_augment("noise")
    expected = clf.extractor_.functionals(plan.copies(WAVES[5], 3, seed=0)[2])
    np.testing.assert_array_equal(copies[5][2], expected)


def test_what_is_predicted_is_never_varied(monkeypatch: pytest.MonkeyPatch) -> None:
    clf = SERClassifier(augment="noise", copies=1).fit(WAVES, LABELS)
    monkeypatch.setattr(Augment, "copies", lambda *args: pytest.fail("a clip was varied in prediction"))
    plain = clf.extractor_.functionals(WAVES[0])
    np.testing.assert_array_equal(clf.predict_proba(WAVES[:1]), clf.backend_.predict_proba(plain[None]))


def test_a_backend_that_holds_nothing_out_learns_from_copies_as_from_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(XGBoost, "fit", _spy(XGBoost.fit, seen))
    weight = np.arange(1.0, 25.0)
    clf = SERClassifier(backend="xgboost:n_estimators=3", augment="noise", copies=2)
    clf.fit(WAVES, LABELS, weight, groups=GROUPS)
    ((X, y, weights, groups), _) = seen[0]
    assert X.shape == (72, 351)
    for column, given in ((y, LABELS), (weights, weight), (groups, GROUPS)):
        assert column.tolist() == [*given, *np.repeat(given, 2)]


def test_equal_seeds_give_equal_copies_and_others_do_not() -> None:
    def learned(seed: int) -> Any:
        clf = SERClassifier(augment="noise+gain", copies=2, random_state=seed)
        return clf.fit(WAVES, LABELS).predict_proba(WAVES)

    np.testing.assert_array_equal(learned(0), learned(0))
    assert np.abs(learned(0) - learned(1)).max() > 0


def test_features_bring_their_copies_and_others_are_refused() -> None:
    clf = SERClassifier(augment="noise", copies=2)
    features = clf.extract(WAVES)
    from_waves = clf.fit(WAVES, LABELS).predict_proba(WAVES)
    from_features = clf.fit(features, LABELS).predict_proba(features)
    np.testing.assert_array_equal(from_features, from_waves)
    for other in ({"copies": 3}, {"random_state": 1}, {"augment": "gain"}):
        with pytest.raises(FeatureError, match=r"clip 0: these features hold no copies made by this plan"):
            SERClassifier(**({"augment": "noise", "copies": 2} | other)).fit(features, LABELS)


def test_a_plan_that_cannot_be_carried_out_is_refused_before_the_first_clip() -> None:
    with pytest.raises(FeatkitError, match="Did you mean 'noise'"):
        SERClassifier(augment="nose").fit(WAVES, LABELS)


def test_a_checkpoint_is_for_networks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="svm does not train in epochs, so it writes no checkpoint"):
        SERClassifier().fit(WAVES, LABELS, checkpoint=tmp_path / "c")


def test_features_that_are_not_named_are_those_the_backend_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SERClassifier().fit(WAVES, LABELS).extractor_.name == "mfcc39"
    monkeypatch.setattr(SVM, "default_features", "logmel:n_mels=20")
    assert SERClassifier().fit(WAVES, LABELS).extractor_.n_mels == 20  # type: ignore[attr-defined]
    clf = SERClassifier().set_params(features__n_mels=30)
    assert clf.fit(WAVES, LABELS).extractor_.n_mels == 30  # type: ignore[attr-defined]


def _spy(method: Any, calls: list[Any]) -> Any:
    """The method, which notes its positional and named arguments; its signature stays."""

    @functools.wraps(method)
    def noted(self: Any, *args: Any, **more: Any) -> Any:
        calls.append((args, more))
        return method(self, *args, **more)

    return noted


def test_copies_that_another_has_made_are_not_learned_from() -> None:
    varied = SERClassifier(augment="gain:p=1", copies=2).extract(speech().waves)
    plain = [SERClassifier().fit(clips, speech().labels) for clips in (varied, extracted("functionals"))]
    np.testing.assert_array_equal(*(clf.predict_proba(extracted("functionals")) for clf in plain))
