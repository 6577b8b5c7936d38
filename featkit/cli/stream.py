"""``featkit stream``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from featkit.cli.common import FILE, option
from featkit.tables import counted

if TYPE_CHECKING:
    from featkit.stream import Block, Event, LiveRecogniser

BACKLOG = 2
"""Windows of a microphone that may wait for a slow model."""


@click.command(short_help="Label what a microphone hears, live.")
@click.option(
    "--device", metavar="NAME|N", help="Microphone: part of its name, or its number.  [default: the system's]"
)
@click.option("--list-devices", is_flag=True, help="Print the microphones and end.")
@click.option("--file", "path", type=FILE, help="Replay a recording as if it were live.")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), metavar="X",
    help="Of --file: times faster than life; inf: as fast as the model can.  [default: 1]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One line of JSON an event, for pipes.")
@option("--window", default=3.0, metavar="SECONDS", help="Length of a window.")
@click.option(
    "--hop", type=float, metavar="SECONDS", help="From one window to the next.  [default: 0.5, or the window]"
)
@option(
    "--smoothing", default="vote", type=click.Choice(["vote", "mean", "none"]),
    help="Majority of the last windows, mean of their probabilities, or each for itself.",
)  # fmt: skip
@option("--votes", default=5, type=click.IntRange(min=1), metavar="N", help="Windows that are smoothed over.")
@option("--threshold", default=0.4, type=click.FloatRange(0, 1), help="Below it the answer is 'not sure'.")
@option("--hysteresis", default=0.1, type=click.FloatRange(0, 1), help="Lead that another label needs.")
@click.option("--gate", is_flag=True, help="Leave out windows without a voice, by energy over the noise.")
@click.argument("model", required=False, type=FILE)
def stream(
    model: Path | None, device: str | None, list_devices: bool, path: Path | None, speed: float | None, as_json: bool,
    gate: bool, smoothing: str, **settings: Any,
) -> None:  # fmt: skip
    """Label what a microphone hears, or a recording as if it were live, with an exported MODEL.

    \b
    featkit stream model.onnx                           Ctrl-C ends
    featkit stream model.onnx --file talk.wav --speed inf
    featkit stream model.onnx --json | jq .label
    """
    if list_devices:
        _list_devices()
        return
    if model is None:
        raise click.UsageError("Name a model: featkit stream model.onnx. featkit fit or featkit export makes one.")
    if path and device is not None:
        raise click.UsageError("Sound comes from a --device or from a --file; give one of them.")
    if speed is not None and not path:
        raise click.UsageError("A microphone has no --speed; it is for --file.")
    votes = click.get_current_context().get_parameter_source("votes")
    if smoothing == "none" and votes is ParameterSource.COMMANDLINE:
        raise click.UsageError("--votes are windows to smooth over; leave it out, or leave out --smoothing none.")
    if settings["hop"] is None:
        settings["hop"] = min(0.5, settings["window"])
    from featkit.card import window_caution
    from featkit.runtime import load
    from featkit.stream import EnergyGate, LiveRecogniser

    recogniser = load(model)
    live = LiveRecogniser(
        recogniser, smoothing=None if smoothing == "none" else smoothing, gate=EnergyGate() if gate else None,  # type: ignore[arg-type]
        backlog=None if path else BACKLOG, **settings,
    )  # fmt: skip
    show, say = _output(as_json)
    if caution := window_caution(recogniser.recipe, settings["window"]):
        say(f"Warning: {caution}")
    with _source(path, device, 1.0 if speed is None else speed, say) as source:
        _run(live, source, show)


def _run(live: LiveRecogniser, source: Iterable[Block], show: Callable[[Event], None]) -> None:
    """Show events until the source ends or somebody ends it; what was heard by then is answered."""
    from featkit.stream import recognise

    count = 0
    try:
        for event in recognise(live, source):
            show(event)
            count += 1
    except KeyboardInterrupt:
        for event in live.finish():
            show(event)
            count += 1
    click.echo(  # below the last bars
        f"{live.seconds:.1f} s, {counted(count, 'event')}; {live.lost:.2f} s of sound lost, "
        f"{counted(live.dropped, 'window')} dropped",
        err=True,
    )


@contextmanager
def _source(
    path: Path | None, device: str | None, speed: float, say: Callable[[str], None]
) -> Iterator[Iterable[Block]]:
    """The file, or the microphone, which is closed in the end."""
    from featkit.stream import Microphone, replay

    if path:
        yield replay(path, speed)
        return
    with Microphone(device, tell=say) as microphone:
        say(f"Listening to {microphone.name} at {microphone.rate} Hz; Ctrl-C ends.")
        yield microphone


def _output(as_json: bool) -> tuple[Callable[[Event], None], Callable[[str], None]]:
    """How to show an event, and how to say a line: bars are for terminals, lines for files and pipes."""
    from featkit.stream.screen import Screen, line, printable

    def aside(text: str) -> None:
        click.echo(printable(text), err=True)

    if as_json:
        return lambda event: click.echo(json.dumps(event.as_dict(), ensure_ascii=False)), aside
    if sys.stdout.isatty():
        screen = Screen(sys.stdout)
        return screen.show, screen.say
    return lambda event: click.echo(line(event)), aside


def _list_devices() -> None:
    from featkit.stream import list_devices
    from featkit.stream.screen import printable

    devices = list_devices()
    if not devices:
        click.echo("There is no microphone: PortAudio finds no input device.")
    for device in devices:
        mark = "*" if device.default else " "
        click.echo(f"{mark}{device.index:3} {printable(device.name)}, {device.channels} ch, {device.rate} Hz")
