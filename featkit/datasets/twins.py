"""The same recording in two corpora, under whatever name."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Sequence


def twins(parts: Sequence[Sequence[str]]) -> tuple[str, str] | None:
    """Two files of equal content that stand in two of the ``parts``; None where there are none.

    Only files whose sizes collide between parts are read. One that is empty or cannot be read is no twin.
    """
    sizes: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for i, files in enumerate(parts):
        for file in files:
            sizes[_size(file)].append((i, file))
    for size, placed in sizes.items():
        if size and len({part for part, _ in placed}) > 1 and (pair := _equal(placed)):
            return pair
    return None


def _size(file: str) -> int:
    """Bytes; 0 for what is no file."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _equal(placed: Sequence[tuple[int, str]]) -> tuple[str, str] | None:
    first: dict[bytes, tuple[int, str]] = {}
    for part, file in placed:
        try:
            with open(file, "rb") as content:
                digest = hashlib.file_digest(content, "sha256").digest()
        except OSError:
            continue
        there, earlier = first.setdefault(digest, (part, file))
        if there != part:
            return earlier, file
    return None
