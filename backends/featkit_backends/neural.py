"""What neural backends share: one set of training settings, one ``fit``, one export, for any torch module."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from featkit.backend import Backend, Float, clip_weights, speaker_folds
from featkit.errors import DataError
from featkit.graph import GraphBuilder
from featkit_backends import training
from featkit_backends.batches import Clips, Plan, scaled
from featkit_backends.frames import Centred, Frames, clips_of
from featkit_backends.networks import Ensemble, add_network, add_segments
from featkit_backends.standardise import Standardiser


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralBackend(Backend):
    """Base of backends that train a torch module. Subclasses are dataclasses and write ``_module``, the network.

    A network reads frames, (time, dims) a clip; one that reads functionals is given clips of one frame.

    Parameters
    ----------
    epochs
        Most passes over the training clips.
    batch_size
        Clips per step, two at least.
    lr
        Highest learning rate of AdamW. Tutorials give 1e-4, with which small networks need hundreds of epochs; each
        backend has a default of its own.
    weight_decay
        AdamW's decay of weights; biases and norms do not decay.
    schedule
        "cosine" warms up in a straight line and falls as a cosine over all epochs; "plateau" multiplies by
        ``plateau_factor`` after ``plateau_patience`` epochs without a lower validation loss; "constant" stays.
    warmup
        Share of the steps in which "cosine" rises.
    clip_norm
        Longest gradient; a longer one is scaled down.
    ensemble
        Networks that are trained side by side from different starts, and whose probabilities are averaged. Source:
        Lakshminarayanan et al. (2017), "Simple and scalable predictive uncertainty estimation", NeurIPS.
    average
        Decay per step of a running average of the weights, which is what validates and predicts: 0.99 is typical;
        0 for none.
    validation
        Share of the training clips held out to choose the best epoch by UA, by speaker where speakers are known. 0
        trains all clips for all epochs and keeps the last.
    patience
        Training stops after so many epochs without a better validation UA; the best weights are restored.
    class_weight
        "balanced" weighs the loss of each class by the inverse of its frequency; None does not.
    sampling
        "shuffled" takes every clip once an epoch; "balanced" draws as many, every class equally often, and then
        ``class_weight`` has no effect.
    focal_gamma
        0 for cross-entropy; 2 is usual for focal loss, which attends to clips that are hard.
    label_smoothing
        Share of the target that is spread over all classes.
    centre
        Subtract from every column of frames its mean over the clip: what voice, microphone and room add to all frames
        alike goes, and the level with it.
    crop
        Frames of a training clip: of a longer one a random piece is taken, another every epoch. 300 are 3 s at 10 ms.
        None takes clips whole.
    segment
        Frames of prediction: a longer clip is cut into equal segments, whose probabilities are averaged. None takes
        clips whole.
    mask_time, mask_dims
        SpecAugment: widest run of frames, and of columns, that is masked; two of each a clip. 0 for none.
    mixup
        Alpha of the Beta distribution by which clips are mixed in pairs; 0 for none.
    device
        "auto" (CUDA, else Apple's MPS, else CPU) or a name of torch's.
    precision
        "auto" (bfloat16 on CUDA, else float32), "float32", "bfloat16" or "float16": of the forward pass in training
        and validation. Prediction after ``fit`` runs in float32 on the CPU, as the exported model does.
    random_state
        Seed of initial weights, order, dropout and validation part. Equal seeds give equal weights on one CPU.
    progress
        Show a bar with loss, UA and time left.

    Attributes
    ----------
    module_
        The trained network, a plain ``torch.nn.Module`` in evaluation mode on the CPU.
    history_
        One dict an epoch: epoch, lr, loss and, with validation, validation_loss and validation_ua.
    interrupted_
        True where Ctrl-C stopped training before its end.
    """

    consumes: ClassVar[Any] = "frames"
    space: ClassVar[Mapping[str, Sequence[Any]]] = MappingProxyType(
        {
            "lr": (3e-4, 1e-3, 2e-3, 5e-3),
            "weight_decay": (1e-3, 1e-2, 1e-1),
            "batch_size": (16, 32, 64),
            "label_smoothing": (0.0, 0.1, 0.2),
            "mixup": (0.0, 0.2, 0.5),
            "mask_time": (0, 15, 30),
            "dropout": (0.1, 0.3, 0.5),
        }
    )

    choices: ClassVar[Mapping[str, Sequence[str]]] = MappingProxyType(
        {
            "schedule": ("cosine", "plateau", "constant"),
            "sampling": ("shuffled", "balanced"),
            "precision": ("auto", "float32", "bfloat16", "float16"),
        }
    )
    """What settings that are words may be; a subclass with such settings of its own adds them."""

    epochs: int = 40
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-2
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    warmup: float = 0.1
    plateau_factor: float = 0.7
    plateau_patience: int = 3
    clip_norm: float = 5.0
    ensemble: int = 1
    average: float = 0.98
    validation: float = 0.0
    patience: int = 15
    class_weight: Literal["balanced"] | None = "balanced"
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    focal_gamma: float = 0.0
    label_smoothing: float = 0.1
    centre: bool = True
    crop: int | None = 300
    segment: int | None = 300
    mask_time: int = 0
    mask_dims: int = 0
    mixup: float = 0.0
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    random_state: int | None = 0
    progress: bool = False

    @abstractmethod
    def _module(self, dims: int, classes: int) -> nn.Module:
        """The network: forward(x (batch, time, dims), lengths (batch,)) -> logits (batch, classes).

        A module with a method ``add(g, x)`` writes itself into a graph; any other is converted by torch's exporter.
        """

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, *, copies: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:  # fmt: skip
        """Learn from a list of (time, dims) frames, or from (n, dims) functionals. See `featkit.backend.Backend.fit`.

        Parameters
        ----------
        copies
            (n,) sequences of varied copies of each clip. Every epoch takes each clip or one of its copies, at random;
            the validation part is heard as it is.
        checkpoint
            File that is written after every epoch. Where it exists, training goes on from it, to the same result.

        Raises
        ------
        FeatureError
            Frames of different or wrong width, or not finite.
        DataError
            A setting makes no sense, or the checkpoint is damaged or of another run.
        """
        self._check_settings()
        clips = self._frames(X)
        self.classes_, index = np.unique(np.asarray(y), return_inverse=True)
        self.n_features_in_ = clips[0].shape[1]
        takes = [[clip] for clip in clips]
        for i, own in enumerate(copies if copies is not None else []):
            takes[i] += self._frames(own, self.n_features_in_) if len(own) else []
        learn, held_out = self._split(index, groups)
        balanced = None if self.sampling == "balanced" else self.class_weight
        weight = clip_weights(index, sample_weight, balanced)

        self.standardise_ = self._standardiser([clips[i] for i in learn])
        ready = iter(scaled([take for own in takes for take in own], self.standardise_))
        frames = [[next(ready) for _ in own] for own in takes]
        data = Clips(frames, torch.from_numpy(index), torch.from_numpy(weight).float(), len(self.classes_))
        device = _device(self.device)
        seed = int(np.random.default_rng(self.random_state).integers(2**31))
        with training.reproducible(device):
            training.seed_torch(seed, device)
            self.module_, self.history_, self.interrupted_ = training.train(
                self._network(self.n_features_in_, len(self.classes_)),
                data,
                (learn, held_out),
                self._part(Plan),
                self._part(training.Settings, device=device, dtype=_dtype(self.precision, device)),
                seed,
                name=self.name,
                identity=repr({k: v for k, v in self.get_params().items() if k != "progress"} | {"name": self.name}),
                checkpoint=None if checkpoint is None else Path(checkpoint),
                progress=self.progress,
            )
        return self

    def predict_proba(self, X: Any) -> Float:
        """Softmax of the network in evaluation mode, averaged over segments. -> (n, classes)."""
        check_is_fitted(self, "module_")
        clips = scaled(self._frames(X, self.n_features_in_), self.standardise_)
        cpu = torch.device("cpu")
        with training.reproducible(cpu):
            return training.probabilities(self.module_, clips, self._segment, cpu, torch.float32).numpy()

    def to_onnx(self) -> Any:
        """Scaling, segments, network, softmax, average. (batch, time, dims) or (batch, dims) -> (batch, classes)."""
        check_is_fitted(self, "module_")
        g, dims, classes = GraphBuilder(self.name), self.n_features_in_, len(self.classes_)
        if self.consumes == "functionals":
            x = self.standardise_.add(g, g.input("functionals", ["batch", dims]))
            x = g.op("Unsqueeze", x, g.ints(1))
        else:
            x = g.input("frames", ["batch", "time", dims])
            for _ in range(2 * self._centred):
                # Twice: onnxruntime's sum over thousands of frames rounds, and the second mean is that of the rest.
                x = g.op("Sub", x, g.op("ReduceMean", x, g.ints(1), keepdims=1))
            x = self.standardise_.add(g, x)
        x, count = (x, None) if self._segment is None else add_segments(g, x, self._segment, dims)
        proba = g.op("Softmax", self._add_module(g, x), axis=1)
        if count is not None:
            per_clip = g.op("Reshape", proba, g.op("Concat", g.ints(-1), count, g.ints(classes), axis=0))
            proba = g.op("ReduceMean", per_clip, g.ints(1), keepdims=0)
        g.output(proba, "probabilities", ["batch", classes])
        return g.model()

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Tensors by name: those of ``module_``, and the mean and factor of the scaler."""
        check_is_fitted(self, "module_")
        tensors = {f"module.{name}": tensor.numpy() for name, tensor in self.module_.state_dict().items()}
        scaler = {"scaler.mean": self.standardise_.mean, "scaler.factor": self.standardise_.factor}
        return {name: np.ascontiguousarray(array) for name, array in (tensors | scaler).items()}

    def set_weights(self, weights: dict[str, npt.NDArray[Any]], classes: npt.NDArray[Any]) -> None:
        """Become fitted with what `weights` gave. Raises RuntimeError or KeyError where the network is another."""
        scaler = Standardiser.of(weights["scaler.mean"], weights["scaler.factor"])
        with training.reproducible(torch.device("cpu")):
            module = self._network(len(scaler.mean), len(classes))
        names = [name for name in weights if name.startswith("module.")]
        module.load_state_dict({name.removeprefix("module."): torch.from_numpy(weights[name]) for name in names})
        self.module_, self.standardise_, self.classes_ = module.eval(), scaler, classes
        self.n_features_in_ = len(scaler.mean)
        self.history_, self.interrupted_ = [], False

    def _standardiser(self, clips: list[Frames]) -> Standardiser:
        """The scaler, from the training part; a backend whose network needs its frames as they are overrides it."""
        return Standardiser.of_clips(clips)

    def _add_module(self, g: GraphBuilder, x: str) -> str:
        """The fitted network in evaluation mode as nodes: (batch, time, dims) -> logits (batch, classes)."""
        members = self.module_.members if isinstance(self.module_, Ensemble) else [self.module_]
        logits = [add_network(g, x, member, self.n_features_in_) for member in members]
        if len(logits) == 1:
            return logits[0]
        mean = g.op("Mean", *(g.op("Softmax", each, axis=1) for each in logits))
        return str(g.op("Log", g.op("Max", mean, g.constant([1e-30]))))

    def _network(self, dims: int, classes: int) -> nn.Module:
        """One network, or as many as the ensemble has."""
        if self.ensemble == 1:
            return self._module(dims, classes)
        return Ensemble([self._module(dims, classes) for _ in range(self.ensemble)])

    @property
    def _centred(self) -> bool:
        return self.centre and self.consumes == "frames"

    @property
    def _segment(self) -> int | None:
        return None if self.consumes == "functionals" else self.segment

    def _part(self, kind: Any, **given: Any) -> Any:
        """The settings of one part of training: those of its fields that bear the name of a parameter."""
        names = [field.name for field in fields(kind) if field.name not in given]
        values = {name: getattr(self, name) for name in names}
        if self.consumes == "functionals":
            values |= dict.fromkeys(values.keys() & {"segment", "crop"})
        return kind(**values, **given)

    def _split(self, index: npt.NDArray[np.intp], groups: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Training and validation part; no validation part where it is not wanted or a class has one clip only."""
        everything = np.arange(len(index))
        if self.validation <= 0 or np.bincount(index).min() < 2:
            return everything, everything[:0]
        return speaker_folds(index, groups, max(2, round(1 / self.validation)), self.random_state)[0]

    def _frames(self, X: Any, dims: int | None = None) -> list[Frames]:
        """Clips as (time, dims) float32 with one common dims; functionals are clips of one frame."""
        if self.consumes == "functionals":
            X = [clip[None] if np.ndim(clip) == 1 else clip for clip in X]
        clips = clips_of(X, dims)
        return [Centred(clip, clip.mean(axis=0)) if self._centred else clip for clip in clips]

    def _check_settings(self) -> None:
        for setting, allowed in self.choices.items():
            value = getattr(self, setting)
            if value not in allowed:
                options = ", ".join(map(repr, allowed))
                raise DataError(f"{self.name}: {setting} is one of {options}; it is {value!r}.")
        for setting, (low, high) in _RANGES.items():
            value = getattr(self, setting)
            if value is None and setting in ("crop", "segment"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not low <= value <= high:
                raise DataError(f"{self.name}: {setting} lies between {low} and {high}; it is {value!r}.")


_MANY = 10**9
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, _MANY), "batch_size": (1, _MANY), "lr": (0, 10), "weight_decay": (0, 10), "warmup": (0, 1),
    "plateau_factor": (0, 1), "plateau_patience": (0, _MANY), "clip_norm": (1e-9, _MANY), "average": (0, 0.99999),
    "validation": (0, 0.5), "patience": (1, _MANY), "focal_gamma": (0, 10), "label_smoothing": (0, 0.99),
    "crop": (10, _MANY), "segment": (10, _MANY), "ensemble": (1, 100), "mask_time": (0, _MANY),
    "mask_dims": (0, _MANY), "mixup": (0, 100),
}  # fmt: skip


def _device(name: str) -> torch.device:
    if name == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DataError(
            f"The device '{name}' is not there ({str(error).splitlines()[0]}); take 'auto' or 'cpu'."
        ) from None
    return device


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    dtype: torch.dtype = getattr(torch, precision)
    return dtype
