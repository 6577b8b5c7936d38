"""Pretrained encoders go on as transformers does, train what they should, and become one file that needs no other."""

from __future__ import annotations

import pickle
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pretrained
import pytest
import torch
import transformers
from click.testing import CliRunner
from featkit_backends import training
from featkit_backends.wav2vec2 import Wav2Vec2, _Encoder, _Network
from pretrained import CONFIGS, SMALL, models, noise, save
from sklearn.base import clone
from speech import inputs, speech, write_wav

import featkit
from featkit import SERClassifier, tune
from featkit.cli import cli
from featkit.errors import DataError, FeatureError, ModelError
from featkit.features import pretrained as module
from featkit.features.wav2vec2 import Wav2Vec2 as HiddenStates
from featkit.graph import run, session

WAVES, LABELS, SPEAKERS = speech()
kinds = pytest.mark.parametrize("kind", CONFIGS)


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return pretrained.unplug(monkeypatch)


def backend(kind: str = "group", trainable_layers: int = 1, **params: Any) -> Wav2Vec2:
    settings = {"hidden": 16, "epochs": 3, "batch_size": 8, "validation": 0.25, "average": 0.0} | params
    return Wav2Vec2(model=str(models() / kind), trainable_layers=trainable_layers, **settings)


@cache
def states(kind: str = "group", trainable_layers: int = 1) -> list[Any]:
    """What the backend is given for the 24 clips: (time, 32) each."""
    return [clip.values for clip in SERClassifier(backend=backend(kind, trainable_layers)).extract(WAVES)]


def fit(**params: Any) -> Wav2Vec2:
    made = backend(**params)
    return made.fit(states(trainable_layers=made.trainable_layers), LABELS, groups=SPEAKERS)


def encoder(kind: str, trainable_layers: int) -> _Encoder:
    return _Encoder(backend(kind, trainable_layers).default_features.above(), 1e-5).eval()


def assert_equal_runs(a: Any, b: Any) -> None:
    assert a.history_ == b.history_
    for name, tensor in a.weights().items():
        np.testing.assert_array_equal(tensor, b.weights()[name])


# --- the layers ----------------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("trainable_layers", [1, 2])
@pytest.mark.parametrize("n_samples", [400, 16_001, 80_000])
def test_untrained_they_give_the_last_hidden_state_of_transformers(
    kind: str, trainable_layers: int, n_samples: int
) -> None:
    wave = noise(n_samples) + np.float32(0.02)
    other = {"add_adapter": False} if kind == "stable" else {}  # which would stand behind
    model = transformers.AutoModel.from_pretrained(models() / kind, **other).eval()
    prepare = transformers.AutoFeatureExtractor.from_pretrained(models() / kind)
    frames = backend(kind, trainable_layers).default_features.frames(wave)
    with torch.inference_mode():
        theirs = model(prepare(wave, sampling_rate=16_000, return_tensors="pt").input_values).last_hidden_state
        ours = encoder(kind, trainable_layers)(torch.from_numpy(frames)[None])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@kinds
def test_padded_clips_are_as_clips_alone(kind: str) -> None:
    lengths = [1, 2, 9, 40, 150]
    clips = [torch.randn(length, 32, generator=torch.Generator().manual_seed(length)) for length in lengths]
    network = _Network(encoder(kind, 2), 32, 16, 0.3, 3).eval()
    with torch.inference_mode():
        together = network(*training.pad(clips))
        alone = torch.cat([network(clip[None], torch.tensor([len(clip)])) for clip in clips])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_training_drops_as_the_model_says_and_never_a_layer(tmp_path: Path) -> None:
    whole = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "layerdrop": 1.0}
    x = torch.randn(2, 20, 32, generator=torch.Generator().manual_seed(0))
    for dropouts, differs in ((whole, False), (whole | {"hidden_dropout": 0.5}, True)):
        directory = save(transformers.Wav2Vec2Config(**SMALL, **dropouts), tmp_path / str(differs))
        above = _Encoder(Wav2Vec2(model=directory, trainable_layers=2).default_features.above(), 1e-5)
        assert bool((above.train()(x) != above.eval()(x)).any()) is differs
        assert torch.equal(above.eval()(x), above(x))


@pytest.mark.parametrize("kind", ["group", "wavlm"])
def test_half_precision_trains_on_padded_batches(kind: str) -> None:
    X = [clip[: 10 + i] for i, clip in enumerate(states(kind))]
    fitted = backend(kind, epochs=1, precision="bfloat16", device="cpu").fit(X, LABELS)
    assert np.isfinite([list(row.values()) for row in fitted.history_]).all()
    assert np.isfinite(fitted.predict_proba(X)).all()


# --- what is trained -----------------------------------------------------------------------------------------------


def moved(fitted: Wav2Vec2) -> dict[str, float]:
    """How far each pretrained tensor has gone."""
    start = _Network(encoder("group", fitted.trainable_layers), 32, 16, 0.0, 3).encoder.state_dict()
    return {k: float((v - start[k]).abs().max()) for k, v in fitted.module_.encoder.state_dict().items()}


def test_fine_tuning_moves_the_upper_layers_slowly_and_nothing_below() -> None:
    before = backend().default_features.spec_hash
    fitted = fit(encoder_lr=1e-4, lr=1e-2, schedule="constant", validation=0)
    steps = 3 * 3
    moves = moved(fitted)
    assert {name.split(".")[1] for name in moves} == {"0"}
    biases_of_keys = [name for name in moves if "k_proj.bias" in name]  # to which softmax is blind
    assert all(0 < way < 3 * steps * 1e-4 for name, way in moves.items() if name not in biases_of_keys)
    assert backend().default_features.spec_hash == before
    above = backend().default_features.above()
    torch.testing.assert_close(above.layers.state_dict(), encoder("group", 1).layers.state_dict(), atol=0, rtol=0)


def test_the_rates_of_head_and_encoder_are_two() -> None:
    assert set(moved(fit(encoder_lr=0.0, lr=1e-2)).values()) == {0.0}
    history = fit(encoder_lr=1e-3, lr=0.0).history_
    assert {row["lr"] for row in history} == {0.0}
    assert len({row["loss"] for row in history}) == 3


def test_an_ensemble_has_encoders_of_its_own_at_their_rate() -> None:
    together = fit(ensemble=2, encoder_lr=0.0, lr=1e-2, epochs=1)
    start = encoder("group", 1).state_dict()
    for member in together.module_.members:
        for name, tensor in member.encoder.state_dict().items():
            torch.testing.assert_close(tensor, start[name], atol=0, rtol=0)


def test_a_frozen_encoder_is_no_part_of_the_network() -> None:
    names = set(fit(trainable_layers=0).weights())
    assert {name.split(".")[1] for name in names} == {"dense", "head", "mean", "factor"}


def test_frames_are_scaled_for_the_head_and_left_alone_for_pretrained_layers() -> None:
    for n in (0, 1):
        scaled = fit(trainable_layers=n, epochs=1).standardise_(states(trainable_layers=n)[0] * 1e3)
        assert (np.abs(scaled).max() <= 5) == (n == 0)
        assert np.array_equal(scaled, states(trainable_layers=n)[0] * 1e3) == (n == 1)


def test_equal_seeds_give_equal_weights_whether_the_model_was_loaded_before_or_not() -> None:
    first = fit()
    states.cache_clear()
    module._load.cache_clear()
    module._above.cache_clear()
    assert_equal_runs(fit(), first)
    assert_equal_runs(clone(first).fit(states(), LABELS, groups=SPEAKERS), first)


def test_a_run_that_goes_on_ends_as_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(Exception):  # noqa: N818 - it is no error
        pass

    write = training._write

    def write_and_die(*args: Any) -> None:
        write(*args)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(training, "_write", write_and_die)
        with pytest.raises(Stopped):
            backend().fit(states(), LABELS, groups=SPEAKERS, checkpoint=tmp_path / "run")
    again = backend().fit(states(), LABELS, groups=SPEAKERS, checkpoint=tmp_path / "run")
    assert_equal_runs(again, fit())


def test_varied_copies_are_learned_from() -> None:
    varied = SERClassifier(backend=backend(), augment="noise", copies=1).fit(WAVES, LABELS, groups=SPEAKERS)
    assert varied.data_["augment"]["copies"] == 1
    assert varied.history_[-1]["loss"] != fit().history_[-1]["loss"]


def test_it_survives_pickling() -> None:
    fitted = fit()
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(states()), fitted.predict_proba(states()))


@pytest.mark.parametrize("trainable_layers", [0, 1])
def test_weights_come_back_from_a_file(trainable_layers: int, tmp_path: Path) -> None:
    clf = SERClassifier(backend=backend("wavlm", trainable_layers)).fit(WAVES, LABELS)
    clf.save_weights(tmp_path / "w.safetensors")
    again = SERClassifier(backend=backend("wavlm", trainable_layers)).load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(again.predict_proba(WAVES), clf.predict_proba(WAVES))
    with pytest.raises(ModelError, match=r"was trained with wav2vec2 on wav2vec2 .* Give it the same parts"):
        SERClassifier(backend=backend("wavlm", 2)).load_weights(tmp_path / "w.safetensors")


# --- with the rest of featkit --------------------------------------------------------------------------------------


def test_the_features_are_those_below_the_trained_layers_and_nothing_is_read_to_say_so(calls: list[Any]) -> None:
    extractor, _, _ = SERClassifier(backend="wav2vec2:model='no/such'").parts()
    assert extractor == HiddenStates("no/such", layer=-1)
    assert calls == []
    clf = SERClassifier(backend=f"wav2vec2:model='{models() / 'group'}',trainable_layers=2,local_files_only=true")
    assert clf.parts()[0] == HiddenStates(str(models() / "group"), layer=-3, local_files_only=True)
    assert clf.set_params(backend__trainable_layers=1).parts()[0].layer == -2
    assert Wav2Vec2().default_features.model == HiddenStates().model == "facebook/wav2vec2-base-960h"


def test_a_frozen_encoder_may_be_read_at_any_layer() -> None:
    clf = SERClassifier(HiddenStates(str(models() / "group"), layer=1), backend(trainable_layers=0, epochs=1))
    assert clf.fit(WAVES, LABELS).predict_proba(WAVES).shape == (24, 3)


def test_a_search_tries_each_number_of_layers_on_features_of_its_own() -> None:
    found = tune(
        SERClassifier(backend=backend(epochs=1)), WAVES, LABELS, SPEAKERS, space={"trainable_layers": [0, 1, 2]}, cv=2
    )
    assert [row.failure for row in found.rows] == [None] * 3


def test_the_command_line_trains_it_without_a_word_of_features(tmp_path: Path) -> None:
    rows = [f"{write_wav(tmp_path / f'{i}.wav', wave)},{LABELS[i]},{SPEAKERS[i]}" for i, wave in enumerate(WAVES)]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,label,speaker", *rows]))
    text = f"wav2vec2:model='{models() / 'group'}',trainable_layers=1,epochs=1,hidden=8"
    words = ["fit", "--data", str(tmp_path / "manifest.csv"), "--backend", text, "-o", str(tmp_path / "m.joblib")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert "Trained wav2vec2:layer=-2,model=" in result.output


# --- the exported model --------------------------------------------------------------------------------------------


class Whole(NamedTuple):
    classifier: SERClassifier
    directory: Path
    path: Path
    report: Any


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A fine-tuned WavLM, whose graph is the most intricate, with a directory of its own."""
    root = tmp_path_factory.mktemp("whole")
    directory = Path(shutil.copytree(models() / "wavlm_group", root / "encoder"))
    settings = "trainable_layers=1,hidden=16,epochs=20,batch_size=8,lr=0.005,encoder_lr=0.001,segment=60,dropout=0.1"
    clf = SERClassifier(backend=f"wav2vec2:model='{directory}',{settings}").fit(WAVES, LABELS, groups=SPEAKERS)
    return Whole(clf, directory, root / "model.onnx", clf.export(root / "model.onnx"))


def test_it_learns_and_is_one_file_that_takes_the_wave(whole: Whole) -> None:
    assert whole.classifier.score(WAVES, LABELS) > 0.6
    assert whole.report.inputs == ("wave",)
    assert whole.report.max_difference < 1e-5
    model = featkit.load(whole.path)
    np.testing.assert_allclose(model.predict_proba(WAVES), whole.classifier.predict_proba(WAVES), atol=1e-5)
    assert model.predict(WAVES).tolist() == whole.classifier.predict(WAVES).tolist()


@pytest.mark.parametrize(
    ("batch", "seconds"), [(1, 0.2), (3, 0.2), (57, 0.2), (57, 1.23), (1, 3.0), (3, 3.01), (1, 30)]
)
def test_the_whole_graph_answers_as_training_at_any_length_and_batch(whole: Whole, batch: int, seconds: float) -> None:
    waves = noise(batch, round(16_000 * seconds), seed=batch)
    got = session(whole.path.read_bytes()).run(["probabilities"], {"wave": waves})[0]
    assert got.shape == (batch, 3)
    some = sorted({0, batch // 2, batch - 1})
    np.testing.assert_allclose(got[some], whole.classifier.predict_proba([waves[i] for i in some]), atol=1e-5)


def test_the_file_needs_no_directory(whole: Whole) -> None:
    expected = whole.classifier.predict_proba(WAVES[:3])
    gone = whole.directory.rename(whole.directory.with_name("gone"))
    try:
        np.testing.assert_allclose(featkit.load(whole.path).predict_proba(WAVES[:3]), expected, atol=1e-5)
    finally:
        gone.rename(whole.directory)


@pytest.mark.parametrize("kind", ["group", "stable"])
def test_the_graph_of_the_backend_answers_as_the_network(kind: str) -> None:
    fitted = backend(kind, 2, segment=50).fit(states(kind, 2), LABELS)
    graph = session(fitted.to_onnx())
    for batch, time in ((1, 1), (3, 9), (57, 20), (2, 151), (1, 1499)):
        X = np.random.default_rng(time).standard_normal((batch, time, 32), np.float32)
        np.testing.assert_allclose(run(graph, X), fitted.predict_proba(list(X)), atol=1e-5)


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trainable_layers": -1}, "wav2vec2: trainable_layers is a whole number from 0; it is -1."),
        ({"trainable_layers": 1.0}, "wav2vec2: trainable_layers is a whole number from 0; it is 1.0."),
        ({"trainable_layers": True}, "wav2vec2: trainable_layers is a whole number from 0; it is True."),
        ({"trainable_layers": 3}, "wav2vec2: trainable_layers lies between 0 and 2, which is what "),
        ({"encoder_lr": -1}, "wav2vec2: encoder_lr lies between 0 and 10; it is -1."),
        ({"encoder_lr": "fast"}, "wav2vec2: encoder_lr lies between 0 and 10; it is 'fast'."),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        backend(**settings).fit(states(), LABELS)
    with pytest.raises(DataError, match=re.escape(message)):
        SERClassifier(backend=backend(**settings)).fit(WAVES, LABELS)


@pytest.mark.parametrize("trainable_layers", [0, 1])
def test_frames_of_another_set_are_refused(trainable_layers: int) -> None:
    with pytest.raises(FeatureError, match=r"wav2vec2 reads the frames of features='wav2vec2', 32 columns .* got 39 c"):
        backend(trainable_layers=trainable_layers).fit(inputs("frames"), LABELS)


def test_frames_that_are_not_finite_are_refused() -> None:
    X = [*states()[:-1], np.full((5, 32), np.nan)]
    with pytest.raises(FeatureError, match="Clip 23 has frames that are not finite; drop it"):
        backend().fit(X, LABELS)


@pytest.mark.parametrize("trainable_layers", [0, 1])
def test_a_directory_without_weights_is_refused(trainable_layers: int, tmp_path: Path) -> None:
    shutil.copy(models() / "group" / "config.json", tmp_path)
    spoilt = Wav2Vec2(model=str(tmp_path), trainable_layers=trainable_layers)
    for use in (lambda: spoilt.fit(states(), LABELS), lambda: SERClassifier(backend=spoilt).fit(WAVES, LABELS)):
        with pytest.raises(FeatureError, match=r"holds no weights; model\.safetensors is missing"):
            use()
