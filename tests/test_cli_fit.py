"""`featkit fit` with the network of a stranger, with a training that fails, and with every protocol."""

from __future__ import annotations

import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from featkit_backends.svm import SVM
from speech import write_manifest

from featkit import SERClassifier, plugins
from featkit.cli import cli
from featkit.errors import DataError


def fit(*words: object) -> Result:
    return CliRunner().invoke(cli, ["fit", *map(str, words)], prog_name="featkit")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("corpus"))


class Steps(SVM):
    """A stranger's network, which has of ours what the contract promises: a checkpoint; no bar, no history."""

    name = "steps"

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, checkpoint: Any = None) -> Steps:
        if checkpoint is not None:
            Path(checkpoint).write_text("one step")
        super().fit(X, y, sample_weight, groups)
        return self


@pytest.fixture
def _strange(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of a stranger is installed."""
    found, one = plugins.installed, {"steps": EntryPoint("steps", f"{__name__}:Steps", "featkit.backends")}
    monkeypatch.setattr(plugins, "installed", lambda kind: {**found(kind), **(one if kind == "backends" else {})})


@pytest.mark.usefixtures("_strange")
def test_the_network_of_a_stranger_is_trained(manifest: Path, tmp_path: Path) -> None:
    words = ("--data", manifest, "--backend", "steps", "-o", tmp_path / "a.onnx")
    done = fit(*words)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "a.onnx"]
    done = fit(*words, "--history", tmp_path / "h.csv")
    told = f"Error: {tmp_path}/h.csv: cannot be written, for steps keeps no history; the model is.\n"
    assert (done.exit_code, done.stderr) == (1, told)


def test_warnings_of_a_training_that_fails_are_told(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **more: Any) -> None:
        warnings.warn("the loss is odd", UserWarning, stacklevel=1)
        raise DataError("it fails.")

    monkeypatch.setattr(SERClassifier, "fit", fail)
    failed = fit("--data", manifest, "-o", tmp_path / "a.onnx")
    assert (failed.exit_code, failed.stderr) == (1, "Warning: the loss is odd\nError: it fails.\n")


@pytest.mark.parametrize(
    ("cv", "told"),
    [
        ("both", "4 folds of 4 speakers × 2 of 2 sentences, both unheard"),
        ("test:s0,s1", "test speakers s0, s1, learned from 2 others"),
        ("loso", "leave one of 4 speakers out"),
    ],
)
def test_fit_evaluates_by_every_protocol(manifest: Path, tmp_path: Path, cv: str, told: str) -> None:
    done = fit("--data", manifest, "--evaluate", "--cv", cv, "-o", tmp_path / "a.onnx")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"clips.csv, {told}: WA ")


def test_what_is_no_protocol_is_told_with_all_that_are(manifest: Path, tmp_path: Path) -> None:
    refused = fit("--data", manifest, "--evaluate", "--cv", "often", "-o", tmp_path / "a.onnx")
    assert (refused.exit_code, "Invalid value for '--cv'" in refused.stderr) == (2, True)
