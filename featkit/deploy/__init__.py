"""Other forms of an exported model: smaller, for onnxruntime's mobile build, for LiteRT, for a browser."""

from collections.abc import Mapping
from types import MappingProxyType

FORMS: Mapping[str, str] = MappingProxyType(
    {
        "onnx-int8": ".onnx", "onnx-int8-static": ".onnx", "ort": ".ort",
        "tflite": "", "tflite-int8": "", "tflite-int8-full": "",
    }
)  # fmt: skip
"""What `featkit.deploy.convert` makes: name of each form → suffix of its file; none for a folder."""
