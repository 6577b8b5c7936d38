"""The graph is the definition: what training runs is what the exported model holds, at any batch size and length."""

import numpy as np
import onnx
import pytest

from featkit.audio import Wave
from featkit.datasets.synthetic import synthesise
from featkit.features import FeatureExtractor, find_extractor
from featkit.features.base import Fusion
from featkit.features.functionals import functionals
from featkit.features.logmel import LogMel
from featkit.features.mfcc import MFCC39
from featkit.graph import run, session

EXTRACTORS = [
    MFCC39(),
    MFCC39(n_fft=512, win_length=400, hop_length=200, center=False, deltas=1, ref="max"),
    MFCC39(n_fft=401, pad_mode="reflect", power=1.0, delta_mode="nearest"),
    LogMel(),
    Fusion((MFCC39(), LogMel(n_mels=26, center=False))),
]
TOLERANCE = 1e-3
"""Matrix products sum in another order at another batch size."""

graphs = pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda x: f"{x.name}-{EXTRACTORS.index(x)}")
views = pytest.mark.parametrize("view", ["frames", "functionals"])


@pytest.fixture(scope="module")
def speech() -> Wave:
    """Longer than 5 s."""
    return np.concatenate([synthesise(emotion, 0, 0, 0) for emotion in ("anger", "sadness", "fear")] * 2)


@graphs
@views
def test_the_graph_is_valid_and_dynamic_in_batch_and_length(extractor: FeatureExtractor, view):
    model = extractor.to_onnx(view)
    onnx.checker.check_model(model, full_check=True)
    (given,), (made,) = model.graph.input, model.graph.output
    dims = [[dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in (given, made)]
    assert dims == [["batch", "samples"], ["batch", "time", "dims"] if view == "frames" else ["batch", "dims"]]
    assert made.name == view


@graphs
@views
@pytest.mark.parametrize("n_samples", [400, 513, 1_999, 16_000, 80_000])
def test_a_row_of_a_batch_is_what_the_clip_gives_alone(extractor: FeatureExtractor, view, n_samples, speech):
    graph = session(extractor.to_onnx(view))
    clips = np.stack([speech[start : start + n_samples] for start in (0, 900, 5_000)])
    batch = run(graph, clips)
    assert len(batch) == 3
    for clip, row in zip(clips, batch, strict=True):
        alone = run(graph, clip[None])[0]
        assert alone.shape == row.shape
        assert np.abs(alone - row).max() <= TOLERANCE


@graphs
@views
def test_frames_and_functionals_are_the_graphs_own_numbers(extractor: FeatureExtractor, view, speech):
    graph = session(extractor.to_onnx(view))
    for wave in (speech[:16_000], speech[:4_321]):
        np.testing.assert_array_equal(extractor.extract(wave, view), run(graph, wave[None])[0])


@graphs
def test_functionals_are_the_default_statistics_of_the_frames(extractor: FeatureExtractor, speech):
    wave = speech[:20_000]
    if isinstance(extractor, Fusion):  # each part describes its own frames
        expected = np.concatenate([functionals(part.frames(wave)) for part in extractor.parts])
    else:
        expected = functionals(extractor.frames(wave))
    np.testing.assert_allclose(extractor.functionals(wave), expected, atol=TOLERANCE)


def test_a_fusion_of_graphs_is_one_graph_equal_to_its_parts(speech):
    fusion, wave = find_extractor("mfcc39+logmel"), speech[:16_000]
    for view in ("frames", "functionals"):
        whole = run(session(fusion.to_onnx(view)), wave[None])[0]
        parts = [run(session(part.to_onnx(view)), wave[None])[0] for part in (MFCC39(), LogMel())]
        np.testing.assert_array_equal(whole, np.concatenate(parts, axis=-1))


def test_a_fusion_with_a_part_that_is_no_graph_has_none():
    assert find_extractor("mfcc39+egemaps").to_onnx("functionals") is None


def test_one_clip_is_one_run_of_one_session(monkeypatch, speech):
    from featkit.features import graph

    runs = []
    monkeypatch.setattr(graph, "run", lambda *args: runs.append(args) or run(*args))
    built = len(graph._SESSIONS)
    extractor = MFCC39(n_mels=39)
    for _ in range(3):
        extractor.frames(speech[:16_000])
    assert len(runs) == 3
    assert len(graph._SESSIONS) == built + 1
    extractor.set_params(n_mels=38).frames(speech[:16_000])
    assert len(graph._SESSIONS) == built + 2


def test_a_subclass_with_the_same_name_and_settings_runs_its_own_graph(speech):
    class Louder(MFCC39):
        def add_frames(self, g, wave):
            return super().add_frames(g, g.op("Mul", wave, g.constant([10.0])))

    wave = speech[:16_000]
    MFCC39(top_db=None).frames(wave)
    louder = Louder(top_db=None).frames(wave)
    np.testing.assert_allclose(louder, MFCC39(top_db=None).frames(wave * np.float32(10)), atol=TOLERANCE)
