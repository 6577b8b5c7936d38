"""What backends over frames share: one training loop for any torch module that reads padded, masked batches."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import recall_score
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from tqdm import tqdm

from featkit.backend import Backend, Float, clip_weights, speaker_folds
from featkit.errors import FeatureError
from featkit.graph import GraphBuilder
from featkit_backends.standardise import Standardiser

_PREDICT_BATCH = 32


class FramesBackend(Backend):
    """Base of backends that train a torch module on lists of (time, dims) frames.

    Subclasses write ``_module`` (the network) and ``_add_module`` (the same network as ONNX nodes).

    Parameters
    ----------
    epochs
        Most passes over the training clips.
    batch_size
        Clips per step, two at least.
    lr
        Learning rate of AdamW. 1e-3 suits small networks trained from nothing; tutorials often give 1e-4.
    weight_decay
        AdamW's decay.
    plateau_factor, plateau_patience
        The learning rate is multiplied by the factor after so many epochs without a lower validation loss.
    patience
        Training stops after so many epochs without a better validation UA; the best weights are restored.
    validation
        Share of the training clips held out for that, by speaker where speakers are known. 0 trains all epochs and
        keeps the last.
    class_weight
        "balanced" weighs the loss of each class by the inverse of its frequency; None does not.
    random_state
        Seed of initial weights, order, dropout and validation part. Equal seeds give equal weights on one CPU.
    progress
        Show a bar with loss and UA.
    """

    consumes: ClassVar[Any] = "frames"

    def __init__(
        self,
        epochs: int = 60,
        batch_size: int = 32,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        plateau_factor: float = 0.7,
        plateau_patience: int = 3,
        patience: int = 15,
        validation: float = 0.2,
        class_weight: Literal["balanced"] | None = "balanced",
        random_state: int | None = 0,
        progress: bool = False,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.plateau_factor = plateau_factor
        self.plateau_patience = plateau_patience
        self.patience = patience
        self.validation = validation
        self.class_weight = class_weight
        self.random_state = random_state
        self.progress = progress

    @abstractmethod
    def _module(self, dims: int, classes: int) -> nn.Module:
        """The network: forward(x (batch, time, dims), lengths (batch,)) -> logits (batch, classes)."""

    @abstractmethod
    def _add_module(self, g: GraphBuilder, x: str) -> str:
        """The fitted ``module_`` in evaluation mode as nodes: (batch, time, dims) -> logits (batch, classes)."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn from a list of (time, dims) frames. See `featkit.backend.Backend.fit`."""
        clips = _check_frames(X)
        self.classes_, index = np.unique(np.asarray(y), return_inverse=True)
        self.n_features_in_ = clips[0].shape[1]
        train, held_out = self._split(index, groups)
        weight = clip_weights(index, sample_weight, self.class_weight)

        self.standardise_ = Standardiser(np.concatenate([clips[i] for i in train]))
        tensors = [torch.from_numpy(self.standardise_(clip)) for clip in clips]
        data = _Clips(tensors, torch.from_numpy(index), torch.from_numpy(weight).float())
        with _one_thread(), torch.random.fork_rng(devices=[]):  # the caller's random state is left as it was
            # Not torch.manual_seed, which would also seed every GPU and not give that back.
            torch.default_generator.manual_seed(int(np.random.default_rng(self.random_state).integers(2**31)))
            self.module_ = self._module(self.n_features_in_, len(self.classes_))
            self._train(data, train, held_out)
        return self

    def predict_proba(self, X: Any) -> Float:
        """Softmax of the network in evaluation mode. A list of n arrays (time, dims) -> (n, classes)."""
        check_is_fitted(self, "module_")
        clips = _check_frames(X, self.n_features_in_)
        tensors = [torch.from_numpy(self.standardise_(clip)) for clip in clips]
        with _one_thread():
            return torch.softmax(self._logits(tensors), dim=1).numpy()

    def to_onnx(self) -> Any:
        """Standardisation and network. (batch, time, dims) -> (batch, classes)."""
        g = GraphBuilder(self.name)
        frames = g.input("frames", ["batch", "time", self.n_features_in_])
        logits = self._add_module(g, self.standardise_.add(g, frames))
        g.output(g.op("Softmax", logits, axis=1), "probabilities", ["batch", len(self.classes_)])
        return g.model()

    def _split(self, index: npt.NDArray[np.intp], groups: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Training and validation part; no validation part where it is not wanted or a class has one clip only."""
        everything = np.arange(len(index))
        if self.validation <= 0 or np.bincount(index).min() < 2:
            return everything, everything[:0]
        return speaker_folds(index, groups, max(2, round(1 / self.validation)), self.random_state)[0]

    def _train(self, data: _Clips, train: npt.NDArray[Any], held_out: npt.NDArray[Any]) -> None:
        optimiser = torch.optim.AdamW(self.module_.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser, factor=self.plateau_factor, patience=self.plateau_patience
        )
        self.history_: list[dict[str, float]] = []
        best: tuple[float, float] = (-1.0, 0.0)
        best_state, best_epoch = None, 0
        bar = tqdm(range(self.epochs), desc=self.name, unit="epoch", disable=not self.progress, leave=False)
        for epoch in bar:
            row = {"epoch": float(epoch), "lr": optimiser.param_groups[0]["lr"]}
            row["loss"] = self._epoch(data, train, optimiser)
            if len(held_out):
                row["validation_loss"], row["validation_ua"] = self._validate(data, held_out)
            self.history_.append(row)
            bar.set_postfix({k: f"{v:.3f}" for k, v in row.items() if "loss" in k or "ua" in k})
            schedule.step(row.get("validation_loss", row["loss"]))
            if not len(held_out):
                continue  # nothing to choose an epoch by
            score = (row["validation_ua"], -row["validation_loss"])
            if score > best:
                best, best_epoch, best_state = score, epoch, copy.deepcopy(self.module_.state_dict())
            elif epoch - best_epoch >= self.patience:
                break
        if best_state is not None:
            self.module_.load_state_dict(best_state)
        self.module_.eval()

    def _epoch(self, data: _Clips, train: npt.NDArray[Any], optimiser: torch.optim.Optimizer) -> float:
        self.module_.train()
        total = weights = 0.0
        for batch in _batches(data, train, self.batch_size):
            x, lengths = _pad([data.frames[i] for i in batch])
            losses = nn.functional.cross_entropy(self.module_(x, lengths), data.index[batch], reduction="none")
            weight = data.weight[batch]
            loss = (losses * weight).sum() / weight.sum().clamp(min=1e-12)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.module_.parameters(), 5.0)
            optimiser.step()
            total += float(loss.detach()) * float(weight.sum())
            weights += float(weight.sum())
        return total / max(weights, 1e-12)

    def _validate(self, data: _Clips, held_out: npt.NDArray[Any]) -> tuple[float, float]:
        """Loss and UA on the validation part."""
        logits = self._logits([data.frames[i] for i in held_out])
        index, weight = data.index[held_out], data.weight[held_out]
        losses = nn.functional.cross_entropy(logits, index, reduction="none")
        ua = recall_score(index, logits.argmax(1), average="macro", labels=np.unique(index), zero_division=0)
        return float((losses * weight).sum() / weight.sum()), float(ua)

    def _logits(self, tensors: Sequence[Tensor]) -> Tensor:
        """Evaluation mode: no dropout, stored batch statistics. Clips of like length share a batch."""
        self.module_.eval()
        order = sorted(range(len(tensors)), key=lambda i: len(tensors[i]))
        logits = torch.empty(len(tensors), len(self.classes_))
        with torch.inference_mode():
            for start in range(0, len(order), _PREDICT_BATCH):
                batch = order[start : start + _PREDICT_BATCH]
                logits[batch] = self.module_(*_pad([tensors[i] for i in batch]))
        return logits


class _Clips:
    """Training data: frames, label index and weight of each clip."""

    def __init__(self, frames: list[Tensor], index: Tensor, weight: Tensor) -> None:
        self.frames, self.index, self.weight = frames, index, weight


@contextmanager
def _one_thread() -> Iterator[None]:
    """Networks this small lose time on several threads, and with one the weights do not depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def mask(lengths: Tensor, time: int) -> Tensor:
    """True where a frame is real. (batch,) -> (batch, time)."""
    return torch.arange(time, device=lengths.device) < lengths[:, None]


def _pad(clips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Clips (time, dims) -> zero-padded (batch, longest, dims) and lengths (batch,)."""
    return nn.utils.rnn.pad_sequence(list(clips), batch_first=True), torch.tensor([len(clip) for clip in clips])


def _batches(data: _Clips, train: npt.NDArray[Any], size: int) -> Iterator[npt.NDArray[Any]]:
    """Random batches of clips of like length: little is padding. None is one clip alone: batch norm needs two."""
    order = torch.from_numpy(train)[torch.randperm(len(train))].tolist()
    size = max(size, 2)
    pool = 8 * size
    batches = []
    for start in range(0, len(order), pool):
        near = sorted(order[start : start + pool], key=lambda i: len(data.frames[i]))
        batches += [near[i : i + size] for i in range(0, len(near), size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2] += batches.pop()
    for i in torch.randperm(len(batches)).tolist():
        yield np.asarray(batches[i])


def _check_frames(X: Any, dims: int | None = None) -> list[Float]:
    """A list of (time, dims) float32 arrays with one common dims."""
    clips = [np.ascontiguousarray(clip, dtype=np.float32) for clip in X]
    if not clips:
        raise FeatureError("There are no clips to learn from or to predict.")
    want = clips[0].shape[-1] if dims is None else dims
    for i, clip in enumerate(clips):
        if clip.ndim != 2 or clip.shape[1] != want or not len(clip):
            raise FeatureError(f"Clip {i} has frames of shape {clip.shape}; they must be (time, {want}).")
        if not np.isfinite(clip).all():
            raise FeatureError(f"Clip {i} has frames that are not finite; drop it.")
    return clips
