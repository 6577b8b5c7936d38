"""A sound made by formula: a model file tells how it was answered, and is asked again whenever it is loaded.

So another version of a library, another extractor or changed weights are told before the first clip, and not by wrong
labels. A leaf.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from featkit.audio import SAMPLE_RATE, Wave, to_wave
from featkit.versions import installed

SECONDS: Final = 0.3
KEPT: Final = 64
"""Values that are kept of what the graph reads, evenly spread over all of them."""
FEATURE: Final = 0.01
"""A feature may differ by this share of itself: other processors round otherwise, by a thousandth of that."""
PROBABILITY: Final = 0.05
"""A probability may, down to one of 10⁻⁶."""
_OUTLIERS = 0.1  # share of the features that may differ by more: openSMILE's pitch is found or not found
_RATE = 22_050  # Hz: another rate than the models', so that resampling is heard too


def sound(min_samples: int) -> Wave:
    """A voice: at a pitch of 140 ± 24 Hz two formants ring and die away, with noise. -> (n_samples,) at 16 000 Hz."""
    n_samples = max(round(SECONDS * SAMPLE_RATE), min_samples)
    count = np.arange(1 + -(-n_samples * _RATE // SAMPLE_RATE))
    seconds = count / _RATE
    period = (140 * seconds + 1.3 * np.sin(2 * np.pi * 3 * seconds)) % 1  # where in its period the voice is, 0 to 1
    voice = np.exp(-6 * period) * (np.sin(2 * np.pi * 5 * period) + 0.5 * np.sin(2 * np.pi * 13 * period))
    noise = count * count % 65_521 / 65_521 - 0.5
    loudness = np.sin(np.pi * count / count.size)
    return to_wave((loudness * (0.3 * voice + 0.02 * noise)).astype(np.float32), _RATE)[:n_samples]


def answered(values: Mapping[str, npt.NDArray[Any]], probabilities: npt.NDArray[Any]) -> dict[str, Any]:
    """What is kept of an answer: of each input up to `KEPT` values, and the probabilities (classes,)."""
    features = {name: _rounded(_spread(value.ravel())) for name, value in values.items()}
    return {"features": features, "probabilities": _rounded(probabilities)}


def difference(expected: Mapping[str, Any], got: Mapping[str, Any]) -> str | None:
    """In words, where one answer is not the other; None where it is.

    Raises
    ------
    KeyError, TypeError, ValueError
        ``expected`` is not of the form that `answered` gives.
    """
    for name, values in got["features"].items():
        told, found = _of_one_size(expected["features"][name], values)
        other = ~np.isclose(found, told, rtol=FEATURE, atol=FEATURE**2)
        if other.mean() > _OUTLIERS:
            most = float(np.abs(found - told)[other].max())
            return f"of the test sound, {other.sum()} of {found.size} values of '{name}' differ, by up to {most:.2g}"
    told, found = _of_one_size(expected["probabilities"], got["probabilities"])
    ratio = np.abs(np.log(np.clip(found, 1e-6, 1) / np.clip(told, 1e-6, 1)))
    if (ratio <= PROBABILITY).all():
        return None
    worst = int(ratio.argmax())
    return f"of the test sound, a probability is {found[worst]:.3g} and was {told[worst]:.3g}"


def other_versions(packages: Mapping[str, str]) -> str:
    """Packages that were there in another version, in words; empty where none was."""
    here = installed(packages)
    differing = [name for name in packages if packages[name] != here.get(name)]
    return ", ".join(f"{name} {packages[name]} (here {here.get(name, 'none')})" for name in differing)


def _of_one_size(told: Any, found: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    before, now = np.array(told, dtype=np.float64), np.array(found, dtype=np.float64)
    if before.shape != now.shape:
        raise ValueError(f"{now.size} values of the test sound where it tells {before.size}")
    return before, now


def _spread(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    places = np.linspace(0, values.size - 1, min(values.size, KEPT)).astype(int)
    kept: npt.NDArray[Any] = values[places]
    return kept


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
