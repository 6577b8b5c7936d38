"""model.onnx with the products of its network in 8 bits. Features stay in 32: MFCC in 8 bits change one label in eight.

*Dynamic*: weights in 8 bits, the ranges of what they multiply are found at run time. *Static*: convolutions and linear
layers in 8 bits throughout, with ranges from calibration clips; LSTMs have no static form and stay dynamic.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from featkit.deploy.clips import Clips
from featkit.deploy.source import PRODUCTS, Source, named_nodes
from featkit.errors import ExportError
from featkit.export import renew_canary
from featkit.graph import quiet


def quantised(source: Source, calibration: Clips | None) -> bytes:
    """The model in 8 bits: static with ``calibration``, else dynamic.

    Raises
    ------
    ExportError
        The model has no network (trees, support vectors): there is nothing to quantise.
    """
    products = _products(source)
    logging.getLogger().addFilter(_no_advice)
    try:
        with tempfile.TemporaryDirectory() as folder, quiet():
            made = (
                _dynamic(source, products, Path(folder))
                if calibration is None
                else _static(source, products, Path(folder), calibration)
            )
    finally:
        logging.getLogger().removeFilter(_no_advice)
    del made.metadata_props[:]  # the quantiser leaves notes of its own
    made.metadata_props.extend(source.proto.metadata_props)
    for tensor in made.graph.initializer:
        tensor.ClearField("data_location")  # it says "in this file", and `featkit.load` refuses all that say where
    renew_canary(made)
    return bytes(made.SerializeToString())


def _products(source: Source) -> dict[str, onnx.NodeProto]:
    """Nodes of the network with constant weights, by name."""
    constants = {tensor.name: tensor for tensor in source.proto.graph.initializer}
    found = {
        node.name: node
        for node in source.proto.graph.node
        if node.op_type in PRODUCTS and source.network & {*node.input} and constants.keys() & {*node.input}
    }
    classical = {node.op_type for node in source.proto.graph.node if node.domain == "ai.onnx.ml"}
    if classical or not found:
        told = ", ".join(sorted(classical)) or "no layer with weights"
        raise ExportError(
            f"{source.path}: there is nothing to quantise ({told}); 8 bits are for networks: cnn_lstm, tdnn, "
            "transformer, conformer, mlp. For others use --to ort."
        )
    return found


def _dynamic(source: Source, products: dict[str, onnx.NodeProto], folder: Path) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Convolutions with dynamic ranges are slow in onnxruntime, so only where most of the weights are theirs.
    kinds = [kind for kind in PRODUCTS if kind != "Conv" or _mostly_convolutions(source, products)]
    unsigned = "Conv" in kinds  # the one kind that onnxruntime's ConvInteger reads on every processor
    quantize_dynamic(
        _prepared(source, folder), folder / "int8.onnx", op_types_to_quantize=kinds,
        nodes_to_quantize=[name for name, node in products.items() if node.op_type in kinds],
        per_channel=not unsigned, weight_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
    )  # fmt: skip
    return onnx.load(folder / "int8.onnx")


def _static(
    source: Source, products: dict[str, onnx.NodeProto], folder: Path, calibration: Clips
) -> onnx.ModelProto:  # fmt: skip
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    recurrent = [name for name, node in products.items() if node.op_type == "LSTM"]
    prepared = _prepared(source, folder)
    if recurrent:
        quantize_dynamic(
            prepared, folder / "lstm.onnx", op_types_to_quantize=["LSTM"], nodes_to_quantize=recurrent,
            per_channel=True, weight_type=QuantType.QInt8,
        )  # fmt: skip
        prepared = folder / "lstm.onnx"
    rest = [name for name in products if name not in recurrent]
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


def _mostly_convolutions(source: Source, products: dict[str, onnx.NodeProto]) -> bool:
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in source.proto.graph.initializer}
    weights = {True: 0, False: 0}
    for node in products.values():
        weights[node.op_type == "Conv"] += sum(sizes.get(name, 0) for name in node.input)
    return weights[True] > weights[False]


class _Feeds:
    """Calibration clips as onnxruntime asks for them: one feed a call, then None."""

    def __init__(self, clips: Clips) -> None:
        self._feeds: Iterator[dict[str, Any]] = iter([{"wave": wave[None]} for wave in clips.waves])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def _no_advice(record: logging.LogRecord) -> bool:
    """The quantiser advises on the root logger to prepare the model, which is done."""
    return record.levelno >= logging.ERROR
