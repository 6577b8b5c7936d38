"""Speech encoders of a few kilobytes with random weights, on disk as ``save_pretrained`` leaves the real ones."""

from __future__ import annotations

import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers

SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
STABLE: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
CONFIGS = {
    "group": transformers.Wav2Vec2Config(**SMALL),
    "stable": transformers.Wav2Vec2Config(**SMALL, **STABLE, add_adapter=True),
    "hubert": transformers.HubertConfig(**SMALL),
    "wavlm": transformers.WavLMConfig(**SMALL, **STABLE),
    "hubert_stable": transformers.HubertConfig(**SMALL, **STABLE),
    "wavlm_group": transformers.WavLMConfig(**SMALL),
    "data2vec": transformers.Data2VecAudioConfig(**{**SMALL, "num_conv_pos_embeddings": 3}),
}

_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # removed when the tests end


def save(config: Any, directory: Path, seed: int = 0, do_normalize: bool = True) -> str:
    """Write a model of random weights. -> the directory, as a setting."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformers.AutoModel.from_config(config).save_pretrained(directory)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(directory)
    return str(directory)


def _folder() -> Path:
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="featkit-"))
    return Path(_FOLDERS[-1].name)


@cache
def models() -> Path:
    """A folder with a model of each kind, not to be changed."""
    root = _folder()
    for seed, (kind, config) in enumerate(CONFIGS.items()):
        save(config, root / kind, seed, do_normalize="hubert" not in kind)
    return root


@cache
def as_wide_as_mfcc39() -> str:
    """A model of 39 hidden units: suites that feed all networks the same frames can feed one that stands on it."""
    narrow = {**SMALL, "hidden_size": 39, "num_attention_heads": 3, "num_conv_pos_embedding_groups": 3}
    return save(transformers.Wav2Vec2Config(**narrow), _folder())


def noise(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Waves (…, n_samples)."""
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def unplug(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """There is no network. -> the calls that look for it, as they come."""
    made: list[Any] = []

    def none(*args: Any, **kwargs: Any) -> None:
        made.append(args)
        raise OSError("there is no network")

    monkeypatch.setattr(socket, "getaddrinfo", none)
    monkeypatch.setattr(socket.socket, "connect", none)
    return made
