"""The extractor contract: one clip, two views. ``frames`` (time, dims) and ``functionals`` (dims,)."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from featkit import plugins
from featkit.audio import SAMPLE_RATE, Wave, at_least
from featkit.errors import FeatureError
from featkit.settings import set_name

View: TypeAlias = Literal["frames", "functionals"]
Array: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Features:
    """What one extractor says of one clip. Stands wherever a path or a wave may stand, so nothing is computed twice.

    ``values`` is (time, dims) for the view "frames" and (dims,) for "functionals"; ``spec_hash`` names the exact
    extractor settings, and an estimator with other settings refuses it. ``copies`` are the same of varied copies of
    the clip, made by the plan that ``augment`` names: training may use them, and since they live inside their clip
    they can stand in no other fold than it.
    """

    values: Array
    view: View
    spec_hash: str
    copies: tuple[Array, ...] = ()
    augment: str | None = None
    seconds: float | None = None
    """Of the recording; None where nobody knows."""

    def __repr__(self) -> str:  # short: they are looked at by the hundred
        return f"Features({self.view}, {np.shape(self.values)}, {self.spec_hash[:8]})"


@dataclass(frozen=True, eq=False)
class Bundle:
    """`Features` of one clip by several sets or views, for an estimator whose members read different ones."""

    parts: tuple[Features, ...]

    def part(self, spec_hash: str, view: View, augment: str | None = None) -> Features:
        """What a reader of this set and view wants, with the copies that ``augment`` names where it wants any.

        Where that is not there, what comes nearest, for the reader to refuse.
        """
        fitting = [part for part in self.parts if (part.spec_hash, part.view) == (spec_hash, view)]
        if not fitting:
            return next((part for part in self.parts if _same_set(part.spec_hash, spec_hash)), self.parts[0])
        varied = [part for part in fitting if part.augment == augment]
        return (varied or fitting)[0]


@dataclass
class FeatureExtractor(ABC):
    """A feature set. Subclass it, name it, write ``frames``; fields of the dataclass are its parameters.

    Register the class under the entry-point group ``featkit.features`` and it works with every backend.

    Examples
    --------
    >>> class Loudness(FeatureExtractor):
    ...     name = "loudness"
    ...     def frames(self, wave):
    ...         return np.abs(wave[: wave.size // 160 * 160].reshape(-1, 160)).mean(1, keepdims=True)
    >>> Loudness().extract(np.ones(16_000, dtype=np.float32), "functionals").shape
    (9,)
    """

    name: ClassVar[str]
    """Equals the entry-point name."""
    version: ClassVar[int] = 1
    """Raise it when the same parameters begin to give other numbers: old models then refuse the new features."""
    licence: ClassVar[str | None] = None
    """Terms that a model trained on these features inherits, for its metadata."""

    @abstractmethod
    def frames(self, wave: Wave) -> Array:
        """Low-level descriptors. (n_samples,) at 16 000 Hz -> (time, dims) float32."""

    def functionals(self, wave: Wave) -> Array:
        """Describe the whole clip by statistics over its frames. (n_samples,) -> (dims,) float32.

        Default: the nine statistics of `featkit.features.functionals`. Override where the set defines its own.
        """
        from featkit.features.functionals import functionals

        return functionals(self._checked(self.frames(wave), "frames"))

    def to_onnx(self, view: View) -> Any:
        """The same computation as an ONNX model, wave (batch, samples) → view; None where there is none."""
        return None

    def check(self) -> None:
        """Raise `FeatureError` for settings that make no sense. Default: all do."""
        return

    @property
    def hop(self) -> float:
        """Distance between frames, seconds. Sets with the same hop can be fused frame by frame."""
        return 0.010

    @property
    def min_samples(self) -> int:
        """The shortest clip, in samples at 16 000 Hz, about which this set says anything."""
        return 400

    @property
    def frame_names(self) -> list[str]:
        """One name for each column of ``frames``."""
        dims = self.frames(_probe(self.min_samples)).shape[1]
        return [f"{self.name}_{i}" for i in range(dims)]

    @property
    def functional_names(self) -> list[str]:
        """One name for each value of ``functionals``."""
        if type(self).functionals is not FeatureExtractor.functionals:
            dims = self.functionals(_probe(self.min_samples)).shape[0]
            return [f"{self.name}_functional_{i}" for i in range(dims)]
        from featkit.features.functionals import functional_names

        return functional_names(self.frame_names)

    # Given to every subclass; not meant to be overridden.

    def names(self, view: View) -> list[str]:
        """Column names of one view."""
        return self.frame_names if view == "frames" else self.functional_names

    def extract(self, wave: Wave, view: View, where: str = "the clip", pad_short: bool = False) -> Array:
        """Compute one view and check it: the one road from wave to features, in training and in deployment.

        Parameters
        ----------
        wave
            (n_samples,) float32, mono, at 16 000 Hz.
        view
            "frames" or "functionals".
        where
            Name of the clip, for messages.
        pad_short
            Append silence to a clip shorter than ``min_samples`` instead of refusing it.

        Raises
        ------
        AudioError
            The clip is too short.
        FeatureError
            The extractor returned another shape than it should, or numbers that are not finite.
        """
        if view not in ("frames", "functionals"):
            raise FeatureError(f"A view is 'frames' or 'functionals', not {view!r}.")
        wave = at_least(wave, self.min_samples, pad_short, where)
        values = self._checked(self.frames(wave) if view == "frames" else self.functionals(wave), view)
        if not np.isfinite(values).all():
            raise FeatureError(
                f"{where}: {self.name} gave {np.count_nonzero(~np.isfinite(values))} values that are not finite "
                f"for {wave.size / SAMPLE_RATE:.2f} s of audio; drop the clip."
            )
        return values

    def _checked(self, values: Any, view: View) -> Array:
        array = np.asarray(values, dtype=np.float32)
        if array.ndim != (2 if view == "frames" else 1) or array.size == 0:
            shape = "(time, dims)" if view == "frames" else "(dims,)"
            raise FeatureError(f"{self.name} gave {view} of shape {array.shape}; it must be {shape}.")
        return array

    @property
    def spec(self) -> dict[str, Any]:
        """Name, version and parameters: everything that decides the numbers, ready for JSON."""
        params = {k: v.item() if isinstance(v, np.generic) else v for k, v in self.get_params(deep=False).items()}
        return {"name": self.name, "version": self.version, "params": params}

    @property
    def spec_hash(self) -> str:
        """Short hash of ``spec``. Features and models carry it; another one is an error, never a silent answer."""
        return hash_spec(self.spec)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name, as scikit-learn asks for them."""
        return {name: getattr(self, name) for name in _parameters(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Change parameters in place, as scikit-learn does."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise FeatureError(plugins.unknown(f"parameter of {self.name}", name, known, "Parameters"))
            setattr(self, name, value)
        return self


@dataclass
class Fusion(FeatureExtractor):
    """Several sets side by side, as in ``features="egemaps+mfcc39"``. Frames are fused where the hops agree."""

    parts: tuple[FeatureExtractor, ...]

    @property
    def name(self) -> str:  # type: ignore[override]
        """Names of the parts joined by ``+``."""
        return "+".join(part.name for part in self.parts)

    @property
    def licence(self) -> str | None:  # type: ignore[override]
        """Terms of all parts."""
        return "; ".join(sorted({part.licence for part in self.parts if part.licence})) or None

    def check(self) -> None:
        """Raise `FeatureError` for settings of a part that make no sense."""
        for part in self.parts:
            part.check()

    @property
    def hop(self) -> float:
        """The common hop, seconds."""
        if len({part.hop for part in self.parts}) > 1:
            told = ", ".join(f"{part.name} {1000 * part.hop:g} ms" for part in self.parts)
            raise FeatureError(f"Frames can only be fused at one hop; these differ: {told}. Set equal hops.")
        return self.parts[0].hop

    @property
    def min_samples(self) -> int:
        """What the most demanding part needs."""
        return max(part.min_samples for part in self.parts)

    def frames(self, wave: Wave) -> Array:
        """Frames side by side; sets that centre differently are cut to the shortest. -> (time, sum of dims)."""
        _ = self.hop
        frames = [part.frames(wave) for part in self.parts]
        time = min(len(part) for part in frames)
        return np.concatenate([part[:time] for part in frames], axis=1)

    def functionals(self, wave: Wave) -> Array:
        """Functionals one after the other. -> (sum of dims,)."""
        return np.concatenate([part.functionals(wave) for part in self.parts])

    def to_onnx(self, view: View) -> Any:
        """One graph where every part has one."""
        from featkit.graph import GraphBuilder

        models = [part.to_onnx(view) for part in self.parts]
        if any(model is None for model in models):
            return None
        g = GraphBuilder("fusion")
        wave = g.input("wave", ["batch", "samples"])
        values = [g.include(model, wave) for model in models]
        if view == "frames":
            _ = self.hop
            time = g.op("Min", *(g.op("Shape", value, start=1, end=2) for value in values))
            values = [g.op("Slice", value, g.ints(0), time, g.ints(1)) for value in values]
        shape = ["batch", "time", "dims"] if view == "frames" else ["batch", "dims"]
        g.output(g.op("Concat", *values, axis=-1), view, shape)
        return g.model()

    @property
    def frame_names(self) -> list[str]:
        """Names of all parts in order; one that comes again, as between egemaps and gemaps, ends in ``_2``."""
        return _unique(name for part in self.parts for name in part.frame_names)

    @property
    def functional_names(self) -> list[str]:
        """Names of all parts in order; one that comes again ends in ``_2``."""
        return _unique(name for part in self.parts for name in part.functional_names)

    @property
    def spec(self) -> dict[str, Any]:
        """Specifications of the parts."""
        return {"fusion": [part.spec for part in self.parts]}


def parts_of(extractor: FeatureExtractor) -> Sequence[FeatureExtractor]:
    """The sets that a fusion consists of, or the one set."""
    return extractor.parts if isinstance(extractor, Fusion) else (extractor,)


def packages_of(extractor: FeatureExtractor) -> set[str]:
    """Names of what decides its numbers: the packages of its classes, and those that their modules import."""
    homes = {kind.__module__ for part in parts_of(extractor) for kind in type(part).__mro__}
    values = [value for home in homes & sys.modules.keys() for value in vars(sys.modules[home]).values()]
    names = {value.__name__ for value in values if inspect.ismodule(value)}
    return {name.partition(".")[0] for name in homes | names}


def stack(values: list[Array], view: View) -> Any:
    """What a backend is given: (n, dims) for functionals; a list of (time, dims) for frames."""
    return np.stack(values) if view == "functionals" else values


def hash_spec(spec: Mapping[str, Any]) -> str:
    """The hash that features and models carry: SHA-256 of the canonical JSON, 16 hex digits.

    An entry "source" stays outside: it says where to find what the specification names by its content.
    """
    try:
        content = json.dumps(_decisive(spec), sort_keys=True, separators=(",", ":"))
    except TypeError as error:
        raise FeatureError(f"{spec.get('name', 'a fusion')}: parameters must be what JSON can hold: {error}.") from None
    found = hashlib.sha256(content.encode()).hexdigest()[:16]
    if len(content) <= _LONGEST:
        _KNOWN[found] = content
    return found


def known_spec(spec_hash: str) -> dict[str, Any] | None:
    """The specification with this hash, so that a refusal can name a setting; None if this process has not met it."""
    return json.loads(_KNOWN[spec_hash]) if spec_hash in _KNOWN else None


# Features carry a hash alone: there may be millions of them, of one specification.
_KNOWN: dict[str, str] = {}
_LONGEST = 10_000  # characters: a file from a stranger must not fill the memory


def find_extractor(features: str | FeatureExtractor) -> FeatureExtractor:
    """Name, with settings where it needs any, → extractor; ``+`` joins several. An extractor is returned as it is.

    Examples
    --------
    >>> find_extractor("mfcc39+logmel:n_mels=40").frame_names[-1]
    'logmel_40'
    """
    if isinstance(features, FeatureExtractor):
        return features
    if not isinstance(features, str):
        raise FeatureError(f"features must be a name or a FeatureExtractor, not {type(features).__name__}.")
    parts: tuple[FeatureExtractor, ...] = tuple(plugins.build("features", name) for name in features.split("+"))
    found = parts[0] if len(parts) == 1 else Fusion(parts)
    found.check()
    return found


def extractor_from_spec(spec: Mapping[str, Any]) -> FeatureExtractor:
    """Rebuild the extractor that ``spec`` describes, from installed plug-ins only."""
    try:
        if "fusion" in spec:
            return Fusion(tuple(extractor_from_spec(part) for part in spec["fusion"]))
        extractor: FeatureExtractor = plugins.find("features", spec["name"])(**spec["params"], **spec.get("source", {}))
    except (KeyError, TypeError) as error:
        raise FeatureError(f"These features are not what is installed: {error} in the specification {spec}.") from None
    return extractor


def _decisive(spec: Any) -> Any:
    """A specification, of one set or a fusion, without its sources."""
    if not isinstance(spec, Mapping):
        return spec
    kept = {key: value for key, value in spec.items() if key != "source"}
    if isinstance(parts := spec.get("fusion"), list):
        kept["fusion"] = [_decisive(part) for part in parts]
    return kept


def _same_set(one: str, other: str) -> bool:
    """Whether two hashes are of one set, as far as that is known."""
    first, second = known_spec(one), known_spec(other)
    return first is not None and second is not None and set_name(first) == set_name(second)


@cache
def _parameters(kind: type[FeatureExtractor]) -> tuple[str, ...]:
    """The fields of the dataclass. A constructor written by hand would hide settings from the specification."""
    names = tuple(field.name for field in dataclasses.fields(kind))
    hidden = inspect.signature(kind).parameters.keys() - set(names)
    if hidden:
        raise FeatureError(
            f"{kind.__name__} takes {', '.join(sorted(hidden))} without a field of that name; make it a dataclass "
            "whose fields are its parameters."
        )
    return names


def _unique(names: Iterable[str]) -> list[str]:
    """Number the names that come again. a, b, a -> a, b, a_2."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return unique


def _probe(min_samples: int) -> Wave:
    """A second of noise, to ask an extractor for its dims."""
    rng = np.random.default_rng(0)
    return rng.uniform(-0.1, 0.1, max(SAMPLE_RATE, min_samples)).astype(np.float32)
