"""Many clips become features in order, whatever they are given as; a bad one costs one row, or says its name."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from speech import extracted, speech, write_wav

from featkit import Features, extract
from featkit.errors import AudioError, DataError, FeatureError, PluginError
from featkit.extraction import Failure, clip_list, extract_all
from featkit.features.mfcc import MFCC39


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [write_wav(tmp_path / f"{i}.wav", wave) for i, wave in enumerate(speech().waves[:3])]


@pytest.mark.parametrize("view", ["frames", "functionals"])
def test_paths_waves_and_features_give_the_same_numbers(files: list[str], view: Any) -> None:
    expected = extracted(view)[:3]
    for clips in (files, [Path(file) for file in files], speech().waves[:3], expected, pd.Series(files)):
        found = extract(clips, "mfcc39", view)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.values, other.values)
            assert (one.view, one.spec_hash) == (view, MFCC39().spec_hash)


def test_order_is_kept_with_several_workers() -> None:
    found = extract(speech().waves, n_jobs=2)
    for one, other in zip(found, extracted("functionals"), strict=True):
        np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_first_bad_clip_is_an_error_that_names_it(files: list[str], n_jobs: int) -> None:
    with pytest.raises(AudioError, match=r"missing\.wav: there is no such file"):
        extract([files[0], "missing.wav", *files], n_jobs=n_jobs)


def test_bad_clips_are_collected(files: list[str]) -> None:
    found, failures = extract_all([files[0], "missing.wav", np.zeros(9000), speech().waves[0]])
    assert [clip is None for clip in found] == [False, True, True, False]
    assert failures == [
        Failure("missing.wav", "missing.wav: there is no such file."),
        Failure("clip 2", "clip 2: all 9000 samples are zero (digital silence); drop the clip."),
    ]


def test_short_clips_are_refused_or_padded() -> None:
    short = speech().waves[0][8000:8100]
    with pytest.raises(AudioError, match=r"clip 0: has 100 samples .* need at least 400 .* train with pad_short=True"):
        extract([short])
    padded = extract([short], pad_short=True)[0]
    np.testing.assert_array_equal(padded.values, extract([np.pad(short, (0, 300))])[0].values)


def test_features_of_other_settings_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"is \w+ \(n_mfcc is 20 here and 13 there\)\. Extract them again"):
        extract(extracted("functionals"), MFCC39(n_mfcc=20))


def test_features_of_the_other_view_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"clip 0: these are frames; the backend reads functionals"):
        extract(extracted("frames"), "mfcc39", "functionals")


def test_an_unknown_set_is_refused_with_the_nearest() -> None:
    with pytest.raises(PluginError, match=r"No feature set is named 'mfcc93'\. Did you mean 'mfcc39'\?"):
        extract(speech().waves, "mfcc93")


def test_progress_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    extract(speech().waves[:1], progress=True)
    assert "mfcc39" in capsys.readouterr().err


def test_clips_are_listed_one_by_one() -> None:
    assert clip_list(("a.wav", "b.wav")) == ["a.wav", "b.wav"]
    assert clip_list(np.array(["a.wav", "b.wav"])) == ["a.wav", "b.wav"]
    assert clip_list(pd.Series(["a.wav", "b.wav"], index=[7, 9])) == ["a.wav", "b.wav"]
    assert [row[:2].tolist() for row in clip_list(np.eye(2, 16_000))] == [[1, 0], [0, 1]]
    features = Features(np.ones(3, np.float32), "functionals", "hash")
    assert clip_list(iter([features])) == [features]


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("a.wav", DataError, r"One path is given where a list of clips is expected; write \['a\.wav'\]"),
        (Path("a.wav"), DataError, r"write \['a\.wav'\]"),
        ([], DataError, "The list of clips is empty"),
        (np.array([]), DataError, "The list of clips is empty"),
        (np.ones(16_000), DataError, r"One wave is given where a list of clips is expected; write \[wave\]"),
        (None, DataError, "X is None; give a list of paths or waves"),
        (np.ones((18, 301, 39)), DataError, r"X has shape \(18, 301, 39\); a clip is .* make them with clf\.extract"),
        (
            pd.DataFrame({"file": ["a.wav"]}),
            DataError,
            r"holds words; give the one column with the paths: table\['file'\]",
        ),
        (np.full((2, 500), np.nan), ValueError, "contains NaN"),
    ],
)
def test_what_is_no_list_of_clips_is_refused(X: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        clip_list(X)


@pytest.mark.parametrize("wrap", [np.asarray, pd.DataFrame])
def test_a_matrix_of_features_is_told_from_waves(wrap: Any) -> None:
    with pytest.warns(
        UserWarning, match=r"X is a matrix \(4, 768\): each row is heard as 0\.048 s of sound .* give list"
    ):
        assert len(clip_list(wrap(np.ones((4, 768))))) == 4
    with pytest.warns(UserWarning, match="X is a matrix") if wrap is pd.DataFrame else nullcontext():
        clip_list(wrap(np.ones((2, 16_000))))  # a second of sound, or more columns than features have
    assert len(clip_list(list(np.ones((4, 768))))) == 4
