"""model.onnx as a TFLite file, waveform in, probabilities out: for LiteRT on phones and small boards.

The exported graph itself is converted, at one fixed length: no line of signal processing is left for the phone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from featkit import plugins
from featkit.audio import Wave
from featkit.deploy.clips import Clips
from featkit.deploy.source import Source, scratch
from featkit.errors import ExportError
from featkit.graph import quiet
from featkit.muted import muted

Bits = Literal["dynamic", "full"]

SHORTEST = 8_000
"""Samples, half a second: a shorter window holds too few frames for the networks."""

_NETWORK = ".*Network_network.*"  # the converter calls operators by the module that they are from


def require_litert() -> None:
    """Raise `PluginError` with the pip line where the converter is not installed."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the converter computes a little with jax, which looks for a GPU
    try:
        with _muted():
            for name in ("litert_torch", "ai_edge_litert.interpreter", "ai_edge_quantizer"):
                import_module(name)
    except ModuleNotFoundError as error:
        raise plugins.missing(error, "conversion to TFLite") from None


def to_tflite(source: Source, samples: int) -> bytes:
    """The model in 32 bits, for waves of ``samples``.

    Raises
    ------
    ExportError
        It holds an operator that has no mobile form, such as trees.
    """
    import litert_torch
    import torch

    from featkit.deploy.fixed import fix
    from featkit.deploy.torch_graph import WaveToProbabilities

    module = WaveToProbabilities(fix(source, samples), {"TopK": _top_k}).eval()
    with scratch() as folder, _told("converted to TFLite"), _muted():
        path = folder / "model.tflite"
        litert_torch.convert(module, (torch.zeros(1, samples),)).export(str(path))
        return path.read_bytes()


def in_8_bits(content: bytes, bits: Bits, calibration: Clips, samples: int) -> bytes:
    """A float TFLite file with its network in 8 bits; the features stay in 32.

    *Dynamic*: weights in 8 bits, the ranges of what they multiply are found at run time. *Full*: everything behind the
    scaled features in 8 bits, with ranges from calibration clips: for hardware that knows whole numbers only.
    """
    from ai_edge_quantizer import calibrator, qtyping, quantizer
    from ai_edge_quantizer.utils import qsv_utils

    every = qtyping.TFLOperationName.ALL_SUPPORTED
    with scratch() as folder, _told("quantised"), _muted():
        path = folder / "model.tflite"
        path.write_bytes(content)
        worker = quantizer.Quantizer(str(path))
        ranges = None
        if bits == "dynamic":
            worker.add_dynamic_config(_NETWORK, every, 8)
        else:
            worker.add_static_config(_NETWORK, every, 8, 8)
            # The default, a moving average, cuts off the largest logits.
            observer = calibrator.Calibrator(str(path), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
            feeds = [{"args_0": part[None]} for wave in calibration.waves for part in windows(wave, samples)]
            observer.calibrate({"serving_default": feeds}, worker._recipe_manager)
            ranges = observer.get_model_qsvs()
        return bytes(worker.quantize(ranges, enable_progress_report=False).quantized_model)


def predictor(content: bytes, samples: int) -> Callable[[Wave], npt.NDArray[np.float32]]:
    """LiteRT's interpreter on one thread: wave (n_samples,) -> probabilities (classes,), averaged over windows."""
    from ai_edge_litert.interpreter import Interpreter

    with _muted():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    (given,), (told,) = interpreter.get_input_details(), interpreter.get_output_details()
    if given["shape"].tolist() != [1, samples] or given["dtype"] != np.float32 or told["dtype"] != np.float32:
        raise ExportError(f"The converter made a file that reads {given['dtype']} {given['shape']}.")

    def one(part: Wave) -> npt.NDArray[np.float32]:
        interpreter.set_tensor(given["index"], part[None])
        interpreter.invoke()
        answer: npt.NDArray[np.float32] = interpreter.get_tensor(told["index"])[0]
        return answer

    return by_windows(one, samples)


def by_windows(
    predict: Callable[[Wave], npt.NDArray[np.float32]], samples: int
) -> Callable[[Wave], npt.NDArray[np.float32]]:
    """A model that hears ``samples`` at a time, asked for clips of any length."""

    def whole(wave: Wave) -> npt.NDArray[np.float32]:
        mean: npt.NDArray[np.float32] = np.mean([predict(part) for part in windows(wave, samples)], axis=0)
        return mean

    return whole


def windows(wave: Wave, samples: int) -> list[Wave]:
    """A clip as pieces of ``samples``: a short one is repeated, a long one cut into equal, overlapping pieces.

    Silence behind a short clip is heard as part of it, and changes one label in five and more; a repeated clip has
    nearly the statistics of the clip.

    Examples
    --------
    >>> [part.tolist() for part in windows(np.arange(5), 3)], windows(np.arange(2), 3)[0].tolist()
    ([[0, 1, 2], [2, 3, 4]], [0, 1, 0])
    """
    if wave.size <= samples:
        return [np.resize(wave, samples)]
    n = -(-wave.size // samples)
    return [wave[start : start + samples] for start in ((wave.size - samples) * i // (n - 1) for i in range(n))]


def _top_k(inputs: Any, settings: dict[str, Any]) -> Any:
    """TFLite's own operator. The converter's usual way is a sort that interpreters do not know."""
    import torch
    from litert_torch.backend.experimental import torch_tfl  # noqa: F401  it registers torch.ops.tfl

    x, count, axis = inputs[0], int(inputs[1].reshape(-1)[0]), settings.get("axis", -1)
    sign = 1 if settings.get("largest", 1) else -1  # the smallest are the largest of the negatives
    values, places = torch.ops.tfl.topk_v2((sign * x).movedim(axis, -1), count)
    return (sign * values).movedim(-1, axis), places.movedim(-1, axis)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError:  # `scratch` tells
        raise
    except Exception as error:  # the converter fails in many ways
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ExportError(f"The model cannot be {what} ({reason}).") from error


@contextmanager
def _muted() -> Iterator[None]:
    """Nothing of what converters and interpreters tell of themselves, not even what their C++ writes."""
    with quiet("root"), muted:
        yield
