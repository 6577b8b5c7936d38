"""Clips, labels and speakers as `fit`, `evaluate` and `tune` read them: one of each a clip, and no holes."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from featkit.errors import DataError
from featkit.extraction import clip_list


def column(values: Any, what: str) -> npt.NDArray[Any]:
    """Labels or speakers as an array (n,) without holes."""
    if isinstance(values, str):
        raise DataError(f"One {what} is given, {values!r}, where a list with one for every clip is expected.")
    for i, value in enumerate(np.asarray(values, dtype=object).ravel()):
        if not isinstance(value, str | int | float | np.generic) or value != value or value in (np.inf, -np.inf):
            raise DataError(f"The {what} of clip {i} is {value!r}. Drop the clip or give it a {what}.")
    try:
        array = column_or_1d(values, warn=True)
    except ValueError as error:
        raise DataError(f"Give one {what} for every clip, (n,). {error}") from None
    return np.array(array.tolist()) if array.dtype == object else array


def labelled(X: Any, y: Any, groups: Any) -> tuple[list[Any], npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Clips, labels and speakers (None where nobody knows), one of each a clip."""
    clips, y = clip_list(X), column(y, "label")
    speakers = None if groups is None else column(groups, "speaker")
    same_length(clips=clips, labels=y, speakers=speakers)
    require_classes(y)
    return clips, y, speakers


def require_classes(y: npt.NDArray[Any]) -> None:
    """Refuse what is rather a column of ratings or of file names."""
    present = len(np.unique(y))
    if y.dtype.kind == "f":
        check_classification_targets(y)
    elif present > max(20, len(y) / 2):
        raise DataError(
            f"There are {present} different labels among {len(y)} clips, as {y[0]!s} and {y[-1]!s}: is this the column "
            "of labels? featkit tells emotions apart; of ratings (valence, arousal) make classes first."
        )


def same_length(**columns: Sized | None) -> None:
    """Refuse columns of different lengths; None is no column."""
    lengths = {name: len(values) for name, values in columns.items() if values is not None}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{n} {name}" for name, n in lengths.items())
        raise DataError(f"Columns have inconsistent numbers of samples: {told}. Give one of each for every clip.")
