"""Predict with onnxruntime, soundfile and numpy alone: featkit is not needed where a model runs.

    python examples/onnxruntime_only.py model.onnx clip.wav

prints the label and the probability of each emotion. It takes models that start at the waveform, as those on mfcc39
and logmel do, and files that soundfile reads; other rates than 16 000 Hz are converted by soxr, as featkit does it.
"""

import json
import os
import sys

import numpy as np
import soundfile

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is imported, which else reports to its makers
import onnxruntime


def read(path: str) -> np.ndarray:
    """Mono at 16 000 Hz. -> (n_samples,) float32."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wave = samples.mean(axis=1)
    if rate != 16_000:
        import soxr

        wave = soxr.resample(wave, rate, 16_000, quality="HQ")
    return wave


def main(model: str, clip: str) -> None:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    recipe = json.loads(session.get_modelmeta().custom_metadata_map["featkit"])
    if [value.name for value in session.get_inputs()] != ["wave"]:
        sys.exit(f"{model} starts at features that featkit computes; load it by featkit.load.")
    wave = read(clip)
    if wave.size < recipe["min_samples"]:
        sys.exit(f"{clip} has {wave.size} samples at 16 000 Hz; the model needs {recipe['min_samples']}.")
    label, probabilities = session.run(["label", "probabilities"], {"wave": wave[None]})
    print(label[0])
    for name, probability in zip(recipe["labels"], probabilities[0], strict=True):
        print(f"{name:12} {probability:.6f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: python examples/onnxruntime_only.py model.onnx clip.wav")
    main(*sys.argv[1:])
