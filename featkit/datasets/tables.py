"""Tables that corpora bring along: rows as dictionaries, and a plain answer where a table is not what it should be."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from featkit.errors import DataError


def rows(
    corpus: str, path: Path, columns: Sequence[str], *, separator: str = ",", quotes: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the named cells of every row, without blanks at their ends.

    Parameters
    ----------
    corpus
        Name for the messages.
    path
        Text in UTF-8, with or without a byte order mark; the first line names the columns.
    columns
        Columns that are wanted. Others are passed over.
    separator, quotes
        How cells are parted, and whether quotes around a cell mean anything.

    Raises
    ------
    DataError
        A column is missing, a row is cut short, or the file is no such table.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{corpus}: '{path}' is not UTF-8 text ({error.reason}); {_AGAIN}") from None
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    lines = io.StringIO(text, newline="")
    reader: csv.DictReader[str] = csv.DictReader(lines, delimiter=separator, quoting=quoting, strict=True)
    try:
        lacks = [column for column in columns if column not in (reader.fieldnames or [])]
        if lacks:
            raise DataError(f"{corpus}: '{path}' has no column {', '.join(lacks)}; {_AGAIN}")
        for row in reader:
            if any(row[column] is None for column in columns):
                raise DataError(f"{corpus}: line {reader.line_num} of '{path}' is cut short; {_AGAIN}")
            yield reader.line_num, {column: row[column].strip() for column in columns}
    except csv.Error as error:
        raise DataError(f"{corpus}: '{path}' is not valid near line {reader.line_num} ({error}); {_AGAIN}") from None


_AGAIN = "take it from the release again."
