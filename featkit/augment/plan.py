"""A plan: transforms one after the other, from text or as objects."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from featkit import plugins
from featkit.audio import Wave, check_wave
from featkit.augment.basic import Gain, Noise, Pitch, Shift, Speed
from featkit.augment.rooms import Background, Room
from featkit.augment.transform import Rng, Transform
from featkit.errors import DataError, PluginError

STANDARD = "speed:factor=(0.85,1.15)"
"""The plan called "standard". On EMO-DB pitch shifting, white noise and gain took more than they gave
(``benchmarks/ablation.py``). Those who expect other rooms or levels than in training add them."""

TRANSFORMS: dict[str, type[Transform]] = {
    kind.name: kind for kind in (Noise, Pitch, Speed, Gain, Shift, Room, Background)
}
"""What a plan may name, besides "standard"."""


@dataclass(frozen=True)
class Augment:
    """A plan: transforms that are applied one after the other, each with its own probability.

    Every copy keeps the label and the speaker of its original. Copies belong on the training side of a fold only, with
    all clips of their speaker.

    Parameters
    ----------
    transforms
        In the order in which they are applied.

    Examples
    --------
    >>> plan = Augment((Speed(), Noise(snr=15, p=0.5)))
    >>> wave = np.sin(np.arange(16_000, dtype=np.float32))
    >>> [copy.dtype.name for copy in plan.copies(wave, 2, seed=0)]
    ['float32', 'float32']
    """

    transforms: tuple[Transform, ...]

    def __call__(self, wave: npt.ArrayLike, rng: Rng) -> Wave:
        """Vary one wave. (n_samples,) at 16 000 Hz -> (m,), finite, not silent; samples may exceed 1.

        Raises
        ------
        AudioError
            The wave is no clip: empty, silent, not finite (see `featkit.audio.check_wave`).
        """
        varied = check_wave(wave)
        for transform in self.transforms:
            varied = transform(varied, rng)
        return varied

    def copies(self, wave: npt.ArrayLike, n: int, seed: int = 0) -> list[Wave]:
        """Vary one wave ``n`` times. (n_samples,) -> n waves.

        A copy follows from the seed, the samples of the wave and its own number alone: neither from its neighbours nor
        from the order, the fold or the worker in which it is made, so that equal waves have equal copies.
        """
        if not _is_whole(n) or n < 0:
            raise DataError(f"The number of copies must be a whole number from 0 on; it is {n!r}.")
        if not _is_whole(seed):
            raise DataError(f"The seed must be a whole number; it is {seed!r}.")
        checked = check_wave(wave)
        content = hashlib.sha256(checked.tobytes()).hexdigest()
        return [self(checked, _rng(int(seed), content, number)) for number in range(1, int(n) + 1)]

    def check(self) -> None:
        """Raise an error for a plan that cannot be carried out, so that nothing fails in the middle of a run.

        Every file of every folder is decoded once for that.

        Raises
        ------
        PluginError
            It holds no transform, or one with settings out of range, or librosa is missing.
        DataError, AudioError
            A folder is missing, holds no audio, or holds a file that cannot be read.
        """
        given = self.transforms
        if not isinstance(given, tuple) or not given or not all(isinstance(part, Transform) for part in given):
            raise PluginError(f"A plan is a tuple of at least one transform, as in Augment((Noise(),)), not {given!r}.")
        for transform in given:
            transform.check()

    @property
    def spec(self) -> dict[str, Any]:
        """All that decides what becomes of a wave, ready for JSON."""
        return {"augment": [transform.spec for transform in self.transforms]}

    @property
    def spec_hash(self) -> str:
        """Short hash of ``spec``: SHA-256 of the canonical JSON, 16 hex digits, as features have."""
        content = json.dumps(self.spec, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def find_augment(augment: str | Augment) -> Augment:
    """Text → checked plan. A plan is checked and returned as it is.

    Parameters
    ----------
    augment
        Transforms joined by ``+`` in the order in which they are applied, each with settings where it needs any:
        ``speed+pitch+noise:snr=15,p=0.5``. A path needs quotes and forward slashes: ``background:folder='noise/'``.
        "standard" stands for `STANDARD`, which suits small corpora of speech.

    Raises
    ------
    PluginError
        A name or setting is unknown (the message suggests the nearest one), a value is out of range, or librosa is
        missing (the message holds the pip line).
    DataError, AudioError
        A folder cannot be used.

    Examples
    --------
    >>> find_augment("speed+noise:snr=15,p=0.5").transforms[1]
    Noise(p=0.5, snr=15, spread=5.0)
    """
    if isinstance(augment, str):
        augment = Augment(_transforms(augment))
    elif not isinstance(augment, Augment):
        raise PluginError(f"augment must be the text of a plan or an Augment, not {type(augment).__name__}.")
    augment.check()
    return augment


def _transforms(text: str) -> tuple[Transform, ...]:
    found: list[Transform] = []
    # At every + outside quotes: the rest of the text then consists of whole quotations and other characters.
    for part in re.split(r"""\+(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""", text):
        name, settings = plugins.parse(part)
        if name != "standard":
            found.append(_transform(name, settings))
        elif settings:
            raise PluginError(f"'{part}': standard takes no settings; write out {STANDARD} and change it.")
        else:
            found += _transforms(STANDARD)
    return tuple(found)


def _transform(name: str, settings: dict[str, Any]) -> Transform:
    if name not in TRANSFORMS:
        raise PluginError(plugins.unknown("transform", name, ["standard", *TRANSFORMS], "Known"))
    kind = TRANSFORMS[name]
    known = [f.name for f in fields(kind)]
    for setting in settings:
        if setting not in known:
            raise PluginError(plugins.unknown(f"setting of {name}", setting, known, "Settings"))
    return kind(**settings)


def _rng(seed: int, content: str, number: int) -> Rng:
    digest = hashlib.sha256(f"{seed} {content} {number}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral)  # of Python or numpy
