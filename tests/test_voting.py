"""An average of recognisers is one recogniser: in scores, in folds, and as one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GroupKFold, cross_val_score
from speech import EMOTIONS, extracted, small, speech

import featkit
from featkit import SERClassifier, SERVoting, evaluate, plugins
from featkit.errors import DataError, FeatureError
from featkit.features.base import Bundle, FeatureExtractor

WAVES, LABELS, SPEAKERS = speech()
MEMBERS = [SERClassifier("mfcc39", "svm"), SERClassifier("mfcc39", small("tdnn")), SERClassifier("logmel", "svm")]


@pytest.fixture(scope="module")
def fitted() -> SERVoting:
    return SERVoting(MEMBERS).fit(WAVES, LABELS, groups=SPEAKERS)


def test_probabilities_are_the_mean_of_the_members(fitted: SERVoting) -> None:
    alone = [clone(member).fit(WAVES, LABELS, groups=SPEAKERS).predict_proba(WAVES) for member in MEMBERS]
    assert_allclose(fitted.predict_proba(WAVES), np.mean(alone, axis=0), atol=1e-6)
    assert_array_equal(fitted.predict(WAVES), fitted.classes_[np.mean(alone, axis=0).argmax(axis=1)])


def test_members_of_one_set_vote_as_scikit_learns_voting_does() -> None:
    matrix = np.stack([wave[:16_000] for wave in WAVES])
    members = [("a", SERClassifier(backend="svm:C=1")), ("b", SERClassifier(backend="svm:C=10"))]
    ours = SERVoting([member for _, member in members]).fit(matrix, LABELS)
    theirs = VotingClassifier(members, voting="soft").fit(matrix, LABELS)
    assert_allclose(ours.predict_proba(matrix), theirs.predict_proba(matrix), atol=1e-6)


def test_what_is_extracted_serves_every_member(fitted: SERVoting, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = fitted.extract(WAVES)
    assert all(isinstance(clip, Bundle) and len(clip.parts) == 3 for clip in clips)
    monkeypatch.setattr(
        "featkit.features.base.FeatureExtractor.extract", lambda *_, **__: pytest.fail("extracted anew")
    )
    again = clone(fitted).fit(clips, LABELS, groups=SPEAKERS)
    assert_array_equal(again.predict_proba(clips), fitted.predict_proba(clips))


def test_it_is_evaluated_as_one(fitted: SERVoting) -> None:
    clips = fitted.extract(WAVES)
    result = evaluate(fitted, clips, LABELS, SPEAKERS)
    alone = [evaluate(member, clips, LABELS, SPEAKERS).probabilities for member in MEMBERS]
    assert_allclose(result.probabilities, np.mean(alone, axis=0), atol=1e-6)


def test_scikit_learn_splits_it_by_speaker(fitted: SERVoting) -> None:
    scores = cross_val_score(fitted, fitted.extract(WAVES), LABELS, groups=SPEAKERS, cv=GroupKFold(2))
    assert scores.shape == (2,)


def test_copies_go_with_the_clip_to_every_member() -> None:
    voting = SERVoting([SERClassifier(augment="gain", copies=2), SERClassifier("logmel", augment="gain", copies=2)])
    clips = voting.extract(WAVES[:4])
    assert [len(part.copies) for clip in clips for part in clip.parts] == [2] * 8


def test_a_clip_that_one_member_cannot_use_is_used_by_none() -> None:
    voting = SERVoting([SERClassifier("mfcc39"), SERClassifier("egemaps")])
    found, failures = voting.extract_all([WAVES[0], WAVES[0][:800], "missing.wav"])
    assert [clip is None for clip in found] == [False, True, True]
    assert [failure.clip for failure in failures] == ["clip 1", "missing.wav"]


def test_features_that_no_member_reads_are_refused(fitted: SERVoting) -> None:
    clips = [Bundle((clip,)) for clip in extracted("functionals")]
    with pytest.raises(FeatureError, match=r"these features have specification \w+; logmel|these are functionals"):
        fitted.predict(clips)


@pytest.mark.parametrize(
    ("members", "told"), [([], "given 0"), (MEMBERS[:1], "given 1"), ([MEMBERS[0], "svm"], "given str")]
)
def test_it_takes_two_or_more_classifiers(members: Any, told: str) -> None:
    with pytest.raises(DataError, match=f"takes two or more SERClassifiers; it was {told}"):
        SERVoting(members).fit(WAVES, LABELS)


# One file


def test_one_file_takes_the_waveform(fitted: SERVoting, tmp_path: Path) -> None:
    report = fitted.export(tmp_path / "m.onnx", scores=None)
    assert report.inputs == ("wave",)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for wave in WAVES[:3]:
        label, proba = session.run(None, {"wave": wave[None]})
        assert_allclose(proba, fitted.predict_proba([wave]), atol=1e-5)
        assert label[0] == fitted.predict([wave])[0]
    assert featkit.load(tmp_path / "m.onnx").labels == list(EMOTIONS)


def test_members_that_read_the_same_share_it(fitted: SERVoting, tmp_path: Path) -> None:
    twice = SERVoting([SERClassifier("mfcc39"), SERClassifier("mfcc39", "svm:C=1")]).fit(WAVES, LABELS)
    once = SERClassifier("mfcc39").fit(WAVES, LABELS)
    sizes = [each.export(tmp_path / f"{i}.onnx").n_bytes for i, each in enumerate((twice, once))]
    front = len(once.extractor_.to_onnx("functionals").SerializeToString())
    assert sizes[0] < 2 * sizes[1] - 0.5 * front


def test_features_that_are_no_graph_are_inputs_beside_the_wave(tmp_path: Path) -> None:
    members = [SERClassifier("egemaps"), SERClassifier("mfcc39"), SERClassifier("egemaps", small("tdnn"))]
    voting = SERVoting(members).fit(WAVES, LABELS)
    report = voting.export(tmp_path / "m.onnx")
    assert set(report.inputs) == {"egemaps_functionals", "wave", "egemaps_frames"}
    model = featkit.load(tmp_path / "m.onnx")
    assert_allclose(model.predict_proba(WAVES), voting.predict_proba(WAVES), atol=1e-5)
    assert model.recipe["licence"] == ["openSMILE features: research and private use only (audEERING licence)"]
    assert repr(model).startswith("<featkit model: egemaps_functionals, wave, egemaps_frames -> svm+svm+tdnn ->")


@dataclass
class Levels(FeatureExtractor):
    """A set that is no graph."""

    name: ClassVar[str] = "levels"
    width: int = 160

    def frames(self, wave: Any) -> Any:
        return np.abs(wave[: wave.size // self.width * self.width].reshape(-1, self.width)).mean(1, keepdims=True)


def test_two_settings_of_one_set_are_two_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = plugins.find
    monkeypatch.setattr(plugins, "find", lambda kind, name: Levels if name == "levels" else real(kind, name))
    voting = SERVoting([SERClassifier(Levels()), SERClassifier(Levels(320))]).fit(WAVES, LABELS)
    assert voting.export(tmp_path / "m.onnx").inputs == ("levels_functionals", "levels_functionals_2")
    assert_allclose(featkit.load(tmp_path / "m.onnx").predict_proba(WAVES), voting.predict_proba(WAVES), atol=1e-5)


def test_a_model_of_extracted_clips_is_proved_on_them(tmp_path: Path) -> None:
    voting = SERVoting([SERClassifier("egemaps"), SERClassifier("mfcc39")])
    voting.fit(voting.extract(WAVES), LABELS)
    assert voting.export(tmp_path / "m.onnx").max_difference < 1e-5


# What is extracted


def test_members_that_read_the_same_extract_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = FeatureExtractor.extract

    def spy(self: Any, wave: Any, view: Any, *rest: Any) -> Any:
        seen.append(view)
        return real(self, wave, view, *rest)

    monkeypatch.setattr(FeatureExtractor, "extract", spy)
    voting = SERVoting(
        [SERClassifier("mfcc39", "svm:C=1"), SERClassifier("mfcc39", "svm:C=3"), SERClassifier("logmel")]
    )
    clips = voting.extract(WAVES[:3])
    assert len(seen) == 6
    assert [len(clip.parts) for clip in clips] == [2, 2, 2]


def test_members_with_and_without_copies_each_find_their_own() -> None:
    voting = SERVoting([SERClassifier("mfcc39"), SERClassifier("mfcc39", augment="gain", copies=2)])
    clips = voting.extract(WAVES)
    assert [[len(part.copies) for part in clip.parts] for clip in clips] == [[0, 2]] * len(WAVES)
    alone = SERClassifier("mfcc39").fit(WAVES, LABELS, groups=SPEAKERS)
    fitted = voting.fit(clips, LABELS, groups=SPEAKERS)
    assert_array_equal(fitted.classifiers_[0].predict_proba(WAVES), alone.predict_proba(WAVES))


def test_three_members_of_two_settings_have_two_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = plugins.find
    monkeypatch.setattr(plugins, "find", lambda kind, name: Levels if name == "levels" else real(kind, name))
    members = [SERClassifier(Levels()), SERClassifier(Levels(320)), SERClassifier(Levels(320), "svm:C=1")]
    voting = SERVoting(members).fit(WAVES, LABELS)
    assert voting.export(tmp_path / "m.onnx").inputs == ("levels_functionals", "levels_functionals_2")
