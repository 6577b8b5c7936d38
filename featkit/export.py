"""Trained estimator → one checked ONNX file: graph, labels and recipe."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto

from featkit.audio import SAMPLE_RATE, Wave, as_wave, at_least, name_of
from featkit.backend import Backend
from featkit.errors import ExportError
from featkit.extraction import clip_list, extract_one
from featkit.features.base import Features
from featkit.graph import GraphBuilder, session
from featkit.runtime import RECIPE_FORMAT, RECIPE_KEY, Model

if TYPE_CHECKING:
    from featkit.classifier import SERClassifier

TOLERANCE = 1e-4
"""Largest difference of a probability that is allowed between the exported and the trained model."""


@dataclass(frozen=True)
class ExportReport:
    """What was written and how closely it answers as the trained estimator."""

    path: Path
    input: str
    n_bytes: int
    n_checked: int
    max_difference: float


def export(
    classifier: SERClassifier, path: Path, *, clips: Any = None, scores: dict[str, Any] | None = None
) -> ExportReport:
    """Write ``classifier`` to one ONNX file, or refuse.

    The input is the waveform (batch, samples) at 16 000 Hz where the features are a graph, else the feature view that
    the backend reads. The outputs are ``label`` (batch,) and ``probabilities`` (batch, classes). The metadata entry
    "featkit" holds the recipe as JSON.

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

    Raises
    ------
    ExportError
        A probability differs by more than 1e-4, or a label differs, on any of the clips.
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(classifier, "backend_")
    extractor, backend = classifier.extractor_, classifier.backend_
    labels = [str(label) for label in classifier.classes_]
    front = extractor.to_onnx(backend.consumes)
    model = _assemble(front, backend, labels)
    recipe: dict[str, Any] = {
        "format": RECIPE_FORMAT,
        "featkit_version": _version(),
        "labels": labels,
        "sample_rate": SAMPLE_RATE,
        "input": "wave" if front is not None else backend.consumes,
        "min_samples": extractor.min_samples,
        "pad_short": classifier.pad_short,
        "features": extractor.spec,
        "feature_hash": extractor.spec_hash,
        "view": backend.consumes,
        "backend": {"name": backend.name, "params": _settings(backend)},
        "data": classifier.data_,
        "scores": scores,
        "licence": [extractor.licence] if extractor.licence else [],
    }
    entry = model.metadata_props.add()
    entry.key, entry.value = RECIPE_KEY, json.dumps(recipe, sort_keys=True, default=_plain)
    onnx.checker.check_model(model)

    content = model.SerializeToString()
    # Training files that were moved since are no obstacle; clips that are named now must be there.
    checked = [clip for clip in classifier.check_clips_ if not _gone(clip)] if clips is None else clip_list(clips)
    checked = checked or _made_speech()
    difference = _prove(classifier, content, checked)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return ExportReport(path, recipe["input"], len(content), len(checked), difference)


def _assemble(front: Any, backend: Backend, labels: list[str]) -> onnx.ModelProto:
    g, back = GraphBuilder("featkit"), backend.to_onnx()
    if front is not None:
        features = g.include(front, g.input("wave", ["batch", "samples"]))
    else:
        axes = back.graph.input[0].type.tensor_type.shape.dim
        features = g.input(backend.consumes, [axis.dim_value or axis.dim_param for axis in axes])
    probabilities = g.include(back, features)
    index = g.op("ArgMax", probabilities, axis=1, keepdims=0)
    label = g.op("Gather", g.constant(np.array(labels, dtype=object), object), index, axis=0)
    g.output(label, "label", ["batch"], TensorProto.STRING)
    g.output(probabilities, "probabilities", ["batch", len(labels)])
    return g.model()


def _prove(classifier: SERClassifier, content: bytes, clips: list[Any]) -> float:
    """Run both on the clips; return the largest difference of a probability, or refuse."""
    model = Model(content, "the exported model")
    extracted = [clip for clip in clips if isinstance(clip, Features)]
    largest = _prove_backend(classifier, extracted) if extracted else 0.0
    waves = [
        at_least(as_wave(clip, name_of(clip, i)), classifier.extractor_.min_samples, classifier.pad_short)
        for i, clip in enumerate(clips)
        if not isinstance(clip, Features)
    ] or _made_speech()
    expected = classifier.predict_proba(waves)
    largest = max(largest, _compare(classifier, expected, model.predict_proba(waves), model.predict(waves)))
    if model.input == "wave":  # and as a batch of equal lengths, which the graph must take as well
        longest = max(wave.size for wave in waves)
        batch = np.stack([np.pad(wave, (0, longest - wave.size)) for wave in waves])
        together = session(content).run(None, {"wave": batch})
        largest = max(largest, _compare(classifier, classifier.predict_proba(batch), together[1], together[0]))
    return largest


def _prove_backend(classifier: SERClassifier, features: list[Features]) -> float:
    """The classifier part on real features, where the estimator was trained on a table and no audio is at hand."""
    backend = session(classifier.backend_.to_onnx())
    name = backend.get_inputs()[0].name
    view = classifier.backend_.consumes
    rows = [extract_one(clip, f"clip {i}", classifier.extractor_, view, False) for i, clip in enumerate(features)]
    got = np.concatenate([backend.run(None, {name: row.values[None]})[0] for row in rows])
    return _compare(classifier, classifier.predict_proba(rows), got, classifier.classes_[got.argmax(axis=1)])


def _compare(classifier: SERClassifier, expected: Any, got: Any, labels: Any) -> float:
    difference = float(np.abs(np.asarray(expected) - np.asarray(got)).max())
    trained = [str(label) for label in classifier.classes_[np.argmax(expected, axis=1)]]
    changed = [i for i, (a, b) in enumerate(zip(trained, labels, strict=True)) if a != str(b)]
    if not difference <= TOLERANCE or changed:
        raise ExportError(
            f"The exported model does not answer as the trained one: probabilities differ by up to {difference:.2g} "
            f"(allowed {TOLERANCE:g}), labels on {len(changed)} of {len(trained)} clips. Nothing was written."
        )
    return difference


def _settings(backend: Backend) -> dict[str, Any]:
    """What decides the numbers: not how many workers there were, nor whether anybody watched."""
    return {k: v for k, v in backend.get_params(deep=False).items() if k not in ("n_jobs", "progress")}


def _gone(clip: Any) -> bool:
    return isinstance(clip, (str, os.PathLike)) and not Path(clip).exists()


def _made_speech() -> list[Wave]:
    from featkit.datasets.synthetic import EMOTIONS, synthesise

    return [synthesise(emotion, speaker=0, sentence=0, take=0) for emotion in EMOTIONS]


def _version() -> str:
    from importlib.metadata import version

    return version("featkit")


def _plain(value: Any) -> Any:
    """For JSON: numpy's numbers, as a search over a grid sets them, as numbers; other settings as they print."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)
