"""The training loop: optimiser, schedule, validation, checkpoints, a bar to watch."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import math
import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import recall_score
from torch import Tensor, nn
from tqdm import tqdm

from featkit.errors import DataError
from featkit_backends import losses
from featkit_backends.batches import Clips, Plan, Take, batches, pad, segments

_PREDICT_BATCH = 32
_FORMAT = 1


class InterruptedTraining(UserWarning):
    """Training was stopped by Ctrl-C; the best weights so far are kept."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained. The fields are those of `NeuralBackend`."""

    epochs: int
    lr: float
    weight_decay: float
    schedule: str
    warmup: float
    plateau_factor: float
    plateau_patience: int
    clip_norm: float
    average: float
    patience: int
    focal_gamma: float
    segment: int | None
    device: torch.device
    dtype: torch.dtype


class Run:
    """One training run: everything that changes from epoch to epoch, so that a checkpoint is this and nothing else."""

    def __init__(self, module: nn.Module, settings: Settings, steps: int) -> None:
        self.module = module.to(settings.device)
        self.average = copy.deepcopy(self.module) if settings.average else self.module
        self.settings = settings
        self.optimiser = torch.optim.AdamW(parameter_groups(module, settings.weight_decay), lr=settings.lr)
        # bfloat16 has the range of float32; float16 does not, so its gradients are scaled.
        self.scaler = torch.amp.GradScaler(settings.device.type, enabled=settings.dtype == torch.float16)
        self.schedule: Any = None
        if settings.schedule == "plateau":
            self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
                self.optimiser, factor=settings.plateau_factor, patience=settings.plateau_patience
            )
        elif settings.schedule == "cosine":
            self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, _cosine(settings.warmup * steps, steps))
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] | None = None
        self.best_epoch = 0
        self.best_score: tuple[float, float] = (-1.0, 0.0)
        self.steps = 0

    def step(self, x: Tensor, lengths: Tensor, targets: Tensor) -> float:
        """One batch. -> loss."""
        device = self.settings.device
        x, lengths, targets = x.to(device), lengths.to(device), targets.to(device)
        with _autocast(self.settings):
            logits = self.module(x, lengths)
        # An ensemble answers member by member; each learns the same targets.
        targets = targets.repeat(len(logits) // len(targets), 1)
        value = losses.loss(logits.float(), targets, self.settings.focal_gamma)
        self.optimiser.zero_grad()
        self.scaler.scale(value).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.steps += 1
        if self.settings.schedule == "cosine":
            self.schedule.step()
        if self.average is not self.module:
            self._follow()
        return float(value.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the running average of the weights; at first it forgets faster, or it would remember the start."""
        share = 1 - min(self.settings.average, self.steps / (self.steps + 10))
        for mean, value in zip(self.average.state_dict().values(), self.module.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    def state(self) -> dict[str, Any]:
        """All of it, as tensors and plain values."""
        return {
            "module": self.module.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else {},
            "history": self.history,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
            "steps": self.steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.module.load_state_dict(state["module"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        self.history, self.best = state["history"], state["best"]
        self.best_epoch, self.best_score = state["best_epoch"], tuple(state["best_score"])
        self.steps = state["steps"]


def train(
    module: nn.Module,
    clips: Clips,
    parts: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    plan: Plan,
    settings: Settings,
    seed: int,
    *,
    name: str,
    identity: str,
    checkpoint: Path | None,
    progress: bool,
) -> tuple[nn.Module, list[dict[str, float]], bool]:
    """Train on the first of ``parts``, choose the epoch on the second. -> module, history, whether it was interrupted.

    ``identity`` names all settings: a checkpoint of others is refused.

    Every epoch draws from generators seeded by (seed, epoch), so a run that goes on from a checkpoint does what it
    would have done uninterrupted.
    """
    learn, held_out = parts
    per_epoch = max(1, math.ceil(len(learn) / max(plan.batch_size, 2)))
    run = Run(module, settings, settings.epochs * per_epoch)
    key = _key(clips, parts, seed, identity) if checkpoint else ""
    if checkpoint and checkpoint.exists():
        _restore(run, checkpoint, key)
    interrupted = False
    bar = tqdm(
        total=settings.epochs, initial=len(run.history), desc=name, unit="epoch", disable=not progress, leave=False
    )
    with bar, _postponed_interrupt() as interrupt:
        while len(run.history) < settings.epochs and not _patience_ended(run, held_out):
            row = _epoch(run, clips, learn, held_out, plan, seed, interrupt)
            if row is None:
                interrupted = True
                break
            run.history.append(row)
            _remember(run, row, held_out)
            if checkpoint:
                _write(checkpoint, {"format": _FORMAT, "key": key, "state": run.state()})
            bar.set_postfix({k: f"{v:.3f}" for k, v in row.items() if "loss" in k or "ua" in k}, refresh=False)
            bar.update()
    if interrupted:
        if not run.history:
            raise KeyboardInterrupt
        kept = f"epoch {run.best_epoch + 1}" if run.best is not None else f"the last, {len(run.history)}"
        hint = f" To go on, fit again with --resume (in Python, checkpoint='{checkpoint}')." if checkpoint else ""
        warnings.warn(
            f"{name}: stopped by Ctrl-C after {len(run.history)} of {settings.epochs} epochs; the weights of {kept}, "
            f"are kept.{hint}",
            InterruptedTraining,
            stacklevel=4,
        )
    trained = run.average
    if run.best is not None:
        trained.load_state_dict(run.best)
    return trained.to("cpu").eval(), run.history, interrupted


def logits_of(
    module: nn.Module, clips: Sequence[Take], segment: int | None, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[int, Tensor]]:
    """Run in evaluation mode: no dropout, stored batch statistics. Yields the number of a clip and (segments, classes).

    Segments of like length share a batch of at most 32, so that a clip of ten minutes takes no more memory than others.
    """
    module.eval()
    cuts = [segments(len(clip), segment) for clip in clips]
    order = sorted(range(len(clips)), key=lambda i: cuts[i][1])
    pieces = [(i, start) for i in order for start in cuts[i][0]]
    rows: dict[int, list[Tensor]] = {}
    for first in range(0, len(pieces), _PREDICT_BATCH):
        batch = pieces[first : first + _PREDICT_BATCH]
        x, lengths = pad([clips[i][start : start + cuts[i][1]] for i, start in batch])
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = module(x.to(device), lengths.to(device)).float().cpu()
        for (i, _), row in zip(batch, logits, strict=True):
            rows.setdefault(i, []).append(row)
            if len(rows[i]) == len(cuts[i][0]):
                yield i, torch.stack(rows.pop(i))


def probabilities(
    module: nn.Module, clips: Sequence[Take], segment: int | None, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Softmax of every segment, averaged over the segments of a clip. -> (n, classes)."""
    found = {i: torch.softmax(rows, 1).mean(0) for i, rows in logits_of(module, clips, segment, device, dtype)}
    return torch.stack([found[i] for i in range(len(clips))])


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """One thread, and the caller's random state left as it was.

    Networks this small lose time on several threads, and with one the weights do not depend on their number.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_num_threads(threads)


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed the generators that weights and dropout draw from. Not torch.manual_seed, which would seed every GPU."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def _epoch(
    run: Run,
    clips: Clips,
    learn: npt.NDArray[np.intp],
    held_out: npt.NDArray[np.intp],
    plan: Plan,
    seed: int,
    interrupt: list[int],
) -> dict[str, float] | None:
    """Train one epoch and validate; None where Ctrl-C came."""
    epoch, settings = len(run.history), run.settings
    rng = np.random.default_rng([seed, epoch])
    seed_torch(int(rng.integers(2**31)), settings.device)
    row = {"epoch": float(epoch + 1), "lr": run.optimiser.param_groups[0]["lr"]}
    run.module.train()
    total = weights = 0.0
    for x, lengths, targets in batches(clips, learn, plan, rng):
        weight = float(targets.sum())
        total += run.step(x, lengths, targets) * weight
        weights += weight
        if interrupt:
            return None
    row["loss"] = total / max(weights, 1e-12)
    if len(held_out):
        row["validation_loss"], row["validation_ua"] = _validate(run, clips, held_out)
    if settings.schedule == "plateau":
        run.schedule.step(row.get("validation_loss", row["loss"]))
    return row


def _validate(run: Run, clips: Clips, held_out: npt.NDArray[np.intp]) -> tuple[float, float]:
    """Loss and UA of the original clips of the validation part: never of copies."""
    originals = [clips.frames[i][0] for i in held_out]
    proba = probabilities(run.average, originals, run.settings.segment, run.settings.device, run.settings.dtype)
    index, weight = clips.index[held_out], clips.weight[held_out]
    log_loss = -proba.clamp(min=1e-12).log()[torch.arange(len(index)), index]
    ua = recall_score(index, proba.argmax(1), average="macro", labels=np.unique(index), zero_division=0)
    return float((log_loss * weight).sum() / weight.sum()), float(ua)


def _remember(run: Run, row: dict[str, float], held_out: npt.NDArray[np.intp]) -> None:
    if not len(held_out):
        return  # nothing to choose an epoch by
    score = (row["validation_ua"], -row["validation_loss"])
    if score > run.best_score:
        run.best_score, run.best_epoch = score, len(run.history) - 1
        run.best = copy.deepcopy(run.average.state_dict())


def _patience_ended(run: Run, held_out: npt.NDArray[np.intp]) -> bool:
    return bool(len(held_out)) and len(run.history) - 1 - run.best_epoch >= run.settings.patience


def parameter_groups(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and the factors of norms do not.

    A module with a method ``parameter_groups(decay)`` answers itself, as where a part has a learning rate of its own.
    """
    own = getattr(module, "parameter_groups", None)
    if own is not None:
        groups: list[dict[str, Any]] = own(decay)
        return groups
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _cosine(warmup: float, steps: int) -> Any:
    """Factor of the learning rate at a step: a straight line up, then half a cosine down to 1 %."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = min(1.0, (step - warmup) / max(1.0, steps - warmup))
        return 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2

    return factor


def _autocast(settings: Settings) -> Any:
    return torch.autocast(settings.device.type, settings.dtype, enabled=settings.dtype != torch.float32)


@contextmanager
def _postponed_interrupt() -> Iterator[list[int]]:
    """Ctrl-C fills the list instead of tearing a step apart; a second one interrupts at once."""
    caught: list[int] = []

    def note(number: int, frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread, where no signal arrives
        yield caught
        return
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, before)


def _key(clips: Clips, parts: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], seed: int, identity: str) -> str:
    """Hash of all that decides a run: a checkpoint of other clips or settings is not gone on from."""
    h = hashlib.blake2b(digest_size=16)
    h.update(repr((identity, seed, torch.__version__)).encode())
    for part in parts:
        h.update(part.tobytes())
    h.update(clips.index.numpy().tobytes() + clips.weight.numpy().tobytes())
    for takes in clips.frames:
        for take in takes:
            h.update(take[:].numpy().tobytes())
    return h.hexdigest()


def _write(path: Path, content: dict[str, Any]) -> None:
    """Replace the checkpoint as a whole: one that was killed half-way leaves the last one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")  # one name: what a killed run left is written over
    try:
        with draft.open("wb") as stream:
            torch.save(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _restore(run: Run, path: Path, key: str) -> None:
    try:
        written = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    try:
        # weights_only: tensors and plain values, no code.
        content = torch.load(written, map_location=run.settings.device, weights_only=True)
        if content["format"] == _FORMAT and content["key"] == key:
            run.restore(content["state"])
            return
    except Exception as error:  # torch's errors for damaged files have no common base class
        raise DataError(f"{path}: is no whole checkpoint ({type(error).__name__}); delete it to begin anew.") from None
    raise DataError(
        f"{path}: is the checkpoint of another run: other clips, settings or versions. Delete it to begin anew, or go "
        "on with what it was made with."
    )
