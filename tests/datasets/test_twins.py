"""The same recording in two corpora is found, whatever it is called, and nothing else is."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest

from featkit.datasets.twins import twins


def files(folder: Path, **contents: bytes) -> list[str]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in contents]


def test_equal_content_in_two_parts_is_found(tmp_path: Path) -> None:
    first, second = files(tmp_path, a=b"one", b=b"two"), files(tmp_path, c=b"six", d=b"two")
    assert twins([first, second]) == (first[1], second[1])
    assert twins([first, [first[0]]]) == (first[0], first[0])


def test_copies_within_a_part_are_not_asked_for(tmp_path: Path) -> None:
    assert twins([files(tmp_path, a=b"one", b=b"one"), files(tmp_path, c=b"two")]) is None


def test_what_is_empty_or_no_file_is_no_twin(tmp_path: Path) -> None:
    gone = [str(tmp_path / "gone"), str(tmp_path), "a\0b"]
    empty = [files(tmp_path, a=b""), files(tmp_path, b=b"")]
    assert twins([[*empty[0], *gone], [*empty[1], *gone]]) is None


def test_only_files_of_colliding_sizes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [files(tmp_path, a=b"one", b=b"four"), files(tmp_path, c=b"three", d=b"six")]
    read: list[str] = []
    whole = builtins.open
    monkeypatch.setattr(builtins, "open", lambda path, mode: read.append(path) or whole(path, mode))
    assert twins(parts) is None
    assert read == [parts[0][0], parts[1][1]]
