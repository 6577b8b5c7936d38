"""Copies of feature tables for other programs: CSV, ARFF (Weka, as openSMILE writes it) and NumPy's npz.

Each holds the recipe, so that it can be learned from as the table itself: CSV in a file beside it, ARFF in a comment,
npz as an entry.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from featkit.errors import DataError
from featkit.files import replacing
from featkit.parts.output import SETTINGS_KEY
from featkit.store.arrow import pa, pa_csv, parquet, pc
from featkit.store.layout import FRAMES, NOTED, matrix
from featkit.store.marks import MARK, beside, settings_of_copy
from featkit.store.table import Recipe, recipe_of

_ARFF_TEXT = ("file", "speaker", "text", "sha256", "quality")
_FIELD = re.compile(r"'((?:[^'\\]|\\.)*)'|([^,]*)", re.DOTALL)
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_NPZ_TEXT = ("file", *NOTED, "sha256", "quality")


def copy_table(table: Path, path: Path) -> None:
    """Write a Parquet table in another format, a row group at a time; the file is replaced when it is complete."""
    write = {".csv": _write_csv, ".arff": _write_arff, ".npz": _write_npz}[path.suffix]
    with parquet.ParquetFile(table) as file:
        settings = json.loads(file.schema_arrow.metadata[SETTINGS_KEY]) | {"rows": file.metadata.num_rows}
        with replacing(path) as draft:
            write(draft, file, recipe_of(settings, table))
        if path.suffix == ".csv":
            with replacing(beside(path)) as draft:
                draft.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read_copy(path: Path) -> tuple[Recipe, dict[str, list[str | None]], Sequence[npt.NDArray[np.float32]]]:
    """Recipe, what is known of each row, and its values. Frames of npz are mapped from disk rather than read.

    Raises
    ------
    DataError
        The file is damaged.
    """
    read = {".csv": _read_csv, ".arff": _read_arff, ".npz": _read_npz}[path.suffix]
    try:
        recipe = recipe_of(json.loads(settings_of_copy(path)), path)
        about, values = read(path, recipe)
    except DataError:
        raise
    except (pa.ArrowException, OSError, KeyError, IndexError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: is damaged ({' '.join(str(error).split())[:100]}); extract it again.") from None
    if not len(values) or len(values) != recipe.settings.get("rows"):
        raise DataError(
            f"{path}: is damaged: it has {len(values)} of {recipe.settings.get('rows')} rows; extract it again."
        )
    return recipe, about, values


def _groups(file: Any) -> Iterator[pa.Table]:
    return map(file.read_row_group, range(file.num_row_groups))


# --- CSV ---------------------------------------------------------------------------------------------------------


def _write_csv(draft: Path, file: Any, recipe: Recipe) -> None:
    with pa_csv.CSVWriter(str(draft), file.schema_arrow.remove_metadata()) as writer:
        for rows in _groups(file):
            writer.write_table(rows.replace_schema_metadata())


def _read_csv(path: Path, recipe: Recipe) -> tuple[Any, Any]:
    kinds = {name: pa.string() for name in ("file", *NOTED)} | {name: pa.float32() for name in recipe.names}
    table = pa_csv.read_csv(
        path,
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=kinds, include_columns=list(kinds), strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    return {name: table[name].to_pylist() for name in ("file", *NOTED)}, list(matrix(table, recipe.names))


# --- ARFF --------------------------------------------------------------------------------------------------------


def _write_arff(draft: Path, file: Any, recipe: Recipe) -> None:
    """Columns: name, start, end, speaker, text, sha256, quality, the features, and the class last, as Weka has it."""
    labels = {label for rows in _groups_of(file, ["label"]) for label in rows["label"].unique().to_pylist()} - {None}
    kind = "{" + ",".join(map(_quoted, sorted(labels))) + "}" if labels else "string"
    with draft.open("w", encoding="utf-8", newline="\n") as out:
        out.write(f"{MARK}{json.dumps(recipe.settings)}\n@relation featkit\n\n@attribute name string\n")
        out.writelines(f"@attribute {name} numeric\n" for name in ("start", "end"))
        out.writelines(f"@attribute {name} string\n" for name in _ARFF_TEXT[1:])
        out.writelines(f"@attribute {_quoted(name)} numeric\n" for name in recipe.names)
        out.write(f"@attribute class {kind}\n\n@data\n")
        for rows in _groups(file):
            texts = {name: pa.array(map(_quoted, rows[name].to_pylist())) for name in (*_ARFF_TEXT, "label")}
            order = ("file", "start", "end", *_ARFF_TEXT[1:], *recipe.names, "label")
            cells = [texts.get(name, rows[name]) for name in order]
            lines = pc.binary_join_element_wise(
                *(cell.cast(pa.string()) for cell in cells), ",", null_handling="replace", null_replacement="?"
            )
            out.writelines(f"{line}\n" for line in lines.to_pylist())


def _groups_of(file: Any, columns: list[str]) -> Iterator[pa.Table]:
    return (file.read_row_group(i, columns) for i in range(file.num_row_groups))


def _quoted(text: str | None) -> str:
    return "?" if text is None else "'" + "".join(_ESCAPES.get(c, c) for c in text) + "'"


def _read_arff(path: Path, recipe: Recipe) -> tuple[Any, Any]:
    about: dict[str, list[str | None]] = {name: [] for name in ("file", *NOTED)}
    values = []
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line == "@data\n":
                break
        for line in lines:
            head, rest = _cells(line.removesuffix("\n"), 2 + len(_ARFF_TEXT))
            *numbers, label = rest.split(",", len(recipe.names))
            values.append(np.array(numbers, dtype=np.float32))
            for name, cell in (
                ("file", head[0]),
                ("speaker", head[3]),
                ("text", head[4]),
                ("label", _cells(label, 1)[0][0]),
            ):
                about[name].append(cell)
    return about, values


def _cells(line: str, n: int) -> tuple[list[str | None], str]:
    """The first cells of a line, and what follows them."""
    cells: list[str | None] = []
    place = 0
    for _ in range(n):
        found = _FIELD.match(line, place)
        assert found is not None  # it matches nothing as well
        cells.append(None if found[1] is None else _plain(found[1]))  # what is not quoted is a number or unknown
        place = found.end() + 1
    return cells, line[place:]


def _plain(text: str) -> str:
    back = {escape[1]: c for c, escape in _ESCAPES.items()}
    return re.sub(r"\\(.)", lambda found: back.get(found[1], found[1]), text)


# --- npz ---------------------------------------------------------------------------------------------------------


def _write_npz(draft: Path, file: Any, recipe: Recipe) -> None:
    """Entries: the columns; names; X (rows, features), or frames (all frames, dims) and lengths; recipe."""
    about = file.read([*_NPZ_TEXT, "start", "end"])
    entries = {name: np.array([text or "" for text in about[name].to_pylist()], dtype=np.str_) for name in _NPZ_TEXT}
    entries |= {name: about[name].to_numpy() for name in ("start", "end")}
    entries |= {"names": np.array(recipe.names), "recipe": np.array(json.dumps(recipe.settings))}
    frames = recipe.view == "frames"
    if frames:
        lengths = [pc.list_value_length(rows[FRAMES]).to_numpy() for rows in _groups_of(file, [FRAMES])]
        entries["lengths"] = np.concatenate([np.empty(0, np.int32), *lengths])
    total = int(entries["lengths"].sum()) if frames else file.metadata.num_rows
    with zipfile.ZipFile(draft, "w") as archive:
        for name, values in entries.items():
            with _entry(archive, name) as entry:
                np.lib.format.write_array(entry, values, allow_pickle=False)
        with _entry(archive, FRAMES if frames else "X") as entry:
            shape = (total, len(recipe.names))
            np.lib.format.write_array_header_1_0(entry, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for rows in _groups_of(file, [FRAMES] if frames else list(recipe.names)):
                entry.write(_flat(rows, recipe).astype("<f4", copy=False).tobytes())


def _entry(archive: zipfile.ZipFile, name: str) -> Any:
    # Its own time would make each copy another one.
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _flat(rows: pa.Table, recipe: Recipe) -> Any:
    if recipe.view == "functionals":
        return matrix(rows, recipe.names)
    return rows[FRAMES].combine_chunks().flatten().flatten().to_numpy()


def _read_npz(path: Path, recipe: Recipe) -> tuple[Any, Any]:
    with np.load(path) as file:
        about = {name: [str(text) or None for text in file[name]] for name in ("file", *NOTED)}
        if recipe.view == "functionals":
            return about, list(file["X"])
        lengths = file["lengths"]
    return about, np.split(_mapped(path, f"{FRAMES}.npy"), np.cumsum(lengths)[:-1])


def _mapped(path: Path, name: str) -> npt.NDArray[np.float32]:
    """An array of an npz as it lies on disk: what is not looked at is not read, and may be more than memory holds."""
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo(name).header_offset
    with path.open("rb") as file:
        file.seek(start + 26)
        file.seek(start + 30 + sum(struct.unpack("<HH", file.read(4))))
        np.lib.format.read_magic(file)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        place = file.tell()
    return np.asarray(np.memmap(path, kind, "r", place, shape)) if shape[0] else np.empty(shape, kind)
