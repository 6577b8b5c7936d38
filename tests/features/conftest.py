"""Waves on which the feature sets are compared with their references."""

from pathlib import Path

import numpy as np
import pytest

from featkit.audio import SAMPLE_RATE, Wave, load


def _speech_like() -> Wave:
    """Gliding harmonics in syllables, with pauses and a little noise; one second."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * t)) / SAMPLE_RATE
    voice = np.sum([np.sin(k * phase) / k for k in range(1, 20)], axis=0)
    noise = np.random.default_rng(0).standard_normal(t.size)
    return (0.1 * voice * np.clip(np.sin(2 * np.pi * 3 * t), 0.05, None) + 1e-4 * noise).astype(np.float32)


@pytest.fixture(scope="session")
def wave() -> Wave:
    """One second of something like speech."""
    return _speech_like()


@pytest.fixture(scope="session")
def synthetic_waves(wave: Wave) -> list[Wave]:
    """Something like speech, noise, a tone in digital silence, and a click."""
    tone = np.zeros(16_000, dtype=np.float32)
    tone[4000:9000] = 0.8 * np.sin(2 * np.pi * 440 * np.arange(5000) / SAMPLE_RATE)
    click = np.zeros(7777, dtype=np.float32)
    click[3000] = 1
    return [wave, np.random.default_rng(0).uniform(-1, 1, 12_345).astype(np.float32), tone, click]


def _clips(root: Path, n: int) -> list[Wave]:
    """``n`` clips, spread over the files of a corpus."""
    files = sorted(path for path in root.rglob("*") if path.suffix in {".wav", ".flac"})
    return [load(path) for path in files[len(files) // (2 * n) :: len(files) // n][:n]]


@pytest.fixture(scope="session", params=["emodb_root", "ravdess_root"])
def real_waves(request: pytest.FixtureRequest) -> list[Wave]:
    """Six clips of a real corpus; skips where it is not on this computer."""
    return _clips(request.getfixturevalue(request.param), 6)
