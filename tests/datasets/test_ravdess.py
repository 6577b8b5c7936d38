"""RAVDESS is read from its file names; its song and video are passed over, any other name is an error."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from featkit.datasets.ravdess import Ravdess
from featkit.errors import DataError


@pytest.mark.parametrize(
    ("number", "label"),
    [
        ("01", "neutral"),
        ("02", "calm"),
        ("03", "happiness"),
        ("04", "sadness"),
        ("05", "anger"),
        ("06", "fear"),
        ("07", "disgust"),
        ("08", "surprise"),
    ],
)
def test_each_number_is_its_emotion(tmp_path: Path, number: str, label: str) -> None:
    (tmp_path / "Actor_24").mkdir()
    (tmp_path / "Actor_24" / f"03-01-{number}-01-02-01-24.wav").touch()
    (clip,) = Ravdess(tmp_path).clips()
    assert (clip.label, clip.speaker, clip.text) == (label, "24", "02")


def test_song_video_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    names = [
        "03-01-01-01-01-01-01.wav",
        "03-02-01-01-01-01-01.wav",
        "01-01-01-01-01-01-01.mp4",
        "02-01-05-01-01-01-01.mp4",
        "._03-01-01-01-01-01-01.wav",
    ]
    for name in names:
        (tmp_path / name).touch()
    assert [clip.path.name for clip in Ravdess(tmp_path).clips()] == names[:1]


def test_song_alone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "03-02-01-01-01-01-01.wav").touch()
    with pytest.raises(DataError, match=r"ravdess: below '.*' there is song or video only; the speech is 03-01-\*"):
        list(Ravdess(tmp_path).clips())


@pytest.mark.parametrize(
    "stem",
    [
        "03-01-09-01-01-01-01",
        "03-01-00-01-01-01-01",
        "03-01-01-03-01-01-01",
        "03-01-01-01-03-01-01",
        "03-01-01-01-01-03-01",
        "03-01-01-01-01-01-00",
        "03-01-01-01-01-01-25",
        "04-01-01-01-01-01-01",
        "03-01-01-01-01-01-01-copy",
        "happy",
    ],
)
def test_a_name_that_does_not_fit_is_an_error(tmp_path: Path, stem: str) -> None:
    (tmp_path / f"{stem}.wav").touch()
    with pytest.raises(DataError, match=rf"ravdess: the name of '.*{stem}\.wav' does not fit 03-01-EE-II-SS-RR-AA"):
        list(Ravdess(tmp_path).clips())


def test_an_archive_that_holds_every_clip_twice_is_an_error(tmp_path: Path) -> None:
    for folder in (tmp_path / "Actor_01", tmp_path / "audio_speech" / "Actor_01"):
        folder.mkdir(parents=True)
        (folder / "03-01-01-01-01-01-01.wav").touch()
    with pytest.raises(DataError, match=r"ravdess: '.*audio_speech.*' is the same clip as '.*Actor_01.*'\. Keep one"):
        list(Ravdess(tmp_path).clips())


def test_the_complete_corpus_has_the_published_counts(ravdess_root: Path) -> None:
    clips = list(Ravdess(ravdess_root).clips())
    assert len(clips) == Ravdess.expected_clips == 1440
    assert {clip.speaker for clip in clips} == {f"{actor:02d}" for actor in range(1, 25)}
    assert {clip.text for clip in clips} == {"01", "02"}
    assert Counter(clip.label for clip in clips) == {
        label: 96 if label == "neutral" else 192 for label in Ravdess.labels
    }
