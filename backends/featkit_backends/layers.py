"""Layers of the neural backends. Each knows two things: ``forward`` in torch, and ``add``, the same as ONNX nodes.

Graphs written by hand hold at any batch and length and take hundredths of a second; torch's exporter takes 5 to 40 s.
In training clips stand zero-padded in a batch, and ``real`` (batch, time) says which frames are theirs. An exported
graph sees no padding, so ``add`` needs no mask.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from featkit.errors import DataError
from featkit.graph import GraphBuilder


def mask(lengths: Tensor, time: int) -> Tensor:
    """True where a frame is real. (batch,) -> (batch, time)."""
    return torch.arange(time, device=lengths.device) < lengths[:, None]


class FrameNorm(nn.BatchNorm1d):
    """Batch norm whose statistics are those of real frames only."""

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """(batch, channels, time) -> the same. In training ``real`` (batch, time) tells frames from padding."""
        if not self.training or real is None or bool(real.all()):
            normed: Tensor = super().forward(x)
            return normed
        weight = real[:, None].to(x.dtype)
        count = weight.sum()
        mean = (x * weight).sum((0, 2)) / count
        centred = x - mean[:, None]
        variance = ((centred * weight) ** 2).sum((0, 2)) / count
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            # As torch does: the stored variance is divided by n - 1.
            unbiased = variance * count / (count - 1).clamp(min=1)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale[:, None] + self.bias[:, None]


class ConvBlock(nn.Module):
    """Convolution over time, batch norm, ReLU, and a maximum over runs of ``pool`` frames.

    Parameters
    ----------
    dims, filters
        Columns in and out.
    kernel, stride
        Of the convolution, in frames; the kernel is odd.
    pool
        Frames that become one; 1 for none.
    """

    def __init__(self, dims: int, filters: int, kernel: int = 3, *, stride: int = 1, pool: int = 1) -> None:
        super().__init__()
        # The norm that follows has a bias of its own.
        self.conv = nn.Conv1d(dims, filters, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = FrameNorm(filters)
        self.pool = pool

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, dims, time) with zeros behind each clip -> (batch, filters, time') likewise, and new lengths."""
        y = self.conv(x)
        lengths = (lengths + self.conv.stride[0] - 1) // self.conv.stride[0]
        real = mask(lengths, y.shape[2])
        # Padding must enter neither the next convolution nor the maximum; after ReLU nothing is below zero.
        y = torch.relu(self.norm(y, real)) * real[:, None]
        if self.pool > 1:
            y = nn.functional.max_pool1d(y, self.pool, ceil_mode=True)
            lengths = (lengths + self.pool - 1) // self.pool
        return y, lengths

    def add(self, g: GraphBuilder, x: str) -> str:
        """(batch, dims, time) -> (batch, filters, time')."""
        y = g.op("Relu", add_conv(g, x, self.conv, self.norm))
        if self.pool > 1:
            y = g.op("MaxPool", y, kernel_shape=[self.pool], strides=[self.pool], ceil_mode=1)
        return str(y)


class BiLSTM(nn.Module):
    """One LSTM forwards and one backwards over (batch, time, dims).

    The backward one reads every clip reversed within its own length. torch's packed sequences do the same and take
    twice as long.
    """

    def __init__(self, dims: int, hidden: int) -> None:
        super().__init__()
        self.forwards = nn.LSTM(dims, hidden, batch_first=True)
        self.backwards = nn.LSTM(dims, hidden, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time, dims) -> (batch, time, 2 * hidden); what stands behind a clip means nothing."""
        place = torch.arange(x.shape[1], device=x.device)
        # A frame and its mirror image change places; padding stays where it is.
        mirror = torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)[:, :, None]
        ahead = self.forwards(x)[0]
        back = self.backwards(x.gather(1, mirror.expand_as(x)))[0]
        return torch.cat([ahead, back.gather(1, mirror.expand_as(back))], dim=2)

    def add(self, g: GraphBuilder, x: str) -> str:
        """(batch, time, dims) -> (batch, time, 2 * hidden)."""
        weights = [g.constant(table) for table in self._onnx_weights()]
        hidden = self.forwards.hidden_size
        x = g.op("Transpose", x, perm=[1, 0, 2])  # ONNX's LSTM reads time first
        y = g.op("LSTM", x, *weights, hidden_size=hidden, direction="bidirectional", outputs=3)[0]
        y = g.op("Transpose", y, perm=[2, 0, 1, 3])  # (time, 2, batch, hidden) -> (batch, time, 2, hidden)
        return str(g.op("Reshape", y, g.ints(0, 0, 2 * hidden)))

    def _onnx_weights(self) -> list[npt.NDArray[Any]]:
        """W, R, B. torch stacks the gates input, forget, cell, output; ONNX input, output, forget, cell."""

        def gates(lstm: nn.LSTM, name: str) -> npt.NDArray[Any]:
            parts = np.split(_numbers(getattr(lstm, f"{name}_l0")), 4)
            return np.concatenate([parts[i] for i in (0, 3, 1, 2)])

        sides = (self.forwards, self.backwards)
        W, R = (np.stack([gates(side, name) for side in sides]) for name in ("weight_ih", "weight_hh"))
        B = np.stack([np.concatenate([gates(side, "bias_ih"), gates(side, "bias_hh")]) for side in sides])
        return [W, R, B]


class StatisticsPool(nn.Module):
    """Mean and standard deviation over the real frames of a clip, side by side."""

    _FLOOR = 1e-5  # variance below which the root would have no gradient

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time, dims) -> (batch, 2 * dims)."""
        weight = mask(lengths, x.shape[1])[:, :, None] / lengths[:, None, None]
        mean = (x * weight).sum(1)
        variance = ((x - mean[:, None]) ** 2 * weight).sum(1)
        return torch.cat([mean, torch.sqrt(variance + self._FLOOR)], dim=1)

    def add(self, g: GraphBuilder, x: str) -> str:
        """(batch, time, dims) -> (batch, 2 * dims)."""
        mean = g.op("ReduceMean", x, g.ints(1), keepdims=1)
        centred = g.op("Sub", x, mean)
        variance = g.op("ReduceMean", g.op("Mul", centred, centred), g.ints(1), keepdims=0)
        deviation = g.op("Sqrt", g.op("Add", variance, g.constant([self._FLOOR])))
        return str(g.op("Concat", g.op("Squeeze", mean, g.ints(1)), deviation, axis=1))


class Attention(nn.Module):
    """Norm, then multi-head self-attention that looks at real frames only. Source: Vaswani et al. (2017), section 3.2.

    Parameters
    ----------
    width, heads
        Values of a frame, a multiple of the number of heads.
    dropout
        Share of the output's values dropped, in training only.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise DataError(f"width must be a multiple of heads; they are {width} and {heads}.")
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(batch, time, width) -> the same."""
        batch, time, width = x.shape
        q, k, v = self.qkv(self.norm(x)).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = None if bool(real.all()) else real[:, None, None, :]
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        attended: Tensor = self.dropout(self.out(y.transpose(1, 2).reshape(batch, time, width)))
        return attended

    def add(self, g: GraphBuilder, x: str) -> str:
        """(batch, time, width) -> the same."""
        width = self.out.in_features
        size = width // self.heads
        table = add_linear(g, add_layer_norm(g, x, self.norm), self.qkv)
        heads = g.op("Reshape", table, g.ints(0, 0, 3, self.heads, size))
        heads = g.op("Transpose", heads, perm=[2, 0, 3, 1, 4])
        q, k, v = (g.op("Gather", heads, g.constant(i, np.int64), axis=0) for i in range(3))
        scores = add_scaled(g, g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), 1 / math.sqrt(size))
        y = g.op("MatMul", g.op("Softmax", scores, axis=-1), v)
        y = g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), g.ints(0, 0, width))
        return add_linear(g, y, self.out)


class Convolution(nn.Module):
    """Norm, gated linear unit, convolution of every column by itself, batch norm, swish, linear layer.

    Source: Gulati et al. (2020), figure 2.
    """

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise DataError(f"kernel must be odd; it is {kernel}.")
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        self.batch_norm = FrameNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(batch, time, width) -> the same."""
        y = nn.functional.glu(self.gate(self.norm(x))) * real[:, :, None]
        y = self.batch_norm(self.depthwise(y.transpose(1, 2)), real)
        out: Tensor = self.dropout(self.out(nn.functional.silu(y).transpose(1, 2)))
        return out

    def add(self, g: GraphBuilder, x: str) -> str:
        """(batch, time, width) -> the same."""
        value, gate = g.op("Split", add_linear(g, add_layer_norm(g, x, self.norm), self.gate), outputs=2, axis=-1,
                           num_outputs=2)  # fmt: skip
        y = g.op("Transpose", g.op("Mul", value, g.op("Sigmoid", gate)), perm=[0, 2, 1])
        y = g.op("Transpose", add_conv(g, y, self.depthwise, self.batch_norm), perm=[0, 2, 1])
        return add_linear(g, add_swish(g, y), self.out)


class FeedForward(nn.Module):
    """Norm, wide layer, swish, narrow layer."""

    def __init__(self, width: int, factor: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, factor * width)
        self.narrow = nn.Linear(factor * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) -> the same."""
        y = self.dropout(nn.functional.silu(self.wide(self.norm(x))))
        out: Tensor = self.dropout(self.narrow(y))
        return out

    def add(self, g: GraphBuilder, x: str) -> str:
        """(…, width) -> the same."""
        return add_linear(g, add_swish(g, add_linear(g, add_layer_norm(g, x, self.norm), self.wide)), self.narrow)


class Positions(nn.Module):
    """Adds sines and cosines of the frame number: attention has no order. Source: Vaswani et al., section 3.5."""

    def __init__(self, width: int) -> None:
        super().__init__()
        rates = torch.exp(-math.log(10_000) * torch.arange(0, width, 2) / width)
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) -> the same."""
        rates = self.rates
        assert isinstance(rates, Tensor)
        angles = torch.arange(x.shape[1], device=x.device, dtype=torch.float32)[:, None] * rates
        return x + torch.cat([angles.sin(), angles.cos()], dim=1).to(x.dtype)

    def add(self, g: GraphBuilder, x: str) -> str:
        """(batch, time, width) -> the same."""
        rates = self.rates
        assert isinstance(rates, Tensor)
        time = g.op("Squeeze", g.op("Shape", x, start=1, end=2))
        count = g.op("Range", g.constant(0, np.int64), time, g.constant(1, np.int64))
        angles = g.op("Mul", g.op("Unsqueeze", g.op("Cast", count, to=1), g.ints(1)), g.constant(_numbers(rates)))
        return str(g.op("Add", x, g.op("Concat", g.op("Sin", angles), g.op("Cos", angles), axis=1)))


class Subsample(nn.Module):
    """Two convolutions of stride 2, so that attention sees frames of 40 ms instead of 10 and costs a sixteenth."""

    def __init__(self, dims: int, width: int) -> None:
        super().__init__()
        self.first = ConvBlock(dims, width, kernel=5, stride=2)
        self.second = ConvBlock(width, width, kernel=3, stride=2)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, time, dims) -> (batch, time / 4, width), and new lengths."""
        x, lengths = self.second(*self.first(x.transpose(1, 2), lengths))
        return x.transpose(1, 2), lengths

    def add(self, g: GraphBuilder, x: str) -> str:
        """(batch, time, dims) -> (batch, time / 4, width)."""
        x = self.second.add(g, self.first.add(g, g.op("Transpose", x, perm=[0, 2, 1])))
        return str(g.op("Transpose", x, perm=[0, 2, 1]))


class Pyramid(nn.Module):
    """Convolution blocks one above the other, each of which sees fewer, longer frames.

    The first convolves 5 frames and keeps every second, the others convolve 3. Each keeps the maximum of pairs, but the
    first only where ``short``: that halves the frames of all levels above it.
    """

    def __init__(self, dims: int, channels: Sequence[int], *, short: bool = False) -> None:
        super().__init__()
        if not channels:
            raise DataError("channels must name the filters of one block at least, as in channels=(64,128).")
        first = ConvBlock(dims, channels[0], kernel=5, stride=2, pool=2 if short else 1)
        rest = [ConvBlock(a, b, pool=2) for a, b in itertools.pairwise(channels)]
        self.blocks = nn.ModuleList([first, *rest])

    def forward(self, x: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(batch, time, dims) -> every level from the frames up: (batch, time', filters) and lengths."""
        levels = [(x, lengths)]
        for block in self.blocks:
            x, lengths = levels[-1]
            y, lengths = block(x.transpose(1, 2), lengths)
            levels.append((y.transpose(1, 2), lengths))
        return levels

    def add(self, g: GraphBuilder, x: str) -> list[str]:
        """(batch, time, dims) -> every level from the frames up."""
        levels = [x]
        for block in self.blocks:
            assert isinstance(block, ConvBlock)
            y = block.add(g, g.op("Transpose", levels[-1], perm=[0, 2, 1]))
            levels.append(g.op("Transpose", y, perm=[0, 2, 1]))
        return levels


class Head(nn.Module):
    """Statistics over time, batch norm, dropout, one linear layer: frames of any length → logits.

    It may hear several layers of a network at once, as the paper on multi-level pooling does (Tang et al., 2019, "Deep
    speaker embedding learning with multi-level pooling", ICASSP): the statistics of early layers are those that
    classical functionals are made of.

    Parameters
    ----------
    widths
        Columns of each layer that it hears.
    classes
        Logits.
    dropout
        Share of the statistics dropped, in training only.
    """

    def __init__(self, widths: Sequence[int], classes: int, dropout: float) -> None:
        super().__init__()
        self.pool = StatisticsPool()
        self.norm = nn.BatchNorm1d(2 * sum(widths))
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(2 * sum(widths), classes)

    def forward(self, *layers: tuple[Tensor, Tensor]) -> Tensor:
        """Pairs of (batch, time, width) and lengths (batch,) -> (batch, classes)."""
        statistics = torch.cat([self.pool(x, lengths) for x, lengths in layers], dim=1)
        logits: Tensor = self.last(self.dropout(self.norm(statistics)))
        return logits

    def add(self, g: GraphBuilder, *layers: str) -> str:
        """(batch, time, width) each -> (batch, classes)."""
        statistics = [self.pool.add(g, x) for x in layers]
        x = statistics[0] if len(statistics) == 1 else g.op("Concat", *statistics, axis=1)
        factor, bias = folded(self.norm)
        x = g.op("Add", g.op("Mul", x, g.constant(_numbers(factor))), g.constant(_numbers(bias)))
        return add_linear(g, x, self.last)


def add_conv(g: GraphBuilder, x: str, conv: nn.Conv1d, norm: nn.BatchNorm1d) -> str:
    """Convolution with the batch norm of evaluation mode folded in. (batch, dims, time) -> (batch, filters, time)."""
    factor, bias = folded(norm)
    weight = conv.weight * factor[:, None, None]
    return str(
        g.op(
            "Conv", x, g.constant(_numbers(weight)), g.constant(_numbers(bias)), pads=[int(conv.padding[0])] * 2,
            strides=list(conv.stride), group=conv.groups,
        )
    )  # fmt: skip


def folded(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Batch norm of evaluation mode as factor and bias of each column."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return factor, norm.bias - norm.running_mean * factor


def add_linear(g: GraphBuilder, x: str, layer: nn.Linear) -> str:
    """``nn.Linear`` as nodes. (…, in) -> (…, out)."""
    return str(g.op("Add", g.op("MatMul", x, g.constant(_numbers(layer.weight).T)), g.constant(_numbers(layer.bias))))


def add_layer_norm(g: GraphBuilder, x: str, norm: nn.LayerNorm) -> str:
    """``nn.LayerNorm`` over the last axis as a node."""
    weight, bias = g.constant(_numbers(norm.weight)), g.constant(_numbers(norm.bias))
    return str(g.op("LayerNormalization", x, weight, bias, epsilon=norm.eps))


def add_scaled(g: GraphBuilder, x: str, factor: float) -> str:
    """X times a number."""
    return str(g.op("Mul", x, g.constant([factor])))


def add_swish(g: GraphBuilder, x: str) -> str:
    """X times its logistic."""
    return str(g.op("Mul", x, g.op("Sigmoid", x)))


def _numbers(tensor: Tensor) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = tensor.detach().float().cpu().numpy()
    return array
