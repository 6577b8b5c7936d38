"""Fixtures for all tests. Those that need a real corpus skip where it is not on this computer."""

import os
import signal
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell: no test could press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

DATA = Path(os.environ.get("FEATKIT_DATA") or Path(__file__).parents[2] / "shared" / "data")
"""Folder with the unpacked corpora: ``emodb/`` and ``ravdess/``."""


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes are no name for a test: those of a file may hold the second in which it was made.

    Processes that share the tests must call them the same.
    """
    return argname if isinstance(val, bytes) else None


def _corpus(name: str) -> Path:
    root = DATA / name
    if not root.is_dir():
        pytest.skip(f"no {name} corpus at '{root}'; set FEATKIT_DATA to the folder that holds it")
    return root


@pytest.fixture(scope="session")
def emodb_root() -> Path:
    """EMO-DB as unpacked: 535 files."""
    return _corpus("emodb")


@pytest.fixture(scope="session")
def ravdess_root() -> Path:
    """RAVDESS speech as unpacked: 1440 files."""
    return _corpus("ravdess")
