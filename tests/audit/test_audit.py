"""`audit` as a whole: real corpora, faults of recordings, bad input, reports."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from drafts import Draft

from featkit.audio import Wave
from featkit.audit import CHECKS, Audit, Finding, audit, joined
from featkit.audit.material import Material
from featkit.audit.recording import measure
from featkit.corpus import Corpus, read_corpus
from featkit.datasets.names import plain_name
from featkit.datasets.synthetic import synthesise
from featkit.errors import DataError
from featkit.features.logmel import LogMel


def told(found: Audit) -> list[tuple[str, str]]:
    return [(finding.check, finding.severity) for finding in found.findings]


def of_waves(waves: list[Wave], labels: list[str], speakers: list[str] | None = None) -> Corpus:
    voices = None if speakers is None else np.array(speakers)
    return Corpus("waves", [f"{i}.wav" for i in range(len(waves))], waves, np.array(labels), voices)


# ---------------------------------------------------------------------------------------------------- real corpora


def test_one_speaker_of_ravdess_holds_the_one_copy_of_the_release(ravdess_root: Path) -> None:
    corpus = read_corpus(f"ravdess:{ravdess_root}")
    found = audit(corpus.only(np.flatnonzero(corpus.speakers == "07")), checks=["duplicates", "near duplicates"])
    (finding,) = found.findings
    assert (finding.check, finding.severity) == ("duplicates", "warning")
    assert [Path(clip).stem for clip in finding.clips] == ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]


def test_a_speaker_of_emo_db_is_clean(emodb_root: Path) -> None:
    corpus = read_corpus(f"emodb:{emodb_root}")
    found = audit(corpus.only(np.flatnonzero(corpus.speakers == "03")), checks=["signal", "near duplicates"])
    assert found.findings == ()


# --------------------------------------------------------------------------------------------------- bad recordings


def test_each_bad_file_costs_one_finding_and_the_rest_is_looked_at(draft: Draft) -> None:
    draft.fill()
    Path(draft.files[0]).write_bytes(b"RIFF")
    Path(draft.files[1]).unlink()
    soundfile.write(draft.files[2], np.zeros(16_000), 16_000)
    found = audit(draft.corpus(), folds="loso")
    errors = found.of("error")
    assert [finding.check for finding in errors] == ["files"] * 3
    assert [finding.clips for finding in errors] == [(file,) for file in draft.files[:3]]
    assert "there is no such file" in errors[1].message
    assert "digital silence" in errors[2].message
    assert [cue.name for cue in found.cues] == ["duration", "silence at the ends", "level"]


def test_a_bad_wave_is_called_by_the_name_that_the_corpus_has_for_it() -> None:
    waves = [synthesise("anger", 0, 0, take=0), synthesise("fear", 0, 0, take=0), np.zeros(16_000, np.float32)]
    corpus = of_waves(waves, ["anger", "fear", "anger"])
    (finding,) = audit(corpus, checks=["files"]).findings
    assert finding.message.startswith("2.wav: all 16000 samples are zero")


@pytest.mark.parametrize("suffix", ["csv", "json", "md"])
def test_findings_about_a_name_that_is_not_utf8_are_written(tmp_path: Path, suffix: str) -> None:
    finding = Finding("files", "error", "caf\udce9.wav: is empty", ("caf\udce9.wav",))
    Audit("c", 1, ("files",), (finding,), {"all": {"a": 1}}).save(tmp_path / f"a.{suffix}")
    text = (tmp_path / f"a.{suffix}").read_text(encoding="utf-8")
    assert r"caf\udce9.wav: is empty" in text
    if suffix == "json":
        assert json.loads(text)["findings"][0]["clips"] == ["caf\udce9.wav"]


def test_the_common_folder_is_found_once_for_all_messages(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, common = [], os.path.commonpath
    monkeypatch.setattr(os.path, "commonpath", lambda paths: asked.append(1) or common(paths))
    material = Material(draft.fill().corpus(), {})
    assert material.named([0]) == material.named([0]) == Path(draft.files[0]).name
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w[:1_000], "shorter than 0.1 s"),
        (lambda w: np.clip(20 * w, -1, 1), "clipped: more than 0.1 % of samples in runs at full scale"),
        (lambda w: w + np.float32(0.05), "with a constant offset of more than 10 % of the RMS level"),
        (lambda w: np.append(np.zeros(32_000), w), "with more than 1.5 s of digital silence at an end"),
        (lambda w: np.append(w[4_000:12_000], np.zeros(16_000)), "or more than half of it"),
    ],
    ids=["short", "clipped", "offset", "late", "padded"],
)
def test_a_fault_of_recordings_is_one_warning(draft: Draft, change: object, told: str) -> None:
    draft.fill(lambda wave, label, i: change(wave) if i in (3, 5) else wave)  # type: ignore[operator]
    (finding,) = audit(draft.corpus(), checks=["signal"]).findings
    assert finding.severity == "warning"
    assert finding.message.startswith("2 of 36 clips ")
    assert told in finding.message
    assert finding.clips == (draft.files[3], draft.files[5])


def test_measurements_of_a_wave_counted_by_hand() -> None:
    wave = np.zeros(16_000, np.float32)
    wave[1_600:8_000] = 0.5
    wave[2_000:2_004] = 1
    measured = measure(wave)
    assert (measured.seconds, measured.peak, measured.zeros) == (1, 1, (0.1, 0.5))
    assert measured.rms == pytest.approx(np.sqrt((6_396 * 0.25 + 4) / 16_000))
    assert measured.offset == pytest.approx((6_396 * 0.5 + 4) / 16_000 / measured.rms)
    assert measured.clipped == 4 / 16_000
    assert measured.kind is None


def test_a_lone_sample_at_full_scale_is_not_clipped() -> None:
    wave = synthesise("anger", 0, 0, take=0)
    assert measure(wave / np.abs(wave).max()).clipped == 0


def test_minus_zero_is_zero() -> None:
    wave = np.array([0, 0.5, 0], dtype=np.float32)
    assert measure(wave, prints=False).digest == measure(np.array([-0.0, 0.5, -0.0], np.float32), prints=False).digest


# -------------------------------------------------------------------------------------------------------- bad input


def test_a_feature_table_is_refused() -> None:
    table = replace(of_waves([np.ones(9)], ["anger"]), extractor=LogMel())
    with pytest.raises(DataError, match="waves holds features; an audit listens: name the corpus with the recordings"):
        audit(table)
    with pytest.raises(DataError, match="waves holds features; an audit listens"):
        joined(of_waves([np.ones(9)], ["anger"]), table)


def test_an_unknown_check_is_refused_and_the_nearest_named(draft: Draft) -> None:
    with pytest.raises(DataError, match=r"No check is named 'duplicate'\. Did you mean 'duplicates'"):
        audit(draft.fill().corpus(), checks=["duplicate"])


@pytest.mark.parametrize("pair", [([0.5], [1]), ([True, False], [False, True]), ([0], [1], [2])], ids=str)
def test_folds_that_are_no_places_are_refused(draft: Draft, pair: object) -> None:
    with pytest.raises(DataError, match="A fold is a pair of arrays of places"):
        audit(draft.fill().corpus(), folds=[pair])  # type: ignore[list-item]


def test_folds_beyond_the_corpus_are_refused(draft: Draft) -> None:
    with pytest.raises(DataError, match="A fold names places from 0 to 36; the corpus has 36 clips"):
        audit(draft.fill().corpus(), folds=[(np.array([0]), np.array([36]))])


def test_no_folds_are_as_none(draft: Draft) -> None:
    assert audit(draft.fill().corpus(), folds=[]).findings == audit(draft.corpus()).findings


def test_an_empty_part_of_a_fold_is_no_problem(draft: Draft) -> None:
    nothing, all_ = np.array([], dtype=int), np.arange(36)
    halves = [(all_, nothing), (nothing, all_)]
    assert audit(draft.fill().corpus(), folds=halves, checks=["speakers", "sentences", "duplicates"]).findings == ()


@pytest.mark.parametrize("n", [1, 2])
def test_very_few_clips_are_looked_at(n: int) -> None:
    waves = [synthesise("anger", i, i, take=0) for i in range(n)]
    found = audit(of_waves(waves, ["anger", "fear"][:n], ["a", "b"][:n]), folds="loso")
    assert ("shortcuts", "note") in told(found)
    assert f"not checked: {n} usable clips are fewer than 30" in found.report()
    assert found.fails()  # one emotion, or one clip of each: nothing to learn


def test_a_corpus_without_a_usable_clip_is_told_clip_by_clip() -> None:
    found = audit(of_waves([np.zeros(9, np.float32)] * 2, ["anger", "fear"]), folds=2)
    assert [check for check, _ in told(found) if check == "files"] == ["files"] * 2


def test_clips_that_are_all_equal_are_one_finding() -> None:
    found = audit(of_waves([synthesise("anger", 0, 0, take=0)] * 40, ["anger", "fear"] * 20, ["a", "b"] * 20))
    (copies,) = [finding for finding in found.findings if "duplicates" in finding.check]
    assert len(copies.clips) == 40
    assert copies.message.endswith("but are labelled anger and fear: 0.wav, 1.wav, 2.wav and 37 more")


def test_one_speaker_is_a_warning_and_no_speakers_are_one(draft: Draft) -> None:
    corpus = draft.fill().corpus()
    alone = audit(replace(corpus, speakers=np.full(36, "me")), checks=["classes", "shortcuts"])
    assert [f.message for f in alone.findings] == [
        "there is one speaker, 'me': no score can be for new voices",
        "not checked: there is one speaker",
    ]
    unknown = audit(replace(corpus, speakers=None), folds="random:3")
    assert [f.message[:25] for f in unknown.of("warning")] == ["the speakers are not know"]
    assert unknown.counts == {"all": {"happiness": 12, "neutral": 12, "surprise": 12}}
    assert len(unknown.cues) == 3


def test_one_label_is_an_error(draft: Draft) -> None:
    found = audit(replace(draft.fill().corpus(), labels=np.full(36, "anger")), checks=["classes", "shortcuts"])
    assert found.of("error")[0].message == "all clips have one label, 'anger': nothing can be learned"
    assert found.of("note")[0].message == "not checked: the usable clips have one label"


# ----------------------------------------------------------------------------------------------- folds and sentences


def test_shared_sentences_are_a_note_and_sentences_left_out_are_none(draft: Draft) -> None:
    corpus = draft.fill().corpus()
    (note,) = audit(corpus, folds="loso", checks=["sentences"]).findings
    assert (note.severity, note.message[:59]) == (
        "note", "100 % of the test clips say a sentence that training has to",
    )  # fmt: skip
    assert "in 4 of 4 folds" in note.message
    assert audit(corpus, folds="both:2", checks=["sentences"]).findings == ()
    assert audit(corpus, checks=["sentences"]).findings == ()


def test_two_corpora_are_one_fold_and_speakers_are_kept_apart_on_demand(draft: Draft) -> None:
    corpus = draft.fill().corpus()
    train, test = corpus.only(np.flatnonzero(corpus.texts != "0")), corpus.only(np.flatnonzero(corpus.texts == "0"))
    whole, folds = joined(train, test)
    assert whole.name == "draft → draft"
    assert told(audit(whole, folds=folds, checks=["speakers", "sentences"])) == [("speakers", "error")]
    assert whole.sources == (*train.sources, *test.sources)
    whole, folds = joined(replace(train, doubts=("odd",)), replace(test, name="other", texts=None), apart=True)
    assert whole.doubts == ("odd",)
    assert audit(whole, folds=folds, checks=["speakers", "sentences"]).findings == ()
    assert (whole.speakers[0], whole.speakers[-1], whole.texts) == ("draft/s0", "other/s3", None)


@pytest.mark.parametrize("changed", [False, True])
def test_speakers_of_two_corpora_are_the_same_people_where_a_recording_is(draft: Draft, changed: bool) -> None:
    corpus = draft.fill().corpus()
    train, test = corpus.only(np.arange(0, 36, 2)), corpus.only(np.arange(1, 36, 2))
    whole, folds = joined(train, test)
    (finding,) = audit(whole, folds=folds, across=True, checks=["speakers", "near duplicates"]).findings
    assert (finding.severity, finding.message[:34]) == ("warning", "4 of 4 speakers of the test are ca")
    wave = soundfile.read(draft.files[0])[0]
    draft.add("copy.wav", 0.5 * wave if changed else wave, *draft.cells[0])
    whole, folds = joined(train, draft.corpus().only([*range(1, 36, 2), 36]))
    found = audit(whole, folds=folds, across=True, checks=["speakers", "near duplicates"])
    assert ("speakers", "error") in told(found)


def test_what_a_lenient_reading_left_out_is_an_error(draft: Draft) -> None:
    found = audit(replace(draft.fill().corpus(), left_out=("row 3 has no label",)), checks=["files"])
    assert [(one.check, one.severity, one.message) for one in found.findings] == [
        ("files", "error", "row 3 has no label")
    ]


def test_folds_by_speaker_without_speakers_say_what_is_missing(draft: Draft) -> None:
    found = audit(replace(draft.fill().corpus(), speakers=None), folds="loso", checks=["classes"])
    assert found.of("error")[0].message.startswith("cv='loso' cannot be made: the speakers are not known")


def test_the_same_file_on_both_sides_is_an_error(draft: Draft) -> None:
    corpus = draft.fill().corpus()
    whole, folds = joined(corpus, corpus.only([4]))
    (finding,) = audit(whole, folds=folds, checks=["duplicates", "near duplicates"]).findings
    assert (finding.severity, finding.fold) == ("error", 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [("03", "3"), (" 03", "spk3"), ("Speaker_3", "S-03"), ("０３", "3"), ("Mia", "mia "), ("f01", "F1")],
)
def test_spellings_of_one_speaker_are_alike(one: str, other: str) -> None:
    assert plain_name(one) == plain_name(other)


@pytest.mark.parametrize(("one", "other"), [("3", "30"), ("f1", "m1"), ("sam", "am"), ("1a", "1b"), ("0", "00x")])
def test_other_speakers_are_not(one: str, other: str) -> None:
    assert plain_name(one) != plain_name(other)


# ----------------------------------------------------------------------------------------------------------- results


def test_the_number_of_workers_changes_nothing(draft: Draft) -> None:
    draft.fill().add("copy.wav", draft.clean["neutral", "s1", "1"][1_000:], "neutral", "s2")
    one, two = audit(draft.corpus(), folds=2), audit(draft.corpus(), folds=2, n_jobs=2)
    assert one == two


def test_files_in_several_ways_that_go_with_the_speaker_are_a_note(draft: Draft) -> None:
    for (label, speaker, text), wave in draft.clean.items():
        draft.add(f"{label}-{speaker}-{text}.{'flac' if speaker == 's1' else 'wav'}", wave, label, speaker, text)
    (finding,) = audit(draft.corpus(), checks=["container"]).findings
    assert finding.severity == "note"
    assert finding.message == (
        "files are stored in 2 ways, each speaker in one: "
        "27 × 16000 Hz, 1 ch, PCM_16 WAV, 9 × 16000 Hz, 1 ch, PCM_16 FLAC"
    )


def test_emotions_in_folders_of_other_names_are_a_note(draft: Draft) -> None:
    for (label, speaker, text), wave in draft.clean.items():
        folder = "download" if label == "surprise" else "studio"
        (draft.folder / folder).mkdir(exist_ok=True)
        draft.add(f"{folder}/{label[:3]}-{speaker}-{text}.wav", wave, label, speaker, text)
    (finding,) = audit(draft.corpus(), checks=["container"]).findings
    assert finding.severity == "note"
    assert finding.message.startswith("folder alone tells the emotion with UA 67 (chance 33)")


def test_the_report_has_findings_clips_by_speaker_and_cues(draft: Draft) -> None:
    lines = audit(draft.fill().corpus(), folds="loso").report().splitlines()
    assert lines[0] == "draft: 36 clips, 0 errors, 0 warnings, 2 notes"
    assert lines[2].split() == ["|", "severity", "|", "check", "|", "fold", "|", "finding", "|"]
    assert "| all     | 12        | 12      | 12       | 36  |" in lines
    assert any(line.startswith("| silence at the ends |") for line in lines)


def test_a_long_table_of_speakers_is_cut() -> None:
    counts = {f"s{i:03d}": {"anger": 1} for i in range(50)}
    report = Audit("many", 50, CHECKS, (), counts).report()
    assert "| s039      | 1     | 1   |\n| … 10 more |       |     |\n| all       | 50    | 50  |" in report


def test_an_audit_fails_from_its_worst_finding_on() -> None:
    def made(*severities: str) -> Audit:
        return Audit("c", 1, CHECKS, tuple(Finding("files", s, "x") for s in severities), {"all": {"a": 1}})  # type: ignore[arg-type]

    assert [made("note").fails("error"), made("note").fails("warning")] == [False, False]
    assert [made("warning").fails("error"), made("warning").fails("warning")] == [False, True]
    assert [made("error").fails("error"), made("error").fails("warning")] == [True, True]


def test_findings_are_saved_as_csv_json_and_text(draft: Draft, tmp_path: Path) -> None:
    draft.fill().add("copy.wav", draft.clean["neutral", "s1", "1"], "surprise", "s1")
    found = audit(draft.corpus(), checks=["duplicates"])
    for suffix in (".csv", ".json", ".md"):
        found.save(tmp_path / "new" / f"findings{suffix}")
    with (tmp_path / "new" / "findings.csv").open(encoding="utf-8", newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["check"], row["severity"], row["fold"]) == ("duplicates", "error", "")
    assert row["clips"].split("\n") == [draft.files[16], draft.files[-1]]
    saved = json.loads((tmp_path / "new" / "findings.json").read_text(encoding="utf-8"))
    assert saved["findings"][0]["clips"] == [draft.files[16], draft.files[-1]]
    assert (tmp_path / "new" / "findings.md").read_text(encoding="utf-8") == found.report() + "\n"


def test_no_findings_make_a_table_with_a_head(draft: Draft, tmp_path: Path) -> None:
    audit(draft.fill().corpus(), checks=["files"]).save(tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text(encoding="utf-8") == "check,severity,message,clips,fold\n"
