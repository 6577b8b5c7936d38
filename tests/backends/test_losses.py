"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from featkit_backends.losses import loss, targets
from torch import nn

LOGITS = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]]))
INDEX = torch.tensor([0, 2])
EVEN = torch.ones(2)


def test_cross_entropy_is_minus_the_mean_log_of_the_right_probability() -> None:
    expected = -(math.log(0.7) + math.log(0.1)) / 2
    assert loss(LOGITS, targets(INDEX, EVEN, 3)).item() == pytest.approx(expected, rel=1e-6)


def test_weights_make_it_a_weighted_mean() -> None:
    expected = -(3 * math.log(0.7) + 1 * math.log(0.1)) / 4
    assert loss(LOGITS, targets(INDEX, torch.tensor([3.0, 1.0]), 3)).item() == pytest.approx(expected, rel=1e-6)


def test_focal_loss_scales_each_term_by_one_minus_p_to_gamma() -> None:
    expected = -(0.3**2 * math.log(0.7) + 0.9**2 * math.log(0.1)) / 2
    assert loss(LOGITS, targets(INDEX, EVEN, 3), focal_gamma=2).item() == pytest.approx(expected, rel=1e-6)


def test_smoothing_takes_its_share_from_the_right_class_and_spreads_it_over_all() -> None:
    table = targets(INDEX, torch.tensor([1.0, 2.0]), 3, smoothing=0.3)
    expected = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.2, 1.6]])
    torch.testing.assert_close(table, expected)
    by_hand = -(
        0.8 * math.log(0.7) + 0.1 * math.log(0.2) + 0.1 * math.log(0.1)
        + 0.2 * math.log(0.3) + 0.2 * math.log(0.6) + 1.6 * math.log(0.1)
    ) / 3  # fmt: skip
    assert loss(LOGITS, table).item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_torch(smoothing: float) -> None:
    logits, index = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 5
    theirs = nn.functional.cross_entropy(logits, index, label_smoothing=smoothing)
    torch.testing.assert_close(loss(logits, targets(index, torch.ones(20), 5, smoothing)), theirs)
