"""MELD is read from its three tables; recordings are found by part and name, as wav or as mp4."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from recordings import touch

from featkit.datasets.base import Clip, Skipped
from featkit.datasets.meld import Meld
from featkit.errors import DataError

HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\r\n"


def table(folder: Path, part: str, *rows: tuple[str, str, int, int]) -> Meld:
    lines = [f'1,"Well,  it’s {d}",{who},{emotion},x,{d},{u},1,1,"0:0,0","0:0,1"\r\n' for who, emotion, d, u in rows]
    (folder / f"{part}_sent_emo.csv").write_bytes((HEAD + "".join(lines)).encode())
    return Meld(folder)


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("anger", "anger"),
        ("disgust", "disgust"),
        ("fear", "fear"),
        ("joy", "happiness"),
        ("neutral", "neutral"),
        ("sadness", "sadness"),
        ("surprise", "surprise"),
    ],
)
def test_each_word_is_its_emotion(tmp_path: Path, word: str, label: str) -> None:
    touch(tmp_path, "train/dia0_utt3.wav")
    (clip,) = table(tmp_path, "train", ("Chandler", word, 0, 3)).clips()
    assert clip == Clip(tmp_path / "train/dia0_utt3.wav", label, "Chandler", "Well, it’s 0", "train")


def test_the_same_name_in_every_part_is_another_clip_in_the_folders_of_the_release(tmp_path: Path) -> None:
    touch(tmp_path, "train/train_splits/dia0_utt0.mp4", "dev_splits_complete/dia0_utt0.mp4",
          "output_repeated_splits_test/dia0_utt0.mp4")  # fmt: skip
    for part, who in (("train", "Joey"), ("dev", "Monica"), ("test", "Ross")):
        table(tmp_path, part, (who, "joy", 0, 0))
    clips = list(Meld(tmp_path).clips())
    assert [(clip.part, clip.speaker, clip.path.parent.name) for clip in clips] == [
        ("train", "Joey", "train_splits"),
        ("dev", "Monica", "dev_splits_complete"),
        ("test", "Ross", "output_repeated_splits_test"),
    ]


def test_extras_of_the_release_hidden_files_and_videos_beside_their_wav_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "test/dia0_utt0.mp4", "test/dia0_utt0.wav", "test/._dia0_utt0.mp4",
          "test/final_videos_testdia0_utt0.mp4")  # fmt: skip
    corpus = table(tmp_path, "test", ("Ross", "joy", 0, 0))
    assert [clip.path.name for clip in corpus.clips()] == ["dia0_utt0.wav"]
    assert {entry.reason for entry in corpus.entries() if isinstance(entry, Skipped)} == {
        "beside its wav", "an extra of the release",
    }  # fmt: skip


def test_what_the_release_spoils_is_left_out_and_what_else_lacks_is_missing(tmp_path: Path) -> None:
    touch(tmp_path, "train/dia125_utt3.mp4", "train/dia1_utt1.wav")
    corpus = table(tmp_path, "train", ("A", "joy", 125, 3), ("A", "joy", 1, 1), ("A", "joy", 1, 2))
    spoiled, clip, missing = corpus.entries()
    assert (spoiled.kind, spoiled.reason) == ("left out", "cannot be decoded in the release")
    assert isinstance(clip, Clip)
    assert missing.kind == "missing"
    assert "train dia1_utt2 is listed in" in missing.reason


def test_the_file_that_is_not_in_the_release_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "dev/dia1_utt1.wav")
    entries = list(table(tmp_path, "dev", ("A", "joy", 110, 7), ("A", "joy", 1, 1)).entries())
    assert [entry.reason for entry in entries if isinstance(entry, Skipped)] == ["not in the release"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/dia9_utt9.wav", r"'.*' stands in no train_sent_emo\.csv, so its emotion is not known"),
        ("train/clip.wav", r"'.*clip\.wav' is not named diaN_uttN in a folder of train, dev or test"),
        ("dia0_utt0.wav", r"'.*dia0_utt0\.wav' is not named diaN_uttN in a folder of train, dev or test"),
    ],
)
def test_a_recording_without_a_row_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    touch(tmp_path, "train/dia0_utt0.wav", name)
    with pytest.raises(DataError, match=f"meld: {message}"):
        list(table(tmp_path, "train", ("A", "joy", 0, 0)).clips())


@pytest.mark.parametrize("row", [("A", "happy", 0, 0), ("", "joy", 0, 0)])
def test_a_row_without_speaker_or_with_another_emotion_is_an_error(
    tmp_path: Path, row: tuple[str, str, int, int]
) -> None:
    with pytest.raises(DataError, match=r"meld: line 2 of '.*' has .*; it needs numbers, a Speaker and an Emotion of"):
        list(table(tmp_path, "train", row).clips())


def test_the_folder_of_one_part_may_be_the_root(tmp_path: Path) -> None:
    touch(tmp_path, "dev/dia0_utt0.wav")
    assert len(list(table(tmp_path / "dev", "dev", ("A", "joy", 0, 0)).clips())) == 1


def test_the_folders_are_walked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "dev/dia0_utt0.wav")
    corpus, walk, walks = table(tmp_path, "dev", ("A", "joy", 0, 0)), os.walk, []
    monkeypatch.setattr(os, "walk", lambda *given, **named: walks.append(given) or walk(*given, **named))
    monkeypatch.setattr(Path, "rglob", lambda *given: walks.append(given) or ())
    assert len(list(corpus.clips())) == len(walks) == 1


def test_without_tables_there_are_no_labels(tmp_path: Path) -> None:
    touch(tmp_path, "train/dia0_utt0.wav")
    with pytest.raises(
        DataError, match=r"meld: no train_sent_emo\.csv, .* was found below '.*'; the labels are in them"
    ):
        next(Meld(tmp_path).clips())
