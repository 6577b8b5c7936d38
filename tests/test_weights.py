"""Weights of a network go to torch and come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors.torch import load_file
from speech import NETWORKS, fitted, small, speech

from featkit import SERClassifier, load
from featkit.errors import ModelError


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_loaded_answers_as_what_was_saved(name: str, tmp_path: Path) -> None:
    clf = fitted(backend=name)
    clf.save_weights(tmp_path / "w.safetensors")
    again = SERClassifier("mfcc39", small(name)).load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(again.predict_proba(speech().waves), clf.predict_proba(speech().waves))
    assert again.classes_.tolist() == clf.classes_.tolist()
    assert again.export(tmp_path / "model.onnx").max_difference < 1e-5


def test_a_network_that_knows_the_speaker_comes_back_with_what_it_knows_of_the_training_speakers(
    tmp_path: Path,
) -> None:
    data = speech()
    clf = SERClassifier("mfcc39", small("cnn_lstm"), normalise="speaker").fit(
        data.waves, data.labels, groups=data.speakers
    )
    clf.save_weights(tmp_path / "w.safetensors")
    again = SERClassifier("mfcc39", small("cnn_lstm"), normalise="speaker").load_weights(tmp_path / "w.safetensors")
    expected = clf.predict_proba(data.waves, data.speakers)
    np.testing.assert_array_equal(again.predict_proba(data.waves, data.speakers), expected)
    assert again.export(tmp_path / "again.onnx").max_difference < 1e-5
    clf.export(tmp_path / "model.onnx")
    followed = [load(tmp_path / name).follow().predict_proba(data.waves[0]) for name in ("model.onnx", "again.onnx")]
    np.testing.assert_array_equal(*followed)


def test_classes_keep_their_type(tmp_path: Path) -> None:
    waves = speech().waves[:8]
    clf = SERClassifier("mfcc39", small("cnn_lstm")).fit(waves, [3, 7] * 4)
    clf.save_weights(tmp_path / "w.safetensors")
    again = SERClassifier("mfcc39", small("cnn_lstm")).load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(again.classes_, [3, 7], strict=True)


@pytest.mark.parametrize(("trained", "loaded"), [("speaker", None), (None, "speaker")])
def test_another_normalisation_is_refused(trained: Any, loaded: Any, tmp_path: Path) -> None:
    data = speech()
    clf = SERClassifier("mfcc39", small("cnn_lstm"), normalise=trained).fit(
        data.waves, data.labels, groups=data.speakers
    )
    clf.save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=f"trained with normalise={trained!r}, and this estimator has {loaded!r}"):
        SERClassifier("mfcc39", small("cnn_lstm"), normalise=loaded).load_weights(tmp_path / "w.safetensors")


def test_torch_reads_the_file_and_training_goes_on_there(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    fitted(backend="cnn_lstm").save_weights(path)
    tensors = load_file(path)
    clf = SERClassifier("mfcc39", small("cnn_lstm")).load_weights(path)
    module = clf.backend_.module_
    module.load_state_dict({k.removeprefix("module."): v for k, v in tensors.items() if k.startswith("module.")})
    before = clf.predict_proba(speech().waves)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    module(torch.randn(2, 50, 39), torch.tensor([50, 50])).sum().backward()
    optimiser.step()
    assert np.abs(clf.predict_proba(speech().waves) - before).max() > 0
    assert clf.export(tmp_path / "model.onnx").max_difference < 1e-5


def test_an_svm_has_no_weights_to_save(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="svm is no network, so it has no weights; export it"):
        fitted().save_weights(tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("features", "backend", "message"),
    [
        ("mfcc39", "svm", r"was trained with cnn_lstm on mfcc39 .*; this estimator is svm on mfcc39"),
        ("logmel", "cnn_lstm", r"was trained with cnn_lstm on mfcc39 .*; this estimator is cnn_lstm on logmel"),
        ("mfcc39", "cnn_lstm:hidden=16,channels=(8,12)", r"do not fit this cnn_lstm. .*'hidden': 8"),
    ],
)
def test_another_estimator_is_refused(features: str, backend: Any, message: str, tmp_path: Path) -> None:
    fitted(backend="cnn_lstm").save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=message):
        SERClassifier(features, backend).load_weights(tmp_path / "w.safetensors")


def test_files_that_are_no_weights_of_featkit_are_refused(tmp_path: Path) -> None:
    clf = SERClassifier("mfcc39", small("cnn_lstm"))
    path = tmp_path / "w.safetensors"
    with pytest.raises(ModelError, match=r"w\.safetensors: there is no such file of weights"):
        clf.load_weights(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match=r"w\.safetensors: is damaged or not a safetensors file"):
        clf.load_weights(path)
    safetensors.numpy.save_file({"a": np.zeros(2)}, path, metadata={"featkit": '{"format": 1}'})
    with pytest.raises(ModelError, match=r"has format 1 and this featkit reads 2; save the weights again"):
        clf.load_weights(path)
    safetensors.numpy.save_file({"a": np.zeros(2)}, path)
    with pytest.raises(ModelError, match=r"holds weights, but not of featkit"):
        clf.load_weights(path)
