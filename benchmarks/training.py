"""CPU seconds of one training epoch of the CNN-LSTM, and how much of them is not the network.

535 clips of 300 × 39 random numbers, the size of EMO-DB, batches of 32, one thread. The peer is a plain loop over what
lies ready in memory: the same network, loss and optimiser, and nothing else. Both are timed in turn within one run.

    python benchmarks/training.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import time

import numpy as np
import torch
from featkit_backends import training
from featkit_backends.batches import Clips, Plan
from featkit_backends.cnn_lstm import CNNLSTM

from featkit.tables import markdown

CLIPS, TIME, DIMS, CLASSES, BATCH = 535, 300, 39, 7, 32


def main(repeats: int = 9) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    frames = [[torch.from_numpy(rng.standard_normal((TIME, DIMS), np.float32))] for _ in range(CLIPS)]
    index = torch.from_numpy(rng.integers(CLASSES, size=CLIPS))
    clips = Clips(frames, index, torch.ones(CLIPS), CLASSES)
    backend = CNNLSTM()
    cpu = torch.device("cpu")
    settings = backend._part(training.Settings, device=cpu, dtype=torch.float32)
    ours = training.Run(backend._module(DIMS, CLASSES), settings, 1000)
    plan, everything = backend._part(Plan), np.arange(CLIPS)

    plain = backend._module(DIMS, CLASSES).train()
    optimiser = torch.optim.AdamW(plain.parameters(), lr=1e-3)
    ready = [
        (torch.stack([frames[i][0] for i in part]), torch.full((len(part),), TIME), index[part])
        for part in np.array_split(everything, -(-CLIPS // BATCH))
    ]

    def peer() -> None:
        for x, lengths, labels in ready:
            value = torch.nn.functional.cross_entropy(plain(x, lengths), labels)
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    def featkit() -> None:
        row = training._epoch(ours, clips, everything, everything[:0], plan, 0, [])
        assert row is not None
        ours.history.append(row)

    seconds: dict[str, list[float]] = {"featkit": [], "plain loop": []}
    for _ in range(repeats + 1):
        for name, run in (("featkit", featkit), ("plain loop", peer)):
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    first, second = (statistics.median(seconds[name][1:]) for name in seconds)  # the first of each warms up
    print(
        markdown(
            [
                {
                    "epoch of the CNN-LSTM": f"{CLIPS} × {TIME} × {DIMS}",
                    "featkit, CPU s": f"{first:.2f}",
                    "plain loop, CPU s": f"{second:.2f}",
                    "more than the network": f"{100 * (first / second - 1):+.0f} %",
                }
            ]
        )
    )


if __name__ == "__main__":
    main()
