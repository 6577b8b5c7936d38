"""Feature tables on disk: Parquet, one row a clip, with the recipe of the features in the schema."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featkit import plugins
from featkit.errors import DataError, FeatureError
from featkit.features.base import Features, View, hash_spec
from featkit.files import replacing

RECIPE_KEY = b"featkit"
_ABOUT = ("file", "label", "speaker", "text")
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


def write_table(path: str | os.PathLike[str], table: FeatureTable) -> None:
    """Write Parquet: columns file, label, speaker, text, then one per functional, or one list column of frames.

    The file is replaced only when it is complete. pandas, polars and DuckDB read it without featkit.
    """
    pa, parquet = _pyarrow()
    path = Path(path)
    if path.suffix != ".parquet":
        raise DataError(f"{path}: feature tables are Parquet; name the file *.parquet.")
    if not table.features:
        raise DataError(f"{path}: there is no clip to write.")
    columns: dict[str, Any] = {
        key: pa.array(values, pa.string())
        for key, values in zip(_ABOUT, (table.files, table.labels, table.speakers, table.texts), strict=True)
    }
    values = [clip.values for clip in table.features]
    if table.view == "functionals":
        columns |= {name: pa.array(row) for name, row in zip(table.names, np.stack(values, axis=1), strict=True)}
    else:
        flat = pa.array(np.concatenate(values).ravel())
        frames = pa.FixedSizeListArray.from_arrays(flat, len(table.names))
        offsets = np.concatenate([[0], np.cumsum([len(clip) for clip in values])]).astype(np.int32)
        columns["frames"] = pa.ListArray.from_arrays(pa.array(offsets), frames)
    recipe = {
        "features": table.spec,
        "view": table.view,
        "names": list(table.names),
        "synthetic": table.synthetic,
    }
    arrow = pa.table(columns).replace_schema_metadata({RECIPE_KEY: json.dumps(recipe)})
    with replacing(path) as draft:
        parquet.write_table(arrow, draft, compression="zstd")


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether this is a Parquet file that `write_table` wrote, rather than a manifest or something else."""
    path = Path(path)
    if path.suffix != ".parquet" or not path.is_file():
        return False
    pa, parquet = _pyarrow()
    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowInvalid, OSError):
        raise DataError(f"{path}: is damaged or not a Parquet file; extract it again.") from None
    if RECIPE_KEY in (schema.metadata or {}):
        return True
    numbers = sum(pa.types.is_floating(kind) for kind in schema.types)
    if numbers >= _MANY or "frames" in schema.names:
        raise DataError(
            f"{path}: holds {numbers} columns of numbers but no recipe of featkit, which pandas drops when it saves a "
            "table. To add labels or speakers, extract with --data and a manifest that holds them."
        )
    return False


def read_table(path: str | os.PathLike[str]) -> FeatureTable:
    """Read what `write_table` wrote.

    Raises
    ------
    DataError
        The file is missing, damaged, or not a feature table.
    FeatureError
        It holds values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such feature table.")
    if not is_table(path):
        raise DataError(f"{path}: is not a feature table that featkit wrote; make one with featkit extract.")
    pa, parquet = _pyarrow()
    try:
        arrow = parquet.read_table(path)
    except (pa.ArrowInvalid, OSError):
        raise DataError(f"{path}: is damaged; extract it again.") from None
    try:
        recipe = json.loads(arrow.schema.metadata[RECIPE_KEY])
        spec_hash, view, names = hash_spec(recipe["features"]), recipe["view"], recipe["names"]
        synthetic = bool(recipe["synthetic"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: its recipe is damaged ({error}); extract it again.") from None
    missing = {*_ABOUT, *(names if view == "functionals" else ["frames"])} - set(arrow.column_names)
    if missing or not len(arrow):
        raise DataError(f"{path}: has lost its rows or columns ({', '.join(sorted(missing)[:3])}); extract it again.")
    if view == "functionals":
        matrix = np.stack([arrow[name].to_numpy() for name in names], axis=1).astype(np.float32)
        values = list(matrix)
    else:
        rows = arrow["frames"].combine_chunks()
        flat = rows.values.flatten().to_numpy().astype(np.float32).reshape(-1, len(names))
        values = np.split(flat, rows.offsets.to_numpy()[1:-1])
    if not all(np.isfinite(row).all() for row in values):
        raise FeatureError(f"{path}: holds values that are not finite; extract it again.")
    files, labels, speakers, texts = (arrow[key].to_pylist() for key in _ABOUT)
    features = [Features(row, view, spec_hash) for row in values]
    return FeatureTable(files, labels, speakers, texts, features, names, recipe["features"], synthetic)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ModuleNotFoundError as error:
        raise plugins.missing(error, "feature table") from None
    return pa, parquet
