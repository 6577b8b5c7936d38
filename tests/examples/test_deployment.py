"""Examples that use a model file answer as `featkit.load` does, without featkit, in JavaScript, live and over HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from speech import speech

from featkit import SERClassifier, audio, load
from featkit.audio import SAMPLE_RATE
from featkit.errors import AudioError
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
    assert set(imports) == {"json", "os", "re", "sys", "numpy", "onnxruntime", "soundfile", "soxr"}


def test_onnxruntime_alone_says_what_it_cannot_use(
    refused: Run, model: Path, clip: Path, starting_at_features: Path, tmp_path: Path
) -> None:
    assert "load it by featkit.load" in refused("onnxruntime_only.py", starting_at_features, clip)
    short = shaped(tmp_path, "short.wav", speech().waves[0][:300])
    assert "has 300 samples at 16 000 Hz; the model needs 400" in refused("onnxruntime_only.py", model, short)
    assert "Usage: " in refused("onnxruntime_only.py", model)


@pytest.fixture(scope="session")
def spoiled(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> dict[str, Path]:
    """16-bit wavs that featkit refuses, by what is wrong with them."""
    folder, wave = tmp_path_factory.mktemp("spoiled"), speech().waves[0]
    (folder / "half.wav").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    (folder / "text.wav").write_text("I am no recording")
    return {
        "truncated": folder / "half.wav",
        "silent": shaped(folder, "silent.wav", 0 * wave),
        "short": shaped(folder, "short.wav", wave[:320]),
        "text": folder / "text.wav",
        "missing": folder / "missing.wav",
    }


@pytest.mark.parametrize("kind", ["truncated", "silent", "short", "text", "missing"])
def test_featkit_refuses_what_the_examples_must_refuse(model: Path, spoiled: dict[str, Path], kind: str) -> None:
    known = load(model)
    with pytest.raises(AudioError):
        known.predict([spoiled[kind]])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("truncated", r"half.wav is truncated: (\d+) of \d+ bytes are there\."),
        ("silent", r"silent.wav is digital silence: all its samples are zero\."),
        ("short", r"short.wav has 320 samples at 16 000 Hz; the model needs 400\."),
        ("text", r"text.wav cannot be read: Format not recognised\."),
        ("missing", r"missing.wav: there is no such file\."),
    ],
)
def test_onnxruntime_alone_refuses_in_one_line_what_featkit_refuses(
    refused: Run, model: Path, spoiled: dict[str, Path], kind: str, reason: str
) -> None:
    assert re.search(reason, refused("onnxruntime_only.py", model, spoiled[kind]))


@pytest.mark.parametrize("form", ["aiff", "au"])
def test_onnxruntime_alone_refuses_other_plain_files_that_are_truncated(
    refused: Run, model: Path, tmp_path: Path, form: str
) -> None:
    whole = shaped(tmp_path, f"whole.{form}", speech().waves[0])
    (tmp_path / f"half.{form}").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert "is truncated" in refused("onnxruntime_only.py", model, tmp_path / f"half.{form}")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("rate", [SAMPLE_RATE, 48_000])
def test_onnxruntime_alone_refuses_samples_that_are_not_finite(
    refused: Run, model: Path, tmp_path: Path, value: float, rate: int
) -> None:
    wave = speech().waves[0].copy()
    wave[100] = value
    clip = shaped(tmp_path, "nan.wav", wave, rate, "FLOAT")
    assert "nan.wav holds samples that are not finite" in refused("onnxruntime_only.py", model, clip)


def test_onnxruntime_alone_says_what_is_no_model_of_featkit(
    refused: Run, model: Path, clip: Path, spoiled: dict[str, Path], tmp_path: Path
) -> None:
    assert "none.onnx: there is no such file." in refused("onnxruntime_only.py", tmp_path / "none.onnx", clip)
    assert re.search(r"text.wav cannot be read: .*Protobuf", refused("onnxruntime_only.py", spoiled["text"], clip))
    foreign = onnx.load(model)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    assert "was not written by featkit" in refused("onnxruntime_only.py", tmp_path / "foreign.onnx", clip)


@pytest.fixture
def streamed(clip: Path, tmp_path: Path) -> Path:
    """A wav of unknown length, as programs write it into a pipe: its sizes are the largest there are."""
    content = clip.read_bytes()
    at = content.index(b"data") + 4
    unknown = b"\xff" * 4
    path = tmp_path / "streamed.wav"
    path.write_bytes(content[:4] + unknown + content[8:at] + unknown + content[at + 4 :])
    return path


def test_onnxruntime_alone_reads_a_wav_of_unknown_length(run: Run, model: Path, clip: Path, streamed: Path) -> None:
    agree(probabilities(run("onnxruntime_only.py", model, streamed)), model, clip)


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


def test_node_reads_a_wav_of_unknown_length(node: Path, model: Path, clip: Path, streamed: Path) -> None:
    agree(json.loads(in_node(node, model, streamed).stdout)["probabilities"], model, clip)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("truncated", r"The clip is truncated: \d+ of \d+ bytes are there\."),
        ("silent", r"The clip is digital silence: all its samples are zero\."),
        ("short", r"The clip has 320 samples; the model needs 400\."),
        ("text", r"The clip is not a wav file\."),
        ("missing", r"ENOENT: no such file or directory, open '.*missing\.wav'"),
    ],
)
def test_node_refuses_in_one_line_what_featkit_refuses(
    node: Path, model: Path, spoiled: dict[str, Path], kind: str, reason: str
) -> None:
    done = in_node(node, model, spoiled[kind])
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(reason + r"\n", done.stderr)


def test_node_says_what_is_no_model_of_featkit(
    node: Path, model: Path, clip: Path, spoiled: dict[str, Path], tmp_path: Path
) -> None:
    done = in_node(node, spoiled["text"], clip)
    assert (done.returncode, done.stderr) == (1, "The model was not written by featkit.\n")
    done = in_node(node, tmp_path / "none.onnx", clip)
    assert done.returncode == 1
    assert re.fullmatch(r"ENOENT: .*none\.onnx'\n", done.stderr)


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


def test_live_from_file_says_in_one_line_what_it_cannot_use(refused: Run, model: Path, clip: Path) -> None:
    assert refused("live_from_file.py", model, "none.wav") == "none.wav: there is no such file."
    assert refused("live_from_file.py", "none.onnx", clip) == "none.onnx: there is no such model file."
    assert "speed above 0" in refused("live_from_file.py", model, clip, "--speed", "0")


def test_live_from_file_ends_in_peace_when_its_reader_has_had_enough(model: Path, tmp_path: Path) -> None:
    talk = shaped(tmp_path, "talk.wav", np.concatenate(speech().waves[:6]))
    command = [sys.executable, str(EXAMPLES / "live_from_file.py"), str(model), str(talk), "--speed", "inf"]
    reader, writer = os.pipe()
    os.close(reader)  # so that the first line already finds nobody
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def client(*words: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "serve_client.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_serve_client_starts_a_server_asks_it_and_stops_it(run: Run, model: Path, clip: Path, tmp_path: Path) -> None:
    other = shaped(tmp_path, "other.flac", speech().waves[1])
    *rows, last = run("serve_client.py", model, clip, other).splitlines()
    labels = load(model).predict([clip, other])
    assert rows == [f"{clip}: {labels[0]}", f"{other}: {labels[1]}"]
    told = json.loads(last)
    assert told["label"] == labels[0]
    agree(told["probabilities"], model, clip)


def test_serve_client_has_a_line_for_every_file_and_fails_where_one_did(
    model: Path, clip: Path, spoiled: dict[str, Path], tmp_path: Path
) -> None:
    done = client(model, spoiled["missing"], spoiled["text"], clip, tmp_path)
    first, second = done.stdout.splitlines()
    assert first == f"{clip}: {load(model).predict([clip])[0]}"
    agree(json.loads(second)["probabilities"], model, clip)
    assert done.returncode == 1
    reasons = dict(line.split(": ", 1) for line in done.stderr.splitlines())
    assert list(reasons) == [str(spoiled["missing"]), str(tmp_path), str(spoiled["text"])]
    assert reasons[str(spoiled["missing"])] == "No such file or directory"
    assert reasons[str(spoiled["text"])].startswith("The clip is text, not audio")


def test_serve_client_gives_the_reason_where_the_server_refuses(refused: Run, model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("I am no recording")
    assert refused("serve_client.py", model, text).startswith(f"{text}: The clip is text, not audio")
    many = [tmp_path / f"{i}.wav" for i in range(101)]
    for path in many:
        path.write_text("I am no recording")
    assert "100" in refused("serve_client.py", model, *many)


def test_serve_client_says_why_the_server_did_not_start(refused: Run, model: Path, clip: Path) -> None:
    told = refused("serve_client.py", model.with_name("none.onnx"), clip)
    assert told.endswith("none.onnx: there is no such model file.")
