"""Speaker normalisation takes a voice out of its clips: in training, prediction, the model file, and clip by clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.preprocessing import StandardScaler
from speech import extracted, small, speech

import featkit
from featkit import Features, SERClassifier, SERVoting, evaluate
from featkit.errors import DataError, ExportError, ModelError
from featkit.normalise import RunningSpeaker, standardised, statistics, statistics_of

RNG = np.random.default_rng(0)
ROWS = RNG.normal(3, 2, (40, 5)).astype(np.float32)
WAVES, LABELS, SPEAKERS = speech()


def shifted(view: Any = "functionals") -> list[Features]:
    """The clips of `speech` with a different offset and scale for every speaker."""
    offsets = {who: 10 * i for i, who in enumerate(np.unique(SPEAKERS))}
    return [
        Features((1 + offsets[who] / 10) * clip.values + offsets[who], view, clip.spec_hash)
        for clip, who in zip(extracted(view), SPEAKERS, strict=True)
    ]


def test_each_speaker_is_scaled_as_scikit_learn_scales() -> None:
    speakers = np.repeat(["a", "b"], 20)
    about = statistics_of(list(ROWS), speakers)
    got = np.stack([standardised(row, about[who]) for row, who in zip(ROWS, speakers, strict=True)])
    want = np.concatenate([StandardScaler().fit_transform(ROWS[:20]), StandardScaler().fit_transform(ROWS[20:])])
    assert_allclose(got, want, atol=1e-6)


def test_frames_are_scaled_over_all_frames_of_the_speaker() -> None:
    clips = [ROWS[:3], ROWS[3:15]]
    about = statistics_of(clips, ["a", "a"])["a"]
    assert_allclose(standardised(clips[1], about), StandardScaler().fit(ROWS[:15]).transform(clips[1]), atol=1e-6)


def test_a_constant_column_becomes_nought() -> None:
    rows = np.full((3, 1), 1000.1, dtype=np.float32)
    assert standardised(rows[0], statistics(list(rows))) == [0]


def test_one_clip_of_a_speaker_has_no_deviation() -> None:
    with pytest.raises(DataError, match="needs at least two clips of every speaker; 'b' has one"):
        statistics_of(list(ROWS[:3]), ["a", "a", "b"])


def test_what_was_heard_so_far_approaches_the_speakers_own() -> None:
    population = statistics(list(RNG.normal(0, 1, (100, 5)).astype(np.float32)))
    without, with_prior = RunningSpeaker(population, prior=0), RunningSpeaker(population, prior=10)
    for row in ROWS:
        without(row)
        with_prior(row)
    own = statistics(list(ROWS))
    assert_allclose(without.statistics, own, rtol=1e-4)
    assert_allclose(with_prior.statistics[0], (10 * population[0] + 40 * own[0]) / 50, rtol=1e-4)


def test_the_first_clip_is_judged_by_the_population() -> None:
    voice = RunningSpeaker(np.array([[0.0], [2.0]], dtype=np.float32), prior=1e9)
    assert_allclose(voice(np.array([3.0], dtype=np.float32)), [1.5], rtol=1e-6)


@pytest.mark.parametrize(("view", "backend"), [("functionals", "svm"), ("frames", "tdnn")])
def test_offsets_and_scales_of_voices_make_no_difference(view: Any, backend: str) -> None:
    answers = []
    for clips in (extracted(view), shifted(view)):
        clf = SERClassifier("mfcc39", small(backend), normalise="speaker").fit(clips, LABELS, groups=SPEAKERS)
        answers.append(clf.predict_proba(clips, SPEAKERS))
    assert_allclose(answers[0], answers[1], atol=2e-3)
    plain = SERClassifier("mfcc39", small(backend)).fit(extracted(view), LABELS, groups=SPEAKERS)
    assert np.abs(plain.predict_proba(shifted(view)) - plain.predict_proba(extracted(view))).max() > 0.1


def test_copies_are_scaled_as_their_clip() -> None:
    clf = SERClassifier(augment="gain", copies=1, normalise="speaker", random_state=3)
    clips = clf.extract(WAVES)
    assert clf.fit(clips, LABELS, groups=SPEAKERS).predict_proba(clips, SPEAKERS).shape == (24, 3)


def test_speakers_must_be_told() -> None:
    clf = SERClassifier(normalise="speaker")
    with pytest.raises(DataError, match="needs to know who speaks in every clip; give groups=speakers"):
        clf.fit(extracted("functionals"), LABELS)
    clf.fit(extracted("functionals"), LABELS, groups=SPEAKERS)
    with pytest.raises(DataError, match="needs to know who speaks"):
        clf.predict(extracted("functionals"))
    with pytest.raises(DataError, match="normalise is 'speaker' or None, not 'corpus'"):
        SERClassifier(normalise="corpus").fit(extracted("functionals"), LABELS, groups=SPEAKERS)  # type: ignore[arg-type]


def test_it_is_told_apart_as_transductive() -> None:
    assert SERClassifier(normalise="speaker").transductive
    assert not SERClassifier().transductive
    assert SERVoting([SERClassifier(), SERClassifier(normalise="speaker")]).transductive


def test_it_is_evaluated_with_the_clips_of_each_test_speaker() -> None:
    result = evaluate(SERClassifier(normalise="speaker"), shifted(), LABELS, SPEAKERS)
    assert_allclose(
        result.probabilities,
        evaluate(SERClassifier(normalise="speaker"), extracted("functionals"), LABELS, SPEAKERS).probabilities,
        atol=2e-3,
    )


# The model file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[SERClassifier, featkit.Model]:
    path = tmp_path_factory.mktemp("models") / "m.onnx"
    clf = SERClassifier(normalise="speaker").fit(WAVES, LABELS, groups=SPEAKERS)
    clf.export(path)
    return clf, featkit.load(path)


def test_the_model_answers_as_the_estimator(model: tuple[SERClassifier, featkit.Model]) -> None:
    clf, loaded = model
    assert loaded.inputs == ["functionals"]
    assert_allclose(loaded.predict_proba(WAVES, list(SPEAKERS)), clf.predict_proba(WAVES, SPEAKERS), atol=1e-5)
    assert loaded.predict(WAVES, list(SPEAKERS)).tolist() == clf.predict(WAVES, SPEAKERS).tolist()


def test_the_model_asks_for_speakers(model: tuple[SERClassifier, featkit.Model]) -> None:
    for speakers in (None, ["a"]):
        with pytest.raises(ModelError, match="give one speaker for each clip, or follow one speaker"):
            model[1].predict_proba(WAVES[:2], speakers)


def test_the_model_follows_a_speaker_clip_by_clip(model: tuple[SERClassifier, featkit.Model]) -> None:
    clf, loaded = model
    own = [wave for wave, who in zip(WAVES, SPEAKERS, strict=True) if who == SPEAKERS[0]]
    voice = loaded.follow(prior=0)
    for wave in own:
        last = voice.predict_proba(wave)
    # By the last clip all are heard, and the population counts for nothing.
    assert_allclose(last, clf.predict_proba(own, ["x"] * len(own))[-1], atol=1e-4)
    first = loaded.follow().predict_proba(own[0])
    assert first.sum() == pytest.approx(1, abs=1e-5)


def test_a_network_follows_as_well(tmp_path: Path) -> None:
    clf = SERClassifier("mfcc39", small("tdnn"), normalise="speaker").fit(WAVES, LABELS, groups=SPEAKERS)
    clf.export(tmp_path / "m.onnx")
    assert featkit.load(tmp_path / "m.onnx").follow().predict_proba(WAVES[0]).shape == (3,)


def test_a_model_that_hears_each_clip_for_itself_follows_nobody(tmp_path: Path) -> None:
    SERClassifier().fit(WAVES, LABELS).export(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="only one with normalise='speaker' can follow"):
        featkit.load(tmp_path / "m.onnx").follow()


def test_a_member_of_several_is_not_exported(tmp_path: Path) -> None:
    members = [SERClassifier(), SERClassifier(normalise="speaker")]
    voting = SERVoting(members).fit(extracted("functionals"), LABELS, groups=SPEAKERS)
    with pytest.raises(ExportError, match="A member with normalise='speaker' is exported alone"):
        voting.export(tmp_path / "m.onnx")
