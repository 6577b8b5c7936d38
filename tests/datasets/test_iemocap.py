"""IEMOCAP is read from its evaluation files; turns outside the classes are left out and counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from recordings import touch

from featkit.datasets.base import Clip, Skipped
from featkit.datasets.iemocap import Iemocap, Iemocap6
from featkit.errors import DataError

LABELS = ("ang", "hap", "exc", "sad", "neu", "fru", "fea", "sur", "dis", "oth", "xxx")


def line(turn: str, label: str) -> str:
    return (
        f"[6.2901 - 8.2357]\t{turn}\t{label}\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2;\t()\n"
    )


def dialogue(root: Path, name: str, labels: tuple[str, ...] = LABELS, speaker: str = "F", wavs: bool = True) -> Path:
    session = root / f"Session{name[4]}"
    turns = [f"{name}_{speaker}{i:03d}" for i in range(len(labels))]
    table = session / "dialog" / "EmoEvaluation" / f"{name}.txt"
    touch(table.parent, table.name)
    head = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
    table.write_text(head + "\n".join(line(turn, label) for turn, label in zip(turns, labels, strict=True)))
    if wavs:
        touch(session / "sentences" / "wav" / name, *(f"{turn}.wav" for turn in turns))
    return table


def test_four_classes_join_excitement_to_happiness(tmp_path: Path) -> None:
    dialogue(tmp_path, "Ses01F_impro01")
    clips = list(Iemocap(tmp_path).clips())
    assert [clip.label for clip in clips] == ["anger", "happiness", "happiness", "sadness", "neutral"]


def test_six_classes_keep_excitement_and_frustration_apart(tmp_path: Path) -> None:
    dialogue(tmp_path, "Ses01F_impro01")
    labels = [clip.label for clip in Iemocap6(tmp_path).clips()]
    assert labels == ["anger", "happiness", "excitement", "sadness", "neutral", "frustration"]


def test_what_is_left_out_is_counted_by_its_label(tmp_path: Path) -> None:
    dialogue(tmp_path, "Ses01F_impro01", ("ang", "xxx", "xxx", "fru"))
    skipped = [entry.reason for entry in Iemocap(tmp_path).entries() if isinstance(entry, Skipped)]
    assert Counter(skipped) == {
        "labelled xxx: no agreement between the listeners": 2, "labelled fru: frustration": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "speaker", "found"),
    [
        ("Ses01F_impro01", "F", ("Ses01F", "impro01", "Session1 improvised")),
        ("Ses01F_impro01", "M", ("Ses01M", "impro01", "Session1 improvised")),
        ("Ses05M_script03_2", "F", ("Ses05F", "script03_2", "Session5 scripted")),
        ("Ses05M_script01_1b", "M", ("Ses05M", "script01_1", "Session5 scripted")),
        ("Ses02F_impro05a", "M", ("Ses02M", "impro05", "Session2 improvised")),
    ],
)
def test_who_speaks_which_scene_in_which_session(
    tmp_path: Path, name: str, speaker: str, found: tuple[str, ...]
) -> None:
    dialogue(tmp_path, name, ("neu",), speaker)
    (clip,) = Iemocap(tmp_path).clips()
    assert (clip.speaker, clip.text, clip.part) == found


def test_hidden_files_and_single_listeners_folders_are_passed_over(tmp_path: Path) -> None:
    table = dialogue(tmp_path / "IEMOCAP_full_release", "Ses03F_impro01", ("neu",))
    (table.parent / "._Ses03F_impro01.txt").write_bytes(b"\0\5\26\7")
    touch(table.parent / "Categorical", "Ses03F_impro01_e1_cat.txt")
    touch(table.parents[2] / "sentences/wav/Ses03F_impro01", "._Ses03F_impro01_F000.wav")
    touch(table.parents[1], "wav/Ses03F_impro01.wav")
    touch(table.parents[2], "sentences/ForcedAlignment/Ses03F_impro01/Ses03F_impro01_F000.wdseg")
    assert len(list(Iemocap(tmp_path).entries())) == 1


def test_a_rated_turn_without_its_recording_is_missing(tmp_path: Path) -> None:
    dialogue(tmp_path, "Ses01F_impro01", ("neu", "xxx"), wavs=False)
    missing, other = Iemocap(tmp_path).entries()
    assert (missing.kind, missing.reason) == ("missing", "rated, but the recording is not there")
    assert other.kind == "left out"


def test_a_recording_that_nobody_rated_is_left_out(tmp_path: Path) -> None:
    table = dialogue(tmp_path, "Ses01F_impro01", ("neu",))
    touch(table.parents[2] / "sentences/wav/Ses01F_impro01", "Ses01F_impro01_MXX0.wav")
    clip, other = Iemocap(tmp_path).entries()
    assert isinstance(clip, Clip)
    assert other.reason == "no evaluation file rates it"


def test_a_session_that_stands_there_twice_is_an_error(tmp_path: Path) -> None:
    dialogue(tmp_path / "a", "Ses01F_impro01", ("neu",))
    dialogue(tmp_path / "b", "Ses01F_impro01", ("neu",))
    with pytest.raises(
        DataError, match=r"iemocap: '.*' rates Ses01F_impro01_F000, which is rated before\. Keep one copy"
    ):
        list(Iemocap(tmp_path).clips())


@pytest.mark.parametrize(
    "text",
    ["[6.29 - 8.23]\tSes01F_impro01_F000\tneu", "[6.29 - 8.23] Ses01F_impro01_F000 neu [2.5, 2.5, 2.5]",
     line("Ses01F_impro01_F000", "joy"), line("Ses06F_impro01_F000", "neu")],
)  # fmt: skip
def test_a_line_that_does_not_fit_is_an_error(tmp_path: Path, text: str) -> None:
    table = dialogue(tmp_path, "Ses01F_impro01", ("neu",))
    table.write_text(f"% head\n{text}\n")
    with pytest.raises(DataError, match=r"iemocap: line 2 of '.*impro01\.txt' is .*; it should be \[start - end\] TAB"):
        list(Iemocap(tmp_path).clips())


def test_a_folder_without_sessions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"iemocap: no Session\*/dialog/EmoEvaluation/\*\.txt was found below '.*'; name"
    ):
        next(Iemocap(tmp_path).clips())
