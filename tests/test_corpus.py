"""What a person should know of a corpus before a score is made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from speech import speech, write_wav

from featkit import SERClassifier
from featkit.audit import audit
from featkit.columns import require_classes
from featkit.corpus import Corpus, read_corpus
from featkit.errors import DataError, FeatureError
from featkit.features.base import Fusion
from featkit.features.logmel import LogMel
from featkit.features.mfcc import MFCC39


def manifest(folder: Path, labels: list[str], speakers: list[str]) -> str:
    rows = [f"{i}.wav,{label},{speaker}\n" for i, (label, speaker) in enumerate(zip(labels, speakers, strict=True))]
    for i in range(len(rows)):
        write_wav(folder / f"{i}.wav", speech().waves[i])
    (folder / "mine.csv").write_text("file,label,speaker\n" + "".join(rows))
    return str(folder / "mine.csv")


def in_memory(labels: list[str], speakers: list[str]) -> Corpus:
    waves = speech().waves[: len(labels)]
    return Corpus("mine", [f"{i}.wav" for i in range(len(waves))], waves, np.array(labels), np.array(speakers))


def test_names_of_clips_in_place_of_speakers_are_doubted(tmp_path: Path) -> None:
    labels, clips = ["anger", "fear"] * 6, [f"clip{chr(97 + i)}" for i in range(12)]
    (doubt,) = read_corpus(manifest(tmp_path, labels, clips)).doubts
    assert doubt.startswith("mine.csv: each of the 12 clips has a speaker of its own, 'clipa' the first. Unless these")
    found = audit(in_memory(labels, clips), checks=["speakers"]).findings
    assert [finding.message for finding in found] == [
        "each clip has a speaker of its own (clipa, clipb, clipc and 9 more): unless these are people, every score is "
        "too high"
    ]
    assert not audit(in_memory(labels, ["mia", "tom"] * 6), checks=["speakers"]).findings


def test_numbers_with_zeros_inside_are_other_speakers(tmp_path: Path) -> None:
    assert read_corpus(manifest(tmp_path, ["anger", "fear"] * 2, ["10", "100", "101", "11"])).doubts == ()


def test_emotions_that_look_like_one_are_doubted(tmp_path: Path) -> None:
    (doubt,) = read_corpus(manifest(tmp_path, ["Freude", "FREUDE", "Wut", "wut"], ["a", "a", "b", "b"])).doubts
    assert doubt == (
        "mine.csv: emotions 'FREUDE' and 'Freude' look like one, and 1 more group, and count as several; see featkit "
        "audit."
    )


def test_an_audit_names_the_column_that_may_be_the_speakers(tmp_path: Path) -> None:
    path = Path(manifest(tmp_path, ["anger", "fear"] * 2, ["a", "b"] * 2))
    path.write_text(path.read_text().replace("speaker", "Speaker_ID"))
    found = audit(read_corpus(str(path)), checks=["speakers"]).findings
    assert found[0].message.endswith("has no column 'speaker'; is 'speaker_id' it? Rename it")


def test_ratings_are_no_emotions_to_an_audit() -> None:
    ratings = [f"{i / 7 - 1:.3f}" for i in range(24)]
    with pytest.raises(DataError, match="24 different labels among 24 clips"):
        audit(in_memory(ratings, ["mia", "tom"] * 12))
    require_classes(np.array(ratings[:20]))  # as in a corpus of twenty clips, of which nothing can be said


@pytest.mark.parametrize("name", ["clips.xlsx", "clips.ODS"])
def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(DataError, match=f"{name}' is a spreadsheet; save it as CSV \\(UTF-8\\), and name that"):
        read_corpus(str(tmp_path / name))


def test_settings_that_make_no_sense_are_no_fault_of_the_clips() -> None:
    with pytest.raises(FeatureError, match=r"^n_mfcc must lie between 1 and n_mels=10; it is 13"):
        in_memory(["anger", "fear"], ["mia", "tom"]).extracted(SERClassifier("logmel+mfcc39:n_mels=10"))
    with pytest.raises(FeatureError, match="deltas must be 0, 1 or 2; it is 7"):
        in_memory(["anger", "fear"], ["mia", "tom"]).extracted(SERClassifier(Fusion((MFCC39(deltas=7), LogMel()))))


def test_a_corpus_is_shown_in_one_line() -> None:
    corpus = in_memory(["anger", "fear"], ["mia", "tom"])
    assert repr(corpus) == "<corpus mine: 2 clips, 2 emotions, 2 speakers>"
    assert repr(replace(corpus, speakers=None)).endswith("speakers not known>")
