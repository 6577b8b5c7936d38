"""Recorded through a real sound server: what is played into a microphone comes out of it, sample by sample.

PulseAudio runs without hardware here: what is played to a null sink is what its virtual microphone hears.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest
import soundfile

MISSING = [name for name in ("pulseaudio", "pactl", "paplay") if not shutil.which(name)]
MISSING += [] if find_library("portaudio") else ["libportaudio2"]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

RECORD = """
import sys, time
import numpy as np
from featkit.errors import FeatkitError
from featkit.stream import Microphone

def say(*words):
    print(time.monotonic(), *words, flush=True)

seconds, path = float(sys.argv[1]), sys.argv[2]
try:
    with Microphone("pulse", tell=lambda line: say("TOLD", line)) as source:
        got, heard = [], 0
        for block in source:
            got.append(block.samples[:, 0])
            heard += len(block.samples)
            say("BLOCK", heard, source.rate, block.gap)
            if heard >= seconds * source.rate:
                break
    np.save(path, np.concatenate(got))
except FeatkitError as error:
    say("REFUSED", error)
"""


class Server:
    """A PulseAudio of our own, with a virtual microphone."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="featkit-")  # a socket's path must be short
        socket = f"{self._folder}/socket"
        own = {"HOME": self._folder, "XDG_RUNTIME_DIR": self._folder, "PULSE_SERVER": f"unix:{socket}"}
        self.environment = os.environ | own
        self._command = [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
            "-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1",
            "-L", "module-null-sink sink_name=vmic rate=16000 channels=1 format=s16le",
            "-L", "module-remap-source master=vmic.monitor source_name=virtmic",
        ]  # fmt: skip
        self._socket = Path(socket)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._end()
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            self._command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: self._told("info"), 20)
        for setting in (["set-default-source", "virtmic"], ["set-default-sink", "vmic"]):
            subprocess.run(["pactl", *setting], env=self.environment, check=True)

    def _told(self, word: str) -> bool:
        return subprocess.run(["pactl", word], env=self.environment, capture_output=True, check=False).returncode == 0

    def play(self, path: Path) -> None:
        subprocess.run(["paplay", "--device=vmic", str(path)], env=self.environment, check=True, timeout=30)

    def signal(self, number: int) -> float:
        assert self._process is not None
        self._process.send_signal(number)
        return time.monotonic()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)


def until(done: object, seconds: float) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    try:
        made.start()
        yield made
    finally:
        made.close()


class Recorder:
    """A process that records, line by line."""

    def __init__(self, server: Server, seconds: float, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", RECORD, str(seconds), str(path)],
            env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def line(self, kind: str) -> tuple[float, str]:
        """The next line of this kind: when it was said, and what."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            moment, told, rest = [*line.rstrip("\n").split(" ", 2), "", ""][:3]
            if told == kind:
                return float(moment), rest
            assert told == "BLOCK", line  # nothing else may be printed, by ALSA least of all
        raise AssertionError(f"no line {kind}; exit code {self._process.wait()}")

    def end(self) -> None:
        assert self._process.wait(timeout=60) == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_what_is_played_into_the_microphone_is_recorded_sample_by_sample(server: Server, tmp_path: Path) -> None:
    played = np.random.default_rng(0).integers(1, 20_000, 32_000).astype(np.int16)  # never nought, as silence is
    soundfile.write(tmp_path / "played.wav", played, 16_000)
    recorder = Recorder(server, 5.0, tmp_path / "heard.npy")
    try:
        for _ in range(2):
            recorder.line("BLOCK")
        server.play(tmp_path / "played.wav")
        recorder.end()
    finally:
        recorder.kill()
    heard = np.load(tmp_path / "heard.npy")
    start = int(np.flatnonzero(heard)[0])
    np.testing.assert_array_equal(heard[start : start + played.size], played.astype(np.float32) / 32_768)
    assert not heard[start + played.size :].any()


@pytest.mark.parametrize("how", ["dies", "hangs"])
def test_a_server_that_goes_is_noticed_and_recorded_from_again(server: Server, tmp_path: Path, how: str) -> None:
    recorder = Recorder(server, 1.0, tmp_path / "heard.npy")
    try:
        for _ in range(2):
            recorder.line("BLOCK")
        gone = server.signal(signal.SIGKILL if how == "dies" else signal.SIGSTOP)
        noticed, told = recorder.line("TOLD")
        assert noticed - gone < 1.5
        assert told == "pulse delivers nothing; waiting for it to return (Ctrl-C ends)"
        time.sleep(0.5)
        if how == "dies":
            server.start()
        else:
            server.signal(signal.SIGCONT)
        _, told = recorder.line("TOLD")
        assert told.startswith("pulse is back after ")
        back, block = recorder.line("BLOCK")
        _, rate, gap = map(float, block.split())
        assert rate == 16_000
        # As long as nothing was heard: from the last block before, at most 0.1 s earlier, to the start of this one.
        assert back - gone - 0.3 < gap < back - gone + 0.2
        recorder.end()
    finally:
        server.signal(signal.SIGCONT)
        recorder.kill()


def test_without_a_server_there_is_one_line_and_no_noise(tmp_path: Path) -> None:
    nothing = Server()
    nothing.environment["PULSE_SERVER"] = "unix:/nowhere"
    recorder = Recorder(nothing, 1.0, tmp_path / "heard.npy")
    try:
        _, told = recorder.line("REFUSED")
        recorder.end()
    finally:
        recorder.kill()
        nothing.close()
    assert told.startswith(
        ("There is no microphone", "No microphone is called 'pulse'", "The microphone 'pulse' cannot")
    )
