"""Extraction of many files against what people write themselves: CPU seconds of whole processes, in turn.

    python benchmarks/bulk.py FOLDER... [--minutes 30] [--rounds 3] [--out benchmarks/results/bulk.jsonl]

Recordings of 1 to 10 s are written as 16-bit wav, again and again until the minutes are full. Each round runs every
contestant as a process with children, once over all clips and once over a tenth of them, and takes what the system
says of it (wait4). The difference is what a clip more costs, without the start: a ratio is the median over rounds of
the ratio of these within a round. One thread each. Peers read the same files and write a table:

* mfcc39: librosa's MFCCs and deltas, the same nine statistics in numpy, a CSV by pandas, as tutorials have it;
* egemaps: ``opensmile.Smile.process_files``, a CSV by pandas.

featkit writes the hash of every file and its quality besides.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import soundfile

from featkit.datasets.base import find_audio
from featkit.tables import markdown

LIBROSA = """
import sys
from pathlib import Path
import librosa, numpy as np, pandas as pd
rows = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    wave, rate = librosa.load(path, sr=16000)
    mfcc = librosa.feature.mfcc(y=wave, sr=rate, n_mfcc=13, n_fft=400, hop_length=160, n_mels=40)
    frames = np.vstack([mfcc, librosa.feature.delta(mfcc), librosa.feature.delta(mfcc, order=2)])
    mean, time = frames.mean(axis=1), np.arange(frames.shape[1]) - (frames.shape[1] - 1) / 2
    slope = (frames - mean[:, None]) @ time / (time @ time)
    change = np.abs(np.diff(frames, axis=1)).mean(axis=1)
    percentiles = np.percentile(frames, (5, 25, 50, 75, 95), axis=1)
    rows.append([str(path), *mean, *frames.std(axis=1), *percentiles.ravel(), *slope, *change])
pd.DataFrame(rows).to_csv(sys.argv[2], index=False)
"""
OPENSMILE = """
import sys
from pathlib import Path
import opensmile
smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
smile.process_files([str(path) for path in sorted(Path(sys.argv[1]).iterdir())]).to_csv(sys.argv[2])
"""
GOALS = {"mfcc39": 4.0, "egemaps": 1.15}
Costs = tuple[tuple[float, float, float], tuple[float, float, float]]
"""CPU seconds, seconds of the clock and MB: of all clips, and of a tenth of them."""
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds, n = gather(given.folders, Path(folder), given.minutes * 60)
        made = [race(Path(folder)) for _ in range(given.rounds)]
    rows = [row(name, goal, made, seconds, n) for name, goal in GOALS.items()]
    print(f"{n} clips, {seconds / 60:.1f} min; median of {given.rounds} rounds; load {os.getloadavg()[0]:.1f}\n")
    print(markdown([{key: str(value) for key, value in one.items()} for one in rows]))
    if given.out:
        about = {"rounds": given.rounds, "clips": n, "seconds": seconds, "python": platform.python_version()}
        given.out.write_text("".join(json.dumps(one | about) + "\n" for one in rows))


def gather(folders: Sequence[Path], place: Path, wanted: float) -> tuple[float, int]:
    """Fill the folders ``all`` and ``few``. Returns seconds and number of all clips."""
    sounds = []
    for path in (path for folder in folders for path in find_audio(folder)):
        wave, rate = soundfile.read(path, dtype="int16")
        if 1 <= len(wave) / rate <= 10:
            sounds.append((wave, rate))
    total, n = 0.0, 0
    for name in ("all", "few"):
        (place / name).mkdir()
    while total < wanted:
        wave, rate = sounds[n % len(sounds)]
        soundfile.write(place / "all" / f"{n:06d}.wav", wave, rate)
        if n % 10 == 0:
            soundfile.write(place / "few" / f"{n:06d}.wav", wave, rate)
        total, n = total + len(wave) / rate, n + 1
    return total, n


def commands(folder: Path, clips: str) -> dict[str, list[str]]:
    """What is run, by name."""

    def ours(name: str) -> list[str]:
        output = str(folder / f"{name}.parquet")
        start = [sys.executable, "-m", "featkit", "extract", str(folder / clips), "-o", output]
        return [*start, "--overwrite", "--set", name]

    def theirs(code: str) -> list[str]:
        return [sys.executable, "-c", code, str(folder / clips), str(folder / "peer.csv")]

    return {
        "mfcc39": ours("mfcc39"),
        "librosa": theirs(LIBROSA),
        "egemaps": ours("egemaps"),
        "opensmile": theirs(OPENSMILE),
    }


def race(folder: Path) -> dict[str, Costs]:
    """Costs of each: of all clips, and of few."""
    few = {name: cost(words) for name, words in commands(folder, "few").items()}
    return {name: (cost(words), few[name]) for name, words in commands(folder, "all").items()}


def cost(words: list[str]) -> tuple[float, float, float]:
    """What a process and its children took."""
    begun = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | THREADS)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return usage.ru_utime + usage.ru_stime, time.monotonic() - begun, usage.ru_maxrss / 1024


def row(name: str, goal: float, made: list[dict[str, Costs]], seconds: float, n: int) -> dict[str, Any]:
    """One line of the table."""
    peer = {"mfcc39": "librosa", "egemaps": "opensmile"}[name]

    def middle(pick: Callable[[dict[str, Costs]], float]) -> float:
        return median(map(pick, made))

    def more(one: dict[str, Costs], who: str) -> float:
        return (one[who][0][0] - one[who][1][0]) / (0.9 * n)

    ratio = middle(lambda one: more(one, peer) / more(one, name))
    return {
        "job": f"{name} / {peer}", "a clip more, CPU ms": round(1000 * middle(lambda one: more(one, name)), 2),
        "peer's": round(1000 * middle(lambda one: more(one, peer)), 2), "ratio": round(ratio, 2),
        "goal": f"≥ {goal:.2f}", "× real time": round(seconds / n / middle(lambda one: more(one, name))),
        "all, CPU s": round(middle(lambda one: one[name][0][0]), 1),
        "peer's s": round(middle(lambda one: one[peer][0][0]), 1),
        "MB": round(middle(lambda one: one[name][0][2])), "peer's MB": round(middle(lambda one: one[peer][0][2])),
    }  # fmt: skip


if __name__ == "__main__":
    main()
