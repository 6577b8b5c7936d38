"""EMOVO is read from its file names; its two channels are averaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from recordings import record, touch

from featkit import audio
from featkit.datasets.emovo import Emovo
from featkit.errors import DataError


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("dis", "disgust"),
        ("gio", "happiness"),
        ("neu", "neutral"),
        ("pau", "fear"),
        ("rab", "anger"),
        ("sor", "surprise"),
        ("tri", "sadness"),
    ],
)
def test_each_code_is_its_italian_emotion(tmp_path: Path, code: str, label: str) -> None:
    touch(tmp_path, f"EMOVO/f3/{code}-f3-d2.wav")
    (clip,) = Emovo(tmp_path).clips()
    assert (clip.label, clip.speaker, clip.text) == (label, "f3", "d2")


def test_capital_letters_are_read(tmp_path: Path) -> None:
    touch(tmp_path, "M1/GIO-M1-B3.WAV")
    (clip,) = Emovo(tmp_path).clips()
    assert (clip.speaker, clip.text) == ("m1", "b3")


def test_the_wave_is_the_mean_of_both_channels(tmp_path: Path) -> None:
    path = record(tmp_path / "dis-f1-b1.wav", channels=2, rate=48_000)
    stereo, rate = soundfile.read(path, dtype="float32")
    mean = soxr.resample(stereo.mean(axis=1), rate, 16_000, quality="HQ")
    np.testing.assert_allclose(audio.load(path), mean, atol=1e-6)


@pytest.mark.parametrize(
    "stem", ["xxx-f1-b1", "dis-f4-b1", "dis-f1-b4", "dis-f1-l5", "dis-f1-n6", "dis-f1-d3", "disf1b1"]
)
def test_a_name_that_does_not_fit_is_an_error(tmp_path: Path, stem: str) -> None:
    touch(tmp_path, f"{stem}.wav")
    with pytest.raises(DataError, match=rf"emovo: the name of '.*{stem}\.wav' does not fit EEE-SS-TT: one of dis, gio"):
        next(Emovo(tmp_path).clips())
