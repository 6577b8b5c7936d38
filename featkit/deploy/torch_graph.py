"""A graph of fixed shapes as a torch module, in two parts: features, and the network behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from featkit.deploy.fixed import FixedGraph, attributes, single
from featkit.deploy.operators import OPERATORS, Operator
from featkit.deploy.source import PROBABILITIES
from featkit.errors import ExportError


class WaveToProbabilities(nn.Module):
    """wave (1, samples) -> probabilities (1, classes). Its two parts give their names to the operators inside."""

    def __init__(self, graph: FixedGraph, own: Mapping[str, Operator] = MappingProxyType({})) -> None:
        """``own`` takes the place of operators of the same name."""
        super().__init__()
        operators = OPERATORS | dict(own)
        _require_known([*graph.front, *graph.network], operators)
        self.front = Front(graph.front, graph.constants, "wave", graph.passed, operators)
        self.network = Network(graph.network, graph.constants, graph.passed, PROBABILITIES, operators)

    def forward(self, wave: Tensor) -> Tensor:
        """All of it."""
        probabilities: Tensor = self.network(self.front(wave))
        return probabilities


class _Part(nn.Module):
    def __init__(
        self, nodes: Sequence[onnx.NodeProto], constants: dict[str, Any], first: str, last: str,
        operators: Mapping[str, Operator],
    ) -> None:  # fmt: skip
        super().__init__()
        self._operators = operators
        self._nodes = [(node, attributes(node)) for node in nodes]
        self._first, self._last = first, last
        used = sorted({name for node in nodes for name in node.input} & constants.keys())
        # Whole numbers are shapes, axes and places: no tensors, so that every shape is known when torch traces.
        self._whole = {name: constants[name] for name in used if constants[name].dtype.kind in "iub"}
        self._places = {name: f"constant_{i}" for i, name in enumerate(used) if name not in self._whole}
        for name, place in self._places.items():
            self.register_buffer(place, torch.from_numpy(single(constants[name]).copy()))

    def forward(self, x: Tensor) -> Tensor:
        values: dict[str, Any] = dict(self._whole)
        values |= {name: getattr(self, place) for name, place in self._places.items()}
        values[self._first] = x
        for node, settings in self._nodes:
            found = self._operators[node.op_type]([values[name] if name else None for name in node.input], settings)
            outputs = found if isinstance(found, (tuple, list)) else (found,)
            values.update(zip(node.output, outputs, strict=False))
        answer: Tensor = values[self._last]
        return answer


class Front(_Part):
    """Wave → features: stays in 32 bits."""


class Network(_Part):
    """Features → probabilities: may be quantised."""


def _require_known(nodes: Sequence[onnx.NodeProto], operators: Mapping[str, Operator]) -> None:
    unknown = sorted({node.op_type for node in nodes} - operators.keys())
    if unknown:
        raise ExportError(
            f"The model holds operators that have no mobile form: {', '.join(unknown)}. Networks have one (cnn_lstm, "
            "tdnn, transformer, conformer, mlp); for others use --to ort."
        )
