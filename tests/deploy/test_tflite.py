"""TFLite forms in LiteRT's interpreter alone: waveform in, the model's answers out. They skip without the converter."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from speech import EMOTIONS, fitted, speech

from featkit import load
from featkit.cli import cli
from featkit.deploy import tflite
from featkit.deploy.clips import Clips
from featkit.deploy.convert import convert
from featkit.deploy.tflite import to_tflite
from featkit.errors import ExportError, PluginError

SAID = speech()
CLIPS = Clips(SAID.waves, SAID.labels, SAID.speakers)
SECONDS = 1.0  # of an LSTM every step is written out, so a short window is converted sooner
NETWORKS = (("mfcc39", "cnn_lstm"), ("logmel", "conformer"), ("mfcc39", "transformer"), ("mfcc39", "tdnn"),
            ("mfcc39", "mlp"))  # fmt: skip


def test_without_the_converter_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    path = tmp_path / "model.onnx"
    fitted("mfcc39", "mlp").export(path)
    with pytest.raises(PluginError, match=r"needs the package 'litert_torch', .* pip install 'featkit\[mobile\]'"):
        convert(path, "tflite", tmp_path / "phone")
    result = CliRunner().invoke(cli, ["export", str(path), "--to", "tflite", "-o", str(tmp_path / "phone")])
    assert result.exit_code == 1
    assert result.output.startswith("Error: The conversion to TFLite needs the package 'litert_torch'")
    assert result.output.count("\n") == 1
    assert not (tmp_path / "phone").exists()


@pytest.fixture(scope="module")
def converter() -> None:
    pytest.importorskip("litert_torch", exc_type=ImportError)
    pytest.importorskip("ai_edge_quantizer", exc_type=ImportError)


@pytest.fixture(scope="module")
def made(converter: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each network in each form; its 32-bit form is converted once."""
    folder = tmp_path_factory.mktemp("tflite")
    reports: dict[Any, Any] = {}
    contents: dict[Path, bytes] = {}

    def once(source: Any, samples: int) -> bytes:
        if source.path not in contents:
            contents[source.path] = to_tflite(source, samples)
        return contents[source.path]

    def get(features: str, backend: str, form: str) -> tuple[Path, Any]:
        path = folder / f"{backend}.onnx"
        if not path.exists():
            fitted(features, backend).export(path)
        if (backend, form) not in reports:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(tflite, "to_tflite", once)
                output = folder / f"{backend}-{form}"
                # A second is short for clips of up to 1.6 s: what is looked at here is what 8 bits change.
                reports[backend, form] = convert(path, form, output, clips=CLIPS, max_drop=100, seconds=SECONDS)
        return path, reports[backend, form]

    return get


def interpreted(path: Path, wave: Any) -> Any:
    """LiteRT's interpreter, used as its own documentation does."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (given,), (told,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["shape"].tolist() == [1, 16_000]
    assert told["shape"].tolist() == [1, len(EMOTIONS)]
    interpreter.set_tensor(given["index"], wave[None])
    interpreter.invoke()
    return interpreter.get_tensor(told["index"])[0]


@pytest.mark.parametrize(("features", "backend"), NETWORKS)
def test_the_interpreter_answers_as_onnxruntime(made: Any, features: str, backend: str) -> None:
    model, report = made(features, backend, "tflite")
    assert report.comparison.max_difference <= 1e-4
    for wave in SAID.waves[:4]:
        part = np.resize(wave, 16_000)
        np.testing.assert_allclose(interpreted(report.path, part), load(model).predict_proba([part])[0], atol=1e-4)


@pytest.mark.parametrize("form", ["tflite-int8", "tflite-int8-full"])
@pytest.mark.parametrize(("features", "backend"), NETWORKS)
def test_in_8_bits_the_labels_stay(made: Any, features: str, backend: str, form: str) -> None:
    model, report = made(features, backend, form)
    assert report.comparison.agreement >= 0.95  # one of 24 clips
    wave = np.resize(SAID.waves[5], 16_000)
    np.testing.assert_allclose(interpreted(report.path, wave), load(model).predict_proba([wave])[0], atol=0.2)


def test_features_stay_in_32_bits(made: Any) -> None:
    from ai_edge_litert.interpreter import Interpreter

    _, report = made("mfcc39", "tdnn", "tflite-int8-full")
    interpreter = Interpreter(str(report.path))
    kinds = [(detail["name"], detail["dtype"]) for detail in interpreter.get_tensor_details()]
    front = [kind for name, kind in kinds if "Front_front" in name and kind is not np.int32]
    network = [kind for name, kind in kinds if "Network_network" in name]
    assert front.count(np.float32) > 20
    assert set(front) <= {np.float32, np.int8}
    assert front.count(np.int8) <= 1  # what is handed over to the network
    assert network.count(np.int8) > 0.5 * len(network)


def test_the_folder_holds_labels_and_a_readme_whose_code_runs_with_litert_alone(made: Any, tmp_path: Path) -> None:
    model, report = made("mfcc39", "tdnn", "tflite")
    folder = report.path.parent
    assert {path.name for path in folder.iterdir()} == {"model.tflite", "labels.txt", "README.md"}
    assert (folder / "labels.txt").read_text().split() == list(EMOTIONS)
    readme = (folder / "README.md").read_text()
    assert "`float32 [1, 16000]`: mono, 16000 Hz" in readme
    assert report.comparison.table() in readme
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    long = np.concatenate(SAID.waves[:3])
    np.save(tmp_path / "waves.npy", np.stack([np.resize(SAID.waves[0][:9000], long.size), long]))
    code += (
        f"import sys\nfor wave in np.load({str(tmp_path / 'waves.npy')!r}):\n    print(*probabilities(wave))\n"
        "assert not {'torch', 'featkit', 'onnxruntime', 'jax'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line, wave in zip(done.stdout.splitlines(), np.load(tmp_path / "waves.npy"), strict=True):
        parts = tflite.windows(wave, 16_000)
        expected = load(model).predict_proba(parts).mean(axis=0)
        np.testing.assert_allclose([float(word) for word in line.split()], expected, atol=1e-4)


def test_the_other_languages_speak_of_the_same_window(made: Any) -> None:
    _, report = made("mfcc39", "tdnn", "tflite")
    readme = (report.path.parent / "README.md").read_text()
    kotlin, swift = (re.search(rf"```{name}\n(.*?)```", readme, re.DOTALL) for name in ("kotlin", "swift"))
    assert kotlin is not None
    assert swift is not None
    for text in (kotlin[1], swift[1]):
        assert "16000" in text
        assert "SAMPLES" not in text
        assert len(text.splitlines()) <= 20


def test_operators_that_are_not_known_have_no_mobile_form(
    converter: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featkit.deploy import torch_graph

    fitted("mfcc39", "mlp").export(tmp_path / "model.onnx")
    monkeypatch.delitem(torch_graph.OPERATORS, "Relu")
    with pytest.raises(ExportError, match=r"no mobile form: Relu\..* use --to ort"):
        convert(tmp_path / "model.onnx", "tflite", tmp_path / "phone")
    assert not (tmp_path / "phone").exists()


def test_the_converter_is_silent_and_logging_is_as_before(converter: None, tmp_path: Path) -> None:
    """In a process of its own: some of what is silenced is told only once, and by C++."""
    fitted("mfcc39", "mlp").export(tmp_path / "model.onnx")
    code = (
        "import logging, sys\nfrom pathlib import Path\nfrom featkit.deploy.convert import convert\n"
        "convert(Path(sys.argv[1]), 'tflite', Path(sys.argv[2]))\n"
        "root = logging.getLogger()\nassert (root.level, root.handlers, root.manager.disable) == (30, [], 0)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.onnx"), str(tmp_path / "phone")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("seconds", [0.1, 61.0, float("nan")])
def test_a_window_has_a_sensible_length(converter: None, tmp_path: Path, seconds: float) -> None:
    fitted("mfcc39", "mlp").export(tmp_path / "model.onnx")
    with pytest.raises(ExportError, match=r"A window lasts 0\.5 to 60 s; it is"):
        convert(tmp_path / "model.onnx", "tflite", tmp_path / "phone", seconds=seconds)


def test_8_bits_need_speech_to_be_judged_on(converter: None, tmp_path: Path) -> None:
    fitted("mfcc39", "mlp").export(tmp_path / "model.onnx")
    with pytest.raises(ExportError, match="tflite-int8 rounds, so it is judged on real speech"):
        convert(tmp_path / "model.onnx", "tflite-int8", tmp_path / "phone")


def test_what_the_converter_cannot_do_is_one_line(
    converter: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import litert_torch

    def fail(*given: Any) -> Any:
        raise RuntimeError("an operator\nand a long story")

    monkeypatch.setattr(litert_torch, "convert", fail)
    fitted("mfcc39", "mlp").export(tmp_path / "model.onnx")
    with pytest.raises(ExportError, match=r"cannot be converted to TFLite \(RuntimeError: an operator\)"):
        convert(tmp_path / "model.onnx", "tflite", tmp_path / "phone")
