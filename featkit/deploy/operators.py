"""ONNX operators in torch: one small function for each that our graphs use, at fixed shapes.

They are written so that the converter to TFLite knows what they are made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import onnx
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  its usual name

Operator: TypeAlias = Callable[[Any, dict[str, Any]], Any]
"""(inputs, attributes) -> a tensor, or several. Inputs are tensors, or arrays of whole numbers; None where left out."""


def _ints(value: Any) -> list[int]:
    return [int(i) for i in value.reshape(-1).tolist()]


def _axes(inputs: Any, settings: dict[str, Any], x: Tensor) -> list[int]:
    """Axes given as second input or as attribute; all where neither is."""
    given = inputs[1] if len(inputs) > 1 else None
    return _ints(given) if given is not None else list(settings.get("axes") or range(x.ndim))


def _reduce(kind: Callable[..., Tensor]) -> Operator:
    def apply(inputs: Any, settings: dict[str, Any]) -> Tensor:
        return kind(inputs[0], dim=_axes(inputs, settings, inputs[0]), keepdim=bool(settings.get("keepdims", 1)))

    return apply


def _fold(kind: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def apply(inputs: Any, settings: dict[str, Any]) -> Tensor:
        found: Tensor = inputs[0]
        for other in inputs[1:]:
            found = kind(found, other)
        return found

    return apply


def _each(kind: Callable[[Tensor], Tensor]) -> Operator:
    return lambda inputs, settings: kind(inputs[0])


def _pad(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x, pads = inputs[0], _ints(inputs[1])
    mode = settings.get("mode", "constant")
    for axis in range(x.ndim):
        before, after = pads[axis], pads[axis + x.ndim]
        if before or after:
            x = torch.cat(_padding(x, axis, before, after, mode), dim=axis)
    found: Tensor = x
    return found


def _padding(x: Tensor, axis: int, before: int, after: int, mode: str) -> list[Tensor]:
    """What stands before, the values, and what stands behind, along one axis."""
    n = x.shape[axis]
    if mode == "constant":
        sides = [x.new_zeros([*x.shape[:axis], size, *x.shape[axis + 1 :]]) for size in (before, after)]
    elif mode == "edge":
        sides = [x.narrow(axis, place, 1) for place in (0, n - 1)]
        sides = [torch.cat([side] * size, dim=axis) if size else side.narrow(axis, 0, 0)
                 for side, size in zip(sides, (before, after), strict=True)]  # fmt: skip
    else:  # reflect
        sides = [x.narrow(axis, 1, before).flip(axis), x.narrow(axis, n - 1 - after, after).flip(axis)]
    return [part for part, size in zip([sides[0], x, sides[1]], (before, n, after), strict=True) if size]


def _reshape(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x: Tensor = inputs[0]
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(_ints(inputs[1]))])


def _flatten(inputs: Any, settings: dict[str, Any]) -> Tensor:
    """Always two axes."""
    x: Tensor = inputs[0]
    axis = settings.get("axis", 1) % x.ndim
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _gather(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x, index = inputs
    axis = settings.get("axis", 0) % x.ndim
    places = torch.tensor([place % x.shape[axis] for place in _ints(index)])
    rows = x.index_select(axis, places)
    found: Tensor = rows.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])
    return found


def _matmul(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x, y = inputs
    # As a linear layer it can be quantised column by column.
    if y.ndim == 2 and x.ndim > 1:
        return F.linear(x, y.t())
    found: Tensor = x @ y
    return found


def _gemm(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x, y = inputs[:2]
    x = x.t() if settings.get("transA") else x
    y = y if settings.get("transB") else y.t()
    product = F.linear(x, y) * settings.get("alpha", 1.0) if settings.get("alpha", 1.0) != 1 else F.linear(x, y)
    return product if len(inputs) < 3 else product + settings.get("beta", 1.0) * inputs[2]


def _conv(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x, weight, bias = (*inputs, None)[:3]
    pads = settings.get("pads") or [0, 0]
    strides, dilations = settings.get("strides") or [1], settings.get("dilations") or [1]
    padded = F.pad(x, (pads[0], pads[1])) if pads[0] != pads[1] else x
    same = pads[0] if pads[0] == pads[1] else 0
    return F.conv1d(padded, weight, bias, strides[0], same, dilations[0], settings.get("group", 1))


def _max_pool(inputs: Any, settings: dict[str, Any]) -> Tensor:
    """Windows side by side; the last may be shorter."""
    x, size = inputs[0], settings["kernel_shape"][0]
    if rest := -x.shape[2] % size:  # the last value again changes no maximum
        x = torch.cat([x, *([x[:, :, -1:]] * rest)], dim=2)
    found: Tensor = x.reshape(*x.shape[:2], -1, size).amax(dim=3)
    return found


def _slice(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x, starts, ends = inputs[0], _ints(inputs[1]), _ints(inputs[2])
    axes = _ints(inputs[3]) if len(inputs) > 3 and inputs[3] is not None else range(len(starts))
    for axis, start, end in zip(axes, starts, ends, strict=True):
        n = x.shape[axis]
        first, last = (max(0, min(n, place + n if place < 0 else place)) for place in (start, end))
        x = x.narrow(axis, first, last - first)
    found: Tensor = x
    return found


def _squeeze(inputs: Any, settings: dict[str, Any]) -> Tensor:
    found: Tensor = inputs[0].squeeze(tuple(_axes(inputs, settings, inputs[0])))
    return found


def _unsqueeze(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x: Tensor = inputs[0]
    for axis in sorted(_axes(inputs, settings, x)):
        x = x.unsqueeze(axis)
    return x


def _split(inputs: Any, settings: dict[str, Any]) -> Sequence[Tensor]:
    x, axis = inputs[0], settings.get("axis", 0)
    if len(inputs) > 1 and inputs[1] is not None:
        return torch.split(x, _ints(inputs[1]), dim=axis)
    return torch.chunk(x, settings["num_outputs"], dim=axis)


def _clip(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x, low, high = (*inputs, None, None)[:3]
    x = x if low is None else torch.maximum(x, low)
    found: Tensor = x if high is None else torch.minimum(x, high)
    return found


def _layer_norm(inputs: Any, settings: dict[str, Any]) -> Tensor:
    x, weight, bias = (*inputs, None)[:3]
    return F.layer_norm(x, weight.shape, weight, bias, settings.get("epsilon", 1e-5))


def _top_k(inputs: Any, settings: dict[str, Any]) -> Sequence[Tensor]:
    (k,) = _ints(inputs[1])
    x, largest = inputs[0], bool(settings.get("largest", 1))
    # Always sorted: other runtimes know no smallest values either, so they are the largest of the negatives.
    values, places = torch.topk(x if largest else -x, k, dim=settings.get("axis", -1))
    return values if largest else -values, places


def _cast(inputs: Any, settings: dict[str, Any]) -> Tensor:
    whole = settings["to"] in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
    found: Tensor = inputs[0].to(torch.int64 if whole else torch.float32)
    return found


def _lstm(inputs: Any, settings: dict[str, Any]) -> Tensor:
    """x (time, batch, dims) -> (time, directions, batch, hidden), every step written out.

    Both directions go through one product a step, with zeros between them: half as many operators. Gates lie in ONNX's
    order, input, output, forget, cell; in each the directions side by side.
    """
    x, W, R, B = inputs[:4]
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[settings.get("direction", "forward")]
    n, hidden, (time, batch) = len(ways), R.shape[2], x.shape[:2]
    bias = B[:, : 4 * hidden] + B[:, 4 * hidden :]
    rows = [F.linear(x.flip(0) if back else x, W[i], bias[i]) for i, back in enumerate(ways)]
    given = torch.stack([row.reshape(time, batch, 4, hidden) for row in rows], dim=3).reshape(time, batch, -1)
    gates = [R[:, i * hidden : (i + 1) * hidden] for i in range(4)]
    inner = torch.cat([torch.block_diag(*gate) for gate in gates])  # type: ignore[no-untyped-call]
    states = torch.stack(_steps(given, inner, n * hidden)).reshape(time, batch, n, hidden)
    sides = [states[:, :, i].flip(0) if back else states[:, :, i] for i, back in enumerate(ways)]
    return torch.stack(sides, dim=1)


def _steps(given: Tensor, inner: Tensor, width: int) -> list[Tensor]:
    """What each step gives on: (time, batch, 4 * width) -> time times (batch, width)."""
    h = c = given.new_zeros(given.shape[1], width)
    states = []
    for step in range(given.shape[0]):
        gates = given[step] + F.linear(h, inner)
        opened = torch.sigmoid(gates[:, : 3 * width])
        c = opened[:, 2 * width :] * c + opened[:, :width] * torch.tanh(gates[:, 3 * width :])
        h = opened[:, width : 2 * width] * torch.tanh(c)
        states.append(h)
    return states


OPERATORS: dict[str, Operator] = {
    "Identity": _each(lambda x: x), "Abs": _each(torch.abs), "Erf": _each(torch.erf), "Exp": _each(torch.exp),
    "Floor": _each(torch.floor), "Log": _each(torch.log), "Neg": _each(torch.neg), "Relu": _each(torch.relu),
    "Sigmoid": _each(torch.sigmoid), "Sqrt": _each(torch.sqrt), "Tanh": _each(torch.tanh),
    "Add": _fold(torch.add), "Div": _fold(torch.div), "Max": _fold(torch.maximum), "Min": _fold(torch.minimum),
    "Mul": _fold(torch.mul), "Pow": _fold(torch.pow), "Sub": _fold(torch.sub),
    "Mean": lambda inputs, settings: torch.stack(inputs).mean(dim=0),
    "ReduceMax": _reduce(torch.amax), "ReduceMean": _reduce(torch.mean), "ReduceMin": _reduce(torch.amin),
    "ReduceSum": _reduce(torch.sum),
    "Cast": _cast, "Clip": _clip,
    "Concat": lambda inputs, settings: torch.cat(inputs, dim=settings["axis"]),
    "Conv": _conv,
    "Flatten": _flatten,
    "Gather": _gather, "Gemm": _gemm, "LSTM": _lstm, "LayerNormalization": _layer_norm, "MatMul": _matmul,
    "MaxPool": _max_pool, "Pad": _pad, "Reshape": _reshape, "Slice": _slice,
    "Softmax": lambda inputs, settings: torch.softmax(inputs[0], dim=settings.get("axis", -1)),
    "Split": _split, "Squeeze": _squeeze, "TopK": _top_k,
    "Transpose": lambda inputs, settings: inputs[0].permute(settings["perm"]),
    "Unsqueeze": _unsqueeze,
}  # fmt: skip
"""How each operator is done."""
