"""The example package is small, installs, and works with everything as our own plug-ins do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

USE = """
import numpy as np
from featkit import SERClassifier, load

rng = np.random.default_rng(0)
X = [rng.normal(0, level, 16_000).astype(np.float32) for level in (0.01, 0.2) * 8]
y = ["calm", "anger"] * 8
for features, backend in [("energy", "svm"), ("mfcc39", "logistic"), ("energy+mfcc39", "logistic"),
                          ("energy", "cnn_lstm:epochs=2")]:
    clf = SERClassifier(features, backend).fit(X, y)
    clf.export("model.onnx")
    np.testing.assert_allclose(load("model.onnx").predict_proba(X), clf.predict_proba(X), atol=1e-4)
    print(features, backend, *load("model.onnx").inputs)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed by pip into a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(target), str(EXAMPLES / "plugin")], check=True, timeout=120
    )
    return target


def test_the_example_package_has_under_40_lines_of_python() -> None:
    assert len((EXAMPLES / "plugin" / "featkit_energy.py").read_text().splitlines()) < 40


def test_an_installed_plug_in_works_with_our_sets_and_backends(site: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "energy svm functionals",
        "mfcc39 logistic wave",
        "energy+mfcc39 logistic functionals",
        "energy cnn_lstm:epochs=2 frames",
    ]


def test_an_installed_plug_in_is_listed(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "featkit", "list"],
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "  energy        Power of every 10 ms\n" in done.stdout
    assert "  logistic      Logistic regression\n" in done.stdout
