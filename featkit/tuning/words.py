"""Settings as the command line reads and writes them."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Collection, Iterable
from typing import Any

from featkit import plugins
from featkit.backend import Backend
from featkit.errors import PluginError
from featkit.features.base import FeatureExtractor, Fusion


def recipe(part: Backend | FeatureExtractor, shown: Collection[str] = ()) -> str:
    """Backend or set as the command line reads it: its name, and the settings that are ``shown`` or not the default.

    Examples
    --------
    >>> from featkit.backend import find_backend
    >>> from featkit.features import find_extractor
    >>> recipe(find_backend("svm:C=10"), {"kernel"}), recipe(find_extractor("mfcc39:n_mfcc=20+logmel"))
    ('svm:C=10,kernel=rbf', 'mfcc39:n_mfcc=20+logmel')
    """
    if isinstance(part, Fusion):
        return "+".join(recipe(one) for one in part.parts)
    defaults = inspect.signature(type(part)).parameters
    words = {name: (word(value), word(defaults[name].default)) for name, value in part.get_params(deep=False).items()}
    told = [f"{name}={word}" for name, (word, default) in sorted(words.items()) if name in shown or word != default]
    return part.name + (f":{','.join(told)}" if told else "")


def read_space(texts: Iterable[str]) -> dict[str, list[Any]]:
    """``NAME=VALUE,VALUE,…`` of the command line → values by setting.

    Examples
    --------
    >>> read_space(["C=0.1,1", "kernel=rbf,linear", "channels=(8,12),(64,128)"])
    {'C': [0.1, 1], 'kernel': ['rbf', 'linear'], 'channels': [(8, 12), (64, 128)]}

    Raises
    ------
    PluginError
        It is written otherwise, or a setting stands twice.
    """
    space: dict[str, list[Any]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        try:
            # A comma inside brackets belongs to a value.
            space_of = [plugins.parse(f"x:{name}={value}")[1][name] for value in re.split(r",(?![^(\[]*[)\]])", values)]
        except (PluginError, KeyError):
            raise PluginError(
                f"'{text}': values to try are written as in 'C=0.1,1,10': words, numbers or tuples between commas."
            ) from None
        if name in space:
            raise PluginError(f"'{text}': values for {name} are given twice; write them as one list.")
        space[name] = space_of
    return space


def word(value: Any) -> str:
    """As `featkit.plugins.parse` reads it, without spaces, which a shell would cut at."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        plain = value.isidentifier() and not keyword.iskeyword(value) and value not in ("none", "true", "false")
        return value if plain else repr(value)
    return repr(value).replace(", ", ",")
