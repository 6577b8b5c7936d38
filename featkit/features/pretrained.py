"""Pretrained speech encoders, read by ``transformers``: from a directory or from the Hugging Face hub.

Weights are read from safetensors only, never from a pickle. A model is loaded once a process and shared by threads.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
import numpy as np
import onnx
import torch
import transformers
from torch import Tensor, nn

from featkit.audio import SAMPLE_RATE
from featkit.errors import FeatureError
from featkit.graph import convert_module, quiet

_KINDS = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
_FILES = ["config.json", "preprocessor_config.json", "model.safetensors*", "model-*.safetensors"]
# What decides a model's numbers beside its weights and their shapes.
_ARCHITECTURE = (
    "model_type", "hidden_act", "feat_extract_activation", "feat_extract_norm", "conv_stride", "num_attention_heads",
    "num_conv_pos_embedding_groups", "conv_pos_batch_norm", "do_stable_layer_norm", "feat_proj_layer_norm",
    "layer_norm_eps", "max_bucket_distance",
)  # fmt: skip


class Above(NamedTuple):
    """Transformer layers of the kind that the model has, pretrained, and the norm behind the last of them."""

    layers: nn.ModuleList
    """Each takes and gives (batch, time, hidden). WavLM's take and give the position bias as well; where it is None
    the first of them computes it."""
    norm: nn.Module
    """Identity unless ``do_stable_layer_norm`` is set: the other models normalise inside every layer."""


class Encoder(NamedTuple):
    """The layers below a hidden state, frozen, and what is known of them."""

    module: nn.Module
    norm: nn.Module  # of the last hidden state, which it is not applied to
    layer: int  # counted from 0
    hidden: int
    stride: int  # samples between frames
    field: int  # samples that one frame sees
    weights: str  # hash


class _HiddenStates(nn.Module):
    """Wave (batch, samples), each row a whole clip -> last hidden state (batch, time, hidden)."""

    def __init__(self, model: nn.Module, normalise: bool) -> None:
        super().__init__()
        self.model = model
        self.normalise = normalise

    def forward(self, wave: Tensor) -> Tensor:
        if self.normalise:  # transformers' Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm
            centred = wave - wave.mean(dim=1, keepdim=True)
            wave = centred / torch.sqrt((centred * centred).mean(dim=1, keepdim=True) + 1e-7)
        states: Tensor = self.model(wave).last_hidden_state
        return states


class Key(NamedTuple):
    """What says which numbers come out. The stamps of the files are in it: weights saved anew are loaded anew."""

    directory: str
    layer: int
    stamps: tuple[Any, ...]


# A search over layers would otherwise hold as many copies of the weights; threads that all begin with their first clip
# load them once.
_LOCK = threading.RLock()


def key_of(model: str, layer: int, local_files_only: bool) -> Key:
    """Where the model lies, and in which state."""
    directory = _directory(model, local_files_only)
    files = sorted(path for pattern in _FILES for path in directory.glob(pattern))
    stamps = ((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return Key(str(directory), layer, tuple(stamps))


def encoder(key: Key) -> Encoder:
    """Shared by all who ask; not to be changed."""
    with _LOCK:
        return _load(*key)


def above(key: Key) -> Above:
    """The layers above the hidden state, as a copy of one's own."""
    with _LOCK:
        return copy.deepcopy(_above(*key))


def graph(key: Key) -> onnx.ModelProto:
    """The encoder: wave (batch, samples) -> frames."""
    with _LOCK:
        return _exported(*key)


def config(key: Key) -> Any:
    """What transformers reads of config.json. Not to be changed."""
    directory = Path(key.directory)
    with _LOCK, _reading(directory):
        return _config(directory)


@lru_cache(maxsize=4)
def _load(directory: str, layer: int, stamps: tuple[Any, ...]) -> Encoder:
    return _read(Path(directory), layer)


@lru_cache(maxsize=4)
def _above(directory: str, layer: int, stamps: tuple[Any, ...]) -> Above:
    with torch.random.fork_rng(devices=[]):  # what a network draws must not depend on whether this was loaded before
        whole = _read(Path(directory), -1)
    layers: Any = whole.module.get_submodule("model.encoder.layers")
    layer = _place(layer, len(layers))
    upper = layers[layer:].requires_grad_(True)
    if len(upper) and hasattr(layers[0].attention, "rel_attn_embed"):
        # WavLM: every layer's position bias comes from a table in the first one.
        upper[0].attention.rel_attn_embed = layers[0].attention.rel_attn_embed
    return Above(upper, whole.norm)


def _read(path: Path, layer: int) -> Encoder:
    """Read config, weights and preprocessor; all that can be wrong with them is one line of `FeatureError`."""
    with _reading(path):
        config = _config(path)
        normalise = _normalises(path)
        layer = _place(layer, config.num_hidden_layers)
        model, report = _pretrained(str(path), config, layer)
    lacking = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    if lacking:
        raise FeatureError(
            f"{path}: the weights do not fit config.json; {len(lacking)} tensors are missing or of another shape, "
            f"e.g. {lacking[0]}. Random numbers will not stand in for them."
        )
    broken = [name for name, tensor in model.state_dict().items() if not torch.isfinite(tensor).all()]
    if broken:
        raise FeatureError(f"{path}: the weights hold NaN or infinity, e.g. in {broken[0]}; get them again.")
    weights = _hash(model, config, normalise)
    with one_thread():  # the number of threads would decide the last bits of these weights, and so of all frames
        for part in list(model.modules()):  # the positional convolution would multiply its weights out for every clip
            if nn.utils.parametrize.is_parametrized(part, "weight"):
                nn.utils.parametrize.remove_parametrizations(part, "weight")
    norm: nn.Module = nn.Identity()
    if getattr(config, "do_stable_layer_norm", False):
        # It normalises the last layer's output, whichever that is, and is no part of hidden_states.
        norm, model.encoder.layer_norm = model.encoder.layer_norm, norm
    field = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        field = (field - 1) * stride + kernel
    module = _HiddenStates(model.requires_grad_(False), normalise).eval()
    return Encoder(module, norm, layer, config.hidden_size, math.prod(config.conv_stride), field, weights)


@lru_cache(maxsize=4)
def _exported(directory: str, layer: int, stamps: tuple[Any, ...]) -> onnx.ModelProto:
    below = _load(directory, layer, stamps)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 40 * below.field + 37)).astype(np.float32)
    return convert_module(below.module, noise, "frames")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever transformers and safetensors raise becomes one line."""
    try:
        with quiet("transformers"):
            yield
    except FeatureError:
        raise
    except Exception as error:
        reason = f"{error}\n".splitlines()[0][:200]
        raise FeatureError(f"{path}: the model cannot be loaded ({type(error).__name__}: {reason}).") from None


def _config(path: Path) -> Any:
    _check_files(path)
    kind = _json(path / "config.json").get("model_type")
    if kind not in _KINDS:
        raise FeatureError(
            f"{path}: a model of type {kind!r} is no speech encoder that is known here; known are {', '.join(_KINDS)}."
        )
    return transformers.AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)


def _pretrained(directory: str, config: Any, layer: int) -> tuple[Any, Any]:
    """The model with the first ``layer`` transformer layers, in float32, and what could not be loaded of it."""
    config.num_hidden_layers = layer
    config.add_adapter = False  # stands behind the hidden states
    config.mask_time_prob = config.mask_feature_prob = 0.0  # training only; brings a parameter
    config.transformers_weights = None  # could name another file
    return transformers.AutoModel.from_pretrained(  # type: ignore[no-any-return]
        directory, config=config, dtype=torch.float32, use_safetensors=True, local_files_only=True,
        trust_remote_code=False, output_loading_info=True,
    )  # fmt: skip


def _place(layer: int, n_layers: int) -> int:
    """-1 -> n_layers. There are n_layers + 1 hidden states."""
    if not -n_layers - 1 <= layer <= n_layers:
        raise FeatureError(
            f"layer must be between {-n_layers - 1} and {n_layers} for a model of {n_layers} layers; it is {layer}."
        )
    return layer if layer >= 0 else n_layers + 1 + layer


def _directory(model: str, local_files_only: bool) -> Path:
    """Where the model lies. The hub is asked once for a name and never for a directory."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", model):
        raise FeatureError(f"{model}: there is no such directory.")
    return _downloaded(model, local_files_only)


@lru_cache
def _downloaded(name: str, local_files_only: bool) -> Path:
    reason = ""
    for local in (True,) if local_files_only else (True, False):
        try:
            path = Path(huggingface_hub.snapshot_download(name, allow_patterns=_FILES, local_files_only=local))
        except Exception as error:  # of the network, of the hub, of the disk
            reason = f"{error}\n".splitlines()[0][:200]
        else:
            if (path / "config.json").is_file() and any(path.glob("*.safetensors")):
                return path
            if not local:
                _check_files(path, name)
    if local_files_only:
        raise FeatureError(
            f"{name}: is neither a directory nor in the cache of the Hugging Face hub. Download it once: "
            f"hf download {name}"
        )
    raise FeatureError(f"{name}: is no directory, and cannot be had from the Hugging Face hub ({reason}).")


def _check_files(path: Path, name: str | None = None) -> None:
    name = name or str(path)
    if not (path / "config.json").is_file():
        raise FeatureError(f"{name}: holds no config.json; give the directory that save_pretrained() wrote.")
    if any((path / file).is_file() for file in ("model.safetensors", "model.safetensors.index.json")):
        return
    if name != str(path) or any(path.glob("*.bin")):
        raise FeatureError(
            f"{name}: holds no model.safetensors, and other weights are pickles, which can run code when they are "
            "loaded. If you trust them, convert them once: "
            f'python -c "import transformers as t; m = {name!r}; t.AutoModel.from_pretrained(m).save_pretrained('
            "'converted'); t.AutoFeatureExtractor.from_pretrained(m).save_pretrained('converted')\""
        )
    raise FeatureError(f"{name}: holds no weights; model.safetensors is missing.")


def _normalises(path: Path) -> bool:
    preprocessor = _json(path / "preprocessor_config.json") if (path / "preprocessor_config.json").is_file() else {}
    rate = preprocessor.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise FeatureError(f"{path}: the model hears {rate} Hz; featkit works at {SAMPLE_RATE} Hz.")
    return bool(preprocessor.get("do_normalize", True))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise FeatureError(f"{path}: is damaged or no JSON; get it again.")
    return content


def _hash(model: nn.Module, config: Any, normalise: bool) -> str:
    """Names, shapes and values of the weights in use, and what else decides the numbers. -> 16 hex digits."""
    architecture = {key: getattr(config, key, None) for key in _ARCHITECTURE}
    digest = hashlib.sha256(json.dumps([architecture, normalise], sort_keys=True, default=list).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor.numpy()).data)
    return digest.hexdigest()[:16]


@contextmanager
def one_thread() -> Iterator[None]:
    """Clips are what is parallel (``n_jobs``), and one thread gives the same bits whoever calls."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
