"""The same recording in two corpora is found, whatever it is called, and nothing else is."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest

from featkit.datasets.twins import twins


def files(folder: Path, **contents: bytes) -> list[str]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in contents]


def test_equal_content_in_two_parts_is_found(tmp_path: Path) -> None:
    first, second = files(tmp_path, a=b"one", b=b"two"), files(tmp_path, c=b"six", d=b"two")
    assert twins([first, second]) == ((0, 1), (1, 1))
    assert twins([first, ["none.wav"], [first[0]]]) == ((0, 0), (2, 0))


def test_copies_within_a_part_are_not_asked_for(tmp_path: Path) -> None:
    assert twins([files(tmp_path, a=b"one", b=b"one"), files(tmp_path, c=b"two")]) is None


@pytest.mark.parametrize("shape", [(12,), (3, 4)])
def test_arrays_are_compared_by_their_numbers(shape: tuple[int, ...]) -> None:
    wave = np.linspace(-1, 1, 12, dtype=np.float32).reshape(shape)
    first = [2 * wave, wave]
    assert twins([first, [wave[:2], wave.astype(float)]]) == ((0, 1), (1, 1))
    assert twins([first, [3 * wave, np.array(["a"] * 12)]]) is None
    assert twins([first, [np.asfortranarray(wave)]]) == ((0, 1), (1, 0))


def test_what_is_empty_or_no_file_is_no_twin(tmp_path: Path) -> None:
    gone = [str(tmp_path / "gone"), str(tmp_path), "a\0b", None, np.zeros(0), np.array(["a"])]
    empty = [files(tmp_path, a=b""), files(tmp_path, b=b"")]
    assert twins([[*empty[0], *gone], [*empty[1], *gone]]) is None


def test_only_files_of_colliding_sizes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [files(tmp_path, a=b"one", b=b"four"), files(tmp_path, c=b"three", d=b"six")]
    read: list[str] = []
    whole = builtins.open
    monkeypatch.setattr(builtins, "open", lambda path, mode: read.append(path) or whole(path, mode))
    assert twins(parts) is None
    assert read == [parts[0][0], parts[1][1]]
