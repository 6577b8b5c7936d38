"""The notebooks run from top to bottom, hold no outputs, and show what they say."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from featkit import SERClassifier, evaluate
from featkit.corpus import read_corpus

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))

EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], 4)
notebook.cells.append(nbformat.v4.new_code_cell(sys.argv[3]))
NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def executed(name: str, corpus: Path, folder: Path, last: str) -> tuple[list[dict[str, Any]], Any]:
    """Outputs of a notebook on a corpus, which a user names in its first cell, and what ``last`` gives in the end."""
    for package in ("nbclient", "ipykernel"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    (source,) = (path for path in NOTEBOOKS if path.stem == name)
    text = source.read_text(encoding="utf-8")
    named = json.dumps(f'read_corpus("{corpus.as_posix()}")')[1:-1]
    assert text.count(r"read_corpus(\"synthetic\")") == 1
    (folder / "mine.ipynb").write_text(text.replace(r"read_corpus(\"synthetic\")", named), encoding="utf-8")
    command = [sys.executable, "-c", EXECUTE, "mine.ipynb", "done.ipynb", f"import json\nprint(json.dumps({last}))"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    cells = json.loads((folder / "done.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    return outputs[:-1], json.loads("".join(outputs[-1]["text"]))


def shown(outputs: list[dict[str, Any]], kind: str) -> list[str]:
    return ["".join(output["data"][kind]) for output in outputs if kind in output.get("data", {})]


def test_there_are_two_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["honest_evaluation", "quickstart"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_outputs(path: Path) -> None:
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


def test_the_quickstart_goes_from_recordings_to_a_prediction(corpus: Path, tmp_path: Path) -> None:
    outputs, told = executed("quickstart", corpus, tmp_path, "[scores.ua, model.inputs, str(model.predict([clip])[0])]")
    (page,) = shown(outputs, "text/markdown")
    assert page.startswith("corpus.csv: 56 clips, ")
    assert len(shown(outputs, "image/png")) == 3
    assert "<audio" in shown(outputs, "text/html")[0]
    ua, inputs, label = told
    assert 1 / 7 < ua < 1
    assert inputs == ["wave"]
    assert f"'{label}': '0." in shown(outputs, "text/plain")[-1]
    assert (tmp_path / "model.onnx").exists()
    assert "| scores | corpus.csv, leave one of 4 speakers out: WA " in (tmp_path / "model.md").read_text()


def test_the_notebook_on_honest_evaluation_shows_what_it_says(corpus: Path, tmp_path: Path) -> None:
    last = """[
        {cv: scores.ua for cv, scores in found.items()}, [scores.leaks for scores in found.values()],
        interval(np.arange(len(y))), interval(scores.speakers), [scores.ua for scores in permuted], leaking.ua
    ]"""
    outputs, told = executed("honest_evaluation", corpus, tmp_path, last)
    uas, leaks, by_clip, by_speaker, permuted, leaking = told
    assert list(uas) == ["random", "sentences", "loso", "both"]
    assert leaks == [True, True, False, False]
    assert len(shown(outputs, "image/png")) == 1
    assert by_clip != by_speaker
    assert sum(permuted) / len(permuted) == pytest.approx(1 / 7, abs=0.08)
    assert len(set(permuted)) > 1
    assert leaking > uas["loso"] + 0.1
    printed = "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
    assert "LABELS PERMUTED" in printed
    assert "error: 2 clips are one recording" in printed
    assert "again.wav" in printed


def prose(name: str) -> str:
    """What a notebook says between its code."""
    (path,) = (path for path in NOTEBOOKS if path.stem == name)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return " ".join(" ".join("".join(cell["source"]).split()) for cell in cells if cell["cell_type"] == "markdown")


def judged(spec: str) -> dict[str, float]:
    """UA in percent by protocol, as the notebook on honest evaluation computes it."""
    corpus, classifier, found = read_corpus(spec), SERClassifier("mfcc39", "svm"), {}
    clips = classifier.extract(corpus.clips)
    for cv in ("random", "sentences", "loso", "both"):
        scores = evaluate(
            classifier, clips, corpus.labels, corpus.speakers, sentences=corpus.texts, cv=cv, allow_leakage=True
        )
        found[cv] = 100 * scores.ua
    return found


def test_what_the_notebook_tells_of_synthetic_speech_is_true(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("LOCALAPPDATA", str(cache))
    assert "In synthetic speech that helps as much, and the two lie side by side" in prose("honest_evaluation")
    found = judged("synthetic")
    assert found["sentences"] == pytest.approx(found["loso"], abs=2)
    assert found["both"] < min(found["sentences"], found["loso"]) - 5


def test_what_the_notebook_tells_of_emodb_is_true(emodb_root: Path) -> None:
    text, found = prose("honest_evaluation"), judged(f"emodb:{emodb_root}")
    told = re.findall(r"random folds give UA (\d+) and new speakers (\d+)", text)
    assert told == [(f"{found['random']:.0f}", f"{found['loso']:.0f}")]
    told = re.findall(r"UA (\d+) on other sentences, (\d+) on other speakers, (\d+) on both", text)
    assert told == [tuple(f"{found[cv]:.0f}" for cv in ("sentences", "loso", "both"))]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_installed_from_the_checkout(path: Path) -> None:
    assert "In featkit's folder" in prose(path.stem)
    assert "pip install '.[plot]' jupyterlab" in prose(path.stem)
    assert "featkit[" not in prose(path.stem)  # on PyPI that name is another project
