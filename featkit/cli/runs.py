"""What the commands share that write a table of many files: options, how a run ends early, what is told of it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featkit.cli.common import finite, live, option, workers
from featkit.errors import AudioError, DataError
from featkit.tables import counted

if TYPE_CHECKING:
    from featkit.parts import Options, Summary

RUN_OPTIONS = ("window", "hop", "jobs", "retry_failed", "overwrite", "strict", "timeout")
"""Parameters of `run_options`."""


def run_options(window: str, only: str = "") -> Callable[[Any], Any]:
    """The options of a run; ``window`` says what becomes of one, ``only`` where the options have a meaning."""

    def add(command: Any) -> Any:
        for one in reversed(_options(window, only)):
            command = one(command)
        return command

    return add


def _options(window: str, only: str) -> list[Callable[[Any], Any]]:
    def told(text: str) -> str:
        return f"{only}: {text[0].lower()}{text[1:]}" if only else text

    return [
        option("--window", type=float, metavar="SECONDS", help=told(window)),
        option("--hop", type=float, metavar="SECONDS", help="From one window to the next.  [default: the window]"),
        option(
            "--jobs", "-j", type=int, metavar="N", callback=workers,
            help=told("Workers; -1 for all cores.  [default: 1]"),
        ),
        option("--retry-failed", is_flag=True, help=told("Try again what failed in an earlier run.")),
        option("--overwrite", is_flag=True, help=told("Begin anew, whatever is there.")),
        option("--strict", is_flag=True, help=told("Stop at the first file that fails.")),
        option(
            "--timeout", default=600.0, type=click.FloatRange(1, 86_400), callback=finite, metavar="SECONDS",
            help=told("For one file."),
        ),
    ]  # fmt: skip


def check_windows(window: float | None, hop: float | None) -> None:
    """Refuse windows that make no sense before the files are looked for, which may take long."""
    if window is None and hop is None:
        return
    from featkit.stream.windows import window_and_hop

    try:
        window_and_hop(window, hop)
    except (AudioError, DataError) as error:
        raise click.UsageError(str(error)) from None


def told_options(jobs: int | None, **given: Any) -> Options:
    """How to run, with a bar and notes on stderr."""
    from featkit.parts import Options

    return Options(n_jobs=jobs or 1, progress=live(), tell=lambda line: click.echo(line, err=True), **given)


@contextmanager
def going_on_later(output: Path) -> Iterator[None]:
    """A run that may be ended before its end, by Ctrl-C with exit code 130 or SIGTERM with 143: it can go on."""
    try:
        with _ended_by_term():
            yield
    except KeyboardInterrupt:
        click.echo(f"Stopped. What is done is kept beside {output}; the same command goes on from there.", err=True)
        click.get_current_context().exit(130)


@contextmanager
def _ended_by_term() -> Iterator[None]:
    """Let SIGTERM, by which batch systems end what takes too long, end the run as Ctrl-C does, with exit code 143."""

    def end(*_: Any) -> None:
        sys.exit(143)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def tell_summary(output: Path, named: int, found: Summary, holds: Callable[[], str] | None = None) -> None:
    """Say what became of the files, and what the table ``holds`` now; exit code 1 where one of them failed."""
    from featkit.decoding import shown

    if named and not found.done + found.skipped + found.others:
        raise DataError(f"None of {named} files can be used. The first: {shown(found.failures[0])}.")
    if found.failed:
        click.echo(f"{found.failed} of {counted(named, 'file')} could not be used:", err=True)
        for line in found.failures:
            click.echo(f"  {shown(line)}", err=True)
        if found.failed > len(found.failures):
            click.echo(f"  … and {found.failed - len(found.failures)} more", err=True)
        click.echo(f"{found.failures_path} has them all; --retry-failed tries them again.", err=True)
    _tell_others(output, named, found)
    if holds:
        click.echo(f"{output}: {holds()}")
    click.echo(f"{output}: {found.done} done, {found.failed} failed, {found.skipped} skipped")
    if found.failed:
        click.get_current_context().exit(1)


def _tell_others(output: Path, named: int, found: Summary) -> None:
    """Say that the table holds more than what was named, and where that seems to be a mistake."""
    if found.others:
        click.echo(f"{output}: keeps {counted(found.others, 'row')} of files that were not named this time.", err=True)
    if found.renamed:
        stand = f"{found.renamed} of {counted(named, 'file')} stand there under another path, too"
        told = "(same name, size and time): name them as before, or begin anew with --overwrite."
        click.echo(f"{output}: {stand} {told}", err=True)
