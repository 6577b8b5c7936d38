"""What backends over frames share: the check at their door, and clips that are centred when they are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from featkit.backend import Float
from featkit.errors import FeatureError


def clips_of(X: Any, dims: int | None = None) -> list[Float]:
    """Clips as float32 arrays (time, dims) of one width, that of the first where ``dims`` is None.

    Raises
    ------
    FeatureError
        There is no clip, or one is empty, of another width, or not finite.
    """
    clips = [np.ascontiguousarray(clip, dtype=np.float32) for clip in X]
    if not clips:
        raise FeatureError("There are no clips to learn from or to predict.")
    want = clips[0].shape[-1] if dims is None else dims
    for i, clip in enumerate(clips):
        if clip.ndim != 2 or clip.shape[1] != want or not len(clip):
            raise FeatureError(f"Clip {i} has frames of shape {clip.shape}; they must be (time, {want}).")
        if not np.isfinite(clip).all():
            raise FeatureError(f"Clip {i} has frames that are not finite; drop it.")
    return clips


@dataclass(frozen=True, eq=False, slots=True)
class Centred:
    """A clip less the mean of its frames, made when it is looked at: the clip itself may lie on disk."""

    clip: Float
    mean: Float
    """(dims,)"""

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def shape(self) -> tuple[int, ...]:
        """(time, dims)."""
        return self.clip.shape

    def __getitem__(self, where: slice) -> Float:
        centred: Float = self.clip[where] - self.mean
        return centred


Frames: TypeAlias = Float | Centred
"""Clips (time, dims) that give an array for a slice."""
