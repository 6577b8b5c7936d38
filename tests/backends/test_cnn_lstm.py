"""Training of torch backends: padding is never heard, the best epoch is kept, speakers are held out whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from featkit_backends import frames
from featkit_backends.cnn_lstm import CNNLSTM, _Network
from sklearn.metrics import recall_score
from speech import fitted, inputs, small, speech
from torch import nn

from featkit.errors import FeatureError


def clips_of(lengths: list[int], dims: int = 39) -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(length, dims)).astype(np.float32) for length in lengths]


def tiny(**params: Any) -> CNNLSTM:
    return small("cnn_lstm", **params)


def test_probabilities_do_not_depend_on_the_batch() -> None:
    backend = fitted(backend="cnn_lstm").backend_
    clips = clips_of([1, 2, 3, 4, 5, 7, 50, 301, 640])
    together = backend.predict_proba(clips)
    alone = np.concatenate([backend.predict_proba([clip]) for clip in clips])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(backend.predict_proba(clips[::-1])[::-1], alone, atol=1e-6)


def test_prediction_runs_without_dropout() -> None:
    X = inputs("frames")
    backend = tiny(dropout=0.9, epochs=1).fit(X, speech().labels)
    assert not backend.module_.training
    np.testing.assert_array_equal(backend.predict_proba(X), backend.predict_proba(X))
    assert not any(part.training for part in backend.module_.modules())


def statistics(module: nn.Module) -> list[torch.Tensor]:
    return [buffer for name, buffer in module.named_buffers() if "running" in name]


def test_padding_enters_neither_batch_statistics_nor_logits() -> None:
    lengths = torch.tensor([1, 2, 5, 20])
    results = []
    for padding in (0, 37):
        torch.manual_seed(0)
        network = _Network(4, (6, 8), 5, dropout=0.0, classes=3).train()
        x = torch.randn(4, 20, 4, generator=torch.Generator().manual_seed(1))
        x *= frames.mask(lengths, 20)[:, :, None]
        logits = network(nn.functional.pad(x, (0, 0, 0, padding)), lengths)
        results.append([logits, *statistics(network)])
    for unpadded, padded in zip(*results, strict=True):
        torch.testing.assert_close(padded, unpadded, atol=1e-6, rtol=1e-5)


def test_batch_norm_knows_the_mean_of_real_frames_only() -> None:
    torch.manual_seed(0)
    network = _Network(4, (6,), 5, dropout=0.0, classes=3).train()
    short, long = torch.randn(1, 3, 4), torch.randn(1, 40, 4)
    batch = torch.cat([nn.functional.pad(short, (0, 0, 0, 37)), long])
    network(batch, torch.tensor([3, 40]))
    convolve = network.blocks[0].conv
    heard = torch.cat([convolve(clip.transpose(1, 2))[0] for clip in (short, long)], dim=1)  # (filters, 43)
    momentum = network.blocks[0].norm.momentum
    torch.testing.assert_close(network.blocks[0].norm.running_mean, momentum * heard.mean(dim=1))


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    X, y, speakers = inputs("frames"), speech().labels, speech().speakers
    backend = tiny(patience=20).fit(X, y, groups=speakers)
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
    backend = tiny(lr=0.0, weight_decay=0.0, dropout=0.0, epochs=50, patience=3)
    backend.fit(inputs("frames"), speech().labels)
    assert len(backend.history_) < 50


def test_learning_rate_falls_on_a_plateau() -> None:
    backend = tiny(lr=0.04, epochs=10, patience=10, plateau_patience=0, plateau_factor=0.5)
    history = backend.fit(inputs("frames"), speech().labels).history_
    losses, rates = ([row[key] for row in history] for key in ("validation_loss", "lr"))
    expected = [0.04]
    for epoch in range(1, 10):
        better = losses[epoch - 1] < min(losses[: epoch - 1], default=np.inf) * (1 - 1e-4)
        expected.append(expected[-1] * (1 if better else 0.5))
    assert rates == pytest.approx(expected)
    assert rates[-1] < 0.04


def test_without_validation_all_clips_are_trained_for_all_epochs_and_the_last_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last: dict[str, torch.Tensor] = {}
    epoch = CNNLSTM._epoch

    def spy(self: CNNLSTM, data: Any, train: Any, optimiser: Any) -> float:
        assert len(train) == 24
        loss = epoch(self, data, train, optimiser)
        last.update({name: value.clone() for name, value in self.module_.state_dict().items()})
        return loss

    monkeypatch.setattr(CNNLSTM, "_epoch", spy)
    backend = tiny(validation=0, epochs=5, patience=1, lr=0.05).fit(inputs("frames"), speech().labels)
    assert len(backend.history_) == 5
    assert "validation_ua" not in backend.history_[0]
    for name, value in backend.module_.state_dict().items():
        torch.testing.assert_close(value, last[name])


def test_validation_part_is_held_out_by_speaker_and_stays_out_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = []
    train = CNNLSTM._train
    monkeypatch.setattr(CNNLSTM, "_train", lambda self, *args: parts.append(args[1:]) or train(self, *args))
    scaled = []
    monkeypatch.setattr(
        frames, "Standardiser", lambda X, scaler=frames.Standardiser: scaled.append(len(X)) or scaler(X)
    )
    X, speakers = inputs("frames"), speech().speakers
    tiny(epochs=1, validation=0.25).fit(X, speech().labels, groups=speakers)
    ((trained, held_out),) = parts
    assert set(speakers[trained]).isdisjoint(speakers[held_out])
    assert sorted([*trained, *held_out]) == list(range(24))
    assert scaled == [sum(len(X[i]) for i in trained)]


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


@pytest.mark.parametrize("size", [1, 2, 3])
def test_clips_of_one_frame_and_batches_of_one_clip_can_be_learned_from(size: int) -> None:
    backend = tiny(epochs=2, batch_size=size).fit(clips_of([1, 1, 1, 1, 1]), np.array(list("ababa")))
    assert np.isfinite(backend.predict_proba(clips_of([1]))).all()


def test_no_seed_gives_another_network_each_time() -> None:
    X, y = inputs("frames"), speech().labels
    first, second = (tiny(random_state=None, epochs=1).fit(X, y).predict_proba(X) for _ in range(2))
    assert np.abs(first - second).max() > 0


def test_progress_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    tiny(epochs=1, progress=True).fit(inputs("frames"), speech().labels)
    assert "cnn_lstm" in capsys.readouterr().err


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
        fitted(backend="cnn_lstm").backend_.predict_proba(clips)
