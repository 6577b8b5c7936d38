"""Each mistake that spoils a score is found, and a clean corpus is left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import soxr
from drafts import CHANGED, Draft

from featkit.audio import Wave
from featkit.audit import Finding, audit
from featkit.augment import find_augment

PARENT = ("neutral", "s1", "1")


SAME: dict[str, Callable[[Draft, Wave, str, str], None]] = {
    "another name": lambda d, w, label, who: d.add("copy.wav", w, label, who),
    "FLAC": lambda d, w, label, who: d.add("copy.flac", soundfile.read(d.files[16])[0], label, who),
    "float": lambda d, w, label, who: d.add("copy.wav", soundfile.read(d.files[16])[0], label, who, subtype="FLOAT"),
    "stereo": lambda d, w, label, who: d.add("copy.wav", np.stack([w, w], axis=1), label, who),
}


def found(draft: Draft, *checks: str, folds: object = None) -> list[Finding]:
    """Errors and warnings of some checks, or all."""
    chosen = {"checks": checks} if checks else {}
    return [f for f in audit(draft.corpus(), folds=folds, **chosen).findings if f.severity != "note"]


@pytest.mark.parametrize("folds", [None, "loso", 2], ids=str)
def test_a_clean_corpus_has_neither_errors_nor_warnings(draft: Draft, folds: object) -> None:
    assert found(draft.fill(), folds=folds) == []


@pytest.mark.parametrize("kind", SAME)
def test_equal_samples_are_found_in_any_file(draft: Draft, kind: str) -> None:
    draft.fill()
    assert (draft.cells[16][0], draft.cells[16][1], draft.cells[16][2]) == PARENT
    SAME[kind](draft, draft.clean[PARENT], *PARENT[:2])
    (finding,) = found(draft, "duplicates", "near duplicates")
    assert (finding.check, finding.severity) == ("duplicates", "warning")
    assert finding.clips == (draft.files[16], draft.files[-1])


@pytest.mark.parametrize("kind", CHANGED)
def test_a_changed_copy_under_another_speaker_is_found(draft: Draft, kind: str) -> None:
    draft.fill().add("new.wav", CHANGED[kind](draft.clean[PARENT]), "neutral", "s3", subtype="FLOAT")
    (finding,) = found(draft, "duplicates", "near duplicates")
    assert (finding.check, finding.severity) == ("near duplicates", "error")
    assert finding.clips == (draft.files[16], draft.files[-1])
    assert "said to be of speakers s1 and s3" in finding.message


@pytest.mark.parametrize("change", [lambda w: w, CHANGED["noise at 20 dB"]], ids=["equal", "noisy"])
def test_a_copy_with_another_label_is_an_error(draft: Draft, change: Callable[[Wave], Wave]) -> None:
    draft.fill().add("new.wav", change(draft.clean[PARENT]), "surprise", "s1")
    (finding,) = found(draft, "duplicates", "near duplicates")
    assert finding.severity == "error"
    assert "labelled neutral and surprise" in finding.message


def test_a_parent_in_the_test_of_its_augmented_copies_is_an_error(draft: Draft) -> None:
    draft.fill()
    for i, copy in enumerate(find_augment("standard").copies(draft.clean[PARENT], 4)):
        draft.add(f"copy{i}.wav", copy, *PARENT)
    (finding,) = found(draft, "near duplicates")
    assert (finding.severity, finding.fold, len(finding.clips)) == ("warning", None, 5)
    everything = np.arange(len(draft.files))
    (finding,) = found(draft, "near duplicates", folds=[(everything[everything != 16], np.array([16]))])
    assert (finding.severity, finding.fold, len(finding.clips)) == ("error", 1, 5)
    assert "on both sides of a fold" in finding.message


def test_two_takes_of_one_sentence_are_no_copies(draft: Draft) -> None:
    from featkit.datasets.synthetic import synthesise

    draft.fill().add("again.wav", 0.7 * synthesise(PARENT[0], 1, 1, take=1), *PARENT)
    assert found(draft, "duplicates", "near duplicates") == []


@pytest.mark.parametrize("written", ["01", "spk1", " S1", "Actor_01"])
def test_a_speaker_written_in_two_ways_is_a_warning(draft: Draft, written: str) -> None:
    draft.fill()
    draft.cells = [(a, written if s == "s1" and t == "2" else s, t) for a, s, t in draft.cells]
    (finding,) = found(draft, "speakers")
    assert (finding.severity, len(finding.clips)) == ("warning", 9)
    assert f"'{written}'" in finding.message
    assert "look like one speaker" in finding.message


def test_speakers_heard_in_training_are_an_error_in_every_fold(draft: Draft) -> None:
    findings = found(draft.fill(), "speakers", folds="random:3")
    assert [(f.severity, f.fold) for f in findings] == [("error", 1), ("error", 2), ("error", 3)]
    assert findings[0].message.startswith("4 of 4 speakers of the test are heard in training: s0, s1, s2 and 1 more")


def test_a_label_in_the_length_is_a_warning(draft: Draft) -> None:
    length = {"happiness": 16_000, "neutral": 20_000, "surprise": 24_000}
    draft.fill(lambda wave, label, i: wave[: length[label] + 10 * i])
    (finding,) = found(draft, "shortcuts")
    assert finding.severity == "warning"
    assert finding.message.startswith("duration alone tells the emotion with UA 100 (chance 33)")


def test_a_label_in_the_silence_before_speech_is_a_warning(draft: Draft) -> None:
    pause = {"happiness": 0, "neutral": 1_600, "surprise": 3_200}
    draft.fill(lambda wave, label, i: np.append(np.zeros(pause[label], np.float32), wave))
    (finding,) = found(draft, "shortcuts")
    assert finding.message.startswith("silence at the ends alone tells the emotion with UA")


def test_a_label_in_the_peak_is_a_warning(draft: Draft) -> None:
    peak = {"happiness": 0.9, "neutral": 0.6, "surprise": 0.3}
    draft.fill(lambda wave, label, i: wave * (peak[label] / np.abs(wave).max()))
    (finding,) = found(draft, "shortcuts")
    assert finding.message.startswith("level alone tells the emotion with UA 100")


@pytest.mark.parametrize("trap", ["rate", "channels", "bits", "format"])
def test_a_label_in_how_files_are_stored_is_a_warning(draft: Draft, trap: str) -> None:
    for (label, speaker, text), wave in draft.clean.items():
        name, stored = f"{label}-{speaker}-{text}", {}
        odd = label == "surprise"
        if trap == "rate" and odd:
            wave, stored = soxr.resample(wave, 16_000, 22_050), {"rate": 22_050}
        elif trap == "channels" and odd:
            wave = np.stack([wave, wave], axis=1)
        elif trap == "bits" and odd:
            stored = {"subtype": "PCM_24"}
        suffix = ".flac" if trap == "format" and odd else ".wav"
        draft.add(name + suffix, wave, label, speaker, text, **stored)
    (finding,) = found(draft)
    assert (finding.check, finding.severity) == ("container", "warning")
    assert finding.message.startswith("file kind alone tells the emotion with UA 67 (chance 33)")


def test_a_speaker_of_one_emotion_and_an_emotion_of_one_speaker_are_warnings(draft: Draft) -> None:
    draft.fill()
    keep = [
        i for i, (a, s, _) in enumerate(draft.cells) if (s != "s0" or a == "neutral") and (a != "surprise" or s == "s2")
    ]
    draft.files, draft.cells = [draft.files[i] for i in keep], [draft.cells[i] for i in keep]
    messages = [f.message for f in found(draft, "classes")]
    assert messages == [
        "'surprise' is shown by one speaker only (s2): it cannot be learned and judged on new voices",
        "1 of 4 speakers show one emotion only (s0): the voice gives it away",
    ]
    (note,) = [f for f in audit(draft.corpus(), checks=["classes"]).findings if f.severity == "note"]
    assert note.message == (
        "some emotions are not shown by every speaker: happiness by s0, surprise by s0, surprise by s1 and 1 more"
    )


def test_folds_that_cannot_be_made_are_an_error_and_the_rest_is_looked_at(draft: Draft) -> None:
    draft.fill()
    draft.cells = [("anger" if i == 0 else a, s, t) for i, (a, s, t) in enumerate(draft.cells)]
    findings = found(draft, "classes", folds="loso")
    assert [(f.check, f.severity) for f in findings] == [("folds", "error"), ("classes", "warning")]
    assert "All clips of the emotion 'anger' (speaker s0) fall in one test fold" in findings[0].message
