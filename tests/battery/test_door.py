"""Every kind of file gets the one answer that is right: refused, accepted, or accepted with flags."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest
from battery import by_ffmpeg, damaged, foreign, names, signals, stored
from battery.kinds import Kind, sound

from featkit.audio import SAMPLE_RATE, Wave, read
from featkit.errors import AudioError
from featkit.quality import FLAGS, flags

GLIBC = platform.libc_ver()[0] == "glibc"
"""Elsewhere libmpg123 cannot be silenced."""
KINDS = [*stored.KINDS, *damaged.KINDS, *foreign.KINDS, *signals.KINDS, *names.KINDS]


def assert_tone(wave: Wave, kind: Kind) -> None:
    """The strongest line of the middle is at ``kind.hz`` and has the amplitude ``kind.level``."""
    middle = wave[wave.size // 2 - 4000 : wave.size // 2 + 4000].astype(float)
    middle -= middle.mean()
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size))) * 4 / middle.size
    assert abs(spectrum.argmax() * SAMPLE_RATE / middle.size - kind.hz) <= 3
    assert spectrum.max() == pytest.approx(kind.level, rel=kind.tolerance)


@pytest.mark.parametrize("kind", [*KINDS, *by_ffmpeg.KINDS], ids=lambda kind: kind.name)
def test_the_door_gives_the_right_answer(kind: Kind, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = kind.make(tmp_path)
    if kind.refused:
        with pytest.raises(AudioError, match=kind.refused) as told:
            read(path)
        assert told.value.code == kind.code
        assert str(told.value).isprintable()
    else:
        wave, how = read(path)
        assert wave.dtype == np.float32
        assert np.isfinite(wave).all()
        assert {flag.split()[0] for flag in flags(wave, how)} == set(kind.flags)
        if kind.seconds is not None:
            assert wave.size / SAMPLE_RATE == pytest.approx(kind.seconds, abs=kind.slack)
        if kind.hz is not None:
            assert_tone(wave, kind)
        if kind.error is not None:
            assert np.abs(wave - sound()).max() < kind.error
    if GLIBC:
        assert capfd.readouterr() == ("", "")


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 120


def test_every_flag_is_expected_of_some_file() -> None:
    assert {flag for kind in KINDS for flag in kind.flags} == set(FLAGS)
