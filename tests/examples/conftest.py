"""A corpus and a model as a user has them, and the ways to run an example: as its docstring says, from a shell."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import soundfile
from speech import fitted, speech

from featkit.audio import SAMPLE_RATE
from featkit.datasets.synthetic import Synthetic
from featkit.tables import csv_table

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 56 clips: 4 speakers say 2 sentences in 7 emotions."""
    folder = tmp_path_factory.mktemp("corpus")
    clips = Synthetic(folder, n_speakers=4, n_sentences=2, n_takes=1, seed=2).clips()
    rows = [{"file": c.path, "label": c.label, "speaker": c.speaker, "text": c.text} for c in clips]
    (folder / "corpus.csv").write_text(csv_table(rows), encoding="utf-8")
    return folder / "corpus.csv"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three emotions."""
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    fitted().export(path)
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording as most are: 16-bit wav, mono, 16 000 Hz."""
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, speech().waves[0], SAMPLE_RATE, "PCM_16")
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where examples that are given no corpus keep the synthetic one."""
    return tmp_path_factory.mktemp("cache")


Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run an example in an empty folder; what it prints, once it is sure that nothing went wrong or was warned of."""

    def run(name: str, *words: object, **env: object) -> str:
        done = _done(tmp_path, [sys.executable, EXAMPLES / name, *words], env)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def refused(tmp_path: Path) -> Run:
    """Run an example that must fail; the one line that it says."""

    def refused(name: str, *words: object, **env: object) -> str:
        done = _done(tmp_path, [sys.executable, EXAMPLES / name, *words], env)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        return done.stderr.strip()

    return refused


@pytest.fixture
def without(tmp_path: Path) -> Run:
    """Run an example where a package is not installed; the one line that it says."""

    def without(package: str, name: str, **env: object) -> str:
        hide = f"import runpy, sys; sys.modules[{package!r}] = None; runpy.run_path({str(EXAMPLES / name)!r})"
        done = _done(tmp_path, [sys.executable, "-c", hide], env)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        return done.stderr.strip()

    return without


def _done(folder: Path, words: Sequence[object], env: Mapping[str, object]) -> subprocess.CompletedProcess[str]:
    given = os.environ | {name: str(value) for name, value in env.items()}
    command = [str(word) for word in words]
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=240)


Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def serving(tmp_path: Path) -> Serve:
    """Start a program that serves on a free port, ``{port}`` in its words; its address as soon as it answers."""

    @contextmanager
    def serving(*words: object, **env: object) -> Iterator[str]:
        port = _free_port()
        command = [sys.executable, *(str(word).format(port=port) for word in words)]
        given = os.environ | {key: str(value) for key, value in env.items()}
        log = tmp_path / "log.txt"
        with log.open("w") as told, subprocess.Popen(command, cwd=tmp_path, env=given, stdout=told, stderr=told) as app:
            try:
                _wait(f"http://127.0.0.1:{port}/", app, log)
                yield f"http://127.0.0.1:{port}"
            finally:
                app.kill()

    return serving


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port: int = place.getsockname()[1]
        return port


def _wait(url: str, program: subprocess.Popen[bytes], log: Path) -> None:
    """Until it answers anything at all."""
    end = time.monotonic() + 120
    while time.monotonic() < end and program.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=10).close()
            return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"The program does not serve:\n{log.read_text()}")
