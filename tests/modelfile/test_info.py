"""``featkit info`` shows all that a file says, also where the model cannot be asked."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from featkit_backends.svm import SVM
from speech import fitted, speech

from featkit import SERClassifier, plugins
from featkit.cli import cli
from featkit.cli.fit import _checkpoint
from featkit.cli.info import _form as form_row
from featkit.export import renew_canary
from featkit.features.base import Array, FeatureExtractor


def info(*words: object) -> Result:
    return CliRunner().invoke(cli, ["info", *map(str, words)], prog_name="featkit")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for features in ("mfcc39", "egemaps"):
        fitted(features).export(folder / f"{features}.onnx")
    return {features: folder / f"{features}.onnx" for features in ("mfcc39", "egemaps")}


def retold(path: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a model with another recipe."""
    model = onnx.load(path)
    recipe = json.loads(model.metadata_props[0].value)
    change(recipe)
    model.metadata_props[0].value = json.dumps(recipe)
    onnx.save(model, folder / "retold.onnx")
    return folder / "retold.onnx"


def test_a_model_without_scores_says_how_they_are_measured(models: dict[str, Path]) -> None:
    result = info(models["mfcc39"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "\nscores      not measured; `featkit fit --evaluate` measures the recipe on speakers it" in result.stdout
    assert "\nform " not in result.stdout


def test_a_package_that_is_not_installed_is_named_below_all_that_the_file_says(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = info(models["egemaps"])
    monkeypatch.delitem(sys.modules, "featkit.features.opensmile")
    monkeypatch.setitem(sys.modules, "opensmile", None)
    result = info(models["egemaps"])
    assert (result.exit_code, result.stdout) == (0, whole.stdout)
    assert "egemaps functionals, specification" in result.stdout
    assert result.stderr == (
        "Note: this model cannot be asked here. The feature set 'egemaps' needs the package 'opensmile', which is not "
        "installed: pip install 'featkit[opensmile]'\n"
    )
    assert json.loads(info(models["egemaps"], "--json").stdout)["members"][0]["features"]["name"] == "egemaps"


class Loud(FeatureExtractor):
    """Of a plug-in that is not installed."""

    name = "loud"

    def frames(self, wave: Any) -> Array:
        return abs(wave[: wave.size // 160 * 160].reshape(-1, 160)).mean(1, keepdims=True)


def test_a_plug_in_that_is_not_installed_is_named_too(tmp_path: Path) -> None:
    waves, labels, speakers = speech()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "find", lambda kind, name: Loud)
        SERClassifier(Loud(), SVM()).fit(waves, labels, groups=speakers).export(tmp_path / "model.onnx")
    result = info(tmp_path / "model.onnx")
    assert result.exit_code == 0, result.output
    assert "loud functionals, specification" in result.stdout
    assert "Note: this model cannot be asked here. No feature set is named 'loud'." in result.stderr


def test_a_model_that_is_refused_is_shown_before_the_reason(models: dict[str, Path], tmp_path: Path) -> None:
    path = retold(models["mfcc39"], tmp_path, lambda recipe: recipe["canary"].update(probabilities=[1, 0, 0]))
    result = info(path)
    assert result.exit_code == 1
    assert "features    mfcc39 functionals" in result.stdout
    assert result.stderr.startswith(f"Error: {path}: does not answer as where it was exported")
    assert result.stderr.count("\n") == 1


def test_whoever_quantised_a_model_it_is_told(models: dict[str, Path], tmp_path: Path) -> None:
    """As somebody's own tool: no word of it in the recipe, but in the graph."""
    model = onnx.load(models["mfcc39"])
    for name, value in (("s", np.float32(0.004)), ("z", np.uint8(0))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value), name))
    last = next(node for node in model.graph.node if "probabilities" in node.output)
    last.output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("QuantizeLinear", ["before", "s", "z"], ["q"]))
    model.graph.node.append(onnx.helper.make_node("DequantizeLinear", ["q", "s", "z"], ["probabilities"]))
    renew_canary(model)
    onnx.save(model, tmp_path / "mine.onnx")
    result = info(tmp_path / "mine.onnx")
    assert result.exit_code == 0, result.output
    assert "\nform        8 bits (not by featkit export)\n" in result.stdout


def test_what_a_form_says_of_itself_commands_no_terminal(tmp_path: Path, models: dict[str, Path]) -> None:
    form = {"name": "onnx-int8", "of": "model\x1b[2J.onnx", "judged": "Judged\nwell."}
    assert form_row(form) == "8 bits (onnx-int8), made of model [2J.onnx. Judged well."
    path = retold(models["mfcc39"], tmp_path, lambda recipe: recipe.update(form=form))
    assert "\nform " not in info(path).stdout  # the graph knows better


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "f.parquet",
            b"PAR1\x15",
            "is a table, not a model; where it holds features, featkit store info {} tells more.",
        ),
        ("f.parquet.parts/1.arrow", b"", "holds what is done of {stem}; give the command again that it is of."),
        (
            "m.onnx.checkpoint",
            b"PK",
            "is a training that did not end; featkit fit --resume -o {stem}, with all else as it was, ends it.",
        ),
        ("w.safetensors", b"", "holds the weights of a network alone; featkit.weights.load_weights reads them."),
        (
            "hub/config.json",
            b"",
            "is the folder of a pretrained encoder; use it as --features \"wav2vec2:model='{}'\".",
        ),
        ("results/rows.jsonl", b"", "is a folder of results; look at its report.html, or its report.md."),
        ("m.joblib", b"", "is a saved estimator; export it first: featkit export {} -o {stem}.onnx"),
        (
            "m.ort",
            b"\x00" * 4 + b"ORTM",
            "is an ORT file, which onnxruntime alone reads; name the model.onnx that it was",
        ),
        (
            "m.tflite",
            b"\x00" * 4 + b"TFL3",
            "is a TFLite file, which LiteRT alone reads; name the model.onnx that it was",
        ),
    ],
)
def test_another_file_of_featkits_is_called_what_it_is(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    path = tmp_path / Path(name).parts[0]
    result = info(path)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith(f"Error: {path}: {told.format(path, stem=path.with_suffix(''))}")


def test_the_setting_that_is_named_for_a_pretrained_encoder_exists(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    (text,) = re.findall('"(.*)"', info(tmp_path).stderr)
    assert plugins.parse(text) == ("wav2vec2", {"model": str(tmp_path)})
    assert "model" in plugins.find("features", "wav2vec2").__dataclass_fields__


def test_what_fit_leaves_behind_a_training_is_known_by_its_name(tmp_path: Path) -> None:
    with _checkpoint(tmp_path / "m.onnx", resume=False) as path:
        path.touch()
    assert "featkit fit --resume -o" in info(path).stderr
