"""What the checks of all plug-ins share: sounds, names, and how a difference is told."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from featkit import plugins
from featkit.audio import SAMPLE_RATE, Wave
from featkit.datasets.synthetic import synthesise
from featkit.errors import PluginError

EMOTIONS = ("anger", "neutral", "sadness")
TOLERANCE = 1e-4
"""Of the largest number, where that is above 1: as for every graph that featkit exports."""

Plugin = TypeVar("Plugin")


@cache
def speech() -> tuple[list[Wave], npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """24 clips of 1 to 2 s, their labels and speakers: 4 speakers say 2 sentences in 3 emotions."""
    said = list(product(range(4), EMOTIONS, range(2)))
    waves = [
        synthesise(emotion, speaker, sentence, take=0)[: SAMPLE_RATE + 700 * i]
        for i, (speaker, emotion, sentence) in enumerate(said)
    ]
    return waves, np.array([emotion for _, emotion, _ in said]), np.array([f"s{speaker}" for speaker, _, _ in said])


def check_name(kind: plugins.Kind, plugin: Any) -> None:
    """The name is a word; where it is installed, the entry point of that name leads to this class."""
    name = getattr(plugin, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(f"{type(plugin).__name__}: has no name; write name = '…' into the class.")
    point = plugins.installed(kind).get(name)
    if point is not None and plugins.find(kind, name) is not type(plugin):
        raise PluginError(f"{name}: the entry point of this name leads to {point.value}, not {type(plugin).__name__}.")


def pickled(plugin: Plugin, name: str) -> Plugin:
    """A copy through pickle, as workers get it."""
    try:
        twin: Plugin = pickle.loads(pickle.dumps(plugin))
    except Exception as error:  # what is no plain object fails in many ways
        raise PluginError(f"{name}: cannot be pickled ({type(error).__name__}: {error}); workers need that.") from None
    return twin


def through_json(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Settings as they come back from a model file."""
    try:
        found: dict[str, Any] = json.loads(json.dumps(settings))
    except TypeError as error:
        raise PluginError(f"{name}: settings must be what JSON can hold ({error}).") from None
    return found


def same(got: Any, expected: Any, broken: str, tolerance: float = 0.0) -> None:
    """Refuse numbers that are not the expected ones; ``broken`` says what then is wrong."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        raise PluginError(f"{broken}: shape {got.shape} instead of {expected.shape}.")
    difference = np.abs(got.astype(float) - expected).max(initial=0)
    if not difference <= tolerance * max(1.0, np.abs(expected).max(initial=0)):  # NaN is no small difference
        raise PluginError(f"{broken}: values differ by up to {difference:.2g}.")
