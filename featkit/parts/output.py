"""The finished tables: what they are called, how they are written, and how they are read to go on from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as parquet

from featkit.errors import DataError
from featkit.parts.shape import Plain, Shape, by_files, firsts
from featkit.parts.work import KEYS, TROUBLE, Rows, part_schema, widths
from featkit.sealed import SealedWriter, state

SETTINGS_KEY = b"featkit_run"
"""Key of the settings, as JSON, in the metadata of a Parquet file's schema."""

FAILURES = pa.schema([KEYS.field("file"), *TROUBLE, KEYS.field("bytes"), KEYS.field("mtime_ns")])
"""Columns of the table of failures."""


@dataclass(frozen=True)
class Output:
    """``out.parquet`` or ``out.csv``, the files beside it, and how rows stand in it."""

    path: Path
    work: Rows
    shape: Shape = field(default_factory=Plain)

    def __post_init__(self) -> None:
        if self.path.suffix not in (".parquet", ".csv"):
            raise DataError(f"{self.path}: tables are Parquet or CSV; name the file *.parquet or *.csv.")
        if self.path.suffix == ".csv" and (lists := set(widths(self.work.schema)) - {self.work.detail}):
            raise DataError(f"{self.path}: CSV holds no lists ({', '.join(sorted(lists))}); name the file *.parquet.")
        if self.path.is_dir():
            raise DataError(f"{self.path}: is a folder; name a file to write.")

    @property
    def main(self) -> pa.Schema:
        """Columns of the main table."""
        return self.shape.main(self.rows_schema)

    @property
    def rows_schema(self) -> pa.Schema:
        """Columns of a row a file: file, those of the work, and which state of the file they tell of."""
        columns = [
            pa.field(field.name, pa.int64()) if field.name == self.work.detail else field for field in self.work.schema
        ]
        return pa.schema([KEYS.field("file"), *columns, KEYS.field("bytes"), KEYS.field("mtime_ns")])

    @property
    def detail(self) -> pa.Schema | None:
        """Columns of the table of details: file, and the fields of the structs. None if there are no details."""
        if self.work.detail not in self.work.schema.names:
            return None
        return pa.schema([KEYS.field("file"), *self.work.schema.field(self.work.detail).type.value_type])

    @property
    def parts(self) -> Path:
        """Folder of the parts."""
        return self.path.with_name(f"{self.path.name}.parts")

    @property
    def lock(self) -> Path:
        """File that is locked by who works on it."""
        return self.path.with_name(f".{self.path.name}.lock")

    @property
    def detail_path(self) -> Path:
        """``out.segments.parquet``, for details called segments."""
        return self.path.with_name(f"{self.path.stem}.{self.work.detail}{self.path.suffix}")

    @property
    def failures_path(self) -> Path:
        """``out.parquet.failures.csv``: by the whole name, as ``out.csv`` beside it may be of another command."""
        return self.path.with_name(f"{self.path.name}.failures.csv")

    @property
    def settings_path(self) -> Path:
        """``out.settings.json``: CSV has no place for settings in it."""
        return self.path.with_name(f"{self.path.stem}.settings.json")

    def settings(self) -> Any:
        """Settings of the finished table; None if there is no table, ``{}`` if it is not ours."""
        if not self.path.exists():
            return None
        try:
            if self.path.suffix == ".csv":
                return json.loads(self.settings_path.read_text(encoding="utf-8"))
            return json.loads((parquet.read_schema(self.path).metadata or {}).get(SETTINGS_KEY, b"{}"))
        except (pa.ArrowException, OSError, ValueError):
            return {}

    def some_failures(self, most: int = 10) -> list[str]:
        """The first failures of the finished table, one line each."""
        if not self.failures_path.exists():
            return []
        rows = next(_read(self.failures_path, FAILURES)).slice(0, most).to_pylist()
        return [f"{row['file']}: {row['reason']}" for row in rows]

    def remove(self) -> None:
        """Remove the tables, but not the parts."""
        details = [self.detail_path] if self.work.detail else []
        for path in (self.path, *details, self.failures_path, self.settings_path):
            path.unlink(missing_ok=True)

    def check(self) -> None:
        """Look whether each bit of the tables is as it was written.

        Raises
        ------
        DataError
            One of them was damaged, or changed by another program. CSV cannot tell.
        """
        with self._readable():
            for path in [self.path, *([self.detail_path] if self.detail else [])]:
                if not path.exists():
                    raise pa.ArrowInvalid(f"{path.name} is not there")
                if path.suffix == ".parquet" and (found := state(path)) != "whole":
                    told = "was written by another program" if found == "other" else "has lost or changed bits"
                    raise pa.ArrowInvalid(f"{path.name} {told}")

    def keys(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Which file each of `rows` is of, in which state, and why it failed; with some columns of the main table."""
        kept = pa.schema([*KEYS, *(self.main.field(name) for name in columns)])
        schema = pa.schema([*kept, TROUBLE.field("reason")])
        with self._readable():
            for table in by_files(_read(self.path, kept)):
                yield _as(schema, table.take(pa.array(firsts(table))))
            for table in self._failed():
                yield _as(schema, table)

    def rows(self) -> Iterator[pa.Table]:
        """The finished tables as rows of parts again, a few thousand at a time.

        Raises
        ------
        DataError
            They are damaged, or do not belong together.
        """
        schema = part_schema(self.work)
        with self._readable():
            details = _Rows(self.detail_path, self.detail) if self.detail else None
            for table in by_files(_read(self.path, self.main)):
                rows = self.shape.gather(table)
                if details:
                    rows = _nested(rows, details, str(self.work.detail))
                yield _as(schema, rows)
            for table in self._failed():
                yield _as(schema, table)

    def _failed(self) -> Iterator[pa.Table]:
        if self.failures_path.exists():
            yield from _read(self.failures_path, FAILURES)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:  # KeyError: a column is missing
            reason = str(error).splitlines()[0][:200]
            raise DataError(
                f"{self.path}: it or a table beside it is damaged ({reason}); begin anew with --overwrite."
            ) from None


class Writer:
    """Writes one table, Parquet or CSV by its suffix."""

    def __init__(self, path: Path, schema: pa.Schema, settings: Any) -> None:
        self._schema = schema
        if path.suffix == ".csv":
            self._writer = pa_csv.CSVWriter(str(path), schema)
            return
        self._writer = SealedWriter(path, schema, {SETTINGS_KEY.decode(): json.dumps(settings)})

    def write(self, rows: pa.Table) -> None:
        """Write rows, in Parquet as groups of their own."""
        # In one piece, or its bytes would depend on the parts from which it was gathered.
        self._writer.write(rows.combine_chunks().cast(self._schema))

    def close(self) -> None:
        """Write the end of the table."""
        self._writer.close()


class _Rows:
    """Rows of a table, as many at a time as are asked for."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._tables = _read(path, schema)
        self._left = schema.empty_table()

    def take(self, n: int) -> pa.Table:
        while len(self._left) < n:
            more = next(self._tables, None)
            if more is None:
                raise pa.ArrowInvalid("details are missing")
            self._left = pa.concat_tables([self._left, more])
        taken, self._left = self._left.slice(0, n), self._left.slice(n)
        return taken


def _read(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    if path.suffix == ".parquet":
        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):  # as large as memory was found good for when it was written
                yield file.read_row_group(group, schema.names).select(schema.names).cast(schema)
        return
    parsing = pa_csv.ParseOptions(newlines_in_values=True)
    kinds = pa_csv.ConvertOptions(
        column_types=schema, include_columns=schema.names, strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    with pa_csv.open_csv(path, parse_options=parsing, convert_options=kinds) as file:
        for batch in file:
            yield pa.Table.from_batches([batch])


def _nested(table: pa.Table, details: _Rows, name: str) -> pa.Table:
    """Put the details of each file back into its row."""
    counts = table[name].to_pylist()
    taken = details.take(sum(counts)).combine_chunks()
    if taken["file"].to_pylist() != [
        file for file, n in zip(table["file"].to_pylist(), counts, strict=True) for _ in range(n)
    ]:
        raise pa.ArrowInvalid("details are of other files")
    fields = taken.drop_columns(["file"])
    structs = pa.StructArray.from_arrays(
        [column.combine_chunks() for column in fields.columns], fields=list(fields.schema)
    )
    offsets = [0]
    for n in counts:
        offsets.append(offsets[-1] + n)
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs)
    return table.set_column(table.column_names.index(name), name, lists)


def _as(schema: pa.Schema, table: pa.Table) -> pa.Table:
    """The table with all columns of a part, null where it has none."""
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type) for field in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)
