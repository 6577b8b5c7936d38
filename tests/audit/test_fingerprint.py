"""Fingerprints: the similarity is what it says, and the cheap search loses no copy."""

from __future__ import annotations

import numpy as np
import pytest
from drafts import CHANGED

from featkit.audio import Wave
from featkit.audit import fingerprint as fp
from featkit.audit.copies import NEAR_TWIN
from featkit.audit.fingerprint import BANDS, SPEEDS, fingerprint, matches, similarity
from featkit.datasets.synthetic import synthesise


@pytest.fixture(scope="module")
def voices() -> list[Wave]:
    return [synthesise(emotion, speaker, speaker, take=0) for emotion in ("anger", "sadness") for speaker in range(5)]


def by_hand(x: np.ndarray, y: np.ndarray) -> float:
    """Normalised product over the overlap at every lag, where at least half of one energy overlaps."""
    best = 0.0
    for lag in range(1 - len(x), len(y)):
        a, b = x[max(0, -lag) : len(y) - lag], y[max(0, lag) : lag + len(x)]
        energies = (a**2).sum(), (b**2).sum()
        if energies[0] >= 0.5 * (x**2).sum() or energies[1] >= 0.5 * (y**2).sum():
            best = max(best, (a * b).sum() / np.sqrt(energies[0] * energies[1]))
    return best


def moved(print_: np.ndarray) -> np.ndarray:
    """Movement by its definition: each value minus the mean of the 51 about it, the ends repeated."""
    decibel = np.pad(print_ / 8, ((25, 25), (0, 0)), mode="edge")
    return np.array([decibel[i + 25] - decibel[i : i + 51].mean(axis=0) for i in range(len(print_))])


def test_the_similarity_is_the_best_normalised_product_over_all_lags(voices: list[Wave]) -> None:
    a, b = fingerprint(voices[0][:20_000]), fingerprint(voices[1][3_000:18_000])
    assert similarity(a, b) == pytest.approx(by_hand(moved(a), moved(b)), abs=1e-4)
    assert similarity(b, a) == pytest.approx(similarity(a, b), abs=1e-5)
    assert similarity(a, a) == pytest.approx(1)


def test_a_fingerprint_has_one_row_in_10_ms_and_spans_30_db(voices: list[Wave]) -> None:
    print_ = fingerprint(voices[0])
    assert print_.shape == (1 + voices[0].size // 160, BANDS)
    assert (print_.min(), print_.max()) == (0, 240)
    assert np.abs(print_.astype(int) - fingerprint(voices[0] / 8)).max() <= 1  # the level is not in it


def test_a_tone_is_in_the_band_of_its_frequency() -> None:
    time = np.arange(16_000) / 16_000
    for band in (5, 20, 40):
        tone = np.sin(2 * np.pi * 150 * 2 ** (band / 10) * time).astype(np.float32)
        assert (fingerprint(tone)[10:-10].argmax(axis=1) == band).all()


def test_speed_is_found_without_the_recording(voices: list[Wave]) -> None:
    faster = CHANGED["15 % faster"](voices[0])
    (match,) = matches([fingerprint(voices[0]), fingerprint(faster)], NEAR_TWIN)
    assert match.similarity > 0.97
    assert (match.a, match.b) == (1, 0)  # the shorter one is sought in the longer one
    assert match.speed == pytest.approx(1 / 1.15, rel=0.01)


@pytest.mark.parametrize("kind", CHANGED)
def test_the_search_finds_every_copy_and_nothing_else(voices: list[Wave], kind: str) -> None:
    prints = [fingerprint(wave) for wave in [*voices, *(CHANGED[kind](wave) for wave in voices)]]
    n = len(voices)
    assert sorted({tuple(sorted((m.a, m.b))) for m in matches(prints, NEAR_TWIN)}) == [(i, i + n) for i in range(n)]


def test_the_search_finds_the_same_pairs_in_small_pieces_and_with_two_workers(
    voices: list[Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    prints = [fingerprint(wave) for wave in [*voices, *map(CHANGED["noise at 20 dB"], voices)]]
    whole = matches(prints, 0)
    assert len(whole) >= len(voices)
    monkeypatch.setattr(fp, "_BLOCK", 3)
    monkeypatch.setattr(fp, "_CELLS", 1)
    pieces = matches(prints, 0, n_jobs=2)
    assert [(m.a, m.b) for m in pieces] == [(m.a, m.b) for m in whole]
    assert [m.similarity for m in pieces] == pytest.approx([m.similarity for m in whole])


@pytest.mark.parametrize("place", [1, 7], ids=["loud", "soft"])
def test_a_clip_is_found_inside_a_minute_of_speech(voices: list[Wave], place: int) -> None:
    minute = np.concatenate([*voices, *voices[::-1], *voices])[: 60 * 16_000]
    noisy, other = CHANGED["noise at 20 dB"](voices[place]), synthesise("fear", 7, 2, take=0)
    found = matches([fingerprint(wave) for wave in (minute, noisy, other)], NEAR_TWIN)
    assert [(m.a, m.b) for m in found] == [(1, 0)]


def test_of_two_long_clips_the_loudest_8_s_are_compared(voices: list[Wave]) -> None:
    long = np.concatenate(voices)
    assert long.size > 16 * 16_000
    (match,) = matches([fingerprint(long), fingerprint(CHANGED["2 % faster"](long))], NEAR_TWIN)
    assert match.speed == pytest.approx(1 / 1.02, rel=0.005)


@pytest.mark.parametrize(
    "wave",
    [
        np.sin(np.arange(32_000) / 5).astype(np.float32),
        synthesise("anger", 0, 0, take=0)[:4_800],
    ],
    ids=["hum", "0.3 s"],
)
def test_clips_in_which_nothing_moves_or_too_short_are_in_no_pair(wave: Wave) -> None:
    assert matches([fingerprint(wave), fingerprint(wave / 2)], NEAR_TWIN) == []


def test_no_clips_make_no_pairs() -> None:
    assert matches([], NEAR_TWIN) == []


def test_the_speeds_reach_beyond_those_of_the_standard_augmentation() -> None:
    assert min(SPEEDS) < 0.86
    assert max(SPEEDS) > 1.16
    assert 1.0 in SPEEDS
