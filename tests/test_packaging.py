"""What is shipped, what the extras are called everywhere, and what a shell completes."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from featkit import plugins

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(PROJECT["optional-dependencies"])
FOR_DEVELOPERS = {"all", "test"}


def shipped(builder: str) -> set[str]:
    """Paths inside a distribution, as hatchling chooses them."""
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    build = {"wheel": WheelBuilder, "sdist": SdistBuilder}[builder](str(ROOT))
    return {Path(file.distribution_path).as_posix() for file in build.recurse_included_files()}


def test_the_wheel_holds_both_packages_with_types_and_pages_and_nothing_else():
    files = shipped("wheel")
    assert {file.partition("/")[0] for file in files} == {"featkit", "featkit_backends"}
    sources = [ROOT / "featkit", ROOT / "backends" / "featkit_backends"]
    wanted = {
        path.relative_to(source.parent).as_posix()
        for source in sources
        for path in source.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert files == wanted
    assert {"featkit/py.typed", "featkit_backends/py.typed", "featkit/serve/static/index.html"} <= files
    assert "featkit/deploy/static/worker.js" in files


def test_the_source_distribution_holds_what_is_needed_to_build_test_and_read_it():
    files = shipped("sdist")
    assert {"LICENSE", "README.md", "pyproject.toml", "constraints.txt", "Makefile", "tests/test_packaging.py"} <= files
    assert {"docs/quickstart.md", "examples/plugin/pyproject.toml", "benchmarks/extras.py"} <= files
    assert not [file for file in files if re.search(r"(^|/)(\.venv|build|dist|__pycache__|\.hypothesis)", file)]


def test_every_pip_line_names_an_extra_that_there_is():
    assert set(plugins._EXTRAS.values()) <= EXTRAS - FOR_DEVELOPERS


def test_the_readme_tells_of_every_extra():
    told = re.findall(r"^\| `(\w+)` \| .* \| .* \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(told) >= EXTRAS - FOR_DEVELOPERS


def test_every_extra_is_put_to_work_before_a_release():
    tree = ast.parse((ROOT / "benchmarks" / "extras.py").read_text(encoding="utf-8"))
    names = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    assert {ast.literal_eval(key) for key in names["EXTRAS"].keys} == EXTRAS - FOR_DEVELOPERS


def test_the_citation_and_the_package_have_one_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {PROJECT['version']}\n" in citation


# Shell completion


def completed(line: str, shell: str = "bash") -> list[str]:
    """What a shell is given to offer for the last word of a line."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_FEATKIT_COMPLETE": f"{shell}_complete"}
    if shell == "fish":
        asked["COMP_CWORD"] = words[-1]
    done = subprocess.run(
        [sys.executable, "-m", "featkit"], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("featkit eva", ["plain,evaluate"]),
        ("featkit fit --backend cnn", ["plain,cnn_lstm"]),
        ("featkit fit --set mfc", ["plain,mfcc39"]),
        ("featkit extract --set egemaps+mfc", ["plain,egemaps+mfcc39"]),
        ("featkit evaluate --data emod", ["plain,emodb"]),
        ("featkit evaluate --data ./clips", ["file,./clips"]),
        ("featkit data info emod", ["plain,emodb"]),
        ("featkit export --to ort", ["plain,ort"]),
        ("featkit predict mod", ["file,mod"]),
    ],
)
def test_names_are_completed(line, offered):
    assert completed(line) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_script_and_its_answers(shell):
    code = "from featkit.cli import main; main()"
    asked = {**os.environ, "_FEATKIT_COMPLETE": f"{shell}_source"}
    script = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True, text=True, check=True).stdout
    assert "_FEATKIT_COMPLETE" in script
    assert any("emodb" in word for word in completed("featkit evaluate --data emod", shell))


def test_completion_imports_nothing_heavy():
    code = (
        "import sys; from featkit.cli import cli; from click.shell_completion import BashComplete\n"
        "found = BashComplete(cli, {}, 'featkit', '_X').get_completions(['fit', '--backend'], '')\n"
        "assert len(found) > 5\n"
        "print(sorted({'numpy', 'scipy', 'sklearn', 'onnxruntime', 'torch', 'xgboost'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
