"""Predict with onnxruntime, soundfile and numpy alone: featkit is not needed where a model runs.

    pip install onnxruntime soundfile soxr numpy
    python examples/onnxruntime_only.py model.onnx clip.wav

prints the label and the probability of each emotion, or in one line why there is none. It takes models that start at
the waveform, as those on mfcc39 and logmel do, and files that soundfile reads; other rates than 16 000 Hz are
converted by soxr, as featkit does it. A model answers silence and noise too, so the clip is looked at first.
"""

import json
import os
import re
import sys

import numpy as np
import soundfile

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is imported, which else reports to its makers
import onnxruntime

# How libsndfile tells that a wav, au or aiff holds less than it promises. Programs that stream promise the most.
SIZES = re.compile(r"^ *(?:data|Data Size|SSND) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
UNKNOWN = 0x7FFFF000


def read(path: str) -> np.ndarray:
    """Mono at 16 000 Hz. -> (n_samples,) float32."""
    try:
        with soundfile.SoundFile(path) as file:
            samples, rate = file.read(dtype="float32", always_2d=True), file.samplerate
            sizes = SIZES.search(file.extra_info)
    except soundfile.LibsndfileError as error:
        sys.exit(f"{path} cannot be read: {error.error_string}")
    if sizes and int(sizes[2]) < int(sizes[1]) < UNKNOWN:
        sys.exit(f"{path} is truncated: {sizes[2]} of {sizes[1]} bytes are there.")
    wave = samples.mean(axis=1)
    if rate != 16_000:
        import soxr

        wave = soxr.resample(wave, rate, 16_000, quality="HQ")
    return wave


def main(model: str, clip: str) -> None:
    for path in (model, clip):
        if not os.path.isfile(path):
            sys.exit(f"{path}: there is no such file.")
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # those of onnxruntime have no class in common
        sys.exit(f"{model} cannot be read: {error}")
    told = session.get_modelmeta().custom_metadata_map
    if "featkit" not in told:
        sys.exit(f"{model} was not written by featkit.")
    if [value.name for value in session.get_inputs()] != ["wave"]:
        sys.exit(f"{model} starts at features that featkit computes; load it by featkit.load.")
    recipe, wave = json.loads(told["featkit"]), read(clip)
    if wave.size < recipe["min_samples"]:
        sys.exit(f"{clip} has {wave.size} samples at 16 000 Hz; the model needs {recipe['min_samples']}.")
    if not np.isfinite(wave).all():
        sys.exit(f"{clip} holds samples that are not finite (NaN or inf).")
    if not wave.any():
        sys.exit(f"{clip} is digital silence: all its samples are zero.")
    label, probabilities = session.run(["label", "probabilities"], {"wave": wave[None]})
    print(label[0])
    for name, probability in zip(recipe["labels"], probabilities[0], strict=True):
        print(f"{name:12} {probability:.6f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: python examples/onnxruntime_only.py model.onnx clip.wav")
    main(*sys.argv[1:])
