"""A folder of folders: the name of the sub-folder is the label, and audio without one is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from featkit.datasets.base import find_audio
from featkit.datasets.folder import Folder
from featkit.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_labels_are_the_sub_folders_however_deep_the_files_lie(tmp_path: Path) -> None:
    touch(tmp_path, "sad/b.wav", "sad/a.flac", "angry/mia/day 1/x.ogg", "angry/notes.txt", "readme.md")
    assert [(clip.path.relative_to(tmp_path).as_posix(), clip.label) for clip in Folder(tmp_path).clips()] == [
        ("angry/mia/day 1/x.ogg", "angry"),
        ("sad/a.flac", "sad"),
        ("sad/b.wav", "sad"),
    ]


def test_speakers_and_texts_are_not_known(tmp_path: Path) -> None:
    touch(tmp_path, "angry/mia/x.wav")
    (clip,) = Folder(tmp_path).clips()
    assert clip.speaker is None
    assert clip.text is None


def test_one_label_is_enough_to_list_the_clips(tmp_path: Path) -> None:
    touch(tmp_path, "angry/1.wav", "angry/2.wav")
    assert {clip.label for clip in Folder(tmp_path).clips()} == {"angry"}


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    hidden = ["angry/._1.wav", "angry/.trash/2.wav", ".trash/2.wav", "._3.wav", "__MACOSX/angry/._1.wav"]
    touch(tmp_path, "angry/1.wav", *hidden)
    assert [clip.path.name for clip in Folder(tmp_path).clips()] == ["1.wav"]


def test_a_sub_folder_may_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/1.wav", "corpus/sad/2.wav")
    try:
        (tmp_path / "corpus" / "angry").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let its users make links")
    assert [clip.label for clip in Folder(tmp_path / "corpus").clips()] == ["angry", "sad"]


def test_the_root_itself_may_be_hidden(tmp_path: Path) -> None:
    touch(tmp_path, ".cache/angry/1.wav")
    assert len(list(Folder(tmp_path / ".cache").clips())) == 1


def test_audio_outside_the_sub_folders_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "angry/1.wav", "2.wav")
    with pytest.raises(
        DataError, match=r"folder: '.*2\.wav' is in no sub-folder, .* Move it to '.*EMOTION.2\.wav', or"
    ):
        list(Folder(tmp_path).clips())


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"folder: '.*nowhere' does not exist"):
        list(Folder(tmp_path / "nowhere").clips())


def test_a_folder_without_audio_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "angry/notes.txt", ".trash/1.wav")
    with pytest.raises(DataError, match=r"folder: no audio file was found below '.*'; name the folder"):
        list(Folder(tmp_path).clips())


def test_a_folder_that_cannot_be_read_is_told_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.scandir", locked)
    with pytest.raises(DataError, match=r"this folder cannot be read \(Permission denied\); allow it, or name others"):
        find_audio(tmp_path)


def test_a_published_corpus_is_not_taken_for_folders_of_emotions(tmp_path: Path) -> None:
    """Actor_01 is no emotion, nor is wav; files of the corpus that somebody sorted by emotion are."""
    for name in ("03a01Wa", "03a01Fa", "08b02Tc"):
        (tmp_path / "wav").mkdir(exist_ok=True)
        (tmp_path / "wav" / f"{name}.wav").touch()
    with pytest.raises(DataError, match=r"folder: '.*' looks like EMO-DB; name it as emodb:.*\."):
        next(Folder(tmp_path).clips())
    with pytest.raises(DataError, match=r"looks like EMO-DB; name it as emodb:.*wav\."):
        next(Folder(tmp_path / "wav").clips())
    for name, emotion in (("03a01Wa", "anger"), ("03a01Fa", "happiness"), ("08b02Wc", "anger")):
        (tmp_path / "sorted" / emotion).mkdir(parents=True, exist_ok=True)
        (tmp_path / "sorted" / emotion / f"{name}.wav").touch()
    assert [clip.label for clip in Folder(tmp_path / "sorted").clips()] == ["anger", "anger", "happiness"]
