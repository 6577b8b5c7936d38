"""Versions of installed packages. A leaf: the standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Versions by name, sorted, of those that are installed packages."""
    found = {}
    for name in sorted(packages):
        with suppress(PackageNotFoundError, ValueError):
            found[name] = version(name)
    return found
