"""Recipes with a name: what was found to work best, in one word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featkit import plugins
from featkit.errors import PluginError

if TYPE_CHECKING:
    from featkit.classifier import Recogniser


@dataclass(frozen=True)
class Preset:
    """An average of members, each a feature set and a backend, trained on the clips and ``copies`` of each."""

    title: str
    members: tuple[tuple[str, str], ...]
    """Feature set and backend, as the command line reads them."""
    augment: str | None = "standard"
    copies: int = 4


PRESETS = {
    "best": Preset(
        "ComParE functionals, covariances and Fisher vectors, averaged; openSMILE's licence: research only",
        (
            ("compare2016", "linear"),
            ("compare2016", "tangent"),
            ("mfcc39", "fisher"),
            ("mfcc39", "tangent:deltas=False"),
        ),
    ),
    "own": Preset(
        "MFCC statistics, covariances and Fisher vectors, averaged: one graph from the waveform, free of openSMILE",
        (
            ("mfcc39", "fisher:components=128"),
            ("mfcc39", "fisher:centre=False"),
            ("mfcc39", "tangent:deltas=False"),
            ("mfcc39", "mlp"),
        ),
    ),
}


def find_preset(name: str, *, copies: int | None = None, pad_short: bool = False) -> Recogniser:
    """The unfitted recogniser that a preset stands for.

    Raises
    ------
    PluginError
        The name is unknown, or a package that a member needs is not installed.
    """
    from featkit.backend import find_backend
    from featkit.classifier import SERClassifier
    from featkit.features import find_extractor
    from featkit.voting import SERVoting

    if name not in PRESETS:
        raise PluginError(plugins.unknown("preset", name, PRESETS, "Presets"))
    preset = PRESETS[name]
    members = [
        SERClassifier(
            find_extractor(features), find_backend(backend), augment=preset.augment, copies=copies or preset.copies,
            pad_short=pad_short,
        )
        for features, backend in preset.members
    ]  # fmt: skip
    return SERVoting(members)
