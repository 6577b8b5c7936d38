"""Parts → tables, in the order of the files and with no more than a block of rows in memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featkit.parts.folder import kept, read_part, replace_synced
from featkit.parts.ledger import Ledger
from featkit.parts.output import FAILURES, Output, Writer
from featkit.parts.work import MOST_VALUES, widths

_MOST_ROWS = 8_192


def join(ledger: Ledger, output: Output, settings: Any) -> None:
    """Write the tables from the parts; each takes the place of its predecessor only when it is whole.

    Raises
    ------
    DataError
        They cannot be written. The parts stay.
    """
    with kept(output.path):
        drafts = output.parts / "joined"
        drafts.mkdir(exist_ok=True)
        made = [*_write_failures(ledger, output, drafts), *_write_rows(ledger, output, drafts, settings)]
        if output.path.suffix == ".csv":
            made.insert(0, output.settings_path)
            (drafts / output.settings_path.name).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        for path in made:
            replace_synced(drafts / path.name, path)
        if output.failures_path not in made:
            output.failures_path.unlink(missing_ok=True)


def _write_rows(ledger: Ledger, output: Output, drafts: Path, settings: Any) -> list[Path]:
    main = Writer(drafts / output.path.name, output.main, settings)
    detail = output.detail and Writer(drafts / output.detail_path.name, output.detail, settings)
    name = output.work.detail
    files, parts = ledger.good(), dict[Path, pa.Table]()
    for block in blocks(_gathered(ledger, ledger.good(), parts), widths(output.work.schema)):
        rows = _noted(block, ledger, list(itertools.islice(files, len(block))))
        if detail and name:
            lists = rows[name].combine_chunks()
            detail.write(_exploded(rows["file"].combine_chunks(), lists, output.detail))
            rows = rows.set_column(rows.column_names.index(name), name, pc.list_value_length(lists))
        main.write(output.shape.spread(rows.select(output.rows_schema.names)))
        parts.clear()  # what is mapped counts as memory as far as it was read
    main.close()
    if detail:
        detail.close()
    return [output.detail_path, output.path] if detail else [output.path]


def _noted(rows: pa.Table, ledger: Ledger, files: list[int]) -> pa.Table:
    """The rows with what the command knows of their files; what it knows nothing of stays as it is."""
    notes = [ledger.notes.row(ledger.files[i]) if i < len(ledger.files) else {} for i in files]
    for place, name in enumerate(rows.column_names):
        if name in ledger.notes.columns:
            old = rows[name].to_pylist()
            new = [note.get(name, value) for note, value in zip(notes, old, strict=True)]
            rows = rows.set_column(place, name, pa.array(new, pa.string()))
    return rows


def _write_failures(ledger: Ledger, output: Output, drafts: Path) -> list[Path]:
    if not any(True for _ in ledger.bad()):
        return []
    table = Writer(drafts / output.failures_path.name, FAILURES, None)
    for rows in _gathered(ledger, ledger.bad(), {}):
        table.write(rows.select(FAILURES.names))
    table.close()
    return [output.failures_path]


def _gathered(ledger: Ledger, files: Iterable[int], parts: dict[Path, pa.Table]) -> Iterator[pa.Table]:
    """Rows of the files, in their order: slices of parts as long as they follow each other. Parts are kept open."""
    source = first = after = -1
    for at, row in map(ledger.place, files):
        if (at, row) != (source, after):
            if after > first:
                yield _slice(ledger, parts, source, first, after)
            source, first = at, row
        after = row + 1
    if after > first:
        yield _slice(ledger, parts, source, first, after)


def _slice(ledger: Ledger, parts: dict[Path, pa.Table], source: int, first: int, after: int) -> pa.Table:
    path = ledger.sources[source]
    assert path is not None  # rows of a finished output are made parts before they are joined
    if path not in parts:
        parts[path] = read_part(path)
    return parts[path].slice(first, after - first)


def blocks(pieces: Iterable[pa.Table], lists: dict[str, int]) -> Iterator[pa.Table]:
    """The same rows in blocks that hold enough for a row group and little enough for memory.

    Where a block ends depends on its rows alone, not on the pieces in which they come.
    """
    waiting: list[pa.Table] = []
    n = weight = 0
    for piece in pieces:
        start = 0
        for i, more in enumerate(_weights(piece, lists)):
            if n and (n == _MOST_ROWS or weight + more > MOST_VALUES):
                yield pa.concat_tables([*waiting, piece.slice(start, i - start)])
                waiting, start, n, weight = [], i, 0, 0
            n, weight = n + 1, weight + more
        waiting.append(piece.slice(start))
    if n:
        yield pa.concat_tables(waiting)


def _weights(rows: pa.Table, lists: dict[str, int]) -> list[int]:
    """How many values each row holds, as the workers count them."""
    weights = pa.array([rows.num_columns] * len(rows), pa.int64())
    for name, width in lists.items():
        lengths = pc.fill_null(pc.list_value_length(rows[name].combine_chunks()), 0)
        weights = pc.add(weights, pc.multiply(lengths.cast(pa.int64()), width))
    return list(weights.to_pylist())


def _exploded(files: pa.Array, lists: pa.Array, schema: pa.Schema) -> pa.Table:
    """A row for each item of the lists, with the file it is of."""
    items = lists.flatten()
    return pa.table([files.take(pc.list_parent_indices(lists)), *items.flatten()], names=schema.names)
