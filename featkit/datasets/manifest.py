"""Own recordings, listed in a table of files and labels."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from featkit.datasets.base import Clip, Dataset, Skipped
from featkit.datasets.names import letters
from featkit.errors import DataError
from featkit.plugins import missing

REQUIRED = ("file", "label")
OPTIONAL = ("speaker", "text")

EMPTY = frozenset({"", "nan", "NaN", "<NA>", "None"})
"""What pandas and Python write where nothing is known."""

Row: TypeAlias = tuple[int, dict[str, str]]
"""Row number and the cells by column."""


Table: TypeAlias = tuple[list[str], list[Row]]
"""Names of all columns in small letters, and the rows with our columns."""

_OFTEN = {
    "file": {"path", "filename", "filepath", "wav", "audio"},
    "label": {"emotion", "emo", "class", "category", "target"},
    "speaker": {
        "who", "spk", "spkr", "spkid", "speakerid", "speakername", "talker", "subject", "subjectid", "actor", "actorid",
        "participant", "participantid", "person", "personid",
    },
    "text": {"sentence", "transcript", "utterance", "statement", "prompt"},
}  # fmt: skip
"""What others call our columns, without signs. No "id", which as often is that of the clip."""


class Manifest(Dataset):
    """A table with the columns ``file``, ``label`` and, where known, ``speaker`` and ``text``; others are passed over.

    Text tables are UTF-8 and separated by commas, semicolons or tabs, whichever the header has most of. Their rows are
    counted as an editor counts lines: the header is row 1. Rows of parquet are counted from 1. A cell that is empty,
    null or NaN (also as the word ``nan``, ``NaN``, ``<NA>`` or ``None``) is not known. Whether the files exist is found
    out when their features are extracted.

    Parameters
    ----------
    root
        The table: ``.parquet``, or text under any other name. Relative files start from its folder.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     table = Path(folder, "clips.csv")
    ...     _ = table.write_text("file,label,speaker\\nwav/1.wav,anger,mia\\n")
    ...     clip = next(Manifest(table).clips())
    >>> clip.path.name, clip.label, clip.speaker, clip.text
    ('1.wav', 'anger', 'mia', None)
    """

    name = "manifest"
    title = "manifest"
    labels = None
    licence = "that of the recordings"
    citation = ""
    url = ""

    def clips(self) -> Iterator[Clip]:
        """Yield the clips in the order of the rows. Raises `DataError` before the first if any row is wrong."""
        entries = list(self.entries())
        for entry in entries:
            if isinstance(entry, Skipped):
                raise DataError(f"manifest: {entry.reason}")
        yield from entries  # type: ignore[misc]

    def entries(self) -> Iterator[Clip | Skipped]:
        """Yield the clips, and why a row is none, in the order of the rows. Raises `DataError` for a wrong table."""
        if not self.root.is_file():
            raise DataError(f"manifest: there is no file '{self.root}'; name a table (.csv, .tsv, .parquet).")
        names, rows = (_parquet_table if self.root.suffix.lower() == ".parquet" else _csv_table)(self.root)
        if not rows:
            raise DataError(f"manifest: '{self.root}' lists no clip below its header.")
        if "speaker" not in names and (near := _meant("speaker", names)):
            self.doubt = f"'{self.root}' has no column 'speaker'; is '{near}' it? Rename it."
        folder = str(self.root.parent)
        entries = {row: self._entry(row, cells, folder) for row, cells in rows}
        self._check_speakers({row: entry for row, entry in entries.items() if isinstance(entry, Clip)})
        yield from self._unique(entries)

    def _entry(self, row: int, cells: dict[str, str], folder: str) -> Clip | Skipped:
        path = Path(folder, cells["file"])
        for column in REQUIRED:
            if cells[column] in EMPTY:
                reason = f"row {row} of '{self.root}' has no {column}; fill it in or drop the row."
                return Skipped(path, reason, "unexpected")
        speaker, text = (None if (cell := cells.get(column)) in EMPTY else cell for column in OPTIONAL)
        return Clip(path, cells["label"], speaker, text)

    def _unique(self, entries: dict[int, Clip | Skipped]) -> Iterator[Clip | Skipped]:
        """The same with a reason in place of a clip that an earlier row lists."""
        first: dict[str, tuple[int, Clip]] = {}
        for row, entry in entries.items():
            if isinstance(entry, Clip):
                earlier, clip = first.setdefault(os.path.normpath(entry.path), (row, entry))
                if earlier != row:
                    what = "twice" + (f", as '{clip.label}' and '{entry.label}'" if clip.label != entry.label else "")
                    reason = f"rows {earlier} and {row} of '{self.root}' list '{entry.path}' {what}; drop one of them."
                    entry = Skipped(entry.path, reason, "unexpected")
            yield entry

    def _check_speakers(self, clips: dict[int, Clip]) -> None:
        unknown = [row for row, clip in clips.items() if clip.speaker is None]
        if unknown and len(unknown) < len(clips):
            raise DataError(
                f"manifest: row {unknown[0]} of '{self.root}' has no speaker, but other rows have one; give all rows "
                "a speaker, or none."
            )


def _csv_table(path: Path) -> Table:
    text = _decoded(path)
    header_line = text.lstrip().partition("\n")[0]
    # csv.Sniffer looks at the data, where a semicolon in a text is enough to mislead it.
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=header_line.count), strict=True)
    table: list[tuple[int, list[str]]] = []
    row = 1
    try:
        for line in reader:
            cells = [cell.strip() for cell in line]
            if any(cells):
                table.append((row, cells))
            row = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"manifest: row {row} of '{path}' is not valid CSV ({error}); look at its quotes.") from None
    if not table:
        raise DataError(f"manifest: '{path}' is empty; it needs the columns {', '.join(REQUIRED)}.")
    (_, header), *body = table
    columns = _columns(path, header)
    for row, cells in body:
        if len(cells) != len(header):
            raise DataError(
                f"manifest: row {row} of '{path}' has {len(cells)} cells, but the header has {len(header)}; put quotes "
                "around a cell that contains the separator."
            )
    return _plain(header), [(row, {name: cells[place] for name, place in columns.items()}) for row, cells in body]


def _decoded(path: Path) -> str:
    """Text without a byte order mark, lines ended by ``\\n``."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"manifest: row {row} of '{path}' is not UTF-8 text; save the table as UTF-8 CSV.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parquet_table(path: Path) -> Table:
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError as error:
        raise missing(error, "parquet manifest") from None
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            columns = _columns(path, names)
            table = file.read(columns=[names[place] for place in columns.values()])
    except (ArrowException, OSError) as error:
        raise DataError(f"manifest: '{path}' cannot be read as parquet: {error}") from None
    values = {name: table[names[place]].to_pylist() for name, place in columns.items()}
    return _plain(names), [
        (i + 1, {name: _cell(path, i + 1, name, column[i]) for name, column in values.items()})
        for i in range(table.num_rows)
    ]


def _cell(path: Path, row: int, column: str, value: object) -> str:
    """Text of a parquet cell, empty for null and NaN. Another float is refused: 3.0 is no name."""
    if value is None or value != value:  # NaN alone differs from itself
        return ""
    if not isinstance(value, str | int):
        raise DataError(
            f"manifest: row {row} of '{path}' has {value!r} for its {column}; save that column as text or integers."
        )
    return str(value).strip()


def _hint(names: Sequence[str]) -> str:
    """Which columns may be those that are missing, so that all are renamed at once."""
    lacking = [name for name in (*REQUIRED, *OPTIONAL) if name not in names]
    renamed = ", ".join(f"'{near}' to '{name}'" for name in lacking if (near := _meant(name, names)))
    return f" Rename {renamed}?" if renamed else ""


def _meant(column: str, names: Sequence[str]) -> str | None:
    """The name that may stand for a column of ours. What we can do without must be written nearly so."""
    well_known = [name for name in names if letters(name) in _OFTEN[column]]
    near = difflib.get_close_matches(column, names, n=1, cutoff=0.6 if column in REQUIRED else 0.8)
    return next(iter([*well_known, *near]), None)


def _plain(header: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in header]


def _columns(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Places of the columns that are ours, whatever their case."""
    names = _plain(header)
    for name in (*REQUIRED, *OPTIONAL):
        if names.count(name) > 1:
            raise DataError(f"manifest: '{path}' has {names.count(name)} columns '{name}'; keep one.")
    for name in REQUIRED:
        if name not in names:
            raise DataError(
                f"manifest: '{path}' has no column '{name}'.{_hint(names)} Its columns: {', '.join(names)}."
            )
    return {name: names.index(name) for name in (*REQUIRED, *OPTIONAL) if name in names}
