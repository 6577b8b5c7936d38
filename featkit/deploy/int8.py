"""model.onnx with the products of its network in 8 bits. Features stay in 32: MFCC in 8 bits change one label in eight.

*Dynamic*: weights in 8 bits, the ranges of what they multiply are found at run time. *Static*: convolutions and linear
layers in 8 bits throughout, with ranges from calibration clips; LSTMs have no static form and stay dynamic.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from featkit.deploy.clips import Clips
from featkit.deploy.source import PRODUCTS, Source, named_nodes, products, scratch
from featkit.export import as_file, renew_canary
from featkit.graph import quiet


def quantised(source: Source, calibration: Clips | None) -> bytes:
    """A model that `require_network` passed, in 8 bits: static with ``calibration``, else dynamic."""
    nodes = products(source)
    with scratch() as folder, quiet("root"):  # on which the quantiser advises to prepare the model, as is done
        made = _dynamic(source, nodes, folder) if calibration is None else _static(source, nodes, folder, calibration)
    del made.metadata_props[:]  # the quantiser leaves notes of its own
    made.metadata_props.extend(source.proto.metadata_props)
    for tensor in made.graph.initializer:
        tensor.ClearField("data_location")  # it says "in this file", and `featkit.load` refuses all that say where
    renew_canary(made)
    return as_file(made)


def _dynamic(source: Source, nodes: dict[str, onnx.NodeProto], folder: Path) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Convolutions with dynamic ranges are slow in onnxruntime, so only where most of the weights are theirs.
    kinds = [kind for kind in PRODUCTS if kind != "Conv" or _mostly_convolutions(source, nodes)]
    unsigned = "Conv" in kinds  # the one kind that onnxruntime's ConvInteger reads on every processor
    quantize_dynamic(
        _prepared(source, folder), folder / "int8.onnx", op_types_to_quantize=kinds,
        nodes_to_quantize=[name for name, node in nodes.items() if node.op_type in kinds],
        per_channel=not unsigned, weight_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
    )  # fmt: skip
    return onnx.load(folder / "int8.onnx")


def _static(
    source: Source, nodes: dict[str, onnx.NodeProto], folder: Path, calibration: Clips
) -> onnx.ModelProto:  # fmt: skip
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    recurrent = [name for name, node in nodes.items() if node.op_type == "LSTM"]
    prepared = _prepared(source, folder)
    if recurrent:
        quantize_dynamic(
            prepared, folder / "lstm.onnx", op_types_to_quantize=["LSTM"], nodes_to_quantize=recurrent,
            per_channel=True, weight_type=QuantType.QInt8,
        )  # fmt: skip
        prepared = folder / "lstm.onnx"
    rest = [name for name in nodes if name not in recurrent]
    quantize_static(
        prepared, folder / "int8.onnx", _Feeds(calibration), quant_format=QuantFormat.QDQ,
        op_types_to_quantize=[kind for kind in PRODUCTS if kind != "LSTM"], nodes_to_quantize=rest, per_channel=True,
        weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
    )  # fmt: skip
    return onnx.load(folder / "int8.onnx")


def _prepared(source: Source, folder: Path) -> Path:
    """The model with the shapes of its values, as the quantiser needs it, and a name for every node."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnx.save(source.proto, folder / "named.onnx")
    # No optimisation here: it joins products to kinds that have no dynamic form.
    quant_pre_process(
        folder / "named.onnx", folder / "prepared.onnx", skip_optimization=True, skip_symbolic_shape=True
    )  # fmt: skip
    model = onnx.load(folder / "prepared.onnx")
    named_nodes(model.graph.node)
    onnx.save(model, folder / "prepared.onnx")
    return folder / "prepared.onnx"


def _mostly_convolutions(source: Source, nodes: dict[str, onnx.NodeProto]) -> bool:
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in source.proto.graph.initializer}
    weights = {True: 0, False: 0}
    for node in nodes.values():
        weights[node.op_type == "Conv"] += sum(sizes.get(name, 0) for name in node.input)
    return weights[True] > weights[False]


class _Feeds:
    """Calibration clips as onnxruntime asks for them: one feed a call, then None."""

    def __init__(self, clips: Clips) -> None:
        self._feeds: Iterator[dict[str, Any]] = iter([{"wave": wave[None]} for wave in clips.waves])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)
