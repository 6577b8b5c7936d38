"""Corpora by name or path. A corpus is one file in this folder, or an entry point of another package."""

from __future__ import annotations

import re
import os
from pathlib import Path

from featkit import plugins
from featkit.datasets.base import Clip, Dataset
from featkit.errors import DataError

__all__ = ["Clip", "Dataset", "open_dataset"]


def open_dataset(spec: str) -> Dataset:
    r"""Corpus for what a user types. Nothing is read until its ``clips`` are asked for.

    Parameters
    ----------
    spec
        ``NAME:PATH`` for a corpus by name (``emodb:/data/emodb``), ``synthetic`` for the one that makes itself, a
        folder with one sub-folder per emotion, or a manifest (``.csv``, ``.tsv``, ``.parquet``). One letter before
        the colon is a Windows drive: ``C:\clips`` is a path.

    Raises
    ------
    PluginError
        No corpus has this name.
    DataError
        The path is missing, or is neither a folder nor a manifest.

    Examples
    --------
    >>> open_dataset("emodb:corpora/emodb").title
    'EMO-DB'
    >>> open_dataset("clips/labels.csv").name, open_dataset("clips/by_emotion").name
    ('manifest', 'folder')
    """
    name, path = _parts(spec)
    corpus = plugins.find("datasets", name)
    if path:
        dataset: Dataset = corpus(Path(path).expanduser())
    elif corpus.synthetic:
        dataset = corpus()
    else:
        raise DataError(f"The corpus '{name}' needs a path: write {name}:PATH, or ./{name} for a folder of that name.")
    return dataset


def _parts(spec: str) -> tuple[str, str]:
    """Name and path. A word without a colon is a path where such a file exists and no corpus is called so."""
    name, colon, path = spec.partition(":")
    names = installed("datasets")
    is_path = len(name) == 1 or "/" in name or "\\" in name
    if not is_path and not colon and name not in names:
        is_path = os.path.isdir(spec) or spec.lower().endswith(_TABLES)
        if not is_path:
            raise PluginError(f"{unknown('corpus', spec, names)} Nor is there a folder '{spec}'.")
    if is_path:
        return _open_path(Path(spec).expanduser())
    corpus = find("datasets", name)
    if spec == "synthetic":
        dataset: Dataset = corpus()
        return dataset
    if not path:
        raise DataError(f"The corpus '{name}' needs a path: {name}:PATH. If '{name}' is your folder, write './{name}'.")
    dataset = corpus(Path(path).expanduser())
    return dataset


def _open_path(path: Path) -> Dataset:
    if not path.is_dir() and path.suffix.lower() not in _TABLES:
        raise DataError(f"'{path}' is not a folder, nor a table ({', '.join(_TABLES)}); name one, or NAME:PATH.")
    dataset: Dataset = find("datasets", "folder" if path.is_dir() else "manifest")(path)
    return dataset
