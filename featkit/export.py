"""Trained estimator → one checked ONNX file: graph, labels and recipe."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto

from featkit.audio import SAMPLE_RATE, Wave, as_wave, at_least, name_of
from featkit.backend import Backend
from featkit.card import CARD_HEAD, model_card
from featkit.errors import ExportError, PluginError
from featkit.extraction import clip_list, extract_one
from featkit.features.base import Bundle, FeatureExtractor, Features, extractor_from_spec, packages_of, stack
from featkit.files import require_writable, write_all, writing
from featkit.graph import GraphBuilder, session
from featkit.modelfile.recipe import RECIPE_FORMAT, RECIPE_KEY, open_model
from featkit.modelfile.seal import SEAL_KEY, sealed
from featkit.runtime import Model
from featkit.timing import median_seconds
from featkit.versions import installed

if TYPE_CHECKING:
    from featkit.classifier import Recogniser, SERClassifier

CHECKED = "checked"
"""Name, in the graph, of the wave that is heard: silence in place of one that is no clip."""
UNCHECKED = "unchecked"
"""Name, in the graph, of the probabilities that are answered to it, whether it was a clip or not."""

TOLERANCE = 1e-4
"""Largest difference of a probability that is allowed between the exported and the trained model."""


@dataclass(frozen=True)
class ExportReport:
    """What was written and how closely it answers as the trained estimator."""

    path: Path
    inputs: tuple[str, ...]
    """What the graph reads: "wave", or features."""
    n_bytes: int
    n_checked: int
    max_difference: float


def export(
    classifier: Recogniser,
    path: Path,
    *,
    clips: Any = None,
    scores: dict[str, Any] | None = None,
    corpora: Sequence[str] = (),
) -> ExportReport:
    """Write ``classifier`` to one ONNX file, or refuse. A model card, PATH.md, is written beside it.

    The input is the waveform (batch, samples) at 16 000 Hz where the features are a graph, else the feature view that
    the backend reads; of several members each has its own. The outputs are ``label`` (batch,) and ``probabilities``
    (batch, classes). A wave with a sample that is no number, or shorter than the features need, has the label "" and
    probabilities NaN. The metadata entry "featkit" holds the recipe as JSON. With ``normalise="speaker"`` the input are
    features that the runtime has normalised, and a third output ``population`` (2, dims) tells mean and deviation over
    the training clips.

    Parameters
    ----------
    classifier
        A fitted estimator.
    path
        The file to write; it is replaced only after all checks have passed.
    clips
        Clips on which the exported model must answer as the trained one. Default: one training clip of each class,
        or synthetic speech if none of their files is there any more.
    scores
        Measured scores for the recipe, e.g. ``evaluate(...).summary()``.
    corpora
        What the clips are from, with licence, for the recipe.

    Raises
    ------
    ExportError
        A probability differs by more than 1e-4, or a label differs, on any of the clips; or the name does not end in
        .onnx.
    ModelError
        The graph has an operator that `featkit.load` refuses (`featkit.modelfile.contents.OPERATORS`).
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(classifier, "classes_")
    if path.suffix != ".onnx":
        raise ExportError(f"{path}: is an ONNX model; its name must end in .onnx.")
    require_place(path)
    members = classifier.members()
    labels = [str(label) for label in classifier.classes_]
    if odd := [label for label in labels if not label.isprintable()]:
        raise ExportError(f"The label {odd[0]!r} has characters that cannot be shown; rename it and train again.")
    fronts = _fronts(members)
    shortest = max(member.extractor_.min_samples for member in members)
    model = _assemble(members, fronts, labels, shortest)
    licences = {member.extractor_.licence for member in members if member.extractor_.licence}
    recipe: dict[str, Any] = {
        "format": RECIPE_FORMAT,
        "featkit_version": version("featkit"),
        "labels": labels,
        "sample_rate": SAMPLE_RATE,
        "min_samples": shortest,
        "pad_short": all(member.pad_short for member in members),
        "members": [_told(member, front) for member, front in zip(members, fronts, strict=True)],
        "data": members[0].data_ | ({"corpora": list(corpora)} if corpora else {}),
        "scores": scores,
        "licence": sorted(licences),
        "canary": {"versions": _versions(members, fronts)},
    }
    _set_recipe(model, recipe)
    onnx.checker.check_model(model)
    made = renew_canary(model)

    content = as_file(model)
    # Training files that were moved since are no obstacle; clips that are named now must be there.
    checked = [clip for clip in members[0].check_clips_ if not _gone(clip)] if clips is None else clip_list(clips)
    checked = checked or _made_speech()
    difference = _prove(classifier, made, checked)
    inputs = [value.name for value in model.graph.input]
    card = model_card(made.recipe, inputs, path.name, len(content), _latency(made, checked))
    write_all({path: content, path.with_suffix(".md"): card.encode()})
    return ExportReport(path, tuple(inputs), len(content), len(checked), difference)


def renew_canary(model: onnx.ModelProto) -> Model:
    """Ask an exported graph about the test sound (`featkit.modelfile.canary`), and write its answer into its recipe.

    For a graph that was changed on purpose, as by quantisation: `featkit.load` refuses one that answers otherwise than
    its recipe tells. ``model`` is changed in place; the model is returned as `featkit.load` would.

    Raises
    ------
    ModelError
        It is not featkit's, or holds what `featkit.load` refuses.
    """
    made = Model(open_model(model.SerializeToString(), "the exported model"), check=False)
    made.recipe["canary"] |= made.heard()
    _set_recipe(model, made.recipe)
    return made


def with_form(content: bytes, form: dict[str, str]) -> bytes:
    """An exported model that also tells, as "form" of its recipe, what it was made of."""
    model = onnx.ModelProto.FromString(content)
    _set_recipe(model, json.loads(_entries(model)[RECIPE_KEY]) | {"form": form})
    return as_file(model)


def as_file(model: onnx.ModelProto) -> bytes:
    """A graph with its recipe as the bytes of a file, in which `featkit.load` finds any damage.

    For one that was changed on purpose: `renew_canary` comes first.
    """
    onnx.helper.set_model_props(model, _entries(model))
    return sealed(model.SerializeToString())


def _set_recipe(model: onnx.ModelProto, recipe: dict[str, Any]) -> None:
    told = json.dumps(recipe, sort_keys=True, default=_plain)
    onnx.helper.set_model_props(model, _entries(model) | {RECIPE_KEY: told})


def _entries(model: onnx.ModelProto) -> dict[str, str]:
    """The metadata, without the seal of the file that the model was read from."""
    return {entry.key: entry.value for entry in model.metadata_props if entry.key != SEAL_KEY}


def require_place(path: Path) -> None:
    """Refuse a place where a model, or the card beside it, cannot be written: before any work is done.

    Raises
    ------
    ExportError
        It is a folder, a file of somebody's own lies where the card should, or nothing may be written there.
    """
    card = path.with_suffix(".md")
    with writing(card):
        if card.exists() and not card.read_bytes().startswith(CARD_HEAD.encode()):
            raise ExportError(f"{card}: is no model card, and one would take its place; give the model another name.")
    require_writable(path)


def _latency(model: Model, clips: list[Any]) -> tuple[float, float] | None:
    """Median seconds from a clip in memory to its label, and seconds of that clip; None where there is no audio."""
    waves = [as_wave(clip, name_of(clip, i)) for i, clip in enumerate(clips) if not isinstance(clip, Features | Bundle)]
    if not waves or model.normalise:
        return None
    wave = sorted(waves, key=len)[len(waves) // 2]
    wave = at_least(wave, model.recipe["min_samples"], True)
    seconds = median_seconds([partial(model.predict_proba, [wave])] * 5, time.perf_counter)
    return seconds, wave.size / SAMPLE_RATE


@dataclass(frozen=True)
class _Front:
    """How a member's features come into the graph: computed from the wave by ``graph``, or given as ``input``."""

    input: str
    graph: Any = None


def _fronts(members: Sequence[SERClassifier]) -> list[_Front]:
    """One for each member; members that read the same share it."""
    shared: dict[tuple[str, str], _Front] = {}
    for member in members:
        extractor, view = member.extractor_, member.backend_.consumes
        if member.normalise and len(members) > 1:
            raise ExportError("A member with normalise='speaker' is exported alone, not as one of several.")
        if (extractor.spec_hash, view) not in shared:
            graph = None if member.normalise else extractor.to_onnx(view)
            if graph is None:
                _require_installed(extractor)
            name = view if len(members) == 1 else f"{extractor.name}_{view}"
            if name in {front.input for front in shared.values()}:  # the same set with other settings
                name = f"{name}_{len(shared) + 1}"
            shared[extractor.spec_hash, view] = _Front("wave", graph) if graph is not None else _Front(name)
    return [shared[member.extractor_.spec_hash, member.backend_.consumes] for member in members]


def _require_installed(extractor: FeatureExtractor) -> None:
    """Where the model starts at features, whoever loads it finds the set by name, and so must we."""
    try:
        extractor_from_spec(extractor.spec)
    except PluginError:
        raise ExportError(
            f"The feature set '{extractor.name}' is not installed, so a model that starts at its features finds it "
            "nowhere. Install it as a package with an entry point, or write it as a graph (add_frames)."
        ) from None


def _told(member: SERClassifier, front: _Front) -> dict[str, Any]:
    """One member in the recipe."""
    extractor, backend = member.extractor_, member.backend_
    return {
        "input": front.input,
        "features": extractor.spec,
        "feature_hash": extractor.spec_hash,
        "view": backend.consumes,
        "normalise": member.normalise,
        "backend": {"name": backend.name, "params": _settings(backend)},
    }


def _assemble(
    members: Sequence[SERClassifier], fronts: Sequence[_Front], labels: list[str], shortest: int
) -> onnx.ModelProto:  # fmt: skip
    g = GraphBuilder("featkit")
    wave, flaw = "", ""
    if any(front.graph is not None for front in fronts):
        wave, flaw = _checked(g, g.input("wave", ["batch", "samples"]), shortest)
    values: dict[int, str] = {}  # by front: what two members read is computed once
    probabilities = []
    for member, front in zip(members, fronts, strict=True):
        back = member.backend_.to_onnx()
        if id(front) not in values and front.graph is not None:
            values[id(front)] = g.include(front.graph, wave)
        elif id(front) not in values:
            axes = back.graph.input[0].type.tensor_type.shape.dim
            values[id(front)] = g.input(front.input, [axis.dim_value or axis.dim_param for axis in axes])
        probabilities.append(g.include(back, values[id(front)]))
    mean = probabilities[0] if len(members) == 1 else g.op("Mean", *probabilities)
    index = g.op("ArgMax", mean, axis=1, keepdims=0)
    label = g.op("Gather", _texts(g, labels), index, axis=0)
    if flaw:
        mean = g.op("Add", g.named(mean, UNCHECKED), flaw)
        label = g.op("Where", g.op("IsNaN", g.op("Squeeze", flaw, g.ints(1))), _texts(g, [""]), label)
    g.output(label, "label", ["batch"], TensorProto.STRING)
    g.output(mean, "probabilities", ["batch", len(labels)])
    if members[0].normalise:
        g.output(g.constant(members[0].population_), "population", members[0].population_.shape)
    return g.model()


def _checked(g: GraphBuilder, wave: str, shortest: int) -> tuple[str, str]:
    """The wave that is heard (batch, samples), and its flaw (batch, 1): 0, or NaN where it is no clip.

    Which it is not where a sample is no number or there are too few. Most networks would answer it all the same, and a
    session of onnxruntime 1.17 is broken for good once it has sorted NaN.
    """
    enough = g.op("GreaterOrEqual", g.op("Shape", wave, start=1, end=2), g.ints(shortest))
    nothing = g.op("Mul", g.op("ReduceSum", wave, g.ints(1), keepdims=1), g.constant(0.0))
    flaw = g.op("Div", nothing, g.op("Cast", enough, to=TensorProto.FLOAT))
    return g.named(g.op("Where", g.op("IsNaN", flaw), g.constant(0.0), wave), CHECKED), flaw


def _texts(g: GraphBuilder, texts: list[str]) -> str:
    return g.constant(np.array(texts, dtype=object), object)


def _prove(classifier: Recogniser, model: Model, clips: list[Any]) -> float:
    """Run both on the clips; return the largest difference of a probability, or refuse."""
    extracted = [clip for clip in clips if isinstance(clip, Features | Bundle)]
    largest = _prove_backends(classifier, extracted) if extracted else 0.0
    short, pad_short = model.recipe["min_samples"], model.recipe["pad_short"]
    waves = [
        at_least(as_wave(clip, name_of(clip, i)), short, pad_short)
        for i, clip in enumerate(clips)
        if not isinstance(clip, Features | Bundle)
    ] or _made_speech()
    one = ["the same speaker"] * len(waves) if classifier.transductive else None
    if one and len(waves) < 2:
        waves, one = waves * 2, one * 2
    expected, got = classifier.predict_proba(waves, one), model.predict_proba(waves, one)
    largest = max(largest, _compare(classifier, expected, got, model.predict(waves, one)))
    if model.inputs == ["wave"]:  # and as a batch of equal lengths, which the graph must take as well
        longest = max(wave.size for wave in waves)
        batch = np.stack([np.pad(wave, (0, longest - wave.size)) for wave in waves])
        together = model._session.run(None, {"wave": batch})
        largest = max(largest, _compare(classifier, classifier.predict_proba(list(batch)), together[1], together[0]))
    return largest


def _prove_backends(classifier: Recogniser, clips: list[Any]) -> float:
    """The classifiers on real features, where the estimator was trained on a table and no audio is at hand."""
    largest = 0.0
    for member in classifier.members():
        backend = session(member.backend_.to_onnx())
        name, view = backend.get_inputs()[0].name, member.backend_.consumes
        rows = [extract_one(clip, f"clip {i}", member.extractor_, view, False) for i, clip in enumerate(clips)]
        expected = member.backend_.predict_proba(stack([row.values for row in rows], view))
        got = np.concatenate([backend.run(None, {name: row.values[None]})[0] for row in rows])
        largest = max(largest, _compare(member, expected, got, member.classes_[got.argmax(axis=1)]))
    return largest


def _compare(classifier: Recogniser, expected: Any, got: Any, labels: Any) -> float:
    difference = float(np.abs(np.asarray(expected) - np.asarray(got)).max())
    trained = [str(label) for label in classifier.classes_[np.argmax(expected, axis=1)]]
    changed = [i for i, (a, b) in enumerate(zip(trained, labels, strict=True)) if a != str(b)]
    if not difference <= TOLERANCE or changed:
        raise ExportError(
            f"The exported model does not answer as the trained one: probabilities differ by up to {difference:.2g} "
            f"(allowed {TOLERANCE:g}), labels on {len(changed)} of {len(trained)} clips. Nothing was written."
        )
    return difference


def _versions(members: Sequence[SERClassifier], fronts: Sequence[_Front]) -> dict[str, str]:
    """Of the packages that decide what the model answers, also those of features that are no graph."""
    packages = {"featkit", "numpy", "onnxruntime", "soxr"}
    for member, front in zip(members, fronts, strict=True):
        if front.graph is None:
            packages |= packages_of(member.extractor_)
    return installed(packages)


def _settings(backend: Backend) -> dict[str, Any]:
    """What decides the numbers: not how many workers there were, nor whether anybody watched."""
    return {k: v for k, v in backend.get_params(deep=False).items() if k not in ("n_jobs", "progress")}


def _gone(clip: Any) -> bool:
    return isinstance(clip, (str, os.PathLike)) and not Path(clip).exists()


def _made_speech() -> list[Wave]:
    from featkit.datasets.synthetic import one_of_each  # seldom needed

    return one_of_each()


def _plain(value: Any) -> Any:
    """For JSON: numpy's numbers, as a search over a grid sets them, as numbers; other settings as they print."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)
