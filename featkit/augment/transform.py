"""One random change of a wave: what every transform is."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, ClassVar, TypeAlias

import numpy as np

from featkit.audio import Wave
from featkit.augment import folder
from featkit.errors import PluginError

Rng: TypeAlias = np.random.Generator

MIN_SAMPLES = 400
"""A wave that would become shorter (25 ms, one frame) is left as it was."""


@dataclass(frozen=True)
class Transform(ABC):
    """One random change of a wave. Subclass it, name it, write ``change``; fields are its settings.

    Parameters
    ----------
    p
        Probability that the change is made, 0 to 1. Default 1: what is named is done.

    Examples
    --------
    >>> class Invert(Transform):
    ...     name = "invert"
    ...     def change(self, wave, rng):
    ...         return -wave
    >>> from featkit.augment import Augment
    >>> Augment((Invert(),))(np.ones(16_000, dtype=np.float32), np.random.default_rng(0))[0]
    np.float32(-1.0)
    """

    p: float = field(default=1.0, kw_only=True)

    name: ClassVar[str]
    """What it is called in a plan."""
    version: ClassVar[int] = 1
    """Raise it when the same settings begin to give other waves."""

    @abstractmethod
    def change(self, wave: Wave, rng: Rng) -> Wave:
        """Make the change; all chance comes from ``rng``. (n_samples,) at 16 000 Hz -> (m,), a new array."""

    def check(self) -> None:
        """Raise an error for settings that make no sense. Subclasses with settings add to it."""
        self._number("p", 0, 1)

    def __call__(self, wave: Wave, rng: Rng) -> Wave:
        """Change the wave with probability ``p``. (n_samples,) -> (m,).

        A result that is silent or shorter than `MIN_SAMPLES` is no clip: the wave is then returned as it was.
        """
        if rng.random() >= self.p:
            return wave
        changed = np.ascontiguousarray(self.change(wave, rng), dtype=np.float32)
        return changed if changed.size >= MIN_SAMPLES and changed.any() else wave

    @property
    def spec(self) -> dict[str, Any]:
        """Name, version and settings, ready for JSON; of a folder also what is in it."""
        settings = {setting.name: self._plain(setting.name) for setting in fields(self)}
        return {"name": self.name, "version": self.version, "params": settings}

    def _plain(self, setting: str) -> Any:
        value = getattr(self, setting)
        if setting == "folder" and value is not None:
            return {"path": os.fspath(value), "content": folder.content(folder.listed(self.name, value))}
        if isinstance(value, Real):
            return float(value)  # 20 and 20.0 are one setting
        return [float(end) for end in value] if isinstance(value, (tuple, list)) else value

    def _number(self, setting: str, low: float, high: float, unit: str = "") -> None:
        value = getattr(self, setting)
        if not _is_within(value, low, high):
            ends = f"{low:g} to {high:g} {unit}".rstrip()
            raise PluginError(f"{self.name}: {setting} must be a number from {ends}; it is {value!r}.")

    def _ratio(self) -> None:
        """Check the settings of a signal-to-noise ratio."""
        self._number("snr", -20, 100, "dB")
        self._number("spread", 0, 50, "dB")

    def _pair(self, setting: str, low: float, high: float, unit: str = "") -> None:
        value = getattr(self, setting)
        two = isinstance(value, (tuple, list)) and len(value) == 2 and all(_is_within(end, low, high) for end in value)
        if not two or value[0] > value[1]:
            ends = f"{low:g} to {high:g} {unit}".rstrip()
            raise PluginError(
                f"{self.name}: {setting} must be two numbers from {ends}, the lower first, as in {setting}=(a,b); "
                f"it is {value!r}."
            )


def _is_within(value: Any, low: float, high: float) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and low <= float(value) <= high


def around(centre: float, spread: float, rng: Rng) -> float:
    """A number, uniform in ``centre`` ± ``spread``."""
    return float(rng.uniform(centre - spread, centre + spread))
