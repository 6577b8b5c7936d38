"""TESS is read from its file names, with the one misspelling of the release; folders may only agree."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings import record, touch

from featkit import audio
from featkit.datasets.base import Clip, Skipped
from featkit.datasets.tess import Tess
from featkit.errors import DataError


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("angry", "anger"),
        ("disgust", "disgust"),
        ("fear", "fear"),
        ("happy", "happiness"),
        ("neutral", "neutral"),
        ("ps", "surprise"),
        ("sad", "sadness"),
    ],
)
def test_each_word_is_its_emotion(tmp_path: Path, word: str, label: str) -> None:
    touch(tmp_path, f"YAF_youth_{word}.wav")
    (clip,) = Tess(tmp_path).clips()
    assert (clip.label, clip.speaker, clip.text) == (label, "YAF", "youth")


@pytest.mark.parametrize(
    "place",
    ["OAF_Pleasant_surprise/OAF_back_ps", "YAF_pleasant_surprised/YAF_back_ps", "OAF_ps/OAF_back_ps",
     "OAF_Fear/OAF_back_fear", "OAF_Sad/OAF_back_sad", "TESS Toronto emotional speech set data/YAF_sad/YAF_back_sad",
     "train/OAF_back_sad"],
)  # fmt: skip
def test_folders_in_every_known_spelling_agree(tmp_path: Path, place: str) -> None:
    touch(tmp_path, f"{place}.wav")
    assert len(list(Tess(tmp_path).clips())) == 1


@pytest.mark.parametrize(
    "place", ["YAF_sad/OAF_back_sad", "OAF_angry/OAF_back_sad", "OAF_Pleasant_surprise/OAF_back_sad"]
)
def test_a_folder_that_contradicts_the_name_is_an_error(tmp_path: Path, place: str) -> None:
    touch(tmp_path, f"{place}.wav")
    with pytest.raises(DataError, match=r"tess: '.*' has one speaker and emotion in its name and others in its folder"):
        next(Tess(tmp_path).clips())


def test_the_misspelt_name_is_no_third_speaker(tmp_path: Path) -> None:
    touch(tmp_path, "OAF_neutral/OA_bite_neutral.wav", "OAF_neutral/OAF_back_neutral.wav")
    clips = list(Tess(tmp_path).clips())
    assert {clip.speaker for clip in clips} == {"OAF"}
    assert [clip.text for clip in clips] == ["back", "bite"]


@pytest.mark.parametrize(
    "stem", ["OA_back_neutral", "OA_bite_sad", "XAF_back_sad", "OAF_back", "OAF_back_surprise", "1"]
)
def test_a_name_that_does_not_fit_is_an_error(tmp_path: Path, stem: str) -> None:
    touch(tmp_path, f"{stem}.wav")
    with pytest.raises(
        DataError, match=rf"tess: the name of '.*{stem}\.wav' does not fit SSS_WORD_EMOTION: speaker OAF"
    ):
        next(Tess(tmp_path).clips())


def test_an_inner_folder_that_holds_everything_again_is_read_once(tmp_path: Path) -> None:
    inner = tmp_path / "TESS Toronto emotional speech set data" / "OAF_bite_neutral.wav"
    record(tmp_path / "OAF_neutral" / "OA_bite_neutral.wav")
    record(inner)
    clip, copy = Tess(tmp_path).entries()
    assert isinstance(clip, Clip)
    assert copy == Skipped(inner, "a copy of a file in another folder")


def test_aiff_under_the_name_wav_and_another_rate_are_read(tmp_path: Path) -> None:
    record(tmp_path / "YAF_germ_angry.wav", form="AIFF", rate=24_414)
    record(tmp_path / "OAF_food_fear.wav", rate=96_000)
    assert (tmp_path / "YAF_germ_angry.wav").read_bytes()[:4] == b"FORM"
    assert [audio.load(clip.path).size for clip in Tess(tmp_path).clips()] == [1600, 1600]
