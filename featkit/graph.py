"""A few words for writing ONNX graphs, joining them, and running them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from featkit.errors import ExportError

# One operator set for every graph, so that any two can be joined in one model. skl2onnx and onnxmltools are told the
# same numbers; tree ensembles need ai.onnx.ml 3.
OPSET = 17
OPSET_ML = 3
IR_VERSION = 8
_OPSETS = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_ML)]

Shape = Sequence[str | int]


class GraphBuilder:
    """Nodes are written in order; each call returns the name of its result.

    Examples
    --------
    >>> g = GraphBuilder("double")
    >>> x = g.input("x", ["n"])
    >>> g.output(g.op("Mul", x, g.constant([2.0])), "y", ["n"])
    >>> run(session(g.model()), [1.5])
    array([3.], dtype=float32)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Shape) -> str:
        """Declare a float32 input; strings in ``shape`` are dynamic axes."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, value: str, name: str, shape: Shape, kind: int = TensorProto.FLOAT) -> None:
        """Declare ``value`` as the output called ``name``."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Put numbers into the graph."""
        name = f"{self.name}_c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def ints(self, *values: int) -> str:
        """A 1-D int64 constant: axes, pads, starts."""
        return self.constant(values, np.int64)

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node. Returns the name of its output, or the list of names if it has several."""
        names = [f"{self.name}_{len(self._nodes)}_{kind}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def include(self, model: onnx.ModelProto, value: str, output: str | None = None) -> str:
        """Add another one-input model, fed with ``value``. Returns the name of its first, or the named, output.

        Raises
        ------
        ExportError
            The model uses a newer operator set than featkit's.
        """
        newest = max((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), default=OPSET)
        if newest > OPSET:
            raise ExportError(f"A graph of operator set {newest} cannot be joined; export it with opset {OPSET}.")
        prefix = f"{self.name}_{len(self._nodes)}_"
        graph = onnx.compose.add_prefix(model, prefix).graph
        self._nodes.append(helper.make_node("Identity", [value], [graph.input[0].name]))
        self._nodes.extend(graph.node)
        self._constants.extend(graph.initializer)
        return str(graph.output[0].name) if output is None else prefix + output

    def model(self) -> onnx.ModelProto:
        """The finished model, checked."""
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, self._constants)
        model = helper.make_model(graph, opset_imports=_OPSETS, ir_version=IR_VERSION, producer_name="featkit")
        onnx.checker.check_model(model)
        return model


def session(model: onnx.ModelProto | bytes) -> onnxruntime.InferenceSession:
    """Run a model on one thread: clips are what is parallel, and one thread gives the same bits everywhere."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, value: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """First output for one float32 input."""
    inputs = {session.get_inputs()[0].name: np.asarray(value, dtype=np.float32)}
    return session.run(None, inputs)[0]  # type: ignore[no-any-return]


def convert_classifier(classifier: Any, dims: int, **options: Any) -> onnx.ModelProto:
    """A fitted scikit-learn classifier as a graph. functionals (batch, dims) -> probabilities (batch, classes).

    ``options`` go to skl2onnx, as ``raw_scores=True`` for decision values instead of probabilities.
    """
    from skl2onnx import to_onnx

    with warnings.catch_warnings():
        # skl2onnx 1.20 looks at an attribute of SVC that scikit-learn 1.9 deprecates and nobody uses.
        warnings.filterwarnings("ignore", "Attribute `prob", FutureWarning)
        converted = to_onnx(
            classifier,
            np.zeros((1, dims), np.float32),
            options={id(classifier): {"zipmap": False, **options}},
            target_opset={"": OPSET, "ai.onnx.ml": OPSET_ML},
        )
    g = GraphBuilder("classifier")
    x = g.input("functionals", ["batch", dims])
    g.output(g.include(converted, x, "probabilities"), "probabilities", ["batch", len(classifier.classes_)])
    return g.model()
