"""What a user types finds its corpus; what it cannot find says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from featkit import plugins
from featkit.datasets import open_dataset
from featkit.errors import DataError, PluginError


@pytest.mark.parametrize("name", sorted(plugins.installed("datasets")))
def test_every_corpus_is_found_by_name_and_states_where_it_comes_from(name: str) -> None:
    dataset = open_dataset(f"{name}:some/where")
    assert dataset.name == name
    assert dataset.root == Path("some/where")
    assert dataset.title
    assert dataset.licence


def test_the_synthetic_corpus_needs_no_path() -> None:
    assert open_dataset("synthetic").synthetic


@pytest.mark.parametrize("spec", ["clips.csv", "data/clips.TSV", "/data/my clips.parquet", r"C:\data\clips.csv"])
def test_a_table_is_a_manifest(spec: str) -> None:
    dataset = open_dataset(spec)
    assert dataset.name == "manifest"
    assert dataset.root == Path(spec)


@pytest.mark.parametrize("spec", ["data/clips", "./emodb", "/data/run:1", r"C:\clips", "c:/clips", "x", "my clips"])
def test_any_other_path_is_a_folder(spec: str) -> None:
    dataset = open_dataset(spec)
    assert dataset.name == "folder"
    assert dataset.root == Path(spec)


def test_a_path_after_a_name_may_hold_colons() -> None:
    assert open_dataset(r"emodb:C:\emodb").root == Path(r"C:\emodb")


def test_a_tilde_is_the_home_folder() -> None:
    assert open_dataset("emodb:~/emodb").root == Path.home() / "emodb"
    assert open_dataset("~/clips").root == Path.home() / "clips"


def test_a_word_is_a_folder_where_one_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clips").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_dataset("clips").name == "folder"


@pytest.mark.parametrize("spec", ["emodb", "emodb:"])
def test_a_corpus_without_its_path_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    (tmp_path / "emodb").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"The corpus 'emodb' needs a path: write emodb:PATH, or \./emodb for a folder"):
        open_dataset(spec)


def test_a_path_that_is_not_there_is_told_as_such() -> None:
    with pytest.raises(PluginError, match="There is neither a file or folder 'no-such' nor a corpus of that name"):
        open_dataset("no-such")


@pytest.mark.parametrize("spec", ["emodbb:/data/emodb", "emo-db"])
def test_an_unknown_name_suggests_the_nearest_one(spec: str) -> None:
    with pytest.raises(PluginError, match=r"No corpus is named 'emo.*'\. Did you mean 'emodb'\? Installed: .*emodb, "):
        open_dataset(spec)


def test_a_file_that_is_no_table_is_an_error_when_its_clips_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "1.wav").touch()
    dataset = open_dataset(str(tmp_path / "1.wav"))
    with pytest.raises(DataError, match=r"folder: '.*1\.wav' is a file, not a folder"):
        next(dataset.clips())


def test_nothing_is_no_corpus() -> None:
    with pytest.raises(DataError, match="needs a path: write folder:PATH"):
        open_dataset("")


def test_opening_a_corpus_of_files_loads_no_heavy_library() -> None:
    code = (
        "import sys; from featkit.datasets import open_dataset; open_dataset('emodb:x'); open_dataset('x.parquet');"
        "print(sorted({'numpy', 'soundfile', 'scipy', 'pandas', 'pyarrow', 'sklearn'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
