"""How often the interval of UA holds the truth, and how often p calls equal models different, by number of speakers.

    python benchmarks/intervals.py [--runs 400]

Speakers are made up: each has an ability of his own for every emotion (normal on the logit scale, deviation 0.8) and
seven clips of each of four emotions. The truth is the mean recall over a hundred thousand such speakers. For p two
models are drawn whose abilities have the same distribution.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from featkit import metrics
from featkit.tables import markdown

EMOTIONS, CLIPS, DEVIATION = 4, 7, 0.8


def abilities(speakers: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Chance of a right answer. -> (speakers, emotions)."""
    return 1 / (1 + np.exp(-0.8 - DEVIATION * rng.normal(size=(speakers, EMOTIONS))))


def counts(speakers: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Confusion counts of a model. -> (speakers, emotions, emotions)."""
    hits = rng.binomial(CLIPS, abilities(speakers, rng))
    tables = np.zeros((speakers, EMOTIONS, EMOTIONS), np.int64)
    for i in range(EMOTIONS):
        tables[:, i, i] = hits[:, i]
        tables[:, i, (i + 1) % EMOTIONS] = CLIPS - hits[:, i]
    return tables


def percentiles(counts: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The usual interval of a bootstrap."""
    draws = rng.integers(len(counts), size=(1_000, len(counts)))
    found: npt.NDArray[np.float64] = np.quantile([metrics.ua(counts[own].sum(axis=0)) for own in draws], [0.025, 0.975])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(0)
    truth = float(abilities(100_000, rng).mean())
    rows = []
    for speakers in (3, 4, 6, 10, 24):
        held = plain = called = 0
        for _ in range(runs):
            one, other = counts(speakers, rng), counts(speakers, rng)
            low, high = metrics.ua_interval(one, n_resamples=1_000)
            held += low <= truth <= high
            low, high = percentiles(one, rng)
            plain += low <= truth <= high
            called += metrics.ua_difference(one, other, n_resamples=1_000).p <= 0.05
        share = {"interval holds the truth": held, "percentiles would": plain, "p ≤ 0.05 of equal models": called}
        rows.append({"speakers": str(speakers)} | {name: f"{100 * n / runs:.0f} %" for name, n in share.items()})
    print(markdown(rows))


if __name__ == "__main__":
    main()
