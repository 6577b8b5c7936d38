"""What C libraries print stays out of the terminal, and what Python prints does not."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from featkit.muted import Muted


def test_what_libraries_print_is_kept_out_of_the_terminal_and_ours_is_not() -> None:
    code = (
        "import os, sys\n"
        "from featkit.muted import muted\n"
        "with muted:\n"
        "    with muted: os.write(2, b'ALSA lib: noise')\n"
        "    os.write(2, b'noise')\n"
        "    print('ours ä', file=sys.stderr)\n"
        "os.write(2, b'after')\n"
        "assert sys.stderr is sys.__stderr__\n"
    )
    command = [sys.executable, "-X", "utf8", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    assert done.stderr == "ours ä\nafter"


def test_where_there_is_no_stderr_nothing_is_led_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int) -> int:
        raise OSError("Bad file descriptor")

    monkeypatch.setattr(os, "dup", none)
    with Muted() as nothing:
        assert nothing is None


def test_a_stderr_that_is_no_terminal_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", kept := io.StringIO())
    with Muted():
        assert sys.stderr is kept
