"""One file that answers as the trained estimator: raw onnxruntime on the waveform, or nothing is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from featkit_backends.svm import SVM
from featkit_backends.xgboost import XGBoost
from speech import EMOTIONS, extracted, fitted, small, speech, write_wav

from featkit import Features, SERClassifier
from featkit.errors import AudioError, DataError, ExportError
from featkit.export import TOLERANCE, export, require_place
from featkit.features.base import FeatureExtractor, hash_spec
from featkit.features.mfcc import MFCC39
from featkit.graph import GraphBuilder

WAVES, LABELS, GROUPS = speech()
BACKENDS = ("svm", "xgboost", "cnn_lstm")
SETS = ("mfcc39", "logmel", "mfcc39+logmel")


def run_raw(path: Path, wave: Any) -> tuple[Any, Any]:
    """Label and probabilities by onnxruntime and numpy alone."""
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    label, probabilities = session.run(["label", "probabilities"], {"wave": np.asarray(wave, np.float32)})
    return label, probabilities


def recipe_of(path: Path) -> dict[str, Any]:
    entry, seal = onnx.load(path).metadata_props
    assert (entry.key, seal.key) == ("featkit", "featkit.sha256")
    recipe: dict[str, Any] = json.loads(entry.value)
    return recipe


@pytest.fixture(scope="module", params=[(f, b) for f in SETS for b in BACKENDS], ids="-".join)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SERClassifier, Path, Any]:
    classifier = fitted(*request.param)
    path = tmp_path_factory.mktemp("models") / "model.onnx"
    report = classifier.export(path, scores={"UA": np.float64(0.5)})
    return classifier, path, report


def test_a_wave_that_is_none_has_no_label_and_spares_its_neighbours(exported: Any) -> None:
    _, path, _ = exported
    wave = WAVES[0][:8000]
    waves = np.stack([wave] * 5)
    waves[1, 4000], waves[2, 0], waves[3] = np.nan, -np.inf, np.nan
    labels, probabilities = run_raw(path, waves)
    (label,), expected = run_raw(path, wave[None])
    assert labels.tolist() == [label, "", "", "", label]
    assert np.isnan(probabilities[1:4]).all()
    np.testing.assert_allclose(probabilities[[0, 4]], np.repeat(expected, 2, axis=0), atol=1e-5)


def test_a_wave_shorter_than_the_features_need_has_no_label(exported: Any) -> None:
    _, path, _ = exported
    least = recipe_of(path)["min_samples"]
    for n_samples in (0, 1, least - 1):
        labels, probabilities = run_raw(path, WAVES[0][None, :n_samples])
        assert labels.tolist() == [""]
        assert np.isnan(probabilities).all()
    labels, probabilities = run_raw(path, WAVES[0][None, :least])
    assert labels[0] in EMOTIONS
    assert np.isfinite(probabilities).all()


def test_it_is_one_checked_file_from_wave_to_label(exported: Any) -> None:
    _, path, report = exported
    assert {file.name for file in path.parent.iterdir()} == {"model.onnx", "model.md"}
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    (wave,) = model.graph.input
    assert wave.name == "wave"
    assert [axis.dim_param for axis in wave.type.tensor_type.shape.dim] == ["batch", "samples"]
    label, probabilities = model.graph.output
    assert (label.name, label.type.tensor_type.elem_type) == ("label", onnx.TensorProto.STRING)
    assert (probabilities.name, probabilities.type.tensor_type.elem_type) == ("probabilities", onnx.TensorProto.FLOAT)
    assert (report.path, report.inputs, report.n_bytes) == (path, ("wave",), path.stat().st_size)
    assert report.n_checked == 3
    assert report.max_difference <= TOLERANCE


def test_onnxruntime_alone_gives_the_same_answers_at_any_length(exported: Any) -> None:
    classifier, path, _ = exported
    clips = [WAVES[0][:400], WAVES[1][:401], WAVES[2][:5000], WAVES[3], np.concatenate(WAVES[4:8])]
    expected = classifier.predict_proba(clips)
    for clip, row, label in zip(clips, expected, classifier.predict(clips), strict=True):
        got_label, got = run_raw(path, clip[None])
        np.testing.assert_allclose(got[0], row, atol=1e-4)
        assert got_label.tolist() == [label]


def test_onnxruntime_alone_gives_the_same_answers_in_a_batch(exported: Any) -> None:
    classifier, path, _ = exported
    batch = np.stack([wave[:16_000] for wave in WAVES])
    labels, got = run_raw(path, batch)
    np.testing.assert_allclose(got, classifier.predict_proba(batch), atol=1e-4)
    assert labels.tolist() == classifier.predict(batch).tolist()


def test_the_recipe_says_how_it_was_made(exported: Any) -> None:
    classifier, path, _ = exported
    recipe = recipe_of(path)
    assert set(recipe) == {
        "canary", "format", "featkit_version", "labels", "sample_rate", "min_samples", "pad_short", "members", "data",
        "scores", "licence",
    }  # fmt: skip
    (member,) = recipe["members"]
    assert set(member) == {"input", "features", "feature_hash", "view", "normalise", "backend"}
    assert recipe["labels"] == list(EMOTIONS)
    assert recipe["sample_rate"] == 16_000
    assert recipe["min_samples"] == 400
    assert member["feature_hash"] == hash_spec(member["features"]) == classifier.extractor_.spec_hash
    assert member["view"] == classifier.backend_.consumes
    assert member["normalise"] is None
    assert member["backend"]["name"] == classifier.backend_.name
    settings = classifier.backend_.get_params().keys() - {"n_jobs", "progress"}
    assert member["backend"]["params"].keys() == settings
    assert recipe["data"] == {
        "clips": 24, "labels": dict.fromkeys(EMOTIONS, 8), "speakers": 4, "augment": None,
        "seconds": pytest.approx(np.quantile([len(wave) / 16_000 for wave in WAVES], [0.05, 0.5, 0.95]), abs=0.001),
    }  # fmt: skip
    assert recipe["scores"] == {"UA": 0.5}
    assert recipe["licence"] == []


@pytest.mark.parametrize("backend", ["svm", "fisher", "tangent"])
def test_no_transpose_stands_before_a_product_in_64_bits(tmp_path: Path, backend: str) -> None:
    """onnxruntime before 1.26 joins the two to an operator that it does not have, and refuses the model."""
    fitted("logmel", backend).export(tmp_path / "model.onnx")
    graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "model.onnx")).graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    products = [name for node in graph.node if node.op_type == "MatMul" for name in node.input]
    doubles = [name for name in products if kinds.get(name) == onnx.TensorProto.DOUBLE]
    assert doubles
    assert "Transpose" not in {made_by[name] for name in doubles if name in made_by}


def test_a_model_is_called_onnx(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"model\.pkl: is an ONNX model; its name must end in \.onnx"):
        SERClassifier().fit(WAVES, LABELS).export(tmp_path / "model.pkl")
    assert list(tmp_path.iterdir()) == []


# Features that are no graph


@pytest.mark.parametrize(("backend", "shape"), [("svm", ["batch", 88]), ("cnn_lstm", ["batch", "time", 25])])
def test_opensmile_models_start_at_the_features_and_name_the_licence(tmp_path: Path, backend: str, shape: Any) -> None:
    classifier, path = fitted("egemaps", backend), tmp_path / "model.onnx"
    report = classifier.export(path)
    view = classifier.backend_.consumes
    model = onnx.load(path)
    axes = model.graph.input[0].type.tensor_type.shape.dim
    assert (model.graph.input[0].name, report.inputs) == (view, (view,))
    assert [axis.dim_value or axis.dim_param for axis in axes] == shape
    assert recipe_of(path)["licence"] == ["openSMILE features: research and private use only (audEERING licence)"]
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    features = extracted(view, "egemaps")
    got = np.concatenate([session.run(["probabilities"], {view: clip.values[None]})[0] for clip in features])
    np.testing.assert_allclose(got, classifier.predict_proba(features), atol=1e-4)


# Refusals


class Liar(SVM):
    """Exports something that differs by ``off`` in its first class."""

    off = 0.0

    def to_onnx(self) -> Any:
        g = GraphBuilder("liar")
        p = g.include(super().to_onnx(), g.input("functionals", ["batch", self.n_features_in_]))
        g.output(g.op("Add", p, g.constant([self.off, 0, 0])), "probabilities", ["batch", 3])
        return g.model()


@pytest.mark.parametrize("off", [3e-4, 0.9, np.nan])
@pytest.mark.parametrize("given", ["waves", "features"])
def test_a_graph_that_answers_otherwise_is_refused_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: float, given: str
) -> None:
    X = WAVES if given == "waves" else extracted("functionals")
    classifier = SERClassifier(backend=Liar()).fit(X, LABELS)
    path = tmp_path / "model.onnx"
    classifier.export(path)
    old = path.read_bytes()
    monkeypatch.setattr(Liar, "off", off)
    with pytest.raises(ExportError, match=r"does not answer as the trained one: .* Nothing was written"):
        classifier.export(path)
    assert path.read_bytes() == old
    assert {file.name for file in tmp_path.iterdir()} <= {"model.onnx", "model.md"}


def test_a_label_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = SERClassifier().fit(extracted("functionals"), LABELS)
    monkeypatch.setattr("featkit.export.Model.predict", lambda self, clips, speakers: ["sadness"] * len(clips))
    with pytest.raises(ExportError, match=r"labels on \d of \d clips"):
        classifier.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> None:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        ExportError, match=r"model\.onnx: cannot be written here \(No space left on device\); name another"
    ):
        fitted().export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


# The clips it is checked on


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_trained_from_features_is_checked_on_them_and_on_made_speech(tmp_path: Path, backend: str) -> None:
    view = fitted(backend=backend).backend_.consumes
    classifier = SERClassifier(backend=small(backend)).fit(extracted(view), LABELS)
    assert all(isinstance(clip, Features) for clip in classifier.check_clips_)
    report = classifier.export(tmp_path / "model.onnx")
    assert report.n_checked == 3
    _, got = run_raw(tmp_path / "model.onnx", WAVES[0][None])
    np.testing.assert_allclose(got, classifier.predict_proba(WAVES[:1]), atol=1e-4)


def test_training_files_that_are_gone_are_no_obstacle(tmp_path: Path) -> None:
    files = [write_wav(tmp_path / f"{i}.wav", wave) for i, wave in enumerate(WAVES)]
    classifier = SERClassifier().fit(files, LABELS)
    Path(files[0]).unlink()
    assert classifier.export(tmp_path / "model.onnx").n_checked == 2
    for file in files[1:]:
        Path(file).unlink()
    assert classifier.export(tmp_path / "model.onnx").n_checked == 7, "one made clip of each emotion"


def test_clips_that_are_named_must_be_there(tmp_path: Path) -> None:
    report = fitted().export(tmp_path / "model.onnx", clips=WAVES[:5])
    assert report.n_checked == 5
    with pytest.raises(AudioError, match=r"gone\.wav: there is no such file"):
        fitted().export(tmp_path / "model.onnx", clips=[WAVES[0], "gone.wav"])
    with pytest.raises(DataError, match="One path is given"):
        fitted().export(tmp_path / "model.onnx", clips="clip.wav")


def test_clips_that_begin_with_silence_can_be_checked_together(tmp_path: Path) -> None:
    late = np.concatenate([np.zeros(9000, np.float32), WAVES[1]])
    assert fitted().export(tmp_path / "model.onnx", clips=[WAVES[0][:8000], late]).n_checked == 2


def test_short_clips_are_padded_where_the_estimator_pads(tmp_path: Path) -> None:
    classifier = SERClassifier(pad_short=True).fit(extracted("functionals"), LABELS)
    classifier.export(tmp_path / "model.onnx", clips=[WAVES[0][8000:8100]])
    assert recipe_of(tmp_path / "model.onnx")["pad_short"] is True


# Odds and ends


def test_settings_of_numpy_are_written_as_numbers(tmp_path: Path) -> None:
    backend = XGBoost(n_estimators=np.int64(3), learning_rate=np.float32(0.5), n_jobs=1)
    classifier = SERClassifier(MFCC39(n_mfcc=np.int64(13)), backend).fit(WAVES, LABELS)
    classifier.export(tmp_path / "model.onnx", scores={"recalls": np.array([0.5, 1.0])})
    recipe = recipe_of(tmp_path / "model.onnx")
    (member,) = recipe["members"]
    assert member["backend"]["params"]["n_estimators"] == 3
    assert member["backend"]["params"]["learning_rate"] == 0.5
    assert member["features"]["params"]["n_mfcc"] == 13
    assert recipe["scores"] == {"recalls": [0.5, 1.0]}


def test_whole_numbers_as_labels_are_written_as_words(tmp_path: Path) -> None:
    classifier = SERClassifier().fit(extracted("functionals"), np.searchsorted(EMOTIONS, LABELS) + 8)
    classifier.export(tmp_path / "model.onnx")
    labels, _ = run_raw(tmp_path / "model.onnx", WAVES[0][None])
    assert labels.tolist() == [str(classifier.predict(WAVES[:1])[0])]
    assert recipe_of(tmp_path / "model.onnx")["labels"] == ["8", "9", "10"]


def test_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.onnx"
    assert export(fitted(), path).path == path
    assert path.is_file()


def test_an_unfitted_estimator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not fitted yet"):
        SERClassifier().export(tmp_path / "model.onnx")


ALONE = """
import sys
for name in ("featkit", "featkit_backends", "sklearn", "scipy", "torch", "xgboost", "librosa", "onnx", "pandas"):
    sys.modules[name] = None  # importing it fails
import numpy, onnxruntime, soundfile

wave, rate = soundfile.read(sys.argv[2], dtype="float32")
assert rate == 16_000
label, probabilities = onnxruntime.InferenceSession(sys.argv[1]).run(None, {"wave": wave[None]})
print(label[0], *probabilities[0])
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_onnxruntime_alone_scores_a_waveform(backend: str, tmp_path: Path) -> None:
    classifier = fitted("mfcc39", backend)
    classifier.export(tmp_path / "model.onnx")
    wav = write_wav(tmp_path / "clip.wav", speech().waves[0])
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path / "model.onnx"), wav], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    label, *probabilities = done.stdout.split()
    assert label == classifier.predict([wav])[0]
    np.testing.assert_allclose(np.array(probabilities, float), classifier.predict_proba([wav])[0], atol=1e-4)


def test_a_label_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    waves, labels, _ = speech()
    odd = ["two\nlines" if label == "anger" else label for label in labels]
    with pytest.raises(ExportError, match=r"The label 'two\\nlines' has characters that cannot be shown; rename it"):
        SERClassifier().fit(waves, odd).export(tmp_path / "model.onnx")


def test_a_file_of_somebody_s_own_is_not_replaced_by_the_card(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("my own notes")
    with pytest.raises(ExportError, match=r"notes\.md: is no model card, and one would take its place; give"):
        fitted().export(tmp_path / "notes.onnx")
    assert (tmp_path / "notes.md").read_text() == "my own notes"
    fitted().export(tmp_path / "model.onnx")
    fitted().export(tmp_path / "model.onnx")  # over its own card


def test_a_place_where_nothing_can_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ExportError, match=r"folder\.onnx: is a folder; name a file\."):
        require_place(tmp_path / "folder.onnx")
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"m\.onnx: cannot be written here \(\w.*\); name another place"):
        require_place(tmp_path / "file" / "m.onnx")
    require_place(tmp_path / "new" / "m.onnx")
    assert not list((tmp_path / "new").iterdir())


class OfMine(FeatureExtractor):
    """A set that is not installed and no graph."""

    name = "of_mine"

    def frames(self, wave: Any) -> Any:
        return wave[: wave.size // 160 * 160].reshape(-1, 160)[:, :3]


def test_a_set_that_is_not_installed_is_no_start_of_a_model(tmp_path: Path) -> None:
    classifier = SERClassifier(OfMine(), "svm").fit(WAVES, LABELS)
    with pytest.raises(ExportError, match=r"The feature set 'of_mine' is not installed, .*\. Install it as a package"):
        classifier.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
