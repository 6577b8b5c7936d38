"""model.onnx as onnxruntime's mobile builds read it: the same answers, in the form they load without a parser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from featkit.audio import Wave
from featkit.deploy.measure import Predict
from featkit.deploy.source import Source, scratch
from featkit.graph import quiet, session
from featkit.modelfile.seal import without_seal


def to_ort(source: Source) -> tuple[bytes, str]:
    """The model in ORT format, and the operators that a runtime built for it alone must have.

    The second is what onnxruntime's ``build.sh --include_ops_by_config`` reads. The metadata, and so the recipe, are
    kept, but `featkit.load` does not read the file: it looks models through before it runs them, and this form is
    for onnxruntime's own eyes.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Beyond "extended" the file would be made for the processor of this computer.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.add_session_config_entry("session.save_model_format", "ORT")
    with scratch() as folder:
        path, operators = folder / "model.ort", folder / "operators.config"
        options.optimized_model_filepath = str(path)
        content = without_seal(source.content)  # it is of a file that this will not be
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        _write_operators(path, operators)
        return path.read_bytes(), _without_path(operators.read_text(encoding="utf-8"))


def predictor(content: bytes) -> Predict:
    """onnxruntime on one thread: wave (n_samples,) -> probabilities (classes,)."""
    graph = session(content)

    def predict(wave: Wave) -> npt.NDArray[np.float32]:
        row: npt.NDArray[np.float32] = graph.run(["probabilities"], {"wave": wave[None]})[0][0]
        return row

    return predict


def _write_operators(model: Path, config: Path) -> None:
    """onnxruntime's tool, without the log handler that it gives the whole program."""
    with quiet("root"):
        from onnxruntime.tools.ort_format_model import create_config_from_models

        create_config_from_models([model], config, False)


def _without_path(config: str) -> str:
    """The lines that count: onnxruntime writes a comment with the place of the file."""
    return "".join(f"{line}\n" for line in config.splitlines() if not line.startswith("#"))
