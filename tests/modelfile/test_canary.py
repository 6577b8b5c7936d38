"""A model that would answer otherwise than where it was exported says so when it is loaded, not by wrong labels."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from speech import BACKENDS, fitted, small, speech

import featkit
from featkit import SERClassifier, SERVoting
from featkit.errors import ModelError
from featkit.export import renew_canary
from featkit.features import dsp
from featkit.features.base import Array, FeatureExtractor
from featkit.features.opensmile import EGeMAPS
from featkit.modelfile import canary, session

WAVES, LABELS, SPEAKERS = speech()
OTHERWISE = "does not answer as where it was exported: of the test sound, "


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each way in which features reach a graph."""
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, Any] = {
        "wave": fitted(),
        "frames": fitted(backend="cnn_lstm"),
        "egemaps": fitted("egemaps"),
        "fused": fitted("egemaps+mfcc39"),
        "several": SERVoting([fitted(), fitted("egemaps")]).fit(WAVES, LABELS, groups=SPEAKERS),
        "speaker": SERClassifier("mfcc39", small("svm"), normalise="speaker").fit(WAVES, LABELS, groups=SPEAKERS),
    }
    for name, classifier in made.items():
        classifier.export(folder / f"{name}.onnx")
    return {name: folder / f"{name}.onnx" for name in made}


def refused(path: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        featkit.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def changed(path: Path, folder: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    """A copy of a model with another graph and the old recipe."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, folder / "changed.onnx")
    return folder / "changed.onnx"


def retold(path: Path, folder: Path, **entries: Any) -> Path:
    """A copy of a model that tells another canary."""

    def change(model: onnx.ModelProto) -> None:
        recipe = json.loads(model.metadata_props[0].value)
        recipe["canary"] |= entries
        model.metadata_props[0].value = json.dumps(recipe)

    return changed(path, folder, change)


# The sound


def test_the_sound_is_the_same_every_time_and_as_long_as_the_features_need() -> None:
    wave = canary.sound(400)
    assert (wave.size, wave.dtype) == (4_800, np.float32)
    np.testing.assert_array_equal(wave, canary.sound(400))
    assert 0.1 < np.abs(wave).max() < 0.9
    assert canary.sound(20_000).size == 20_000


def test_a_voice_is_heard_in_the_sound() -> None:
    names = EGeMAPS().functional_names
    values = dict(zip(names, EGeMAPS().extract(canary.sound(400), "functionals"), strict=True))
    semitones = values["F0semitoneFrom27.5Hz_sma3nz_amean"]
    assert semitones == pytest.approx(12 * np.log2(140 / 27.5), abs=2)
    assert np.count_nonzero(list(values.values())) > 70


def test_rounding_as_on_another_processor_is_no_difference(models: dict[str, Path], monkeypatch: Any) -> None:
    heard = canary.sound
    noise = 1 + 1e-7 * np.random.default_rng(0).standard_normal(4_800).astype(np.float32)
    monkeypatch.setattr(canary, "sound", lambda n: heard(n) * noise)
    for path in models.values():
        featkit.load(path)


# What a model tells


def test_the_recipe_tells_features_probabilities_and_versions(models: dict[str, Path]) -> None:
    told = featkit.load(models["several"]).recipe["canary"]
    assert {name: len(values) for name, values in told["features"].items()} == {"wave": 64, "egemaps_functionals": 64}
    assert sum(told["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert told["versions"].keys() == {"featkit", "numpy", "onnxruntime", "soxr", "opensmile"}
    assert "opensmile" not in featkit.load(models["wave"]).recipe["canary"]["versions"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_models_of_every_backend_are_loaded_again(backend: str, tmp_path: Path) -> None:
    fitted(backend=backend).export(tmp_path / "model.onnx")
    told = featkit.load(tmp_path / "model.onnx")
    assert told.heard()["probabilities"] == told.recipe["canary"]["probabilities"]


def test_it_costs_few_bytes(models: dict[str, Path]) -> None:
    assert len(json.dumps(featkit.load(models["several"]).recipe["canary"])) < 2_500


# What it notices


def test_another_extractor_is_noticed(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """librosa 0.10 changed its default window; here it is the mel filters, as of HTK."""
    monkeypatch.setattr("featkit.features.graph._SESSIONS", {})
    filters = dsp.mel_filters
    monkeypatch.setattr(dsp, "mel_filters", lambda *args: filters(*args[:5], True, args[6]))
    refused(models["speaker"], OTHERWISE + r"\d+ of 64 values of 'functionals' differ, by up to")
    refused(models["fused"], OTHERWISE + r"\d+ of 64 values of 'functionals' differ, by up to")
    featkit.load(models["wave"])  # whose features are in the file


def test_another_version_of_a_library_is_noticed_and_named(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = EGeMAPS.functionals
    monkeypatch.setattr(EGeMAPS, "functionals", lambda self, wave: extract(self, wave) * np.float32(1.02))
    why = "It was changed: copy it again, or export it anew"
    refused(models["egemaps"], OTHERWISE + r"5\d of 64 values of 'functionals' differ, by up to \S+ " + why)
    versions = featkit_versions(models["egemaps"]) | {"opensmile": "2.5.0", "gone": "1.0"}
    why = r"It was made with opensmile 2\.5\.0 \(here \d\S+\), gone 1\.0 \(here none\): install that, or export it anew"
    refused(retold(models["egemaps"], tmp_path, versions=versions), why)


def featkit_versions(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(onnx.load(path).metadata_props[0].value)["canary"]["versions"]
    return found


def test_another_resampler_is_noticed(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def linear(samples: Any, rate: int) -> Any:
        places = np.arange(samples.size * 16_000 // rate) * rate / 16_000
        return np.interp(places, np.arange(samples.size), samples).astype(np.float32)

    monkeypatch.setattr(canary, "to_wave", linear)
    refused(models["wave"], OTHERWISE + r"\d+ of 64 values of 'wave' differ")
    refused(models["egemaps"], OTHERWISE)


@pytest.mark.parametrize("name", ["wave", "frames", "egemaps", "several", "speaker"])
def test_other_weights_are_noticed(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    def change(model: onnx.ModelProto) -> None:
        """Turn the largest tensor of floats that is left by a tenth; trees and support vectors are attributes."""
        weights = [tensor for tensor in model.graph.initializer if tensor.data_type == 1 and len(tensor.dims) == 2]
        for tensor in weights:
            tensor.CopyFrom(numpy_helper.from_array(1.1 * numpy_helper.to_array(tensor), tensor.name))
        for node in model.graph.node:
            for setting in node.attribute:
                if setting.name == "coefficients":
                    setting.floats[:] = [1.5 * value for value in setting.floats]

    refused(changed(models[name], tmp_path, change), OTHERWISE + r"a probability is \S+ and was \d")


def test_other_training_speakers_are_noticed(models: dict[str, Path], tmp_path: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        (name,) = {node.input[0] for node in model.graph.node if "population" in node.output}
        (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(1), name))

    refused(changed(models["speaker"], tmp_path, change), OTHERWISE)


@pytest.mark.parametrize("by", [0.9, 1.1, np.nan])
def test_other_probabilities_are_noticed(models: dict[str, Path], tmp_path: Path, by: float) -> None:
    told = featkit.load(models["wave"]).recipe["canary"]["probabilities"]
    refused(retold(models["wave"], tmp_path, probabilities=[by * p for p in told]), OTHERWISE + "a probability is 0")
    featkit.load(retold(models["wave"], tmp_path, probabilities=[1.001 * p for p in told]))


def test_a_tie_of_two_emotions_is_no_difference(models: dict[str, Path], tmp_path: Path) -> None:
    """Labels are not compared: which of two equal probabilities is larger may turn on the last bit."""
    found = {"features": {}, "probabilities": [0.500001, 0.499999]}
    assert canary.difference({"features": {}, "probabilities": [0.499999, 0.500001]}, found) is None


def test_a_few_features_that_jump_are_no_difference() -> None:
    told = canary.answered({"functionals": np.arange(1, 65.0)}, np.array([0.4, 0.6]))
    found = canary.answered({"functionals": np.r_[[0] * 6, np.arange(7, 65.0)]}, np.array([0.4, 0.6]))
    assert canary.difference(told, found) is None
    found = canary.answered({"functionals": np.r_[[0] * 7, np.arange(8, 65.0)]}, np.array([0.4, 0.6]))
    assert canary.difference(told, found) == "of the test sound, 7 of 64 values of 'functionals' differ, by up to 7"


# What is no canary


@pytest.mark.parametrize(
    "entries",
    [
        {"features": {}},
        {"features": None},
        {"features": {"wave": [1.0]}},
        {"features": {"wave": ["loud"] * 64}},
        {"probabilities": [1.0]},
        {"probabilities": {}},
        {"probabilities": [[0.2, 0.3, 0.5]]},
    ],
)
def test_a_canary_of_another_form_is_refused(models: dict[str, Path], tmp_path: Path, entries: Any) -> None:
    refused(retold(models["wave"], tmp_path, **entries), "its recipe is damaged .*; export it again")


@pytest.mark.parametrize("versions", [None, ["numpy"]])
def test_versions_of_another_form_are_refused(models: dict[str, Path], tmp_path: Path, versions: Any) -> None:
    refused(retold(models["wave"], tmp_path, versions=versions), "'versions' of 'canary' is no table")


@pytest.mark.parametrize("versions", [{"": "1"}, {"../../etc": {}}, {"numpy": "\n" * 9_999}])
def test_versions_that_mean_nothing_are_told_in_one_line(
    models: dict[str, Path], tmp_path: Path, versions: Any
) -> None:
    refused(retold(models["wave"], tmp_path, versions=versions, probabilities=[1, 0, 0]), "It was made with ")


def test_an_extractor_that_gives_another_number_of_features_is_noticed(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = EGeMAPS.functionals
    monkeypatch.setattr(EGeMAPS, "functionals", lambda self, wave: extract(self, wave)[:80])
    refused(models["egemaps"], "does not answer as where it was exported: .* It was changed")


def test_an_extractor_that_fails_on_the_sound_is_told(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EGeMAPS, "functionals", lambda self, wave: np.full(88, np.nan, np.float32))
    refused(models["egemaps"], "does not answer as .*: the test sound: egemaps gave 88 values that are not finite")


# Graphs that were changed on purpose


def test_a_graph_that_was_changed_on_purpose_gets_a_new_canary(models: dict[str, Path], tmp_path: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.data_type == 1 and len(tensor.dims) == 2:
                weights = numpy_helper.to_array(tensor)
                tensor.CopyFrom(numpy_helper.from_array(np.round(weights, 1), tensor.name))

    path = changed(models["frames"], tmp_path, change)
    refused(path, OTHERWISE)
    model = onnx.load(path)
    before = json.loads(model.metadata_props[0].value)
    made = renew_canary(model)
    onnx.save(model, path)
    read = featkit.load(path)
    np.testing.assert_array_equal(made.predict_proba(WAVES[:3]), read.predict_proba(WAVES[:3]))
    assert {key for key in before if before[key] != read.recipe[key]} == {"canary"}
    assert [entry.key for entry in model.metadata_props] == ["featkit"]


# Features of one's own


class Loud(FeatureExtractor):
    """Not installed anywhere but here."""

    name = "loud"

    def frames(self, wave: Any) -> Array:
        return np.abs(wave[: wave.size // 160 * 160].reshape(-1, 160)).mean(1, keepdims=True)


def test_features_of_ones_own_are_compared_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = SERClassifier(Loud(), small("svm")).fit(WAVES, LABELS, groups=SPEAKERS)
    monkeypatch.setattr("featkit.plugins.find", lambda kind, name: Loud)
    classifier.export(tmp_path / "model.onnx")
    featkit.load(tmp_path / "model.onnx")
    frames = Loud.frames
    monkeypatch.setattr(Loud, "frames", lambda self, wave: frames(self, wave[80:]))
    refused(tmp_path / "model.onnx", OTHERWISE + r"\d of 9 values of 'functionals' differ")


# Limits


def test_a_model_that_takes_too_long_for_the_sound_is_refused(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class AtOnce(threading.Thread):
        """A timer whose time is over when it starts."""

        def __init__(self, seconds: float, function: Any, args: Any) -> None:
            super().__init__()
            self._go = lambda: function(*args)

        def start(self) -> None:
            self._go()

        def cancel(self) -> None:
            pass

    monkeypatch.setattr(session.threading, "Timer", AtOnce)
    refused(models["wave"], "the test sound: the model gives no answer .it takes more than 60 s")
