"""A file that is replayed is answered as offline; what a source says of losses reaches the events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from featkit.audio import Wave, load
from featkit.errors import AudioError
from featkit.runtime import Model
from featkit.stream import Block, LiveRecogniser, recognise, replay, sliding


def live(model: Model, backlog: int | None = None) -> LiveRecogniser:
    return LiveRecogniser(model, window=1.0, hop=0.5, smoothing=None, backlog=backlog)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1)])
@pytest.mark.parametrize("block", [1024, 777])
def test_a_replayed_file_is_answered_as_offline_bit_by_bit(
    svm: Model, recording: Wave, tmp_path: Path, rate: int, channels: int, block: int
) -> None:
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.stack([recording[:50_001]] * channels, axis=1), rate)
    wanted = sliding(svm, load(path), 1.0, 0.5)
    for speed in (float("inf"), 50):
        events = list(recognise(live(svm), replay(path, speed, block)))
        assert [(event.start, event.end) for event in events] == [(segment.start, segment.end) for segment in wanted]
        for event, segment in zip(events, wanted, strict=True):
            np.testing.assert_array_equal(event.probabilities, segment.probabilities)


def test_a_replay_takes_the_time_of_the_recording_divided_by_its_speed(recording: Wave, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "speech.wav", recording[:16_000], 16_000)
    began = time.monotonic()
    blocks = list(replay(tmp_path / "speech.wav", speed=4))
    assert 0.25 <= time.monotonic() - began < 1
    arrived = [block.arrived - began for block in blocks if block.arrived]
    np.testing.assert_allclose(np.diff(arrived[:-1]), 1024 / 16_000 / 4, atol=1e-6)
    assert sum(len(block.samples) for block in blocks) == 16_000


def test_a_file_of_50_ms_is_one_window(svm: Model, recording: Wave, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", recording[8_000:8_800], 16_000)
    (event,) = recognise(LiveRecogniser(svm), replay(tmp_path / "short.wav"))
    assert (event.start, event.end, event.reason) == (0, 0.05, None)


def test_what_cannot_be_replayed_is_told_before_the_first_block(tmp_path: Path, recording: Wave) -> None:
    with pytest.raises(AudioError, match="there is no such file"):
        replay(tmp_path / "gone.wav")
    for speed, block in ((0, 1024), (-1, 1024), (float("nan"), 1024), (1, 0)):
        with pytest.raises(AudioError, match="A replay needs a speed above 0 and blocks of 1 sample or more"):
            replay(tmp_path / "gone.wav", speed, block)


def test_any_iterable_of_blocks_is_a_source(svm: Model, recording: Wave) -> None:
    blocks = (Block(recording[at : at + 500], 16_000) for at in range(0, 40_000, 500))
    events = list(recognise(live(svm), blocks))
    wanted = sliding(svm, recording[:40_000], 1.0, 0.5)
    np.testing.assert_array_equal([e.probabilities for e in events], [s.probabilities for s in wanted])


def test_the_gap_before_a_block_reaches_the_event(svm: Model, recording: Wave) -> None:
    blocks = [Block(recording[:16_000], 16_000), Block(recording[16_000:32_000], 16_000, gap=0.3)]
    assert [(event.start, event.gap) for event in recognise(live(svm), blocks)] == [(0, 0), (1.3, 0.3)]


class Hurried:
    """A source whose blocks are all there before the model has answered the first."""

    def __init__(self, wave: Wave) -> None:
        self._blocks = [Block(wave[at : at + 1000], 16_000) for at in range(0, wave.size, 1000)]

    def waiting(self) -> bool:
        return bool(self._blocks)

    def __iter__(self) -> Iterator[Block]:
        while self._blocks:
            yield self._blocks.pop(0)


def test_of_a_source_that_does_not_wait_old_windows_are_dropped(svm: Model, recording: Wave) -> None:
    recogniser = live(svm, backlog=2)
    events = list(recognise(recogniser, Hurried(recording[:80_000])))
    assert [(event.end, event.dropped) for event in events] == [(4.5, 7), (5.0, 0)]
    assert recogniser.dropped == 7
    assert len(list(recognise(live(svm), Hurried(recording[:80_000])))) == 9  # without a backlog all are kept
