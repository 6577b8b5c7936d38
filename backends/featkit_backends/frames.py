"""What backends over frames share: the check at their door."""

from __future__ import annotations

from typing import Any

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
