"""Conformer: a transformer with a convolution in every layer, for what is near as well as for what is far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from featkit.graph import GraphBuilder
from featkit_backends.layers import Attention, Convolution, FeedForward, add_layer_norm, add_scaled
from featkit_backends.neural import NeuralBackend
from featkit_backends.transformer import Encoder


@dataclass(kw_only=True, eq=False, repr=False)
class Conformer(NeuralBackend):
    """Convolutions to a quarter of the frames → conformer layers → mean and deviation over time → softmax.

    Positions are added once, as sines, where the original attends by relative position. Source: Gulati et al. (2020),
    "Conformer: convolution-augmented transformer for speech recognition", Interspeech.

    Parameters
    ----------
    width
        Values of a frame inside the encoder; a multiple of ``heads``.
    layers, heads
        Conformer layers, and attention heads of each.
    kernel
        Frames, of 40 ms, that the convolution of a layer sees; odd.
    dropout
        Share of values dropped in every layer and before the last one, in training only.
    others
        See `featkit_backends.neural.NeuralBackend`.
    """

    name: ClassVar[str] = "conformer"

    width: int = 96
    layers: int = 2
    heads: int = 4
    kernel: int = 15
    dropout: float = 0.2

    def _module(self, dims: int, classes: int) -> nn.Module:
        layers = [_Layer(self.width, self.heads, self.kernel, self.dropout) for _ in range(self.layers)]
        return Encoder(dims, self.width, layers, classes, self.dropout)


class _Layer(nn.Module):
    """Half a feed-forward part, attention, convolution, the other half, norm: equation 1 of the paper."""

    def __init__(self, width: int, heads: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.first = FeedForward(width, 4, dropout)
        self.attention = Attention(width, heads, dropout)
        self.convolution = Convolution(width, kernel, dropout)
        self.second = FeedForward(width, 4, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = x + 0.5 * self.first(x)
        x = x + self.attention(x, real)
        x = x + self.convolution(x, real)
        x = x + 0.5 * self.second(x)
        out: Tensor = self.norm(x)
        return out

    def add(self, g: GraphBuilder, x: str) -> str:
        x = g.op("Add", x, add_scaled(g, self.first.add(g, x), 0.5))
        x = g.op("Add", x, self.attention.add(g, x))
        x = g.op("Add", x, self.convolution.add(g, x))
        x = g.op("Add", x, add_scaled(g, self.second.add(g, x), 0.5))
        return add_layer_norm(g, x, self.norm)
