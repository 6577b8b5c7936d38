"""Tables of corpora are read line by line, and a table that is not one says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from featkit.datasets.tables import rows
from featkit.errors import DataError


def read(path: Path, content: bytes) -> list[tuple[int, dict[str, str]]]:
    path.write_bytes(content)
    return list(rows("corpus", path, ("a", "b")))


@pytest.mark.parametrize("content", [b"a,b,c\n 1 ,2,3\n", b"\xef\xbb\xbfb,a\r\n2,1\r\n", b'a,b\n"1","2"\n'])
def test_a_byte_order_mark_blanks_quotes_and_other_columns_do_not_matter(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "t.csv", content) == [(2, {"a": "1", "b": "2"})]


def test_quotes_mean_nothing_where_a_table_has_none(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text('a\tb\n1\t"two\n')
    assert list(rows("corpus", tmp_path / "t.tsv", ("b",), separator="\t", quotes=False)) == [(2, {"b": '"two'})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"has no column a, b; take it"),
        (b"a,c\n1,2\n", r"has no column b; take it"),
        (b"a,b\n1\n", r"corpus: line 2 of '.*' is cut short; take it"),
        (b"a,b\n1,\xff\n", r"is not UTF-8 text \(.*\); take it"),
        (b'a,b\n1,"2\n', r"corpus: '.*' is not valid near line 1 \(.*\); take it from the release again"),
    ],
)
def test_a_table_that_is_none_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.csv", content)
