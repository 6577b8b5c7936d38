"""A model file answers without any training library, and a file that is not whole says so in one line."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from speech import EMOTIONS, fitted, speech, write_wav

import featkit
from featkit import plugins
from featkit.errors import AudioError, FeatkitError, ModelError, PluginError
from featkit.features.base import hash_spec
from featkit.features.opensmile import EGeMAPS
from featkit.graph import GraphBuilder
from featkit.runtime import Model, load

WAVES = speech().waves
Tamper = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for features, backend in (("mfcc39", "svm"), ("mfcc39", "cnn_lstm"), ("egemaps", "svm"), ("egemaps", "cnn_lstm")):
        found[f"{features}-{backend}"] = folder / f"{features}-{backend}.onnx"
        fitted(features, backend).export(found[f"{features}-{backend}"])
    return found


def tampered(model: Path, folder: Path, change: Tamper) -> Path:
    """A copy of the model with another recipe."""
    content = onnx.load(model)
    recipe = json.loads(content.metadata_props[0].value)
    recipe = change(recipe) or recipe
    content.metadata_props[0].value = recipe if isinstance(recipe, str) else json.dumps(recipe)
    path = folder / "tampered.onnx"
    onnx.save(content, path)
    return path


def setting(**entries: Any) -> Tamper:
    return lambda recipe: recipe.update(entries)


def of_data(**entries: Any) -> Tamper:
    return lambda recipe: recipe["data"].update(entries)


def of_member(**entries: Any) -> Tamper:
    return lambda recipe: recipe["members"][0].update(entries)


# What it answers


@pytest.mark.parametrize("name", ["mfcc39-svm", "mfcc39-cnn_lstm", "egemaps-svm", "egemaps-cnn_lstm"])
def test_answers_as_the_estimator_on_paths_and_waves(models: dict[str, Path], tmp_path: Path, name: str) -> None:
    classifier, model = fitted(*name.split("-")), featkit.load(models[name])
    files = [write_wav(tmp_path / f"{i}.wav", wave) for i, wave in enumerate(WAVES[:4])]
    for clips in (files, [Path(file) for file in files], WAVES[:4]):
        np.testing.assert_allclose(model.predict_proba(clips), classifier.predict_proba(WAVES[:4]), atol=1e-4)
        assert model.predict(clips).tolist() == classifier.predict(WAVES[:4]).tolist()
    assert model.labels == list(EMOTIONS)
    assert model.inputs == ["wave" if name.startswith("mfcc39") else classifier.backend_.consumes]


def test_no_clips_have_no_probabilities(models: dict[str, Path]) -> None:
    model = featkit.load(str(models["mfcc39-svm"]))
    assert model.predict_proba([]).shape == (0, 3)
    assert model.predict([]).shape == (0,)


def test_it_says_what_it_is(models: dict[str, Path]) -> None:
    model = featkit.load(models["egemaps-svm"])
    assert repr(model) == "<featkit model: functionals -> svm -> anger, neutral, sadness>"
    assert model.recipe["members"][0]["features"]["name"] == "egemaps"


@pytest.mark.parametrize("name", ["mfcc39-svm", "egemaps-svm"])
def test_bad_clips_are_refused_by_name(models: dict[str, Path], name: str) -> None:
    model = featkit.load(models[name])
    with pytest.raises(AudioError, match=r"gone\.wav: there is no such file"):
        model.predict([WAVES[0], "gone.wav"])
    with pytest.raises(AudioError, match=r"clip 1: has 100 samples"):
        model.predict([WAVES[0], WAVES[0][8000:8100]])
    with pytest.raises(AudioError, match=r"clip 0: .*digital silence"):
        model.predict([np.zeros(16_000)])


def test_one_path_is_refused(models: dict[str, Path]) -> None:
    model = featkit.load(models["mfcc39-svm"])
    with pytest.raises(ModelError, match=r"Give a list of clips: \['clip\.wav'\]"):
        model.predict(Path("clip.wav"))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"One wave is given where a list of clips is expected; write \[wave\]"):
        model.predict(WAVES[0])


def test_the_content_of_a_file_is_told_from_its_name(models: dict[str, Path]) -> None:
    content = models["mfcc39-svm"].read_bytes()
    with pytest.raises(ModelError, match=r"reads a file by its name; of bytes Model\.of\(content, name\) makes"):
        load(content)  # type: ignore[arg-type]
    for clip in (b"RIFF", BytesIO(b"RIFF")):
        with pytest.raises(AudioError, match=r"clip 0: is [Bb]ytes\w*, the content of a file, of which .*decode"):
            load(models["mfcc39-svm"]).predict([clip])


def test_a_model_goes_to_another_process_as_its_file(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models["mfcc39-svm"].parent)
    model = load(models["mfcc39-svm"].name)
    told = pickle.dumps(model)
    monkeypatch.chdir("/")
    waves = speech().waves[:2]
    np.testing.assert_array_equal(pickle.loads(told).predict_proba(waves), model.predict_proba(waves))
    with pytest.raises(ModelError, match=r"was made of bytes cannot be pickled; pickle the bytes, and call Model\.of"):
        pickle.dumps(Model.of(models["mfcc39-svm"].read_bytes(), "bytes"))


def test_short_clips_are_padded_where_the_estimator_padded(models: dict[str, Path], tmp_path: Path) -> None:
    for name in ("mfcc39-svm", "egemaps-svm"):
        model = featkit.load(tampered(models[name], tmp_path, setting(pad_short=True)))
        short = WAVES[0][8000:8100]
        padded = np.pad(short, (0, model.recipe["min_samples"] - 100))
        np.testing.assert_array_equal(model.predict_proba([short]), model.predict_proba([padded]))


# What it needs


def test_prediction_imports_no_training_library(models: dict[str, Path], tmp_path: Path) -> None:
    heavy = {"torch", "sklearn", "xgboost", "librosa", "scipy", "onnx", "pandas", "joblib", "tqdm", "opensmile"}
    script = (
        "import sys, featkit\n"
        "print(featkit.load(sys.argv[1]).predict([sys.argv[2]])[0])\n"
        f"print(sorted({heavy} & set(sys.modules)))\n"
    )
    wav = write_wav(tmp_path / "clip.wav", WAVES[0])
    command = [sys.executable, "-W", "error", "-c", script, str(models["mfcc39-svm"]), wav]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [fitted().predict(WAVES[:1])[0], "[]"]


# What it refuses


def refused(path: Path, message: str) -> None:
    """Refused in one line that names the file."""
    with pytest.raises(ModelError, match=message) as caught:
        featkit.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused_and_said_what_it_is(tmp_path: Path, models: dict[str, Path]) -> None:
    refused(tmp_path / "gone.onnx", "there is no such model file")
    refused(tmp_path, r"is a folder; name the model file, as .*/model\.onnx\.")
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(tmp_path / "pipe.onnx", "is a pipe or a device; write the model to a file, and name that")
    refused(models["mfcc39-svm"] / "below.onnx", "there is no such model file")
    refused(tmp_path / f"{300 * 'x'}.onnx", r"cannot be read \(File name too long\)")


def test_another_form_of_a_model_is_named(tmp_path: Path) -> None:
    for name, content, message in (
        ("phone.ort", b"\x18\x00\x00\x00ORTM" + bytes(99), "is an ORT file, which onnxruntime alone reads; name the"),
        ("model.tflite", b"\x1c\x00\x00\x00TFL3" + bytes(99), "is a TFLite file, which LiteRT alone reads; name the"),
        (
            "mine.joblib",
            b"\x80\x04",
            r"is a saved estimator; export it first: featkit export \S*mine.joblib -o \S*mine",
        ),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, message)


@pytest.mark.parametrize("order", [[1, 0, 2], [0, 2, 1], [2, 1, 0]])
def test_labels_of_the_recipe_that_are_not_those_of_the_graph_are_refused(
    models: dict[str, Path], tmp_path: Path, order: list[int]
) -> None:
    path = tampered(models["mfcc39-svm"], tmp_path, setting(labels=[EMOTIONS[i] for i in order]))
    named = ", ".join(EMOTIONS[i] for i in order)
    refused(path, f"its recipe names the labels {named}, but its graph answers with anger, neutral, sadness; copy")


def test_labels_of_the_graph_that_are_not_those_of_the_recipe_are_refused(
    models: dict[str, Path], tmp_path: Path
) -> None:
    model = onnx.load(models["mfcc39-svm"])
    tensors = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.STRING]
    (texts,) = [tensor for tensor in tensors if len(tensor.string_data) > 1]
    texts.string_data[1] = b"joy"
    onnx.save(model, tmp_path / "model.onnx")
    refused(
        tmp_path / "model.onnx", "names the labels anger, neutral, sadness, but its graph answers with anger, joy, sad"
    )


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99, 0.9999])
@pytest.mark.parametrize("name", ["mfcc39-svm", "mfcc39-cnn_lstm"])
def test_a_truncated_file_is_refused(models: dict[str, Path], tmp_path: Path, name: str, share: float) -> None:
    content = models[name].read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(content[: int(share * len(content))])
    refused(path, "is damaged or not an ONNX model|not one that featkit wrote|its recipe is damaged|is empty")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"this is text, not a model\n" * 9, r"is text, not a model \(it starts with 'this is text, not a mode'\)"),
        (b"\n", "is text, not a model"),
        (b"", r"the file is empty \(0 bytes\)"),
        (b"RIFF" + bytes(99), "is a recording, not a model; the model is named first"),
        (bytes(999), "is damaged or not an ONNX model"),
        (b"PK\x03\x04" + bytes(99), "is damaged or not an ONNX model"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    refused(path, reason)


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "random.onnx"
    for seed in range(20):
        path.write_bytes(np.random.default_rng(seed).bytes(2000))
        refused(path, "is damaged or not an ONNX model")


def test_a_foreign_onnx_model_is_refused(tmp_path: Path) -> None:
    g = GraphBuilder("foreign")
    g.output(g.input("wave", ["batch", "samples"]), "y", ["batch", "samples"])
    path = tmp_path / "foreign.onnx"
    onnx.save(g.model(), path)
    refused(path, "is an ONNX model, but not one that featkit wrote: it holds no recipe")


def test_a_model_that_names_other_files_is_refused_even_beside_them(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where onnxruntime would look
    model = onnx.load(models["mfcc39-svm"])
    path = tmp_path / "external.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=10_000)
    assert (tmp_path / "weights.bin").exists()
    refused(path, "is refused, because it names other files to be read")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting(format=4), "has recipe format 4; this featkit reads 3. Update featkit"),
        (setting(format=2), "has recipe format 2; this featkit reads 3. Export it again"),
        (setting(format="1"), "its recipe is damaged"),
        (setting(labels=["anger", "neutral"]), "its recipe is damaged .'labels' has 2 entries, .* shape .'batch', 3"),
        (setting(labels=None), "its recipe is damaged .'labels' is no list"),
        (setting(labels=["anger", "neutral", 3]), "one of 'labels' is no text that can be shown"),
        (setting(sample_rate=8000), "'sample_rate' is 8000, not 16000"),
        (of_member(feature_hash="0" * 16), "of member 1, 'feature_hash' is not that of 'features'"),
        (of_member(input="functionals"), "its members read functionals, the graph wave"),
        (setting(labels=["anger", "a", "sad\r\nness"]), "one of 'labels' is no text that can be shown"),
        (setting(licence=[5]), "one of 'licence' is no text"),
        (setting(data={"labels": 5}), "'labels' of 'data' is no table"),
        (setting(data={}), "its recipe is damaged .'labels' is missing"),
        (of_data(clips="many"), "'clips' of 'data' is no whole number"),
        (of_data(stopped="late"), "'stopped' of 'data' is no whole number"),
        (of_data(seconds=[2, 1, 3]), "'seconds' of 'data' is neither null nor three lengths"),
        (of_data(seconds=["a", "b", "c"]), "'seconds' of 'data' is neither null nor three lengths"),
        (of_data(corpora=[5]), "one of 'corpora' of 'data' is no text"),
        (of_data(augment={"plan": "noise"}), "'augment' of 'data' has no plan or no copies"),
        (setting(scores=[1]), "'scores' is no table"),
        (setting(scores={"protocol": "p", "WA": 0.5, "UA": "half", "UA_95": None}), "one of 'scores' is no number"),
        (setting(scores={"protocol": "p", "WA": 0, "UA": 0, "UA_95": [1, 2, 3]}), "one of 'scores' is no number"),
        (setting(form={"of": 5}), "'form' is no table of texts"),
        (setting(form="onnx-int8"), "'form' is no table of texts"),
        (setting(min_samples="400"), "'min_samples' is no whole number"),
        (setting(min_samples=10**12, pad_short=True), "'min_samples' is 1000000000000, not 1 to 160000"),
        (setting(pad_short=None), "'pad_short' is no true or false"),
        (of_member(view="image"), "of member 1, 'view' is neither frames nor functionals"),
        (of_member(normalise="speaker"), "the graph gives label, probabilities instead of label, prob.*, population"),
        (of_member(normalise="mood"), "the graph gives label, probabilities instead of"),
        (of_member(backend={"name": 3}), "of member 1, 'name' of 'backend' is no text"),
        (of_member(backend={"name": "svm", "params": [3]}), "of member 1, 'params' of 'backend' is no table"),
        (setting(members=[]), "its members read nothing, the graph wave"),
        (setting(members="svm"), "'members' is no list"),
        (setting(members=["svm"]), "one of 'members' is no table"),
        (lambda recipe: recipe["members"][0]["features"]["params"].update(n_mfcc=20), "'feature_hash' is not that"),
        (lambda recipe: recipe["members"][0].pop("view") and None, "its recipe is damaged .'view' is missing"),
        (lambda recipe: recipe.pop("format") and None, "its recipe is damaged .'format' is missing"),
        (lambda recipe: "{", "its recipe is damaged"),
        (lambda recipe: "[]", "its recipe is damaged"),
        (lambda recipe: "null", "its recipe is damaged"),
        (lambda recipe: 50_000 * "[", "its recipe is damaged .maximum recursion depth"),
        (lambda recipe: 9_999 * "9", "its recipe is damaged"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(
    models: dict[str, Path], tmp_path: Path, change: Tamper, message: str
) -> None:
    refused(tampered(models["mfcc39-svm"], tmp_path, change), message)


# Features that are no graph


def respecified(**entries: Any) -> Tamper:
    """Another feature specification, with its right hash."""

    def change(recipe: dict[str, Any]) -> None:
        (member,) = recipe["members"]
        member["features"].update(entries)
        member["feature_hash"] = hash_spec(member["features"])

    return change


def test_an_extractor_of_another_version_is_refused(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EGeMAPS, "version", 2)
    refused(
        models["egemaps-svm"],
        r"was trained on egemaps with specification \w+; the installed one is \w+ \(version of egemaps is 2 here and 1 "
        r"there\)\. Install",
    )


def test_of_a_set_with_a_new_setting_it_is_named(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    spec = EGeMAPS().spec
    monkeypatch.setattr(EGeMAPS, "spec", spec | {"params": spec["params"] | {"floor": 0.5}})
    refused(models["egemaps-svm"], r"the installed one is \w+ \(floor is 0\.5 here and not set there\)\. Install")


def test_settings_that_the_installed_extractor_does_not_know_are_refused(
    models: dict[str, Path], tmp_path: Path
) -> None:
    path = tampered(models["egemaps-svm"], tmp_path, respecified(params={"level": 3}))
    refused(path, "These features are not what is installed: .*'level'")


def test_a_missing_package_is_named_with_its_pip_line(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "featkit.features.opensmile")
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(PluginError, match=r"needs the package 'opensmile'.*: pip install 'featkit\[opensmile\]'"):
        featkit.load(models["egemaps-svm"])


def test_an_extractor_that_is_not_installed_is_named_with_the_nearest(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {name: point for name, point in plugins.installed("features").items() if name != "egemaps"}
    monkeypatch.setattr(plugins, "installed", lambda kind: others)
    with pytest.raises(PluginError, match=r"No feature set is named 'egemaps'\. Did you mean 'gemaps'\?"):
        featkit.load(models["egemaps-svm"])


def test_dotted_paths_in_a_recipe_are_no_plugins(models: dict[str, Path], tmp_path: Path) -> None:
    path = tampered(models["egemaps-svm"], tmp_path, respecified(name="os:system"))
    with pytest.raises(FeatkitError, match=r"No feature set is named 'os:system'"):
        featkit.load(path)


# Privacy

WATCHED = """
import os, sys, featkit, opensmile  # whose imports look for the time zone
def watch(event, args):
    if event == "open":
        path = os.path.abspath(args[0]) if isinstance(args[0], str) else repr(args[0])
        if args[1] not in (None, "r", "rb") or not path.startswith((sys.prefix, sys.base_prefix, featkit.__path__[0])):
            print("read" if args[1] in ("r", "rb") else "write", path)
    elif event.partition(".")[0] in ("socket", "subprocess", "pickle") or event in FORBIDDEN:
        print(event, args)
FORBIDDEN = {f"os.{name}" for name in "exec fork forkpty posix_spawn spawn system remove rename mkdir putenv".split()}
load = featkit.load
sys.addaudithook(watch)
print("label", load(sys.argv[1]).predict(sys.argv[2:])[0])
"""


@pytest.mark.parametrize("name", ["mfcc39-svm", "egemaps-cnn_lstm"])
def test_to_load_and_ask_a_model_only_it_and_the_clip_are_opened_and_no_trace_is_left(
    models: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """Nothing is unpickled, started, connected to or written. onnxruntime's telemetry would write below home."""
    home = tmp_path / "home"
    home.mkdir()
    wav = write_wav(tmp_path / "clip.wav", WAVES[0])
    places = {name: str(home) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    env = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | places
    command = [sys.executable, "-B", "-c", WATCHED, str(models[name]), wav]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env, cwd=home)
    label = fitted(*name.split("-")).predict(WAVES[:1])[0]
    assert set(done.stdout.splitlines()) == {f"read {models[name]}", f"read {wav}", f"label {label}"}
    assert not list(home.rglob("*"))
