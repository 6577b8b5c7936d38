"""What libmpg123 writes to C's stderr stays out of the terminal; what anybody else writes does not."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from featkit.decoding.hush import hush

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="stderr is exchanged in glibc only")

_THREADS = """
import ctypes, sys, threading
from featkit.audio import load
from featkit.errors import AudioError

def refused():
    for _ in range(50):
        try:
            load(sys.argv[1])
        except AudioError:
            pass

threads = [threading.Thread(target=refused) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(200):
    print("ours", file=sys.stderr, flush=True)
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fputs(b"afterwards\\n", ctypes.c_void_p.in_dll(libc, "stderr"))
"""


def test_threads_that_decode_are_silent_and_all_others_heard(tmp_path: Path) -> None:
    (tmp_path / "bad.mp3").write_bytes(b"\xff\xfb\x90\x64" + np.random.default_rng(0).bytes(4000))
    command = [sys.executable, "-c", _THREADS, str(tmp_path / "bad.mp3")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert done.stderr.splitlines() == ["ours"] * 200 + ["afterwards"]


def test_it_may_be_entered_twice_and_puts_back_what_was() -> None:
    before = hush._stderr.value
    with hush:
        led_away = hush._stderr.value
        with hush:
            pass
        assert hush._stderr.value == led_away != before
    assert hush._stderr.value == before
