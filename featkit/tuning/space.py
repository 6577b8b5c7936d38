"""What a search tries: the settings of every trial, before one is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid

from featkit import plugins
from featkit.backend import Space
from featkit.classifier import SERClassifier
from featkit.errors import DataError, PluginError


def plan(classifier: SERClassifier, space: Space | None, n_trials: int, seed: int) -> list[dict[str, Any]]:
    """Settings of every trial, by the names of ``set_params``; the classifier's own first."""
    if n_trials < 1:
        raise DataError(f"n_trials must be 1 or more; it is {n_trials}.")
    own, values = _space(classifier, space)
    grid = ParameterGrid(values)
    plan = [own]
    if len(grid) <= n_trials:
        cells = [dict(sorted((own | cell).items())) for cell in grid]
        return plan + [cell for i, cell in enumerate(cells) if cell != own and cell not in cells[:i]]
    # Not ParameterSampler, whose draws for one number of trials are no beginning of those for another: a search with
    # more trials should go on from the file of the one before.
    rng, drawn = np.random.default_rng(seed), set[int]()
    while len(plan) < n_trials and len(drawn) < len(grid):
        place = int(rng.integers(len(grid)))
        cell = dict(sorted((own | grid[place]).items()))
        if cell not in plan:
            plan.append(cell)
        drawn.add(place)
    return plan


def _space(classifier: SERClassifier, space: Space | None) -> tuple[dict[str, Any], list[dict[str, list[Any]]]]:
    """Present value, and values to try, by the names of ``set_params``. A cell keeps the former of what it has not."""
    extractor, backend, _ = classifier.parts()
    parts: dict[str, Any] = {"backend": backend, "features": extractor}
    if space is None:
        space = backend.space
    spaces = [space] if isinstance(space, Mapping) else list(space)
    if not any(spaces):
        raise DataError(
            f"There is nothing to search: {type(backend).__name__}.space is empty, and no other space is given. Name "
            f"settings of {backend.name} with values to try, as in space={{'C': [0.1, 1, 10]}} (--space C=0.1,1,10)."
        )
    read = [_named(parts, one) for one in spaces]
    own = {full: present for one in read for full, (present, _) in one.items()}
    return dict(sorted(own.items())), [{full: values for full, (_, values) in one.items()} for one in read]


def _named(parts: Mapping[str, Any], space: Any) -> dict[str, tuple[Any, list[Any]]]:
    """Present value and values to try by the names of ``set_params``."""
    if not isinstance(space, Mapping):
        raise DataError(f"A space holds values by setting, as in {{'C': [0.1, 1, 10]}}; it is {space!r}.")
    found: dict[str, tuple[Any, list[Any]]] = {}
    for name, tried in sorted(space.items()):
        part, _, setting = (
            name.partition("__") if name.startswith(("backend__", "features__")) else ("backend", "", name)
        )
        present = parts[part].get_params()
        if setting not in present:
            raise PluginError(plugins.unknown(f"setting of {parts[part].name}", setting, present, "Settings"))
        full = f"{part}__{setting}"
        if full in found:
            raise DataError(f"The setting {setting} of the {part} stands twice in the space.")
        found[full] = present[setting], _values(setting, tried)
    return found


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
