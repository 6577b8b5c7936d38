"""``featkit predict``: what it prints, its tables, its exit codes, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner, Result
from speech import fitted, speech, write_wav

from featkit.audio import read
from featkit.cli import cli
from featkit.quality import flags

SHORT = (
    "Warning: windows of {} s are shorter than 95 of 100 clips that the model learned from (1 s and more): it was not "
    "judged on such. Take longer windows, or train on clips cut to this length.\n"
)


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["predict", *map(str, words)], prog_name="featkit")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    fitted().export(path, clips=speech().waves[:3])
    return path


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    for i, name in enumerate(["a.wav", "b/a.wav", "b/c/ü 2.wav"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_wav(folder / name, speech().waves[i])
    return folder


def test_a_folder_is_searched_to_its_depths_and_the_last_line_counts(tmp_path: Path, model: Path, clips: Path) -> None:
    (clips / "b" / "loop").symlink_to(clips)
    result = run(model, clips, "-o", tmp_path / "o.parquet", "--window", 0.5, "--hop", 0.25)
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/o.parquet: 3 done, 0 failed, 0 skipped\n")
    assert result.stderr == SHORT.format("0.5")
    files = [str(clips / name) for name in ("a.wav", "b/a.wav", "b/c/ü 2.wav")]
    assert pd.read_parquet(tmp_path / "o.parquet")["file"].tolist() == files
    assert set(pd.read_parquet(tmp_path / "o.segments.parquet")["file"]) == set(files)
    again = run(model, clips, "-o", tmp_path / "o.parquet", "--window", 0.5, "--hop", 0.25)
    assert again.stdout == f"{tmp_path}/o.parquet: 0 done, 0 failed, 3 skipped\n"
    assert again.stderr == SHORT.format("0.5") + f"{tmp_path}/o.parquet: 3 of 3 files were done before.\n"
    long = run(model, clips, "-o", tmp_path / "long.csv", "--window", 1)
    assert long.stderr == "", "it learned from clips of one second"


def test_what_a_folder_lacks_costs_its_row_alone(model: Path, clips: Path) -> None:
    """A link to a recording that is gone, a pipe called as one."""
    (clips / "gone.wav").symlink_to("nothing.wav")
    os.mkfifo(clips / "pipe.wav")
    result = run(model, clips)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 4), result.output
    assert "2 of 5 files could not be used:" in result.stderr
    assert f"{clips / 'gone.wav'}: there is no such file, only a link to one that is gone." in result.stderr
    assert f"{clips / 'pipe.wav'}: is not a regular file" in result.stderr


@pytest.mark.parametrize("output", [[], ["-o", "o.csv"]], ids=["printed", "table"])
def test_what_names_no_file_is_told_as_extract_tells_it(
    tmp_path: Path, model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, output: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name, reason in (("empty", "this folder holds no audio file"), ("*.mp3", "no file fits this pattern")):
        result = run(model, clips, name, *output)
        assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {name}: {reason}.\n")


@pytest.mark.parametrize("output", [[], ["-o", "o.csv"]], ids=["printed", "table"])
def test_files_are_named_as_for_extract(
    tmp_path: Path, model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, output: list[str]
) -> None:
    """By patterns, manifests, and lists on standard input."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("file,label\nclips/b/a.wav,joy\nclips/a.wav,joy\n")

    def labelled(*words: str, given: str | None = None) -> list[str]:
        words = ("predict", str(model), *words, *(["--overwrite", *output] if output else ["--format", "csv"]))
        result = CliRunner().invoke(cli, words, input=given)
        assert result.exit_code == 0, result.output
        text = Path("o.csv").read_text() if output else result.stdout
        return [row["file"] for row in csv.DictReader(text.splitlines())]

    assert labelled("clips/**/a.wav") == ["clips/a.wav", "clips/b/a.wav"]
    assert labelled("list.csv") == ["clips/b/a.wav", "clips/a.wav"]
    assert labelled("-", given="clips/b/a.wav\nclips/a.wav\n") == ["clips/b/a.wav", "clips/a.wav"]
    assert labelled("--null", "-", given="clips/a.wav\0clips/b/c/ü 2.wav\0") == ["clips/a.wav", "clips/b/c/ü 2.wav"]
    assert labelled("-", given="") == []


def test_files_that_failed_before_are_not_counted_as_done(tmp_path: Path, model: Path, clips: Path) -> None:
    (clips / "text.wav").write_text("I am no audio")
    run(model, clips, "-o", tmp_path / "o.csv")
    again = run(model, clips, "-o", tmp_path / "o.csv")
    assert again.stderr.startswith(f"{tmp_path / 'o.csv'}: 3 of 4 files were done before, 1 failed.\n")
    assert again.stdout.endswith(": 0 done, 1 failed, 3 skipped\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ImportError("initialization failed")])
def test_ctrl_c_ends_with_one_word(
    model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    error.__context__ = None if isinstance(error, KeyboardInterrupt) else KeyboardInterrupt()

    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr("featkit.runtime.load", stop)
    result = run(model, clips)
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "Stopped.\n")


def test_files_that_came_since_are_added(tmp_path: Path, model: Path, clips: Path) -> None:
    run(model, clips, "-o", tmp_path / "o.csv")
    write_wav(clips / "new.wav", speech().waves[5])
    result = run(model, clips, "-o", tmp_path / "o.csv")
    assert result.stdout.endswith("o.csv: 1 done, 0 failed, 3 skipped\n")
    assert len(pd.read_csv(tmp_path / "o.csv")) == 4
    (clips / "a.wav").unlink()
    result = run(model, clips, "-o", tmp_path / "o.csv")
    assert result.stderr.endswith("o.csv: keeps 1 row of files that were not named this time.\n")


def test_bad_files_are_counted_and_some_are_shown(tmp_path: Path, model: Path, clips: Path) -> None:
    for i in range(12):
        (clips / f"{i:02d}.wav").touch()
    result = run(model, clips, "-o", tmp_path / "o.parquet")
    assert result.exit_code == 1
    assert result.stdout == f"{tmp_path}/o.parquet: 3 done, 12 failed, 0 skipped\n"
    lines = result.stderr.splitlines()
    assert lines[:2] == ["12 of 15 files could not be used:", f"  {clips}/00.wav: the file is empty (0 bytes)"]
    told = f"{tmp_path}/o.parquet.failures.csv has them all; --retry-failed tries them again."
    assert lines[11:] == ["  … and 2 more", told]
    soundfile.write(clips / "00.wav", np.array(speech().waves[7]), 16_000)
    again = run(model, clips, "-o", tmp_path / "o.parquet", "--retry-failed")
    assert (again.exit_code, again.stdout.rpartition(": ")[2]) == (1, "1 done, 11 failed, 3 skipped\n")


def test_if_no_file_can_be_used_one_line_says_why(tmp_path: Path, model: Path) -> None:
    result = run(model, tmp_path / "none.wav", "-o", tmp_path / "o.parquet")
    told = f"Error: None of 1 files can be used. The first: {tmp_path}/none.wav: there is no such file.\n"
    assert (result.exit_code, result.stderr) == (1, told)


def test_the_same_files_named_in_another_way_are_noticed(
    tmp_path: Path, model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (clips / "b" / "a.wav").unlink()
    assert run(model, "clips", "-o", "o.parquet").exit_code == 0
    result = run(model, clips, "-o", "o.parquet")
    assert result.stderr.splitlines()[-2:] == [
        "o.parquet: keeps 2 rows of files that were not named this time.",
        "o.parquet: 2 of 2 files stand there under another path, too (same name, size and time): name them as before, "
        "or begin anew with --overwrite.",
    ]
    write_wav(tmp_path / "c.wav", speech().waves[3])
    assert "under another path" not in run(model, "c.wav", "-o", "o.parquet").stderr


def test_strict_ends_with_the_first_bad_file(tmp_path: Path, model: Path, clips: Path) -> None:
    (clips / "0.wav").touch()
    result = run(model, clips, "-o", tmp_path / "o.parquet", "--strict")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {clips}/0.wav: the file is empty (0 bytes). This is the first failure")
    assert result.stderr.count("\n") == 1


def test_another_model_is_refused_in_one_line_and_taken_with_overwrite(
    tmp_path: Path, model: Path, clips: Path
) -> None:
    other = tmp_path / "other.onnx"
    fitted("logmel").export(other, clips=speech().waves[:3])
    run(model, clips, "-o", tmp_path / "o.parquet")
    result = run(other, clips, "-o", tmp_path / "o.parquet")
    assert result.exit_code == 1
    assert "o.parquet: was made with other settings: the set is logmel here and mfcc39 there. Give" in result.stderr
    assert result.stderr.count("\n") == 1
    assert run(other, clips, "-o", tmp_path / "o.parquet", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--window", "1"], "--window is for tables; name one with -o."),
        (["--retry-failed"], "--retry-failed is for tables"),
        (["-j", "2"], "--jobs is for tables"),
        (["-o", "o.txt"], "--output must end in .parquet or .csv; it is 'o.txt'."),
        (["-o", "o.csv", "--format", "csv"], "--format and --speaker are for what is printed"),
        (["-o", "o.csv", "--speaker", "one"], "--format and --speaker are for what is printed"),
        (["-o", "o.csv", "--hop", "1"], "hop is the distance between windows; give their length with window"),
        (["-o", "o.csv", "--window", "1", "--hop", "2"], "The hop is 2.0 s; it must lie between"),
        (["-o", "o.csv", "--timeout", "inf"], "inf is not in the range 1<=x<=86400"),
        (["-o", "o.csv", "-o", "p.csv"], "-o is given 2 times; predict takes one."),
        (["-o", "o.csv", "--jobs", "0"], "0 is no number of workers; give 1 or more, or -1 for all cores."),
        (["-o", "o.csv", "--jobs", "-5"], "-5 is no number of workers; give 1 or more, or -1 for all cores."),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(words: list[str], message: str) -> None:
    result = run("m.onnx", "a.wav", *words)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_without_pyarrow_the_pip_line_is_given(tmp_path: Path, model: Path, clips: Path) -> None:
    code = "import sys; sys.modules['pyarrow'] = None; from featkit.cli import cli; cli()"  # in a process of its own
    words = ["predict", str(model), str(clips), "-o", str(tmp_path / "o.csv")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert (done.returncode, "pip install 'featkit[parquet]'" in done.stderr) == (1, True), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_done_and_says_how_to_go_on(
    tmp_path: Path, model: Path, clips: Path, number: signal.Signals
) -> None:
    for i in range(4_000):
        (clips / f"{i}.wav").hardlink_to(clips / "a.wav")
    words = [sys.executable, "-m", "featkit", "predict", model, clips, "-o", tmp_path / "o.parquet", "--jobs", "2"]
    words += ["--window", "0.2", "--hop", "0.02"]
    process = subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for _ in range(1_200):
        if list(tmp_path.glob("o.parquet.parts/*.arrow")):
            break
        time.sleep(0.05)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out) == (130 if number == signal.SIGINT else 143, "")
    stopped = f"Stopped. What is done is kept beside {tmp_path}/o.parquet; the same command goes on from there.\n"
    assert err == SHORT.format("0.2") + (stopped if number == signal.SIGINT else "")
    assert list(tmp_path.glob("o.parquet.parts/*.arrow"))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_a_name_that_is_no_text_is_predicted(tmp_path: Path, model: Path, clips: Path) -> None:
    os.rename(os.fsencode(clips / "a.wav"), os.fsencode(clips) + b"/\xff.wav")
    result = run(model, clips, "-o", tmp_path / "o.parquet")
    assert result.stdout.endswith("o.parquet: 3 done, 0 failed, 0 skipped\n")
    assert f"{clips}/\\udcff.wav" in pd.read_parquet(tmp_path / "o.parquet")["file"].tolist()


def test_a_bar_is_shown_on_a_terminal(
    tmp_path: Path, model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featkit.cli.runs.live", lambda: True)
    result = run(model, clips, "-o", tmp_path / "o.parquet")
    assert re.search(r"\| [123]/3 \[", result.stderr)


# --- what is printed -----------------------------------------------------------------------------------------------


@pytest.fixture
def odd(tmp_path: Path) -> list[str]:
    """A clip as it should be, one that is clipped and shifted, and one of a telephone."""
    good, loud = speech().waves[0], np.clip(20 * speech().waves[1] + 0.5, -1, 1)
    soundfile.write(tmp_path / "phone.wav", speech().waves[2][::2], 8_000)
    return [write_wav(tmp_path / "good.wav", good), write_wav(tmp_path / "loud.wav", loud), str(tmp_path / "phone.wav")]


def test_what_is_odd_about_a_recording_is_said_in_every_format(model: Path, odd: list[str]) -> None:
    expected = [flags(*read(path)) for path in odd]
    assert [len(found) for found in expected] == [0, 2, 1]
    lines = run(model, *odd).stdout.splitlines()
    assert lines[0].endswith("  quality")
    assert [line.removeprefix(path).split(maxsplit=4)[4:] for line, path in zip(lines[1:], odd, strict=True)] == [
        [], ["; ".join(expected[1])], expected[2],
    ]  # fmt: skip
    rows = list(csv.DictReader(run(model, *odd, "--format", "csv").stdout.splitlines()))
    assert [row["quality"] for row in rows] == ["; ".join(found) for found in expected]
    told = [json.loads(line) for line in run(model, *odd, "--format", "jsonl").stdout.splitlines()]
    assert [row["quality"] for row in told] == expected


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_name_cannot_command_the_terminal(
    tmp_path: Path, model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nasty, bad = tmp_path / "\x1b[31m\x9b2J\nx.wav", tmp_path / "\x1b[32m.wav"
    (clips / "a.wav").rename(nasty)
    bad.touch()
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda out: True)
    for form in ("table", "csv", "jsonl"):
        result = run(model, nasty, bad, "--format", form)
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 2)
        assert all(line.isprintable() for line in result.output.splitlines()), form
        assert len(result.stdout.splitlines()) == (1 if form == "jsonl" else 2)
    assert json.loads(result.stdout)["file"] == str(nasty)
    strict = run(model, bad, "-o", tmp_path / "o.csv", "--strict")
    assert "\\x1b[32m.wav: the file is empty" in strict.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_program_gets_names_as_they_are(tmp_path: Path, model: Path, clips: Path) -> None:
    nasty = tmp_path / "\x1b[31m\nx.wav"
    (clips / "a.wav").rename(nasty)
    table = csv.reader(run(model, nasty, "--format", "csv").stdout.splitlines(keepends=True))
    assert list(table)[1][0] == str(nasty)


def test_columns_stand_under_each_other_where_names_are_two_cells_wide(
    tmp_path: Path, model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (clips / "a.wav").rename("日本語.wav")
    (clips / "b" / "a.wav").rename("plain.wav")
    head, wide, plain = run(model, "日本語.wav", "plain.wav").stdout.splitlines()
    assert (wide.index("0."), head.index("anger"), plain.index("0.")) == (18, 21, 21)  # three signs take a cell more


def test_a_file_that_may_not_be_read_costs_its_own_row(
    tmp_path: Path, model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, access, real_open = clips / "a.wav", os.access, Path.open

    def refused(path: Path, *how: object, **more: object) -> object:
        if path == secret:
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path, *how, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "access", lambda path, mode, **more: path != str(secret) and access(path, mode, **more))
    monkeypatch.setattr(Path, "open", refused)
    result = run(model, secret, clips / "b" / "a.wav")
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 2)
    assert result.stderr.splitlines()[1] == f"  {secret}: cannot be read: Permission denied."


def test_a_file_in_a_folder_that_may_not_be_looked_into_costs_its_own_row(
    model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = os.stat

    def refused(path: object, *how: object, **more: object) -> object:
        if str(path) == str(clips / "b" / "a.wav"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *how, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "stat", refused)
    result = run(model, clips / "a.wav", clips / "b" / "a.wav")
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 2)
    assert "b/a.wav: cannot be read: Permission denied." in result.stderr


def test_probabilities_that_are_no_numbers_are_no_label(
    model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featkit.runtime.Model.predict_proba", lambda *given: np.full((1, 3), np.nan, np.float32))
    result = run(model, clips / "a.wav")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "a.wav: the model gave probabilities that are not finite; train it again." in result.stderr
