"""Presets are recipes that can be built, named and exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech import speech

from featkit import load
from featkit.errors import PluginError
from featkit.presets import PRESETS, find_preset

WAVES, LABELS, SPEAKERS = speech()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_the_average_of_its_members(name: str) -> None:
    made = find_preset(name, copies=1)
    parts = [member.parts() for member in made.members()]
    assert [backend.name for _, backend, _ in parts] == [text.partition(":")[0] for _, text in PRESETS[name].members]
    assert all(copies is not None and copies.n == 1 for _, _, copies in parts)


def test_own_needs_no_opensmile_and_takes_the_waveform(tmp_path: Path) -> None:
    assert not any(member.parts()[0].licence for member in find_preset("own").members())
    made = find_preset("own", copies=1).fit(WAVES, LABELS, groups=SPEAKERS)
    assert made.export(tmp_path / "m.onnx").inputs == ("wave",)
    np.testing.assert_allclose(load(tmp_path / "m.onnx").predict_proba(WAVES), made.predict_proba(WAVES), atol=1e-4)


def test_best_is_one_file_as_well(tmp_path: Path) -> None:
    made = find_preset("best", copies=1).fit(WAVES, LABELS, groups=SPEAKERS)
    report = made.export(tmp_path / "m.onnx")
    assert set(report.inputs) == {"compare2016_functionals", "compare2016_frames", "wave"}


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(PluginError, match=r"No preset is named 'bset'\. Did you mean 'best'\? Presets: best, own"):
        find_preset("bset")
