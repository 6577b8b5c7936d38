"""8-bit and ORT forms: smaller, read by ``featkit.load`` and by onnxruntime alone, and the features untouched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from speech import fitted, speech

from featkit import load
from featkit.deploy import FORMS
from featkit.deploy.clips import Clips
from featkit.deploy.convert import convert
from featkit.deploy.int8 import quantised
from featkit.deploy.source import read_source
from featkit.errors import ExportError
from featkit.export import renew_canary
from featkit.modelfile.seal import without_seal

SAID = speech()
CLIPS = Clips(SAID.waves, SAID.labels, SAID.speakers)
EIGHT_BITS = {"DynamicQuantizeLSTM", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul", "QuantizeLinear"}


@pytest.fixture(scope="module", params=["cnn_lstm", "transformer", "tdnn", "mlp"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / f"{request.param}.onnx"
    fitted("mfcc39", request.param).export(path)
    return path


def run_raw(content: bytes, wave: Any) -> Any:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"wave": wave[None]})[0][0]


@pytest.mark.parametrize("form", ["onnx-int8", "onnx-int8-static"])
def test_the_network_is_in_8_bits_and_the_features_are_as_before(model: Path, tmp_path: Path, form: str) -> None:
    report = convert(model, form, tmp_path / "small.onnx", clips=CLIPS)
    before, after = onnx.load(model), onnx.load(report.path)
    source = read_source(model)
    features = {node.output[0] for node in before.graph.node} - source.network
    kept = {node.output[0]: node.op_type for node in after.graph.node}
    assert all(kept[node.output[0]] == node.op_type for node in before.graph.node if node.output[0] in features)
    assert EIGHT_BITS & {node.op_type for node in after.graph.node}
    assert report.comparison.agreement >= 0.98
    assert report.comparison.max_difference < 0.1
    for wave in (SAID.waves[0][:5000], np.concatenate(SAID.waves[:4])):  # any length, as before
        got = run_raw(report.path.read_bytes(), wave)
        np.testing.assert_allclose(got, source.model.predict_proba([wave])[0], atol=0.1)


def test_the_recipe_is_the_same_and_the_card_tells_of_the_new_file(model: Path, tmp_path: Path) -> None:
    report = convert(model, "onnx-int8", tmp_path / "small.onnx", clips=CLIPS)
    small = load(report.path)
    form = small.recipe.pop("form")
    assert form == {
        "name": "onnx-int8", "of": model.name,
        "judged": f"Judged on 24 labelled clips. {report.comparison.summary()}",
    }  # fmt: skip
    assert small.recipe | {"canary": None} == load(model).recipe | {"canary": None}
    assert small.recipe["canary"] != load(model).recipe["canary"]  # asked anew: load refuses what answers otherwise
    assert [entry.key for entry in onnx.load(report.path).metadata_props] == ["featkit", "featkit.sha256"]
    assert without_seal(report.path.read_bytes()) != report.path.read_bytes()  # the seal is its own, at the end
    card = (tmp_path / "small.md").read_text()
    assert card.startswith("# Model card: small.onnx\n")
    assert f"`small.onnx`, {report.n_bytes / 1000:.0f} kB" in card
    assert "ai.onnxruntime" in card
    assert 'modelPath: Bundle.main.bundlePath + "/small.onnx"' in card
    assert report.comparison.table() in card
    assert f"`small.onnx` was made of `{model.name}` by featkit: the network computes in 8 bits" in card
    assert "| scores | not measured; `featkit fit --evaluate` measures the recipe on speakers it has not" in card
    assert f"Judged on 24 labelled clips. UA 100.0 %, of {model.name} 100.0 %" in card


@pytest.mark.parametrize("form", ["onnx-int8", "onnx-int8-static"])
def test_what_is_in_8_bits_is_not_rounded_again(model: Path, tmp_path: Path, form: str) -> None:
    small = convert(model, form, tmp_path / "small.onnx", clips=CLIPS).path
    assert load(small).quantised
    assert not load(model).quantised
    for again in ("onnx-int8", "onnx-int8-static", "tflite"):
        output = tmp_path / ("again" if again == "tflite" else "again.onnx")
        with pytest.raises(ExportError, match=f"small.onnx: is in 8 bits already; make {again} of '{model.name}'"):
            convert(small, again, output, clips=CLIPS)
        assert not output.exists()
    assert convert(small, "ort", tmp_path / "small.ort").comparison.max_difference < 1e-4


def test_scores_that_were_measured_stay_on_the_card(tmp_path: Path) -> None:
    scores = {"protocol": "by hand", "WA": 0.5, "UA": 0.25, "UA_95": None}
    fitted("mfcc39", "mlp").export(tmp_path / "model.onnx", scores=scores)
    convert(tmp_path / "model.onnx", "onnx-int8", tmp_path / "small.onnx", clips=Clips(SAID.waves))
    card = (tmp_path / "small.md").read_text()
    assert "| scores | unnamed corpus, by hand: WA 50.0 %, UA 25.0 % |" in card
    assert load(tmp_path / "small.onnx").recipe["form"]["judged"] == (
        "Judged on 24 clips. 100.0 % of its labels are those of model.onnx."
    )


def test_a_larger_network_becomes_a_fraction_of_its_size(tmp_path: Path) -> None:
    from featkit import SERClassifier
    from featkit.backend import find_backend

    backend = find_backend("mlp:hidden=(256,),epochs=20,batch_size=8,lr=0.005,average=0")
    path = tmp_path / "model.onnx"
    SERClassifier("mfcc39", backend).fit(SAID.waves, SAID.labels, groups=SAID.speakers).export(path)
    for form in ("onnx-int8", "onnx-int8-static"):
        report = convert(path, form, tmp_path / "small.onnx", clips=CLIPS)
        weights = 351 * 256 * 4
        assert path.stat().st_size - report.n_bytes > 0.7 * weights


def test_static_ranges_come_from_the_calibration_clips(model: Path) -> None:
    source = read_source(model)
    quiet, loud = (quantised(source, Clips([wave])) for wave in (SAID.waves[0][:2000], np.concatenate(SAID.waves)))
    assert quiet != loud


@pytest.mark.parametrize(("backend", "what"), [("svm", "SVMClassifier"), ("xgboost", "TreeEnsemble")])
def test_a_model_without_a_network_has_no_form_that_is_for_networks(tmp_path: Path, backend: str, what: str) -> None:
    fitted("mfcc39", backend).export(tmp_path / "model.onnx")
    for form in ("onnx-int8", "onnx-int8-static", "tflite", "tflite-int8"):  # before clips or packages are asked for
        with pytest.raises(
            ExportError, match=f"cannot become {form} .{what}.*, which is for networks: .* nothing to make smaller"
        ):
            convert(tmp_path / "model.onnx", form, tmp_path / f"small{FORMS[form]}")


def test_a_loss_beyond_the_limit_writes_nothing(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featkit.deploy.convert.quantised", lambda source, calibration: _turned(source))
    with pytest.raises(ExportError, match=r"UA falls by \d+\.\d points on 24 clips; --max-drop allows 2\. Nothing"):
        convert(model, "onnx-int8", tmp_path / "small.onnx", clips=CLIPS)
    with pytest.raises(ExportError, match=r"% of 24 clips get another label; --max-drop allows 2 %\. Nothing"):
        convert(model, "onnx-int8", tmp_path / "small.onnx", clips=Clips(SAID.waves))
    assert not list(tmp_path.iterdir())
    assert convert(model, "onnx-int8", tmp_path / "small.onnx", clips=CLIPS, max_drop=100).path.exists()


def _turned(source: Any) -> bytes:
    """A model whose probabilities stand in another order."""
    model = onnx.ModelProto.FromString(source.proto.SerializeToString())
    last = next(node for node in model.graph.node if "probabilities" in node.output)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2, 0]), "turned"))
    turned = onnx.helper.make_node("Gather", [last.input[0], "turned"], ["probabilities"], axis=1)
    model.graph.node.remove(last)
    model.graph.node.append(turned)
    renew_canary(model)
    return bytes(model.SerializeToString())


# ORT format


@pytest.mark.parametrize("backend", ["svm", "xgboost", "cnn_lstm", "transformer"])
def test_the_ort_form_answers_as_the_model(tmp_path: Path, backend: str) -> None:
    fitted("mfcc39", backend).export(tmp_path / "model.onnx")
    report = convert(tmp_path / "model.onnx", "ort", tmp_path / "phone.ort")
    model, content = load(tmp_path / "model.onnx"), report.path.read_bytes()
    assert content[4:8] == b"ORTM"
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    assert list(told) == ["featkit"]  # and not the seal, which is of another file
    assert json.loads(told["featkit"]) == model.recipe
    for wave in (SAID.waves[0][:5000], *SAID.waves[:5]):
        label, probabilities = session.run(["label", "probabilities"], {"wave": wave[None]})
        np.testing.assert_allclose(probabilities, model.predict_proba([wave]), atol=1e-6)
        assert label.tolist() == model.predict([wave]).tolist()
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.onnx", "model.md", "phone.ort", "phone.ort.md", "phone.operators.config",
    }  # fmt: skip


def test_the_card_of_the_ort_form_says_how_it_is_read(tmp_path: Path) -> None:
    fitted("mfcc39", "svm").export(tmp_path / "model.onnx")
    convert(tmp_path / "model.onnx", "ort", tmp_path / "phone.ort")
    card = (tmp_path / "phone.ort.md").read_text()
    assert 'onnxruntime.InferenceSession("phone.ort")' in card
    assert "`phone.operators.config` beside it names the operators that it uses" in card
    assert "of its labels are those of model.onnx" in card
    assert "from featkit import load" not in card


def test_the_operators_of_the_ort_form_are_those_it_needs(tmp_path: Path) -> None:
    fitted("mfcc39", "svm").export(tmp_path / "model.onnx")
    convert(tmp_path / "model.onnx", "ort", tmp_path / "phone.ort")
    lines = (tmp_path / "phone.operators.config").read_text().splitlines()
    assert any(line.startswith("ai.onnx.ml;1;") and "SVMClassifier" in line for line in lines)
    assert not any(str(tmp_path) in line for line in lines)


def test_an_ort_form_that_answers_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted("mfcc39", "svm").export(tmp_path / "model.onnx")
    monkeypatch.setattr("featkit.deploy.convert.to_ort", lambda source: (_turned(source), ""))
    with pytest.raises(
        ExportError, match=r"does not answer as the model: probabilities differ by up to 0\.\d+ \(allowed 0\.0001\)"
    ):
        convert(tmp_path / "model.onnx", "ort", tmp_path / "phone.ort")
    assert not (tmp_path / "phone.ort").exists()
