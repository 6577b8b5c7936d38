"""Families are those of the names, and shuffling one changes its columns alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from speech import extracted, fitted, small, speech

from featkit import Features, SERClassifier, SERVoting, evaluate
from featkit.features.base import Bundle, find_extractor
from featkit.importance import columns, family, shuffled

WAVES, LABELS, GROUPS = speech()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("F0semitoneFrom27.5Hz_sma3nz_amean", "pitch (F0)"),
        ("F0final_sma_de_range", "pitch (F0)"),
        ("loudnessPeaksPerSec", "timing, voicing"),
        ("loudness_sma3_amean", "loudness"),
        ("equivalentSoundLevel_dBp", "loudness"),
        ("pcm_RMSenergy_sma_range", "loudness"),
        ("MeanUnvoicedSegmentLength", "timing, voicing"),
        ("voicingFinalUnclipped_sma_range", "timing, voicing"),
        ("jitterLocal_sma3nz_amean", "jitter, shimmer, HNR"),
        ("logRelF0-H1-A3_sma3nz_amean", "jitter, shimmer, HNR"),
        ("F2amplitudeLogRelF0_sma3nz_amean", "formants"),
        ("slopeV0-500_sma3nz_amean", "spectral shape"),
        ("pcm_fftMag_spectralFlux_sma_range", "spectral shape"),
        ("mfcc1V_sma3nz_amean", "MFCC"),
        ("mfcc_sma_de[3]_range", "MFCC Δ"),
        ("mfcc_3_p95", "MFCC"),
        ("delta_1_std", "MFCC Δ"),
        ("delta2_13_slope", "MFCC Δ²"),
        ("audSpec_Rfilt_sma[0]_range", "auditory bands"),
        ("lspFreq_sma[0]_max", "line spectrum"),
        ("logmel_16_mean", "log-Mel 1-16"),
        ("logmel_33", "log-Mel 33-48"),
        ("wav2vec2_7_mean", "wav2vec2"),
        ("_7", "_7"),
    ],
)
def test_a_column_belongs_to_a_family(name: str, kind: str) -> None:
    assert family(name) == kind


@pytest.mark.parametrize("features", ["egemaps", "gemaps", "compare2016", "emobase"])
def test_every_column_of_opensmile_has_a_known_family(features: str) -> None:
    pytest.importorskip("opensmile")
    known = {"jitter, shimmer, HNR", "formants", "pitch (F0)", "loudness", "timing, voicing", "MFCC Δ", "MFCC",
             "auditory bands", "line spectrum", "spectral shape"}  # fmt: skip
    extractor = find_extractor(features)
    for view in ("functionals", "frames"):
        assert {family(name) for name in extractor.names(view)} <= known  # type: ignore[arg-type]


def test_the_families_part_the_columns() -> None:
    found = columns(fitted(), extracted("functionals")[0])
    assert list(found) == ["MFCC", "MFCC Δ", "MFCC Δ²"]
    assert sorted(np.concatenate([part for (part,) in found.values()])) == list(range(351))


def test_of_one_family_the_statistics_are_told_apart() -> None:
    names = [f"level_{i}_{what}" for what in ("mean", "std") for i in range(3)]
    clip = Features(np.zeros(6, np.float32), "functionals", extracted("functionals")[0].spec_hash)
    assert list(columns(with_names(fitted(), names), clip)) == ["mean", "std"]


def with_names(member: SERClassifier, names: list[str]) -> SERClassifier:
    class Named:
        spec_hash = member.extractor_.spec_hash

        def names(self, view: str) -> list[str]:
            return names

    other = SERClassifier()
    other.extractor_, other.backend_ = Named(), member.backend_  # type: ignore[assignment]
    return other


def test_shuffling_takes_the_columns_of_another_clip() -> None:
    clips = [Features(np.full(4, i, np.float32), "functionals", "x") for i in range(10)]
    mixed = shuffled(clips, [np.array([1, 3])], np.random.default_rng(0))
    values = np.stack([clip.values for clip in mixed])
    assert values[:, [0, 2]].tolist() == [[i, i] for i in range(10)]
    assert (values[:, 1] == values[:, 3]).all(), "a family stays together"
    assert sorted(values[:, 1]) == list(range(10))
    assert values[:, 1].tolist() != list(range(10))
    assert [clip.values.tolist() for clip in clips] == [[i] * 4 for i in range(10)], "the clips themselves stay"


def test_frames_of_another_clip_are_repeated_or_cut() -> None:
    clips = [Features(np.full((n, 2), n, np.float32), "frames", "x") for n in (3, 7)]
    rng = np.random.default_rng(1)
    mixed = shuffled(clips, [np.array([0])], rng)
    assert [clip.values.shape for clip in mixed] == [(3, 2), (7, 2)]
    assert [set(clip.values[:, 1]) for clip in mixed] == [{3}, {7}]


def test_a_family_is_shuffled_in_every_part_of_a_bundle() -> None:
    one = Features(np.arange(2, dtype=np.float32), "functionals", "a")
    clips = [Bundle((replace(one, values=one.values + i), replace(one, values=one.values - i))) for i in range(5)]
    mixed = shuffled(clips, [np.array([0]), np.array([], dtype=int)], np.random.default_rng(0))
    assert [clip.parts[1].values.tolist() for clip in mixed] == [clip.parts[1].values.tolist() for clip in clips]
    assert sorted(clip.parts[0].values[0] for clip in mixed) == [0, 1, 2, 3, 4]


def test_what_decides_costs_and_what_is_noise_does_not() -> None:
    rng = np.random.default_rng(0)
    spec = find_extractor("mfcc39")
    names = np.array([family(name) for name in spec.names("functionals")])
    y, groups = np.tile(["a", "b"], 60), np.repeat(np.arange(6), 20).astype(str)
    clips = []
    for label in y:
        values = rng.standard_normal(351).astype(np.float32)
        values[names == "MFCC Δ"] += 3 * (label == "a")
        clips.append(Features(values, "functionals", spec.spec_hash))
    cost = evaluate(SERClassifier("mfcc39", "svm:kernel=linear,C=0.01"), clips, y, groups, importance=True).importance
    assert cost is not None
    assert next(iter(cost)) == "MFCC Δ"
    assert cost["MFCC Δ"].ua == pytest.approx(0.5, abs=0.12)
    assert cost["MFCC Δ"].interval[0] > 0.2
    assert abs(cost["MFCC"].ua) < 0.05


@pytest.mark.parametrize("backend", ["mlp", "cnn_lstm"])
def test_networks_tell_it_as_well(backend: str) -> None:
    pytest.importorskip("torch")
    result = evaluate(SERClassifier("mfcc39", small(backend, epochs=2)), WAVES, LABELS, GROUPS, cv=2, importance=True)
    assert result.importance is not None
    assert set(result.importance) == {"MFCC", "MFCC Δ", "MFCC Δ²"}
    assert len(result.histories) == 2


def test_an_average_tells_the_families_of_all_members() -> None:
    both = SERVoting([SERClassifier("mfcc39"), SERClassifier("logmel")])
    result = evaluate(both, WAVES, LABELS, GROUPS, cv=2, importance=True)
    assert result.importance is not None
    assert set(result.importance) >= {"MFCC", "log-Mel 1-16", "log-Mel 49-64"}


def test_without_speakers_clips_are_drawn() -> None:
    result = evaluate(SERClassifier(), WAVES, LABELS, allow_leakage=True, cv=2, importance=True)
    assert result.importance is not None
    assert all(cost.interval[0] <= cost.ua <= cost.interval[1] for cost in result.importance.values())
