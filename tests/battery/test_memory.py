"""However large a file is or claims to be, the door needs less than 600 MB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from battery.kinds import wav

MEMORY = 600 << 20
"""Bytes. The longest wave has 230 MB; while its blocks are joined there are two of it."""

# On Linux a child begins with the peak of its parent until it runs a program of its own, so VmHWM is asked for.
_READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from featkit.audio import read
from featkit.errors import AudioError
try:
    print(read(sys.argv[1])[0].size)
except AudioError as error:
    print(error)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")


def answer(path: Path) -> str:
    """What the door says of a file, in a process of its own that has 2 GB of address space, and less than 600 MB."""
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(path)],
        capture_output=True, text=True, timeout=100, check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    said, peak = done.stdout.splitlines()
    assert int(peak) * 1024 < MEMORY
    return said


def test_the_longest_clip_fits(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "hour.flac", "w", 16_000, 1) as file:
        block = np.full(160_000, 0.25)
        for _ in range(360):
            file.write(block)
    assert (tmp_path / "hour.flac").stat().st_size < 2_000_000
    assert answer(tmp_path / "hour.flac") == "57600000"


@pytest.mark.parametrize(
    ("name", "head", "size", "message"),
    [
        ("a.wav", wav(np.empty(0), claims=0x7FFFFFF0), 2 << 30, "is longer than 3600 s"),
        ("a.wav", wav(np.empty(0), claims=0, riff=0), 2 << 30, "is longer than 3600 s"),
        ("a.wav", wav(np.empty(0), claims=0xFFFFFFFF, channels=64, rate=192_000), 4 << 30, "too many samples"),
        ("a.mp3", b"\xff\xfb\x90\x64", 8 << 30, "cannot be decoded"),
        ("a.wav", b"", 8 << 30, "cannot be decoded"),
    ],
    ids=["wav", "never-closed", "dense", "mpeg", "zeros"],
)
def test_a_file_of_gigabytes_is_refused_within_the_limit(
    tmp_path: Path, name: str, head: bytes, size: int, message: str
) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)  # takes no room on the disk
    assert message in answer(path)


def test_ffmpeg_decodes_to_a_file_and_not_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\ncat '{tmp_path / 'piped.wav'}'\n")
    program.chmod(0o755)
    with (tmp_path / "piped.wav").open("wb") as file:
        file.write(wav(np.empty(0), claims=0xFFFFFFFF))
        file.truncate(400 << 20)
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert "is longer than 3600 s" in answer(tmp_path / "a.m4a")
