"""The nine default functionals against NumPy."""

import numpy as np
import pytest

from featkit.features.functionals import PERCENTILES, STATISTICS, functional_names, functionals

ROOM = 1e-5
"""Tolerance relative to the largest value: both sides compute in float32."""


def numpy_functionals(frames: np.ndarray) -> np.ndarray:
    """(time, dims) -> (9, dims), each statistic in NumPy's own words and in float64."""
    x = frames.astype(np.float64)
    time = np.arange(len(x))
    single = len(x) == 1
    return np.stack(
        [
            x.mean(axis=0),
            x.std(axis=0),
            *np.percentile(x, PERCENTILES, axis=0),
            np.zeros(x.shape[1]) if single else np.polyfit(time, x, 1)[0],
            np.zeros(x.shape[1]) if single else np.abs(np.diff(x, axis=0)).mean(axis=0),
        ]
    )


def assert_is_numpys(frames: np.ndarray) -> None:
    ours = functionals(frames)
    assert ours.dtype == np.float32
    assert ours.shape == (9 * frames.shape[1],)
    assert np.isfinite(ours).all()
    theirs = numpy_functionals(frames)
    assert np.abs(ours.reshape(theirs.shape) - theirs).max() <= ROOM * np.abs(frames).max()


@pytest.mark.parametrize("time", [1, 2, 3, 4, 20, 21, 101, 301, 3_000])
@pytest.mark.parametrize("dims", [1, 39])
def test_every_statistic_is_numpys(time, dims):
    rng = np.random.default_rng(time)
    frames = rng.normal(size=(time, dims)).cumsum(axis=0) * rng.uniform(0.1, 100, dims) + rng.normal(size=dims)
    assert_is_numpys(frames.astype(np.float32))


def test_equal_values_and_ties_are_no_trouble():
    assert_is_numpys(np.random.default_rng(0).integers(-3, 3, (77, 5)).astype(np.float32))


def test_a_constant_has_its_value_as_mean_and_percentiles_and_zero_elsewhere():
    values = functionals(np.full((50, 2), -7.5, dtype=np.float32)).reshape(9, 2)
    np.testing.assert_array_equal(values[[0, 2, 3, 4, 5, 6]], np.full((6, 2), -7.5))
    np.testing.assert_array_equal(values[[1, 7, 8]], np.zeros((3, 2)))


def test_a_line_has_its_slope_as_slope_and_as_mean_difference():
    values = functionals(np.float32(np.arange(40)[:, None] * [2.0, -0.5] + 3)).reshape(9, 2)
    np.testing.assert_allclose(values[7], [2, -0.5], rtol=1e-6)
    np.testing.assert_allclose(values[8], [2, 0.5], rtol=1e-6)


def test_a_small_movement_on_a_large_offset_keeps_its_spread_and_slope():
    """Spread and slope are taken about the mean, so an offset of 1000 costs no digits but those of the input."""
    frames = np.float32(1_000 + 0.5 * np.sin(np.arange(301) / 7))[:, None]
    theirs = numpy_functionals(frames)[:, 0]
    np.testing.assert_allclose(functionals(frames)[[1, 7, 8]], theirs[[1, 7, 8]], atol=1e-5)


def test_a_single_frame_is_its_own_summary():
    values = functionals(np.array([[3.0, -4.0]], dtype=np.float32)).reshape(9, 2)
    np.testing.assert_array_equal(values[[0, 2, 3, 4, 5, 6]], np.tile([3.0, -4.0], (6, 1)))
    np.testing.assert_array_equal(values[[1, 7, 8]], np.zeros((3, 2)))


def test_names_follow_the_values_statistic_by_statistic():
    names = functional_names(["a", "b"])
    assert names[:4] == ["a_mean", "b_mean", "a_std", "b_std"]
    assert len(names) == len(set(names)) == 2 * len(STATISTICS)
    frames = np.float32(np.random.default_rng(0).normal(size=(30, 2)))
    values = dict(zip(names, functionals(frames), strict=True))
    assert values["b_p75"] == pytest.approx(np.percentile(frames[:, 1], 75), rel=1e-5)
