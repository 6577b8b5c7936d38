"""The small language in which graphs are written, joined and run."""

import numpy as np
import onnx
import pytest
from sklearn.linear_model import LogisticRegression

from featkit.errors import ExportError
from featkit.graph import IR_VERSION, OPSET, OPSET_ML, GraphBuilder, convert_classifier, run, session


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
    with pytest.raises(ExportError, match="A graph of operator set 18 cannot be joined; export it with opset 17"):
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
