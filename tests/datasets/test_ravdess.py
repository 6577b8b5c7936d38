"""RAVDESS is read from its file names; what another channel holds is passed over, any other name is an error."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import record, touch, with_chunk

from featkit import audio
from featkit.datasets.base import Skipped
from featkit.datasets.ravdess import Ravdess, RavdessSong
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
    touch(tmp_path, "03-02-01-01-01-01-01.wav")
    with pytest.raises(
        DataError, match=r"holds no clip of RAVDESS\. 1 are none, .*: song or video; the speech is 03-01-\*"
    ):
        list(Ravdess(tmp_path).clips())


def test_speech_and_song_in_one_folder_are_two_corpora(tmp_path: Path) -> None:
    touch(tmp_path, "03-01-04-01-02-01-09.wav", "03-02-04-01-02-01-09.wav")
    (speech,), (song,) = Ravdess(tmp_path).clips(), RavdessSong(tmp_path).clips()
    assert (speech.path.name[:5], song.path.name[:5]) == ("03-01", "03-02")
    assert (speech.label, speech.speaker, speech.text) == (song.label, song.speaker, song.text)


def test_song_knows_six_emotions(tmp_path: Path) -> None:
    touch(tmp_path, "03-02-07-01-02-01-09.wav")
    with pytest.raises(DataError, match=r"ravdess_song: '.*' claims disgust, which RAVDESS song does not have"):
        list(RavdessSong(tmp_path).clips())


@pytest.mark.parametrize("folder", ["Actor_01", "actor_01", ".", "audio_speech/Actor_01"])
def test_the_folders_do_not_matter(tmp_path: Path, folder: str) -> None:
    touch(tmp_path / folder, "03-01-01-01-01-01-01.wav")
    assert [clip.speaker for clip in Ravdess(tmp_path).clips()] == ["01"]


@pytest.mark.parametrize("chunk", [b"FLLR", b"bext"])
def test_a_chunk_before_the_samples_is_read_over(tmp_path: Path, chunk: bytes) -> None:
    assert audio.load(with_chunk(tmp_path / "03-01-01-01-01-01-01.wav", chunk)).size == 1600


def test_of_a_stereo_file_the_channels_are_averaged(tmp_path: Path) -> None:
    path = record(tmp_path / "03-01-01-01-01-01-01.wav", channels=2)
    stereo, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(audio.load(path), stereo.mean(axis=1), atol=1e-7)


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


def test_of_an_archive_that_holds_every_clip_twice_each_is_read_once(tmp_path: Path) -> None:
    for folder in (tmp_path / "Actor_01", tmp_path / "audio_speech" / "Actor_01"):
        record(folder / "03-01-01-01-01-01-01.wav")
    clip, copy = Ravdess(tmp_path).entries()
    assert list(Ravdess(tmp_path).clips()) == [clip]
    assert copy == Skipped(
        tmp_path / "audio_speech/Actor_01/03-01-01-01-01-01-01.wav", "a copy of a file in another folder"
    )


def test_the_same_name_with_other_content_is_an_error(tmp_path: Path) -> None:
    for seed, folder in enumerate(("Actor_01", "audio_speech/Actor_01")):
        record(tmp_path / folder / "03-01-01-01-01-01-01.wav", seed=seed)
    with pytest.raises(
        DataError,
        match=r"ravdess: '.*audio_speech.*' is the same clip as '.*Actor_01.*', with other content\. Keep one",
    ):
        list(Ravdess(tmp_path).clips())


def test_the_complete_corpus_has_the_published_counts(ravdess_root: Path) -> None:
    clips = list(Ravdess(ravdess_root).clips())
    assert len(clips) == Ravdess.expected_clips == 1440
    assert {clip.speaker for clip in clips} == {f"{actor:02d}" for actor in range(1, 25)}
    assert {clip.text for clip in clips} == {"01", "02"}
    assert Counter(clip.label for clip in clips) == Ravdess.expected_by_label
    assert Counter(clip.speaker for clip in clips) == Ravdess.expected_by_speaker
