"""How a copy of a feature table tells that it is one, and of what recipe. Without pyarrow: manifests are asked, too."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

MARK = "% featkit "
"""How the first line of an ARFF file begins."""


def is_copy(path: Path) -> bool:
    """Whether a file is a copy that `featkit.store.copies` wrote."""
    try:
        return '"command": "extract"' in settings_of_copy(path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return False


def settings_of_copy(path: Path) -> str:
    """The settings as JSON, wherever they stand; empty where there are none."""
    if path.suffix == ".csv":
        return beside(path).read_text(encoding="utf-8")
    if path.suffix == ".npz":
        with np.load(path) as file:
            return str(file["recipe"])
    with path.open(encoding="utf-8") as lines:
        first = lines.readline()
    return first.removeprefix(MARK) if first.startswith(MARK) else ""


def beside(path: Path) -> Path:
    """The file that holds the settings of a CSV."""
    return path.with_name(f"{path.stem}.settings.json")
