"""Damaged files of every kind end in an answer: no crash of a decoder, no hang, no memory that a header asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from battery import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from featkit.audio import SAMPLE_RATE, check_wave, to_wave
from featkit.errors import AudioError
from featkit.quality import FLAGS, flags

_TESTS = Path(__file__).parents[1]
N = 2000


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited by setrlimit")
def test_two_thousand_damaged_files_end_in_an_answer() -> None:
    # In a process of its own, so that a crash is seen and told with the number of the file.
    done = subprocess.run(
        [sys.executable, fuzz.__file__, "0", str(N)],
        capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONPATH": str(_TESTS), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"{lines[-1:]}\n{done.stderr[-2000:]}"
    assert done.stderr == ""
    answers = Counter(line.split()[1] for line in lines)
    assert answers.total() == N
    assert min(answers["accepted"], answers["not_audio"], answers["truncated"]) > N / 20  # each road was taken


_NUMBERS = st.sampled_from([np.int8, np.int16, np.int32, np.uint8, np.uint16, np.float16, np.float32, np.float64])
_SHAPES = st.one_of(st.tuples(st.integers(0, 3000)), st.tuples(st.integers(0, 300), st.integers(1, 8)))


@settings(deadline=None)  # one that is slow tells of the machine
@given(_NUMBERS.flatmap(lambda kind: arrays.arrays(kind, _SHAPES)), st.integers(900, 200_000))
def test_an_array_becomes_a_finite_wave_or_an_error(samples: np.ndarray, rate: int) -> None:
    try:
        with np.errstate(all="ignore"):  # float64 beyond float32 becomes infinite, and is told
            wave = check_wave(to_wave(samples, rate))
    except AudioError:
        return
    assert wave.dtype == np.float32
    assert np.isfinite(wave).all()
    assert {flag.split()[0] for flag in flags(wave)} <= set(FLAGS)


@settings(deadline=None)
@given(arrays.arrays(np.float32, st.integers(1, 3000), elements=st.floats(-2, 2, width=32)))
def test_flags_never_fail_on_a_wave(wave: np.ndarray) -> None:
    found = flags(wave)
    assert len({flag.split()[0] for flag in found}) == len(found)
    assert ("short" in " ".join(found)) == (wave.size < SAMPLE_RATE / 10)
