"""What people name as input → files, and what is known of them."""

from __future__ import annotations

import glob
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import click

from featkit.cli.common import corpus_of
from featkit.errors import DataError

Notes: TypeAlias = dict[str, tuple[str | None, str | None, str | None]]
"""Label, speaker and text by file."""

null_option = click.option(
    "--null", is_flag=True, help="Paths on standard input end in NUL, as find -print0 writes them."
)
_MANIFESTS = (".csv", ".tsv", ".parquet")


@dataclass
class Inputs:
    """Paths in the order in which they were named, and what a corpus knows of them."""

    files: list[str] = field(default_factory=list)
    notes: Notes = field(default_factory=dict)
    synthetic: bool = False

    def add_corpus(self, *specs: str) -> None:
        """Take the clips of ``emodb:PATH``, a folder of emotions or a manifest, or of several joined.

        Raises
        ------
        DataError
            It is not found or a feature table, or a file stands in two of them.
        """
        corpus = corpus_of(specs)
        corpus.require_recordings("this command listens")
        unknown = [None] * len(corpus.files)
        columns = (corpus.labels, corpus.speakers, corpus.texts)
        about = zip(*(unknown if column is None else column.tolist() for column in columns), strict=True)
        for file, known in zip(corpus.files, about, strict=True):
            if len(specs) > 1 and file in self.notes:
                raise DataError(f"'{file}' stands in two of the corpora; a table has one label for a file: name one.")
            self.files.append(file)
            self.notes[file] = known
        self.synthetic |= corpus.synthetic

    def shard(self, k: int, n: int) -> None:
        """Keep the ``k``-th of ``n`` shards. A file stays in its shard, whatever others come or go."""
        self.files = [path for path in self.files if _number(path) % n == k - 1]
        self.notes = {path: self.notes[path] for path in self.files if path in self.notes}


def read_inputs(names: Sequence[str], data: Sequence[str], null: bool) -> Inputs:
    """Files of what was named: files, folders, patterns, manifests, ``-`` for a list on standard input; or corpora.

    Raises
    ------
    DataError
        A folder or pattern holds no file, or the corpus is not found.
    """
    inputs = Inputs()
    if data:
        inputs.add_corpus(*data)
    for name in names:
        if name == "-":
            inputs.files += _listed(null)
        elif name.lower().endswith(_MANIFESTS) and os.path.isfile(name):
            inputs.add_corpus(os.path.join(".", name))  # a path, whatever corpora are called
        else:
            inputs.files += _found(name)
    return inputs


def _found(name: str) -> Iterable[str]:
    """A file, those of a folder and below, or those of a pattern."""
    if os.path.isdir(name):
        from featkit.datasets.base import find_audio

        inside = list(map(str, find_audio(Path(name))))
        if not inside:
            raise DataError(f"{name}: this folder holds no audio file.")
        return inside
    if glob.has_magic(name) and not os.path.lexists(name):
        inside = sorted(path for path in glob.iglob(name, recursive=True) if os.path.isfile(path))
        if not inside:
            raise DataError(f"{name}: no file fits this pattern.")
        return inside
    return [name]


def _listed(null: bool) -> Iterator[str]:
    """Paths from standard input, one a line, or ended by NUL."""
    content = sys.stdin.buffer.read()
    for line in content.split(b"\0" if null else b"\n"):
        if path := line if null else line.removesuffix(b"\r"):
            yield os.fsdecode(path)


def _number(path: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(path)).digest()[:8], "big")
