"""A file is looked through before onnxruntime reads it; whatever a stranger puts in is refused in one line, at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from featkit_backends.svm import SVM
from onnx import TensorProto, helper, numpy_helper
from speech import BACKENDS, fitted, speech

from featkit import SERClassifier
from featkit.errors import ModelError
from featkit.features.base import View
from featkit.graph import OPSET, OPSET_ML, GraphBuilder
from featkit.modelfile.contents import MAX_NODES, OPERATORS, check_contents

node = helper.make_node
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def wrapped(*nodes: onnx.NodeProto, **constants: Any) -> onnx.ModelProto:
    """A model from "wave" to "y" of these nodes, which may be nonsense."""
    values = [helper.make_tensor_value_info(name, FLOAT, ["batch", "n"]) for name in ("wave", "y")]
    stored = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "g", values[:1], values[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def refused(content: bytes | onnx.ModelProto, message: str) -> None:
    """Refused in one short line, in less time than a person notices."""
    data = content if isinstance(content, bytes) else content.SerializeToString()
    start = time.process_time()
    with pytest.raises(ModelError, match=message) as caught:
        check_contents(data, "model.onnx")
    assert time.process_time() - start < 3
    assert str(caught.value).startswith("model.onnx: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


# What models are made of


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_graph_of_every_backend_may_be_loaded(backend: str) -> None:
    check_contents(fitted(backend=backend).backend_.to_onnx().SerializeToString(), backend)


@pytest.mark.parametrize("view", ["frames", "functionals"])
@pytest.mark.parametrize("features", ["mfcc39", "logmel", "mfcc39+logmel"])
def test_the_graph_of_every_feature_set_may_be_loaded(features: str, view: View) -> None:
    check_contents(fitted(features).extractor_.to_onnx(view).SerializeToString(), features)


def test_every_operator_on_the_list_is_one_of_onnx_or_its_quantiser() -> None:
    for domain, newest in (("", 23), ("ai.onnx.ml", OPSET_ML)):
        assert not [name for name in OPERATORS[domain] if not onnx.defs.has(name, newest, domain)]
    assert OPERATORS.keys() == {"", "ai.onnx.ml", "com.microsoft"}


def test_nothing_on_the_list_holds_a_graph_or_makes_numbers_up_or_is_of_sequences() -> None:
    for domain in ("", "ai.onnx.ml"):
        for name in OPERATORS[domain]:
            schema = onnx.defs.get_schema(name, 23 if not domain else OPSET_ML, domain)
            kinds = {attribute.type.name for attribute in schema.attributes.values()}
            assert not kinds & {"GRAPH", "GRAPHS", "SPARSE_TENSOR"} or name == "Constant", name
            assert any("tensor(" in kind and "seq(" not in kind for kind in schema.outputs[0].types), name
            assert "seed" not in schema.attributes, name


def test_a_large_model_is_looked_through_in_a_moment() -> None:
    weights = np.ones((1 << 25,), np.float32)  # 128 MB
    content = wrapped(node("Add", ["wave", "w"], ["y"]), w=weights).SerializeToString()
    start = time.process_time()
    check_contents(content, "large")
    assert time.process_time() - start < 0.05


def test_a_forest_is_looked_through_in_a_moment() -> None:
    n = 300_000
    settings = {
        "nodes_values": [0.5] * n, "nodes_truenodeids": [70_000] * n, "nodes_modes": ["BRANCH_LEQ"] * n,
    }  # fmt: skip
    forest = node("TreeEnsembleClassifier", ["wave"], ["y"], domain="ai.onnx.ml", **settings)
    content = wrapped(forest).SerializeToString()
    start = time.process_time()
    check_contents(content, "forest")
    assert time.process_time() - start < 0.5


class Loops(SVM):
    """A backend of a third party whose graph has an operator that no model may have."""

    def to_onnx(self) -> Any:
        g = GraphBuilder("loops")
        x = g.include(super().to_onnx(), g.input("functionals", ["batch", self.n_features_in_]))
        g.output(g.op("RandomNormalLike", x), "probabilities", ["batch", 3])
        return g.model()


def test_a_backend_with_an_operator_that_is_not_listed_is_told_at_export(tmp_path: Path) -> None:
    waves, labels, speakers = speech()
    classifier = SERClassifier("mfcc39", Loops()).fit(waves, labels, groups=speakers)
    with pytest.raises(ModelError, match="the exported model: is refused, because it uses the operator 'RandomNormal"):
        classifier.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


# What does not come to an end


def body(depth: int = 1) -> onnx.GraphProto:
    """The body of an endless loop, ``depth`` loops inside one another."""
    inside = [node("Loop", ["", "go"], [], body=body(depth - 1))] if depth > 1 else []
    values = [helper.make_tensor_value_info(n, k, []) for n, k in (("i", INT64), ("go", TensorProto.BOOL))]
    return helper.make_graph([*inside, node("Identity", ["go"], ["on"])], "b", values, [
        helper.make_tensor_value_info("on", TensorProto.BOOL, [])
    ])  # fmt: skip


def test_loops_branches_and_scans_are_refused() -> None:
    refused(wrapped(node("Loop", ["", "go"], ["y"], body=body()), go=True), "it uses the operator 'Loop'")
    refused(wrapped(node("Loop", ["", "go"], ["y"], body=body(15)), go=True), "it uses the operator 'Loop'")
    refused(
        wrapped(node("If", ["c"], ["y"], then_branch=body(), else_branch=body()), c=True), "it uses the operator 'If'"
    )
    refused(wrapped(node("Scan", ["wave"], ["y"], body=body(), num_scan_inputs=1)), "it uses the operator 'Scan'")


def test_a_graph_inside_a_harmless_operator_is_refused() -> None:
    refused(wrapped(node("Abs", ["wave"], ["y"], body=body())), "it has a graph inside Abs")
    refused(wrapped(node("Abs", ["wave"], ["y"], bodies=[body()])), "it has a graph inside Abs")


def test_functions_are_refused() -> None:
    model = wrapped(node("Twice", ["wave"], ["y"], domain="mine"))
    refused(model, "it uses the operator 'Twice' of 'mine'")
    model = wrapped(node("Abs", ["wave"], ["y"]))
    double = [node("Abs", ["x"], ["a"]), node("Abs", ["a"], ["z"])]
    model.functions.append(helper.make_function("", "Abs", ["x"], ["z"], double, [helper.make_opsetid("", OPSET)]))
    refused(model, "it holds functions")


def test_operators_of_others_are_refused() -> None:
    refused(wrapped(node("Attention", ["wave"], ["y"], domain="com.microsoft")), "'Attention' of 'com.microsoft'")
    model = wrapped(node("Abs", ["wave"], ["y"]))
    model.opset_import.append(helper.make_opsetid("evil", 1))
    refused(model, "it uses operators of 'evil'")
    refused(wrapped(node("Ab\ns", ["wave"], ["y"])), r"uses the operator 'Ab\\ns'")
    refused(wrapped(node("A" * 10_000, ["wave"], ["y"])), "uses the operator 'AAAA")


def test_too_many_nodes_are_refused() -> None:
    many = wrapped(*[node("Abs", ["wave"], ["y"])] * (MAX_NODES + 1))
    refused(many, f"it has more than {MAX_NODES} nodes")
    refused(many.SerializeToString() + many.SerializeToString(), f"it has more than {MAX_NODES} nodes")


def test_millions_of_small_parts_are_refused() -> None:
    model = wrapped(node("Abs", ["wave"], ["y"])).SerializeToString()
    refused(model + 700_000 * b"\x28\x01", "millions of small parts")
    negative = node("Concat", ["wave"], ["y"], axis=0, more=[-1] * 700_000)
    refused(wrapped(negative), "millions of small parts")


# What is not there, or elsewhere


@pytest.mark.parametrize("place", ["weights.bin", "/etc/passwd", "../../weights.bin"])
def test_numbers_in_other_files_are_refused(place: str) -> None:
    model = wrapped(node("Add", ["wave", "w"], ["y"]), w=np.ones(9, np.float32))
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], place)
    refused(model, "it names other files to be read")
    model.graph.initializer[0].ClearField("data_location")
    refused(model, "it names other files to be read")
    constant = wrapped(node("Constant", [], ["y"], value=model.graph.initializer[0]))
    refused(constant, "it names other files to be read")


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ([10**9], "a tensor of 1000000000 values has"),
        ([1 << 20] * 8, "a tensor of 1461501637330902918203684832716283019655932542976 values has"),
        ([-1], "impossible dimensions"),
        ([1 << 40, 0], "impossible dimensions"),
        ([1] * 3000, "impossible dimensions"),
    ],
)  # fmt: skip
def test_a_tensor_larger_than_its_bytes_is_refused(dims: list[int], message: str) -> None:
    model = wrapped(node("Add", ["wave", "w"], ["y"]), w=np.ones(4, np.float32))
    model.graph.initializer[0].ClearField("dims")
    model.graph.initializer[0].dims.extend(dims)
    refused(model, message)


def test_sparse_tensors_are_refused() -> None:
    model = wrapped(node("Abs", ["wave"], ["y"]))
    values, places = numpy_helper.from_array(np.ones(1, np.float32), "s"), numpy_helper.from_array(np.zeros(1, int))
    sparse = helper.make_sparse_tensor(values, places, [1 << 40])
    model.graph.sparse_initializer.append(sparse)
    refused(model, "it holds sparse tensors")
    refused(wrapped(node("Constant", [], ["y"], sparse_value=sparse)), "it has a setting of an unusual kind in Constan")


# Sizes out of nothing


@pytest.mark.parametrize(
    ("operator", "inputs", "constants"),
    [
        ("ConstantOfShape", ["n"], {"n": [300_000_000]}),
        ("ConstantOfShape", ["n"], {"n": [3_000, 3_000, 3_000]}),
        ("ConstantOfShape", ["n"], {"n": np.array([300_000_000], np.int32)}),
        ("Expand", ["wave", "n"], {"n": [300_000_000, 1]}),
        ("Tile", ["wave", "n"], {"n": [1, 300_000_000]}),
        ("Range", ["a", "n", "d"], {"a": 0, "n": 300_000_000, "d": 1}),
        ("Range", ["a", "n", "d"], {"a": -(2**62), "n": 0, "d": 1}),
        ("Pad", ["wave", "n"], {"n": [0, 0, 0, 300_000_000]}),
        ("OneHot", ["wave", "n", "v"], {"n": 300_000_000, "v": [0.0, 1.0]}),
        ("HannWindow", ["n"], {"n": 300_000_000}),
    ],
)
def test_sizes_that_stand_in_the_file_are_limited(operator: str, inputs: list[str], constants: Any) -> None:
    model = wrapped(node(operator, inputs, ["y"]), **constants)
    refused(model, rf"it asks {operator} for \d{{8,}} values")
    for tensor in model.graph.initializer:  # the same numbers, stored in the other way
        if tensor.data_type == INT64:
            numbers = numpy_helper.to_array(tensor).ravel().tolist()
            tensor.CopyFrom(helper.make_tensor(tensor.name, INT64, tensor.dims, numbers))
    refused(model, rf"it asks {operator} for \d{{8,}} values")


def test_sizes_of_constant_nodes_are_limited() -> None:
    many = node("ConstantOfShape", ["n"], ["y"])
    whole = numpy_helper.from_array(np.array([300_000_000]))
    refused(wrapped(node("Constant", [], ["n"], value=whole), many), "it asks ConstantOfShape for 300000000 values")
    refused(wrapped(node("Constant", [], ["n"], value_ints=[9**8, 9]), many), "it asks ConstantOfShape for 387420489")
    single = wrapped(node("Constant", [], ["n"], value_int=9**9), node("HannWindow", ["n"], ["y"]))
    refused(single, "it asks HannWindow for 387420489 values")


def test_settings_of_operators_are_limited() -> None:
    conv = node("Conv", ["wave", "w"], ["y"], pads=[0, 2**30])
    refused(wrapped(conv, w=np.ones((1, 1, 1), np.float32)), "it has a setting of 1073741824 in Conv")
    conv = node("Conv", ["wave", "w"], ["y"], pads=[0, -(2**30)])
    refused(wrapped(conv, w=np.ones((1, 1, 1), np.float32)), "it has a setting of -1073741824 in Conv")


def test_texts_are_limited() -> None:
    label = np.array(["x" * 5000], dtype=object)
    refused(wrapped(node("Gather", ["t", "i"], ["y"]), t=label, i=0), "it holds a text of 5000 bytes")
    einsum = node("Einsum", ["wave"], ["y"], equation="i" * 5000)
    refused(wrapped(einsum), "it holds a text of 5000 bytes")
    labels = node("LinearClassifier", ["wave"], ["y"], domain="ai.onnx.ml", classlabels_strings=["x" * 5000])
    refused(wrapped(labels), "it holds a text of 5000 bytes")


def test_metadata_are_limited() -> None:
    model = wrapped(node("Abs", ["wave"], ["y"]))
    helper.set_model_props(model, {"featkit": 100 * (1 << 20) * "x"})
    refused(model, "it holds 100 MB of metadata")


# What is no model


def test_every_cut_of_a_model_is_refused_or_a_model_without_its_end() -> None:
    content = wrapped(node("Add", ["wave", "w"], ["y"]), w=np.ones(4, np.float32)).SerializeToString()
    ends = 0
    for length in range(len(content)):
        try:
            check_contents(content[:length], "model.onnx")
            ends += 1
        except ModelError:
            pass
    assert ends <= 2  # before a part that may be absent: the operator sets


@pytest.mark.parametrize(
    "content",
    [b"", b"\x3a", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\xff" * 99, b"\x3b\x00", b"\x38\x05", b"\x00\x00",
     b"\x3a\x02\x0a\x05", b"\x3a\x04\x0a\x02\x20\x01", b"\x3d\x01"],
)  # fmt: skip
def test_what_is_no_message_is_refused(content: bytes) -> None:
    refused(content, "is damaged or not an ONNX model")


def test_a_model_of_onnxruntimes_own_format_is_refused() -> None:
    refused(b"\x18\x00\x00\x00ORTM" + bytes(99), "is damaged or not an ONNX model")


def test_a_file_as_long_as_no_onnx_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featkit.modelfile.contents.MAX_BYTES", 99)
    refused(bytes(100), r"it has 0\.0 GB")


def test_a_training_graph_is_refused() -> None:
    model = wrapped(node("Abs", ["wave"], ["y"]))
    model.training_info.add()
    refused(model, "it holds a training graph")


def test_what_other_readers_cut_to_32_bits_hides_nothing() -> None:
    # protobuf cuts the number of a field to 32 bits, and joins a second graph to the first: here with a loop in it.
    body = helper.make_graph([node("Identity", ["c"], ["d"])], "b", [], [])
    hidden = helper.make_graph([node("Loop", ["n", "c"], ["y"], body=body)], "", [], []).SerializeToString()
    overlong = bytes([0xBA, 0x80, 0x80, 0x80, 0x10, len(hidden) & 127 | 128, len(hidden) >> 7])
    whole = wrapped(node("Identity", ["wave"], ["y"])).SerializeToString() + overlong + hidden
    refused(whole, "a part has an impossible number")


def test_a_kind_of_number_beyond_32_bits_is_read_as_others_read_it() -> None:
    model = wrapped(node("ConstantOfShape", ["n"], ["y"]), n=[300_000_000])
    content = model.SerializeToString()
    plain, odd = bytes([0x10, 7]), bytes([0x10, 0x87, 0x80, 0x80, 0x80, 0x10])  # data_type 7, and 7 + 2 ** 32
    tensor = model.graph.initializer[0].SerializeToString()
    longer = tensor.replace(plain, odd, 1)
    graph = model.graph.SerializeToString()
    assert graph.count(bytes([0x2A, len(tensor)]) + tensor) == 1
    regraphed = graph.replace(bytes([0x2A, len(tensor)]) + tensor, bytes([0x2A, len(longer)]) + longer)
    assert len(regraphed) < 128
    changed = content.replace(bytes([0x3A, len(graph)]) + graph, bytes([0x3A, len(regraphed)]) + regraphed)
    assert onnx.load_model_from_string(changed).graph.initializer[0].data_type == INT64
    refused(changed, "it asks ConstantOfShape for 300000000 values")
