"""The apps on Flask and Gradio really start, answer as `featkit.load` does, and refuse what is no clip."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from speech import speech

from featkit import load
from featkit.audio import SAMPLE_RATE

EXAMPLES = Path(__file__).parents[2] / "examples"
Run = Callable[..., str]


def encoded(wave: Any, rate: int = SAMPLE_RATE, form: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=form)
    return file.getvalue()


@pytest.fixture
def flask_client(model: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("flask", reason="Flask is not installed")
    monkeypatch.setenv("MODEL", str(model))
    spec = importlib.util.spec_from_file_location("flask_app", EXAMPLES / "flask_app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app.test_client()


def posted(client: Any, content: bytes, name: str = "clip.wav") -> Any:
    return client.post("/predict", data={"file": (io.BytesIO(content), name)})


def test_the_flask_app_has_under_40_lines() -> None:
    assert len((EXAMPLES / "flask_app.py").read_text().splitlines()) < 40


def test_the_flask_app_answers_as_featkit(flask_client: Any, model: Path, clip: Path) -> None:
    answer = posted(flask_client, clip.read_bytes())
    known = load(model)
    assert (answer.status_code, answer.json["label"]) == (200, known.predict([clip])[0])
    assert list(answer.json["probabilities"]) == known.labels
    np.testing.assert_allclose(list(answer.json["probabilities"].values()), known.predict_proba([clip])[0], atol=1e-6)


def test_the_flask_app_takes_other_rates_and_channels(flask_client: Any, model: Path, tmp_path: Path) -> None:
    stereo = np.stack([np.repeat(speech().waves[2], 2)] * 2, axis=1)
    (tmp_path / "stereo.flac").write_bytes(encoded(stereo, 32_000, "FLAC"))
    answer = posted(flask_client, (tmp_path / "stereo.flac").read_bytes(), "stereo.flac")
    expected = load(model).predict_proba([tmp_path / "stereo.flac"])[0]
    np.testing.assert_allclose(list(answer.json["probabilities"].values()), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"I am no recording", 422, "is text, not audio"),
        (b"", 422, "is empty (0 bytes)"),
        (encoded(np.zeros(SAMPLE_RATE)), 422, "digital silence"),
        (encoded(speech().waves[0][:300]), 422, "has 300 samples"),
        (encoded(np.zeros(61 * SAMPLE_RATE), form="FLAC"), 422, "60 s"),
    ],
    ids=["text", "empty", "silent", "short", "long"],
)
def test_the_flask_app_refuses_in_json(flask_client: Any, content: bytes, status: int, reason: str) -> None:
    answer = posted(flask_client, content)
    assert (answer.status_code, list(answer.json)) == (status, ["error"])
    assert reason in answer.json["error"]


def test_the_flask_app_refuses_a_large_upload(flask_client: Any, clip: Path) -> None:
    settings = flask_client.application.config
    assert settings["MAX_CONTENT_LENGTH"] == 10_000_000
    settings["MAX_CONTENT_LENGTH"] = clip.stat().st_size  # the form comes on top
    answer = posted(flask_client, clip.read_bytes())
    assert (answer.status_code, list(answer.json)) == (413, ["error"])


def test_the_flask_app_says_how_to_send_a_file(flask_client: Any) -> None:
    answer = flask_client.post("/predict", data=b"raw")
    assert (answer.status_code, answer.json) == (400, {"error": "Send the recording as the form field 'file'."})
    assert flask_client.get("/predict").status_code == 405
    assert "error" in flask_client.get("/elsewhere").json


def test_the_flask_app_runs_as_its_first_lines_say(serving: Any, model: Path, clip: Path) -> None:
    pytest.importorskip("flask", reason="Flask is not installed")
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="c.wav"\r\n\r\n' + clip.read_bytes()
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    words = ("-m", "flask", "--app", EXAMPLES / "flask_app.py", "run", "--port", "{port}")
    with serving(*words, MODEL=model) as url:
        request = urllib.request.Request(f"{url}/predict", body + b"\r\n--x--\r\n", kind)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["label"] == load(model).predict([clip])[0]


def test_the_flask_app_says_in_one_line_what_is_missing(without: Run, model: Path, tmp_path: Path) -> None:
    assert without("flask", "flask_app.py", MODEL=model) == "This example needs Flask: pip install flask"
    pytest.importorskip("flask", reason="Flask is not installed")
    words = [sys.executable, "-m", "flask", "--app", str(EXAMPLES / "flask_app.py"), "run"]
    given = os.environ | {"MODEL": "none.onnx"}
    done = subprocess.run(words, cwd=tmp_path, env=given, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "none.onnx: there is no such model file.\n")


def test_the_gradio_app_says_in_one_line_what_is_missing(without: Run, refused: Run) -> None:
    assert without("gradio", "gradio_app.py") == "This example needs Gradio: pip install gradio"
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("Gradio is not installed")
    assert refused("gradio_app.py", "none.onnx") == "none.onnx: there is no such model file."


ASK = """
import json, sys
from gradio_client import Client, handle_file

client = Client(sys.argv[1], verbose=False)
for word in sys.argv[2:]:
    try:
        answer = client.predict(handle_file(word) if word != "nothing" else None, api_name="/predict")
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))
"""


def test_the_gradio_app_answers_as_featkit(serving: Any, model: Path, clip: Path, tmp_path: Path) -> None:
    for name in ("gradio", "gradio_client"):  # only looked for: it takes seconds to import
        if importlib.util.find_spec(name) is None:
            pytest.skip("Gradio is not installed")
    (tmp_path / "silent.wav").write_bytes(encoded(np.zeros(SAMPLE_RATE)))
    (tmp_path / "stereo.wav").write_bytes(encoded(np.stack([np.repeat(speech().waves[4], 2)] * 2, axis=1), 32_000))
    files = [clip, tmp_path / "stereo.wav", tmp_path / "silent.wav"]
    with serving(EXAMPLES / "gradio_app.py", model, "--port", "{port}", GRADIO_TEMP_DIR=tmp_path) as url:
        command = [sys.executable, "-c", ASK, url, *map(str, files), "nothing"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    first, second, silent, nothing = map(json.loads, done.stdout.splitlines())
    known = load(model)
    for path, answer in zip(files, (first, second), strict=False):
        told = {row["label"]: row["confidence"] for row in answer["confidences"]}
        assert answer["label"] == known.predict([path])[0]
        np.testing.assert_allclose([told[label] for label in known.labels], known.predict_proba([path])[0], atol=1e-5)
    assert "digital silence" in silent["error"]
    assert nothing["error"] == "Record something or choose a file first."
