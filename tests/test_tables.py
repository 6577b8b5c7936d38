"""Words as tables."""

from __future__ import annotations

import csv
import io

import pytest

from featkit.errors import FeatkitError
from featkit.tables import csv_table, latex, markdown


def test_a_bar_inside_a_cell_does_not_end_it() -> None:
    assert markdown([{"a": "x|y"}]).splitlines()[2] == "| x\\|y |"


def test_every_sign_of_latex_is_escaped() -> None:
    text = latex([{"a": "\\{}&%$#_~^ × →"}], "c", "tab:c")
    assert r"\textbackslash{}\{\}\&\%\$\#\_\textasciitilde{}\textasciicircum{} $\times$ $\rightarrow$" in text


def test_the_label_of_a_latex_table_comes_after_its_caption() -> None:
    assert "  \\caption{50 \\%}\n  \\label{tab:a-b}\n" in latex([{"a": "1"}], "50 %", "tab:a-b")


def test_csv_reads_back() -> None:
    rows = [{"a": 'x,"y"\nz', "b": 1}, {"a": "", "c": 2.5}]
    assert list(csv.DictReader(io.StringIO(csv_table(rows)))) == [
        {"a": 'x,"y"\nz', "b": "1", "c": ""}, {"a": "", "b": "", "c": "2.5"},
    ]  # fmt: skip


@pytest.mark.parametrize("table", [markdown, csv_table, lambda rows: latex(rows, "c", "tab:c")])
def test_no_rows_make_no_table(table: object) -> None:
    with pytest.raises(FeatkitError, match="There are no rows to show"):
        table([])  # type: ignore[operator]


def test_columns_stand_under_each_other_where_signs_are_two_cells_wide() -> None:
    _, _, first, second = markdown([{"a": "愤怒", "b": "1"}, {"a": "joy", "b": "2"}]).splitlines()
    assert (first, second) == ("| 愤怒 | 1 |", "| joy  | 2 |")
