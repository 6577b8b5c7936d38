"""Networks: padding is never heard, the best epoch is kept, speakers are held out whole, graphs hold anywhere."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from featkit_backends import neural, training
from featkit_backends.cnn_lstm import CNNLSTM, _Network
from featkit_backends.neural import NeuralBackend
from sklearn.metrics import recall_score
from speech import FRAME_NETWORKS, NETWORKS, fitted, inputs, small, speech
from torch import Tensor, nn

from featkit.backend import find_backend
from featkit.errors import DataError, FeatureError
from featkit.graph import run, session


def clips_of(lengths: list[int], dims: int = 39) -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(length, dims)).astype(np.float32) for length in lengths]


def tiny(**params: Any) -> Any:
    return small("cnn_lstm", **({"validation": 0.25} | params))


@cache
def backend_of(name: str) -> Any:
    """Not to be changed."""
    return fitted(backend=name).backend_


@cache
def graph_of(name: str) -> Any:
    return session(backend_of(name).to_onnx())


@pytest.mark.parametrize("name", FRAME_NETWORKS)
def test_probabilities_do_not_depend_on_the_batch(name: str) -> None:
    backend, clips = backend_of(name), clips_of([1, 2, 3, 4, 5, 7, 50, 299, 301, 640])
    together = backend.predict_proba(clips)
    alone = np.concatenate([backend.predict_proba([clip]) for clip in clips])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    np.testing.assert_allclose(backend.predict_proba(clips[::-1])[::-1], alone, atol=2e-6)


@pytest.mark.parametrize("name", FRAME_NETWORKS)
@pytest.mark.parametrize("batch", [1, 3, 57])
@pytest.mark.parametrize("seconds", [0.01, 0.2, 3.0, 3.01, 30.0])
def test_the_graph_answers_as_the_network_at_any_length_and_batch(name: str, batch: int, seconds: float) -> None:
    if batch == 57 and seconds == 30:
        seconds = 10.0  # a third of the memory, and still several segments
    clips = np.random.default_rng(2).normal(size=(batch, round(100 * seconds), 39)).astype(np.float32)
    some = sorted({0, batch // 2, batch - 1})
    got = run(graph_of(name), clips)
    assert got.shape == (batch, 3)
    np.testing.assert_allclose(got[some], backend_of(name).predict_proba([clips[i] for i in some]), atol=1e-5)


def test_a_long_clip_is_the_average_of_its_segments() -> None:
    backend = tiny(epochs=2, centre=False).fit(inputs("frames"), speech().labels)
    (clip,) = clips_of([700])
    pieces = [clip[0:300], clip[200:500], clip[400:700]]
    np.testing.assert_allclose(backend.predict_proba([clip])[0], backend.predict_proba(pieces).mean(0), atol=1e-6)


def test_a_clip_of_ten_minutes_runs_in_batches_of_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    pad = training.pad

    def spy(clips: Any) -> Any:
        sizes.append(pad(clips)[0].shape[:2])
        return pad(clips)

    monkeypatch.setattr(training, "pad", spy)
    assert np.isfinite(backend_of("cnn_lstm").predict_proba(clips_of([300, 60_000, 250]))).all()
    assert max(batch * time for batch, time in sizes) <= 32 * 300


def test_a_clip_of_ten_minutes_among_short_ones_is_trained_in_crops() -> None:
    X = [*clips_of([300] * 7), *clips_of([60_000])]
    backend = tiny(epochs=2, validation=0).fit(X, np.array(list("abababab")))
    assert np.isfinite(backend.predict_proba(X)).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_prediction_runs_without_dropout(name: str) -> None:
    backend = backend_of(name)
    X = inputs(backend.consumes)
    assert not any(part.training for part in backend.module_.modules())
    np.testing.assert_array_equal(backend.predict_proba(X), backend.predict_proba(X))


def statistics(module: nn.Module) -> list[Tensor]:
    return [buffer for name, buffer in module.named_buffers() if "running" in name]


@pytest.mark.parametrize("name", FRAME_NETWORKS)
def test_padding_enters_neither_batch_statistics_nor_logits(name: str) -> None:
    lengths = torch.tensor([1, 2, 9, 40])
    x = torch.randn(4, 40, 6, generator=torch.Generator().manual_seed(1))
    x *= torch.arange(40)[None, :, None] < lengths[:, None, None]
    backend = small(name)
    backend.set_params(dropout=0.0)
    results = []
    for padding in (0, 37):
        torch.manual_seed(0)
        network = backend._module(6, 3).train()
        logits = network(nn.functional.pad(x, (0, 0, 0, padding)), lengths)
        results.append([logits, *statistics(network)])
    for unpadded, padded in zip(*results, strict=True):
        torch.testing.assert_close(padded, unpadded, atol=2e-6, rtol=1e-5)


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    X, y, speakers = inputs("frames"), speech().labels, speech().speakers
    backend = tiny(patience=30, schedule="constant", lr=0.02).fit(X, y, groups=speakers)
    rows = [(row["validation_ua"], -row["validation_loss"]) for row in backend.history_]
    best = max(range(len(rows)), key=rows.__getitem__)
    assert 0 < best < len(rows) - 1, "the run should pass its best epoch, or this test tests nothing"
    index = np.searchsorted(backend.classes_, y)
    _, held_out = backend._split(index, speakers)
    predicted = backend.predict([X[i] for i in held_out])
    assert recall_score(y[held_out], predicted, average="macro") == pytest.approx(rows[best][0])
    losses = -np.log(backend.predict_proba([X[i] for i in held_out])[np.arange(len(held_out)), index[held_out]])
    assert losses.mean() == pytest.approx(-rows[best][1], rel=1e-3)


def test_training_stops_when_patience_ends() -> None:
    backend = tiny(lr=0.0, weight_decay=0.0, dropout=0.0, epochs=50, patience=3, validation=0.25)
    assert len(backend.fit(inputs("frames"), speech().labels).history_) < 50


def test_learning_rate_falls_on_a_plateau() -> None:
    backend = tiny(schedule="plateau", lr=0.04, epochs=10, patience=10, plateau_patience=0, validation=0.25)
    history = backend.fit(inputs("frames"), speech().labels).history_
    losses, rates = ([row[key] for row in history] for key in ("validation_loss", "lr"))
    expected = [0.04]
    for epoch in range(1, 10):
        better = losses[epoch - 1] < min(losses[: epoch - 1], default=np.inf) * (1 - 1e-4)
        expected.append(expected[-1] * (1 if better else 0.7))
    assert rates == pytest.approx(expected)
    assert rates[-1] < 0.04


def test_the_cosine_rises_falls_and_ends_at_a_hundredth() -> None:
    factor = training._cosine(10, 110)
    rates = [factor(step) for step in range(111)]
    assert rates[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert rates[10] == pytest.approx(1)
    assert rates[60] == pytest.approx(0.01 + 0.99 / 2)
    assert rates[110] == pytest.approx(0.01)


def test_the_average_follows_the_weights() -> None:
    X, y = inputs("frames"), speech().labels
    slow = tiny(average=0.9, epochs=3, validation=0).fit(X, y).weights()
    fast = tiny(average=0.0, epochs=3, validation=0).fit(X, y).weights()
    start = tiny(average=0.0, epochs=1, lr=0.0, validation=0, weight_decay=0).fit(X, y).weights()
    moved = {k: float(np.abs(fast[k] - start[k]).sum()) for k in fast if "weight" in k}
    behind = {k: float(np.abs(slow[k] - start[k]).sum()) for k in moved}
    assert 0 < sum(behind.values()) < sum(moved.values())


def test_without_validation_all_clips_are_trained_and_the_last_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    last: dict[str, Tensor] = {}
    epoch = training._epoch

    def spy(run: Any, clips: Any, learn: Any, *more: Any) -> Any:
        assert len(learn) == 24
        row = epoch(run, clips, learn, *more)
        last.update({name: value.clone() for name, value in run.module.state_dict().items()})
        return row

    monkeypatch.setattr(training, "_epoch", spy)
    backend = tiny(validation=0, epochs=5, patience=1, lr=0.05, average=0.0).fit(inputs("frames"), speech().labels)
    assert len(backend.history_) == 5
    assert "validation_ua" not in backend.history_[0]
    for name, value in backend.module_.state_dict().items():
        torch.testing.assert_close(value, last[name])


def test_validation_holds_whole_speakers_out_of_training_and_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, scaled = [], []
    train, learn = training.train, neural.Standardiser.of_clips
    monkeypatch.setattr(training, "train", lambda *args, **more: parts.append(args[2]) or train(*args, **more))
    monkeypatch.setattr(
        neural.Standardiser, "of_clips", lambda clips: scaled.append(sum(map(len, clips))) or learn(clips)
    )
    X, speakers = inputs("frames"), speech().speakers
    tiny(epochs=1, validation=0.25).fit(X, speech().labels, groups=speakers)
    ((trained, held_out),) = parts
    assert set(speakers[trained]).isdisjoint(speakers[held_out])
    assert sorted([*trained, *held_out]) == list(range(24))
    assert scaled == [sum(len(X[i]) for i in trained)]


def test_copies_are_learned_from_and_never_validated_on(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, speakers = inputs("frames"), speech().labels, speech().speakers
    marked = [[clip - 1e6] for clip in X]  # standardised and clipped, a copy is -5 in every cell
    copies_seen = {True: False, False: False}
    forward = nn.Module.__call__

    def spy(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self, _Network):
            copies_seen[self.training] |= bool((args[0][:, 0] == -5).all(1).any())
        return forward(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(nn.Module, "__call__", spy)
        tiny(epochs=3, centre=False).fit(X, y, groups=speakers, copies=marked)
    assert copies_seen == {True: True, False: False}
    learned = tiny(epochs=3, validation=0.25).fit(X, y, groups=speakers, copies=marked)
    without = tiny(epochs=3, validation=0.25).fit(X, y, groups=speakers)
    np.testing.assert_array_equal(learned.standardise_.mean, without.standardise_.mean)
    assert learned.history_[-1]["loss"] != without.history_[-1]["loss"]


def test_a_class_that_no_validation_speaker_shows_is_no_obstacle() -> None:
    X, speakers = inputs("frames"), speech().speakers
    y = speech().labels.copy()
    y[(speakers == "s0") & (y == "anger")] = "neutral"
    backend = tiny(epochs=2, validation=0.25)
    for seed in range(4):
        backend.set_params(random_state=seed).fit(X, y, groups=speakers)
        _, held_out = backend._split(np.searchsorted(backend.classes_, y), speakers)
        assert np.isfinite([list(row.values()) for row in backend.history_]).all()
        if set(speakers[held_out]) == {"s0"}:
            return
    pytest.fail("no seed held s0 out")


def test_the_random_state_of_the_caller_is_left_alone() -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global state is what is looked at
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    tiny(epochs=1).fit(inputs("frames"), speech().labels)
    torch.testing.assert_close(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@pytest.mark.parametrize("name", FRAME_NETWORKS)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_clips_of_one_frame_and_batches_of_one_clip_can_be_learned_from(name: str, size: int) -> None:
    backend = small(name, epochs=2, batch_size=size).fit(clips_of([1, 1, 1, 1, 1]), np.array(list("ababa")))
    assert np.isfinite(backend.predict_proba(clips_of([1]))).all()


def test_one_clip_of_a_class_is_trained_without_validation() -> None:
    backend = tiny(epochs=2, validation=0.25).fit(clips_of([9, 8, 7]), np.array(list("aab")))
    assert "validation_ua" not in backend.history_[0]
    assert np.isfinite(backend.predict_proba(clips_of([5]))).all()


def test_no_seed_gives_another_network_each_time() -> None:
    X, y = inputs("frames"), speech().labels
    first, second = (tiny(random_state=None, epochs=1).fit(X, y).predict_proba(X) for _ in range(2))
    assert np.abs(first - second).max() > 0


@pytest.mark.parametrize(
    "setting",
    [
        {"focal_gamma": 2.0}, {"label_smoothing": 0.3}, {"sampling": "balanced"}, {"mixup": 0.4}, {"mask_time": 20},
        {"mask_dims": 10}, {"average": 0.9}, {"segment": 50}, {"crop": 50}, {"clip_norm": 1e-3},
        {"precision": "bfloat16"}, {"centre": False},
    ],
    ids=lambda setting: next(iter(setting)),
)  # fmt: skip
def test_every_setting_has_an_effect_and_learns(setting: dict[str, Any]) -> None:
    X, y = inputs("frames"), np.where(np.arange(24) % 3 == 0, "rare", "common")
    plain, other = tiny(epochs=3).fit(X, y), tiny(epochs=3, **setting).fit(X, y)
    assert np.abs(plain.predict_proba(X) - other.predict_proba(X)).max() > 0
    assert np.isfinite(other.history_[-1]["loss"])


def test_progress_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    tiny(epochs=1, progress=True).fit(inputs("frames"), speech().labels)
    assert "cnn_lstm" in capsys.readouterr().err


def test_a_network_of_ones_own_is_exported_by_torch() -> None:
    class _Gru(nn.Module):
        def __init__(self, dims: int, classes: int) -> None:
            super().__init__()
            self.conv = nn.Conv1d(dims, 8, 3, padding=1)
            self.last = nn.Linear(8, classes)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            real = torch.arange(x.shape[1]) < lengths[:, None]
            y = self.conv(x.transpose(1, 2)).relu() * real[:, None]
            logits: Tensor = self.last(y.sum(2) / lengths[:, None])
            return logits

    class Own(NeuralBackend):
        name = "own"

        def _module(self, dims: int, classes: int) -> nn.Module:
            return _Gru(dims, classes)

    backend = Own(epochs=2).fit(inputs("frames"), speech().labels)
    graph = session(backend.to_onnx())
    for batch, time in ((1, 20), (3, 300), (2, 650)):
        X = np.stack(clips_of([time] * batch))
        np.testing.assert_allclose(run(graph, X), backend.predict_proba(list(X)), atol=1e-5)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "There are no clips"),
        ([np.zeros((0, 39))], r"Clip 0 has frames of shape \(0, 39\); they must be \(time, 39\)"),
        ([np.zeros((5, 39)), np.zeros((5, 38))], r"Clip 1 has frames of shape \(5, 38\)"),
        ([np.zeros(39)], r"Clip 0 has frames of shape \(39,\)"),
        ([np.full((5, 39), np.nan)], "Clip 0 has frames that are not finite"),
    ],
)
def test_frames_that_cannot_be_used_are_refused(clips: list[Any], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        backend_of("cnn_lstm").predict_proba(clips)


def test_copies_that_cannot_be_used_are_refused() -> None:
    X = clips_of([5, 5, 5, 5])
    with pytest.raises(FeatureError, match="Clip 0 has frames that are not finite"):
        tiny().fit(X, np.array(list("abab")), copies=[[np.full((5, 39), np.inf)], [], [], []])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs=0", "cnn_lstm: epochs lies between 1 and"),
        ("lr=-1", r"cnn_lstm: lr lies between 0 and 10; it is -1"),
        ("lr=fast", r"cnn_lstm: lr lies between 0 and 10; it is 'fast'"),
        ("validation=0.9", r"cnn_lstm: validation lies between 0 and 0\.5; it is 0\.9"),
        ("schedule=step", r"cnn_lstm: schedule is one of 'cosine', 'plateau', 'constant'; it is 'step'"),
        ("sampling=even", "cnn_lstm: sampling is one of 'shuffled', 'balanced'; it is 'even'"),
        ("levels=first", "cnn_lstm: levels is one of 'all', 'last'; it is 'first'"),
        ("precision=int8", "cnn_lstm: precision is one of"),
        ("segment=5", "cnn_lstm: segment lies between 10 and"),
        ("device=abacus", "The device 'abacus' is not there"),
        ("device='cuda:7'", "The device 'cuda:7' is not there"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_backend(f"cnn_lstm:{setting}").fit(clips_of([5, 5, 5, 5]), np.array(list("abab")))


def test_settings_are_copied_by_name_into_their_parts() -> None:
    backend = CNNLSTM(mixup=0.25, crop=77, lr=0.125)
    plan = backend._part(neural.Plan)
    assert plan == replace(plan, mixup=0.25, crop=77)
    settings = backend._part(training.Settings, device=torch.device("cpu"), dtype=torch.float32)
    assert settings.lr == 0.125


@pytest.mark.parametrize("name", NETWORKS)
def test_an_ensemble_is_the_mean_of_its_members(name: str) -> None:
    backend = small(name, ensemble=3, epochs=2)
    X = inputs(backend.consumes)
    backend.fit(X, speech().labels)
    members = backend.module_.members
    assert len(members) == 3
    proba = []
    for member in members:
        alone = small(name)
        alone.set_weights(
            {f"module.{key}": value.numpy() for key, value in member.state_dict().items()}
            | {key: value for key, value in backend.weights().items() if key.startswith("scaler.")},
            backend.classes_,
        )
        proba.append(alone.predict_proba(X))
    assert np.abs(proba[0] - proba[1]).max() > 1e-3
    np.testing.assert_allclose(backend.predict_proba(X), np.mean(proba, axis=0), atol=1e-5)
    graph = session(backend.to_onnx())
    one = X[:5] if backend.consumes == "functionals" else X[0][None]
    expected = backend.predict_proba(X[:5] if backend.consumes == "functionals" else X[:1])
    np.testing.assert_allclose(run(graph, one), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["cnn_lstm", "tdnn"])
def test_the_last_level_can_be_heard_alone(name: str) -> None:
    every, last = (
        small(name, levels=levels, epochs=1).fit(inputs("frames"), speech().labels) for levels in ("all", "last")
    )
    assert every.module_.head.norm.num_features > last.module_.head.norm.num_features
    clips = inputs("frames")[0][None]
    np.testing.assert_allclose(run(session(last.to_onnx()), clips), last.predict_proba(list(clips)), atol=1e-5)


def test_a_clip_is_heard_apart_from_what_is_added_to_all_its_frames() -> None:
    backend, clip = backend_of("cnn_lstm"), clips_of([120])[0]
    shifted = clip + np.linspace(-3, 3, 39, dtype=np.float32)
    np.testing.assert_allclose(backend.predict_proba([shifted]), backend.predict_proba([clip]), atol=1e-5)
    plain = tiny(epochs=2, centre=False).fit(inputs("frames"), speech().labels)
    assert np.abs(plain.predict_proba([shifted]) - plain.predict_proba([clip])).max() > 1e-3
    graph = session(plain.to_onnx())
    np.testing.assert_allclose(run(graph, clip[None]), plain.predict_proba([clip]), atol=1e-5)
