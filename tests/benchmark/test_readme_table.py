"""The table of kept rows stands between its markers, and nothing else is touched."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from featkit.benchmark import Row, RowFile, report
from featkit.errors import DataError
from featkit.tables import percent

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "readme.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("readme_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(script: Any, row: Row, tmp_path: Path) -> Path:
    """A project of two pages, with one kept row."""
    (tmp_path / "docs" / "assets").mkdir(parents=True)
    for page in ("README.md", "docs/scores.md"):
        (tmp_path / page).write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n")
    RowFile(tmp_path / "rows.jsonl").append(row)
    return tmp_path


def test_the_tables_take_the_place_of_the_old_ones(script: Any, row: Row, root: Path) -> None:
    for _ in range(2):
        done = CliRunner().invoke(script.main, [str(root / "rows.jsonl"), "--root", str(root)])
        assert done.exit_code == 0, done.output
    assert (root / "docs/scores.md").read_text() == f"before\n{script.BEGIN}\n{report([row])}\n{script.END}\nafter\n"
    readme = (root / "README.md").read_text()
    assert f"| UA {row.corpus} " in readme
    assert percent(row.evaluation.ua, row.evaluation.ua_interval) in readme
    assert (root / f"docs/assets/scores-{row.corpus}.png").read_bytes().startswith(b"\x89PNG")


def test_corpora_stand_side_by_side(script: Any, row: Row) -> None:
    """A recipe that one corpus lacks leaves its cell empty; kB and ms are those of the first corpus."""
    other = replace(row, corpus="other", recipe=replace(row.recipe, backend="xgboost"))
    lines = script.side_by_side([row, replace(row, corpus="other"), other]).splitlines()
    heads, *cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]
    assert heads[2:4] == [f"UA {row.corpus}", "UA other"]
    assert [bool(cell) for cell in cells[0][2:4]] == [True, True]
    assert [bool(cell) for cell in cells[1][2:4]] == [False, True]
    assert len(cells) == 2


@pytest.mark.parametrize("text", ["nothing", "<!-- table:end -->\n<!-- table:begin -->"])
@pytest.mark.parametrize("name", ["README.md", "docs/scores.md"])
def test_where_a_page_has_no_markers_all_is_left_as_it_is(name: str, text: str, script: Any, root: Path) -> None:
    (root / name).write_text(text)
    before = {page: page.read_bytes() for page in root.rglob("*.md")}
    done = CliRunner().invoke(script.main, [str(root / "rows.jsonl"), "--root", str(root)])
    assert done.exit_code == 1
    assert "The page needs the markers <!-- table:begin --> and <!-- table:end -->" in done.output
    assert {page: page.read_bytes() for page in root.rglob("*.md")} == before
    with pytest.raises(DataError, match="The page needs the markers"):
        script.with_table(text, "table")
