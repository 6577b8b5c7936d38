"""Prediction for thousands of files: a table of files, one of their segments, and one of what failed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from featkit.audio import SAMPLE_RATE, Stored, Wave, read
from featkit.card import window_caution
from featkit.decoding import shown
from featkit.errors import AudioError, FeatureError, ModelError
from featkit.modelfile.session import file_content
from featkit.parts import FileError, Options, Summary, reading_stage, run
from featkit.quality import flags
from featkit.runtime import Model
from featkit.stream import sliding
from featkit.stream.windows import window_and_hop

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

_RESERVED = {
    "file", "label", "seconds", "quality", "segments", "bytes", "mtime_ns", "start", "end", "reason", "stage", "hint",
}  # fmt: skip


@dataclass(frozen=True)
class Predict:
    """One file → its row. Paths and numbers, so that it travels; the model is read once in every process."""

    model: str
    sha256: str
    labels: tuple[str, ...]
    windows: tuple[float, float] | None
    """Window and hop, seconds."""

    @property
    def detail(self) -> str:
        """Segments have a table of their own, where there are windows."""
        return "segments"

    @property
    def schema(self) -> pa.Schema:
        """Columns of a row: label, a probability an emotion, seconds, quality, and the segments."""
        import pyarrow as pa

        emotions = [(label, pa.float32()) for label in self.labels]
        columns: list[Any] = [("label", pa.string()), *emotions, ("seconds", pa.float64()), ("quality", pa.string())]
        if self.windows is not None:
            times = [("start", pa.float64()), ("end", pa.float64())]
            segment = pa.struct([*times, ("label", pa.string()), ("reason", pa.string()), *emotions])
            columns.append(("segments", pa.list_(segment)))
        return pa.schema(columns)

    def __call__(self, path: str) -> dict[str, Any]:
        """The row of a file, or `FileError`."""
        wave, stored = _read(path)
        model = _model(self.model, self.sha256)
        if self.windows is None:
            proba, segments = _tried(lambda: model.predict_proba([wave])[0]), None
            if not np.isfinite(proba).all():
                raise FileError("model", "the model gave probabilities that are not finite", "train it again")
        else:
            proba, segments = self._by_window(model, wave, *self.windows)
        about = {"seconds": wave.size / SAMPLE_RATE, "quality": "; ".join(flags(wave, stored)), "segments": segments}
        return {"label": self.labels[int(proba.argmax())], **about, **dict(zip(self.labels, proba, strict=True))}

    def _by_window(self, model: Model, wave: Wave, window: float, hop: float) -> tuple[Any, list[dict[str, Any]]]:
        """Mean of the probabilities of all windows that were judged, and all windows."""
        found = _tried(lambda: sliding(model, wave, window, hop))
        judged = [segment.probabilities for segment in found if segment.probabilities is not None]
        if not judged:
            raise FileError("model", f"none of {len(found)} windows could be judged: {found[0].reason}", "leave it out")
        rows = []
        for segment in found:
            row: dict[str, Any] = {"start": segment.start, "end": segment.end, "reason": segment.reason}
            if segment.probabilities is not None:
                row["label"] = self.labels[int(segment.probabilities.argmax())]
                row |= dict(zip(self.labels, segment.probabilities, strict=True))
            rows.append(row)
        return np.mean(judged, axis=0, dtype=np.float64).astype(np.float32), rows


def predict_files(
    model: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    window: float | None = None,
    hop: float | None = None,
    options: Options | None = None,
) -> Summary:
    """Label files and write tables of what was found, going on where an earlier run ended.

    Parameters
    ----------
    model
        File that `SERClassifier.export` wrote.
    files
        Paths; the table has their order.
    output
        ``out.parquet`` or ``out.csv``: file, label, a probability an emotion, seconds, quality (the flags of
        `featkit.quality`), bytes, mtime_ns. Files that gave no row stand in ``out.parquet.failures.csv``.
    window, hop
        Seconds. With a window, ``out.segments.parquet`` tells of the windows of every file, those of
        `featkit.stream.sliding`, and a file's probabilities are their mean. Default of ``hop``: the window.
    options
        Workers, and what to do about failures and earlier runs.

    Raises
    ------
    DataError
        As `featkit.parts.run` does, or there is a hop without a window.
    AudioError
        The lengths of windows make no sense.
    ModelError
        The model cannot be used, or judges a clip beside the others of its speaker.
    """
    windows = window_and_hop(window, hop)
    path = Path(model)
    sha256 = hashlib.sha256(file_content(path)).hexdigest()
    ready = _model(str(path), sha256)
    if ready.normalise:
        raise ModelError(
            f"{path}: judges a clip beside the others of its speaker, and a table is made file by file; print its "
            "labels with --speaker one or --speaker folder."
        )
    if clash := _RESERVED & set(ready.labels):
        raise ModelError(f"{path}: calls an emotion '{min(clash)}', which is a column of the table; rename it.")
    if windows:
        sliding(ready, np.ones(1, np.float32), *windows)  # a window too short for it is told before the first file
        if options and (caution := window_caution(ready.recipe, windows[0])):
            options.tell(f"Warning: {caution}")
    settings = {
        "command": "predict", "model": sha256, **dict(zip(("window", "hop"), windows or (None, None), strict=True)),
        "featkit": version("featkit"), "recipe": ready.recipe,
    }  # fmt: skip
    work = Predict(os.path.abspath(path), sha256, tuple(ready.labels), windows)
    return run(files, work, settings, output, options)


@lru_cache(maxsize=1)
def _model(path: str, sha256: str) -> Model:
    """The model, if it is still the one that the run began with."""
    content = file_content(Path(path))
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"{path}: changed during the run; give the command again.")
    return Model.of(content, path)


def _read(path: str) -> tuple[Wave, Stored]:
    try:
        return read(path)
    except AudioError as error:
        raise FileError.of(reading_stage(path), error, shown(path)) from None


def _tried(work: Callable[[], T]) -> T:
    try:
        return work()
    except (AudioError, FeatureError) as error:
        raise FileError.of("features", error, "clip 0") from None
