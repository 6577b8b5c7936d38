"""Mel-frequency cepstral coefficients with their first and second derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from featkit.errors import FeatureError
from featkit.features import dsp
from featkit.features.mel import MelExtractor
from featkit.graph import GraphBuilder


@dataclass
class MFCC39(MelExtractor):
    """13 MFCC + Δ + ΔΔ = 39 columns.

    Parameters of the spectrogram: see `MelExtractor`; the rest:

    ===============  ========  =======  =======================================================================
    parameter        here      librosa  meaning
    ===============  ========  =======  =======================================================================
    ``n_mfcc``       13        20       coefficients, the first of them the level
    ``lifter``       0         0        sinusoidal liftering; 22 is HTK's
    ``deltas``       2         –        derivatives that are appended: 0, 1 or 2
    ``delta_width``  9         9        frames, odd
    ``delta_mode``   "interp"  "interp" the ends: the last polynomial goes on, or the last frame is repeated
                                        ("nearest", as HTK)
    ===============  ========  =======  =======================================================================

    The DCT is type II, orthonormal. Equal to ``librosa.feature.mfcc`` and ``librosa.feature.delta`` with the same
    settings. A clip of fewer frames than ``delta_width``, which librosa refuses, repeats its last frame.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.random.default_rng(0).uniform(-0.1, 0.1, 48_000).astype(np.float32)
    >>> MFCC39().frames(wave).shape, MFCC39(center=False).frames(wave).shape
    ((301, 39), (298, 39))
    """

    name: ClassVar[str] = "mfcc39"

    n_mfcc: int = 13
    lifter: int = 0
    deltas: int = 2
    delta_width: int = 9
    delta_mode: Literal["interp", "nearest"] = "interp"

    def add_frames(self, g: GraphBuilder, wave: str) -> str:
        """(batch, samples) -> (batch, time, (1 + deltas) * n_mfcc)."""
        mel = self.add_log_mel(g, wave)
        mfcc = g.op("MatMul", mel, g.constant(dsp.dct_matrix(self.n_mfcc, self.n_mels, self.lifter)))
        return self._with_deltas(g, mfcc) if self.deltas else str(mfcc)

    def check(self) -> None:
        """Raise `FeatureError` for a setting of the wrong type or out of range."""
        super().check()
        if self.deltas not in (0, 1, 2):
            raise FeatureError(f"deltas must be 0, 1 or 2; it is {self.deltas}.")
        dsp.dct_matrix(self.n_mfcc, self.n_mels, self.lifter)  # refuses what makes none
        dsp.delta_kernel(self.delta_width, 1)

    def _with_deltas(self, g: GraphBuilder, mfcc: str) -> str:
        """Append derivatives. (batch, time, n) -> (batch, time, (1 + deltas) * n)."""
        width, side = self.delta_width, self.delta_width // 2
        kernels = np.stack([dsp.delta_kernel(width, order) for order in range(1, self.deltas + 1)])
        time = g.op("Shape", mfcc, start=1, end=2)
        x = g.op("Transpose", mfcc, perm=[0, 2, 1])
        sides = g.ints(0, 0, side, 0, 0, side)
        if self.delta_mode == "nearest":
            x = g.op("Pad", x, sides, mode="edge")
        else:
            short = g.op("Max", g.op("Sub", g.ints(width), time), g.ints(0))
            x = g.op("Pad", x, g.op("Concat", g.ints(0, 0, 0, 0, 0), short, axis=0), mode="edge")
        # The same kernels for every coefficient: grouped convolution, all first derivatives before all second ones.
        per_row = [
            g.op("Conv", x, g.constant(np.repeat(kernel[None, None], self.n_mfcc, axis=0)), group=self.n_mfcc)
            for kernel in kernels
        ]
        derivatives = g.op("Concat", *per_row, axis=1)
        if self.delta_mode == "interp":
            # At the ends the last fitted polynomial goes on, whose highest derivative is constant.
            derivatives = g.op("Pad", derivatives, sides, mode="edge")
            derivatives = g.op("Slice", derivatives, g.ints(0), time, g.ints(2))
        return str(g.op("Concat", mfcc, g.op("Transpose", derivatives, perm=[0, 2, 1]), axis=2))

    @property
    def frame_names(self) -> list[str]:
        """``mfcc_1 … mfcc_13, delta_1 … delta_13, delta2_1 … delta2_13``."""
        kinds = ("mfcc", "delta", "delta2")[: 1 + self.deltas]
        return [f"{kind}_{i + 1}" for kind in kinds for i in range(self.n_mfcc)]
