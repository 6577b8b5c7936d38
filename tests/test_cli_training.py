"""`featkit fit` of a network as a program: killed, interrupted, gone on with, and watched."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from speech import speech, write_wav

from featkit import SERClassifier, load
from featkit.cli import cli
from featkit.corpus import read_corpus
from featkit.lock import locked

NETWORK = "cnn_lstm:channels=(8,12),hidden=8,batch_size=8,validation=0.25,patience=10000,epochs={}"


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="featkit")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rows = ["file,label,speaker"]
    for i, (wave, label, speaker) in enumerate(zip(*speech(), strict=True)):
        write_wav(folder / f"{i}.wav", wave)
        rows.append(f"{i}.wav,{label},{speaker}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder / "manifest.csv"


def stopped(number: int, manifest: Path, output: Path, backend: str) -> tuple[int, str]:
    """Start a real `featkit fit`, send it a signal when some epochs are done, and wait for its end."""
    words = ["fit", "--data", manifest, "--backend", backend, "--augment", "noise", "--copies", 1, "-o", output]
    process = subprocess.Popen(
        [sys.executable, "-m", "featkit", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    checkpoint = output.with_name(output.name + ".checkpoint")
    try:
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(number)
        output_text, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return process.returncode, output_text


def probabilities(model: Path) -> Any:
    return load(model).predict_proba(speech().waves)


def test_a_killed_fit_goes_on_to_the_model_of_an_uninterrupted_one(manifest: Path, tmp_path: Path) -> None:
    backend = NETWORK.format(300)
    code, _ = stopped(signal.SIGKILL, manifest, tmp_path / "a.onnx", backend)
    assert code == -signal.SIGKILL
    words = ["--data", manifest, "--backend", backend, "--augment", "noise", "--copies", 1]
    refused = run("fit", *words, "-o", tmp_path / "a.onnx")
    assert refused.exit_code == 1
    assert "training for this output did not end. Add --resume to go on with it" in refused.output
    resumed = run("fit", *words, "-o", tmp_path / "a.onnx", "--resume")
    assert resumed.exit_code == 0, resumed.output
    whole = run("fit", *words, "-o", tmp_path / "b.onnx")
    assert whole.exit_code == 0, whole.output
    np.testing.assert_array_equal(probabilities(tmp_path / "a.onnx"), probabilities(tmp_path / "b.onnx"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "a.onnx", "b.md", "b.onnx"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_writes_the_best_model_so_far_and_says_so(manifest: Path, tmp_path: Path) -> None:
    code, text = stopped(signal.SIGINT, manifest, tmp_path / "a.onnx", NETWORK.format(100_000))
    assert code == 130, text
    assert "Warning: cnn_lstm: stopped by Ctrl-C after" in text
    assert "of 100000 epochs; the weights of epoch" in text
    assert (tmp_path / "a.onnx.checkpoint").exists()
    assert np.isfinite(probabilities(tmp_path / "a.onnx")).all()
    assert re.search(r"trained on .*; stopped by Ctrl-C after \d+ epochs?\n", run("info", tmp_path / "a.onnx").stdout)


def test_two_trainings_for_one_output_do_not_meet(manifest: Path, tmp_path: Path) -> None:
    words = ["fit", "--data", manifest, "--backend", NETWORK.format(2), "-o", tmp_path / "a.onnx"]
    with locked(tmp_path / ".a.onnx.lock", tmp_path / "a.onnx"):
        refused = run(*words)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"{tmp_path / 'a.onnx'}: another run is at work on it; wait for its end, or name another" in refused.stderr
    assert run(*words).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "a.onnx"]


@pytest.mark.parametrize("backend", ["svm", "mlp:epochs=1"])
def test_a_manifest_needs_no_pyarrow(manifest: Path, tmp_path: Path, backend: str) -> None:
    """What `pip install featkit` brings must be able to learn from a table of one's own."""
    words = ["fit", "--data", str(manifest), "--backend", backend, "-o", str(tmp_path / "m.onnx")]
    code = f"""
import sys
from importlib.abc import MetaPathFinder

class Without(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError("there is none", name=name)

sys.meta_path.insert(0, Without())
from featkit.cli import cli
cli({words!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.onnx").exists()


def test_a_history_that_cannot_be_written_is_told_before_training(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "curve.png").mkdir()
    words = ["fit", "--data", manifest, "--backend", "mlp:epochs=1", "-o", tmp_path / "m.onnx"]
    result = run(*words, "--history", tmp_path / "curve.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "curve.png: is a folder; name a file." in result.stderr
    (tmp_path / "run.md").write_text("somebody's own, and nobody asks for its place")
    assert run(*words, "--history", tmp_path / "run.csv").exit_code == 0


def test_the_history_is_written_as_table_and_picture(manifest: Path, tmp_path: Path) -> None:
    table, picture = tmp_path / "run.csv", tmp_path / "run.png"
    words = ["--data", manifest, "--backend", NETWORK.format(3), "-o", tmp_path / "a.onnx"]
    result = run("fit", *words, "--history", table, "--history", picture)
    assert result.exit_code == 0, result.output
    assert f"{table}: loss and UA of 3 epochs" in result.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    corpus = read_corpus(str(manifest))
    again = SERClassifier("mfcc39", NETWORK.format(3)).fit(corpus.files, corpus.labels, groups=corpus.speakers)
    rows = pd.read_csv(table)
    assert list(rows) == ["epoch", "lr", "loss", "validation_loss", "validation_ua"]
    for name in rows:
        assert rows[name].tolist() == pytest.approx([row[name] for row in again.history_], rel=1e-5)


def test_a_picture_that_cannot_be_drawn_is_told_before_training(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = ["fit", "--data", manifest, "--backend", "mlp:epochs=1", "-o", tmp_path / "m.onnx"]
    result = run(*words, "--history", tmp_path / "curve.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "pip install 'featkit[plot]'" in result.stderr
    assert run(*words, "--history", tmp_path / "curve.csv").exit_code == 0


def test_the_model_knows_how_it_was_augmented(manifest: Path, tmp_path: Path) -> None:
    result = run(
        "fit", "--data", manifest, "--augment", "noise+gain", "--copies", 2, "--backend", "mlp:epochs=2", "-o",
        tmp_path / "a.onnx",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "a.onnx").recipe["data"]["augment"] == {"plan": "noise+gain", "copies": 2, "seed": 0}
    assert ", 2 copies of each by noise+gain" in run("info", tmp_path / "a.onnx").output


def test_evaluate_shows_augmentation_in_its_table(manifest: Path, tmp_path: Path) -> None:
    result = run(
        "evaluate", "--data", manifest, "--augment", "noise", "--copies", 2, "-o", tmp_path / "rows.jsonl"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "| noise × 2 |" in result.output
    assert json.loads((tmp_path / "rows.jsonl").read_text())["augment"] == "noise × 2"


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["--resume"], "--resume is for networks; svm does not train in epochs", 2),
        (["--history", "x.csv"], "--history is for networks; svm does not train in epochs", 2),
        (["--history", "x.txt"], "--history must end in .csv, .png, .svg or .pdf; it is 'x.txt'", 2),
        (["--backend", "mlp", "--resume"], "there is no checkpoint to go on from; leave out --resume", 1),
        (["--augment", "nose"], "Did you mean 'noise'", 1),
        (["--backend", "mlp:epochs=0"], "mlp: epochs lies between 1 and", 1),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: list[str], message: str, code: int, manifest: Path, tmp_path: Path
) -> None:
    result = run("fit", "--data", manifest, "-o", tmp_path / "a.onnx", *words)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert not (tmp_path / "a.onnx").exists()


def test_a_feature_table_cannot_be_augmented(manifest: Path, tmp_path: Path) -> None:
    table = tmp_path / "features.parquet"
    assert run("extract", "--data", manifest, "-o", table).exit_code == 0
    result = run("fit", "--data", table, "--augment", "noise", "-o", tmp_path / "a.onnx")
    assert result.exit_code == 1
    assert "augmentation needs the recordings" in result.output
