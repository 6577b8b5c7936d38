"""The command line: what it prints, its exit codes, and one plain line for everything that goes wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint, version
from pathlib import Path

import click
import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
from click.testing import CliRunner, Result
from joblib.externals.loky import process_executor
from speech import write_manifest

import featkit
from featkit import SERClassifier, evaluate, load, presets
from featkit.card import described
from featkit.cli import cli
from featkit.datasets import open_dataset
from featkit.datasets.synthetic import synthesise

EMOTIONS = ("anger", "happiness", "sadness")


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="featkit")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 3 emotions × 4 speakers × 2 takes, beside its clips."""
    root = tmp_path_factory.mktemp("corpus")
    rows = ["file,label,speaker"]
    for emotion in EMOTIONS:
        for speaker in range(4):
            for take in range(2):
                name = f"{emotion} {speaker} {take}.wav"
                soundfile.write(root / name, synthesise(emotion, speaker, 0, take), 16_000)
                rows.append(f"{name},{emotion},s{speaker}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def model(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    result = run("fit", "--data", corpus / "manifest.csv", "--backend", "svm", "--evaluate", "-o", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def bad(tmp_path: Path, corpus: Path) -> Path:
    """A folder per label in which three of nine clips cannot be used."""
    for emotion in EMOTIONS[:2]:
        for take in range(2):
            for speaker in range(2):
                wave = synthesise(emotion, speaker, 0, take)
                (tmp_path / emotion).mkdir(exist_ok=True)
                soundfile.write(tmp_path / emotion / f"{speaker}{take}.wav", wave, 16_000)
    (tmp_path / "anger" / "text.wav").write_text("I am no audio")
    (tmp_path / "anger" / "empty.wav").touch()
    soundfile.write(tmp_path / "happiness" / "silence.flac", np.zeros(16_000), 16_000)
    return tmp_path


# --- every command -------------------------------------------------------------------------------------------------


COMMANDS = (
    "extract", "augment", "fit", "tune", "evaluate", "benchmark", "compare", "verify", "audit", "predict", "stream",
    "serve", "export", "info", "list", "demo", "store",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"featkit {command}" in result.output.split("\n", 2)[2]


def test_every_command_is_looked_at() -> None:
    assert set(COMMANDS) == set(cli.commands) - {"data"}  # a group, in test_cli_data.py


def test_no_line_of_the_help_is_cut_off_on_a_narrow_terminal() -> None:
    told = CliRunner().invoke(cli, ["--help"], terminal_width=80).output
    assert "..." not in told.partition("Commands:")[2]


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys; from featkit.cli import cli; cli(['--help'], standalone_mode=False);"
        "heavy = {'numpy', 'scipy', 'sklearn', 'torch', 'onnxruntime', 'onnx', 'soundfile', 'joblib', 'pandas'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "featkit predict model.onnx" in done.stdout


def test_predicting_imports_no_training_library(model: Path, corpus: Path) -> None:
    code = (
        "import sys; from featkit.cli import cli;"
        f"cli(['predict', {str(model)!r}, {str(corpus / 'anger 0 0.wav')!r}], standalone_mode=False);"
        "heavy = {'scipy', 'sklearn', 'torch', 'xgboost', 'librosa', 'onnx', 'joblib', 'pandas', 'pyarrow'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "anger" in done.stdout


@pytest.mark.parametrize("module", ["click", "featkit.cli.common"])
def test_ctrl_c_is_answered_while_the_program_is_imported(module: str) -> None:
    code = (
        "import sys\nclass Stop:\n    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\nfrom featkit.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped.\n")


def test_the_script_begins_where_ctrl_c_is_answered() -> None:
    project = Path(featkit.__file__).parents[1] / "pyproject.toml"
    scripts = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"featkit": "featkit.__main__:main"}
    code = "import sys, featkit.__main__; sys.exit(str({'click', 'featkit.cli'} & set(sys.modules) or ''))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).stderr == b"\n"


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "featkit", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("featkit 0.")


def test_the_version_is_an_attribute_too_and_costs_nothing_where_it_is_not_asked_for() -> None:
    assert run("--version").output == f"featkit {featkit.__version__}\n"
    assert featkit.__version__ == version("featkit")
    code = "import sys, featkit; sys.exit('importlib.metadata' in sys.modules)"
    subprocess.run(
        [sys.executable, "-S", "-c", code], check=True, env={"PYTHONPATH": str(Path(featkit.__file__).parents[1])}
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "--data", "x"], "No command is named 'train'. The nearest is 'fit'. Commands: extract, store, "),
        (["Infer"], "No command is named 'Infer'. The nearest is 'predict'. Commands: "),
        (["score"], "No command is named 'score'. The nearest is 'evaluate'. "),
        (["convert"], "No command is named 'convert'. The nearest is 'export'. "),
        (["listen"], "No command is named 'listen'. The nearest is 'stream'. "),
        (["evalute"], "No command is named 'evalute'. Did you mean 'evaluate'? "),
        (["transcribe"], "No command is named 'transcribe'. Commands: extract, "),
        (["store", "inof"], "No command is named 'inof'. Did you mean 'info'? Commands: check, info, merge."),
        (["data", "chek"], "No command is named 'chek'. Did you mean 'check'? Commands: "),
        (["fit", "--bakend", "svm"], "No such option --bakend Did you mean --backend?"),
        (["--debgu"], "No such option --debgu Did you mean --debug?"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(words: list[str], told: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    plain = str.maketrans("", "", "':.")  # click has had several ways to write it
    assert line.translate(plain).startswith(f"Error: {told}".translate(plain))


def test_what_commands_are_called_elsewhere_leads_to_commands() -> None:
    assert set(cli.elsewhere.values()) <= set(cli.commands)
    assert not set(cli.elsewhere) & set(cli.commands)


# --- standard output -----------------------------------------------------------------------------------------------

ASKED = (["list"], ["--help"], ["--version"], ["fit", "--help"])


def program(words: list[str], stdout: int, buffered: bool) -> subprocess.CompletedProcess[str]:
    """The program with its standard output there; Python writes at once where it is not to buffer."""
    env = os.environ | {"PYTHONUNBUFFERED": "" if buffered else "1"}
    return subprocess.run(
        [sys.executable, "-m", "featkit", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=env,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_a_full_disk_behind_standard_output_is_one_line(words: list[str], buffered: bool) -> None:
    with Path("/dev/full").open("w") as full:
        done = program(words, full.fileno(), buffered)
    told = "Error: standard output could not be written (No space left on device).\n"
    assert (done.returncode, done.stderr) == (1, told)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_predictions_that_cannot_be_printed_are_one_line(model: Path, corpus: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = program(["predict", str(model), str(corpus / "anger 0 0.wav")], full.fileno(), True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_a_reader_that_has_had_enough_is_not_told_of(words: list[str], buffered: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = program(words, writing, buffered)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode in (0, 1), "120 would be Python's own failure at its end"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_standard_output_may_be_closed() -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m featkit --version >&-"], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_line_of_the_list_is_wider_than_the_terminal(columns: int) -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen([sys.executable, "-m", "featkit", "list"], stdout=theirs, env=env) as done:
        os.close(theirs)
        text = b""
        with suppress(OSError):  # how Linux says that the other end is closed
            while block := os.read(ours, 4096):
                text += block
    os.close(ours)
    lines = text.decode().splitlines()
    assert done.returncode == 0
    assert 50 < max(map(len, lines)) <= columns
    plain = run("list").output
    assert " ".join(" ".join(lines).split()) == " ".join(plain.split()), "folded, and nothing is lost"
    assert max(map(len, plain.splitlines())) > 200, "a pipe is given whole lines"


@pytest.mark.parametrize("command", ["evaluate", "tune", "benchmark", "data list", "info", "store info"])
def test_tables_fit_a_terminal_and_are_whole_elsewhere(
    command: str, model: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: dict[str, list[object]] = {
        "evaluate": ["--data", corpus / "manifest.csv", "--cv", "2", "--backend", "svm:kernel=linear,C=0.01"],
        "tune": ["--data", corpus / "manifest.csv", "--cv", "2", "--trials", "2"],
        "benchmark": ["--data", corpus / "manifest.csv", "--cv", "2", "--no-deploy", "-o", tmp_path],
        "info": [model],
        "store info": [tmp_path / "f.parquet"],
    }
    if command == "store info":
        assert run("extract", corpus / "anger 0 0.wav", "-o", tmp_path / "f.parquet").exit_code == 0
    asked = [*command.split(), *words.get(command, [])]
    plain = run(*asked).output
    for module in ("terminal", "data"):  # of which the package calls the command so
        monkeypatch.setattr(sys.modules[f"featkit.cli.{module}"], "columns", lambda: 60)
    told = run(*asked)
    assert told.exit_code == 0, told.output
    files = (str(tmp_path), str(model))  # names that are longer than the terminal stay whole
    rows = [line for line in told.stdout.splitlines() if not any(name in line for name in files)]
    assert max(map(len, rows)) <= 60 < max(map(len, plain.splitlines()))


# --- fit, predict, info, export ------------------------------------------------------------------------------------


def test_fit_writes_a_model_that_knows_its_score(model: Path, corpus: Path) -> None:
    lengths = [soundfile.info(path).duration for path in corpus.glob("*.wav")]
    recipe = load(model).recipe
    assert recipe["members"][0]["input"] == "wave"
    assert recipe["data"] == {
        "clips": 24, "labels": dict.fromkeys(EMOTIONS, 8), "speakers": 4, "augment": None,
        "seconds": pytest.approx(np.quantile(lengths, [0.05, 0.5, 0.95]), abs=0.001), "corpora": ["manifest.csv"],
    }  # fmt: skip
    assert recipe["scores"]["protocol"] == "leave one of 4 speakers out"
    assert 0 <= recipe["scores"]["UA"] <= 1


def test_predict_prints_a_row_a_file_in_three_formats(model: Path, corpus: Path) -> None:
    clips = [corpus / "anger 0 0.wav", corpus / "sadness 1 0.wav"]
    expected = load(model).predict_proba(clips)

    table = run("predict", model, *clips).output.splitlines()
    assert table[0].split() == ["file", "label", *EMOTIONS, "quality"]
    assert table[1].startswith(str(clips[0]))
    assert len(table) == 3

    rows = list(csv.DictReader(io.StringIO(run("predict", model, *clips, "--format", "csv").output)))
    assert [row["file"] for row in rows] == [str(clip) for clip in clips]
    got = np.array([[float(row[name]) for name in EMOTIONS] for row in rows])
    np.testing.assert_allclose(got, expected, atol=1e-6)

    lines = [json.loads(line) for line in run("predict", model, *clips, "--format", "jsonl").output.splitlines()]
    assert [line["label"] for line in lines] == list(load(model).predict(clips))
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_predict_takes_a_folder(model: Path, corpus: Path) -> None:
    assert len(run("predict", model, corpus).output.splitlines()) == 1 + 24


def test_predict_goes_on_after_a_bad_file_and_says_so(model: Path, bad: Path) -> None:
    result = run("predict", model, bad)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1 + 8
    assert "3 of 11 files could not be used:" in result.stderr
    assert "text.wav: is text, not audio" in result.stderr
    assert "empty.wav: the file is empty" in result.stderr
    assert "silence.flac: all 16000 samples are zero" in result.stderr


def test_info_shows_the_recipe(model: Path) -> None:
    result = run("info", model)
    assert result.exit_code == 0
    for text in ("wave (batch, samples)", "mfcc39 functionals", "24 clips from 4 speakers", "WA ", "svm"):
        assert text in result.output
    assert json.loads(run("info", model, "--json").output) == load(model).recipe


def test_one_clip_is_not_called_clips(model: Path) -> None:
    recipe = load(model).recipe
    recipe["data"] |= {"clips": 1, "speakers": 1, "augment": {"copies": 1, "plan": "noise"}, "labels": {"anger": 1}}
    recipe["data"]["seconds"] = None
    told = described(recipe, ["wave"])["trained on"]
    assert told == "manifest.csv: 1 clip from 1 speaker (anger 1), 1 copy of each by noise"


def test_a_saved_estimator_exports_to_the_same_model(corpus: Path, model: Path, tmp_path: Path) -> None:
    saved, again = tmp_path / "estimator.joblib", tmp_path / "again.onnx"
    assert run("fit", "--data", corpus / "manifest.csv", "-o", saved).exit_code == 0
    result = run("export", saved, corpus / "anger 0 0.wav", "-o", again)
    assert result.exit_code == 0, result.output
    assert "equals the trained estimator on 1 clip (" in result.output
    clips = [corpus / "happiness 2 1.wav"]
    np.testing.assert_array_equal(load(again).predict_proba(clips), load(model).predict_proba(clips))


def test_export_refuses_what_is_no_estimator(tmp_path: Path) -> None:
    joblib.dump({"a": 1}, tmp_path / "x.joblib")
    result = run("export", tmp_path / "x.joblib", "-o", tmp_path / "m.onnx")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {tmp_path}/x.joblib: holds a dict, not an estimator of featkit.\n",
    )
    (tmp_path / "y.joblib").write_bytes(b"nothing")
    result = run("export", tmp_path / "y.joblib", "-o", tmp_path / "m.onnx")
    assert result.exit_code == 1
    assert "y.joblib: cannot be opened as a joblib file" in result.stderr


# --- extract and tables --------------------------------------------------------------------------------------------


def test_fitting_on_a_table_equals_fitting_on_the_recordings(corpus: Path, model: Path, tmp_path: Path) -> None:
    table, again = tmp_path / "features.parquet", tmp_path / "again.onnx"
    assert run("extract", "--data", corpus / "manifest.csv", "-o", table).exit_code == 0
    result = run("fit", "--data", table, "-o", again)
    assert result.exit_code == 0, result.output
    clips = sorted(corpus.glob("*.wav"))
    np.testing.assert_array_equal(load(again).predict_proba(clips), load(model).predict_proba(clips))


def test_extract_writes_named_columns_for_files_and_folders(corpus: Path, tmp_path: Path) -> None:
    result = run("extract", "--set", "egemaps", corpus / "anger 0 0.wav", "-o", tmp_path / "f.parquet")
    assert result.exit_code == 0, result.output
    assert "1 clips × 88 egemaps functionals" in result.output
    frame = pd.read_parquet(tmp_path / "f.parquet")
    assert "F0semitoneFrom27.5Hz_sma3nz_amean" in frame.columns


def test_extract_keeps_the_good_files_and_lists_the_bad_ones(bad: Path, tmp_path: Path) -> None:
    result = run("extract", bad, "-o", tmp_path / "f.parquet")
    assert result.exit_code == 1
    assert len(pd.read_parquet(tmp_path / "f.parquet")) == 8
    assert "3 of 11 files could not be used:" in result.stderr


def test_evaluate_takes_the_set_of_a_table(corpus: Path, tmp_path: Path) -> None:
    run("extract", "--set", "logmel", "--data", corpus / "manifest.csv", "-o", tmp_path / "f.parquet")
    result = run("evaluate", "--data", tmp_path / "f.parquet")
    assert result.exit_code == 0, result.output
    assert "| logmel   | svm" in result.output


def test_info_shows_scores_that_a_script_wrote(corpus: Path, tmp_path: Path) -> None:
    clips = list(open_dataset(str(corpus / "manifest.csv")).clips())
    X, y, groups = [clip.path for clip in clips], [clip.label for clip in clips], [clip.speaker for clip in clips]
    scores = evaluate(SERClassifier(), X, y, groups).summary()
    SERClassifier().fit(X, y, groups=groups).export(tmp_path / "m.onnx", scores=scores)
    assert "unnamed corpus, leave one of 4 speakers out: WA" in run("info", tmp_path / "m.onnx").output


def test_a_table_without_labels_does_not_train(corpus: Path, tmp_path: Path) -> None:
    run("extract", corpus, "-o", tmp_path / "f.parquet")
    result = run("fit", "--data", tmp_path / "f.parquet", "-o", tmp_path / "m.onnx")
    assert result.exit_code == 1
    assert "24 of 24 clips have no label" in result.stderr


def test_a_table_of_another_set_than_asked_for_is_refused(corpus: Path, tmp_path: Path) -> None:
    run("extract", "--data", corpus / "manifest.csv", "-o", tmp_path / "f.parquet")
    result = run("fit", "--data", tmp_path / "f.parquet", "--features", "logmel", "-o", tmp_path / "m.onnx")
    assert result.exit_code == 1
    assert "Extract them again with the same settings" in result.stderr


def test_a_table_of_functionals_does_not_train_a_backend_of_frames(corpus: Path, tmp_path: Path) -> None:
    run("extract", "--data", corpus / "manifest.csv", "-o", tmp_path / "f.parquet")
    result = run("fit", "--data", tmp_path / "f.parquet", "--backend", "cnn_lstm", "-o", tmp_path / "m.onnx")
    assert result.exit_code == 1
    assert "Extract those (--view frames)" in result.stderr


# --- evaluate ------------------------------------------------------------------------------------------------------


def test_evaluate_prints_one_row_for_each_pair_and_keeps_the_rows(corpus: Path, tmp_path: Path) -> None:
    result = run(
        "evaluate", "--data", corpus / "manifest.csv", "--features", "mfcc39", "--features", "logmel:n_mels=20",
        "--backend", "svm", "--backend", "svm:kernel=linear,C=0.1", "-o", tmp_path / "rows.jsonl",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "24 clips, 3 emotions, leave one of 4 speakers out; UA with 95 % interval over speakers" in result.output
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [(row["features"], row["backend"]) for row in rows] == [
        ("mfcc39", "svm"), ("mfcc39", "svm:kernel=linear,C=0.1"),
        ("logmel:n_mels=20", "svm"), ("logmel:n_mels=20", "svm:kernel=linear,C=0.1"),
    ]  # fmt: skip


def test_evaluation_without_speakers_is_refused_or_marked(bad: Path) -> None:
    for name in ("text.wav", "empty.wav"):
        (bad / "anger" / name).unlink()
    (bad / "happiness" / "silence.flac").unlink()
    refused = run("evaluate", "--data", bad)
    assert refused.exit_code == 1
    assert "Evaluation needs speakers" in refused.stderr
    allowed = run("evaluate", "--data", bad, "--allow-leakage", "--cv", 2)
    assert allowed.exit_code == 0, allowed.output
    assert "2 random folds, SPEAKERS LEAK" in allowed.output


def test_a_synthetic_corpus_is_called_synthetic(tmp_path: Path) -> None:
    result = run("evaluate", "--data", f"synthetic:{tmp_path}", "--cv", 2)
    assert result.exit_code == 0, result.output
    assert "SYNTHETIC speech" in result.output
    table = tmp_path / "features.parquet"
    assert run("extract", "--data", f"synthetic:{tmp_path}", "-o", table).exit_code == 0
    assert "SYNTHETIC speech" in run("evaluate", "--data", table, "--cv", 2).output
    assert (
        "SYNTHETIC features.parquet"
        in run("fit", "--data", table, "--evaluate", "--cv", 2, "-o", tmp_path / "m.onnx").output
    )
    assert "SYNTHETIC features.parquet" in run("info", tmp_path / "m.onnx").output


def below(group: click.Group, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that lead to it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from below(command, *names, name)
        else:
            yield (*names, name), command


@pytest.mark.parametrize(("words", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in below(cli)])
def test_an_option_that_counts_once_is_refused_twice(words: tuple[str, ...], command: click.Command) -> None:
    for param in command.params:
        if isinstance(param, click.Option) and not (param.multiple or param.is_flag):
            for name in param.opts:
                result = run(*words, name, "1", name, "2")
                assert result.exit_code == 2
                assert f"Error: {name} is given 2 times; {words[-1]} takes one." in result.stderr


def test_an_option_given_in_two_forms_is_given_twice() -> None:
    for words in (["-j2", "--jobs", "3"], ["--jobs=2", "-j", "3"]):
        result = run("predict", "m.onnx", "a.wav", "-o", "o.csv", *words)
        assert (result.exit_code, "--jobs is given 2 times; predict takes one." in result.stderr) == (2, True)


def test_copies_without_a_plan_for_them_are_refused() -> None:
    for command in ("fit", "tune", "evaluate"):
        result = run(command, "--data", "synthetic", "--copies", 2, *(["-o", "m.onnx"] if command == "fit" else []))
        assert result.exit_code == 2
        assert "--copies are those of --augment; give that too, as --augment standard." in result.stderr


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "--data", "nowhere", "-o", "m.onnx"], "'nowhere'"),
        (["fit", "--data", "emodbb:x", "-o", "m.onnx"], "Did you mean 'emodb'?"),
        (["fit", "--data", "synthetic", "--backend", "smv", "-o", "m.onnx"], "Did you mean 'svm'?"),
        (["fit", "--data", "synthetic", "--features", "egemap", "-o", "m.onnx"], "Did you mean 'egemaps'?"),
        (["fit", "--data", "synthetic", "--backend", "svm:D=1", "-o", "m.onnx"], "No setting of svm is named 'D'."),
        (["predict", "none.onnx", "a.wav"], "none.onnx: there is no such model file."),
        (["info", "none.onnx"], "none.onnx: there is no such model file."),
        (["extract", "none.wav", "-o", "f.parquet"], "none.wav: there is no such file."),
        (["extract", "none.wav", "--set", "mfcc39:n_fft=abc", "-o", "f.parquet"], "n_fft must be int; it is 'abc'."),
        (["fit", "--data", "synthetic", "--backend", "SVM", "-o", "m.onnx"], "Did you mean 'svm'?"),
        (
            ["fit", "--data", "synthetic", "--backend", "mfcc39", "-o", "m.onnx"],
            "'mfcc39' is a feature set: are they the wrong way round?",
        ),
        (["evaluate", "--data", "synthetic", "--test", "synthetic"], "stands in both corpora"),
        (["export", "none.joblib", "-o", "m.onnx"], "none.joblib: there is no such file; name a fitted estimator"),
    ],
)
def test_a_problem_with_the_input_is_one_line_and_exit_code_1(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["fit"],
        ["fitt"],
        ["fit", "--data", "synthetic", "-o", "m.txt"],
        ["extract", "-o", "f.parquet"],
        ["extract", "a.wav", "-o", "f.txt"],
        ["extract", "a.wav", "-o", "f.parquet", "--jobs", "0"],
        ["evaluate", "--data", "synthetic", "--cv", "one"],
        ["predict", "m.onnx"],
        ["predict", "m.onnx", "a.wav", "--format", "xml"],
        ["predict", "m.onnx", "a.wav", "-o", "t.csv", "--timeout", "nan"],
        ["serve", "m.onnx", "--max-mb", "inf"],
        ["export", "m.onnx", "--to", "ort", "-o", "m.ort", "--max-drop", "nan"],
    ],
)
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Usage: featkit" in result.stderr


def test_a_damaged_model_is_one_line(model: Path, tmp_path: Path, corpus: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model.read_bytes()[:1000])
    result = run("predict", broken, corpus / "anger 0 0.wav")
    assert result.exit_code == 1
    assert "broken.onnx: is damaged or not an ONNX model" in result.stderr
    assert result.stderr.count("\n") == 1


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(Exception, match="no such model file"):
        CliRunner().invoke(cli, ["--debug", "info", "none.onnx"], catch_exceptions=False)


def test_list_names_every_plug_in() -> None:
    result = run("list")
    assert result.exit_code == 0
    sets = ("mfcc39", "logmel", "egemaps", "wav2vec2")
    for name in (*sets, "svm", "xgboost", "cnn_lstm", "emodb", "ravdess", "synthetic"):
        assert f"  {name}" in result.output


def test_a_plug_in_that_cannot_be_loaded_costs_one_line_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"broken": EntryPoint("broken", "featkit.errors:NoSuchThing", "featkit.features")}
    monkeypatch.setattr("featkit.plugins.installed", lambda kind: broken)
    result = run("list")
    assert result.exit_code == 0
    assert "The feature set 'broken' cannot be loaded (AttributeError" in result.output


def test_list_gives_the_pip_line_of_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    monkeypatch.delitem(sys.modules, "featkit.features.opensmile", raising=False)
    result = run("list")
    assert result.exit_code == 0
    assert "pip install 'featkit[opensmile]'" in result.output


def test_the_estimator_of_a_joblib_file_is_whole(corpus: Path, tmp_path: Path) -> None:
    run("fit", "--data", corpus / "manifest.csv", "-o", tmp_path / "e.joblib")
    estimator = joblib.load(tmp_path / "e.joblib")
    assert isinstance(estimator, SERClassifier)
    assert set(estimator.classes_) == set(EMOTIONS)


# --- recipes of fit ------------------------------------------------------------------------------------------------


def test_a_preset_is_fitted_by_its_name(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = presets.Preset("two sets", (("mfcc39", "svm"), ("logmel", "svm:C=1")), augment=None)
    monkeypatch.setitem(presets.PRESETS, "two", own)
    result = run("fit", "--data", corpus / "manifest.csv", "--preset", "two", "-o", tmp_path / "m.onnx")
    assert result.exit_code == 0, result.output
    assert "Trained preset two on manifest.csv" in result.output
    assert [member["features"]["name"] for member in load(tmp_path / "m.onnx").recipe["members"]] == [
        "mfcc39",
        "logmel",
    ]


def test_settings_are_searched_before_the_fit(corpus: Path, tmp_path: Path) -> None:
    result = run("fit", "--data", corpus / "manifest.csv", "--tune", "2", "-o", tmp_path / "m.onnx")
    assert result.exit_code == 0, result.output
    assert "mfcc39 + svm, tuned with 2 trials in each fold" in result.output


def test_two_corpora_are_learned_from_as_one(corpus: Path, tmp_path: Path) -> None:
    result = run("fit", "--data", corpus / "manifest.csv", "--data", corpus / "manifest.csv", "-o", tmp_path / "m.onnx")
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "m.onnx").recipe["data"]["speakers"] == 8


def test_a_model_that_knows_speakers_is_told_them(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    assert run("fit", "--data", corpus / "manifest.csv", "--normalise", "speaker", "-o", path).exit_code == 0
    clips = sorted(corpus.glob("*.wav"))[:4]
    soundfile.write(tmp_path / "short.wav", np.zeros(100), 16_000)
    told = run("predict", path, *clips, tmp_path / "short.wav", "missing.wav", "--speaker", "one", "--format", "csv")
    want = load(path).predict_proba(clips, ["one"] * 4)
    rows = list(csv.reader(told.stdout.splitlines()))[1:]
    np.testing.assert_allclose(np.array([row[2:-1] for row in rows], dtype=float), want, atol=1e-5)
    assert (told.exit_code, "missing.wav" in told.stderr, "short.wav" in told.stderr) == (1, True, True)
    refused = run("predict", path, *clips)
    assert "say --speaker one or --speaker folder" in refused.stderr
    assert not refused.stdout


def test_a_model_that_hears_each_clip_for_itself_is_told_no_speakers(model: Path, corpus: Path) -> None:
    result = run("predict", model, *corpus.glob("*.wav"), "--speaker", "one")
    assert (result.exit_code, "hears every clip for itself; leave out --speaker" in result.stderr) == (2, True)


def test_what_trains_several_times_has_no_history(corpus: Path, tmp_path: Path) -> None:
    words = ("--tune", "2", "--history", tmp_path / "h.csv")
    result = run("fit", "--data", corpus / "manifest.csv", *words, "-o", tmp_path / "m.onnx")
    assert "--history is for one network; this recipe trains several times" in result.output


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_a_file_name_that_is_no_text_is_shown_and_ends_no_run(model: Path, corpus: Path, tmp_path: Path) -> None:
    source = next(iter(corpus.glob("*.wav")))
    name = os.fsencode(tmp_path) + b"/\xff.wav"
    Path(os.fsdecode(name)).write_bytes(source.read_bytes())
    code = "from featkit.cli import main; main()"
    env = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", model, name], capture_output=True, env=env, check=False
    )
    assert (done.returncode, b"udcff.wav" in done.stdout) == (0, True), done.stderr


def test_a_history_without_anybody_held_out_claims_no_score(corpus: Path, tmp_path: Path) -> None:
    words = ("fit", "--data", corpus / "manifest.csv", "--history", tmp_path / "h.csv", "-o", tmp_path / "m.onnx")
    plain = run(*words, "--backend", "mlp:hidden=(4,),epochs=1")
    assert "h.csv: loss, for nobody was held out to score, of 1 epoch\n" in plain.output
    held_out = run(*words, "--backend", "mlp:hidden=(4,),epochs=1,validation=0.3")
    assert "h.csv: loss and UA of 1 epoch\n" in held_out.output


def test_a_worker_that_joblib_replaces_is_not_told_of() -> None:
    text = "A worker stopped while some jobs were given to the executor."
    source = Path(process_executor.__file__).read_text(encoding="utf-8")
    assert text in re.sub(r'"\s+"', "", source)  # in joblib's own words
    code = (
        "import sys, warnings; sys.argv = ['featkit', 'info', 'none.onnx']; from featkit.cli import main\n"
        f"try: main()\nexcept SystemExit: warnings.warn({text!r}, UserWarning)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "Error: none.onnx: there is no such model file.\n"


def test_a_command_whose_packages_are_not_there_gives_the_pip_line(tmp_path: Path) -> None:
    """As where models only run: featkit without scikit-learn."""
    code = "import sys; sys.modules['sklearn'] = None; from featkit.cli import cli; cli()"
    words = ["evaluate", "--data", str(write_manifest(tmp_path))]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    told = "The command 'evaluate' needs the package 'sklearn', which is not installed: pip install scikit-learn\n"
    assert (done.returncode, done.stderr) == (1, f"Error: {told}")
