"""An exported model at one fixed length: what is left of its graph once every shape is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import numpy_helper

from featkit.deploy.source import PROBABILITIES, PRODUCTS, Source, above, named_nodes, scratch
from featkit.errors import ExportError
from featkit.export import CHECKED, UNCHECKED

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class FixedGraph:
    """Operators that are left between ``wave`` (1, samples) and ``probabilities`` (1, classes), in order."""

    front: list[onnx.NodeProto]
    """Wave → standardised features."""
    network: list[onnx.NodeProto]
    """Standardised features → probabilities, from the first product on where it can be."""
    passed: str
    """The one value that goes from the first to the second."""
    constants: dict[str, Array]


def fix(source: Source, samples: int) -> FixedGraph:
    """Fold all that depends on the length alone: frame counts, indices, positions. onnxruntime does the arithmetic.

    That the wave has no sample that is no number is left to who asks: in 8 bits there is no such answer.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source.proto)
    _believe(model)
    kept = above(model.graph.node, {PROBABILITIES})
    _replace(model.graph.node, [node for node in model.graph.node if set(node.output) & kept])
    _replace(model.graph.output, [value for value in model.graph.output if value.name == PROBABILITIES])
    graph = _folded(model, samples).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = named_nodes(graph.node)
    place, passed = _border(nodes, source.network, set(constants))
    return FixedGraph(nodes[:place], nodes[place:], passed, constants)


def _believe(model: onnx.ModelProto) -> None:
    """Leave out what looks whether the wave is one."""
    if not any(UNCHECKED in node.output for node in model.graph.node):
        return
    _replace(model.graph.node, [node for node in model.graph.node if not {CHECKED, PROBABILITIES} & {*node.output}])
    for node in model.graph.node:
        for names, old, new in ((node.input, CHECKED, "wave"), (node.output, UNCHECKED, PROBABILITIES)):
            for i, name in enumerate(names):
                names[i] = new if name == old else name


def _border(nodes: list[onnx.NodeProto], network: frozenset[str], constants: set[str]) -> tuple[int, str]:
    """Where the network begins: the last place before its first product that a single value passes.

    Raw MFCC reach several hundred: what centres and scales them must stay in 32 bits too.
    """
    first = next(i for i, node in enumerate(nodes) if network & {*node.input, *node.output})
    product = next((i for i, node in enumerate(nodes) if i >= first and node.op_type in PRODUCTS), first)
    for place in range(product, first - 1, -1):
        made = {name for node in nodes[:place] for name in node.output} - constants
        passed = made & {name for node in nodes[place:] for name in node.input}
        if len(passed) == 1:
            return place, passed.pop()
    raise ExportError("A model that averages several feature sets has no mobile form; export its members alone.")


def _folded(model: onnx.ModelProto, samples: int) -> onnx.ModelProto:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_free_dimension_override_by_name("batch", 1)
    options.add_free_dimension_override_by_name("samples", samples)
    # Beyond "basic" onnxruntime writes operators of its own.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with scratch() as folder:
        options.optimized_model_filepath = str(folder / "folded.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def _replace(field: Any, values: list[Any]) -> None:
    kept = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(kept)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node by name, words as text."""
    values = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def single(array: Array) -> Array:
    """64-bit numbers as 32-bit ones: phones know no others."""
    return array.astype(np.float32) if array.dtype == np.float64 else array
