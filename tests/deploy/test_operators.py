"""Operators in torch against onnxruntime, one by one, and whole models at several lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from speech import NETWORKS, fitted, speech

torch = pytest.importorskip("torch")

from featkit.deploy.fixed import attributes, fix  # noqa: E402
from featkit.deploy.operators import OPERATORS  # noqa: E402
from featkit.deploy.source import read_source  # noqa: E402
from featkit.deploy.torch_graph import WaveToProbabilities  # noqa: E402
from featkit.errors import ExportError  # noqa: E402

WAVES = speech().waves
RNG = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def whole(*numbers: int) -> Any:
    return np.array(numbers, dtype=np.int64)


X = floats(1, 6, 7)
CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "pad with zeros": ("Pad", [X, whole(0, 1, 2, 0, 0, 3)], {}),
    "pad with the edge": ("Pad", [X, whole(0, 0, 4, 0, 2, 0)], {"mode": "edge"}),
    "pad by reflection": ("Pad", [X, whole(0, 0, 3, 0, 2, 2)], {"mode": "reflect"}),
    "reshape that keeps and infers": ("Reshape", [X, whole(0, -1, 2, 7)], {}),
    "gather rows": ("Gather", [X, np.array([[0, -1], [3, 2]])], {"axis": 1}),
    "gather one": ("Gather", [X, np.array(-2)], {"axis": 2}),
    "gather along the last axis, counted from the end": ("Gather", [X, np.array([1, 1])], {"axis": -1}),
    "product with a matrix": ("MatMul", [X, floats(7, 3)], {}),
    "product of a matrix with a batch": ("MatMul", [floats(5, 6), X], {}),
    "product of batches": ("MatMul", [floats(2, 4, 5), floats(2, 5, 3)], {}),
    "gemm": ("Gemm", [floats(4, 5), floats(5, 3), floats(3)], {}),
    "gemm, all of it": ("Gemm", [floats(5, 4), floats(3, 5), floats(3)],
                        {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}),
    "gemm without bias": ("Gemm", [floats(4, 5), floats(5, 3)], {"alpha": 2.0}),
    "convolution": ("Conv", [X, floats(4, 6, 3), floats(4)], {"pads": [1, 1], "strides": [2]}),
    "convolution, padded on one side": ("Conv", [X, floats(4, 6, 3)], {"pads": [2, 0], "dilations": [2]}),
    "convolution by columns": ("Conv", [X, floats(6, 1, 3)], {"group": 6}),
    "maximum of pairs and the rest": ("MaxPool", [X], {"kernel_shape": [2], "strides": [2], "ceil_mode": 1}),
    "maximum of threes and the rest": ("MaxPool", [X], {"kernel_shape": [3], "strides": [3], "ceil_mode": 1}),
    "slice": ("Slice", [X, whole(1, -4), whole(100, -1), whole(1, 2)], {}),
    "slice without axes": ("Slice", [X, whole(0, 2), whole(1, 4)], {}),
    "squeeze": ("Squeeze", [X, whole(0)], {}),
    "unsqueeze": ("Unsqueeze", [X, whole(0, 2)], {}),
    "split by number": ("Split", [X], {"axis": 1, "num_outputs": 2}),
    "split by sizes": ("Split", [X, whole(2, 4)], {"axis": 1}),
    "clip": ("Clip", [X, np.float32(-0.5), np.float32(0.5)], {}),
    "clip below": ("Clip", [X, np.float32(-0.5)], {}),
    "layer norm": ("LayerNormalization", [X, floats(7), floats(7)], {"epsilon": 1e-3}),
    "largest": ("TopK", [X, whole(3)], {"axis": 2}),
    "smallest": ("TopK", [X, whole(2)], {"axis": 1, "largest": 0}),
    "sum over all": ("ReduceSum", [X], {"keepdims": 0}),
    "mean over time": ("ReduceMean", [X, whole(1)], {"keepdims": 1}),
    "largest of two axes": ("ReduceMax", [X, whole(1, 2)], {"keepdims": 1}),
    "smallest of one axis": ("ReduceMin", [X, whole(2)], {"keepdims": 0}),
    "to 64-bit and so 32-bit": ("Cast", [X], {"to": TensorProto.FLOAT}),
    "to whole numbers": ("Cast", [X], {"to": TensorProto.INT64}),
    "side by side": ("Concat", [X, X], {"axis": 1}),
    "flat": ("Flatten", [X], {"axis": 2}),
    "flat from the end": ("Flatten", [X], {"axis": -2}),
    "softmax": ("Softmax", [X], {"axis": 1}),
    "axes changed": ("Transpose", [X], {"perm": [2, 0, 1]}),
    "mean of several": ("Mean", [X, floats(1, 6, 7), floats(1, 6, 7)], {}),
    "largest of several": ("Max", [X, floats(1, 6, 7), floats(7)], {}),
    "smallest of several": ("Min", [X, floats(1, 6, 7)], {}),
    "power": ("Pow", [np.abs(X), np.float32([1.5])], {}),
    "LSTM": ("LSTM", [floats(5, 2, 3), floats(1, 16, 3), floats(1, 16, 4), floats(1, 32)], {"hidden_size": 4}),
    "LSTM from the end": ("LSTM", [floats(5, 2, 3), floats(1, 16, 3), floats(1, 16, 4), floats(1, 32)],
                          {"hidden_size": 4, "direction": "reverse"}),
    "LSTM both ways": ("LSTM", [floats(5, 2, 3), floats(2, 16, 3), floats(2, 16, 4), floats(2, 32)],
                       {"hidden_size": 4, "direction": "bidirectional"}),
}  # fmt: skip
CASES |= {name: (name, [np.abs(X)], {}) for name in ("Abs", "Erf", "Exp", "Floor", "Identity", "Log", "Neg", "Relu")}
CASES |= {name: (name, [np.abs(X)], {}) for name in ("Sigmoid", "Sqrt", "Tanh")}
CASES |= {name: (name, [X, floats(7)], {}) for name in ("Add", "Div", "Mul", "Sub")}


def by_onnxruntime(kind: str, inputs: list[Any], settings: dict[str, Any]) -> Any:
    """First output of a graph with one node, whose inputs but the first are constants."""
    names = [f"x{i}" for i in range(len(inputs))]
    outputs = ["y", "z"] if kind in ("Split", "TopK") else ["y"]
    node = helper.make_node(kind, names, outputs, **settings)
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x0", TensorProto.FLOAT, inputs[0].shape)],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in zip(names[1:], inputs[1:], strict=True)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return node, session.run(["y"], {"x0": inputs[0]})[0]


@pytest.mark.parametrize("case", CASES)
def test_an_operator_does_what_onnxruntime_does(case: str) -> None:
    kind, inputs, settings = CASES[case]
    node, expected = by_onnxruntime(kind, inputs, settings)
    given = [value if value.dtype.kind == "i" else torch.from_numpy(np.asarray(value)) for value in inputs]
    got = OPERATORS[kind](given, attributes(node))
    got = got[0] if isinstance(got, (tuple, list)) else got
    if kind == "LSTM":
        expected = expected.reshape(got.shape)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got.numpy(), expected, atol=2e-6)


def test_every_operator_is_tested() -> None:
    assert {kind for kind, _, _ in CASES.values()} == OPERATORS.keys()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("exported")

    def get(features: str, backend: str) -> Path:
        path = folder / f"{features}-{backend}.onnx"
        if not path.exists():
            fitted(features, backend).export(path)
        return path

    return get


@pytest.mark.parametrize(("features", "backend"), [*(("mfcc39", name) for name in NETWORKS), ("logmel", "tdnn")])
@pytest.mark.parametrize("samples", [9_000, 48_000])  # one segment of the network, and two
def test_the_graph_in_torch_answers_as_the_model(exported: Any, features: str, backend: str, samples: int) -> None:
    source = read_source(exported(features, backend))
    module = WaveToProbabilities(fix(source, samples)).eval()
    for wave in WAVES[:3]:
        part = np.resize(wave, samples)
        with torch.no_grad():
            got = module(torch.from_numpy(part[None])).numpy()
        np.testing.assert_allclose(got, source.model.predict_proba([part]), atol=1e-4)


@pytest.mark.parametrize("backend", NETWORKS)
def test_features_and_network_are_told_apart(exported: Any, backend: str) -> None:
    graph = fix(read_source(exported("mfcc39", backend)), 16_000)
    front, network = ({node.op_type for node in part} for part in (graph.front, graph.network))
    assert "Log" in front  # decibels
    assert {"Clip", "Sub"} <= front  # the scaler
    assert "Softmax" in network
    assert "Log" not in network
    assert network & {"Conv", "Gemm"}


@pytest.mark.parametrize(("backend", "operator"), [("svm", "SVMClassifier"), ("xgboost", "TreeEnsemble")])
def test_what_has_no_mobile_form_is_named(exported: Any, backend: str, operator: str) -> None:
    graph = fix(read_source(exported("mfcc39", backend)), 16_000)
    with pytest.raises(ExportError, match=f"no mobile form: .*{operator}"):
        WaveToProbabilities(graph)
