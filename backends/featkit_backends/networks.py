"""Networks side by side, and networks and their segments as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featkit.graph import GraphBuilder, convert_module
from featkit_backends import training


class Ensemble(nn.Module):
    """Networks that answer as one: the logarithm of their mean probability. In training each answers for itself."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def parameter_groups(self, decay: float) -> list[dict[str, Any]]:
        """Those of every member."""
        return [group for member in self.members for group in training.parameter_groups(member, decay)]

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time, dims) -> (batch, classes); in training (members * batch, classes)."""
        logits = [member(x, lengths) for member in self.members]
        if self.training:
            return torch.cat(logits)
        return torch.stack([torch.log_softmax(each, dim=1) for each in logits]).logsumexp(0) - math.log(len(logits))


class _WithoutLengths(nn.Module):
    """A network as an exported graph sees it: no clip is padded."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.full((x.shape[0],), x.shape[1], device=x.device)
        logits: Tensor = self.module(x, lengths)
        return logits


def add_network(g: GraphBuilder, x: str, network: nn.Module, dims: int) -> str:
    """By its own ``add`` where it has one, else by torch's exporter."""
    add = getattr(network, "add", None)
    if add is not None:
        return str(add(g, x))
    example = np.random.default_rng(0).standard_normal((2, 101, dims), np.float32)
    return g.include(convert_module(_WithoutLengths(network), example, "logits"), x)


def add_segments(g: GraphBuilder, x: str, segment: int, dims: int) -> tuple[str, str]:
    """`featkit_backends.batches.segments` as nodes. (batch, time, dims) -> (batch * n, length, dims) and [n]."""
    one = g.ints(1)
    time = g.op("Shape", x, start=1, end=2)
    length = g.op("Min", time, g.ints(segment))
    n = g.op("Max", g.op("Div", g.op("Add", time, g.ints(segment - 2)), g.ints(segment)), one)
    zero, step = g.constant(0, np.int64), g.constant(1, np.int64)
    room = g.op("Mul", g.op("Range", zero, g.op("Squeeze", n), step), g.op("Sub", time, length))
    starts = g.op("Div", room, g.op("Max", g.op("Sub", n, one), one))
    inside = g.op("Range", zero, g.op("Squeeze", length), step)
    places = g.op("Add", g.op("Unsqueeze", starts, one), inside)
    cut = g.op("Gather", x, places, axis=1)  # (batch, n, length, dims)
    return str(g.op("Reshape", cut, g.op("Concat", g.ints(-1), length, g.ints(dims), axis=0))), str(n)
