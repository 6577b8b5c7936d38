"""Fisher vectors are the gradients they are said to be, and the mixture is scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from featkit_backends.fisher import Fisher, Mixture, _add_fisher_vector, fisher_vector, learn_mixture
from sklearn.mixture import GaussianMixture
from speech import inputs, speech

from featkit.errors import DataError
from featkit.graph import GraphBuilder, run, session

X, Y = inputs("frames"), speech().labels


def clusters(n: int = 3000) -> Any:
    """Frames around three centres, of which one is wide."""
    rng = np.random.default_rng(0)
    centres, widths = np.array([[-4, 0], [4, 0], [0, 5]]), np.array([[0.5], [1.0], [0.3]])
    which = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    return (centres[which] + widths[which] * rng.normal(size=(n, 2))).astype(np.float32)


def reference(mixture: Mixture) -> GaussianMixture:
    """The same mixture as scikit-learn keeps it."""
    gmm = GaussianMixture(len(mixture.weights), covariance_type="diag")
    gmm.weights_, gmm.means_, gmm.covariances_ = (np.asarray(part, dtype=np.float64) for part in mixture)
    gmm.precisions_cholesky_ = 1 / np.sqrt(gmm.covariances_)
    return gmm


def test_the_mixture_is_as_likely_as_that_of_scikit_learn() -> None:
    z = clusters()
    ours = learn_mixture(z, 3, np.random.default_rng(0))
    theirs = GaussianMixture(3, covariance_type="diag", n_init=5, random_state=0).fit(z)
    assert reference(ours).score(z) == pytest.approx(theirs.score(z), abs=1e-3)
    np.testing.assert_allclose(np.sort(ours.weights), np.sort(theirs.weights_), atol=1e-3)


def test_values_are_the_derivatives_of_the_likelihood() -> None:
    """The mean over frames of d log p / d mean, times deviation / √weight, and likewise for the deviation."""
    z = clusters(40)
    mixture = learn_mixture(clusters(), 3, np.random.default_rng(0))

    def moved(part: str, k: int, d: int, step: float) -> float:
        gmm = reference(mixture)
        if part == "mean":
            gmm.means_[k, d] += step
        else:
            gmm.precisions_cholesky_[k, d] = 1 / (np.sqrt(mixture.variances[k, d]) + step)
        return float(gmm.score(z))

    deviations, weights = np.sqrt(mixture.variances), mixture.weights
    expected = [
        (moved(part, k, d, 1e-5) - moved(part, k, d, -1e-5)) / 2e-5 * deviations[k, d] / np.sqrt(share * weights[k])
        for part, share in (("mean", 1), ("deviation", 2))
        for k in range(3)
        for d in range(2)
    ]
    root = np.sign(expected) * np.sqrt(np.abs(expected))  # the softness is lost in the tolerance
    np.testing.assert_allclose(fisher_vector(mixture, z), root / np.linalg.norm(root), atol=2e-3)


def test_a_vector_has_length_one_and_two_values_for_each_gaussian_and_column() -> None:
    mixture = learn_mixture(clusters(), 3, np.random.default_rng(0))
    vector = fisher_vector(mixture, clusters(7))
    assert vector.shape == (2 * 3 * 2,)
    assert np.linalg.norm(vector) == pytest.approx(1)


@pytest.mark.parametrize("time", [1, 2, 1000])
def test_the_graph_of_a_vector_gives_the_same(time: int) -> None:
    mixture = learn_mixture(clusters(), 3, np.random.default_rng(0))
    g = GraphBuilder("fisher")
    g.output(_add_fisher_vector(g, mixture, g.input("z", ["batch", "time", 2])), "vector", ["batch", "values"])
    z = clusters(time)
    np.testing.assert_allclose(run(session(g.model()), z[None])[0], fisher_vector(mixture, z.astype(float)), atol=1e-6)


def test_more_gaussians_than_frames_become_as_many_as_frames() -> None:
    clips = [np.full((1, 3), i, dtype=np.float32) for i in range(6)]
    fitted = Fisher(components=64, centre=False).fit(clips, np.array(list("aaabbb")))
    assert fitted.mixture_.means.shape == (6, 3)
    assert np.isfinite(fitted.predict_proba(clips)).all()


def test_a_gaussian_that_no_frame_wants_does_no_harm() -> None:
    z = np.repeat(np.array([[0.0, 0], [1, 1]], dtype=np.float32), 50, axis=0)
    mixture = learn_mixture(z, 8, np.random.default_rng(0))
    assert all(np.isfinite(part).all() for part in mixture)
    assert np.isfinite(fisher_vector(mixture, z)).all()


def test_centred_frames_do_not_hear_what_is_added_to_all_of_a_clip() -> None:
    shifted = [clip + np.float32(5) for clip in X]
    centred, plain = Fisher().fit(X, Y), Fisher(centre=False).fit(X, Y)
    np.testing.assert_allclose(centred.predict_proba(shifted), centred.predict_proba(X), atol=1e-3)
    assert np.abs(plain.predict_proba(shifted) - plain.predict_proba(X)).max() > 0.01


def test_the_mixture_is_learned_from_as_many_frames_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import featkit_backends.fisher as module

    seen = []
    learn = module.learn_mixture
    monkeypatch.setattr(module, "learn_mixture", lambda z, *rest: seen.append(len(z)) or learn(z, *rest))
    Fisher(frames=500, components=4).fit(X, Y)
    assert seen == [500]


@pytest.mark.parametrize("setting", ["components", "frames"])
def test_refuses_a_number_that_makes_no_sense(setting: str) -> None:
    with pytest.raises(DataError, match=f"fisher: {setting} is a whole number from 1 on; it is 0"):
        Fisher(**{setting: 0}).fit(X, Y)
