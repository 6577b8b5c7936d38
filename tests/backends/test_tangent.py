"""The logarithm of a covariance, in numpy and as a graph, is SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from featkit_backends.tangent import Tangent, add_logarithm
from scipy.linalg import expm, logm
from speech import inputs, speech

from featkit.errors import DataError
from featkit.graph import GraphBuilder, run, session

X, Y = inputs("frames"), speech().labels


def matrices(spread: float, dims: int = 6) -> Any:
    """Symmetric matrices with eigenvalues from 1 to ``spread``."""
    rng = np.random.default_rng(0)
    for _ in range(4):
        basis, _ = np.linalg.qr(rng.normal(size=(dims, dims)))
        yield (basis * np.geomspace(1, spread, dims)) @ basis.T


@pytest.mark.parametrize("spread", [1, 10, 1e3, 1e5])
def test_the_logarithm_as_a_graph_is_that_of_scipy(spread: float) -> None:
    g = GraphBuilder("log")
    matrix = g.op("Cast", g.input("matrix", ["batch", 6, 6]), to=11)
    g.output(g.op("Cast", add_logarithm(g, matrix, 6, 1e-6), to=1), "log", ["batch", 6, 6])
    A = np.stack([matrix / spread**0.5 for matrix in matrices(spread)]).astype(np.float32)
    expected = np.stack([logm(matrix.astype(np.float64)).real for matrix in A])
    np.testing.assert_allclose(run(session(g.model()), A), expected, atol=2e-6)


@pytest.mark.parametrize("deltas", [False, True])
def test_a_clip_is_described_by_the_logarithm_of_its_covariance(deltas: bool) -> None:
    ours = Tangent(shrinkage=0.2, deltas=deltas).fit(X, Y)
    z = ours.frame_standardise_(X[3]).astype(np.float64)
    if deltas:
        ends = np.concatenate([z[:1], z, z[-1:]])
        z = np.concatenate([z, (ends[2:] - ends[:-2]) / 2], axis=1)
    covariance = 0.8 * np.cov(z.T, bias=True) + 0.2 * np.eye(z.shape[1])
    flat = ours._describe(X[3])
    # Back to a matrix: distances between vectors are those between matrices.
    dims = z.shape[1]
    logarithm = np.zeros((dims, dims))
    logarithm[np.triu_indices(dims)] = flat
    logarithm = (logarithm + logarithm.T) / np.sqrt(2)
    logarithm[np.diag_indices(dims)] /= np.sqrt(2)
    np.testing.assert_allclose(expm(logarithm), covariance, atol=1e-8)
    assert np.linalg.norm(flat) == pytest.approx(np.linalg.norm(logarithm))


@pytest.mark.parametrize("shrinkage", [1e-4, 0.03, 1.0])
@pytest.mark.parametrize("deltas", [False, True])
def test_the_graph_describes_a_clip_alike_at_any_length(shrinkage: float, deltas: bool) -> None:
    ours = Tangent(shrinkage=shrinkage, deltas=deltas).fit(X, Y)
    g = GraphBuilder("tangent")
    g.output(ours._add_description(g, g.input("frames", ["batch", "time", 39])), "vector", ["batch", "values"])
    graph = session(g.model())
    loud = 1e3 * X[0] * np.sign(np.arange(len(X[0])) % 2 - 0.5)[:, None]  # at the clipping, where it is hardest
    for clip in (X[0][:1], X[0][:2], X[1], np.tile(X[2], (9, 1)), loud.astype(np.float32), np.zeros((5, 39))):
        clip = clip.astype(np.float32)
        np.testing.assert_allclose(run(graph, clip[None])[0], ours._describe(clip), atol=1e-5)


def test_a_level_that_is_the_same_in_all_frames_is_not_heard() -> None:
    ours = Tangent().fit(X, Y)
    np.testing.assert_allclose(ours._describe(X[0] + np.float32(0.5)), ours._describe(X[0]), atol=1e-3)


@pytest.mark.parametrize("shrinkage", [0, 1.5, "much"])
def test_refuses_a_shrinkage_that_makes_no_sense(shrinkage: Any) -> None:
    with pytest.raises(DataError, match=r"tangent: shrinkage lies between 0.0001 and 1; it is"):
        Tangent(shrinkage=shrinkage).fit(X, Y)
