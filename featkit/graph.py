"""A few words for writing ONNX graphs, joining them, and running them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from featkit import plugins
from featkit.errors import ExportError

if TYPE_CHECKING:
    import torch

# One operator set for every graph, so that any two can be joined in one model: 18 is what torch's exporter writes.
# skl2onnx is told the same numbers; tree ensembles need ai.onnx.ml 3. IR version 8 came with operator set 18 (ONNX
# 1.13) and so is the one that every runtime of this operator set reads; later ones add nothing that we write.
OPSET = 18
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
        self.named(value, name)
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def named(self, value: str, name: str) -> str:
        """The same value under a name by which others find it."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        return name

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

    def apart(self, value: str, *shape: int) -> str:
        """The same behind a Reshape that changes nothing, between a Transpose and a MatMul in 64 bits.

        onnxruntime before 1.26 would join the two to an operator that it does not have.
        """
        return str(self.op("Reshape", value, self.ints(*shape)))

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


def run(session: onnxruntime.InferenceSession, *values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """First output for float32 inputs, in their order."""
    inputs = {node.name: np.asarray(v, dtype=np.float32) for node, v in zip(session.get_inputs(), values, strict=True)}
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
    values = "values" if options.get("raw_scores") else len(classifier.classes_)  # of pairs there may be more
    g.output(g.include(converted, x, "probabilities"), "probabilities", ["batch", values])
    return g.model()


def convert_module(module: torch.nn.Module, example: Any, output: str) -> onnx.ModelProto:
    """A torch module as a graph, dynamic in batch and time. x (batch, time, …) -> ``output`` (batch, …).

    The module is set to evaluation mode. Its graph runs in onnxruntime at two other batch sizes and three other
    lengths, from half to twice the example's, and must give the module's own numbers within 1e-4 (of the largest
    number, where that is above 1).

    Parameters
    ----------
    module
        On the CPU, with one float32 tensor in and one out.
    example
        (batch, time, …) float32 array or tensor of typical values, with a batch of two or more and a time unlike it:
        the exporter takes an axis of length 1 for a constant. Half its time must be enough for the module.
    output
        Name of the output.

    Raises
    ------
    ExportError
        The module cannot be written as a graph, exceeds the 2 GB of an ONNX file, or its graph answers differently.
    PluginError
        torch or onnxscript is not installed.
    """
    try:
        import onnxscript  # noqa: F401  torch's exporter needs it and says so late
        import torch
        from onnx_ir.passes import Sequential
        from onnx_ir.passes.common import ClearMetadataAndDocStringPass, InlinePass
    except ModuleNotFoundError as error:
        raise plugins.missing(error, "export of a torch module") from None

    module.eval()
    example = torch.as_tensor(example, dtype=torch.float32)
    if example.ndim < 2 or len(example) < 2 or example.shape[1] < 4:
        raise ExportError(f"The example must be (batch >= 2, time >= 4, …); it is {tuple(example.shape)}.")
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    if n_bytes > 0.99 * 2**31:
        raise ExportError(f"The module has {n_bytes / 2**30:.1f} GB of weights; one ONNX file holds less than 2 GB.")
    auto = torch.export.Dim.AUTO  # a named Dim may export a fixed length without a word, Dim.DYNAMIC may raise
    try:
        with quiet("torch", "onnxscript", "onnx_ir"):
            program = torch.onnx.export(
                module, (example,), dynamo=True, dynamic_shapes=({0: auto, 1: auto},), opset_version=OPSET,
                verbose=False,
            )  # fmt: skip
            assert program is not None
            # Local functions cannot be joined, and where each node came from would double a small model.
            Sequential(InlinePass(), ClearMetadataAndDocStringPass())(program.model)
            exported = program.model_proto
    except Exception as error:  # the exporter fails in many ways
        cause = error.__cause__ or error
        reason = f"{type(cause).__name__}: {cause}".splitlines()[0]
        raise ExportError(f"{type(module).__name__} cannot be written as a graph ({reason}).") from error
    g = GraphBuilder("module")
    x = g.input("x", ["batch", "time", *example.shape[2:]])
    axes = exported.graph.output[0].type.tensor_type.shape.dim
    names = ["batch", "time", *(f"axis_{i}" for i in range(2, len(axes)))]
    shape = [axis.dim_value or name for axis, name in zip(axes, names, strict=False)]
    g.output(g.include(exported, x), output, shape)
    model = g.model()
    _prove_module(module, example, model)
    return model


def _prove_module(module: torch.nn.Module, example: torch.Tensor, model: onnx.ModelProto) -> None:
    """Refuse a graph that answers otherwise than its module at other batch sizes and lengths."""
    import torch

    graph, (rows, time) = session(model), example.shape[:2]
    for batch, length in ((1, time // 2), (rows + 3, time + time // 3 + 1), (1, 2 * time + 1)):
        x = example[torch.arange(batch) % rows][:, torch.arange(length) % time]
        try:
            with torch.inference_mode():
                expected = module(x).numpy()
            got = run(graph, x.numpy())
        except Exception as error:  # onnxruntime's exceptions have no common base class
            reason = f"one of them fails: {str(error).splitlines()[0][:200]}"
        else:
            if got.shape == expected.shape:
                difference = float(np.abs(got - expected).max(initial=0))
                if difference <= 1e-4 * max(1.0, float(np.abs(expected).max(initial=0))):
                    continue
                reason = f"values differ by up to {difference:.2g}"
            else:
                reason = f"its output is {got.shape} instead of {expected.shape}"
        raise ExportError(
            f"The graph of {type(module).__name__} does not answer as the module for an input of "
            f"{tuple(x.shape)}: {reason}. Its code must not depend on the batch size or length it is exported with."
        )


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """No warnings, prints, or lines below an error of ``loggers`` ("root": of all that have no level of their own)."""
    before = [(logger, logger.level, list(logger.handlers)) for logger in map(logging.getLogger, loggers)]
    try:
        for logger, _, _ in before:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level, handlers in before:  # some packages change them for the whole program
            logger.setLevel(level)
            logger.handlers[:] = handlers
