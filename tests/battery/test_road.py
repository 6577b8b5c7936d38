"""The whole battery through feature extraction at once: one bad file costs one row, and no row is garbage."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from battery.test_door import KINDS

from featkit.audio import read
from featkit.errors import AudioError
from featkit.extraction import extract_all
from featkit.features.base import find_extractor
from featkit.quality import flags

SETS = ["mfcc39", *(["egemaps"] if importlib.util.find_spec("opensmile") else [])]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name of the kind → path."""
    made = {}
    for i, kind in enumerate(KINDS):
        folder = tmp_path_factory.mktemp(f"kind{i}", numbered=False)
        made[kind.name] = str(kind.make(folder))
    return made


@pytest.mark.parametrize("features", SETS)
def test_a_file_is_refused_or_gives_numbers(files: dict[str, str], features: str) -> None:
    found, failures = extract_all(list(files.values()), features)
    shortest = find_extractor(features).min_samples / 16_000
    refused = {failure.clip for failure in failures}
    for kind, values in zip(KINDS, found, strict=True):
        too_short = not kind.refused and read(files[kind.name])[0].size / 16_000 < shortest
        assert (files[kind.name] in refused) == bool(kind.refused or too_short), kind.name
        assert (values is None) == (files[kind.name] in refused), kind.name
        if values is not None:
            assert np.isfinite(values.values).all(), kind.name
            assert np.ptp(values.values) > 0, kind.name


def test_frames_that_are_all_alike_come_with_a_flag(files: dict[str, str]) -> None:
    found, _ = extract_all(list(files.values()), "mfcc39", "frames")
    alike = [
        files[kind.name]
        for kind, frames in zip(KINDS, found, strict=True)
        if frames is not None and len(frames.values) > 8 and np.ptp(frames.values[4:-4], axis=0).max() < 1e-3
    ]
    assert alike  # constants are
    assert all(flags(*read(path)) for path in alike)


@pytest.mark.parametrize(("features", "ms"), [("mfcc39", 25), *[(name, 100) for name in SETS[1:]]])
def test_the_shortest_clip_of_a_set_is_as_stated(tmp_path: Path, features: str, ms: int) -> None:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 16 * ms).astype(np.float32)
    found, failures = extract_all([wave, wave[:-1], wave[: 16 * 10]], features)
    assert [clip is None for clip in found] == [False, True, True]
    assert all(f"these features need at least {16 * ms} ({ms} ms)" in failure.reason for failure in failures)


@pytest.mark.skipif("egemaps" not in SETS, reason="opensmile is not installed")
@pytest.mark.parametrize("ms", [1, 10, 25, 59])
def test_egemaps_refuses_what_opensmile_answers_with_nan(ms: int) -> None:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 16 * ms).astype(np.float32)
    (row,), (failure,) = extract_all([wave], "egemaps")
    assert row is None
    assert f"has {16 * ms} samples ({ms} ms); these features need at least 1600 (100 ms)" in failure.reason


def test_refused_files_cost_nothing_but_their_own_rows(files: dict[str, str], tmp_path: Path) -> None:
    good, bad = files["16000-hz" if "16000-hz" in files else "1-channels"], files["html-named-wav"]
    found, failures = extract_all([good, bad, good], "mfcc39")
    np.testing.assert_array_equal(found[0].values, found[2].values)
    assert [failure.clip for failure in failures] == [bad]
    with pytest.raises(AudioError, match="is a web page"):
        read(bad)
