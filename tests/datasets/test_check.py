"""A check reads every file: counts, damage, doubles and names that do not belong are found; known ones are known."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import record

from featkit.datasets.base import Archive
from featkit.datasets.check import check
from featkit.datasets.emodb import EmoDB
from featkit.datasets.folder import Folder
from featkit.datasets.manifest import Manifest
from featkit.datasets.ravdess import Ravdess
from featkit.errors import DataError


class Small(EmoDB):
    """A corpus that is complete with two clips."""

    expected_clips, expected_speakers = 2, 2
    expected_by_label, expected_by_speaker = {"anger": 2}, {"03": 1, "08": 1}


def two(root: Path) -> Path:
    record(root / "03a01Wa.wav", seed=1)
    record(root / "08a01Wa.wav", seed=2, channels=2, rate=44_100)
    return root


def test_a_complete_corpus_has_no_problem(tmp_path: Path) -> None:
    report = check(Small(two(tmp_path)))
    assert (report.problems, report.notes) == ([], [])
    assert report.labels == {"anger": 2}
    assert report.speakers == {"03": 1, "08": 1}
    assert sorted(sound.kind for sound in report.sounds) == [(16_000, 1), (44_100, 2)]
    assert report.seconds == pytest.approx(0.2, abs=0.001)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_is_there_is_the_same_with_more_workers(tmp_path: Path, n_jobs: int) -> None:
    assert check(Small(two(tmp_path)), n_jobs=n_jobs).sounds == check(Small(tmp_path)).sounds


def test_half_a_corpus_is_told_by_number_emotion_and_speaker(tmp_path: Path) -> None:
    record(tmp_path / "03a01Wa.wav")
    assert check(Small(tmp_path)).problems == [
        "1 clips are there, 2 in the complete corpus",
        "1 speakers are there, 2 in the complete corpus",
        "emotion anger: 1 clips are there, 2 in the complete corpus",
        "speaker 08: 0 clips are there, 1 in the complete corpus",
    ]


def test_all_damaged_silent_and_unexpected_files_are_named_at_once(tmp_path: Path) -> None:
    two(tmp_path)
    (tmp_path / "09a01Wa.wav").write_bytes(b"no audio")
    soundfile.write(tmp_path / "10a01Wa.wav", np.zeros(1600), 16_000)
    record(tmp_path / "one.wav")
    record(tmp_path / "two.wav")
    problems = "\n".join(check(EmoDB(tmp_path)).problems)
    for words in ("one.wav' does not fit", "two.wav' does not fit", "09a01Wa.wav: is text", "10a01Wa.wav: all 1600"):
        assert words in problems


def test_a_pair_that_the_release_holds_is_known_and_another_is_only_noted(tmp_path: Path) -> None:
    for repetition in ("01", "02"):
        record(tmp_path / f"03-01-03-01-02-{repetition}-07.wav", seed=7)
        record(tmp_path / f"03-01-03-01-01-{repetition}-07.wav", seed=8)
    notes = sorted(check(Ravdess(tmp_path)).notes)
    assert [note.partition("'")[0] for note in notes] == ["identical, as known of the release: ", "identical: "]


def test_the_same_samples_in_another_format_are_identical(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-9999, 9999, 1600, dtype=np.int16)
    soundfile.write(tmp_path / "03a01Wa.wav", noise, 16_000)
    soundfile.write(tmp_path / "08a01Wa.flac", noise, 16_000)
    (problem,) = check(Small(tmp_path)).problems
    assert problem.startswith("identical, but of different speakers or emotions: '")


def test_a_file_that_a_table_lists_in_vain_is_a_problem(tmp_path: Path) -> None:
    record(tmp_path / "1.wav")
    (tmp_path / "clips.csv").write_text("file,label\n1.wav,anger\n2.wav,anger\n")
    (problem,) = check(Manifest(tmp_path / "clips.csv")).problems
    assert problem == f"{tmp_path / '2.wav'}: there is no such file."


def test_labels_of_ones_own_are_noted_with_the_common_name(tmp_path: Path) -> None:
    for seed, label in enumerate(("Anger", "neutral", "tired")):
        record(tmp_path / label / "1.wav", seed=seed)
    report = check(Folder(tmp_path))
    assert report.problems == []
    assert report.notes == [
        "'Anger' is none of the common names of emotions. Is it 'anger'?",
        "'tired' is none of the common names of emotions.",
    ]


def test_an_archive_that_is_not_the_published_one_is_a_problem(tmp_path: Path) -> None:
    class WithArchive(Small):
        archives = (Archive("http://c", "a.zip", checksum=f"md5:{hashlib.md5(b'right').hexdigest()}"),)

    two(tmp_path / "corpus")
    for content, number in ((b"right", 0), (b"wrong", 1)):
        (tmp_path / "a.zip").write_bytes(content)
        problems = check(WithArchive(tmp_path / "corpus")).problems
        assert len(problems) == number
    assert "a.zip: its MD5 is not the published" in problems[0]


def test_copies_and_other_channels_are_counted_as_left_out(tmp_path: Path) -> None:
    record(tmp_path / "03-01-03-01-02-01-07.wav")
    record(tmp_path / "again" / "03-01-03-01-02-01-07.wav")
    record(tmp_path / "03-02-03-01-02-01-07.wav", seed=1)
    assert check(Ravdess(tmp_path)).left_out == {
        "song or video; the speech is 03-01-*.wav": 1, "a copy of a file in another folder": 1,
    }  # fmt: skip


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    class Empty(Folder):
        def clips(self):
            yield from ()

    with pytest.raises(DataError, match=r"folder: '.*' holds no clip"):
        check(Empty(tmp_path))


def test_the_real_emodb_is_whole(emodb_root: Path) -> None:
    report = check(EmoDB(emodb_root))
    assert (report.problems, report.notes) == ([], [])


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="every name is Unicode there")
def test_a_name_that_is_not_utf8_is_read_like_any_other(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9/1.wav"))
    path.parent.mkdir()
    record(tmp_path / "1.wav", channels=2, rate=44_100).rename(path)
    report = check(Folder(tmp_path))
    assert (report.problems, [sound.kind for sound in report.sounds]) == ([], [(44_100, 2)])
