"""SAVEE is read from its file names, whether the speaker stands in the name or in the folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings import touch

from featkit.datasets.savee import Savee
from featkit.errors import DataError


@pytest.mark.parametrize("form", ["{}_{}01.wav", "AudioData/{}/{}01.wav"])
@pytest.mark.parametrize(
    ("letters", "label"),
    [
        ("a", "anger"),
        ("d", "disgust"),
        ("f", "fear"),
        ("h", "happiness"),
        ("n", "neutral"),
        ("sa", "sadness"),
        ("su", "surprise"),
    ],
)
def test_each_letter_is_its_emotion_in_both_layouts(tmp_path: Path, form: str, letters: str, label: str) -> None:
    touch(tmp_path, form.format("JK", letters))
    (clip,) = Savee(tmp_path).clips()
    assert (clip.label, clip.speaker, clip.text) == (label, "JK", None)


def test_speakers_with_the_same_names_of_files_are_two(tmp_path: Path) -> None:
    touch(tmp_path, "DC/a01.wav", "KL/a01.wav", "DC/Info.txt")
    assert [clip.speaker for clip in Savee(tmp_path).clips()] == ["DC", "KL"]


@pytest.mark.parametrize("name", ["DC_s01", "DC_x01", "XX_a01", "DC_a00", "DC_n31", "a01", "DC/s01", "DC_sad"])
def test_a_name_that_does_not_fit_is_an_error(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"{name}.wav")
    with pytest.raises(DataError, match=r"savee: the name of '.*' does not fit SS_ENN, or ENN in a folder SS: speaker"):
        next(Savee(tmp_path).clips())
