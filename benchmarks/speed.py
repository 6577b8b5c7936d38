"""Speed against librosa and the training libraries: CPU seconds, one thread, in turn within one run.

    python benchmarks/speed.py [--rounds 15] [--out benchmarks/results/speed.jsonl]

Speech is synthetic, 3 s a clip. Each round times every contestant once, so that a slow moment of the machine hits
all; a ratio is the median over rounds of the ratio within a round. Cold starts are whole processes.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is imported

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import librosa
import numpy as np
import numpy.typing as npt
import soundfile
import torch

from featkit import SERClassifier, load
from featkit.audio import SAMPLE_RATE, fit_length
from featkit.datasets.synthetic import EMOTIONS, synthesise
from featkit.features.mfcc import MFCC39
from featkit.tables import markdown

torch.set_num_threads(1)
Array = npt.NDArray[np.float32]
GOALS = {
    "MFCC-39 frames, 3 s": 3.5,
    "waveform → label, svm": 3.0,
    "waveform → label, xgboost": 3.0,
    "waveform → label, cnn_lstm": 3.0,
}
COLD_GOALS = {"featkit --help": 0.15, "featkit predict": 0.6}


def librosa_frames(wave: Array) -> Array:
    """MFCC-39 as tutorials write it, with featkit's settings."""
    mfcc = librosa.feature.mfcc(y=wave, sr=SAMPLE_RATE, n_mfcc=13, n_fft=400, hop_length=160, n_mels=40)
    rows = [mfcc, librosa.feature.delta(mfcc), librosa.feature.delta(mfcc, order=2)]
    frames: Array = np.concatenate(rows).T.astype(np.float32)
    return frames


def numpy_functionals(frames: Array) -> Array:
    """The nine statistics in plain numpy."""
    time_axis = np.arange(len(frames)) - (len(frames) - 1) / 2
    mean = frames.mean(axis=0)
    slope = time_axis @ (frames - mean) / (time_axis @ time_axis)
    change = np.abs(np.diff(frames, axis=0)).mean(axis=0)
    parts = [mean, frames.std(axis=0), *np.percentile(frames, (5, 25, 50, 75, 95), axis=0), slope, change]
    return np.concatenate(parts).astype(np.float32)


def cpu(job: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    job()
    return time.process_time() - start


def cold(command: list[str]) -> float:
    """CPU seconds of a whole process, user and system."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        message = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {message.decode()}")
    return usage.ru_utime + usage.ru_stime


def contestants(folder: Path) -> dict[str, tuple[Callable[[], object], Callable[[], object], int]]:
    """For each job: ours, the peer's, and clips per call."""
    waves = [fit_length(synthesise(e, speaker, 0, 0), 3.0) for e in EMOTIONS for speaker in range(4)]
    labels = [emotion for emotion in EMOTIONS for _ in range(4)]
    mfcc = MFCC39()
    worst = max(float(np.abs(librosa_frames(wave) - mfcc.frames(wave)).max()) for wave in waves)
    assert worst <= 1e-3, worst  # the same features, or the race means nothing
    jobs: dict[str, tuple[Callable[[], object], Callable[[], object], int]] = {
        "MFCC-39 frames, 3 s": (
            lambda: [mfcc.frames(wave) for wave in waves],
            lambda: [librosa_frames(wave) for wave in waves],
            len(waves),
        )
    }
    for backend in ("svm", "xgboost:n_jobs=1", "cnn_lstm:epochs=2"):
        classifier = SERClassifier("mfcc39", backend).fit(waves, labels)
        name = backend.partition(":")[0]
        path = folder / f"{name}.onnx"
        classifier.export(path)
        jobs[f"waveform → label, {name}"] = (*_rivals(classifier, path, waves), len(waves))
    return jobs


def _rivals(classifier: Any, path: Path, waves: list[Array]) -> tuple[Callable[[], object], Callable[[], object]]:
    model, backend = load(path), classifier.backend_

    def native(wave: Array) -> Array:
        frames = librosa_frames(wave)
        X = [frames] if backend.consumes == "frames" else numpy_functionals(frames)[None]
        proba: Array = backend.predict_proba(X)
        return proba

    worst = max(float(np.abs(native(wave) - model.predict_proba([wave])).max()) for wave in waves[:7])
    print(f"{path.stem}: native and exported probabilities differ by {worst:.1e} at most", file=sys.stderr)
    return (
        lambda: [model.predict([wave]) for wave in waves],
        lambda: [classifier.classes_[native(wave).argmax()] for wave in waves],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "speed.jsonl")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = contestants(folder)
        wav = folder / "clip.wav"
        soundfile.write(wav, fit_length(synthesise("anger", 0, 0, 0), 3.0), SAMPLE_RATE)
        featkit = [sys.executable, "-m", "featkit"]
        commands = {
            "featkit --help": [*featkit, "--help"],
            "featkit predict": [*featkit, "predict", str(folder / "svm.onnx"), str(wav)],
        }
        for pair in jobs.values():  # warm-up
            pair[0](), pair[1]()
        for round_ in range(arguments.rounds):
            for job, (ours, peer, clips) in jobs.items():
                row = {"job": job, "featkit": cpu(ours) / clips, "peer": cpu(peer) / clips}
                rows.append({"round": round_, **row})
            for job, command in commands.items():
                rows.append({"round": round_, "job": job, "featkit": cold(command)})
            print(f"round {round_ + 1} of {arguments.rounds}", file=sys.stderr)

    about = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "rounds": arguments.rounds,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text("".join(json.dumps(line) + "\n" for line in [about, *rows]), encoding="utf-8")
    print(f"{about['machine']}, Python {about['python']}, one thread, medians of {arguments.rounds} rounds\n")
    print(report(rows))


def report(rows: list[dict[str, Any]]) -> str:
    """Medians and ratios as a table."""
    table = []
    for job, goal in GOALS.items():
        own = [row for row in rows if row["job"] == job]
        ratio = median(row["peer"] / row["featkit"] for row in own)
        table.append(
            {
                "job": job,
                "featkit": f"{1000 * median(row['featkit'] for row in own):.2f} ms",
                "librosa + training library": f"{1000 * median(row['peer'] for row in own):.2f} ms",
                "ratio": f"{ratio:.1f}",
                "goal": f"≥ {goal:g}",
            }
        )
    for job, goal in COLD_GOALS.items():
        seconds = median(row["featkit"] for row in rows if row["job"] == job)
        table.append(
            {
                "job": f"{job}, cold process",
                "featkit": f"{seconds:.2f} s",
                "librosa + training library": "",
                "ratio": "",
                "goal": f"≤ {goal:g} s",
            }
        )
    return markdown(table)


if __name__ == "__main__":
    main()
