"""Each layer against torch's own, and its graph against itself; what stands behind a clip is never heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from featkit_backends import layers
from torch import Tensor, nn

from featkit.errors import DataError
from featkit.graph import GraphBuilder, run, session


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def in_graph(module: nn.Module, x: Tensor) -> Any:
    """The layer's ``add``, run by onnxruntime; every axis but the last is dynamic."""
    g = GraphBuilder("layer")
    shape: list[str | int] = [f"axis{i}" for i in range(x.ndim)]
    y = module.add(g, g.input("x", shape))  # type: ignore[operator]
    g.output(y[-1] if isinstance(y, list) else y, "y", [])
    model = g.model()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return run(session(model), x.numpy())


def warmed(module: nn.Module, *example: Any) -> nn.Module:
    """Weights away from their start, batch norm with statistics, then evaluation mode."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    module.train()
    for _ in range(3):
        module(*example)
    return module.eval()


WHOLE = torch.tensor([17, 17])
REAL = torch.ones(2, 17, dtype=torch.bool)
LAYERS: dict[str, tuple[nn.Module, Tensor, tuple[Any, ...]]] = {
    "conv": (layers.ConvBlock(6, 8, pool=2), noise(2, 6, 17), (WHOLE,)),
    "conv, stride": (layers.ConvBlock(6, 8, 5, stride=2), noise(2, 6, 17), (WHOLE,)),
    "pyramid": (layers.Pyramid(6, [8, 10, 12]), noise(2, 17, 6), (WHOLE,)),
    "lstm": (layers.BiLSTM(6, 5), noise(2, 17, 6), (WHOLE,)),
    "pool": (layers.StatisticsPool(), noise(2, 17, 6), (WHOLE,)),
    "attention": (layers.Attention(12, 3, 0.0), noise(2, 17, 12), (REAL,)),
    "convolution": (layers.Convolution(6, 5, 0.0), noise(2, 17, 6), (REAL,)),
    "feed-forward": (layers.FeedForward(6, 4, 0.0), noise(2, 17, 6), ()),
    "positions": (layers.Positions(6), noise(2, 17, 6), ()),
    "subsample": (layers.Subsample(6, 8), noise(2, 17, 6), (WHOLE,)),
    "head": (layers.Head([6], 3, 0.0), noise(2, 17, 6), (WHOLE,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_graph_of_a_layer_equals_the_layer(name: str) -> None:
    module, x, more = LAYERS[name]
    args = ((x, *more),) if isinstance(module, layers.Head) else (x, *more)
    warmed(module, *args)
    with torch.inference_mode():
        y = module(*args)
    if name == "pyramid":
        y = y[-1]
    y = y[0] if isinstance(y, tuple) else y
    np.testing.assert_allclose(in_graph(module, x), y.numpy(), atol=2e-6)


def test_batch_norm_without_padding_is_torchs_own() -> None:
    ours, theirs = layers.FrameNorm(4), nn.BatchNorm1d(4)
    x = noise(3, 4, 9)
    torch.testing.assert_close(ours(x, torch.ones(3, 9, dtype=torch.bool)), theirs(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_batch_norm_knows_real_frames_only() -> None:
    lengths = torch.tensor([3, 40])
    x = noise(2, 4, 40) * layers.mask(lengths, 40)[:, None]
    ours, theirs = layers.FrameNorm(4), nn.BatchNorm1d(4)
    padded = ours(x, layers.mask(lengths, 40))
    together = theirs(torch.cat([x[0, :, :3], x[1]], dim=1)[None])[0]  # the 43 real frames as one clip
    torch.testing.assert_close(padded[0, :, :3], together[:, :3], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(padded[1], together[:, 3:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_the_lstm_is_torchs_bidirectional_one_over_packed_clips() -> None:
    ours, theirs = layers.BiLSTM(6, 5), nn.LSTM(6, 5, batch_first=True, bidirectional=True)
    for side, one in (("", ours.forwards), ("_reverse", ours.backwards)):
        for name, value in one.named_parameters():
            getattr(theirs, name + side).data = value.data
    x, lengths = noise(3, 20, 6), torch.tensor([20, 1, 7])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    got = ours(x, lengths) * layers.mask(lengths, 20)[:, :, None]
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)


def test_attention_is_torchs_own_with_padding_masked() -> None:
    ours = layers.Attention(12, 3, 0.0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight.data, ours.out.bias.data
    x, real = noise(2, 9, 12), layers.mask(torch.tensor([9, 4]), 9)
    normed = ours.norm(x)
    expected, _ = theirs(normed, normed, normed, key_padding_mask=~real)
    torch.testing.assert_close(ours(x, real)[real], expected[real], atol=1e-6, rtol=1e-5)


def test_statistics_are_mean_and_deviation_over_real_frames() -> None:
    x, lengths = noise(2, 9, 4), torch.tensor([9, 4])
    got = layers.StatisticsPool()(x, lengths)
    for row, clip, n in zip(got, x, lengths, strict=True):
        torch.testing.assert_close(row[:4], clip[:n].mean(0))
        torch.testing.assert_close(row[4:], clip[:n].std(0, correction=0), atol=1e-4, rtol=1e-4)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(DataError, match="width must be a multiple of heads; they are 10 and 3"):
        layers.Attention(10, 3, 0.0)


def test_the_kernel_of_a_convolution_must_be_odd() -> None:
    with pytest.raises(DataError, match="kernel must be odd; it is 4"):
        layers.Convolution(6, 4, 0.0)


def test_a_head_hears_every_level() -> None:
    head, x = layers.Head([6, 4], 3, 0.0).eval(), noise(2, 17, 6)
    y, short = noise(2, 9, 4), torch.tensor([9, 5])
    pool = layers.StatisticsPool()
    expected = head.last(head.norm(torch.cat([pool(x, WHOLE), pool(y, short)], dim=1)))
    torch.testing.assert_close(head((x, WHOLE), (y, short)), expected)


def test_a_pyramid_needs_a_block() -> None:
    with pytest.raises(DataError, match="channels must name the filters of one block at least"):
        layers.Pyramid(6, ())
