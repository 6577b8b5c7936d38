"""The exported model.onnx that every other form is made of, and where its features end and its network begins."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx

from featkit.errors import ExportError
from featkit.modelfile.session import file_content
from featkit.runtime import Model

PROBABILITIES = "probabilities"

PRODUCTS = ("Conv", "Gemm", "LSTM", "MatMul")
"""Operators with weights."""


@dataclass(frozen=True, eq=False)
class Source:
    """A model file that `featkit.export.export` wrote."""

    path: Path
    content: bytes
    model: Model
    proto: onnx.ModelProto
    """Every node has the name of its first output."""
    network: frozenset[str]
    """Values behind the features: what may be quantised. MFCC in 8 bits change labels."""

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return len(self.content)


def read_source(path: Path) -> Source:
    """Read an exported model.

    Raises
    ------
    ModelError
        The file is missing, damaged, another form of a model, or not featkit's.
    """
    model = Model.of(content := file_content(path), str(path))
    proto = onnx.ModelProto.FromString(content)
    named = named_nodes(proto.graph.node)
    return Source(path, content, model, proto, frozenset(_behind_features(named, model)))


def require_wave(model: Model, path: Path, what: str) -> None:
    """Refuse a model that does not start at the waveform."""
    if model.normalise:
        raise ExportError(
            f"{path}: judges a clip beside the others of its speaker (normalise='speaker'), which {what} cannot "
            "do; train without --normalise."
        )
    if model.inputs != ["wave"]:
        features = ", ".join(name for name in model.inputs if name != "wave")
        raise ExportError(
            f"{path}: starts at features ({features}) that featkit computes and a graph cannot; {what} needs a "
            "model that reads the waveform: train with mfcc39 or logmel."
        )


def require_network(source: Source, form: str) -> None:
    """Refuse a model that has no network in 32 bits: there is nothing to quantise, or the form knows no such operators.

    Raises
    ------
    ExportError
        It is in 8 bits already, holds trees or support vectors, or no layer with weights.
    """
    if source.model.quantised:
        of = source.model.recipe.get("form", {}).get("of")  # a stranger's word
        before = repr(of) if of else "the model that it was made of"
        raise ExportError(f"{source.path}: is in 8 bits already; make {form} of {before}.")
    classical = {node.op_type for node in source.proto.graph.node if node.domain == "ai.onnx.ml"}
    if classical or not products(source):
        told = ", ".join(sorted(classical)) or "no layer with weights"
        raise ExportError(
            f"{source.path}: cannot become {form} ({told}), which is for networks: cnn_lstm, tdnn, transformer, "
            "conformer, mlp: here is nothing to make smaller. onnxruntime for phones reads it as --to ort, or as it is."
        )


def products(source: Source) -> dict[str, onnx.NodeProto]:
    """Nodes of the network with constant weights, by name."""
    constants = {tensor.name for tensor in source.proto.graph.initializer}
    return {
        node.name: node
        for node in source.proto.graph.node
        if node.op_type in PRODUCTS and source.network & {*node.input} and constants & {*node.input}
    }


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, for tools that work on files.

    Raises
    ------
    ExportError
        It cannot be made, or nothing more can be written there.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield Path(folder)
            except Exception:
                Path(folder, "room").write_bytes(bytes(2**20))  # onnxruntime does not tell a full disk: this does
                raise
    except OSError as error:
        raise ExportError(
            f"No temporary file can be written ({error.strerror}); let TMPDIR name a folder with room."
        ) from None


def named_nodes(nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes, each called as its first output: names that no optimiser makes twice."""
    found = list(nodes)
    for node in found:
        node.name = node.output[0]
    return found


def above(nodes: Sequence[onnx.NodeProto], values: set[str]) -> set[str]:
    """``values`` and all that they are computed of. Nodes stand in order of computation."""
    found = set(values)
    for node in reversed(nodes):
        if found & set(node.output):
            found |= set(node.input)
    return found


def _behind_features(nodes: Sequence[onnx.NodeProto], model: Model) -> set[str]:
    """Values that depend on features, and are none."""
    views = tuple({f"_{member['view']}" for member in model.recipe["members"]})
    found = {name for name in model.inputs if name != "wave"}
    for node in nodes:
        # Where a backend's graph was joined, one Identity feeds its input, "…_frames", with the features.
        joined = node.op_type == "Identity" and node.output[0].endswith(views) and node.input[0].endswith(views)
        if joined or found & set(node.input):
            found |= set(node.output)
    return found
