"""Examples that use a model file answer as `featkit.load` does, without featkit, in JavaScript, live and over HTTP."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from speech import speech

from featkit import SERClassifier, audio, load
from featkit.audio import SAMPLE_RATE
from featkit.stream import sliding

EXAMPLES = Path(__file__).parents[2] / "examples"
Run = Callable[..., str]


@pytest.fixture(scope="session")
def starting_at_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is no graph from the waveform on, as those on openSMILE's sets are not."""
    path = tmp_path_factory.mktemp("features") / "features.onnx"
    told = SERClassifier(normalise="speaker").fit(speech().waves, speech().labels, groups=speech().speakers)
    told.export(path)
    return path


def shaped(folder: Path, name: str, wave: Any, rate: int = SAMPLE_RATE, subtype: str = "PCM_16") -> Path:
    soundfile.write(folder / name, wave, rate, subtype)
    return folder / name


def probabilities(told: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(\w+) +(\d\.\d+)$", told, re.MULTILINE)}


def agree(told: dict[str, float], model: Path, clip: Path) -> None:
    """By name, within what is rounded away in print."""
    known = load(model)
    assert list(told) == known.labels
    np.testing.assert_allclose(list(told.values()), known.predict_proba([clip])[0], atol=1e-5)


def test_onnxruntime_alone_answers_as_featkit(run: Run, model: Path, clip: Path) -> None:
    told = run("onnxruntime_only.py", model, clip)
    assert told.splitlines()[0] == load(model).predict([clip])[0]
    agree(probabilities(told), model, clip)


def test_onnxruntime_alone_converts_rate_and_channels_as_featkit(run: Run, model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stereo = np.stack([np.repeat(speech().waves[1], 3), 0.01 * rng.standard_normal(3 * speech().waves[1].size)], axis=1)
    clip = shaped(tmp_path, "48k.flac", stereo, 48_000)
    agree(probabilities(run("onnxruntime_only.py", model, clip)), model, clip)


def test_onnxruntime_alone_imports_no_featkit() -> None:
    imports = re.findall(r"^\s*(?:import|from) (\w+)", (EXAMPLES / "onnxruntime_only.py").read_text(), re.MULTILINE)
    assert set(imports) == {"json", "os", "sys", "numpy", "onnxruntime", "soundfile", "soxr"}


def test_onnxruntime_alone_says_what_it_cannot_use(
    refused: Run, model: Path, clip: Path, starting_at_features: Path, tmp_path: Path
) -> None:
    assert "load it by featkit.load" in refused("onnxruntime_only.py", starting_at_features, clip)
    short = shaped(tmp_path, "short.wav", speech().waves[0][:300])
    assert "has 300 samples at 16 000 Hz; the model needs 400" in refused("onnxruntime_only.py", model, short)
    assert "Usage: " in refused("onnxruntime_only.py", model)


UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT")


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example for Node with what it needs, installed as its first lines say."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node") / "example"
    shutil.copytree(EXAMPLES / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(["npm", "ci"], cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip("npm does not reach its registry")
    assert done.returncode == 0, done.stderr
    return folder


def in_node(folder: Path, *words: Path) -> subprocess.CompletedProcess[str]:
    command = ["node", "predict.mjs", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_node_answers_as_featkit(node: Path, model: Path, clip: Path) -> None:
    done = in_node(node, model, clip)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["label"] == load(model).predict([clip])[0]
    agree(told["probabilities"], model, clip)


def test_node_passes_over_other_chunks_of_a_wav(node: Path, model: Path, clip: Path, tmp_path: Path) -> None:
    content = clip.read_bytes()
    odd = b"LIST" + (5).to_bytes(4, "little") + b"12345\0"  # a chunk of odd length is followed by a byte of nothing
    (tmp_path / "odd.wav").write_bytes(content[:12] + odd + content[12:])
    agree(json.loads(in_node(node, model, tmp_path / "odd.wav").stdout)["probabilities"], model, clip)


def test_node_says_what_it_cannot_use(
    node: Path, model: Path, clip: Path, starting_at_features: Path, tmp_path: Path
) -> None:
    wave = speech().waves[0]
    (tmp_path / "text.wav").write_text("I am no recording")
    other = [shaped(tmp_path, "44k.wav", wave, 44_100), shaped(tmp_path, "float.wav", wave, subtype="FLOAT")]
    cases = [
        *(([model, path], "The clip must be 16-bit PCM, mono, 16 000 Hz.") for path in other),
        ([model, tmp_path / "text.wav"], "The clip is not a wav file."),
        ([starting_at_features, clip], "The model starts at features that featkit computes."),
        ([model], "Usage: node predict.mjs model.onnx clip.wav"),
    ]
    for words, reason in cases:
        done = in_node(node, *words)
        assert (done.returncode, done.stderr) == (1, f"{reason}\n")


def test_live_from_file_tells_every_window(run: Run, model: Path, tmp_path: Path) -> None:
    silence = 1e-5 * np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE)
    talk = shaped(tmp_path, "talk.wav", np.concatenate([*speech().waves[:3], silence, *speech().waves[3:6]]))
    lines = run("live_from_file.py", model, talk, "--speed", "inf").splitlines()
    segments = sliding(load(model), audio.load(talk), window=2.0, hop=0.5)
    assert [float(line.split()[0]) for line in lines] == [round(segment.end, 1) for segment in segments]
    assert any(line.split()[2:] == ["silence"] for line in lines)
    labels = [line.split()[2] for line in lines if re.search(r"\d\.\d\d$", line)]
    assert labels
    assert set(labels) <= set(load(model).labels)


def test_serve_client_starts_a_server_asks_it_and_stops_it(run: Run, model: Path, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("I am no recording")
    first, *rows = run("serve_client.py", model, clip, tmp_path / "text.wav").splitlines()
    told = json.loads(first)
    agree(told["probabilities"], model, clip)
    assert rows[0] == f"clip.wav: {told['label']}"
    assert rows[1].startswith("text.wav: The clip is text, not audio")
    assert len(rows) == 2


def test_serve_client_gives_the_reason_where_the_server_refuses(refused: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("I am no recording")
    assert refused("serve_client.py", model, tmp_path / "text.wav").startswith("The clip is text, not audio")


def test_serve_client_says_why_the_server_did_not_start(refused: Run, model: Path, clip: Path) -> None:
    told = refused("serve_client.py", model.with_name("none.onnx"), clip)
    assert told.endswith("none.onnx: there is no such model file.")
