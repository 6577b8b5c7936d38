"""Backends that describe a clip by one vector: what is held out, what is refused, and clips that are hardly any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from featkit_backends import linear, vectors
from featkit_backends.vectors import VectorBackend
from speech import inputs, small, speech

from featkit.errors import DataError, FeatureError
from featkit.graph import run, session

NAMES = ("fisher", "tangent")
X, Y, SPEAKERS = inputs("frames"), speech().labels, speech().speakers


def backend(name: str, **params: Any) -> Any:
    return small(name, **params)


@pytest.mark.parametrize("name", NAMES)
def test_calibration_holds_out_whole_speakers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    folds = vectors.speaker_folds
    monkeypatch.setattr(vectors, "speaker_folds", lambda *args: found.append(folds(*args)) or found[-1])
    backend(name).fit(X, Y, groups=SPEAKERS)
    assert len(found[0]) == 4
    for train, test in found[0]:
        assert set(SPEAKERS[train]).isdisjoint(SPEAKERS[test])


@pytest.mark.parametrize("name", NAMES)
def test_clips_of_weight_zero_and_their_copies_are_as_if_they_were_not_there(name: str) -> None:
    weight = (np.arange(24) < 18).astype(float)
    rubbish = [clip if w else 1e3 + 7 * clip for clip, w in zip(X, weight, strict=True)]
    copies = [[1.1 * clip] for clip in rubbish]
    weighted = backend(name).fit(rubbish, Y, weight, SPEAKERS, copies=copies)
    fewer = backend(name).fit(X[:18], Y[:18], None, SPEAKERS[:18], copies=copies[:18])
    np.testing.assert_allclose(weighted.predict_proba(X), fewer.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_copies_are_learned_from_but_not_calibrated_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    calibrate = linear.calibrate
    monkeypatch.setattr(linear, "calibrate", lambda *args: seen.append(len(args[1])) or calibrate(*args))
    plain = backend(name).fit(X, Y, groups=SPEAKERS)
    copied = backend(name).fit(X, Y, groups=SPEAKERS, copies=[[0.9 * clip, 1.1 * clip] for clip in X])
    assert seen == [24, 24]
    assert np.abs(plain.predict_proba(X) - copied.predict_proba(X)).max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_clips_without_copies_may_stand_among_those_with_some(name: str) -> None:
    copies = [[clip] if i % 2 else [] for i, clip in enumerate(X)]
    assert np.isfinite(backend(name).fit(X, Y, copies=copies).predict_proba(X)).all()


@pytest.mark.parametrize("name", NAMES)
def test_two_clips_a_class_are_enough(name: str) -> None:
    few = [0, 1, 2, 3, 4, 5]
    proba = backend(name).fit([X[i] for i in few], Y[few]).predict_proba(X)
    assert np.isfinite(proba).all()


@pytest.mark.parametrize("name", NAMES)
def test_single_frames_constant_columns_and_equal_clips_give_finite_answers(name: str) -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(time, 4)).astype(np.float32) for time in (1, 1, 2, 3, 50, 60)]
    for clip in clips:
        clip[:, 2] = 0.1
    clips += [clips[4], clips[5]]
    y = np.array(list("abababab"))
    ours = backend(name).fit(clips, y)
    assert np.isfinite(ours.predict_proba(clips)).all()
    graph = session(ours.to_onnx())
    for clip in clips:
        np.testing.assert_allclose(run(graph, clip[None])[0], ours.predict_proba([clip])[0], atol=1e-4)
    same = backend(name).fit([clips[0]] * 8, y)
    np.testing.assert_allclose(same.predict_proba(clips[:1]), 0.5, atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_refuses_frames_of_another_width(name: str) -> None:
    fitted = backend(name).fit(X, Y)
    with pytest.raises(FeatureError, match=r"Clip 0 has frames of shape \(9, 5\); they must be \(time, 39\)"):
        fitted.predict_proba([np.zeros((9, 5))])


@pytest.mark.parametrize("name", NAMES)
def test_refuses_frames_that_are_not_finite(name: str) -> None:
    with pytest.raises(FeatureError, match="Clip 0 has frames that are not finite; drop it"):
        backend(name).fit([np.full((3, 39), np.nan), *X[1:]], Y)


@pytest.mark.parametrize("name", NAMES)
def test_refuses_no_clips_and_one_class(name: str) -> None:
    with pytest.raises(FeatureError, match="There are no clips to learn from or to predict"):
        backend(name).fit(X, Y).predict_proba([])
    with pytest.raises(DataError, match="at least two classes; y has 1 class only: 'anger'"):
        backend(name).fit(X, np.full(24, "anger"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("C", [0, -1.0, "1", True, np.nan])
def test_refuses_a_cost_that_makes_no_sense(name: str, C: Any) -> None:
    with pytest.raises(DataError, match=f"{name}: C lies between 1e-09 and 1e\\+09; it is"):
        backend(name, C=C).fit(X, Y)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("folds", [1, 2.5, None])
def test_refuses_a_number_of_folds_that_makes_no_sense(name: str, folds: Any) -> None:
    with pytest.raises(DataError, match=f"{name}: calibration_folds is a whole number from 2 on; it is {folds}"):
        backend(name, calibration_folds=folds).fit(X, Y)


def test_every_such_backend_is_tested_here() -> None:
    from featkit_backends.fisher import Fisher
    from featkit_backends.tangent import Tangent

    assert {kind.name for kind in VectorBackend.__subclasses__()} == {Fisher.name, Tangent.name} == set(NAMES)
