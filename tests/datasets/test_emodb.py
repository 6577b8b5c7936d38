"""EMO-DB is read from its file names, and a name that does not fit is never guessed at."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from recordings import with_chunk

from featkit import audio
from featkit.datasets.emodb import EmoDB
from featkit.errors import DataError


@pytest.mark.parametrize(
    ("letter", "label"),
    [
        ("W", "anger"),
        ("L", "boredom"),
        ("E", "disgust"),
        ("A", "fear"),
        ("F", "happiness"),
        ("T", "sadness"),
        ("N", "neutral"),
    ],
)
def test_each_letter_is_its_german_emotion(tmp_path: Path, letter: str, label: str) -> None:
    (tmp_path / f"16b10{letter}d.wav").touch()
    (clip,) = EmoDB(tmp_path).clips()
    assert (clip.label, clip.speaker, clip.text) == (label, "16", "b10")


def test_clips_are_found_in_the_wav_folder_and_come_in_order(tmp_path: Path) -> None:
    (tmp_path / "wav").mkdir()
    for name in ("08a01Na.flac", "03b02Wa.WAV", "._08a01Na.flac", "erkennung.txt"):
        (tmp_path / "wav" / name).touch()
    assert [clip.path for clip in EmoDB(tmp_path).clips()] == [
        tmp_path / "wav" / "03b02Wa.WAV",
        tmp_path / "wav" / "08a01Na.flac",
    ]


@pytest.mark.parametrize("stem", ["03a01Xa", "3a01Wa", "03c01Wa", "03a01wa", "03a01W", "03a01Wab", "anger", "٠٣a01Wa"])
def test_a_name_that_does_not_fit_is_an_error(tmp_path: Path, stem: str) -> None:
    (tmp_path / f"{stem}.wav").touch()
    with pytest.raises(DataError, match=rf"emodb: the name of '.*{stem}\.wav' does not fit SSTTTEv: .* WLEAFTN"):
        list(EmoDB(tmp_path).clips())


def test_the_same_clip_with_other_content_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "03a01Wa.wav").write_bytes(b"one")
    (tmp_path / "03a01Wa.flac").write_bytes(b"two")
    with pytest.raises(DataError, match=r"emodb: '.*03a01Wa\.wav' is the same clip as '.*03a01Wa\.flac', .* Keep one"):
        list(EmoDB(tmp_path).clips())


def test_a_chunk_before_the_samples_is_read_over(tmp_path: Path) -> None:
    path = with_chunk(tmp_path / "03a01Wa.wav", b"PAD ")
    assert b"PAD " in path.read_bytes()
    (clip,) = EmoDB(tmp_path).clips()
    assert audio.load(clip.path).size == 1600


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"emodb: '.*nowhere' does not exist; name the folder of the EMO-DB corpus"):
        list(EmoDB(tmp_path / "nowhere").clips())


def test_a_folder_without_audio_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").touch()
    with pytest.raises(DataError, match="emodb: no audio file was found below"):
        list(EmoDB(tmp_path).clips())


def test_the_complete_corpus_has_the_published_counts(emodb_root: Path) -> None:
    clips = list(EmoDB(emodb_root).clips())
    assert len(clips) == EmoDB.expected_clips == 535
    assert len({clip.speaker for clip in clips}) == 10
    assert len({clip.text for clip in clips}) == 10
    assert Counter(clip.label for clip in clips) == EmoDB.expected_by_label
    assert Counter(clip.speaker for clip in clips) == EmoDB.expected_by_speaker
    assert not [clip for clip in clips if clip.speaker == "08" and clip.label == "disgust"]
