"""The demo trains, exports and checks, and calls its speech synthetic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from featkit import demo, load
from featkit.cli import cli
from featkit.datasets.synthetic import Synthetic, synthesise


def test_the_demo_leaves_models_and_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = Synthetic(tmp_path / "clips", n_speakers=3, n_sentences=1, n_takes=1)
    monkeypatch.setattr("featkit.corpus.open_dataset", lambda spec: small)
    monkeypatch.setattr(demo, "BACKENDS", ("svm", "xgboost:n_estimators=5", "cnn_lstm:epochs=1"))
    demo.run(tmp_path / "out")
    printed = capsys.readouterr().out
    assert "SYNTHETIC speech, mfcc39, leave one of 3 speakers out" in printed
    for name in ("svm", "xgboost", "cnn_lstm"):
        model = load(tmp_path / "out" / f"{name}.onnx")
        assert model.inputs == ["wave"]
        assert model.recipe["scores"]["synthetic"] is True
        assert model.predict([synthesise("anger", 0, 0, 0)])[0] in model.labels
        assert f"| {name}" in printed
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [row["clips"] for row in rows] == [21, 21, 21]


@pytest.mark.parametrize("flag", ["-o", "--output"])
def test_the_command_says_where_to_as_all_others_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(demo, "run", lambda folder, progress: asked.append(folder))
    done = CliRunner().invoke(cli, ["demo", flag, str(tmp_path / "x")])
    assert (done.exit_code, asked) == (0, [tmp_path / "x"])
