"""The examples are all listed; the example package is small, installs, and works as our own plug-ins do."""

from __future__ import annotations

import os
import re
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


ROW = re.compile(r"^\| \[\S+\]\((\S+)\) \| .* \| `(.*)` \|$", re.MULTILINE)


def test_the_table_lists_every_example() -> None:
    listed = {name for name, _ in ROW.findall((EXAMPLES / "README.md").read_text(encoding="utf-8"))}
    files = [path.name for path in EXAMPLES.iterdir() if path.name not in ("README.md", "notebooks", "__pycache__")]
    notebooks = [f"notebooks/{path.name}" for path in (EXAMPLES / "notebooks").glob("*.ipynb")]
    assert listed == {*files, *notebooks}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_begins_with_the_command_of_the_table_and_fits_on_a_screen(path: Path) -> None:
    commands = dict(ROW.findall((EXAMPLES / "README.md").read_text(encoding="utf-8")))
    docstring = path.read_text(encoding="utf-8").split('"""')[1]
    assert commands[path.name] in docstring
    assert path.read_text(encoding="utf-8").count("\n") <= 80


def test_the_table_says_what_each_example_prints() -> None:
    rows = [
        line for line in (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| [")
    ]
    assert {row.count(" | ") for row in rows} == {3}


def test_it_is_said_why_telemetry_is_off() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in (EXAMPLES / "onnxruntime_only.py", EXAMPLES / "node" / "predict.mjs"):
        assert "ORT_DISABLE_TELEMETRY" in path.read_text(encoding="utf-8")
    assert re.search(r"`ORT_DISABLE_TELEMETRY=1`.*because onnxruntime", text, re.DOTALL)


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
