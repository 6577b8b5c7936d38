"""What becomes a batch: every clip, crops, copies, masks, mixtures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from featkit_backends.batches import Clips, Plan, batches, segments

PLAIN = Plan(
    batch_size=4, crop=None, sampling="shuffled", label_smoothing=0.0, mask_time=0, mask_dims=0, mixup=0.0
)  # fmt: skip


def clips(lengths: list[int], copies: int = 0, index: list[int] | None = None) -> Clips:
    """Clip i holds the number i + 1 in every cell, its copy k the number i + 1 + 100 k."""
    frames = [[torch.full((n, 3), i + 1.0 + 100 * k) for k in range(copies + 1)] for i, n in enumerate(lengths)]
    labels = torch.tensor(index or [i % 2 for i in range(len(lengths))])
    return Clips(frames, labels, torch.arange(1.0, len(lengths) + 1), int(labels.max()) + 1)


def epoch(data: Clips, plan: Plan, seed: int = 0, train: Any = None) -> list[Any]:
    train = np.arange(len(data.frames)) if train is None else np.asarray(train)
    return list(batches(data, train, plan, np.random.default_rng(seed)))


def heard(rows: list[Any]) -> list[int]:
    return [int(value) for x, _, _ in rows for value in x[:, 0, 0]]


def test_every_clip_of_the_training_part_comes_once_and_no_other() -> None:
    assert sorted(heard(epoch(clips([5] * 11), PLAIN, train=[0, 3, 4, 7, 9]))) == [1, 4, 5, 8, 10]


@pytest.mark.parametrize("n", [2, 3, 5, 9, 33])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_no_batch_is_one_clip_alone(n: int, size: int) -> None:
    rows = epoch(clips([4] * n), replace(PLAIN, batch_size=size))
    assert min(len(x) for x, _, _ in rows) >= 2
    assert sum(len(x) for x, _, _ in rows) == n


def test_padding_is_zero_and_lengths_are_those_of_the_clips() -> None:
    ((x, lengths, _),) = epoch(clips([2, 5, 3]), PLAIN)
    for row, n in zip(x, lengths, strict=True):
        assert bool((row[:n] != 0).all())
        assert not row[n:].any()
    assert sorted(lengths.tolist()) == [2, 3, 5]


def test_clips_of_like_length_share_a_batch() -> None:
    rows = epoch(clips([10] * 16 + [200] * 16), PLAIN)
    assert all(len(set(lengths.tolist())) == 1 for _, lengths, _ in rows)


def test_equal_seeds_give_equal_batches_and_others_do_not() -> None:
    data = clips([30] * 12, copies=2)
    plan = replace(PLAIN, crop=10, mask_time=4, mixup=0.4)
    first, again, other = (epoch(data, plan, seed) for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert any(a[0].shape != b[0].shape or bool((a[0] != b[0]).any()) for a, b in zip(first, other, strict=True))


def test_a_long_clip_is_cropped_at_random_and_a_short_one_taken_whole() -> None:
    data = Clips([[torch.arange(50.0)[:, None]], [torch.arange(8.0)[:, None]]], torch.tensor([0, 1]), torch.ones(2), 2)
    starts = set()
    for seed in range(400):
        ((x, lengths, _),) = epoch(data, replace(PLAIN, crop=10), seed)
        long = x[int(lengths.argmax())][:, 0]
        torch.testing.assert_close(long, long[0] + torch.arange(10.0))
        starts.add(int(long[0]))
        assert sorted(lengths.tolist()) == [8, 10]
    assert min(starts) == 0
    assert max(starts) == 40


def test_a_clip_or_one_of_its_copies_is_drawn_each_epoch() -> None:
    data = clips([5] * 8, copies=2)
    drawn = [value for seed in range(100) for value in heard(epoch(data, PLAIN, seed))]
    takes = np.bincount([value // 100 for value in drawn]) / len(drawn)
    np.testing.assert_allclose(takes, 1 / 3, atol=0.06)
    assert sorted({value % 100 for value in heard(epoch(data, PLAIN))}) == list(range(1, 9))


def test_balanced_sampling_draws_every_class_alike() -> None:
    data = clips([5] * 20, index=[0] * 18 + [1] * 2)
    drawn = [value for seed in range(50) for value in heard(epoch(data, replace(PLAIN, sampling="balanced"), seed))]
    assert len(drawn) == 1000
    assert 0.45 < np.mean(np.array(drawn) > 18) < 0.55


def test_masks_are_no_wider_than_asked_and_are_zero() -> None:
    data = Clips([[torch.ones(100, 20)], [torch.ones(100, 20)]], torch.tensor([0, 1]), torch.ones(2), 2)
    widest_time = widest_dims = 0
    for seed in range(80):
        ((x, _, _),) = epoch(data, replace(PLAIN, mask_time=15, mask_dims=4), seed)
        for row in x:
            widest_time = max(widest_time, int((row == 0).all(1).sum()))
            widest_dims = max(widest_dims, int((row == 0).all(0).sum()))
            assert set(row.unique().tolist()) <= {0.0, 1.0}
    assert 15 < widest_time <= 30  # two masks
    assert 4 < widest_dims <= 8
    assert bool((data.frames[0][0] == 1).all()), "the clip itself must stay as it is"


def test_a_clip_of_one_frame_is_not_masked_away() -> None:
    data = Clips([[torch.ones(1, 1)], [torch.ones(1, 1)]], torch.tensor([0, 1]), torch.ones(2), 2)
    for seed in range(20):
        ((x, _, _),) = epoch(data, replace(PLAIN, mask_time=30, mask_dims=10), seed)
        assert bool((x == 1).all())


def test_mixup_mixes_clips_and_targets_in_one_share() -> None:
    # Clip i is constant i + 1, its weight i + 1: a mixture of clips a and b must have the target of the same mixture.
    data = clips([6] * 4, index=[0, 1, 2, 3])
    for seed in range(20):
        ((x, _, table),) = epoch(data, replace(PLAIN, mixup=0.5), seed)
        torch.testing.assert_close(table.sum(1), x[:, 0, 0])
        assert bool(((table > 0).sum(1) <= 2).all())
    assert any((epoch(data, replace(PLAIN, mixup=0.5), seed)[0][2] > 0).sum() > 4 for seed in range(5))


@pytest.mark.parametrize(
    ("time", "pieces"),
    [(1, 1), (299, 1), (300, 1), (301, 1), (302, 2), (599, 2), (600, 2), (601, 2), (602, 3), (60_000, 200)],
)
def test_segments_cover_a_clip_but_for_one_frame_with_as_few_whole_pieces_as_possible(time: int, pieces: int) -> None:
    starts, length = segments(time, 300)
    covered = np.zeros(time, dtype=bool)
    for start in starts:
        covered[start : start + length] = True
    assert covered.sum() >= time - 1
    assert covered.all() or time % 300 == 1
    assert len(starts) == pieces
    assert starts[-1] + length >= time - 1
