"""Live recognition on one core: latency of every answer, and an hour of sound with its memory.

    python benchmarks/streaming.py [--minutes 2] [--hour] [--out benchmarks/results/streaming.jsonl]

Models are trained on synthetic speech. Latency: blocks of 1024 samples come by the clock, windows of 3 s every 0.5 s;
from the arrival of a window's last sample to its answer. At 48 000 Hz that holds the wait for the next block, 21 ms,
because the resampler looks ahead. The hour: blocks at 48 000 Hz as fast as the model takes them. Each job has a process
of its own, on one core; resident memory is read after the first minute and at the end. On a machine that others use,
latency tells of them: begin with ``chrt --fifo 1`` for a core that is nobody else's.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is imported

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from featkit import load
from featkit.audio import SAMPLE_RATE, Wave
from featkit.datasets.synthetic import EMOTIONS, synthesise
from featkit.stream import Block, LiveRecogniser, recognise
from featkit.stream.windows import bounds, n_samples

BACKENDS = ("svm", "cnn_lstm:epochs=10")
RATES = (16_000, 48_000)
BLOCK = 1_024
GOAL_MS = 50.0


def talk(rate: int) -> Wave:
    """A minute of synthetic speech with pauses, (n,)."""
    clips = [synthesise(emotion, 5, take % 2, take) for take in range(9) for emotion in EMOTIONS]
    pause = np.random.default_rng(0).normal(0, 1e-3, SAMPLE_RATE // 3).astype(np.float32)
    wave = np.concatenate([part for clip in clips for part in (clip, pause)])[: 60 * SAMPLE_RATE]
    return wave if rate == SAMPLE_RATE else soxr.resample(wave, SAMPLE_RATE, rate)


def train(backend: str, path: Path) -> None:
    """A small model on synthetic speech."""
    from featkit import SERClassifier

    said = [(e, s, n) for e in EMOTIONS for s in range(4) for n in range(2)]
    waves = [synthesise(emotion, speaker, sentence, 0) for emotion, speaker, sentence in said]
    estimator = SERClassifier("mfcc39", backend)
    estimator.fit(waves, [e for e, _, _ in said], groups=[f"s{s}" for _, s, _ in said]).export(path)


def by_the_clock(samples: Wave, rate: int, seconds: float) -> Iterator[Block]:
    """Blocks of a sound that is said over and over, each when its last sample would have been recorded."""
    began, given = time.monotonic(), 0
    while given < seconds * rate:
        at = given % (samples.size - BLOCK)
        given += BLOCK
        time.sleep(max(0.0, began + given / rate - time.monotonic()))
        yield Block(samples[at : at + BLOCK], rate, began + given / rate)


def latency(model: Path, rate: int, minutes: float) -> dict[str, Any]:
    """p50, p99 and the longest latency of a live stream, ms; what was lost; CPU seconds for a second of sound."""
    live = LiveRecogniser(load(model), backlog=2)
    samples = talk(rate)
    live.push(samples[: 4 * rate], rate)  # onnxruntime plans its memory at the first window
    live = LiveRecogniser(load(model), backlog=2)
    before = time.process_time()
    events = list(recognise(live, by_the_clock(samples, rate, 60 * minutes)))
    cpu = time.process_time() - before
    p50, p99, longest = 1000 * np.percentile([event.latency for event in events], (50, 99, 100))
    return {
        "windows": len(events), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "max_ms": round(longest, 2),
        "dropped": live.dropped, "lost_s": live.lost, "cpu_per_s": round(cpu / 60 / minutes, 4),
    }  # fmt: skip


def hour(model: Path, rate: int) -> dict[str, Any]:
    """An hour in blocks of 1024 samples: windows, times faster than life, and resident memory, MB."""
    live = LiveRecogniser(load(model), backlog=2)
    samples = talk(rate)
    began, windows, after_a_minute = time.monotonic(), 0, 0.0
    for i in range(3600 * rate // BLOCK):
        at = i * BLOCK % (samples.size - BLOCK)
        live.feed(samples[at : at + BLOCK], rate)
        while live.pending:
            live.answer()
            windows += 1
        if i == 60 * rate // BLOCK:
            after_a_minute = resident()
    windows += len(live.finish())
    return {
        "windows": windows, "expected": len(bounds(3600 * SAMPLE_RATE, *n_samples(3.0, 0.5))), "dropped": live.dropped,
        "times_live": round(3600 / (time.monotonic() - began)),
        "rss_after_1_min_mb": round(after_a_minute, 1), "rss_after_1_h_mb": round(resident(), 1),
    }  # fmt: skip


def scheduling() -> str:
    """How this process is preferred to the others of a machine that is not idle."""
    real_time = hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) == os.SCHED_FIFO
    return "real-time priority" if real_time else f"nice {os.nice(0)}"


def resident() -> float:
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measured(job: str, model: Path, rate: int, minutes: float) -> dict[str, Any]:
    """A job in a process of its own, which has loaded no training library."""
    command = [sys.executable, __file__, "--job", job, "--model", str(model), "--rate", str(rate)]
    command += ["--minutes", str(minutes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="of live sound for each model")
    parser.add_argument("--hour", action="store_true", help="also an hour at speed with the first model")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "streaming.jsonl")
    parser.add_argument("--job", choices=["latency", "hour"], help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core
        found = (
            latency(given.model, given.rate, given.minutes) if given.job == "latency" else hour(given.model, given.rate)
        )
        print(json.dumps(found))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for backend in BACKENDS:
            model = Path(folder) / "model.onnx"
            train(backend, model)
            jobs = [("latency", rate) for rate in RATES]
            for job, rate in [*jobs, ("hour", RATES[-1])] if given.hour and backend == BACKENDS[0] else jobs:
                before = os.getloadavg()[0]
                found = measured(job, model, rate, given.minutes)
                loads = f"{before:.1f} to {os.getloadavg()[0]:.1f}"
                machine = f"{platform.machine()}, {os.cpu_count()} cores, load {loads}, {scheduling()}"
                rows.append({"job": job, "backend": backend, "rate": rate} | found | {"machine": machine})
                missed = "" if found.get("p99_ms", 0) < GOAL_MS else f"MISSES p99 < {GOAL_MS:.0f} ms"
                print(rows[-1], missed, flush=True)
    given.out.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
