"""Files are replaced whole or not at all, also where several write the same one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from featkit.files import replacing


def test_two_that_write_the_same_file_at_a_time_are_not_in_each_others_way(tmp_path: Path) -> None:
    path, both = tmp_path / "a.txt", Barrier(2, timeout=10)

    def write(text: str) -> None:
        with replacing(path) as draft:
            draft.write_text(text)
            both.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ["one", "two"]))
    assert path.read_text() in ("one", "two")
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(UnicodeEncodeError), replacing(tmp_path / "a.txt") as draft:
        draft.write_text("half of ü", encoding="ascii")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "before")]
