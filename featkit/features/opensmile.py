"""openSMILE's feature sets, computed by the ``opensmile`` package itself.

openSMILE is free for research and private use only (audEERING's licence); a model trained on its features carries
that note in its metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np
import opensmile
from opensmile.core.lib import OpenSMILE

from featkit.audio import SAMPLE_RATE, Wave
from featkit.features.base import Array, FeatureExtractor, View


@dataclass
class OpenSmileSet(FeatureExtractor):
    """One of openSMILE's standard sets: frames are its low-level descriptors, functionals its functionals."""

    feature_set: ClassVar[opensmile.FeatureSet]
    licence: ClassVar[str | None] = "openSMILE features: research and private use only (audEERING licence)"

    @property
    def min_samples(self) -> int:
        """100 ms. Below it openSMILE answers with zeros, below 60 ms with NaN, and only warns."""
        return SAMPLE_RATE // 10

    def frames(self, wave: Wave) -> Array:
        """Low-level descriptors every 10 ms. -> (time, dims)."""
        return np.ascontiguousarray(_smile(self.feature_set, "frames")(_in_16_bits(wave), SAMPLE_RATE)[0].T)

    def functionals(self, wave: Wave) -> Array:
        """The set's own functionals. -> (dims,)."""
        values: Array = _smile(self.feature_set, "functionals")(_in_16_bits(wave), SAMPLE_RATE)[0, :, 0]
        return values

    @property
    def frame_names(self) -> list[str]:
        """openSMILE's names."""
        return list(_smile(self.feature_set, "frames").feature_names)

    @property
    def functional_names(self) -> list[str]:
        """openSMILE's names."""
        return list(_smile(self.feature_set, "functionals").feature_names)


def _in_16_bits(wave: Wave) -> Wave:
    """What the package makes 16-bit integers of without a check: a sample of 1 would become −1."""
    return np.clip(wave, -1.0, 32_767 / 32_768)


@cache
def _smile(feature_set: opensmile.FeatureSet, view: View) -> Any:
    """Built once a process: building it costs as much as a clip."""
    level = opensmile.FeatureLevel.LowLevelDescriptors if view == "frames" else opensmile.FeatureLevel.Functionals
    smile = opensmile.Smile(feature_set=feature_set, feature_level=level)
    smile._smile = partial(_engine, smile)
    return smile


def _engine(smile: Any, options: dict[str, Any]) -> OpenSMILE:
    """An engine for one clip, one of those put aside: to read the configuration costs a tenth of a clip."""
    idle = _IDLE.setdefault((smile.config_path, tuple(sorted(options.items()))), [])
    try:
        return idle.pop()  # whoever takes it has it alone: several threads may extract
    except IndexError:
        engine = _Engine()
        engine.idle = idle
        engine.initialize(smile.config_path, options, smile.loglevel, smile.verbose, log_file=smile.logfile)
        return engine


class _Engine(OpenSMILE):
    """An engine that is put aside where the package would throw it away."""

    idle: list[OpenSMILE]
    held = 0
    """Bytes that it was given: its memory grows with them, and stays."""

    def external_audio_source_write_data(self, component_name: str, data: bytes) -> bool:
        self.held = max(self.held, len(data))
        return bool(super().external_audio_source_write_data(component_name, data))

    def free(self) -> None:
        if not 0 < self.held <= _MOST_HELD:  # too long a clip; or none, as its names alone were asked for
            super().free()
            return
        self.reset()
        self._callbacks.clear()
        self.idle.append(self)


_MOST_HELD = 2 * 60 * SAMPLE_RATE  # a minute of 16-bit samples
_IDLE: dict[tuple[Any, ...], list[OpenSMILE]] = {}


class EGeMAPS(OpenSmileSet):
    """eGeMAPSv02: 88 functionals, 25 low-level descriptors.

    Source: Eyben et al. (2016), "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research and
    affective computing", IEEE Trans. Affective Computing 7(2).
    """

    name = "egemaps"
    feature_set = opensmile.FeatureSet.eGeMAPSv02


class GeMAPS(OpenSmileSet):
    """GeMAPSv01b: 62 functionals, 18 low-level descriptors.

    Source: Eyben et al. (2016), as `EGeMAPS`.
    """

    name = "gemaps"
    feature_set = opensmile.FeatureSet.GeMAPSv01b


class ComParE2016(OpenSmileSet):
    """ComParE 2016: 6 373 functionals, 65 low-level descriptors.

    Source: Schuller et al. (2016), "The INTERSPEECH 2016 computational paralinguistics challenge".
    """

    name = "compare2016"
    feature_set = opensmile.FeatureSet.ComParE_2016


class EmoBase(OpenSmileSet):
    """emobase: 988 functionals, 26 low-level descriptors.

    Source: Eyben, Wöllmer & Schuller (2009), "openEAR", ACII.
    """

    name = "emobase"
    feature_set = opensmile.FeatureSet.emobase
