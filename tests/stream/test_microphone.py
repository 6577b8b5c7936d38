"""The microphone: losses with their length, devices that go and come back, and one line for all that is missing.

PortAudio is played by a stand-in here; test_recording.py records through a real sound server.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from featkit.errors import AudioError, PluginError
from featkit.stream import Block, Microphone, list_devices, microphone

CARD = {"name": "USB: Audio", "max_input_channels": 2, "default_samplerate": 44_100.0}
SPEAKERS = {"name": "HDMI", "max_input_channels": 0, "default_samplerate": 48_000.0}


class PortAudioError(Exception):
    """As sounddevice's."""


class Stand:
    """Stands for the module sounddevice. ``speak`` is the audio thread."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.devices = [SPEAKERS, CARD]
        self.default = SimpleNamespace(device=(1, 0))
        self.rates = {16_000, 44_100}
        self.channels = {1, 2}
        self.streams: list[Any] = []
        self.started = 0
        self.hangs = threading.Event()
        self.hangs.set()
        self.answers = threading.Event()
        self.answers.set()
        self.exit_handler_called = False

    def query_devices(self, device: Any = None, kind: str | None = None) -> Any:
        self.answers.wait(5)
        if kind is None:
            return self.devices
        found = [i for i, about in enumerate(self.devices) if device in (i, None) or str(device) in about["name"]]
        inputs = [i for i in found if self.devices[i]["max_input_channels"]]
        if not inputs:
            raise PortAudioError("Error querying device -1")
        if len(inputs) > 1:
            raise ValueError("Multiple input devices found")
        return self.devices[inputs[0]]

    def InputStream(self, **settings: Any) -> Any:  # as it is called there
        return _Stream(self, **settings)

    def speak(self, n: int = 1024, at: float = 1.0, overflow: bool = False, value: float = 0.5) -> None:
        stream = self.streams[-1]
        samples = np.full((n, stream.channels), value, dtype=np.float32)
        stream.callback(
            samples, n, SimpleNamespace(inputBufferAdcTime=at), SimpleNamespace(input_overflow=overflow)
        )  # fmt: skip
        samples[:] = -1  # PortAudio writes the next block into the same memory

    def _initialize(self) -> None:
        self.started += 1

    def _terminate(self) -> None:
        self.started -= 1

    def _exit_handler(self) -> None:
        self.exit_handler_called = True


class _Stream:
    def __init__(self, stand: Stand, **settings: Any) -> None:
        if settings["samplerate"] not in stand.rates:
            raise PortAudioError("Error opening InputStream: Invalid sample rate [PaErrorCode -9997]")
        if settings["channels"] not in stand.channels:
            raise PortAudioError("Error opening InputStream: Invalid number of channels [PaErrorCode -9998]")
        self.__dict__.update(settings)
        self._stand = stand
        self.closed = False
        stand.streams.append(self)

    def start(self) -> None:
        if not self._stand.devices:
            raise PortAudioError("Error starting stream: Device unavailable [PaErrorCode -9985]")

    def abort(self) -> None:
        self._stand.hangs.wait(5)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    played = Stand()
    monkeypatch.setitem(sys.modules, "sounddevice", played)  # type: ignore[arg-type]
    for name, seconds in (
        ("STALLED", 0.1),
        ("_FIRST", 0.2),
        ("_POLL", 0.02),
        ("_RETRY", 0.02),
        ("_WAIT", 0.2),
        ("_OPENING", 2.0),
    ):
        monkeypatch.setattr(microphone, name, seconds)
    yield played
    played.hangs.set()
    played.answers.set()


def taken(source: Microphone, count: int) -> list[Block]:
    blocks = iter(source)
    return [next(blocks) for _ in range(count)]


# What is recorded


def test_blocks_come_as_they_were_spoken(stand: Stand) -> None:
    with Microphone(block=256) as source:
        assert (source.rate, source.name, stand.streams[0].blocksize) == (16_000, "USB: Audio", 256)
        before = time.monotonic()
        stand.speak(256, value=0.25)
        stand.speak(256, value=0.5)
        assert source.waiting()
        first, second = taken(source, 2)
        assert not source.waiting()
    assert (first.rate, first.gap, first.samples.shape) == (16_000, 0, (256, 1))
    assert (set(first.samples.ravel()), set(second.samples.ravel())) == ({0.25}, {0.5})
    assert before <= first.arrived <= time.monotonic()
    assert stand.streams[0].closed


def test_a_device_without_16_khz_is_recorded_at_its_own_rate(stand: Stand) -> None:
    stand.rates = {44_100}
    with Microphone("USB") as source:
        assert (source.rate, stand.streams[-1].channels) == (44_100, 1)
    stand.channels = {2}
    with Microphone("USB") as source:
        assert (source.rate, stand.streams[-1].channels) == (44_100, 2)


def test_a_number_may_be_written_as_text(stand: Stand) -> None:
    with Microphone("1"):
        assert stand.streams[0].device == 1


def test_what_the_device_lost_is_told_with_its_length(stand: Stand) -> None:
    with Microphone() as source:
        stand.speak(1600, at=10.0)
        stand.speak(1600, at=10.1)
        stand.speak(1600, at=10.55, overflow=True)  # 10.2 was to be next
        stand.speak(1600, at=10.65)
        assert [block.gap for block in taken(source, 4)] == [0, 0, pytest.approx(0.35), 0]


def test_a_loss_without_a_length_is_at_least_a_sample(stand: Stand) -> None:
    with Microphone() as source:
        stand.speak(1600, at=10.0, overflow=True)  # the first: nothing was heard before
        stand.speak(1600, at=10.1, overflow=True)
        assert [block.gap for block in taken(source, 2)] == [0, pytest.approx(1 / 16_000)]


def test_where_the_driver_has_no_clock_ours_measures(stand: Stand) -> None:
    with Microphone() as source:
        stand.speak(160, at=0)
        time.sleep(0.2)
        stand.speak(160, at=0, overflow=True)
        _, second = taken(source, 2)
    assert second.gap == pytest.approx(0.19, abs=0.1)


def test_sound_that_nobody_takes_is_let_go_and_counted(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "_HELD", 0.25)
    with Microphone() as source:
        for i in range(6):
            stand.speak(1600, at=i / 10)
        assert [block.gap for block in taken(source, 3)] == [0, 0, 0]
        stand.speak(1600, at=0.6)
        assert taken(source, 1)[0].gap == pytest.approx(0.3)


# Devices that go


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def resumed(source: Microphone, stand: Stand, back: Callable[[], Any], seconds: float = 0.5) -> Block:
    """The next block of a device that is silent, comes ``back`` after so many seconds, and then goes on speaking."""
    heard = threading.Event()

    def go_on() -> None:
        time.sleep(seconds)
        back()
        end = time.monotonic() + 10
        while not heard.wait(0.02):
            stand.speak()  # into the newest stream: a slow machine may have opened more than one
            if time.monotonic() > end:
                source._queue.put(None)  # type: ignore[arg-type]  # nobody shall wait for ever
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        return taken(source, 1)[0]
    finally:
        heard.set()
        thread.join()


def test_a_device_that_stops_is_told_and_opened_again_with_the_gap_as_long_as_it_was(stand: Stand) -> None:
    told: list[str] = []
    with Microphone(tell=told.append) as source:
        stand.speak()
        (first,) = taken(source, 1)
        away, stand.devices = stand.devices, []
        second = resumed(source, stand, lambda: setattr(stand, "devices", away))
    assert first.arrived is not None
    assert second.arrived is not None
    assert second.gap == pytest.approx(second.arrived - first.arrived - 1024 / 16_000)
    assert second.gap > 0.4
    assert told == [
        "USB: Audio delivers nothing; waiting for it to return (Ctrl-C ends)",
        f"USB: Audio is back after {second.gap:.1f} s",
    ]
    assert len(stand.streams) > 1
    assert stand.started == 0  # as often begun as ended


def test_it_comes_back_at_the_rate_it_had(stand: Stand) -> None:
    stand.rates = {44_100}
    with Microphone() as source:
        stand.speak()
        taken(source, 1)
        stand.rates = {16_000}
        assert resumed(source, stand, lambda: setattr(stand, "rates", {16_000, 44_100})).rate == 44_100
    assert {stream.samplerate for stream in stand.streams} == {44_100}


def test_it_is_found_by_its_name_where_its_number_has_changed(stand: Stand) -> None:
    with Microphone(1) as source:
        stand.speak()
        taken(source, 1)
        webcam = CARD | {"name": "Webcam"}
        stand.devices = [SPEAKERS, webcam]  # another one takes its number
        resumed(source, stand, lambda: setattr(stand, "devices", [SPEAKERS, webcam, CARD]))
    assert {stream.device for stream in stand.streams} == {1, 2}
    assert [stream.device for stream in stand.streams].count(1) == 1


def test_a_device_that_never_begins_is_told_too(stand: Stand) -> None:
    told: list[str] = []
    with Microphone(tell=told.append) as source:
        block = resumed(source, stand, lambda: None)
    assert told[0].endswith("delivers nothing; waiting for it to return (Ctrl-C ends)")
    assert block.gap > 0.3


def test_a_stream_that_hangs_is_not_touched_until_it_has_let_go(stand: Stand) -> None:
    with Microphone() as source:
        stand.speak()
        taken(source, 1)
        old = stand.streams[0]
        stand.hangs.clear()
        beside: list[int] = []

        def back() -> None:
            beside.append(len(stand.streams))
            stand.hangs.set()
            until(lambda: len(stand.streams) > 1)
            old.callback(np.ones((9, 1)), 9, None, None)  # the old one still speaks, and is not heard

        assert len(resumed(source, stand, back, seconds=0.8).samples) == 1024
    assert beside == [1]


def test_a_stream_that_hangs_at_the_end_does_not_keep_the_program(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Any] = []
    monkeypatch.setattr(microphone.atexit, "unregister", left.append)
    began = time.monotonic()
    with Microphone():
        stand.hangs.clear()
    assert time.monotonic() - began < 1
    assert left == [stand._exit_handler]


# What is missing


def test_without_sounddevice_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(
        PluginError, match=r"The microphone needs the package 'sounddevice', which is not installed: pip"
    ):
        list_devices()
    with pytest.raises(PluginError, match="sounddevice"), Microphone():
        pass


def test_without_portaudio_its_packages_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        AudioError, match="needs the library PortAudio, which is not installed: apt install libportaudio2"
    ):
        list_devices()


def test_without_a_microphone_one_line_says_so(stand: Stand) -> None:
    stand.devices = [SPEAKERS]
    assert list_devices() == []
    with pytest.raises(AudioError, match="There is no microphone: PortAudio finds no input device"), Microphone():
        pass


def test_a_device_that_is_not_there_is_named_with_those_that_are(stand: Stand) -> None:
    with pytest.raises(AudioError, match=r"No microphone is called 'Yeti', or more than one; .*: 1 USB: Audio\."):
        Microphone("Yeti").__enter__()
    stand.devices = [CARD, CARD]
    with pytest.raises(AudioError, match=r"called 'USB', or more .*: 0 USB: Audio, 1 USB: Audio\."):
        Microphone("USB").__enter__()
    with pytest.raises(AudioError, match="No microphone is the system's default; choose by number"):
        Microphone().__enter__()


def test_a_device_that_cannot_be_opened_says_why(stand: Stand) -> None:
    stand.rates = set()
    with pytest.raises(
        AudioError,
        match=r"'USB: Audio' cannot be opened \(Error opening InputStream: Invalid sample rate\)\. Is another",
    ):
        Microphone().__enter__()
    assert stand.streams == []


def test_a_sound_system_that_does_not_answer_does_not_keep_the_program(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone, "_OPENING", 0.1)
    stand.answers.clear()
    for attempt in (list_devices, Microphone().__enter__):
        with pytest.raises(AudioError, match=r"The sound system has not answered for 0\.1 s\. Restart it"):
            attempt()


def test_a_device_that_hangs_when_it_is_left_is_closed_if_it_comes_back(stand: Stand) -> None:
    with Microphone() as source:
        stand.hangs.clear()
        source._reopen()
    stand.hangs.set()
    assert source._errand is not None
    source._errand.join(5)
    assert [stream.closed for stream in stand.streams] == [True, True]


def test_a_microphone_must_be_opened_first(stand: Stand) -> None:
    with pytest.raises(AudioError, match="This microphone is not open: with Microphone"):
        next(iter(Microphone()))


def test_devices_are_listed_with_the_default(stand: Stand) -> None:
    (device,) = list_devices()
    assert (device.index, device.name, device.channels, device.rate, device.default) == (
        1,
        "USB: Audio",
        2,
        44_100,
        True,
    )
