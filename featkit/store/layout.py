"""Columns of a feature table, and the same features as an engine of parts holds them: one row a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featkit.errors import FeatureError
from featkit.features.base import View
from featkit.parts.shape import firsts
from featkit.store.arrow import pa, pc

NOTED = ("label", "speaker", "text")
"""What a corpus knows of its files."""

ABOUT = pa.schema(
    [
        ("file", pa.string()), ("start", pa.float64()), ("end", pa.float64()),
        *((name, pa.string()) for name in (*NOTED, "sha256", "quality")),
        ("bytes", pa.int64()), ("mtime_ns", pa.int64()),
    ]
)  # fmt: skip
"""Columns before the features: seconds for start and end; sha256 of the content of the file; flags of its quality."""

FRAMES = "frames"
"""The column of frames, a list of vectors a row."""

ROW = pa.schema(
    [
        *((name, pa.string()) for name in (*NOTED, "sha256", "quality")),
        ("start", pa.list_(pa.float64())), ("end", pa.list_(pa.float64())),
        ("frames", pa.list_(pa.int32())), ("values", pa.list_(pa.float32())),
    ]
)  # fmt: skip
"""A row a file: a start, an end and a number of frames for each window, and all values one after the other."""

_LISTS = ("start", "end", "frames", "values")


@dataclass(frozen=True)
class Layout:
    """A row a window, or a row a clip where there are none."""

    names: tuple[str, ...]
    view: View

    def __post_init__(self) -> None:
        taken = {*ABOUT.names, FRAMES, *_LISTS}
        if clash := [name for i, name in enumerate(self.names) if name in taken or name in self.names[:i]]:
            raise FeatureError(
                f"A feature is called '{clash[0]}' twice, or as another column is; rename it in its set."
            )

    @property
    def schema(self) -> pa.Schema:
        """Columns of the table."""
        if self.view == "functionals":
            return pa.schema([*ABOUT, *((name, pa.float32()) for name in self.names)])
        return pa.schema([*ABOUT, (FRAMES, pa.list_(pa.list_(pa.float32(), len(self.names))))])

    def main(self, rows: pa.Schema) -> pa.Schema:
        """Columns of the table, whatever those of the rows."""
        return self.schema

    def spread(self, rows: pa.Table) -> pa.Table:
        """A row a file → a row a window."""
        starts = rows["start"].combine_chunks()
        file_of = pc.list_parent_indices(starts)
        columns: dict[str, Any] = {
            name: rows[name].take(file_of) for name in ABOUT.names if name not in ("start", "end")
        }
        columns |= {name: rows[name].combine_chunks().flatten() for name in ("start", "end")}
        flat = rows["values"].combine_chunks().flatten()
        columns |= self._columns(flat.to_numpy(), rows["frames"].combine_chunks().flatten().to_numpy())
        return pa.table([columns[name] for name in self.schema.names], self.schema)

    def _columns(self, flat: Any, lengths: Any) -> dict[str, Any]:
        if self.view == "functionals":
            columns = np.ascontiguousarray(flat.reshape(-1, len(self.names)).T)
            return dict(zip(self.names, map(pa.array, columns), strict=True))
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat), len(self.names))
        return {FRAMES: pa.ListArray.from_arrays(pa.array(_offsets(lengths)), vectors)}

    def gather(self, table: pa.Table) -> pa.Table:
        """A row a window → a row a file."""
        begins = firsts(table)
        flat, lengths = self._flat(table)
        columns: dict[str, Any] = {
            name: table[name].take(pa.array(begins)) for name in ABOUT.names if name not in ("start", "end")
        }
        rows = np.append(begins, len(table)).astype(np.int32)
        values = np.concatenate([[0], np.cumsum(lengths)])[rows] * len(self.names)
        for name, items in (("start", table["start"]), ("end", table["end"]), ("frames", pa.array(lengths))):
            items = items.combine_chunks() if isinstance(items, pa.ChunkedArray) else items
            columns[name] = pa.ListArray.from_arrays(pa.array(rows), items)
        columns["values"] = pa.ListArray.from_arrays(pa.array(values.astype(np.int32)), flat)
        return pa.table({name: columns[name] for name in ("file", "bytes", "mtime_ns", *ROW.names)})

    def _flat(self, table: pa.Table) -> tuple[pa.Array, Any]:
        """All values one after the other, and the number of frames of each row."""
        if self.view == "functionals":
            return pa.array(matrix(table, self.names).ravel()), np.ones(len(table), np.int32)
        lists = table[FRAMES].combine_chunks()
        return lists.flatten().flatten(), pc.list_value_length(lists).to_numpy()


def matrix(table: pa.Table, names: Sequence[str]) -> Any:
    """Columns of numbers side by side. (rows, names) float32."""
    values = np.empty((len(table), len(names)), np.float32)
    for i, name in enumerate(names):
        values[:, i] = table[name].to_numpy()
    return values


def _offsets(lengths: Any) -> Any:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
