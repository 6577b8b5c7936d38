"""Corpora by name or path. A corpus is one file in this folder, or an entry point of another package."""

from __future__ import annotations

import re
from pathlib import Path

from featkit import plugins
from featkit.datasets.base import Clip, Dataset
from featkit.errors import DataError, PluginError

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
    if not path and name not in plugins.installed("datasets"):
        told = plugins.unknown("corpus", name, plugins.installed("datasets"))
        raise PluginError(f"There is neither a file or folder '{spec}' nor a corpus of that name. {told}")
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
    is_name = re.fullmatch(r"\w[\w-]+", name) is not None
    if is_name and (colon or name in plugins.installed("datasets") or not Path(name).exists()):
        return name, path
    return ("manifest" if Path(spec).suffix.lower() in (".csv", ".tsv", ".parquet") else "folder"), spec
