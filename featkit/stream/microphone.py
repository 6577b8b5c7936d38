"""The microphone, through PortAudio. sounddevice is imported when one is opened or listed, not before."""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from featkit.audio import SAMPLE_RATE
from featkit.errors import AudioError
from featkit.muted import muted
from featkit.plugins import missing
from featkit.stream.sources import Block

STALLED = 1.0
"""Seconds without a block after which a device is said to deliver nothing."""

_FIRST = 5.0  # seconds that a device may take to begin: PulseAudio needs up to two
_POLL = 0.1  # seconds between looks at a device that is silent
_RETRY = 0.5  # seconds between attempts to open it again
_OPENING = 10.0  # seconds in which a sound system must answer
_WAIT = 2.0  # seconds to close a stream before it is left to itself
_HELD = 60.0  # seconds of sound that may wait to be taken
_INSTALL = "apt install libportaudio2, dnf install portaudio or brew install portaudio"


@dataclass(frozen=True)
class Device:
    """An input device as PortAudio lists it; ``default`` is the one that is taken where none is named."""

    index: int
    name: str
    channels: int
    rate: int
    default: bool


class _Heard(NamedTuple):
    """What the callback saw."""

    samples: npt.NDArray[np.float32]
    arrived: float
    lost: float


def list_devices() -> list[Device]:
    """Input devices.

    Raises
    ------
    PluginError
        sounddevice is not installed.
    AudioError
        PortAudio is not installed, or the sound system does not answer.
    """
    found: list[Device] = _within(_OPENING, lambda: _inputs(_sounddevice()))
    return found


class Microphone:
    """A source that records: ``with Microphone() as source: for block in source: …``.

    The callback of the audio thread only copies blocks into a queue. Where the device has no 16 000 Hz, its own rate
    is recorded, for the recogniser to resample. Sound that the device or the queue lost comes as the ``gap`` of the
    next block. A device that delivers nothing for a second is closed and opened again as soon as it is there, and
    the time without it is a gap too. What C libraries print to stderr while it is open is dropped.

    Parameters
    ----------
    device
        Part of its name, or its number (`list_devices`). Default: the system's.
    block
        Samples a block.
    tell
        Called with one line when the device stops, and when it is back.

    Attributes
    ----------
    rate
        Hz, as recorded.
    name
        Of the device that is open.

    Raises
    ------
    PluginError
        sounddevice is not installed.
    AudioError
        PortAudio is not installed, there is no such device, or it cannot be opened or does not answer.
    """

    def __init__(
        self, device: str | int | None = None, *, block: int = 1024, tell: Callable[[str], None] | None = None
    ) -> None:
        self._device = int(device) if isinstance(device, str) and device.isdecimal() else device
        self._block = block
        self._tell = tell or (lambda line: None)
        self._queue: queue.SimpleQueue[_Heard] = queue.SimpleQueue()
        self._stream: Any = None
        self._errand: _Errand | None = None
        self._ended = False
        self._unheard = 0.0
        self._expected: float | None = None
        self._last = 0.0
        self._began, self._opened = False, 0
        self._channels = 1
        self.rate: int = 0
        self.name = ""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(muted)  # until it is closed: what happens to a device is printed at any time
            _within(_OPENING, self._open)
            self._until_closed = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = True
        if self._errand is None or not self._errand.is_alive():
            self._errand = _Errand(self._close)
            self._errand.join(_WAIT)
        self._until_closed.close()
        if self._errand.is_alive():
            atexit.unregister(_sounddevice()._exit_handler)  # it would hang or crash in the stream that hangs

    def waiting(self) -> bool:
        """Whether another block is there already."""
        return not self._queue.empty()

    def __iter__(self) -> Iterator[Block]:
        if not self.rate:
            raise AudioError("This microphone is not open: with Microphone() as source: …")
        while True:
            heard = self._next()
            yield Block(heard.samples, self.rate, heard.arrived, heard.lost)

    def _next(self) -> _Heard:
        """The next block, however long the device takes to come back."""
        away: float | None = None
        while True:
            try:
                heard = self._queue.get(timeout=_POLL)
            except queue.Empty:
                if time.monotonic() - self._last < (STALLED if self._began else _FIRST):
                    continue
                if away is None:
                    away = self._last
                    self._tell(f"{self.name} delivers nothing; waiting for it to return (Ctrl-C ends)")
                self._reopen()
                continue
            if away is None:
                return heard
            length = heard.arrived - heard.samples.shape[0] / self.rate - away
            self._tell(f"{self.name} is back after {length:.1f} s")
            return heard._replace(lost=max(heard.lost, length))

    def _open(self) -> None:
        """Open the device; the first time at the best rate it has, later at the same one."""
        sd = _sounddevice()
        device = self._device
        if isinstance(device, int) and self.name:  # numbers change as devices come and go
            device = next((known.index for known in _inputs(sd) if known.name == self.name), self.name)
        about = _about(sd, device)
        own, all_channels = round(about["default_samplerate"]), about["max_input_channels"]
        again = [(self.rate, self._channels)] if self.rate else []
        for rate, channels in again or [(SAMPLE_RATE, 1), (own, 1), (own, all_channels)]:
            try:
                self._start(sd, device, rate, channels)
            except (sd.PortAudioError, ValueError) as error:
                reason = str(error).partition(" [")[0]
                continue
            self.rate, self._channels, self.name = rate, channels, str(about["name"])
            return
        raise AudioError(
            f"The microphone '{about['name']}' cannot be opened ({reason}). Is another program using it, or is it "
            "forbidden to this user? featkit stream --list-devices shows the others."
        )

    def _start(self, sd: Any, device: str | int | None, rate: int, channels: int) -> None:
        self._opened += 1
        stream = sd.InputStream(
            samplerate=rate, channels=channels, blocksize=self._block, device=device, dtype="float32",
            callback=partial(self._hear, self._opened, rate),
        )  # fmt: skip
        self._began, self._expected, self._last = False, None, time.monotonic()
        try:
            stream.start()
        except Exception:
            stream.close()
            raise
        self._stream = stream

    def _hear(self, opened: int, rate: int, samples: Any, frames: int, clock: Any, status: Any) -> None:
        """The callback, in PortAudio's own thread."""
        if opened != self._opened:
            return  # a stream that was given up and still speaks
        length, now = frames / rate, time.monotonic()
        begins = clock.inputBufferAdcTime or now - length  # some drivers have no clock
        if status.input_overflow and self._expected is not None:
            # The clock tells how much the device's buffer lost; of what it does not tell, at least a sample.
            self._unheard += max(begins - self._expected, 1 / rate)
        self._expected, self._last, self._began = begins + length, now, True
        if self._queue.qsize() * length > _HELD:
            self._unheard += length
            return
        lost, self._unheard = self._unheard, 0.0
        self._queue.put(_Heard(samples.copy(), now, lost))

    def _reopen(self) -> None:
        """Try once to get the device back. What hangs is waited for, since PortAudio must not be touched meanwhile."""
        if self._errand is None or not self._errand.is_alive():
            time.sleep(_RETRY)
            self._opened += (
                1  # from here on the old stream is deaf, or what it lost when it is closed would not be told
            )
            self._errand = _Errand(self._start_again)
        self._errand.join(_RETRY)

    def _start_again(self) -> None:
        self._close()
        sd = _sounddevice()
        with contextlib.suppress(AudioError, sd.PortAudioError):
            sd._terminate()  # PortAudio lists devices once, when it starts
            sd._initialize()
            self._open()
        if self._ended:
            self._close()

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(Exception):  # it is gone one way or another
                stream.abort()
                stream.close()


class _Errand(threading.Thread):
    """Something that may never end, done apart: a sound server that hangs lets nobody go."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Do it."""
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """What comes of it, if it comes in time."""
    errand = _Errand(work)
    errand.join(seconds)
    if errand.is_alive():
        raise AudioError(
            f"The sound system has not answered for {seconds:g} s. Restart it (PulseAudio, PipeWire, ALSA), or replay "
            "a recording with --file."
        )
    if errand.error is not None:
        raise errand.error
    return errand.result


def _inputs(sd: Any) -> list[Device]:
    default = sd.default.device[0]
    return [
        Device(i, str(about["name"]), about["max_input_channels"], round(about["default_samplerate"]), i == default)
        for i, about in enumerate(sd.query_devices())
        if about["max_input_channels"] > 0
    ]


def _about(sd: Any, device: str | int | None) -> dict[str, Any]:
    """What PortAudio says of an input device."""
    try:
        found: dict[str, Any] = sd.query_devices(device, "input")
    except (sd.PortAudioError, ValueError):
        names = [f"{known.index} {known.name}" for known in _inputs(sd)]
        if not names:
            raise AudioError(
                "There is no microphone: PortAudio finds no input device. Plug one in, or replay a recording with "
                "--file."
            ) from None
        wanted = "the system's default" if device is None else f"called '{device}', or more than one"
        raise AudioError(f"No microphone is {wanted}; choose by number or full name: {', '.join(names)}.") from None
    return found


def _sounddevice() -> Any:
    try:
        with muted:
            import sounddevice
    except ModuleNotFoundError as error:
        raise missing(error, "microphone") from None
    except OSError:
        raise AudioError(f"The microphone needs the library PortAudio, which is not installed: {_INSTALL}.") from None
    return sounddevice
