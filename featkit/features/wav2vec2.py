"""Hidden states of wav2vec 2.0 and its relatives, HuBERT, WavLM and data2vec, computed by ``transformers``.

Clips run one at a time, because models with group norm give wrong features for clips that are padded to a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import onnx
import torch

from featkit.audio import SAMPLE_RATE, Wave
from featkit.errors import FeatureError
from featkit.features import pretrained
from featkit.features.base import Array, FeatureExtractor, View
from featkit.features.pretrained import Above, Encoder, Key, one_thread
from featkit.graph import GraphBuilder

Pooling = Literal["mean", "meanstd", "max"]

DEFAULT_MODEL = "facebook/wav2vec2-base-960h"
"""Apache 2.0, and published as safetensors since November 2022."""

_STATISTICS = {"mean": ("mean",), "meanstd": ("mean", "std"), "max": ("max",)}


@dataclass
class Wav2Vec2(FeatureExtractor):
    """Hidden states of a pretrained speech encoder: one row every 20 ms.

    Parameters
    ----------
    model
        Directory with config.json and model.safetensors, or a name on the Hugging Face hub, downloaded once. The
        specification holds a hash of the weights instead, so that features fit wherever the same weights lie. The
        default is the base model after training for speech recognition, 378 MB: "facebook/wav2vec2-base", from which
        it comes, is published as a pickle, which is refused.
    layer
        Which hidden state: 0 is the input of the first transformer layer, k the output of layer k; negative numbers
        count from the end, -1 is the output of the last layer. It is ``hidden_states[layer]`` of transformers 5: where
        ``do_stable_layer_norm`` is set, without the layer norm that ``last_hidden_state`` has behind the last layer.
        Layers above it are neither loaded nor computed.
    pooling
        Functionals: "mean", "meanstd" (mean and population standard deviation) or "max" over time.
    local_files_only
        Never ask the hub. It is not asked either for a directory, or for a name that was downloaded before.

    Notes
    -----
    The wave is normalised to mean 0 and variance 1 over the clip, as the model's preprocessor_config.json says
    (``do_normalize``; without that file it is, as by transformers' own feature extractor).

    Sources: Baevski et al. (2020), "wav2vec 2.0", NeurIPS; Hsu et al. (2021), "HuBERT", IEEE/ACM TASLP 29; Chen et al.
    (2022), "WavLM", IEEE JSTSP 16; Baevski et al. (2022), "data2vec", ICML.
    """

    name: ClassVar[str] = "wav2vec2"
    licence: ClassVar[str | None] = "the pretrained weights have a licence of their own"

    model: str = DEFAULT_MODEL
    layer: int = -1
    pooling: Pooling = "meanstd"
    local_files_only: bool = False

    def frames(self, wave: Wave) -> Array:
        """Hidden states. (n_samples,) -> (time, hidden)."""
        with one_thread(), torch.inference_mode():
            states: Array = self._encoder().module(torch.tensor(wave)[None])[0].numpy()
        return states

    def functionals(self, wave: Wave) -> Array:
        """Statistics over time of the hidden states. (n_samples,) -> (hidden,) or for "meanstd" (2 * hidden,)."""
        self.check()
        frames = self.frames(wave).astype(np.float64)
        rows = [getattr(frames, statistic)(axis=0) for statistic in _STATISTICS[self.pooling]]
        return np.concatenate(rows).astype(np.float32)

    def to_onnx(self, view: View) -> onnx.ModelProto:
        """The encoder itself: wave (batch, samples) → view. The clips of a batch must be equally long.

        The first call for a model takes 5-40 s.
        """
        self.check()
        g = GraphBuilder(self.name)
        wave = g.input("wave", ["batch", "samples"])
        frames = g.include(pretrained.graph(self._key()), wave)
        if view == "frames":
            g.output(frames, view, ["batch", "time", "dims"])
            return g.model()
        mean = g.op("ReduceMean", frames, g.ints(1), keepdims=1)
        if self.pooling == "max":
            rows = [g.op("ReduceMax", frames, g.ints(1), keepdims=1)]
        elif self.pooling == "mean":
            rows = [mean]
        else:
            centred = g.op("Sub", frames, mean)
            rows = [mean, g.op("Sqrt", g.op("ReduceMean", g.op("Mul", centred, centred), g.ints(1), keepdims=1))]
        g.output(g.op("Squeeze", g.op("Concat", *rows, axis=2), g.ints(1)), view, ["batch", "dims"])
        return g.model()

    def check(self) -> None:
        """Refuse parameters of the wrong kind."""
        if not isinstance(self.layer, int | np.integer) or isinstance(self.layer, bool):
            raise FeatureError(f"layer must be a whole number; it is {self.layer!r}.")
        if self.pooling not in _STATISTICS:
            raise FeatureError(f"pooling must be 'mean', 'meanstd' or 'max'; it is {self.pooling!r}.")
        if not isinstance(self.model, str) or not self.model:
            raise FeatureError(f"model must be a directory or a name on the Hugging Face hub; it is {self.model!r}.")

    @property
    def hop(self) -> float:
        """Distance between frames, seconds: 0.020 for all published models."""
        return self._encoder().stride / SAMPLE_RATE

    @property
    def min_samples(self) -> int:
        """What one frame sees: 400 samples (25 ms) for all published models."""
        return self._encoder().field

    @property
    def frame_names(self) -> list[str]:
        """``wav2vec2_1 …``, one for each hidden unit."""
        return [f"{self.name}_{i + 1}" for i in range(self._encoder().hidden)]

    @property
    def functional_names(self) -> list[str]:
        """``wav2vec2_1_mean …``, statistic by statistic."""
        self.check()
        return [f"{name}_{statistic}" for statistic in _STATISTICS[self.pooling] for name in self.frame_names]

    @property
    def spec(self) -> dict[str, Any]:
        """A hash of the weights stands for the model; its name is told, but does not enter the hash.

        A model file may name weights, but rebuilding an extractor from it never downloads any.
        """
        self.check()
        encoder = self._encoder()
        return {
            "name": self.name,
            "version": self.version,
            "params": {"layer": encoder.layer, "pooling": self.pooling},
            "weights": encoder.weights,
            "source": {"model": self.model, "local_files_only": True},
        }

    @property
    def config(self) -> Any:
        """What transformers reads of config.json, as ``hidden_size`` and ``num_hidden_layers``. Not to be changed."""
        return pretrained.config(self._key())

    def above(self) -> Above:
        """The layers between these hidden states and the model's last one, for a network that trains them."""
        return pretrained.above(self._key())

    def _key(self) -> Key:
        self.check()
        return pretrained.key_of(self.model, int(self.layer), bool(self.local_files_only))

    def _encoder(self) -> Encoder:
        return pretrained.encoder(self._key())
