"""What is measured: a recipe for a recogniser and a protocol to judge it by, as plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Self

from featkit import plugins
from featkit.backend import Backend, find_backend
from featkit.classifier import Recogniser, SERClassifier
from featkit.corpus import Corpus
from featkit.errors import DataError
from featkit.features.base import FeatureExtractor, find_extractor
from featkit.presets import find_preset
from featkit.protocols import CV
from featkit.tuning import TunedClassifier, recipe


@dataclass(frozen=True)
class Recipe:
    """How a recogniser is made, in the words of the command line.

    Examples
    --------
    >>> one = Recipe("mfcc39", "svm:C=10", augment="standard", copies=2)
    >>> str(one), one.key == Recipe("mfcc39", "svm:C=10", augment="standard", copies=2).key
    ('mfcc39 + svm:C=10, standard × 2', True)
    >>> one.classifier().copies
    2
    """

    features: str | None = None
    """None: what the backend asks for, or what a feature table holds."""
    backend: str | None = None
    """None: "svm", or what the preset says."""
    preset: str | None = None
    """A name of `featkit.presets.PRESETS` in place of features, backend and augmentation."""
    augment: str | None = None
    copies: int | None = None
    """Copies of every training clip; None is 4, or what the preset says."""
    normalise: str | None = None
    tune: int = 0
    """Trials of a search inside every training fold; 0: the settings as they are."""
    seed: int = 0
    pad_short: bool = False

    def __post_init__(self) -> None:
        if self.preset is not None and (self.features or self.augment or self.backend):
            raise DataError(f"The preset '{self.preset}' brings its features, backend and augmentation; name only it.")
        fixed: dict[str, Any] = {"backend": None} if self.preset else {"backend": self.backend or "svm"}
        if not self.preset:
            fixed["copies"] = None if self.augment is None else self.copies or 4
        for name, value in fixed.items():  # equal recipes are written alike
            object.__setattr__(self, name, value)

    def classifier(self) -> Recogniser:
        """The unfitted recogniser.

        Raises
        ------
        PluginError
            A name or setting is unknown, or a package is missing.
        DataError
            A preset cannot be tuned.
        """
        made = self._preset() if self.preset else self._single()
        if not self.tune:
            return made
        if not isinstance(made, SERClassifier):
            raise DataError(f"The preset '{self.preset}' is an average of several and cannot be tuned; leave out tune.")
        return TunedClassifier(made, n_trials=self.tune, seed=self.seed)

    def on(self, corpus: Corpus) -> Recipe:
        """The same with the set named that is meant by None."""
        if self.features is not None or self.preset is not None:
            return self
        meant = corpus.extractor or find_extractor(find_backend(self.backend or "svm").default_features)
        return replace(self, features=recipe(meant))

    @property
    def key(self) -> str:
        """Hash of all settings, 12 hex digits."""
        return hashed(asdict(self))

    @property
    def augmentation(self) -> str | None:
        """Plan and number of copies, "standard × 4"."""
        return None if self.augment is None else f"{self.augment} × {self.copies}"

    @property
    def remarks(self) -> list[str]:
        """What must be said wherever the recipe's scores are."""
        return [
            *(["transductive"] if self.normalise else []),
            *([f"tuned with {self.tune} trials in each fold"] if self.tune else []),
        ]

    def __str__(self) -> str:
        name = f"preset {self.preset}" if self.preset else f"{self.features or 'default'} + {self.backend}"
        copies = f"{self.copies} copies" if self.preset and self.copies else self.augmentation
        seed = f"seed {self.seed}" if self.seed else ""
        return ", ".join(filter(None, [name, copies, *self.remarks, seed]))

    @classmethod
    def of(cls, features: str | FeatureExtractor | None, backend: str | Backend, **settings: Any) -> Self:
        """The same of parts that may be objects."""
        named = recipe(features) if isinstance(features, FeatureExtractor) else features
        return cls(named, recipe(backend) if isinstance(backend, Backend) else backend, **settings)

    def _preset(self) -> Recogniser:
        made = find_preset(str(self.preset), copies=self.copies, pad_short=self.pad_short)
        for member in made.members():
            member.set_params(random_state=self.seed, normalise=self.normalise)
            if self.seed and isinstance(member.backend, Backend):  # members that differ by their seed alone still do
                _seed(member.backend, self.seed + member.backend.get_params().get("random_state", 0))
        return made

    def _single(self) -> SERClassifier:
        text = self.backend or "svm"
        backend = find_backend(text)
        if "random_state" not in plugins.parse(text)[1]:
            _seed(backend, self.seed)
        return SERClassifier(
            self.features, backend, augment=self.augment, copies=self.copies or 4, normalise=self.normalise,  # type: ignore[arg-type]
            random_state=self.seed, pad_short=self.pad_short,
        )  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """How recipes are judged: the arguments of `featkit.evaluate` that decide the score."""

    cv: CV = "loso"
    allow_leakage: bool = False
    permute: bool = False


def combined(
    features: list[str | None], backends: list[str], presets: list[str], augments: list[str | None], **others: list[Any]
) -> list[Recipe]:
    """Every combination, and with every preset all ``others`` that it leaves open; equal ones once."""
    found = [
        Recipe(*parts[:2], augment=parts[2], **rest)
        for parts in product(features, backends, augments)
        for rest in _combinations(others)
    ]
    found += [Recipe(preset=preset, **rest) for preset in presets for rest in _combinations(others)]
    return list(dict.fromkeys(found))


def _combinations(values: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for cell in product(*values.values()):
        yield dict(zip(values, cell, strict=True))


def hashed(content: Any) -> str:
    """SHA-256 of the canonical JSON, 12 hex digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def _seed(backend: Any, seed: int) -> None:
    if isinstance(backend, Backend) and "random_state" in backend.get_params():
        backend.set_params(random_state=seed)
