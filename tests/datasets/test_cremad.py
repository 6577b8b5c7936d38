"""CREMA-D is read from its file names, or with the votes of its listeners; ties are counted and left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from recordings import touch

from featkit.datasets.base import Clip, Skipped
from featkit.datasets.cremad import CremaD, CremaDVoted
from featkit.errors import DataError

HEAD = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"\n'


def voted(folder: Path, *votes: str, name: str = "processedResults/summaryTable.csv") -> CremaDVoted:
    rows = [f'"{i}","1001_{text}_ANG_XX","{vote}","70","H","50","H","60"' for i, (text, vote) in
            enumerate(zip(("DFA", "IEO", "IOM"), votes, strict=False), 1)]  # fmt: skip
    touch(folder, name)
    (folder / name).write_text(HEAD + "\n".join(rows) + "\n")
    return CremaDVoted(folder)


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("ANG", "anger"),
        ("DIS", "disgust"),
        ("FEA", "fear"),
        ("HAP", "happiness"),
        ("NEU", "neutral"),
        ("SAD", "sadness"),
    ],
)
def test_each_code_is_its_emotion(tmp_path: Path, code: str, label: str) -> None:
    touch(tmp_path, f"AudioWAV/1091_TSI_{code}_HI.wav")
    (clip,) = CremaD(tmp_path).clips()
    assert (clip.label, clip.speaker, clip.text) == (label, "1091", "TSI")


def test_what_listeners_heard_videos_and_tables_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3", "VideoFlash/1001_DFA_ANG_XX.flv",
          "processedResults/summaryTable.csv", "AudioWAV/._1001_DFA_ANG_XX.wav")  # fmt: skip
    assert [clip.path for clip in CremaD(tmp_path).clips()] == [tmp_path / "AudioWAV/1001_DFA_ANG_XX.wav"]


def test_the_silent_recording_of_the_release_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "1076_MTI_SAD_XX.wav", "1076_MTI_ANG_XX.wav")
    clip, silent = CremaD(tmp_path).entries()
    assert clip.path.name == "1076_MTI_ANG_XX.wav"
    assert silent == Skipped(tmp_path / "1076_MTI_SAD_XX.wav", "silent in the release")


def test_a_level_with_one_x_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "1040_ITH_SAD_X.wav")
    assert [clip.label for clip in CremaD(tmp_path).clips()] == ["sadness"]


@pytest.mark.parametrize(
    "stem", ["1000_DFA_ANG_XX", "1092_DFA_ANG_XX", "1001_ABC_ANG_XX", "1001_DFA_SUR_XX", "1001_DFA_ANG_ZZ", "anger"]
)
def test_a_name_that_does_not_fit_is_an_error(tmp_path: Path, stem: str) -> None:
    touch(tmp_path, f"{stem}.wav")
    with pytest.raises(DataError, match=rf"cremad: the name of '.*{stem}\.wav' does not fit AAAA_TTT_EEE_LL: actor"):
        next(CremaD(tmp_path).clips())


def test_votes_replace_the_emotion_that_was_meant_and_ties_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, *(f"AudioWAV/1001_{text}_ANG_XX.wav" for text in ("DFA", "IEO", "IOM")))
    corpus = voted(tmp_path, "N", "A:D", "A")
    assert [(clip.text, clip.label) for clip in corpus.clips()] == [("DFA", "neutral"), ("IOM", "anger")]
    skipped = [entry for entry in corpus.entries() if isinstance(entry, Skipped)]
    assert Counter(entry.reason for entry in skipped) == {"a tie between emotions": 1}


@pytest.mark.parametrize("root", [".", "AudioWAV"])
def test_the_table_is_found_from_the_repository_and_from_its_audio_folder(tmp_path: Path, root: str) -> None:
    touch(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    voted(tmp_path, "S")
    assert [clip.label for clip in CremaDVoted(tmp_path / root).clips()] == ["sadness"]


def test_the_table_is_found_in_the_folder_that_a_zip_of_the_repository_adds(tmp_path: Path) -> None:
    touch(tmp_path, "CREMA-D-1658cd3/AudioWAV/1001_DFA_ANG_XX.wav")
    voted(tmp_path / "CREMA-D-1658cd3", "H")
    assert [clip.label for clip in CremaDVoted(tmp_path).clips()] == ["happiness"]


def test_where_the_table_lies_at_its_place_the_folders_are_not_searched_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    corpus, searched = voted(tmp_path, "S"), []
    monkeypatch.setattr(Path, "rglob", lambda *given: searched.append(given) or ())
    assert len(list(corpus.clips())) == 1
    assert searched == []


def test_a_copy_with_one_x_finds_its_vote(tmp_path: Path) -> None:
    touch(tmp_path, "1001_DFA_ANG_X.wav")
    assert [clip.label for clip in voted(tmp_path, "F").clips()] == ["fear"]


def test_a_clip_without_a_vote_is_missing(tmp_path: Path) -> None:
    touch(tmp_path, "1001_DFA_ANG_XX.wav", "1002_DFA_ANG_XX.wav")
    clip, other = voted(tmp_path, "F").entries()
    assert isinstance(clip, Clip)
    assert (other.kind, other.reason) == ("missing", "no row in summaryTable.csv")


def test_without_the_table_there_are_no_votes(tmp_path: Path) -> None:
    touch(tmp_path, "1001_DFA_ANG_XX.wav")
    with pytest.raises(
        DataError, match=r"cremad_voted: no summaryTable\.csv was found in or beside '.*'; take proc.* or"
    ):
        next(CremaDVoted(tmp_path).clips())


@pytest.mark.parametrize("vote", ["", "X", "A:", "anger", "A;D"])
def test_a_vote_that_is_none_is_an_error(tmp_path: Path, vote: str) -> None:
    touch(tmp_path, "1001_DFA_ANG_XX.wav")
    with pytest.raises(
        DataError, match=rf"cremad_voted: line 2 of '.*' has the VoiceVote '{vote}'; it should be one of"
    ):
        next(voted(tmp_path, vote).clips())
