"""``featkit data``: what is known of corpora, whether a copy is whole, and how to get one."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from featkit.cli import cli
from featkit.datasets import download
from featkit.datasets.emodb import EmoDB


def run(*words: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["data", *map(str, words)], prog_name="featkit", input=answer)


def record(path: Path, seed: int = 0, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, (1600, channels)), 16_000)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that were fetched, in place of the net: each is a zip that holds one clip of EMO-DB."""
    urls: list[str] = []

    def fetch(url: str, path: Path, *known: object, **settings: object) -> None:
        urls.append(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("wav/03a01Wa.wav", b"R" * 2000)

    monkeypatch.setattr(download, "fetch", fetch)
    return urls


@pytest.mark.parametrize("command", ["", "list", "info", "check", "download"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"featkit data {command}".strip() in result.output.split("\n", 2)[2]


def test_the_list_has_a_line_for_every_corpus() -> None:
    result = run("list")
    head, *lines = result.output.splitlines()
    assert head.split() == ["name", "corpus", "clips", "speakers", "languages", "emotions", "licence", "download"]
    line = next(line for line in lines if line.startswith("tess "))
    assert line.split() == ["tess", "TESS", "2800", "2", "en", "7", "CC", "BY-NC-ND", "4.0", "yes"]


def test_the_list_loads_no_audio_and_no_array_library_of_training() -> None:
    code = (
        "import sys; from featkit.cli import cli; cli(['data', 'info', 'iemocap'], standalone_mode=False);"
        "heavy = {'numpy', 'scipy', 'sklearn', 'torch', 'soundfile', 'pandas', 'pyarrow', 'urllib.request', 'tqdm'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_info_tells_everything() -> None:
    result = run("info", "iemocap")
    assert result.exit_code == 0
    for words in ("exc → happiness", "5531", "EmoEvaluation", "Busso", "quirk", "how to get"):
        assert words in result.output


def test_an_unknown_corpus_is_one_line() -> None:
    result = run("info", "ravdes")
    assert result.exit_code == 1
    assert result.output.startswith("Error: No corpus is named 'ravdes'. Did you mean 'ravdess'?")
    assert result.output.count("\n") == 1


def test_half_a_corpus_is_told_and_ends_with_1(tmp_path: Path) -> None:
    record(tmp_path / "03a01Wa.wav")
    record(tmp_path / "08a01Na.wav", 1, channels=2)
    (tmp_path / "09a01Na.wav").write_text("no audio")
    result = run("check", f"emodb:{tmp_path}")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == f"EMO-DB at {tmp_path}"
    assert [line.split() for line in lines if line.startswith(("anger", "neutral", "all"))] == [
        ["anger", "1", "127"], ["neutral", "2", "79"], ["all", "3", "535"],
    ]  # fmt: skip
    assert "speakers: 3 of 10" in lines
    assert "stored: 1 at 16000 Hz, mono, 1 at 16000 Hz, stereo; 0.0 minutes" in lines
    assert f"PROBLEM: {tmp_path / '09a01Na.wav'}: is text, not audio (it starts with 'no audio')." in lines
    assert "PROBLEM: speaker 16: 0 clips are there, 71 in the complete corpus" in lines


def test_a_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    for number in range(30):
        record(tmp_path / f"wrong {number}.wav", number)
    result = run("check", f"emodb:{tmp_path}")
    assert result.output.count("PROBLEM: ") == 21
    assert "PROBLEM: … and " in result.output


def test_a_corpus_of_ones_own_is_whole_if_all_can_be_read(tmp_path: Path) -> None:
    for seed, label in enumerate(("angry", "neutral")):
        record(tmp_path / label / "1.wav", seed)
    result = run("check", tmp_path, "--jobs", "2")
    assert result.exit_code == 0
    assert "speakers: not known of -" in result.output
    assert "note: 'angry' is none of the common names of emotions. Is it 'anger'?" in result.output
    assert result.output.endswith("No problem found.\n")
    (tmp_path / "angry" / "2.wav").write_text("no audio")
    assert run("check", tmp_path).output.endswith("\n1 problem.\n")


def test_other_channels_are_counted(tmp_path: Path) -> None:
    record(tmp_path / "03-01-01-01-01-01-01.wav")
    record(tmp_path / "03-02-01-01-01-01-01.wav", 1)
    assert "left out: 1 × song or video; the speech is 03-01-*.wav" in run("check", f"ravdess:{tmp_path}").output


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = run("check", f"ravdess:{tmp_path / 'nowhere'}")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ravdess: '")


def test_a_download_shows_the_licence_and_asks(tmp_path: Path, fetched: list[str]) -> None:
    result = run("download", "emodb", tmp_path / "c", answer="n\n")
    assert result.exit_code == 1
    assert "Free for research; the authors ask to be cited" in result.output
    assert fetched == []
    result = run("download", "emodb", tmp_path / "c", answer="y\n")
    assert result.exit_code == 0
    assert fetched == [EmoDB.archives[0].url]
    assert f"Now check it: featkit data check emodb:{tmp_path / 'c'}" in result.output


def test_an_accepted_licence_is_not_asked_for(tmp_path: Path, fetched: list[str]) -> None:
    result = run("download", "emodb", tmp_path, "--accept-licence")
    assert result.exit_code == 0
    assert "emodb.zip: 1 files unpacked, no checksum is known" in result.output
    assert len(fetched) == 1


def test_a_corpus_that_is_there_is_not_fetched_again(
    tmp_path: Path, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmoDB, "expected_clips", 1)
    run("download", "emodb", tmp_path, "--accept-licence")
    result = run("download", "emodb", tmp_path)
    assert result.output == f"{tmp_path}: all 1 clips of EMO-DB are there already.\n"
    assert len(fetched) == 1


@pytest.mark.parametrize("name", ["iemocap", "meld", "esd", "savee", "emovo"])
def test_a_corpus_for_which_one_must_ask_says_where(name: str, tmp_path: Path) -> None:
    result = run("download", name, tmp_path, "--accept-licence")
    assert result.exit_code == 1
    assert "is not for a program to fetch." in result.output
    assert result.output.count("\n") == 1


def test_the_real_ravdess_passes_and_its_one_identical_pair_is_known(ravdess_root: Path) -> None:
    result = run("check", f"ravdess:{ravdess_root}")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "No problem found.")
    (note,) = [line for line in result.output.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: identical, as known of the release: '")
    assert "03-01-03-01-02-01-07" in note
    assert "03-01-03-01-02-02-07" in note
