"""The labels that a graph answers with are found by following its output, whatever stands between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from speech import EMOTIONS, fitted

import featkit
from featkit.errors import ModelError
from featkit.export import renew_canary
from featkit.modelfile.contents import check_contents

node = helper.make_node
TEXTS = np.array(["anger", "joy"], dtype=object)


def labels(*nodes: onnx.NodeProto) -> list[str] | None:
    given = {"texts": TEXTS, "others": np.array(["x"], dtype=object), "none": np.array([""], dtype=object)}
    stored = [numpy_helper.from_array(texts, name) for name, texts in given.items()]
    graph = helper.make_graph(list(nodes), "g", [], [], stored)
    return check_contents(helper.make_model(graph).SerializeToString(), "model.onnx").labels


def test_labels_are_found_behind_other_names() -> None:
    assert labels(node("Gather", ["texts", "i"], ["label"])) == ["anger", "joy"]
    gather = node("Gather", ["t", "i"], ["l"])
    assert labels(node("Identity", ["texts"], ["t"]), gather, node("Identity", ["l"], ["label"])) == ["anger", "joy"]
    constant = node("Constant", [], ["t"], value=numpy_helper.from_array(TEXTS))
    assert labels(constant, gather, node("Identity", ["l"], ["label"])) == ["anger", "joy"]


def test_in_place_of_a_label_there_may_be_none() -> None:
    gather = node("Gather", ["texts", "i"], ["l"])
    assert labels(gather, node("Where", ["flaw", "none", "l"], ["label"])) == ["anger", "joy"]


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [node("Gather", ["texts", "i"], ["l"]), node("Where", ["flaw", "others", "l"], ["label"])],
        [node("Gather", ["texts", "i"], ["l"]), node("Where", ["flaw", "l", "none"], ["label"])],
        [node("Gather", ["texts", "i"], ["l"]), node("Where", ["flaw", "none"], ["label"])],
        [node("Identity", ["texts"], ["label"])],
        [node("Gather", ["nowhere", "i"], ["label"])],
        [node("Gather", ["label", "i"], ["label"])],
        [node("Identity", ["a"], ["label"]), node("Gather", ["label", "i"], ["a"])],
        [node("Gather", ["texts", "order"], ["t"]), node("Gather", ["t", "i"], ["label"])],
        [node("Gather", [], ["label"])],
    ],
)
def test_where_the_label_is_not_looked_up_once_there_are_none(nodes: list[onnx.NodeProto]) -> None:
    assert labels(*nodes) is None


def test_a_model_that_looks_its_label_up_in_no_list_is_refused(tmp_path: Path) -> None:
    fitted().export(tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    (last,) = [node for node in model.graph.node if "label" in node.output]
    last.op_type = "Squeeze"
    last.input[0] = next(tensor.name for tensor in model.graph.initializer if tensor.data_type == 8)
    model.graph.node.remove(last)
    model.graph.node.insert(0, last)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(
        ModelError, match="labels anger, neutral, sadness, but its graph looks its labels up in no list; c"
    ):
        featkit.load(tmp_path / "model.onnx")


def test_a_model_that_onnxruntime_has_optimised_still_names_its_labels(tmp_path: Path) -> None:
    fitted(backend="cnn_lstm").export(tmp_path / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "basic.onnx")
    onnxruntime.InferenceSession(tmp_path / "model.onnx", options, providers=["CPUExecutionProvider"])
    model = onnx.load(tmp_path / "basic.onnx")
    assert len(model.graph.node) < len(onnx.load(tmp_path / "model.onnx").graph.node)
    del model.opset_import[2:]  # onnxruntime names all that it knows
    assert renew_canary(model).labels == list(EMOTIONS)
