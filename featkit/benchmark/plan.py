"""A table that is to be measured, written as YAML: strict, and every error tells its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

from featkit import plugins
from featkit.benchmark.recipe import Protocol, Recipe, combined
from featkit.errors import DataError, FeatkitError
from featkit.protocols import CV, read_cv


@dataclass(frozen=True)
class Plan:
    """Every combination of these is a row; ``recipes`` are further ones, which stand as they are."""

    data: tuple[tuple[str, ...], ...] = ()
    """Each entry a corpus, or several that are merged."""
    test: tuple[str, ...] = ()
    """Corpora that are judged by what is learned from ``data``, merged; empty: ``cv`` decides."""
    features: tuple[str | None, ...] = ()
    backend: tuple[str, ...] = ()
    preset: tuple[str, ...] = ()
    augment: tuple[str | None, ...] = (None,)
    copies: tuple[int | None, ...] = (None,)
    normalise: tuple[str | None, ...] = (None,)
    tune: tuple[int, ...] = (0,)
    cv: tuple[CV, ...] = ("loso",)
    seed: tuple[int, ...] = (0,)
    pad_short: bool = False
    allow_leakage: bool = False
    permute_labels: bool = False
    recipes: tuple[Recipe, ...] = ()

    def all_recipes(self) -> list[Recipe]:
        """The product, then the single ones; equal ones once."""
        plain = bool(self.features or self.backend) or not (self.preset or self.recipes)
        product = combined(
            list(self.features or (None,)) if plain else [], list(self.backend or ("svm",)), list(self.preset),
            list(self.augment), copies=list(self.copies), normalise=list(self.normalise), tune=list(self.tune),
            seed=list(self.seed), pad_short=[self.pad_short],
        )  # fmt: skip
        return list(dict.fromkeys([*product, *self.recipes]))

    def protocols(self) -> list[Protocol]:
        """One for each ``cv``."""
        return [Protocol(cv, self.allow_leakage, self.permute_labels) for cv in dict.fromkeys(self.cv)]

    def with_flags(self, **given: Any) -> Plan:
        """What flags say takes the place of what the file says; an empty one says nothing."""
        return replace(self, **{name: value for name, value in given.items() if value not in (None, (), False)})


def read_plan(path: Path) -> Plan:
    """Read a YAML file whose keys are the fields of `Plan`.

    Raises
    ------
    DataError
        It is missing, no YAML, or says what a plan cannot say; the message tells the line.
    PluginError
        PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise plugins.missing(error, "plan in YAML") from None
    if not path.is_file():
        raise DataError(f"{path}: there is no such plan.")
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        return Plan(**_mapping(path, loader, node, _READ)) if node is not None else Plan()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(f"{path}, line {line}: is no YAML: {error.problem or error.context}.") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: is no YAML: {' '.join(str(error).split())[:120]}.") from None


def _mapping(path: Path, loader: Any, node: Any, readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """Keys and values of a mapping, each value read by its reader."""
    if type(node).__name__ != "MappingNode":
        _refuse(path, node, "a plan is written as KEY: VALUE, one a line")
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = str(loader.construct_object(key, deep=True)) if type(key).__name__ == "ScalarNode" else "a list"
        if name not in readers:
            _refuse(path, key, plugins.unknown("key", name, readers, "Keys"))
        if name in found:
            _refuse(path, key, f"'{name}' stands twice")
        if name == "recipes":
            found[name] = tuple(_recipe(path, loader, one) for one in _items(path, value))
            continue
        try:
            found[name] = readers[name](loader.construct_object(value, deep=True))
        except (DataError, ValueError) as error:
            _refuse(path, value, f"{name}: {error}")
    return found


def _recipe(path: Path, loader: Any, node: Any) -> Recipe:
    values = _mapping(path, loader, node, _ONE)
    try:
        return Recipe(**values)
    except FeatkitError as error:
        _refuse(path, node, str(error))


def _items(path: Path, node: Any) -> list[Any]:
    if type(node).__name__ != "SequenceNode":
        _refuse(path, node, "recipes are a list, as in '- {features: mfcc39, backend: svm}'")
    items: list[Any] = node.value
    return items


def _refuse(path: Path, node: Any, why: str) -> NoReturn:
    raise DataError(f"{path}, line {node.start_mark.line + 1}: {why.rstrip('.')}.") from None


# --- values ----------------------------------------------------------------------------------------------------------


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{value!r} is no word; put it between quotes if it is meant as one")
    return value.strip()


def _word_or_none(value: Any) -> str | None:
    return None if value is None or value == "none" else _word(value)


def _whole(low: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise DataError(f"{value!r} is no whole number from {low} on")
        return value

    return read


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise DataError(f"{value!r} is neither true nor false")
    return value


def _cv(value: Any) -> CV:
    return read_cv(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else read_cv(repr(value))


def _normalise(value: Any) -> str | None:
    if value not in (None, "none", "speaker"):
        raise DataError(f"{value!r} is neither speaker nor none")
    return _word_or_none(value)


def _corpus(value: Any) -> tuple[str, ...]:
    return tuple(map(_word, value)) if isinstance(value, list) else (_word(value),)


def _list(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """One value, or a list of at least one."""

    def read_all(value: Any) -> tuple[Any, ...]:
        values: Sequence[Any] = value if isinstance(value, list) else [value]
        if not values:
            raise DataError("the list is empty")
        return tuple(read(one) for one in values)

    return read_all


_ONE: dict[str, Callable[[Any], Any]] = {
    "features": _word_or_none, "backend": _word, "preset": _word, "augment": _word_or_none, "copies": _whole(1),
    "normalise": _normalise, "tune": _whole(0), "seed": _whole(0), "pad_short": _switch,
}  # fmt: skip
_READ = {name: _list(read) for name, read in _ONE.items() if name != "pad_short"} | {
    "data": _list(_corpus), "test": _list(_word), "cv": _list(_cv), "pad_short": _switch, "allow_leakage": _switch,
    "permute_labels": _switch, "recipes": tuple,
}  # fmt: skip
assert _READ.keys() == {field.name for field in fields(Plan)}
