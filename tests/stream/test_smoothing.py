"""Votes and means are those of plain Python, and a label holds until another one leads it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from featkit.errors import AudioError
from featkit.stream.smoothing import Smoother

LABELS = ["anger", "neutral", "sadness"]
RNG = np.random.default_rng(0)
WINDOWS = RNG.dirichlet([1, 1, 1], 60).astype(np.float32)


def smoother(smoothing: Any = "vote", votes: int = 5, threshold: float = 0.0, hysteresis: float = 0.0) -> Smoother:
    return Smoother(LABELS, smoothing, votes, threshold, hysteresis)


def sure(label: str, p: float = 0.8) -> Any:
    """Probabilities in which one label has p and the others share the rest."""
    return np.array([p if name == label else (1 - p) / 2 for name in LABELS], dtype=np.float32)


def test_a_vote_is_the_majority_of_the_last_five() -> None:
    live, raw = smoother(), [LABELS[i] for i in WINDOWS.argmax(axis=1)]
    for i, window in enumerate(WINDOWS):
        label, shares = live(window)
        votes = Counter(raw[max(0, i - 4) : i + 1])
        assert shares.tolist() == pytest.approx([votes[name] / votes.total() for name in LABELS])
        assert votes[str(label)] == max(votes.values())


def test_a_mean_is_the_mean_of_the_last_windows() -> None:
    live = smoother("mean", votes=4)
    for i, window in enumerate(WINDOWS):
        label, smoothed = live(window)
        mean = WINDOWS[max(0, i - 3) : i + 1].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(smoothed, mean, rtol=1e-6)
        assert label == LABELS[mean.argmax()]


def test_without_smoothing_every_window_stands_for_itself() -> None:
    live = smoother(None)
    for window in WINDOWS:
        label, smoothed = live(window)
        assert label == LABELS[window.argmax()]
        np.testing.assert_array_equal(smoothed, window)


def test_among_equal_votes_the_label_that_stands_stays() -> None:
    live = smoother(votes=2)
    assert [live(sure(name))[0] for name in ("anger", "sadness", "sadness", "anger")] == [
        "anger", "anger", "sadness", "sadness",
    ]  # fmt: skip


def test_among_equal_votes_of_others_the_latest_wins() -> None:
    live = smoother(votes=2)
    assert [live(sure(name))[0] for name in ("anger", "neutral", "sadness")] == ["anger", "anger", "sadness"]


def test_another_label_needs_a_lead() -> None:
    live = smoother(None, hysteresis=0.2)
    said = [("anger", 0.5), ("sadness", 0.4), ("sadness", 0.46), ("anger", 0.4)]
    assert [live(sure(name, p))[0] for name, p in said] == ["anger", "anger", "anger", "anger"]
    assert live(sure("sadness", 0.5))[0] == "sadness"


def test_below_the_threshold_nothing_is_sure() -> None:
    live = smoother(None, threshold=0.6)
    assert [live(sure("anger", p))[0] for p in (0.5, 0.6, 0.59, 0.7)] == [None, "anger", None, "anger"]


def test_a_label_that_stands_may_fall_below_the_threshold_by_the_hysteresis() -> None:
    live = smoother(None, threshold=0.6, hysteresis=0.1)
    assert [live(sure("anger", p))[0] for p in (0.55, 0.6, 0.55, 0.45, 0.55)] == [None, "anger", "anger", None, None]


def test_three_of_five_reach_a_threshold_of_three_fifths() -> None:
    live = smoother(threshold=0.6)
    for name in ("neutral", "sadness", "anger", "anger"):
        assert live(sure(name))[0] in (None, "neutral")
    assert live(sure("anger"))[0] == "anger"


def test_after_a_reset_nothing_is_remembered() -> None:
    live = smoother(hysteresis=0.9)
    live(sure("anger"))
    live.reset()
    label, shares = live(sure("sadness"))
    assert (label, shares.tolist()) == ("sadness", [0, 0, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smoothing": "median"}, "smoothing must be 'vote', 'mean' or None, not 'median'"),
        ({"votes": 0}, "votes is the number of windows that are smoothed over, 1 or more; it is 0"),
        ({"votes": 2.5}, r"votes is the number of windows that are smoothed over, 1 or more; it is 2\.5"),
        ({"threshold": 1.1}, r"threshold is a probability and must lie between 0 and 1; it is 1\.1"),
        ({"hysteresis": float("nan")}, "hysteresis is a probability and must lie between 0 and 1; it is nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        smoother(**settings)
