"""Blocks at any rate → samples at 16 000 Hz, bit-equal to converting the whole at once."""

from __future__ import annotations

import numpy as np
import soxr

from featkit.audio import SAMPLE_RATE, Wave


class Resampler:
    """Keeps the filter's state from block to block, so that no block has edges. Same quality as `featkit.audio`."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        same = rate == SAMPLE_RATE
        self._stream = None if same else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")

    def push(self, samples: Wave) -> Wave:
        """(n,) -> what can be told by now; the filter looks a few milliseconds ahead."""
        return samples if self._stream is None else self._stream.resample_chunk(samples)

    def flush(self) -> Wave:
        """The rest, as if silence followed. What is pushed next is another sound."""
        if self._stream is None:
            return np.empty(0, dtype=np.float32)
        rest: Wave = self._stream.resample_chunk(np.empty(0, dtype=np.float32), last=True)
        self._stream.clear()
        return rest
