"""The table of kept rows stands between its markers, and nothing else is touched."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from featkit.benchmark import Row, RowFile, report
from featkit.errors import DataError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "readme.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("readme_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_takes_the_place_of_the_old_one(script: Any, row: Row, tmp_path: Path) -> None:
    page, rows = tmp_path / "README.md", tmp_path / "rows.jsonl"
    page.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n")
    RowFile(rows).append(row)
    for _ in range(2):
        done = CliRunner().invoke(script.main, [str(rows), "--page", str(page)])
        assert done.exit_code == 0, done.output
    assert page.read_text() == f"before\n{script.BEGIN}\n{report([row])}\n{script.END}\nafter\n"


@pytest.mark.parametrize("text", ["nothing", "<!-- table:end -->\n<!-- table:begin -->"])
def test_a_page_without_markers_is_left_as_it_is(text: str, script: Any, row: Row, tmp_path: Path) -> None:
    page, rows = tmp_path / "README.md", tmp_path / "rows.jsonl"
    page.write_text(text)
    RowFile(rows).append(row)
    done = CliRunner().invoke(script.main, [str(rows), "--page", str(page)])
    assert done.exit_code == 1
    assert "The page needs the markers <!-- table:begin --> and <!-- table:end -->" in done.output
    assert page.read_text() == text
    with pytest.raises(DataError, match="The page needs the markers"):
        script.with_table(text, "table")
