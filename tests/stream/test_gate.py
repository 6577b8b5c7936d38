"""The gate passes speech over the room's noise, and follows the room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from speech import speech

from featkit.audio import Wave
from featkit.errors import AudioError
from featkit.stream import EnergyGate

RNG = np.random.default_rng(0)


def noise(level: float, seconds: float = 3.0) -> Wave:
    wave: Wave = RNG.normal(0, level, int(16_000 * seconds)).astype(np.float32)
    return wave


def spoken(level: float, clip: int = 0) -> Wave:
    """A second of speech within 3 s of noise."""
    wave = noise(level)
    wave[16_000:32_000] += speech().waves[clip][:16_000]
    return wave


@pytest.mark.parametrize("level", [1e-5, 1e-3, 3e-3])
def test_speech_passes_and_noise_does_not(level: float) -> None:
    gate = EnergyGate()
    assert [gate(wave) for wave in (noise(level), spoken(level), noise(level), spoken(level, 5))] == [
        False, True, False, True,
    ]  # fmt: skip


def test_speech_in_the_very_first_window_passes() -> None:
    assert EnergyGate()(spoken(1e-3))


def test_a_louder_room_is_taken_for_the_floor_after_a_while() -> None:
    gate = EnergyGate(memory=4)
    heard = [gate(noise(1e-3)) for _ in range(4)] + [gate(noise(1e-2)) for _ in range(6)]
    assert heard == [False] * 4 + [True] * 3 + [False] * 3


def test_what_is_softer_than_a_quiet_room_is_never_a_voice() -> None:
    gate = EnergyGate()
    gate(np.zeros(48_000, dtype=np.float32))
    assert not gate(noise(1e-4))  # −80 dB
    assert gate(noise(1e-2))  # −40 dB


def test_a_click_is_no_voice() -> None:
    wave = noise(1e-3)
    wave[20_000:20_100] = 0.9
    assert not EnergyGate()(wave)


@pytest.mark.parametrize("size", [1, 100, 320, 1_000])
def test_short_waves_are_heard_too(size: int) -> None:
    gate = EnergyGate()
    gate(noise(1e-4))
    assert gate(noise(0.1)[:size])


@pytest.mark.parametrize(
    "settings", [{"margin": 0}, {"share": 0}, {"share": 1.1}, {"memory": 0}, {"margin": float("nan")},
                 {"quietest": float("nan")}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings: Any) -> None:
    with pytest.raises(AudioError, match="A gate needs a margin above 0 dB, a share above 0 and up to 1"):
        EnergyGate(**settings)
