"""Log-mel spectrogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from featkit.features.mel import MelExtractor
from featkit.graph import GraphBuilder


@dataclass
class LogMel(MelExtractor):
    """Mel bands in decibels, 64 by default.

    Parameters: see `MelExtractor`.

    Equal to ``librosa.power_to_db(librosa.feature.melspectrogram(...))`` with the same settings.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.random.default_rng(0).uniform(-0.1, 0.1, 48_000).astype(np.float32)
    >>> LogMel().frames(wave).shape
    (301, 64)
    """

    name: ClassVar[str] = "logmel"
    _double: ClassVar[bool] = True

    n_mels: int = 64

    def add_frames(self, g: GraphBuilder, wave: str) -> str:
        """(batch, samples) -> (batch, time, n_mels)."""
        return self.add_log_mel(g, wave)

    @property
    def frame_names(self) -> list[str]:
        """``logmel_1 … logmel_64``."""
        return [f"logmel_{i + 1}" for i in range(self.n_mels)]
