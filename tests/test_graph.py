"""The small language in which graphs are written, joined and run."""

import logging
import sys
import warnings

import numpy as np
import onnx
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from featkit.errors import ExportError, PluginError
from featkit.graph import (
    IR_VERSION,
    OPSET,
    OPSET_ML,
    GraphBuilder,
    convert_classifier,
    convert_module,
    quiet,
    run,
    session,
)


def scaled_by(factor: float) -> onnx.ModelProto:
    g = GraphBuilder("scale")
    x = g.input("x", ["batch", "dims"])
    g.output(g.op("Mul", x, g.constant([factor])), "y", ["batch", "dims"])
    return g.model()


def test_a_graph_computes_what_was_written():
    np.testing.assert_array_equal(run(session(scaled_by(2)), [[1, 2.5], [3, -4]]), [[2, 5], [6, -8]])


def test_every_graph_has_one_operator_set_so_that_any_two_can_be_joined():
    model = scaled_by(2)
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": OPSET, "ai.onnx.ml": OPSET_ML}
    assert model.ir_version == IR_VERSION
    assert onnx.compose.merge_models(scaled_by(2), onnx.compose.add_prefix(scaled_by(3), "b_"), [("y", "b_x")])


def test_included_models_keep_apart_even_when_they_are_the_same():
    g = GraphBuilder("both")
    x = g.input("x", ["batch", "dims"])
    once, again = (g.include(scaled_by(factor), x) for factor in (2, 10))
    twice = g.include(scaled_by(2), once)
    g.output(g.op("Concat", once, again, twice, axis=1), "y", ["batch", "dims"])
    np.testing.assert_array_equal(run(session(g.model()), [[1]]), [[2, 10, 4]])


def test_a_named_output_of_an_included_model_is_found():
    inner = GraphBuilder("inner")
    x = inner.input("x", ["n"])
    inner.output(inner.op("Neg", x), "minus", ["n"])
    inner.output(inner.op("Abs", x), "size", ["n"])
    for output, expected in ((None, [2.0, -3.0]), ("minus", [2.0, -3.0]), ("size", [2.0, 3.0])):
        g = GraphBuilder("outer")
        g.output(g.include(inner.model(), g.input("x", ["n"]), output), "y", ["n"])
        np.testing.assert_array_equal(run(session(g.model()), [-2, 3]), expected)


def test_a_model_of_a_newer_operator_set_is_not_joined():
    newer = scaled_by(2)
    newer.opset_import[0].version = OPSET + 1
    g = GraphBuilder("outer")
    with pytest.raises(ExportError, match="A graph of operator set 19 cannot be joined; export it with opset 18"):
        g.include(newer, g.input("x", ["batch", "dims"]))


def test_an_operation_with_several_outputs_returns_their_names():
    g = GraphBuilder("largest")
    values, places = g.op("TopK", g.input("x", ["n"]), g.ints(2), outputs=2)
    g.output(values, "values", [2])
    g.output(places, "places", [2], onnx.TensorProto.INT64)
    graph = session(g.model())
    np.testing.assert_array_equal(run(graph, [3, 9, 5]), [9, 5])
    np.testing.assert_array_equal(graph.run(None, {"x": np.float32([3, 9, 5])})[1], [1, 2])


def test_a_graph_that_is_not_valid_is_refused_when_it_is_finished():
    g = GraphBuilder("broken")
    g.output(g.op("Mul", g.input("x", ["n"]), "nowhere"), "y", ["n"])
    with pytest.raises(onnx.checker.ValidationError, match="nowhere"):
        g.model()


def test_constants_keep_their_type():
    g = GraphBuilder("constants")
    g.constant([1.5]), g.ints(1, 2), g.constant(3, np.int64)
    kinds = [(c.data_type, list(c.dims)) for c in g._constants]
    assert kinds == [(onnx.TensorProto.FLOAT, [1]), (onnx.TensorProto.INT64, [2]), (onnx.TensorProto.INT64, [])]


def test_a_session_runs_on_one_thread_of_the_cpu():
    options = session(scaled_by(2)).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert session(scaled_by(2)).get_providers() == ["CPUExecutionProvider"]
    np.testing.assert_array_equal(run(session(scaled_by(2).SerializeToString()), [[1]]), [[2]])


def test_a_converted_classifier_gives_scikit_learns_probabilities():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 4)).astype(np.float32)
    y = np.array(["anger", "joy", "fear"])[np.argmax(X[:, :3], axis=1)]
    classifier = LogisticRegression().fit(X, y)
    graph = session(convert_classifier(classifier, 4))
    assert [output.name for output in graph.get_outputs()] == ["probabilities"]
    np.testing.assert_allclose(run(graph, X), classifier.predict_proba(X), atol=1e-6)
    assert run(graph, X[:1]).shape == (1, 3)


class Pooled(nn.Module):
    """(batch, time, 3) -> (batch, 2)."""

    def __init__(self):
        super().__init__()
        self.conv, self.drop, self.last = nn.Conv1d(3, 4, 3, padding=1), nn.Dropout(), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.drop(self.conv(x.transpose(1, 2)).relu().mean(2)))


class FixedLength(nn.Module):
    def forward(self, x):
        return x + (1 if x.shape[1] == 21 else 0)


class FixedShape(nn.Module):
    def forward(self, x):
        return x.reshape(-1, 21)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def example(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_a_converted_module_answers_at_any_batch_and_length_and_can_be_joined_twice(capfd, caplog):
    modules = [Pooled(), Pooled()]
    models = [convert_module(module, example(2, 21, 3), "logits") for module in modules]
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    for model in models:
        onnx.checker.check_model(model, full_check=True)
        assert {opset.domain: opset.version for opset in model.opset_import} == {"": OPSET, "ai.onnx.ml": OPSET_ML}
        assert not model.functions
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    dims = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (models[0].graph.input[0], models[0].graph.output[0])]  # fmt: skip
    assert dims == [["batch", "time", 3], ["batch", 2]]

    g = GraphBuilder("both")
    x = g.input("x", ["batch", "time", 3])
    g.output(g.op("Concat", *(g.include(model, x) for model in models), axis=1), "y", ["batch", 4])
    graph = session(g.model())
    for shape in ((1, 1, 3), (5, 100, 3)):
        with torch.inference_mode():
            expected = torch.cat([module(torch.tensor(example(*shape))) for module in modules], dim=1)
        np.testing.assert_allclose(run(graph, example(*shape)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            FixedLength(),
            r"The graph of FixedLength does not answer as the module .* \(1, 10\): values differ by up to 1\.",
        ),
        (FixedShape(), r"The graph of FixedShape does not answer as the module .* \(1, 10\): one of them fails: "),
        (Branching(), r"Branching cannot be written as a graph \(\w+: Could not guard on data-dependent expression"),
    ],
)
def test_a_module_that_is_no_graph_of_any_batch_and_length_is_refused(module, message, capfd):
    with pytest.raises(ExportError, match=message) as caught:
        convert_module(module, example(2, 21), "y")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shape", [(21,), (1, 21), (2, 3)])
def test_an_example_that_the_exporter_would_take_for_a_constant_is_refused(shape):
    with pytest.raises(ExportError, match=r"The example must be \(batch >= 2, time >= 4, …\); it is "):
        convert_module(Pooled(), example(*shape), "y")


def test_a_module_too_large_for_one_file_is_refused():
    with pytest.raises(ExportError, match=r"has 3\.4 GB of weights; one ONNX file holds less than 2 GB"):
        convert_module(nn.Linear(30_000, 30_000, device="meta"), example(2, 21), "y")


@pytest.mark.parametrize("package", ["torch", "onnxscript"])
def test_what_export_of_a_module_needs_is_told_with_its_pip_line(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PluginError, match=rf"'{package}', which is not installed: pip install 'featkit\[torch\]'"):
        convert_module(Pooled(), example(2, 21, 3), "y")


def test_quiet_silences_a_talker_and_leaves_no_trace(capfd, caplog):
    talker, root = logging.getLogger("talker"), logging.getLogger()
    before = root.level, list(root.handlers), talker.level
    with quiet("root", "talker"):
        logging.warning("advice on the root logger")
        logging.getLogger("another").warning("and on one without a level")
        talker.info("detail")
        print("progress")
        print("worry", file=sys.stderr)
        warnings.warn("old", FutureWarning, stacklevel=1)
        root.addHandler(logging.StreamHandler())
        root.setLevel(logging.DEBUG)
        talker.setLevel(logging.DEBUG)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert (root.level, list(root.handlers), talker.level) == before
    with quiet("root"):
        logging.getLogger("another").error("this matters")
    assert caplog.messages == ["this matters"]
