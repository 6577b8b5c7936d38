"""Transformer encoder: every part of a clip attends to every other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from featkit.graph import GraphBuilder
from featkit_backends.layers import Attention, FeedForward, Head, Positions, Subsample, add_layer_norm, mask
from featkit_backends.neural import NeuralBackend


@dataclass(kw_only=True, eq=False, repr=False)
class Transformer(NeuralBackend):
    """Convolutions to a quarter of the frames → encoder layers → mean and deviation over time → softmax.

    Norms stand before attention and feed-forward parts, which trains without tricks (Xiong et al., 2020). Source:
    Vaswani et al. (2017), "Attention is all you need".

    Parameters
    ----------
    width
        Values of a frame inside the encoder; a multiple of ``heads``.
    layers, heads
        Encoder layers, and attention heads of each.
    dropout
        Share of values dropped in every layer and before the last one, in training only.
    others
        See `featkit_backends.neural.NeuralBackend`.
    """

    name: ClassVar[str] = "transformer"

    width: int = 96
    layers: int = 3
    heads: int = 4
    dropout: float = 0.2

    def _module(self, dims: int, classes: int) -> nn.Module:
        layers = [_Layer(self.width, self.heads, self.dropout) for _ in range(self.layers)]
        return Encoder(dims, self.width, layers, classes, self.dropout)


class Encoder(nn.Module):
    """Subsampling, positions, layers, norm, head: what `transformer` and `conformer` share."""

    def __init__(self, dims: int, width: int, layers: Sequence[nn.Module], classes: int, dropout: float) -> None:
        super().__init__()
        self.subsample = Subsample(dims, width)
        self.positions = Positions(width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)
        self.head = Head([width], classes, dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time, dims) -> (batch, classes)."""
        x, lengths = self.subsample(x, lengths)
        real = mask(lengths, x.shape[1])
        x = self.dropout(self.positions(x))
        for layer in self.layers:
            x = layer(x, real)
        logits: Tensor = self.head((self.norm(x), lengths))
        return logits

    def add(self, g: GraphBuilder, x: str) -> str:
        """(batch, time, dims) -> (batch, classes)."""
        x = self.positions.add(g, self.subsample.add(g, x))
        for layer in self.layers:
            x = layer.add(g, x)  # type: ignore[operator]
        return self.head.add(g, add_layer_norm(g, x, self.norm))


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.feed_forward = FeedForward(width, 4, dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = x + self.attention(x, real)
        out: Tensor = x + self.feed_forward(x)
        return out

    def add(self, g: GraphBuilder, x: str) -> str:
        x = g.op("Add", x, self.attention.add(g, x))
        return str(g.op("Add", x, self.feed_forward.add(g, x)))
