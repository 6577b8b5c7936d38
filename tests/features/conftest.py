"""Waves on which the feature sets are compared with their references."""

from pathlib import Path

import numpy as np
import pytest

from featkit.audio import SAMPLE_RATE, Wave, load


def spoken(seconds: float = 1.0, seed: int = 0) -> Wave:
    """Speech-like: gliding harmonics in syllables, with a pause and a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(SAMPLE_RATE * seconds)) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * t)) / SAMPLE_RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3 * t), 0, None)
    return (0.1 * voice * syllables + 1e-4 * rng.standard_normal(t.size)).astype(np.float32)


@pytest.fixture(scope="session")
def wave() -> Wave:
    """One second of something like speech."""
    return spoken()


@pytest.fixture(scope="session")
def made_waves(wave: Wave) -> list[Wave]:
    """Noise, a tone in digital silence, something like speech, and a click."""
    rng = np.random.default_rng(0)
    tone = np.zeros(16_000, dtype=np.float32)
    tone[4000:9000] = 0.8 * np.sin(2 * np.pi * 440 * np.arange(5000) / SAMPLE_RATE)
    click = np.zeros(7777, dtype=np.float32)
    click[3000] = 1
    return [rng.uniform(-1, 1, 12_345).astype(np.float32), tone, wave, click]


@pytest.fixture(scope="session", params=["emodb_root", "ravdess_root"])
def real_waves(request: pytest.FixtureRequest) -> list[Wave]:
    """Six clips of a real corpus, spread over its files."""
    root: Path = request.getfixturevalue(request.param)
    files = sorted(root.rglob("*.wav"))
    return [load(path) for path in files[:: len(files) // 6][:6]]
