"""What a search tries: the settings of every trial, before one is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid

from featkit import plugins
from featkit.classifier import SERClassifier
from featkit.errors import DataError, PluginError


def plan(
    classifier: SERClassifier, space: Mapping[str, Sequence[Any]] | None, n_trials: int, seed: int
) -> list[dict[str, Any]]:
    """Settings of every trial, by the names of ``set_params``; the classifier's own first."""
    if n_trials < 1:
        raise DataError(f"n_trials must be 1 or more; it is {n_trials}.")
    own, values = _space(classifier, space)
    grid = ParameterGrid(values)
    plan = [own]
    if len(grid) <= n_trials:
        return plan + [dict(sorted(cell.items())) for cell in grid if cell != own]
    # Not ParameterSampler, whose draws for one number of trials are no beginning of those for another: a search with
    # more trials should go on from the file of the one before.
    rng, drawn = np.random.default_rng(seed), set()
    while len(plan) < n_trials:
        place = int(rng.integers(len(grid)))
        if place not in drawn and grid[place] != own:
            plan.append(dict(sorted(grid[place].items())))
        drawn.add(place)
    return plan


def _space(
    classifier: SERClassifier, space: Mapping[str, Sequence[Any]] | None
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Present value, and values to try, by the names of ``set_params``."""
    extractor, backend, _ = classifier.parts()
    parts: dict[str, Any] = {"backend": backend, "features": extractor}
    if space is None:
        space = backend.space
    if not space:
        raise DataError(
            f"There is nothing to search: {type(backend).__name__}.space is empty, and no other space is given. Name "
            f"settings of {backend.name} with values to try, as in space={{'C': [0.1, 1, 10]}} (--space C=0.1,1,10)."
        )
    own: dict[str, Any] = {}
    values: dict[str, list[Any]] = {}
    for name, tried in sorted(space.items()):
        part, _, setting = (
            name.partition("__") if name.startswith(("backend__", "features__")) else ("backend", "", name)
        )
        present = parts[part].get_params()
        if setting not in present:
            raise PluginError(plugins.unknown(f"setting of {parts[part].name}", setting, present, "Settings"))
        full = f"{part}__{setting}"
        if full in values:
            raise DataError(f"The setting {setting} of the {part} stands twice in the space.")
        own[full], values[full] = present[setting], _values(setting, tried)
    return dict(sorted(own.items())), values


def _values(setting: str, tried: Any) -> list[Any]:
    """A list without repetitions, of Python's own numbers: NumPy's are written otherwise."""
    if isinstance(tried, str | bytes | Mapping) or not isinstance(tried, Iterable) or not list(tried):
        raise DataError(f"The values of {setting} must be a list of one or more; it is {tried!r}.")
    found: list[Any] = []
    for value in tried:
        plain = value.item() if isinstance(value, np.generic) else value
        if plain not in found:
            found.append(plain)
    return found
