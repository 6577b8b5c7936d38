"""Windows of a stream are those of the whole, whatever the pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featkit.errors import AudioError, DataError
from featkit.stream.windows import Windows, bounds, n_samples, window_and_hop


def cut(total: int, window: int, hop: int, pieces: list[int]) -> list[tuple[int, list[float]]]:
    """What `Windows` makes of 0, 1, 2 … in pieces of these sizes, again and again."""
    samples, windows = np.arange(total, dtype=np.float32), Windows(window, hop)
    found, at, turn = [], 0, 0
    while at < total:
        size = max(1, pieces[turn % len(pieces)])
        found += [(start, wave.tolist()) for start, wave in windows.push(samples[at : at + size])]
        at, turn = at + size, turn + 1
    return found + [(start, wave.tolist()) for start, wave in windows.flush()]


@given(
    total=st.integers(0, 200), window=st.integers(1, 40), share=st.floats(0.01, 1),
    pieces=st.lists(st.integers(1, 60), min_size=1, max_size=4),
)  # fmt: skip
def test_pieces_of_any_size_give_the_windows_of_the_whole(
    total: int, window: int, share: float, pieces: list[int]
) -> None:
    hop = max(1, round(share * window))
    whole = [(start, list(map(float, range(start, stop)))) for start, stop in bounds(total, window, hop)]
    assert cut(total, window, hop, pieces) == whole


@given(total=st.integers(1, 300), window=st.integers(1, 40), share=st.floats(0.01, 1))
def test_every_sample_is_in_a_window_and_none_is_made_up(total: int, window: int, share: float) -> None:
    cuts = bounds(total, window, max(1, round(share * window)))
    assert set().union(*(range(start, stop) for start, stop in cuts)) == set(range(total))
    assert {stop - start for start, stop in cuts} == {min(window, total)}


def test_windows_are_cut_by_hand_as_here() -> None:
    assert bounds(0, 4, 2) == []
    assert bounds(4, 4, 2) == [(0, 4)]
    assert bounds(9, 4, 2) == [(0, 4), (2, 6), (4, 8), (5, 9)]
    assert bounds(9, 4, 4) == [(0, 4), (4, 8), (5, 9)]


def test_after_a_flush_time_goes_on_and_windows_begin_anew() -> None:
    windows = Windows(4, 2)
    assert [start for start, _ in windows.push(np.ones(5, dtype=np.float32))] == [0]
    assert [start for start, _ in windows.flush()] == [1]
    windows.skip(10)
    assert windows.position == 15
    assert [start for start, _ in windows.push(np.ones(6, dtype=np.float32))] == [15, 17]
    assert list(windows.flush()) == []


def test_a_window_is_a_copy() -> None:
    windows = Windows(2, 1)
    (_, first), *_ = windows.push(np.arange(9, dtype=np.float32))
    assert first.tolist() == [0, 1]


@pytest.mark.parametrize("window", [0, -1, float("nan"), 60.1, float("inf")])
def test_a_window_of_no_length_or_of_minutes_is_refused(window: float) -> None:
    with pytest.raises(AudioError, match="A window must be longer than 0 s and at most 60 s; it is"):
        n_samples(window, 0.5)


@pytest.mark.parametrize("hop", [0, -1, 0.001, 1.1, float("nan")])
def test_a_hop_that_leaves_sound_out_or_never_ends_is_refused(hop: float) -> None:
    with pytest.raises(AudioError, match=r"The hop is .* s; it must lie between 0\.01 s and the window, 1 s"):
        n_samples(1, hop)


def test_a_hop_without_a_window_is_refused_and_a_window_is_its_own_hop() -> None:
    assert (window_and_hop(None, None), window_and_hop(2, None), window_and_hop(2, 1)) == (None, (2.0, 2.0), (2.0, 1.0))
    with pytest.raises(DataError, match=r"hop is the distance between windows; give their length with window \(--win"):
        window_and_hop(None, 1.0)
    with pytest.raises(AudioError, match=r"The hop is 3 s|The hop is 3\.0 s; it must lie between"):
        window_and_hop(2.0, 3.0)
