"""Feature tables in memory, read from disk; `featkit.bulk.extract_files` writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featkit.errors import DataError, FeatureError
from featkit.features.base import Features, View, hash_spec
from featkit.store.marks import is_copy

COPIES = (".csv", ".arff", ".npz")
"""Formats besides Parquet. They are copies: what goes on from a table goes on from Parquet."""

IN_MEMORY = 512_000_000
"""Bytes of frames that are held in memory; more are kept on disk (`featkit.store.mapped`)."""

_MANY = 20  # so many numeric columns are features, not notes in a manifest


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of many clips with what is known of each: None in ``labels``, ``speakers``, ``texts`` where unknown."""

    files: Sequence[str]
    labels: Sequence[str | None]
    speakers: Sequence[str | None]
    texts: Sequence[str | None]
    features: Sequence[Features]
    names: Sequence[str]
    spec: dict[str, Any]
    """`FeatureExtractor.spec` of the set."""
    synthetic: bool = False
    """True where the recordings are not of people, so that scores on the table say so as well."""

    @property
    def view(self) -> View:
        """The one view the table holds."""
        return self.features[0].view


@dataclass(frozen=True)
class Recipe:
    """What made a table, as its schema or its header says."""

    spec: dict[str, Any]
    view: View
    names: tuple[str, ...]
    synthetic: bool
    settings: dict[str, Any]
    """All that decides a row but the file, as JSON holds it."""


def recipe_of(settings: Any, path: Path) -> Recipe:
    """The recipe in the settings of a table.

    Raises
    ------
    DataError
        They are damaged.
    """
    try:
        spec = settings["features"]
        if settings["hash"] != hash_spec(spec):
            raise ValueError(f"features of hash {settings['hash']} have the hash {hash_spec(spec)}")
        return Recipe(spec, settings["view"], tuple(settings["names"]), bool(settings["synthetic"]), settings)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: its recipe is damaged ({error}); extract it again.") from None


def settings_of(
    spec: dict[str, Any], view: View, names: Sequence[str], synthetic: bool, **more: Any
) -> dict[str, Any]:  # fmt: skip
    """Settings that `recipe_of` reads."""
    return {
        "command": "extract", "features": spec, "hash": hash_spec(spec), "view": view, "names": list(names),
        "synthetic": synthetic, **more,
    }  # fmt: skip


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether this is a feature table that featkit wrote, rather than a manifest or something else."""
    path = Path(path)
    if not path.is_file():
        return False
    if path.suffix in COPIES:
        return is_copy(path)
    return path.suffix == ".parquet" and _is_parquet_table(path)


def _is_parquet_table(path: Path) -> bool:
    from featkit.parts.output import SETTINGS_KEY
    from featkit.store.arrow import pa, parquet

    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowException, OSError, ValueError):  # a name that is no UTF-8 is a ValueError
        raise DataError(f"{path}: is damaged or not a Parquet file; extract it again.") from None
    if b'"command": "extract"' in (schema.metadata or {}).get(SETTINGS_KEY, b""):
        return True
    numbers = sum(pa.types.is_floating(kind) for kind in schema.types)
    if numbers >= _MANY or "frames" in schema.names:
        raise DataError(
            f"{path}: holds {numbers} columns of numbers but no recipe of featkit, which pandas drops when it saves a "
            "table. To add labels or speakers, extract with --data and a manifest that holds them."
        )
    return False


def require_parquet(path: Path) -> None:
    """Raise `DataError` for what is no feature table, or only a copy of one."""
    if path.suffix != ".parquet" or not is_table(path):
        missing = "there is no such feature table" if not path.exists() else "is not a feature table in Parquet"
        raise DataError(f"{path}: {missing}; make one with featkit extract.")


def read_table(path: str | os.PathLike[str]) -> FeatureTable:
    """Read a table that featkit wrote; only the columns that learning needs.

    Frames of more than half a gigabyte are kept in a file of their own, as are those of an npz, and take no memory.

    Raises
    ------
    DataError
        The file is missing, damaged, or not a feature table, or there is no room for its frames.
    FeatureError
        It holds values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such feature table.")
    if not is_table(path):
        raise DataError(f"{path}: is not a feature table that featkit wrote; make one with featkit extract.")
    if path.suffix in COPIES:
        from featkit.store.copies import read_copy

        return checked(path, *read_copy(path))
    return _read_parquet(path)


def _read_parquet(path: Path) -> FeatureTable:
    from featkit.parts.output import SETTINGS_KEY
    from featkit.sealed import state
    from featkit.store.arrow import pa, parquet
    from featkit.store.layout import FRAMES, NOTED

    if state(path) == "damaged":
        raise DataError(f"{path}: is damaged; extract it again.")
    try:
        with parquet.ParquetFile(path) as file:
            recipe = recipe_of(json.loads(file.schema_arrow.metadata[SETTINGS_KEY]), path)
            columns = ["file", *NOTED, *(recipe.names if recipe.view == "functionals" else [FRAMES])]
            missing = set(columns) - set(file.schema_arrow.names)
            if missing or not file.metadata.num_rows:
                told = f" ({', '.join(sorted(missing)[:3])})" if missing else ""
                raise DataError(f"{path}: has lost its rows or columns{told}; extract it again.")
            about = file.read(["file", "start", "end", *NOTED])
            values = _values(file, recipe)
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError):
        raise DataError(f"{path}: is damaged; extract it again.") from None
    return checked(path, recipe, {name: about[name].to_pylist() for name in about.column_names}, values)


def _values(file: Any, recipe: Recipe) -> Sequence[Any]:
    """The values of each row, read a row group at a time."""
    from featkit.store.layout import matrix
    from featkit.store.mapped import on_disk

    groups = range(file.num_row_groups)
    if recipe.view == "frames":
        n_bytes = _bytes_of_frames(file)
        clips = _clips(file, recipe)
        return list(clips) if n_bytes <= IN_MEMORY else on_disk(clips, len(recipe.names), n_bytes)
    whole, first = np.empty((file.metadata.num_rows, len(recipe.names)), np.float32), 0
    for group in groups:
        rows = matrix(file.read_row_group(group, list(recipe.names)), recipe.names)
        whole[first : first + len(rows)] = rows
        first += len(rows)
    return list(whole)


def _clips(file: Any, recipe: Recipe) -> Iterator[Any]:
    """Frames of each row, (time, dims)."""
    from featkit.store.layout import FRAMES

    for group in range(file.num_row_groups):
        lists = file.read_row_group(group, [FRAMES])[FRAMES].combine_chunks()
        flat = lists.flatten().flatten().to_numpy().astype(np.float32, copy=False).reshape(-1, len(recipe.names))
        yield from np.split(flat, lists.offsets.to_numpy()[1:-1] - lists.offsets[0].as_py())


def _bytes_of_frames(file: Any) -> int:
    from featkit.store.layout import FRAMES

    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    columns = [group.column(i) for group in groups for i in range(group.num_columns)]
    return sum(4 * column.num_values for column in columns if column.path_in_schema.split(".")[0] == FRAMES)


def checked(path: Path, recipe: Recipe, about: dict[str, Any], values: Sequence[Any]) -> FeatureTable:
    """A table of what was read, if all of its numbers are."""
    if not all(np.isfinite(row).all() for row in values):
        raise FeatureError(f"{path}: holds values that are not finite; extract it again.")
    spec_hash = hash_spec(recipe.spec)
    starts, ends = (about.get(name, [None] * len(values)) for name in ("start", "end"))  # copies are not asked
    lengths = [None if end is None else end - start for start, end in zip(starts, ends, strict=True)]
    features = [
        Features(row, recipe.view, spec_hash, seconds=length) for row, length in zip(values, lengths, strict=True)
    ]
    return FeatureTable(
        about["file"], about["label"], about["speaker"], about["text"], features, list(recipe.names), recipe.spec,
        recipe.synthetic,
    )  # fmt: skip
