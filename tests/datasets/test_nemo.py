"""nEMO is read from data.tsv, and a file that it does not list has no emotion."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings import touch

from featkit.datasets.base import Clip
from featkit.datasets.nemo import Nemo
from featkit.errors import DataError

HEAD = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"


def row(name: str, emotion: str | None = None, speaker: str | None = None) -> str:
    parts = name.split("_")
    return (
        f'{name}\t{emotion or parts[1]}\tTo „jest" zdanie.\tto jest zdanie\t        {speaker or parts[0]}\tmale\t23\n'
    )


def written(folder: Path, *lines: str, head: str = HEAD) -> Nemo:
    (folder / "data.tsv").write_text(head + "".join(lines), encoding="utf-8")
    return Nemo(folder)


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("anger", "anger"),
        ("fear", "fear"),
        ("happiness", "happiness"),
        ("neutral", "neutral"),
        ("sadness", "sadness"),
        ("surprised", "surprise"),
    ],
)
def test_each_word_is_its_emotion_and_blanks_before_speakers_are_dropped(tmp_path: Path, word: str, label: str) -> None:
    touch(tmp_path, f"samples/WR0_{word}_64.wav")
    (clip,) = written(tmp_path, row(f"WR0_{word}_64.wav")).clips()
    assert (clip.label, clip.speaker, clip.text) == (label, "WR0", "64")


def test_a_clone_inside_the_folder_and_copies_packed_without_loss_are_read(tmp_path: Path) -> None:
    touch(tmp_path, "nEMO-main/samples/EB0_fear_1.flac")
    written(tmp_path / "nEMO-main", row("EB0_fear_1.wav"))
    assert [clip.path.suffix for clip in Nemo(tmp_path).clips()] == [".flac"]


def test_a_file_that_is_listed_and_not_there_is_missing(tmp_path: Path) -> None:
    touch(tmp_path, "samples/EB0_fear_1.wav")
    clip, other = written(tmp_path, row("EB0_fear_1.wav"), row("EB0_fear_2.wav")).entries()
    assert isinstance(clip, Clip)
    assert (other.kind, other.path.name) == ("missing", "EB0_fear_2.wav")


def test_a_file_that_is_not_listed_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "samples/EB0_fear_1.wav", "samples/EB0_fear_2.wav")
    with pytest.raises(
        DataError, match=r"nemo: '.*EB0_fear_2\.wav' is not listed in '.*data\.tsv', so its emotion is not"
    ):
        list(written(tmp_path, row("EB0_fear_1.wav")).clips())


@pytest.mark.parametrize(
    "line",
    [
        row("EB0_fear_1.wav", emotion="anger"),
        row("EB0_fear_1.wav", speaker="WR0"),
        row("EB0_joy_1.wav"),
        row("a_b.wav"),
    ],
)
def test_a_row_that_contradicts_itself_is_an_error(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match=r"nemo: row 2 of '.*' has .*; file_id should be SPEAKER_EMOTION_NUMBER\.wav"):
        list(written(tmp_path, line).clips())


def test_a_file_that_is_listed_twice_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "samples/EB0_fear_1.wav")
    with pytest.raises(DataError, match=r"nemo: row 3 of '.*data\.tsv' lists a file again\. Drop the row"):
        list(written(tmp_path, row("EB0_fear_1.wav"), row("EB0_fear_1.wav")).clips())


def test_a_table_without_its_columns_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"nemo: '.*data\.tsv' has no column file_id, speaker_id; take it from the release"
    ):
        list(written(tmp_path, head="name\temotion\n").clips())


def test_a_folder_without_the_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nemo: there is no data\.tsv in '.*'; name the folder that holds it"):
        next(Nemo(tmp_path).clips())
