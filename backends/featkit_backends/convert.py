"""Trim what converters make to what a backend promises."""

from __future__ import annotations

from typing import Any

import onnx


def probabilities_only(model: Any) -> Any:
    """Keep the output ``probabilities`` of a converted classifier and only the nodes that lead to it."""
    trimmed = onnx.ModelProto()
    trimmed.CopyFrom(model)
    kept = [value for value in model.graph.output if value.name == "probabilities"]
    del trimmed.graph.output[:]
    trimmed.graph.output.extend(kept)
    needed = {"probabilities"}
    nodes = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    del trimmed.graph.node[:]
    trimmed.graph.node.extend(reversed(nodes))
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del trimmed.graph.initializer[:]
    trimmed.graph.initializer.extend(initializers)
    return trimmed
