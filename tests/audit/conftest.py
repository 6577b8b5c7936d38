"""A small clean corpus, for traps to be put into."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drafts import Draft

from featkit.audio import SAMPLE_RATE, Wave
from featkit.datasets.synthetic import synthesise

EMOTIONS = ("happiness", "neutral", "surprise")
SPEAKERS = 4
SENTENCES = 3


@pytest.fixture(scope="session")
def clean() -> dict[tuple[str, str, str], Wave]:
    """Synthetic speech, each clip followed by a pause of another length, so that its duration tells nothing."""
    waves = {}
    rng = np.random.default_rng(0)
    for label in EMOTIONS:
        for speaker in range(SPEAKERS):
            for sentence in range(SENTENCES):
                pause = 1e-3 * rng.standard_normal(int(rng.uniform(0, 2 * SAMPLE_RATE)))
                speech = 0.7 * synthesise(label, speaker, sentence, take=0)
                waves[label, f"s{speaker}", str(sentence)] = np.append(speech, pause).astype(np.float32)
    return waves


@pytest.fixture
def draft(tmp_path: Path, clean: dict[tuple[str, str, str], Wave]) -> Draft:
    return Draft(tmp_path, clean)
