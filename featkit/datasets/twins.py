"""The same recording in two corpora, under whatever name."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

Place: TypeAlias = tuple[int, int]
"""Which of the corpora, and which of its clips."""


def twins(corpora: Sequence[Sequence[Any]]) -> tuple[Place, Place] | None:
    """Two clips of equal content that stand in two of the ``corpora``; None where there are none.

    A clip is a file, which is compared by its bytes, or an array, compared by its numbers. Only those whose sizes
    collide between corpora are read. What is empty, cannot be read or is neither file nor array is no twin.
    """
    sizes: dict[tuple[str, int], list[Place]] = defaultdict(list)
    for i, clips in enumerate(corpora):
        for j, clip in enumerate(clips):
            sizes[_size(clip)].append((i, j))
    for (_, size), placed in sizes.items():
        if size and len({i for i, _ in placed}) > 1 and (pair := _equal(corpora, placed)):
            return pair
    return None


def _size(clip: Any) -> tuple[str, int]:
    """Bytes of a file, numbers in an array; 0 for what is neither."""
    if isinstance(clip, np.ndarray):
        return "array", clip.size if clip.dtype.kind in "fiu" else 0
    try:
        found = os.stat(clip)
    except (OSError, ValueError, TypeError):
        return "file", 0
    return "file", found.st_size if stat.S_ISREG(found.st_mode) else 0


def _equal(corpora: Sequence[Sequence[Any]], placed: Sequence[Place]) -> tuple[Place, Place] | None:
    first: dict[bytes, Place] = {}
    for i, j in placed:
        digest = _digest(corpora[i][j])
        if digest and (earlier := first.setdefault(digest, (i, j)))[0] != i:
            return earlier, (i, j)
    return None


def _digest(clip: Any) -> bytes:
    """Hash of the content; none where it cannot be read."""
    if isinstance(clip, np.ndarray):
        return hashlib.sha256(clip.astype(np.float32).tobytes()).digest()  # whatever type it came in
    try:
        with open(clip, "rb") as content:
            return hashlib.file_digest(content, "sha256").digest()
    except OSError:
        return b""
