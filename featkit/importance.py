"""Which features a fitted recogniser lives on: shuffle one family among the judged clips, and see what it costs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from featkit.classifier import Recogniser
from featkit.features.base import Array, Bundle, Features

Columns: TypeAlias = dict[str, list[npt.NDArray[np.intp]]]
"""Family → its columns in each part of a clip's features."""

# First match counts. The names are openSMILE's (Eyben et al. 2016, "The Geneva minimalistic acoustic parameter set",
# sec. 3, and the ComParE 2016 configuration) and featkit's own.
_FAMILIES = (
    ("jitter, shimmer, HNR", r"^(jitter|shimmer|HNR|logHNR)|^logRelF0"),
    ("formants", r"^F\d(frequency|bandwidth|amplitude)"),
    ("pitch (F0)", r"^F0"),
    ("loudness", r"^[Ll]oudness_|^equivalentSoundLevel|RMSenergy|intensity|pcm_loudness|lengthL1norm"),
    ("timing, voicing", r"PeaksPerSec|Voiced|Unvoiced|^voic"),
    ("MFCC Δ²", r"^delta2_"),
    ("MFCC Δ", r"^delta_|^mfcc_sma_de"),
    ("MFCC", r"^mfcc"),
    ("auditory bands", r"^audSpec"),
    ("line spectrum", r"^lspFreq"),
    ("spectral shape", r"^(spectral|alphaRatio|hammarberg|slope|pcm_fftMag|pcm_zcr)"),
)
_BAND = re.compile(r"^logmel_(\d+)")
REPEATS = 5
"""Shuffles of each family; their mean counts."""


def family(name: str) -> str:
    """What kind of feature a column is.

    Examples
    --------
    >>> family("F1bandwidth_sma3nz_amean"), family("delta2_5_std"), family("logmel_17_p5"), family("mine_3")
    ('formants', 'MFCC Δ²', 'log-Mel 17-32', 'mine')
    """
    if band := _BAND.match(name):
        low = (int(band[1]) - 1) // 16 * 16 + 1
        return f"log-Mel {low}-{low + 15}"
    for known, pattern in _FAMILIES:
        if re.search(pattern, name):
            return known
    return re.split(r"[_\[]", name)[0] or name


def columns(fitted: Recogniser, clip: Any) -> Columns:
    """The families of what ``fitted`` reads of a clip. Where all is one family, the statistics take their place."""
    names = _names(fitted, clip)
    kinds = [[family(name) for name in part] for part in names]
    described = all(part.view == "functionals" for part in _parts(clip))
    if described and len({kind for part in kinds for kind in part}) == 1:
        kinds = [[name.rpartition("_")[2] for name in part] for part in names]
    found = sorted({kind for part in kinds for kind in part})
    return {kind: [np.flatnonzero(np.array(part) == kind) for part in kinds] for kind in found}


def shuffled(clips: Sequence[Any], of: Sequence[npt.NDArray[np.intp]], rng: np.random.Generator) -> list[Any]:
    """The clips with the columns ``of`` each part taken from another clip; frames are repeated or cut to fit."""
    order = rng.permutation(len(clips))
    return [_with(clip, clips[other], of) for clip, other in zip(clips, order, strict=True)]


def _names(fitted: Recogniser, clip: Any) -> list[list[str]]:
    """Column names of each part. Members that read the same part agree about them."""
    known = {(member.extractor_.spec_hash, member.backend_.consumes): member.extractor_ for member in fitted.members()}
    return [known[part.spec_hash, part.view].names(part.view) for part in _parts(clip)]


def _parts(clip: Any) -> tuple[Features, ...]:
    return clip.parts if isinstance(clip, Bundle) else (clip,)


def _with(clip: Any, other: Any, of: Sequence[npt.NDArray[np.intp]]) -> Any:
    pairs = zip(_parts(clip), _parts(other), of, strict=True)
    parts = tuple(replace(own, values=_mixed(own.values, theirs.values, places)) for own, theirs, places in pairs)
    return Bundle(parts) if isinstance(clip, Bundle) else parts[0]


def _mixed(own: Array, theirs: Array, places: npt.NDArray[np.intp]) -> Array:
    values = own.copy()
    if own.ndim == 1:
        values[places] = theirs[places]
    else:
        values[:, places] = theirs[np.arange(len(own)) % len(theirs)][:, places]
    return values
