"""Losses of the neural backends, as pure functions of logits and weighted targets.

Targets are a table (batch, classes) whose rows sum to the weight of the clip, so that class weights, label smoothing
and mixup are all the same thing: numbers in that table.
"""

from __future__ import annotations

from torch import Tensor, nn


def targets(index: Tensor, weight: Tensor, classes: int, smoothing: float = 0.0) -> Tensor:
    """Weighted, smoothed targets. Labels (batch,) and weights (batch,) -> (batch, classes).

    A clip of weight w gives its class w (1 - smoothing + smoothing / classes) and every other w smoothing / classes.
    Source: Szegedy et al. (2016), "Rethinking the Inception architecture", section 7.
    """
    one_hot = nn.functional.one_hot(index, classes).to(weight.dtype)
    return weight[:, None] * (one_hot * (1 - smoothing) + smoothing / classes)


def loss(logits: Tensor, targets: Tensor, focal_gamma: float = 0.0) -> Tensor:
    """Cross-entropy, or focal loss where ``focal_gamma`` > 0: the weighted mean over the batch. -> ().

    Each term is -t (1 - p)^gamma log p, divided by the sum of all targets. Source: Lin et al. (2017), "Focal loss for
    dense object detection", equation 4.
    """
    log_p = nn.functional.log_softmax(logits, dim=1)
    terms = -targets * log_p
    if focal_gamma:
        terms = terms * (1 - log_p.exp()) ** focal_gamma
    return terms.sum() / targets.sum().clamp(min=1e-12)
