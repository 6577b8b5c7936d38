"""TDNN: a pyramid of convolutions over time, statistics for the clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from torch import Tensor, nn

from featkit.graph import GraphBuilder
from featkit_backends.layers import Head, Pyramid
from featkit_backends.neural import NeuralBackend


@dataclass(kw_only=True, eq=False, repr=False)
class TDNN(NeuralBackend):
    """Convolution blocks → mean and deviation over time → softmax.

    The smallest of the networks over frames. Source: Snyder et al. (2018), "X-vectors: robust DNN embeddings for
    speaker recognition", ICASSP, with pooling between blocks in place of dilation.

    Parameters
    ----------
    channels
        Filters of each block: convolution, batch norm, ReLU. The first convolves 5 frames and keeps every second; the
        others convolve 3 and keep the maximum of pairs.
    levels
        "last": the statistics are those of the last layer; "all": of the frames and of every layer above them.
    dropout
        Share of the statistics dropped before the last layer, in training only.
    others
        See `featkit_backends.neural.NeuralBackend`.
    """

    name: ClassVar[str] = "tdnn"
    choices: ClassVar[Mapping[str, Sequence[str]]] = MappingProxyType(
        {**NeuralBackend.choices, "levels": ("all", "last")}
    )

    channels: tuple[int, ...] = (64, 96, 128)
    levels: Literal["all", "last"] = "last"
    dropout: float = 0.5
    lr: float = 2e-3

    def _module(self, dims: int, classes: int) -> nn.Module:
        return _Network(dims, self.channels, self.levels, self.dropout, classes)


class _Network(nn.Module):
    def __init__(self, dims: int, channels: Sequence[int], levels: str, dropout: float, classes: int) -> None:
        super().__init__()
        self.pyramid = Pyramid(dims, channels)
        widths = [dims, *channels]
        self.heard = slice(None) if levels == "all" else slice(-1, None)
        self.head = Head(widths[self.heard], classes, dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        logits: Tensor = self.head(*self.pyramid(x, lengths)[self.heard])
        return logits

    def add(self, g: GraphBuilder, x: str) -> str:
        return self.head.add(g, *self.pyramid.add(g, x)[self.heard])
