"""Clips → batches of training: which clips, which of their copies, which three seconds, what is masked or mixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from featkit_backends import losses
from featkit_backends.frames import Frames
from featkit_backends.standardise import Standardiser

N_MASKS = 2
"""Masks of each kind on a clip, as in SpecAugment's policy LD."""


KEPT = 512_000_000
"""Bytes of scaled frames that stay in memory. Further ones are scaled for every batch, which costs a few per cent."""


@dataclass(frozen=True, eq=False, slots=True)
class Scaled:
    """A clip as a network reads it, made when it is looked at: the clip itself may lie on disk."""

    clip: Frames
    scale: Standardiser

    def __len__(self) -> int:
        return len(self.clip)

    def __getitem__(self, where: slice) -> Tensor:
        return torch.from_numpy(np.require(self.scale(self.clip[where]), requirements="W"))


Take: TypeAlias = Tensor | Scaled
"""(time, dims), in memory or not."""


def scaled(clips: Sequence[Frames], scale: Standardiser) -> list[Take]:
    """Clips as a network reads them; those that fit are kept in memory as such."""
    left, takes = KEPT, list[Take]()
    for clip in clips:
        left -= 4 * clip.shape[0] * clip.shape[1]
        take = Scaled(clip, scale)
        takes.append(take[:] if left >= 0 else take)
    return takes


@dataclass(frozen=True)
class Clips:
    """What a network is trained on. ``frames[i]`` are the takes of clip i, each (time, dims): itself and its copies."""

    frames: Sequence[Sequence[Take]]
    index: Tensor
    """(n,) labels as numbers."""
    weight: Tensor
    """(n,) weight of each clip in the loss."""
    classes: int


@dataclass(frozen=True)
class Plan:
    """How batches are made of clips. The fields are those of `NeuralBackend`."""

    batch_size: int
    crop: int | None
    sampling: str
    label_smoothing: float
    mask_time: int
    mask_dims: int
    mixup: float


def batches(
    clips: Clips, train: npt.NDArray[np.intp], plan: Plan, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """One epoch: x (batch, time, dims), lengths (batch,), targets (batch, classes).

    Clips of like length share a batch, so that little of it is padding. None is one clip alone: batch norm needs two.
    """
    drawn = _draw(clips, train, plan.sampling, rng)
    takes = [clips.frames[i][int(rng.integers(len(clips.frames[i])))] for i in drawn.tolist()]
    size = max(plan.batch_size, 2)
    groups: list[list[int]] = []
    for start in range(0, len(drawn), 8 * size):
        near = sorted(range(start, min(start + 8 * size, len(drawn))), key=lambda k: len(takes[k]))
        groups += [near[k : k + size] for k in range(0, len(near), size)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        alone = groups.pop()
        groups[-1] += alone
    for g in rng.permutation(len(groups)):
        group = groups[g]
        which = torch.from_numpy(drawn[group])
        x, lengths = pad([_mask(_crop(takes[k], plan.crop, rng), plan, rng) for k in group])
        targets = losses.targets(clips.index[which], clips.weight[which], clips.classes, plan.label_smoothing)
        if plan.mixup:
            x, lengths, targets = _mix(x, lengths, targets, plan.mixup, rng)
        yield x, lengths, targets


def pad(clips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Clips (time, dims) -> zero-padded (batch, longest, dims) and lengths (batch,)."""
    return nn.utils.rnn.pad_sequence(list(clips), batch_first=True), torch.tensor([len(clip) for clip in clips])


def segments(time: int, segment: int | None) -> tuple[list[int], int]:
    """Where a clip is cut for prediction: starts and common length, so that no segment holds padding.

    A clip of at most ``segment`` frames is one segment; a longer one is covered by as few as possible, which overlap
    where its length is not a multiple. One frame may be left out: 3 s have 301, as the last is centred on their end,
    and would else be two segments.

    Examples
    --------
    >>> segments(250, 300), segments(301, 300), segments(600, 300), segments(700, 300)
    (([0], 250), ([0], 300), ([0, 300], 300), ([0, 200, 400], 300))
    """
    if segment is None or time <= segment:
        return [0], time
    n = -(-(time - 1) // segment)
    return [k * (time - segment) // max(1, n - 1) for k in range(n)], segment


def _draw(clips: Clips, train: npt.NDArray[np.intp], sampling: str, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Every clip once in random order; or as many draws as there are clips, each class equally often ("balanced")."""
    if sampling != "balanced":
        return rng.permutation(train)
    index = clips.index.numpy()[train]
    chance = 1 / np.bincount(index, minlength=clips.classes)[index]
    return rng.choice(train, len(train), p=chance / chance.sum())


def _crop(clip: Take, length: int | None, rng: np.random.Generator) -> Tensor:
    if length is None or len(clip) <= length:
        return clip if isinstance(clip, Tensor) else clip[:]
    start = int(rng.integers(len(clip) - length + 1))
    return clip[start : start + length]


def _mask(clip: Tensor, plan: Plan, rng: np.random.Generator) -> Tensor:
    """SpecAugment: runs of frames and of columns become 0, their mean. Source: Park et al. (2019), Interspeech."""
    if not (plan.mask_time or plan.mask_dims):
        return clip
    clip = clip.clone()
    time, dims = clip.shape
    for _ in range(N_MASKS):
        # At most a quarter of a short clip, or nothing would be left of it.
        width = int(rng.integers(min(plan.mask_time, time // 4) + 1))
        start = int(rng.integers(time - width + 1))
        clip[start : start + width] = 0
        width = int(rng.integers(min(plan.mask_dims, dims // 2) + 1))
        start = int(rng.integers(dims - width + 1))
        clip[:, start : start + width] = 0
    return clip


def _mix(
    x: Tensor, lengths: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Mixup: every clip with another of the batch, in a share from Beta(alpha, alpha), the larger of the two its own.

    The shorter of the two ends in zeros, the mean of every column. Source: Zhang et al. (2018), ICLR.
    """
    share = float(rng.beta(alpha, alpha))
    share = max(share, 1 - share)
    other = torch.from_numpy(rng.permutation(len(x)))
    mixed = share * x + (1 - share) * x[other]
    return mixed, torch.maximum(lengths, lengths[other]), share * targets + (1 - share) * targets[other]
