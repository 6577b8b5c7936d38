"""Resampled blocks, one after the other, are the resampled whole."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from featkit.audio import Wave, to_wave
from featkit.stream.resampling import Resampler

RNG = np.random.default_rng(0)


def in_blocks(wave: Wave, rate: int, sizes: list[int]) -> Wave:
    resampler, found, at, turn = Resampler(rate), [], 0, 0
    while at < wave.size:
        size = sizes[turn % len(sizes)]
        found.append(resampler.push(wave[at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate([*found, resampler.flush()])


@pytest.mark.parametrize("rate", [1_000, 8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000, 768_000])
def test_blocks_of_any_size_equal_the_whole_bit_by_bit(rate: int) -> None:
    wave = RNG.uniform(-0.5, 0.5, rate + 17).astype(np.float32)
    whole = soxr.ResampleStream(rate, 16_000, 1, dtype="float32", quality="HQ").resample_chunk(wave, last=True)
    for sizes in ([wave.size], [1024], [1, 7, 0, 1000, 3333]):
        np.testing.assert_array_equal(in_blocks(wave, rate, sizes), whole)
    np.testing.assert_array_equal(whole, to_wave(wave, rate))  # as a file of that rate is read


def test_at_16_khz_samples_pass_as_they_are() -> None:
    wave = RNG.uniform(-0.5, 0.5, 100).astype(np.float32)
    assert Resampler(16_000).push(wave) is wave


def test_after_a_flush_another_sound_begins() -> None:
    wave = RNG.uniform(-0.5, 0.5, 4_410).astype(np.float32)
    resampler = Resampler(44_100)
    twice = [np.concatenate([resampler.push(wave), resampler.flush()]) for _ in range(2)]
    np.testing.assert_array_equal(twice[0], twice[1])


def test_of_nothing_comes_nothing() -> None:
    resampler = Resampler(44_100)
    assert resampler.flush().size == 0
    assert resampler.push(np.empty(0, dtype=np.float32)).size == 0
    assert resampler.flush().size == 0
