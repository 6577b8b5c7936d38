"""CNN-LSTM: convolutions find local patterns, a bidirectional LSTM their order, an average over time the clip."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from featkit.graph import GraphBuilder
from featkit_backends.frames import FramesBackend, mask


class CNNLSTM(FramesBackend):
    """Conv1d blocks → bidirectional LSTM → mean over time → LayerNorm → dropout → softmax.

    Parameters
    ----------
    channels
        Filters of each block: convolution over 3 frames, batch norm, ReLU, maximum over pairs of frames.
    hidden
        Units of the LSTM in each direction.
    dropout
        Share of values dropped before the last layer, in training only.
    epochs, batch_size, lr, weight_decay, plateau_factor, plateau_patience, patience, validation, class_weight, \
random_state, progress
        See `FramesBackend`.
    """

    name: ClassVar[str] = "cnn_lstm"

    def __init__(
        self,
        channels: tuple[int, ...] = (64, 128),
        hidden: int = 64,
        dropout: float = 0.5,
        epochs: int = 60,
        batch_size: int = 32,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        plateau_factor: float = 0.7,
        plateau_patience: int = 3,
        patience: int = 15,
        validation: float = 0.2,
        class_weight: Literal["balanced"] | None = "balanced",
        random_state: int | None = 0,
        progress: bool = False,
    ) -> None:
        super().__init__(
            epochs, batch_size, lr, weight_decay, plateau_factor, plateau_patience, patience, validation,
            class_weight, random_state, progress,
        )  # fmt: skip
        self.channels = channels
        self.hidden = hidden
        self.dropout = dropout

    def _module(self, dims: int, classes: int) -> nn.Module:
        return _Network(dims, self.channels, self.hidden, self.dropout, classes)

    def _add_module(self, g: GraphBuilder, x: str) -> str:
        # Written by hand: 20 nodes that hold at any batch and length, in 0.04 s; torch's exporter takes 5-40 s.
        net = self.module_
        assert isinstance(net, _Network)
        x = g.op("Transpose", x, perm=[0, 2, 1])
        for block in net.blocks:
            assert isinstance(block, _Block)
            weight, bias = block.folded()
            x = g.op("Relu", g.op("Conv", x, g.constant(weight), g.constant(bias), pads=[1, 1]))
            x = g.op("MaxPool", x, kernel_shape=[2], strides=[2], ceil_mode=1)
        x = g.op("Transpose", x, perm=[2, 0, 1])  # (time, batch, channels), as ONNX's LSTM reads
        weights = [g.constant(table) for table in _onnx_lstm(net.lstm)]
        x = g.op("LSTM", x, *weights, hidden_size=self.hidden, direction="bidirectional", outputs=3)[0]
        x = g.op("ReduceMean", x, axes=[0], keepdims=0)  # (time, 2, batch, hidden) -> (2, batch, hidden)
        x = g.op("Reshape", g.op("Transpose", x, perm=[1, 0, 2]), g.ints(0, 2 * self.hidden))
        norm, last = net.norm, net.last
        x = g.op("LayerNormalization", x, *(_constant(g, p) for p in (norm.weight, norm.bias)), epsilon=norm.eps)
        return str(g.op("Gemm", x, _constant(g, last.weight), _constant(g, last.bias), transB=1))


class _Block(nn.Module):
    """Convolution (3 frames, same length), batch norm over real frames only, ReLU, maximum over pairs."""

    def __init__(self, dims: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dims, filters, 3, padding=1)
        self.norm = nn.BatchNorm1d(filters)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, dims, time) with zeros behind each clip -> (batch, filters, time / 2) likewise."""
        real = mask(lengths, x.shape[2])
        y = self.conv(x).transpose(1, 2)
        # Padding must not enter the batch statistics, nor the next convolution.
        z = torch.zeros_like(y)
        z[real] = torch.relu(self.norm(y[real]))
        pooled = nn.functional.max_pool1d(z.transpose(1, 2), 2, ceil_mode=True)
        return pooled, (lengths + 1) // 2

    def folded(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Weights and bias of the convolution with the batch norm of evaluation mode multiplied in."""
        norm = self.norm
        assert norm.running_var is not None
        assert norm.running_mean is not None
        assert self.conv.bias is not None
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = self.conv.weight * factor[:, None, None]
        bias = (self.conv.bias - norm.running_mean) * factor + norm.bias
        return weight.detach().numpy(), bias.detach().numpy()


class _Network(nn.Module):
    def __init__(self, dims: int, channels: tuple[int, ...], hidden: int, dropout: float, classes: int) -> None:
        super().__init__()
        sizes = [dims, *channels]
        self.blocks = nn.ModuleList(_Block(a, b) for a, b in itertools.pairwise(sizes))
        self.lstm = nn.LSTM(sizes[-1], hidden, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        for block in self.blocks:
            x, lengths = block(x, lengths)
        packed = pack_padded_sequence(x.transpose(1, 2), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)  # zeros behind each clip
        mean = states.sum(dim=1) / lengths[:, None]
        logits: Tensor = self.last(self.dropout(self.norm(mean)))
        return logits


def _onnx_lstm(lstm: nn.LSTM) -> list[npt.NDArray[Any]]:
    """W, R, B of ONNX's LSTM. torch stacks the gates input, forget, cell, output; ONNX input, output, forget, cell."""
    order = [0, 3, 1, 2]

    def gates(name: str) -> npt.NDArray[Any]:
        parts = getattr(lstm, name).detach().numpy()
        stacked: npt.NDArray[Any] = np.concatenate([np.split(parts, 4)[i] for i in order])
        return stacked

    sides = ("l0", "l0_reverse")
    W = np.stack([gates(f"weight_ih_{side}") for side in sides])
    R = np.stack([gates(f"weight_hh_{side}") for side in sides])
    B = np.stack([np.concatenate([gates(f"bias_ih_{side}"), gates(f"bias_hh_{side}")]) for side in sides])
    return [W, R, B]


def _constant(g: GraphBuilder, parameter: Tensor) -> str:
    return g.constant(parameter.detach().numpy())
