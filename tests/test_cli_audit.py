"""``featkit audit``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from featkit.cli import cli
from featkit.datasets.synthetic import synthesise


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips, a copy of the first, and manifests: all, two parts, and parts that leak."""
    place = tmp_path_factory.mktemp("audit")
    rows = []
    for i, (label, speaker) in enumerate([("anger", 0), ("sadness", 0), ("anger", 1), ("sadness", 1)]):
        soundfile.write(place / f"{i}.wav", synthesise(label, speaker, i, take=0), 16_000)
        rows.append(f"{i}.wav,{label},{speaker}")
    soundfile.write(place / "4.flac", soundfile.read(place / "0.wav")[0], 16_000)
    copy = "4.flac,anger,0"
    tables = {"clean": rows, "copy": [*rows, copy], "train": rows[:2], "test": rows[2:], "leak": [*rows[2:], copy]}
    for name, lines in tables.items():
        (place / f"{name}.csv").write_text("file,label,speaker\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return place


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["audit", *map(str, words)])


def test_a_clean_corpus_ends_with_0(folder: Path) -> None:
    result = run("--data", folder / "clean.csv", "--cv", "loso", "--fail-on", "warning")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("clean.csv: 4 clips, 0 errors, 0 warnings, 1 note\n")


def test_a_warning_fails_where_that_is_asked_for(folder: Path) -> None:
    assert run("--data", folder / "copy.csv").exit_code == 0
    result = run("--data", folder / "copy.csv", "--fail-on", "warning", "--check", "duplicates")
    assert result.exit_code == 1
    assert "2 clips have the same samples: the recording counts more than once: 0.wav, 4.flac" in result.output
    assert "shortcuts" not in result.output


def test_an_error_fails_and_is_written(folder: Path, tmp_path: Path) -> None:
    result = run("--data", folder / "copy.csv", "--cv", "random:2", "-o", tmp_path / "found.json", "--jobs", 2)
    assert result.exit_code == 1
    saved = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert {finding["check"] for finding in saved["findings"] if finding["severity"] == "error"} >= {"speakers"}


def test_two_corpora_are_compared(folder: Path) -> None:
    assert run("--data", folder / "train.csv", "--test", folder / "test.csv").exit_code == 0
    result = run("--data", folder / "train.csv", "--test", folder / "leak.csv")
    assert result.exit_code == 1
    assert result.output.startswith("train.csv → leak.csv: 5 clips, 2 errors")
    assert "1 of 2 speakers of the test are heard in training: 0" in result.output
    assert "on both sides of a fold: 0.wav, 4.flac" in result.output


def test_several_corpora_are_audited_together(folder: Path) -> None:
    result = run("--data", folder / "train.csv", "--data", folder / "leak.csv", "--check", "duplicates")
    assert result.output.startswith("train.csv+leak.csv: 5 clips, 1 error")
    assert "are said to be of speakers leak.csv/0 and train.csv/0" in result.output
    assert result.stderr == "", "the findings say it"


def test_several_corpora_are_judged_by_one(folder: Path) -> None:
    result = run("--data", folder / "train.csv", "--test", folder / "test.csv", "--test", folder / "leak.csv")
    assert result.exit_code == 1
    assert result.output.startswith("train.csv → test.csv+leak.csv: 7 clips, ")
    assert "on both sides of a fold" in result.output or "are said to be of speakers" in result.output


def test_a_corpus_that_is_also_among_several_is_known_again(folder: Path) -> None:
    several = ["--data", folder / "train.csv", "--data", folder / "test.csv"]
    result = run(*several, "--test", folder / "train.csv", "--check", "speakers")
    assert result.exit_code == 1
    assert "1 of 1 speakers of the test are heard in training: train.csv/0" in result.output


def test_speakers_of_equal_names_without_a_common_recording_are_a_warning(folder: Path, tmp_path: Path) -> None:
    rows = []
    for i, label in enumerate(["anger", "sadness"]):
        soundfile.write(tmp_path / f"{i}.wav", synthesise(label, 5, i, take=0), 16_000)
        rows.append(f"{i}.wav,{label},0")
    (tmp_path / "lab.csv").write_text("file,label,speaker\n" + "\n".join(rows) + "\n", encoding="utf-8")
    result = run("--data", folder / "train.csv", "--test", tmp_path / "lab.csv")
    assert result.exit_code == 0, result.output
    assert "1 of 1 speakers of the test are called as others in training (0): if they are the same" in result.output
    assert "by a word before the names in one manifest, as in lab-03" in result.output


@pytest.mark.parametrize("check", ["speakers", "duplicates"])
def test_the_same_manifest_on_both_sides_is_an_error(folder: Path, check: str) -> None:
    result = run("--data", folder / "train.csv", "--test", folder / "train.csv", "--check", check)
    assert result.exit_code == 1, result.output


def test_folds_by_speaker_need_speakers(folder: Path, tmp_path: Path) -> None:
    rows = [f"{folder / f'{i}.wav'},{label}" for i, label in enumerate(["anger", "sadness", "anger", "sadness"])]
    (tmp_path / "who.csv").write_text("file,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    for cv in ("loso", "2"):
        result = run("--data", tmp_path / "who.csv", "--cv", cv)
        assert result.exit_code == 1
        assert "cannot be made: the speakers are not known; give them (a manifest with the column" in result.output


def test_a_row_that_stands_twice_costs_one_finding(folder: Path) -> None:
    rows = (folder / "clean.csv").read_text(encoding="utf-8") + "1.wav,anger,0\n,anger,0\n"
    (folder / "twice.csv").write_text(rows, encoding="utf-8")
    result = run("--data", folder / "twice.csv", "--cv", "loso")
    assert result.exit_code == 1
    assert result.output.startswith("twice.csv: 4 clips, 2 errors")
    assert "rows 3 and 6 of" in result.output
    assert "twice, as 'sadness' and 'anger'; drop one of them" in result.output
    assert "row 7 of" in result.output


def test_speaker_03_of_one_published_corpus_is_not_that_of_another(tmp_path: Path) -> None:
    for name in ("emodb/03a01Wa.wav", "ravdess/Actor_03/03-01-05-01-01-01-03.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        soundfile.write(tmp_path / name, synthesise("anger", 3, len(name) % 5, take=0), 16_000)
    result = run("--data", f"emodb:{tmp_path}/emodb", "--test", f"ravdess:{tmp_path}/ravdess", "--check", "speakers")
    assert result.exit_code == 0, result.output
    assert "0 errors, 0 warnings" in result.output


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--cv", "five"], 2, "No protocol is named 'five'"),
        (["-o", "a.md", "-o", "b.md"], 2, "-o is given 2 times; audit takes one."),
        (["--cv", "loso", "--test", "x.csv"], 2, "--cv divides one corpus, --test names a second one"),
        (["-o", "found.xlsx"], 2, "'found.xlsx' must end in .csv, .json or .md"),
        (["--check", "speaker"], 1, "Error: No check is named 'speaker'. Did you mean 'speakers'"),
        (["--test", "missing.csv"], 1, "Error: manifest: there is no file 'missing.csv'"),
    ],
    ids=lambda value: str(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_told(folder: Path, words: list[str], code: int, told: str) -> None:
    result = run("--data", folder / "clean.csv", *words)
    assert result.exit_code == code
    assert told in result.output


def test_a_feature_table_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "features.parquet"
    made = CliRunner().invoke(cli, ["extract", "--data", f"{folder / 'clean.csv'}", "-o", str(table)])
    assert made.exit_code == 0, made.output
    for words in (["--data", table], ["--data", folder / "clean.csv", "--test", table]):
        result = run(*words)
        assert result.exit_code == 1
        assert result.output.strip().splitlines()[-1] == (
            "Error: features.parquet holds features; an audit listens: name the corpus with the recordings."
        )


def test_a_bad_file_costs_one_finding(folder: Path, tmp_path: Path) -> None:
    rows = [f"{folder / '0.wav'},anger,0", f"{folder / '1.wav'},sadness,0", "missing.wav,anger,1"]
    (tmp_path / "bad.csv").write_text("file,label,speaker\n" + "\n".join(rows) + "\n", encoding="utf-8")
    result = run("--data", tmp_path / "bad.csv")
    assert result.exit_code == 1
    assert "there is no such file" in result.output
    assert np.sum([line.startswith("| error") for line in result.output.splitlines()]) == 1


def test_no_row_is_wider_than_a_terminal_and_the_file_is_whole(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--data", folder / "copy.csv", "--cv", "random:2", "-o", tmp_path / "found.md"]
    plain = run(*words).output
    assert max(map(len, plain.splitlines())) > 100
    monkeypatch.setattr("featkit.cli.terminal.columns", lambda: 80)
    told = run(*words).output
    assert max(map(len, told.splitlines())) <= 80
    assert "error    " in told
    assert "2 clips have the same samples" in " ".join(told.split())
    assert (tmp_path / "found.md").read_text(encoding="utf-8") == plain
