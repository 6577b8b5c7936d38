"""Names → classes. Built-in and third-party plug-ins are found the same way: through entry points."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeAlias

from featkit.errors import PluginError

Kind: TypeAlias = Literal["features", "backends", "datasets"]

_NOUN = {"features": "feature set", "backends": "backend", "datasets": "corpus"}
# Which extra of featkit brings a module that a built-in plug-in needs.
_EXTRAS = {
    "opensmile": "opensmile",
    "xgboost": "xgboost",
    "onnxmltools": "xgboost",
    "torch": "torch",
    "pyarrow": "parquet",
    "pandas": "pandas",
}


def installed(kind: Kind) -> dict[str, EntryPoint]:
    """Entry points of one kind by name, sorted. Nothing is imported."""
    return dict(sorted(_installed(kind).items()))


@cache
def _installed(kind: Kind) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"featkit.{kind}")}


def find(kind: Kind, name: str) -> Any:
    """Import and return the plug-in class called ``name``.

    Raises
    ------
    PluginError
        The name is unknown (the message suggests the nearest one), or a package it needs is not installed (the
        message holds the pip line).
    """
    points = installed(kind)
    if name not in points:
        raise PluginError(unknown(_NOUN[kind], name, points))
    try:
        return points[name].load()
    except ModuleNotFoundError as error:
        raise missing(error, f"{_NOUN[kind]} '{name}'") from None


def build(kind: Kind, text: str) -> Any:
    """Make a plug-in from its name, with settings behind a colon where it needs any.

    Examples
    --------
    >>> build("features", "mfcc39:n_mfcc=20,window=hamming").window
    'hamming'

    Raises
    ------
    PluginError
        The name or a setting is unknown, or a package is missing.
    """
    name, _, settings = text.strip().partition(":")
    plugin = find(kind, name)
    known = list(inspect.signature(plugin).parameters)
    params: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals:
            raise PluginError(f"'{text}': settings are written name=value, as in '{name}:{known[0]}=…'.")
        if key not in known:
            raise PluginError(unknown(f"setting of {name}", key, known))
        try:
            params[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            params[key] = value  # a word
    return plugin(**params)


def unknown(noun: str, name: str, names: Iterable[str]) -> str:
    """Message for a name that is not there, with the nearest one that is.

    Examples
    --------
    >>> unknown("backend", "smv", ["svm", "xgboost"])
    "No backend is named 'smv'. Did you mean 'svm'? Installed: svm, xgboost."
    """
    names = list(names)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"No {noun} is named '{name}'.{hint} Installed: {', '.join(names) or 'none'}."


def missing(error: ModuleNotFoundError, what: str) -> PluginError:
    """Turn a failed import into the pip line that mends it."""
    module = (error.name or "").partition(".")[0]
    package = f"'featkit[{_EXTRAS[module]}]'" if module in _EXTRAS else module
    return PluginError(f"The {what} needs the package '{module}', which is not installed: pip install {package}")
