"""``featkit stream``: what it prints of a replay and of a microphone, and one line for everything that goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from click.testing import CliRunner, Result
from speech import fitted, speech, write_wav

import featkit.stream
from featkit import SERClassifier, load
from featkit.audio import SAMPLE_RATE, Wave
from featkit.cli import cli
from featkit.stream import Block
from featkit.stream.microphone import Device

WINDOW, HOP = 3 * SAMPLE_RATE, SAMPLE_RATE // 2


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["stream", *(str(word) for word in words)], prog_name="featkit")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream model") / "model.onnx"
    fitted().export(path)
    return path


@pytest.fixture(scope="session")
def wave() -> Wave:
    """6.3 s of speech: seven windows, and a tail."""
    found: Wave = np.concatenate(speech().waves)[: 63 * SAMPLE_RATE // 10]
    return found


@pytest.fixture(scope="session")
def recording(wave: Wave, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_wav(tmp_path_factory.mktemp("recording") / "talk.wav", wave)


class FakeMicrophone:
    """Gives the blocks of a script; what is callable in it is called in its turn."""

    rate, name = SAMPLE_RATE, "Fake"

    def __init__(self, script: list[Any], more: bool = False) -> None:
        self.script, self.more, self.closed = script, more, False
        self.device: object = None

    def __call__(self, device: object, tell: Callable[[str], None]) -> Self:
        self.device, self.tell = device, tell
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.closed = True

    def waiting(self) -> bool:
        return self.more

    def __iter__(self) -> Iterator[Block]:
        for item in self.script:
            if isinstance(item, Block):
                yield item
            else:
                item(self)


@pytest.fixture
def microphone(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeMicrophone]:
    def plugged(*script: Any, more: bool = False) -> FakeMicrophone:
        fake = FakeMicrophone(list(script), more)
        monkeypatch.setattr(featkit.stream, "Microphone", fake)
        return fake

    return plugged


def interrupted(microphone: FakeMicrophone) -> None:
    raise KeyboardInterrupt


# --- a recording ---------------------------------------------------------------------------------------------------


def test_json_lines_hold_the_probabilities_that_the_model_gives_to_the_slices(
    model: Path, recording: str, wave: Wave
) -> None:
    raw = ("--smoothing", "none", "--threshold", 0, "--hysteresis", 0)
    result = run(model, "--file", recording, "--speed", "inf", "--json", *raw)
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    starts = [*range(0, wave.size - WINDOW + 1, HOP), wave.size - WINDOW]
    assert [event["start"] for event in events] == [start / SAMPLE_RATE for start in starts]
    recogniser = load(model)
    expected = recogniser.predict_proba([wave[start : start + WINDOW] for start in starts])
    for event, row in zip(events, expected, strict=True):
        assert list(event["probabilities"].values()) == [round(float(p), 6) for p in row]
        assert event["label"] == event["raw"] == recogniser.labels[int(row.argmax())]
        assert event["end"] - event["start"] == pytest.approx(3)
        assert 0 <= event["latency"] < 10
        assert event["gap"] == event["dropped"] == 0


def test_a_pipe_gets_a_line_an_event_and_people_the_sum(model: Path, recording: str) -> None:
    result = run(model, "--file", recording, "--speed", "inf")
    lines = result.stdout.splitlines()
    assert len(lines) == 8
    assert lines[0].split()[:2] == ["0.00", "3.00"]
    assert lines[-1].split()[:2] == ["3.30", "6.30"]
    assert result.stderr == "6.3 s, 8 events; 0.00 s of sound lost, 0 windows dropped\n"


def test_windows_that_are_shorter_than_what_was_learned_from_are_said(model: Path, recording: str) -> None:
    words = (model, "--file", recording, "--speed", "inf", "--json", "--window")
    shortest = load(model).recipe["data"]["seconds"][0]
    told = run(*words, shortest - 0.1).stderr
    assert told.startswith(f"Warning: windows of {shortest - 0.1:g} s are shorter than 95 of 100 clips that the model")
    assert "Warning" not in run(*words, shortest).stderr


def test_window_hop_and_smoothing_can_be_chosen(model: Path, recording: str) -> None:
    result = run(
        model, "--file", recording, "--speed", "inf", "--json", "--window", 2, "--hop", 2, "--smoothing", "mean",
        "--votes", 2, "--threshold", 1, "--hysteresis", 0,
    )  # fmt: skip
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(event["start"], event["end"]) for event in events] == [(0, 2), (2, 4), (4, 6), (4.3, 6.3)]
    assert {event["label"] for event in events} == {None}
    assert {event["reason"] for event in events} == {"not sure"}
    first, second = (np.array(list(event["probabilities"].values())) for event in events[:2])
    assert list(events[1]["smoothed"].values()) == pytest.approx((first + second) / 2, abs=2e-6)


def test_the_gate_says_silence_of_a_pause(model: Path, tmp_path: Path, wave: Wave) -> None:
    noise = np.random.default_rng(0).normal(0, 1e-4, 4 * SAMPLE_RATE).astype(np.float32)
    path = write_wav(tmp_path / "pause.wav", np.concatenate([wave, noise]))
    words = (model, "--file", path, "--speed", "inf", "--json")
    with_gate, without = (
        [json.loads(line)["reason"] for line in run(*words, *more).stdout.splitlines()] for more in (("--gate",), ())
    )
    assert with_gate[-1] == "silence"
    assert with_gate[0] is None
    assert "silence" not in without


def test_a_replay_takes_as_long_as_the_recording_or_less_by_its_speed(model: Path, recording: str) -> None:
    began = time.monotonic()
    assert run(model, "--file", recording, "--speed", 10).exit_code == 0
    assert time.monotonic() - began >= 0.6


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_a_recording_of_any_rate_and_of_two_channels_is_replayed(model: Path, tmp_path: Path, rate: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (4 * rate, 2))
    soundfile.write(tmp_path / "x.wav", noise, rate, subtype="PCM_16")
    result = run(model, "--file", tmp_path / "x.wav", "--speed", "inf")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].split()[:2] == ["1.00", "4.00"]


def test_a_recording_shorter_than_a_window_is_one_shorter_window(model: Path, tmp_path: Path, wave: Wave) -> None:
    path = write_wav(tmp_path / "short.wav", wave[8_000 : 8_000 + 800])
    result = run(model, "--file", path, "--json")
    (event,) = map(json.loads, result.stdout.splitlines())
    assert (event["start"], event["end"]) == (0, 0.05)
    assert event["probabilities"]


def test_a_recording_too_short_for_the_model_gets_an_event_that_says_so(
    model: Path, tmp_path: Path, wave: Wave
) -> None:
    path = write_wav(tmp_path / "short.wav", wave[8_000 : 8_000 + 80])
    (event,) = map(json.loads, run(model, "--file", path, "--json").stdout.splitlines())
    assert event["label"] is event["probabilities"] is None
    assert "has 80 samples (5 ms); these features need at least" in event["reason"]


@pytest.mark.parametrize(
    "classifier",
    [lambda: SERClassifier(normalise="speaker"), lambda: SERClassifier("egemaps")],
    ids=["follows its speaker", "features outside the graph"],
)
def test_models_of_other_kinds_are_streamed_too(
    classifier: Callable[[], SERClassifier], tmp_path: Path, recording: str
) -> None:
    if classifier().features == "egemaps":
        pytest.importorskip("opensmile")
    said = speech()
    classifier().fit(said.waves, said.labels, groups=said.speakers).export(tmp_path / "m.onnx")
    result = run(tmp_path / "m.onnx", "--file", recording, "--speed", "inf")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 8


# --- a microphone --------------------------------------------------------------------------------------------------


def test_a_device_is_named_or_numbered_and_what_happens_to_it_is_told(
    model: Path, wave: Wave, microphone: Callable[..., FakeMicrophone]
) -> None:
    fake = microphone(
        Block(wave[:WINDOW], SAMPLE_RATE),
        lambda device: device.tell("Fake delivers nothing"),
        Block(wave[:WINDOW], SAMPLE_RATE, gap=1.25),
    )
    result = run(model, "--device", "USB")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "Listening to Fake at 16000 Hz; Ctrl-C ends.",
        "Fake delivers nothing",
        "7.2 s, 2 events; 1.25 s of sound lost, 0 windows dropped",
    ]
    assert result.stdout.splitlines()[1].split()[:2] == ["4.25", "7.25"]
    assert result.stdout.splitlines()[1].endswith("(1.25 s of sound lost)")
    assert fake.device == "USB"
    assert fake.closed


def test_control_c_ends_with_the_answer_to_what_was_heard_by_then(
    model: Path, wave: Wave, microphone: Callable[..., FakeMicrophone]
) -> None:
    fake = microphone(Block(wave[: WINDOW + 100], SAMPLE_RATE), interrupted)
    result = run(model)
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["3.00", "3.01"]
    assert result.stderr.endswith("3.0 s, 2 events; 0.00 s of sound lost, 0 windows dropped\n")
    assert fake.closed


def test_of_a_slow_model_old_windows_are_dropped_and_counted(
    model: Path, wave: Wave, microphone: Callable[..., FakeMicrophone]
) -> None:
    microphone(*(Block(wave[i : i + HOP], SAMPLE_RATE) for i in range(0, 12 * HOP, HOP)), more=True)
    result = run(model, "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["end"] for event in events] == [5.5, 6.0]
    assert [event["dropped"] for event in events] == [5, 0]
    assert "5 windows dropped" in result.stderr


def test_microphones_are_listed_with_the_default_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Device(0, "Built-in", 2, 48_000, False), Device(4, "USB \x1b[2J", 1, 16_000, True)]
    monkeypatch.setattr(featkit.stream, "list_devices", lambda: found)
    assert run("--list-devices").output == "   0 Built-in, 2 ch, 48000 Hz\n*  4 USB ?[2J, 1 ch, 16000 Hz\n"


def test_where_there_is_no_microphone_the_list_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(featkit.stream, "list_devices", list)
    assert run("--list-devices").output == "There is no microphone: PortAudio finds no input device.\n"


# --- what goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Name a model: featkit stream model.onnx. featkit fit or featkit export makes one."),
        (("m.onnx", "--file", "x.wav", "--device", "1"), "Sound comes from a --device or from a --file"),
        (("m.onnx", "--speed", "2"), "A microphone has no --speed; it is for --file."),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(words: tuple[str, ...], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.output


def test_whatever_is_wrong_costs_one_line(model: Path, recording: str, tmp_path: Path) -> None:
    write_wav(tmp_path / "silence.wav", np.zeros(WINDOW, dtype=np.float32))
    write_wav(tmp_path / "nan.wav", np.full(WINDOW, np.nan, dtype=np.float32))
    (tmp_path / "text.wav").write_text("I am no audio")
    file = ("--file", recording)
    for words, message in (
        ((tmp_path / "no.onnx", *file), "there is no such model file"),
        ((recording, *file), "is a recording, not a model; the model is named first"),
        ((model, "--file", tmp_path / "no.wav"), "there is no such file"),
        ((model, "--file", tmp_path / "text.wav"), "is text, not audio"),
        ((model, "--file", tmp_path / "silence.wav"), "digital silence"),
        ((model, "--file", tmp_path / "nan.wav"), "not finite (NaN or inf)"),
        ((model, *file, "--window", 0), "A window must be longer than 0 s"),
        ((model, *file, "--window", "nan"), "A window must be longer than 0 s"),
        ((model, *file, "--window", 0.01, "--hop", 0.01), "the model needs"),
        ((model, *file, "--hop", 4), "The hop is 4.0 s"),
        ((model, *file, "--speed", "nan"), "A replay needs a speed above 0"),
    ):
        result = run(*words)
        assert result.exit_code == 1, words
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
        assert message in result.stderr


def test_without_sounddevice_the_pip_line_is_told(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    for words in ((model,), ("--list-devices",)):
        result = run(*words)
        assert result.exit_code == 1
        assert result.stderr.startswith(
            "Error: The microphone needs the package 'sounddevice', which is not installed: "
        )
        assert result.stderr.endswith(" pip install 'featkit[live]'\n")


def test_without_portaudio_its_package_is_told(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    result = run(model)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The microphone needs the library PortAudio, which is not installed: apt")
    assert result.stderr.count("\n") == 1


def test_a_reader_that_has_had_enough_ends_the_stream_without_a_word(model: Path, recording: str) -> None:
    command = [sys.executable, "-m", "featkit", "stream", str(model), "--file", recording, "--json", "--speed", "8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["end"] == 3
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# --- a terminal ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_on_a_terminal_bars_are_drawn_over_themselves_and_the_last_ones_stay(model: Path, recording: str) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "featkit", "stream", str(model), "--file", recording, "--speed", "100"]
    environment = os.environ | {"COLUMNS": "50", "LINES": "24", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.extend(_until_closed(ours)))
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        reader.start()
    reader.join(timeout=20)
    os.close(ours)
    assert process.returncode == 0
    *frames, last = b"".join(read).decode().replace("\r\n", "\n").split("\x1b[4F\x1b[J")
    assert len(frames) == 7
    headline, *bars, told, end = last.split("\n")
    assert headline.endswith("ms")
    assert [bar.split()[0] for bar in bars] == ["anger", "neutral", "sadness"]
    assert any("█" in bar for bar in bars)
    assert told == "6.3 s, 8 events; 0.00 s of sound lost, 0 windows dropped"
    assert end == ""


def _until_closed(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux's way to say that the other side is closed
            return
        if not part:
            return
        yield part


def test_votes_without_smoothing_are_wrong_usage(model: Path, recording: str) -> None:
    result = run(model, "--file", recording, "--smoothing", "none", "--votes", 3)
    assert (result.exit_code, "--votes are windows to smooth over; leave it out" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("samples", "message"),
    [(np.zeros(16_000), "are zero (digital silence)"), (np.full(16_000, np.nan), "samples are not finite")],
)
def test_a_file_without_sound_is_refused_as_a_file(
    model: Path, tmp_path: Path, samples: npt.NDArray[np.float64], message: str
) -> None:
    soundfile.write(tmp_path / "bad.wav", samples, 16_000, subtype="FLOAT")
    result = run(model, "--file", tmp_path / "bad.wav", "--speed", "inf")
    assert (result.exit_code, message in result.stderr, result.stderr.count("\n")) == (1, True, 1), result.stderr
