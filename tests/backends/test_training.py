"""Long runs: killed and gone on with, interrupted, with damaged checkpoints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from featkit_backends import training
from featkit_backends.training import InterruptedTraining
from speech import fitted, inputs, small, speech

from featkit.errors import DataError

SETTINGS: dict[str, Any] = {"epochs": 6, "mixup": 0.3, "mask_time": 8, "average": 0.9, "validation": 0.25}


def run(checkpoint: Path | None, **settings: Any) -> Any:
    backend = small("cnn_lstm", **(SETTINGS | settings))
    copies = [[clip * 0.9, clip * 1.1] for clip in inputs("frames")]
    return backend.fit(
        inputs("frames"), speech().labels, groups=speech().speakers, copies=copies, checkpoint=checkpoint
    )


class Stopped(Exception):  # noqa: N818 - it is no error
    pass


def stopped_after(monkeypatch: pytest.MonkeyPatch, n: int, checkpoint: Path, **settings: Any) -> None:
    """Leave a checkpoint as a process does that dies right after an epoch."""
    write, written = training._write, []

    def write_and_die(path: Path, content: Any) -> None:
        write(path, content)
        written.append(path)
        if len(written) == n:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(training, "_write", write_and_die)
        with pytest.raises(Stopped):
            run(checkpoint, **settings)


def assert_equal_runs(a: Any, b: Any) -> None:
    assert a.history_ == b.history_
    for name, tensor in a.weights().items():
        np.testing.assert_array_equal(tensor, b.weights()[name])


@pytest.mark.parametrize("epochs", [1, 3, 6])
@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_run_that_goes_on_ends_as_an_uninterrupted_one(
    epochs: int, schedule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run.checkpoint"
    stopped_after(monkeypatch, epochs, checkpoint, schedule=schedule)
    assert_equal_runs(run(checkpoint, schedule=schedule), run(None, schedule=schedule))


def test_early_stopping_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"patience": 2, "epochs": 30, "lr": 0.0, "average": 0.0}
    checkpoint = tmp_path / "run.checkpoint"
    stopped_after(monkeypatch, 2, checkpoint, **settings)
    again = run(checkpoint, **settings)
    assert len(again.history_) < 30
    assert_equal_runs(again, run(None, **settings))


PROGRAM = """
import sys
sys.path[:0] = sys.argv[2:]
from test_training import run
from pathlib import Path
run(Path(sys.argv[1]), epochs=400, patience=400)
"""


def test_a_killed_process_is_gone_on_with(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.checkpoint"
    here = Path(__file__).parent
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(checkpoint), str(here), str(here.parent)])
    try:
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)  # somewhere in a later epoch, or in the writing of its checkpoint
    finally:
        process.kill()
        process.wait()
    done = len(training.torch.load(checkpoint, weights_only=True)["state"]["history"])
    assert 0 < done < 400
    settings = {"epochs": 400, "patience": 400}
    again = small("cnn_lstm", **(SETTINGS | settings))
    copies = [[clip * 0.9, clip * 1.1] for clip in inputs("frames")]
    # Two epochs more are enough to see that nothing of the state is lost.
    rows = []
    epoch = training._epoch

    def few(*args: Any) -> Any:
        row = epoch(*args)
        rows.append(row)
        if len(args[0].history) >= done + 1:
            raise Stopped
        return row

    whole: list[Any] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "_epoch", few)
        for target, file in ((None, checkpoint), (whole, None)):
            rows.clear()
            with pytest.raises(Stopped):
                again.fit(inputs("frames"), speech().labels, groups=speech().speakers, copies=copies, checkpoint=file)
            if target is None:
                resumed = list(rows)
            else:
                whole += rows
    assert len(resumed) == 2
    assert whole[done:] == resumed


def test_ctrl_c_keeps_the_best_epoch_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, steps = training.Run.step, []

    def press(self: Any, *args: Any) -> float:
        steps.append(None)
        if len(self.history) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *args)

    before = signal.getsignal(signal.SIGINT)
    checkpoint = tmp_path / "run.checkpoint"
    with monkeypatch.context() as patched:
        patched.setattr(training.Run, "step", press)
        with pytest.warns(
            InterruptedTraining, match=r"stopped by Ctrl-C after 3 of 6 epochs; the weights of epoch \d.*run.checkpoint"
        ):
            stopped = run(checkpoint)
    assert stopped.interrupted_
    assert len(stopped.history_) == 3
    assert np.isfinite(stopped.predict_proba(inputs("frames"))).all()
    assert signal.getsignal(signal.SIGINT) is before
    assert_equal_runs(run(checkpoint), run(None))


def test_ctrl_c_in_the_first_epoch_has_nothing_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    step = training.Run.step

    def press(self: Any, *args: Any) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        return step(self, *args)

    monkeypatch.setattr(training.Run, "step", press)
    with pytest.raises(KeyboardInterrupt):
        run(None)


@pytest.mark.parametrize("damage", ["empty", "half", "text", "pickle"])
def test_a_damaged_checkpoint_is_refused(damage: str, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.checkpoint"
    run(checkpoint, epochs=1)
    content = checkpoint.read_bytes()
    import pickle

    damaged = {"empty": b"", "half": content[: len(content) // 2], "text": b"hello", "pickle": pickle.dumps(Stopped)}
    checkpoint.write_bytes(damaged[damage])
    with pytest.raises(DataError, match=r"run\.checkpoint: is no whole checkpoint \(\w+\); delete it to begin anew"):
        run(checkpoint)


@pytest.mark.parametrize(
    "change", [{"lr": 0.004}, {"mixup": 0.2}, {"random_state": 1}, {"channels": (8, 16)}, {"dropout": 0.3}]
)
def test_a_checkpoint_of_other_settings_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.checkpoint"
    run(checkpoint, epochs=1)
    with pytest.raises(DataError, match="is the checkpoint of another run: other clips, settings or versions"):
        run(checkpoint, epochs=1, **change)


def test_a_checkpoint_of_other_clips_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.checkpoint"
    run(checkpoint, epochs=1)
    X = [*inputs("frames")[:-1], inputs("frames")[-1] + 1e-3]
    with pytest.raises(DataError, match="is the checkpoint of another run: other clips, settings or versions"):
        small("cnn_lstm", **(SETTINGS | {"epochs": 1})).fit(X, speech().labels, checkpoint=checkpoint)


def test_nothing_else_is_left_beside_the_checkpoint(tmp_path: Path) -> None:
    run(tmp_path / "run.checkpoint", epochs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint"]


def test_a_backend_without_epochs_has_no_history() -> None:
    with pytest.raises(AttributeError, match="svm does not train in epochs, so it has no history"):
        _ = fitted().history_
