"""CNN-LSTM: convolutions find local patterns, a bidirectional LSTM their order, statistics over time the clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from torch import Tensor, nn

from featkit.graph import GraphBuilder
from featkit_backends.layers import BiLSTM, Head, Pyramid
from featkit_backends.neural import NeuralBackend


@dataclass(kw_only=True, eq=False, repr=False)
class CNNLSTM(NeuralBackend):
    """Convolution blocks → bidirectional LSTM → mean and deviation over time → softmax.

    Parameters
    ----------
    channels
        Filters of each block: convolution, batch norm, ReLU, maximum of pairs. The first convolves 5 frames and keeps
        every second, the others convolve 3.
    hidden
        Units of the LSTM in each direction.
    levels
        "last": the statistics are those of the last layer; "all": of the frames and of every layer above them.
    dropout
        Share of values dropped before the last layer, in training only.
    others
        See `featkit_backends.neural.NeuralBackend`.
    """

    name: ClassVar[str] = "cnn_lstm"
    choices: ClassVar[Mapping[str, Sequence[str]]] = MappingProxyType(
        {**NeuralBackend.choices, "levels": ("all", "last")}
    )

    channels: tuple[int, ...] = (64, 128)
    hidden: int = 64
    levels: Literal["all", "last"] = "last"
    dropout: float = 0.5
    lr: float = 2e-3

    def _module(self, dims: int, classes: int) -> nn.Module:
        return _Network(dims, self.channels, self.hidden, self.levels, self.dropout, classes)


class _Network(nn.Module):
    def __init__(
        self, dims: int, channels: Sequence[int], hidden: int, levels: str, dropout: float, classes: int
    ) -> None:
        super().__init__()
        self.pyramid = Pyramid(dims, channels, short=True)
        self.lstm = BiLSTM(channels[-1], hidden)
        widths = [dims, *channels, 2 * hidden]
        self.heard = slice(None) if levels == "all" else slice(-1, None)
        self.head = Head(widths[self.heard], classes, dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        levels = self.pyramid(x, lengths)
        levels.append((self.lstm(*levels[-1]), levels[-1][1]))
        logits: Tensor = self.head(*levels[self.heard])
        return logits

    def add(self, g: GraphBuilder, x: str) -> str:
        levels = self.pyramid.add(g, x)
        levels.append(self.lstm.add(g, levels[-1]))
        return self.head.add(g, *levels[self.heard])
