"""Hashes of what decides a score: the recordings, and the code."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from featkit import plugins
from featkit.corpus import Corpus
from featkit.features.base import Bundle, Features
from featkit.versions import installed

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "onnxruntime", "opensmile", "xgboost", "xgboost-cpu", "torch", "soxr",
              "soundfile", "transformers")  # fmt: skip
_NO_SCORE = ("cli", "datasets", "audit", "serve", "stream", "deploy", "contract", "batch.py", "bulk.py", "demo.py",
             "card.py", "fetch.py", "plots.py", "tables.py", "benchmark/html.py", "benchmark/report.py",
             "benchmark/compare.py", "benchmark/plan.py")  # fmt: skip
"""Parts of featkit that no score depends on, or that the hash of the data covers: changes there keep rows valid."""


def data_hash(corpus: Corpus) -> str:
    """Hash of every recording's bytes with its label, speaker and sentence, 12 hex digits.

    Neither where the files lie nor their order counts.
    """
    columns = (corpus.labels, corpus.speakers, corpus.texts)
    clips = [
        _content(clip).hex() + "\n" + "\n".join("-" if column is None else str(column[i]) for column in columns)
        for i, clip in enumerate(corpus.clips)
    ]
    return hashlib.sha256("\0".join(sorted(clips)).encode()).hexdigest()[:12]


@cache
def code_hash() -> str:
    """Hash of the sources of featkit and of its backends, and of the versions of foreign plug-ins, 12 hex digits."""
    found = {package: find_spec(package) for package in ("featkit", "featkit_backends")}
    roots = [Path(root) for spec in found.values() if spec for root in spec.submodule_search_locations or []]
    return sources_hash(roots, _foreign())


def sources_hash(roots: Sequence[Path], others: Sequence[str] = ()) -> str:
    """Hash of the Python files below ``roots`` that can decide a score, and of ``others``, 12 hex digits."""
    found = hashlib.sha256(repr(list(others)).encode())
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if not name.startswith(_NO_SCORE):
                found.update(f"{root.name}/{name}\n".encode() + path.read_bytes())
    return found.hexdigest()[:12]


@cache
def versions() -> dict[str, str]:
    """Versions of featkit and of the libraries that decide numbers, of Python and of the platform."""
    found = {"featkit": version("featkit"), "python": platform.python_version()}
    found["platform"] = f"{platform.system()} {platform.machine()}"
    return found | installed(_LIBRARIES)


def _foreign() -> list[str]:
    kinds: tuple[plugins.Kind, ...] = ("features", "backends", "datasets")
    points = [point for kind in kinds for point in plugins.installed(kind).values()]
    return sorted({f"{point.dist.name} {point.dist.version}" for point in points if point.dist is not None})


def _content(clip: Any) -> bytes:
    """Digest of a file's bytes, of a wave, or of extracted features."""
    if isinstance(clip, str | os.PathLike):
        try:
            with open(clip, "rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:  # a file that is not there costs its clip, not the table
            return type(error).__name__.encode()
    found = hashlib.sha256()
    for part in clip.parts if isinstance(clip, Bundle) else (clip,):
        if isinstance(part, Features):
            found.update(f"{part.spec_hash} {part.view} {part.augment}".encode())
            part = part.values
        values = np.asarray(part)
        found.update(f"{values.shape} {values.dtype}".encode() + values.tobytes())
    return found.digest()
