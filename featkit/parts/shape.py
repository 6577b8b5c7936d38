"""How the rows of parts, one a file, stand in the finished table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


class Shape(Protocol):
    """Turns rows of parts into rows of the table and back. Where it has lists, a file may have several rows there."""

    def main(self, rows: pa.Schema) -> pa.Schema:
        """Columns of the table, from those of the rows: file, those of the work, bytes and mtime_ns."""

    def spread(self, rows: pa.Table) -> pa.Table:
        """Rows of parts → rows of the table, those of a file next to each other."""

    def gather(self, table: pa.Table) -> pa.Table:
        """Rows of the table, with all those of each file → rows of parts."""


class Plain:
    """The table has the rows of the parts."""

    def main(self, rows: pa.Schema) -> pa.Schema:
        """The same columns."""
        return rows

    def spread(self, rows: pa.Table) -> pa.Table:
        """The same rows."""
        return rows

    def gather(self, table: pa.Table) -> pa.Table:
        """The same rows."""
        return table


def firsts(table: pa.Table) -> npt.NDArray[np.int64]:
    """Rows where another file begins; those of a file stand next to each other."""
    names = table["file"].combine_chunks()
    if not len(names):
        return np.empty(0, np.int64)
    changes = pc.not_equal(names.slice(1), names.slice(0, len(names) - 1))
    return np.concatenate([[0], 1 + np.flatnonzero(changes.to_numpy(zero_copy_only=False))])


def by_files(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables that hold all rows of each of their files."""
    left: pa.Table | None = None
    for table in tables:
        both = table if left is None else pa.concat_tables([left, table])
        last = int(firsts(both)[-1]) if len(both) else 0
        if last:
            yield both.slice(0, last)
        left = both.slice(last)
    if left is not None and len(left):
        yield left
