"""Extraction for thousands of files: a table of features, and one of what failed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featkit.audio import SAMPLE_RATE, read
from featkit.decoding import shown
from featkit.errors import AudioError, DataError, FeatureError
from featkit.features.base import FeatureExtractor, View, extractor_from_spec, find_extractor, packages_of
from featkit.parts import FileError, Notes, Options, Summary, reading_stage, run
from featkit.quality import flags
from featkit.store.copies import copy_table
from featkit.store.layout import NOTED, Layout
from featkit.store.marks import is_copy
from featkit.store.table import COPIES, settings_of
from featkit.stream.windows import bounds, n_samples, window_and_hop
from featkit.versions import installed

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Extract:
    """One file → its row. Text and numbers, so that it travels; the extractor is built once in every process."""

    spec: str
    """`FeatureExtractor.spec` as JSON."""
    view: View
    windows: tuple[float, float] | None
    """Window and hop, seconds."""
    pad_short: bool

    @property
    def detail(self) -> None:
        """There is one table: the `Layout` makes a row of every window."""
        return None

    @property
    def schema(self) -> pa.Schema:
        """Columns of a row."""
        from featkit.store.layout import ROW

        return ROW

    def __call__(self, path: str) -> dict[str, Any]:
        """The row of a file, or `FileError`."""
        extractor, where = _extractor(self.spec), shown(path)
        try:
            wave, stored = read(path)
        except AudioError as error:
            raise FileError.of(reading_stage(path), error, where) from None
        cuts = [(0, wave.size)] if self.windows is None else bounds(wave.size, *n_samples(*self.windows))
        try:
            values = [extractor.extract(wave[i:j], self.view, where, self.pad_short) for i, j in cuts]
        except (AudioError, FeatureError) as error:
            raise FileError.of("features", error, where) from None
        return {
            "sha256": _sha256(path),
            "quality": "; ".join(flags(wave, stored)),
            "start": [i / SAMPLE_RATE for i, _ in cuts],
            "end": [j / SAMPLE_RATE for _, j in cuts],
            "frames": [1 if self.view == "functionals" else len(clip) for clip in values],
            "values": np.concatenate(values, axis=None),
        }


def extract_files(
    files: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    features: str | FeatureExtractor = "mfcc39",
    view: View = "functionals",
    *,
    window: float | None = None,
    hop: float | None = None,
    pad_short: bool = False,
    notes: dict[str, tuple[str | None, str | None, str | None]] | None = None,
    synthetic: bool = False,
    options: Options | None = None,
) -> Summary:
    """Extract features of files and write a table of them, going on where an earlier run ended.

    Parameters
    ----------
    files
        Paths; the table has their order.
    output
        ``out.parquet``: file, start, end (seconds), label, speaker, text, sha256, quality, bytes, mtime_ns, then a
        column for each functional, or one of frames. Files that gave no row stand in ``out.parquet.failures.csv``.
        ``out.csv``, ``out.arff`` and ``out.npz`` are copies of ``out.parquet``, which stays beside them.
    features
        Name of a set, names joined by ``+``, or an extractor that is installed as a plug-in.
    view
        "functionals", one vector a row, or "frames", (time, dims).
    window, hop
        Seconds. With a window a row is a window, cut as `featkit.stream` cuts them; else a row is a file. Default of
        ``hop``: the window.
    pad_short
        Append silence to what is too short instead of refusing it.
    notes
        Label, speaker and text of files, by path; None where one is not known.
    synthetic
        The recordings are not of people.
    options
        Workers, and what to do about failures and earlier runs.

    Raises
    ------
    DataError
        As `featkit.parts.run` does, another file stands where a copy is to be, or there is a hop without a window.
    AudioError
        The lengths of windows make no sense.
    FeatkitError
        The set is not known, not installed, or set up in a way that makes no sense.
    """
    path = Path(output)
    if path.suffix not in (".parquet", *COPIES):
        raise DataError(f"{path}: tables of features are *.parquet, *.csv, *.arff or *.npz.")
    if view == "frames" and path.suffix in (".csv", ".arff"):
        raise DataError(f"{path}: {path.suffix[1:].upper()} holds no frames; name the file *.parquet or *.npz.")
    if path.suffix in COPIES and path.exists() and not is_copy(path) and not (options and options.overwrite):
        raise DataError(f"{path}: is there and not of this command; name another output, or say --overwrite.")
    extractor, windows = find_extractor(features), window_and_hop(window, hop)
    names = tuple(extractor.names(view))
    settings = settings_of(
        extractor.spec, view, names, synthetic, pad_short=pad_short,
        **dict(zip(("window", "hop"), windows or (None, None), strict=True)), **versions(extractor),
    )  # fmt: skip
    work = Extract(json.dumps(extractor.spec), view, windows, pad_short)
    table = path.with_suffix(".parquet")
    known = None if notes is None else Notes(NOTED, notes)
    summary = run(files, work, settings, table, options, shape=Layout(names, view), notes=known)
    if path != table:
        copy_table(table, path)
    return summary


def versions(extractor: FeatureExtractor) -> dict[str, str]:
    """Versions of what decides the numbers: featkit, what decodes, and what the modules of the set import."""
    packages = {"featkit", "numpy", "soundfile", "soxr"} | packages_of(extractor)
    return {f"version of {name}": found for name, found in installed(packages).items()}


@lru_cache(maxsize=4)
def _extractor(spec: str) -> FeatureExtractor:
    return extractor_from_spec(json.loads(spec))


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
