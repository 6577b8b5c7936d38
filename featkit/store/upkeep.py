"""What a table on disk is made of, and whether it is still what was written."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from featkit.errors import DataError
from featkit.parts.folder import is_whole
from featkit.parts.output import SETTINGS_KEY
from featkit.sealed import state
from featkit.settings import set_name
from featkit.store.arrow import pa, parquet
from featkit.store.layout import FRAMES, NOTED
from featkit.store.table import COPIES, Recipe, recipe_of, require_parquet


def describe(path: Path) -> list[tuple[str, str]]:
    """Headings and what is to be said of a table: recipe, counts, versions."""
    recipe = _recipe(path)
    with parquet.ParquetFile(path) as file:
        about = file.read(["file", "start", *NOTED]).to_pydict()
        groups = file.num_row_groups
    labels = Counter(label or "not known" for label in about["label"])
    settings = recipe.settings
    rows, files = len(about["file"]), len(set(about["file"]))
    window = "" if settings.get("window") is None else f", windows of {settings['window']} s every {settings['hop']} s"
    made = {key.removeprefix("version of "): settings[key] for key in settings if key.startswith("version of ")}
    return [
        ("features", json.dumps(recipe.spec)),
        ("hash", settings["hash"]),
        ("holds", f"{recipe.view}, {len(recipe.names)} dims{window}{', SYNTHETIC' if recipe.synthetic else ''}"),
        ("rows", f"{rows} of {files} files, in {groups} groups; {path.stat().st_size / 1e6:.1f} MB"),
        ("labels", ", ".join(f"{n} {label}" for label, n in labels.most_common())),
        ("speakers", str(len(set(about["speaker"]) - {None}) or "not known")),
        ("made with", ", ".join(f"{name} {number}" for name, number in made.items()) or "not known"),
    ]


def size_of(path: Path) -> str:
    """``8 clips × 88 egemaps functionals``."""
    recipe = _recipe(path)
    noun = "clips" if recipe.settings.get("window") is None else "windows"
    rows = parquet.read_metadata(path).num_rows
    return f"{rows} {noun} × {len(recipe.names)} {set_name(recipe.spec)} {recipe.view}"


def problems(path: Path, files: bool = False) -> Iterator[str]:
    """What is wrong with a table and the parts beside it; with ``files`` also, which recordings are others by now."""
    if path.suffix in COPIES:
        yield f"{path}: carries no hash; check {path.with_suffix('.parquet')}, of which it is a copy."
        return
    parts = path.with_name(f"{path.name}.parts")
    for part in sorted(parts.glob("*.arrow")):
        if not is_whole(part):
            yield f"{part}: is damaged; give the command again that it is of, and it is made again."
    if not path.exists() and parts.exists():
        yield f"{path}: is not finished; give the same command again."
        return
    found = state(path) if path.is_file() else "other"
    if found == "damaged":
        yield f"{path}: is damaged; extract it again with --overwrite."
        return
    recipe = _recipe(path)
    if found == "other":
        told = "was written by another program, so nobody knows if it is whole"
        yield f"{path}: {told}; extract it again with --overwrite."
    try:
        yield from _wrong_rows(path, recipe)
        if files:
            yield from _changed(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        yield f"{path}: cannot be read to its end ({' '.join(str(error).split())[:100]})."


def _recipe(path: Path) -> Recipe:
    require_parquet(path)
    with parquet.ParquetFile(path) as file:
        try:
            settings = json.loads(file.schema_arrow.metadata[SETTINGS_KEY])
        except ValueError:
            settings = None
        recipe = recipe_of(settings, path)
        lost = {*(recipe.names if recipe.view == "functionals" else [FRAMES])} - set(file.schema_arrow.names)
    if lost:
        raise DataError(f"{path}: has lost {len(lost)} of its columns ('{min(lost)}'); extract it again.")
    return recipe


def _wrong_rows(path: Path, recipe: Recipe) -> Iterator[str]:
    columns = list(recipe.names) if recipe.view == "functionals" else [FRAMES]
    seen: set[tuple[Any, Any]] = set()
    with parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, ["file", "start", *columns])
            for key in zip(rows["file"].to_pylist(), rows["start"].to_pylist(), strict=True):
                if key in seen:
                    yield f"{path}: {key[0]} stands there twice."
                seen.add(key)
            for name in columns:
                values = rows[name].combine_chunks()
                flat = values.flatten().flatten() if name == FRAMES else values
                if not np.isfinite(flat.to_numpy(zero_copy_only=False)).all():
                    yield f"{path}: '{name}' holds values that are not finite."


def _changed(path: Path) -> Iterator[str]:
    table = parquet.read_table(path, columns=["file", "sha256"])
    for name, told in dict(zip(table["file"].to_pylist(), table["sha256"].to_pylist(), strict=True)).items():
        if told is None:
            continue
        try:
            with open(name, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            yield f"{name}: {error.strerror}; its features are of what was there."
            continue
        if found != told:
            yield f"{name}: is another file than its features are of; touch it and extract again."
