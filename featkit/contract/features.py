"""Promises of a feature set."""

from __future__ import annotations

import numpy as np

from featkit.audio import SAMPLE_RATE, Wave
from featkit.contract.trial import TOLERANCE, check_name, pickled, same, speech, through_json
from featkit.errors import FeatkitError, PluginError
from featkit.features.base import FeatureExtractor, Fusion, View
from featkit.graph import run, session
from featkit.settings import differing

_VIEWS: tuple[View, ...] = ("frames", "functionals")


def check_features(extractor: FeatureExtractor) -> None:
    """Refuse a feature set that breaks a promise; see `featkit.contract.check`."""
    if isinstance(extractor, Fusion):
        for part in extractor.parts:
            check_features(part)
        return
    check_name("features", extractor)
    extractor.check()
    waves = _waves(extractor)
    for view in _VIEWS:
        _values(extractor, view, waves)
        _names(extractor, view, waves["speech"])
        _graph(extractor, view, waves)
    _hop(extractor, waves["speech"])
    _copies(extractor, waves["speech"])


def _waves(extractor: FeatureExtractor) -> dict[str, Wave]:
    """What a corpus holds: speech, somebody else's, a pause, and the shortest clip that the set allows."""
    waves = speech()[0]
    least = extractor.min_samples
    long, short = (np.resize(wave, max(wave.size, least)) for wave in (waves[-1], waves[0]))
    silence = np.zeros(max(SAMPLE_RATE, least), dtype=np.float32)
    return {"speech": long, "other speech": short, "silence": silence, "the shortest clip": long[:least]}


def _values(extractor: FeatureExtractor, view: View, waves: dict[str, Wave]) -> None:
    """As many finite columns for every clip, whatever was heard before; the wave stays as it is."""
    first = {}
    for name, wave in waves.items():
        given = wave.copy()
        try:
            first[name] = extractor.extract(given, view, name)
        except FeatkitError as error:
            raise PluginError(f"{extractor.name}: {error}") from None
        same(given, wave, f"{extractor.name}: {view} change the wave that they are given")
    dims = {values.shape[-1] for values in first.values()}
    if len(dims) > 1:
        raise PluginError(
            f"{extractor.name}: {view} have {sorted(dims)} columns, one number for one clip, one for another."
        )
    for name, wave in reversed(waves.items()):
        same(extractor.extract(wave, view), first[name], f"{extractor.name}: {view} of {name} come out otherwise again")


def _names(extractor: FeatureExtractor, view: View, wave: Wave) -> None:
    """A name of its own for every column."""
    names, dims = extractor.names(view), extractor.extract(wave, view).shape[-1]
    if len(names) != dims:
        raise PluginError(f"{extractor.name}: {len(names)} names for {dims} columns of {view}.")
    if not all(isinstance(name, str) for name in names) or len(set(names)) < dims:
        raise PluginError(f"{extractor.name}: names of {view} must be texts, each another one.")


def _hop(extractor: FeatureExtractor, wave: Wave) -> None:
    """A second more of sound is 1 / hop more frames; what stands at the ends does not count."""
    more = np.concatenate([wave, np.resize(wave, SAMPLE_RATE)])
    frames = len(extractor.frames(more)) - len(extractor.frames(wave))
    if abs(frames - 1 / extractor.hop) > 1.5:
        raise PluginError(
            f"{extractor.name}: hop is {extractor.hop:g} s, but a second more of sound gives {frames} frames more."
        )


def _copies(extractor: FeatureExtractor, wave: Wave) -> None:
    """A copy through pickle, and one made from the settings in a model file, give the same numbers."""
    settings = through_json(extractor.get_params(deep=False), extractor.name)
    copies = {"pickled": pickled(extractor, extractor.name), "made of its settings": type(extractor)(**settings)}
    for how, twin in copies.items():
        if twin.spec_hash != extractor.spec_hash:
            other = differing(twin.spec, extractor.spec)
            raise PluginError(f"{extractor.name}: a copy, {how}, has other settings: {other}.")
        for view in _VIEWS:
            same(twin.extract(wave, view), extractor.extract(wave, view), f"{extractor.name}: {view} of a copy, {how}")


def _graph(extractor: FeatureExtractor, view: View, waves: dict[str, Wave]) -> None:
    """The graph, where there is one, gives Python's numbers at every length, and at a batch of two."""
    model = extractor.to_onnx(view)
    if model is None:
        return
    graph = session(model)
    for name, wave in waves.items():
        expected = extractor.extract(wave, view)
        what = f"{extractor.name}: the graph of {view} does not answer as Python for {name}"
        same(run(graph, wave[None])[0], expected, what, TOLERANCE)
        same(run(graph, np.stack([wave, wave[::-1]]))[0], expected, f"{what} in a batch", TOLERANCE)
