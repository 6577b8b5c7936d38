"""Tables of shards → one table, the same to the byte as that of one run over all files."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featkit.errors import DataError
from featkit.lock import locked
from featkit.parts.folder import Folder, kept
from featkit.parts.join import join
from featkit.parts.ledger import Ledger, Notes
from featkit.parts.output import SETTINGS_KEY, Output
from featkit.settings import differing
from featkit.store.arrow import pa, parquet
from featkit.store.layout import ROW, Layout
from featkit.store.table import recipe_of, require_parquet

_SHARD = re.compile(r"(.+)-(\d+)-of-(\d+)")


def shard_name(path: Path, shard: tuple[int, int]) -> Path:
    """What the table of a shard is called.

    Examples
    --------
    >>> shard_name(Path("f.parquet"), (3, 64)).name
    'f-03-of-64.parquet'
    """
    k, n = shard
    return path.with_name(f"{path.stem}-{k:0{len(str(n))}}-of-{n}{path.suffix}")


def merge(shards: Sequence[Path], output: Path, *, overwrite: bool = False) -> tuple[int, int]:
    """Write the rows of several tables as one, sorted by file. Returns how many files have rows, and how many failed.

    Raises
    ------
    DataError
        A table is damaged, of another recipe than the first, or one of ``N`` that are called ``…-K-of-N`` is missing;
        a file stands in two of them; there is something at ``output``, and ``overwrite`` is not said.
    """
    settings = _settings(shards)
    recipe = recipe_of(settings, shards[0])
    work, layout = _Rows(), Layout(recipe.names, recipe.view)
    target = Output(output, work, layout)
    with kept(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.lock, output):
        folder = _emptied(target, overwrite)
        ledger = Ledger(_sorted(shards, work, layout), Notes())
        for number, shard in enumerate(shards):
            source = Output(shard, work, layout)
            source.check()
            for rows in source.rows():
                ledger.add(folder.commit(number, rows), rows)
        join(ledger, target, settings)
        folder.remove()
    return sum(1 for _ in ledger.good()), sum(1 for _ in ledger.bad())


@dataclass(frozen=True)
class _Rows:
    """What was done to files before they came here."""

    @property
    def schema(self) -> pa.Schema:
        return ROW

    @property
    def detail(self) -> None:
        return None


def _settings(shards: Sequence[Path]) -> Any:
    """The settings that all have."""
    _complete(shards)
    found: list[Any] = []
    for shard in shards:
        require_parquet(shard)
        found.append(json.loads(parquet.read_schema(shard).metadata[SETTINGS_KEY]))
        if found[-1] != found[0]:
            other = differing(found[-1], found[0])
            raise DataError(f"{shard}: was made with other settings than {shards[0]}: {other}. Extract it again.")
    return found[0]


def _complete(shards: Sequence[Path]) -> None:
    """Refuse to merge what is called 1 of 3 and 3 of 3."""
    parsed = [found.groups() for shard in shards if (found := _SHARD.fullmatch(shard.stem))]
    for stem, n in {(stem, n) for stem, _, n in parsed}:
        there = {int(k) for other, k, of in parsed if (other, of) == (stem, n)}
        if missing := [k for k in range(1, int(n) + 1) if k not in there]:
            raise DataError(
                f"{stem}: shard {', '.join(map(str, missing[:5]))} of {n} is missing; extract it, or rename the "
                "others, if they are all there is."
            )


def _emptied(target: Output, overwrite: bool) -> Folder:
    """The folder of a merge that begins. What is left of another merge is of no use."""
    folder = Folder(target.parts.absolute(), "merge")
    merging = folder.path / "settings.json"
    begun = folder.path.exists() and (not merging.exists() or merging.read_text() != '"merge"')
    if not overwrite and (target.path.exists() or begun):
        raise DataError(f"{target.path}: is there, or half made; name another output, or say --overwrite.")
    folder.remove()
    with kept(folder.path):
        folder.path.mkdir()
    folder.write("settings.json", '"merge"')
    return folder


def _sorted(shards: Sequence[Path], work: _Rows, layout: Layout) -> list[str]:
    """Names of all files, in the order in which a folder is searched."""
    of: Counter[str] = Counter()
    for shard in shards:
        for keys in Output(shard, work, layout).keys(()):
            of.update(keys["file"].to_pylist())
    if len(of) < of.total():
        raise DataError(f"{of.most_common(1)[0][0]}: stands in two of these tables; leave one of them out.")
    return sorted(of, key=lambda name: name.split(os.sep))
