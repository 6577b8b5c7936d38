"""ESD is read from its folders, or from its transcripts in whatever encoding they come."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings import touch

from featkit.datasets.base import Clip, Skipped
from featkit.datasets.esd import Esd, EsdEnglish, EsdMandarin, read_transcript
from featkit.errors import DataError

MANDARIN = "0001_000001\t打远一看，它们的确很是美丽，\t中立\n0001_000351\t打远一看，它们的确很是美丽，　\t生气 \n"
ENGLISH = "0011_000001\tThe nine the eggs, I keep.\tNeutral\n0011_000351\tThe nine the eggs, I keep.\tAngry  \n"


@pytest.mark.parametrize(
    ("folder", "number", "label"),
    [
        ("Neutral", 1, "neutral"),
        ("Angry", 351, "anger"),
        ("Happy", 701, "happiness"),
        ("Sad", 1051, "sadness"),
        ("Surprise", 1750, "surprise"),
    ],
)
@pytest.mark.parametrize("part", ["train", "evaluation", "test", None])
def test_each_folder_is_its_emotion_with_parts_and_without(
    tmp_path: Path, folder: str, number: int, label: str, part: str | None
) -> None:
    touch(tmp_path / "0020" / folder / (part or "."), f"0020_{number:06d}.wav")
    (clip,) = Esd(tmp_path).clips()
    assert (clip.label, clip.speaker, clip.part) == (label, "0020", part)


def test_a_sentence_is_the_same_in_every_emotion_and_speaker_of_its_language(tmp_path: Path) -> None:
    touch(tmp_path, "0011/Angry/0011_000367.wav", "0012/Happy/0012_000717.wav", "0001/Sad/0001_001067.wav")
    assert [clip.text for clip in Esd(tmp_path).clips()] == ["zh017", "en017", "en017"]


def test_each_language_is_a_corpus(tmp_path: Path) -> None:
    touch(tmp_path, "0010/Angry/0010_000351.wav", "0011/Angry/0011_000351.wav")
    assert [clip.speaker for clip in EsdEnglish(tmp_path).clips()] == ["0011"]
    assert [clip.speaker for clip in EsdMandarin(tmp_path).clips()] == ["0010"]
    assert {e.reason for e in EsdEnglish(tmp_path).entries() if isinstance(e, Skipped)} == {"the other language"}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(MANDARIN, "utf-8"), (MANDARIN, "utf-8-sig"), (MANDARIN, "utf-16"), (MANDARIN, "gb2312"), (ENGLISH, "utf-16"),
     (ENGLISH.replace("eggs", "œggs"), "cp1252"), (ENGLISH, "latin-1")],
)  # fmt: skip
def test_a_flat_folder_is_read_by_its_transcript_in_any_encoding(tmp_path: Path, text: str, encoding: str) -> None:
    speaker = text[:4]
    touch(tmp_path / speaker, f"{speaker}_000001.wav", f"{speaker}_000351.wav")
    (tmp_path / speaker / f"{speaker}.txt").write_bytes(text.encode(encoding))
    assert [clip.label for clip in Esd(tmp_path).clips()] == ["neutral", "anger"]


def test_lines_that_lack_a_tab_are_named_and_cost_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "0011/Neutral/0011_000001.wav", "0011/Angry/0011_000351.wav")
    (tmp_path / "0011/0011.txt").write_text("0011_000001 The nine\tNeutral\n\n0011_000351\tThe nine\tAngry\r\n")
    first, second, line = Esd(tmp_path).entries()
    assert isinstance(first, Clip)
    assert isinstance(second, Clip)
    assert line.reason == "line 1 of 0011.txt is not name TAB sentence TAB emotion"
    assert read_transcript(tmp_path / "0011/0011.txt") == ({"0011_000351": "Angry"}, [1])


def test_broken_lines_of_the_other_language_are_not_told(tmp_path: Path) -> None:
    touch(tmp_path, "0011/Neutral/0011_000001.wav", "0001/Neutral/0001_000001.wav")
    (tmp_path / "0001/0001.txt").write_text("0001_000001 nothing\n")
    reasons = [entry.reason for entry in EsdEnglish(tmp_path).entries() if isinstance(entry, Skipped)]
    assert reasons == ["the other language"]
    assert "line 1 of 0001.txt is not name TAB sentence TAB emotion" in {
        entry.reason for entry in EsdMandarin(tmp_path).entries() if isinstance(entry, Skipped)
    }


def test_a_transcript_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "0011", "0011_000001.wav", "0011_000351.wav")
    (tmp_path / "0011" / "0011.txt").write_text(ENGLISH)
    read: list[Path] = []
    monkeypatch.setattr("featkit.datasets.esd.read_transcript", lambda path: read.append(path) or read_transcript(path))
    assert len(list(Esd(tmp_path).entries())) == 2
    assert read == [tmp_path / "0011" / "0011.txt"]


def test_a_transcript_that_contradicts_a_folder_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "0011/Neutral/0011_000001.wav")
    (tmp_path / "0011/0011.txt").write_text("0011_000001\tThe nine\tSad\n")
    clip, other = Esd(tmp_path).entries()
    assert clip.label == "neutral"
    assert other.reason == "0011_000001 is Sad in the transcript and lies in another folder"


def test_a_number_of_another_emotion_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "0011/Angry/0011_000001.wav")
    with pytest.raises(DataError, match=r"esd: '.*' should be Angry, but that has the numbers 351 to 700\. Move it"):
        next(Esd(tmp_path).clips())


def test_a_file_without_folder_and_transcript_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "0011/0011_000001.wav")
    with pytest.raises(
        DataError, match=r"esd: '.*' is in no folder Neutral, .*, nor in a transcript 0011\.txt beside it"
    ):
        next(Esd(tmp_path).clips())


@pytest.mark.parametrize("stem", ["0021_000001", "0000_000001", "0011_002001", "0011-000001", "0011_1"])
def test_a_name_that_does_not_fit_is_an_error(tmp_path: Path, stem: str) -> None:
    touch(tmp_path, f"Angry/{stem}.wav")
    with pytest.raises(DataError, match=rf"esd: the name of '.*{stem}\.wav' does not fit SSSS_NNNNNN: speaker 0001"):
        next(Esd(tmp_path).clips())


@pytest.mark.parametrize("number", ["000000", "001751"])
def test_a_number_outside_the_corpus_is_an_error(tmp_path: Path, number: str) -> None:
    touch(tmp_path, f"Surprise/0011_{number}.wav")
    with pytest.raises(DataError, match="esd: "):
        next(Esd(tmp_path).clips())
