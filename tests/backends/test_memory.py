"""Networks learn from frames on disk what they learn from frames in memory, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from featkit_backends import batches, standardise
from featkit_backends.frames import Centred
from featkit_backends.standardise import Standardiser
from speech import inputs, small, speech

from featkit.store.mapped import on_disk


def clips_of(lengths: list[int], dims: int) -> list[Any]:
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-3, 3, dims)
    return [(rng.normal(3, 1, (length, dims)) * scale).astype(np.float32) for length in lengths]


def mapped(clips: list[Any]) -> list[Any]:
    return on_disk(clips, clips[0].shape[1], sum(clip.nbytes for clip in clips))


def weights_of(name: str, X: list[Any], **more: Any) -> dict[str, Any]:
    params = {"epochs": 3, "validation": 0.25, "crop": 60, "mask_time": 5, "mask_dims": 5, "mixup": 0.2}
    backend: Any = small(name, **params)
    backend.fit(X, speech().labels, groups=speech().speakers, **more)
    return backend.weights() | {"answers": backend.predict_proba(X), "loss": backend.history_[-1]["loss"]}


@pytest.mark.parametrize("dims", [2, 3, 39, 351])
@pytest.mark.parametrize("piece", [1, 500, 1 << 20])
def test_a_scaler_learned_in_pieces_is_the_one_learned_at_once(
    dims: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standardise, "_PIECE", piece)
    clips = clips_of([1, 300, 7, 1, 1000, 2], dims)
    clips[1][:, 0] = clips[3][:, 0]
    at_once = Standardiser(np.concatenate(clips))
    in_pieces = Standardiser.of_clips(clips)
    np.testing.assert_array_equal(in_pieces.mean, at_once.mean)
    np.testing.assert_array_equal(in_pieces.factor, at_once.factor)


def test_a_constant_column_becomes_0_in_pieces_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standardise, "_PIECE", 1)
    clips = clips_of([5, 8], 3)
    for clip in clips:
        clip[:, 1] = 0.1
    scaler = Standardiser.of_clips(clips)
    assert (scaler.factor > 0).tolist() == [True, False, True]


def test_a_piece_of_a_centred_clip_is_that_piece_of_the_clip_centred_as_a_whole() -> None:
    (clip,) = clips_of([50], 4)
    centred = Centred(clip, clip.mean(axis=0))
    assert (len(centred), centred.shape) == (50, (50, 4))
    np.testing.assert_array_equal(centred[10:30], (clip - clip.mean(axis=0))[10:30])


@pytest.mark.parametrize("name", ["tdnn", "cnn_lstm"])
@pytest.mark.parametrize("with_copies", [False, True])
def test_frames_on_disk_give_the_very_weights_that_frames_in_memory_give(
    name: str, with_copies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = inputs("frames")
    more: dict[str, Any] = {"copies": [[clip + 1, clip[:50]] for clip in X]} if with_copies else {}
    in_memory = weights_of(name, X, **more)
    monkeypatch.setattr(batches, "KEPT", 0)
    if with_copies:
        more = {"copies": [mapped(own) for own in more["copies"]]}
    on_the_disk = weights_of(name, mapped(X), **more)
    assert in_memory.keys() == on_the_disk.keys()
    for part, value in in_memory.items():
        np.testing.assert_array_equal(on_the_disk[part], value)


def test_pretrained_layers_read_frames_on_disk_that_nobody_may_write_to(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    in_memory = small("wav2vec2", epochs=1, trainable_layers=1).fit(inputs("frames"), speech().labels)
    monkeypatch.setattr(batches, "KEPT", 0)
    X = mapped(inputs("frames"))
    on_the_disk = small("wav2vec2", epochs=1, trainable_layers=1).fit(X, speech().labels)
    np.testing.assert_array_equal(on_the_disk.predict_proba(X), in_memory.predict_proba(X))


def test_as_many_scaled_frames_are_kept_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = clips_of([10, 20, 30], 3)
    monkeypatch.setattr(batches, "KEPT", 4 * 3 * 30)
    takes = batches.scaled(clips, Standardiser.of_clips(clips))
    assert [isinstance(take, batches.Scaled) for take in takes] == [False, False, True]
    for clip, take in zip(clips, takes, strict=True):
        np.testing.assert_array_equal(take[2:8].numpy(), Standardiser.of_clips(clips)(clip)[2:8])


def test_a_checkpoint_of_frames_in_memory_is_gone_on_from_with_frames_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, checkpoint = inputs("frames"), speech().labels, tmp_path / "c"
    whole: Any = small("tdnn", epochs=2).fit(X, y, checkpoint=checkpoint)  # type: ignore[call-arg]
    monkeypatch.setattr(batches, "KEPT", 0)
    monkeypatch.setattr("featkit_backends.training._epoch", None)  # nothing is left to be trained
    again: Any = small("tdnn", epochs=2).fit(mapped(X), y, checkpoint=checkpoint)  # type: ignore[call-arg]
    assert again.history_ == whole.history_
