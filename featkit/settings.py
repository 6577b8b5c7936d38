"""Two sides that should have the same settings: in words, which of them differ. A leaf: the standard library only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

ONLY_HASH: Final = "only the hash of theirs is known"

_MOST = 3
_HASH = re.compile(r"[0-9a-f]{16,}")
_VERSIONS = ("featkit", "featkit_version")
_AFTER = ("hash", "feature_hash", "names", "source", "canary", "data", "scores")  # what follows from other settings


def differing(here: Mapping[str, Any] | None, there: Mapping[str, Any] | None) -> str:
    """Which settings differ, at most three; else versions of packages; else what only shows that something does.

    Parameters
    ----------
    here, there
        Settings as JSON holds them, with the specifications of feature sets anywhere inside; None where only their
        hash is known.

    Examples
    --------
    >>> differing({"hop": 1.0, "pad": True, "hash": "1"}, {"hop": None, "pad": True, "hash": "2"})
    'hop is 1.0 here and none there'
    """
    if not isinstance(here, Mapping) or not isinstance(there, Mapping):
        return ONLY_HASH
    found: list[list[str]] = [[], [], [], []]
    for rank, text in _walk(json.loads(json.dumps(here, default=str)), json.loads(json.dumps(there, default=str))):
        found[rank].append(text)
    told = next(filter(None, found), [ONLY_HASH])
    more = f" and {len(told) - _MOST} more" if len(told) > _MOST else ""
    return ", ".join(told[:_MOST]) + more


def set_name(spec: Mapping[str, Any]) -> str | None:
    """What a specification calls its set; None for settings that are no specification."""
    parts = spec.get("fusion", [spec])
    named = _tables(parts) and all("name" in part for part in parts)
    return "+".join(str(part["name"]) for part in parts) if named else None


def _walk(here: dict[str, Any], there: dict[str, Any], of: str = "") -> Iterator[tuple[int, str]]:
    """Each difference: how little it says (0 to 3), and its words. ``of`` names the set where there are several."""
    if set_name(here) != set_name(there):
        yield 0, f"the set is {_short(set_name(here))} here and {_short(set_name(there))} there"
        return
    for key in {**there, **here}:
        ours, theirs = here.get(key, "not set"), there.get(key, "not set")
        if json.dumps(ours) == json.dumps(theirs):  # 1, 1.0 and True are three settings
            continue
        if key in _AFTER:
            yield 3, f"{key} differs"
        elif isinstance(ours, dict) and isinstance(theirs, dict):
            yield from _walk(ours, theirs, of)
        elif _tables(ours) and _tables(theirs) and len(ours) == len(theirs):
            for one, other in zip(ours, theirs, strict=True):
                yield from _walk(one, other, f" of {_short(set_name(one))}" if key == "fusion" else of)
        else:
            name = f"version of {_short(set_name(here))}" if key == "version" and "name" in here else f"{key}{of}"
            yield _rank(key, ours, theirs), f"{_short(name)} is {_short(ours)} here and {_short(theirs)} there"


def _tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _rank(key: str, ours: Any, theirs: Any) -> int:
    if key in _VERSIONS or key.startswith("version of "):
        return 1
    return 2 if all(isinstance(value, str) and _HASH.fullmatch(value) for value in (ours, theirs)) else 0


def _short(value: Any) -> str:
    """As the command line takes it, and fit for a terminal, whoever wrote it."""
    text = value if isinstance(value, str) else "none" if value is None else json.dumps(value)
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    length = 12 if _HASH.fullmatch(text) else 40
    return text if len(text) <= length else f"{text[:length]}…"
