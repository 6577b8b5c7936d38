"""A pretrained speech encoder with a trained head, and fine-tuning of its last layers.

The frozen part of the encoder is the feature set `wav2vec2`, so that it runs once a clip and not once a fold and epoch,
its output can lie in a feature table, and its graph is in the exported model. What is trained stands here.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from featkit.backend import Float
from featkit.errors import DataError, FeatureError
from featkit.features import wav2vec2
from featkit.features.pretrained import Above
from featkit.graph import GraphBuilder, convert_module
from featkit_backends.frames import Frames
from featkit_backends.layers import Head, add_linear, mask
from featkit_backends.neural import NeuralBackend
from featkit_backends.standardise import Standardiser
from featkit_backends.training import parameter_groups


@dataclass(kw_only=True, eq=False, repr=False)
class Wav2Vec2(NeuralBackend):
    """Hidden states → last layers of the encoder → dense layer → mean and deviation over time → softmax.

    It reads the frames of the feature set of the same name, by default the hidden state below the layers that it
    trains; `SERClassifier` takes that set where none is named. Sources: Baevski et al. (2020), "wav2vec 2.0", NeurIPS;
    Pepino et al. (2021), "Emotion recognition from speech using wav2vec 2.0 embeddings", Interspeech.

    Parameters
    ----------
    model
        Directory with config.json and model.safetensors, or a name on the Hugging Face hub: wav2vec 2.0, HuBERT,
        WavLM or data2vec-audio, as for `featkit.features.wav2vec2.Wav2Vec2`. It is needed to train and to export;
        the exported model holds its weights.
    trainable_layers
        0 leaves the encoder as it is and trains the head alone, on frames standardised by column. N continues the
        training of the last N transformer layers, with their own dropout, on the frames of layer L - N of L as they
        are. Features that are named by hand must then be of that layer.
    local_files_only
        Never ask the hub.
    hidden
        Units of the dense layer, which looks at one frame.
    dropout
        Share of values dropped before the last layer, in training only.
    encoder_lr
        Highest learning rate of the pretrained layers; ``lr`` is that of the head. Both follow ``schedule``.
    crop, segment
        Here of frames of 20 ms: 150 are 3 s.
    others
        See `featkit_backends.neural.NeuralBackend`.
    """

    name: ClassVar[str] = "wav2vec2"
    space: ClassVar[Mapping[str, Sequence[Any]]] = MappingProxyType(
        {"lr": (3e-4, 1e-3, 3e-3), "dropout": (0.1, 0.3, 0.5), "trainable_layers": (0, 1, 2)}
    )

    model: str = wav2vec2.DEFAULT_MODEL
    trainable_layers: int = 0
    local_files_only: bool = False
    hidden: int = 128
    dropout: float = 0.3
    encoder_lr: float = 1e-5
    crop: int | None = 150
    centre: bool = False
    segment: int | None = 150

    @property
    def default_features(self) -> wav2vec2.Wav2Vec2:
        """The hidden states that the trained layers read. Raises DataError where the model has not so many layers."""
        n = self.trainable_layers
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
            raise DataError(f"{self.name}: trainable_layers is a whole number from 0; it is {n!r}.")
        # Counted from the end, so that without trainable layers nothing need be read.
        features = wav2vec2.Wav2Vec2(self.model, layer=-1 - int(n), local_files_only=self.local_files_only)
        if n and n > features.config.num_hidden_layers:
            raise DataError(
                f"{self.name}: trainable_layers lies between 0 and {features.config.num_hidden_layers}, which is what "
                f"{self.model} has; it is {n}."
            )
        return features

    def set_weights(self, weights: dict[str, npt.NDArray[Any]], classes: npt.NDArray[Any]) -> None:
        """Become fitted with what `weights` gave."""
        super().set_weights(weights, classes)
        if self.trainable_layers:
            self.standardise_ = _AsTheyAre(self.n_features_in_)

    def _module(self, dims: int, classes: int) -> nn.Module:
        features = self.default_features
        if dims != features.config.hidden_size:
            raise FeatureError(
                f"{self.name} reads the frames of features='wav2vec2', {features.config.hidden_size} columns for "
                f"{self.model}; got {dims} columns. Name no features, or those of this model."
            )
        encoder = _Encoder(features.above(), self.encoder_lr) if self.trainable_layers else None
        return _Network(encoder, dims, self.hidden, self.dropout, classes)

    def _standardiser(self, clips: list[Frames]) -> Standardiser:
        return _AsTheyAre(clips[0].shape[1]) if self.trainable_layers else super()._standardiser(clips)

    def _check_settings(self) -> None:
        super()._check_settings()
        if not isinstance(self.encoder_lr, int | float | np.number) or not 0 <= self.encoder_lr <= 10:
            raise DataError(f"{self.name}: encoder_lr lies between 0 and 10; it is {self.encoder_lr!r}.")
        _ = self.default_features  # refuses trainable_layers


class _AsTheyAre(Standardiser):
    """Pretrained layers expect the very numbers that the layers below them give."""

    def __init__(self, dims: int) -> None:
        self.mean, self.factor = np.zeros(dims, np.float32), np.ones(dims, np.float32)

    def __call__(self, X: npt.NDArray[Any]) -> Float:
        return np.asarray(X, dtype=np.float32)

    def add(self, g: GraphBuilder, x: str) -> str:
        return x


class _Encoder(nn.Module):
    """The last layers of the encoder, as transformers runs them."""

    def __init__(self, above: Above, lr: float) -> None:
        super().__init__()
        self.layers, self.norm = above
        self.lr = lr
        self.relative = hasattr(self.layers[0].attention, "rel_attn_embed")  # WavLM

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, time, width) -> the same. Without lengths no clip is padded."""
        real = None if lengths is None else mask(lengths, x.shape[1])
        if real is not None and bool(real.all()):
            real = None
        seen = bias = None
        if real is not None:
            # Added to the scores, which every implementation of attention understands.
            seen = x.new_zeros(real.shape).masked_fill(~real, torch.finfo(x.dtype).min)[:, None, None, :]
        with warnings.catch_warnings():
            # WavLM's bias is a table of numbers and its mask one of truth values, which torch takes but frowns at.
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)
            for layer in self.layers:
                if self.relative:
                    x, bias = layer(x, attention_mask=real, position_bias=bias)
                else:
                    x = layer(x, attention_mask=seen)
        normed: Tensor = self.norm(x)
        return normed


class _Network(nn.Module):
    def __init__(self, encoder: _Encoder | None, dims: int, hidden: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dense = nn.Linear(dims, hidden)
        self.head = Head([hidden], classes, dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if self.encoder is not None:
            x = self.encoder(x, lengths)
        logits: Tensor = self.head((self.dense(x).relu(), lengths))
        return logits

    def add(self, g: GraphBuilder, x: str) -> str:
        if self.encoder is not None:
            example = np.random.default_rng(0).standard_normal((2, 101, self.dense.in_features), np.float32)
            x = g.include(convert_module(self.encoder, example, "frames"), x)
        return self.head.add(g, g.op("Relu", add_linear(g, x, self.dense)))

    def parameter_groups(self, decay: float) -> list[dict[str, Any]]:
        """The head's groups first, whose rate the history shows."""
        groups = [group for part in (self.dense, self.head) for group in parameter_groups(part, decay)]
        if self.encoder is not None:
            groups += [{**group, "lr": self.encoder.lr} for group in parameter_groups(self.encoder, decay)]
        return groups
