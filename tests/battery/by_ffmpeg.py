"""Files that only ffmpeg reads, whole and cut off. They are made by ffmpeg too, and skipped where it is missing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from battery.kinds import Kind, sound, written

_SUFFIXES = ("m4a", "aac", "webm", "mka", "wma")


def _made(suffix: str, share: float = 1.0) -> Callable[[Path], Path]:
    """A maker of 10 s of `sound`, or of the first bytes of it."""

    def make(folder: Path) -> Path:
        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            pytest.skip("ffmpeg is not installed")
        path = folder / f"clip.{suffix}"
        source = written("source.wav", sound(seconds=10))(folder)
        front = ["-movflags", "+faststart"] if suffix == "m4a" else []  # an index at the end would be lost with it
        command = [ffmpeg, "-v", "error", "-nostdin", "-i", source, *front, path]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip(f"this ffmpeg does not write {suffix}")
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        return path

    return make


def _whole(suffix: str) -> Kind:
    return Kind(suffix, _made(suffix), flags=("unchecked",), tolerance=0.05, seconds=10, slack=0.2)


def _half(suffix: str) -> Kind:
    flags = ("cut", "unchecked")
    return Kind(f"{suffix}-cut-at-half", _made(suffix, 0.5), flags=flags, tolerance=0.05, seconds=4, slack=1.1)


KINDS = [*map(_whole, _SUFFIXES), *map(_half, _SUFFIXES)]
