"""Frames on disk in place of memory, in a file without a name that the system reads where it is looked at."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from featkit.errors import DataError

Array = npt.NDArray[np.float32]


def on_disk(clips: Iterable[Array], dims: int, n_bytes: int) -> list[Array]:
    """The same clips (time, dims) float32, read-only and outside of memory, as long as one of them is looked at.

    ``n_bytes`` is what they take together. The file has no name: whatever becomes of this process, nothing is left.

    Raises
    ------
    DataError
        There is no room for them.
    """
    folder = _folder()
    with _room(folder, n_bytes):
        if shutil.disk_usage(folder).free < n_bytes:  # before an hour of writing, not after it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  open as long as it is mapped
    try:
        places = list(_written(clips, file, folder, n_bytes))
        values = _mapped(file, dims)
    except BaseException:
        file.close()
        raise
    return [values[first:end] for first, end in pairwise(places)]


def _written(clips: Iterable[Array], file: Any, folder: str, n_bytes: int) -> Iterator[int]:
    """Write the clips; yields where each begins, and where the last ends, in frames."""
    place = 0
    for clip in clips:
        yield place
        with _room(folder, n_bytes):
            file.write(np.ascontiguousarray(clip, np.float32).data)
        place += len(clip)
    with _room(folder, n_bytes):
        file.flush()
    yield place


def _folder() -> str:
    """``TMPDIR``, or where large files may lie: ``/tmp`` is a piece of memory on many systems."""
    large = "/var/tmp"
    return os.environ.get("TMPDIR") or (large if Path(large).is_dir() else tempfile.gettempdir())


@contextmanager
def _room(folder: str, n_bytes: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: {n_bytes / 1e9:.1f} GB of frames cannot be kept there ({error.strerror}); name a folder with "
            "room in TMPDIR."
        ) from None


def _mapped(file: Any, dims: int) -> Array:
    if sys.platform != "linux":
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.float32).reshape(-1, dims)
    # By this name joblib's workers find what has none, as long as this process lives.
    mapped = np.memmap(f"/proc/{os.getpid()}/fd/{file.fileno()}", np.float32, "r")
    weakref.finalize(mapped, file.close)
    return np.asarray(mapped).reshape(-1, dims)
