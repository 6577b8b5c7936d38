"""Multi-layer perceptron over functionals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor, nn

from featkit.graph import GraphBuilder
from featkit_backends.layers import add_linear
from featkit_backends.neural import NeuralBackend


@dataclass(kw_only=True, eq=False, repr=False)
class MLP(NeuralBackend):
    """Dense layers with ReLU and dropout → softmax.

    ``crop``, ``segment``, ``centre`` and ``mask_time`` mean nothing here: a clip is one row.

    Parameters
    ----------
    hidden
        Units of each layer.
    dropout
        Share of values dropped behind each layer, in training only.
    others
        See `featkit_backends.neural.NeuralBackend`.
    """

    name: ClassVar[str] = "mlp"
    consumes: ClassVar[Any] = "functionals"

    space: ClassVar[Mapping[str, Sequence[Any]]] = MappingProxyType(
        # Functionals have no frames to mask.
        {key: values for key, values in NeuralBackend.space.items() if key != "mask_time"}
        | {"hidden": ((128,), (256, 128), (512, 256))}
    )

    hidden: tuple[int, ...] = (256, 128)
    dropout: float = 0.5
    epochs: int = 30
    weight_decay: float = 0.1

    def _module(self, dims: int, classes: int) -> nn.Module:
        return _Network(dims, self.hidden, self.dropout, classes)


class _Network(nn.Module):
    def __init__(self, dims: int, hidden: tuple[int, ...], dropout: float, classes: int) -> None:
        super().__init__()
        sizes = [dims, *hidden]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(sizes[-1], classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = x[:, 0]  # functionals are clips of one frame
        for layer in self.layers:
            x = self.dropout(layer(x).relu())
        logits: Tensor = self.last(x)
        return logits

    def add(self, g: GraphBuilder, x: str) -> str:
        x = g.op("Squeeze", x, g.ints(1))
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            x = g.op("Relu", add_linear(g, x, layer))
        return add_linear(g, x, self.last)
