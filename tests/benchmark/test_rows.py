"""A row survives being written and read, and a file of rows survives being killed, but not being tampered with."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featkit.benchmark import Row, RowFile, find_row
from featkit.benchmark.deployed import Deployed
from featkit.benchmark.rows import Made, names_of, read_row
from featkit.errors import DataError
from featkit.metrics import Difference


def again(row: Row) -> Row:
    return read_row(json.loads(json.dumps(row.record(), allow_nan=False)))


def test_a_row_that_is_read_is_the_row_that_was_written(row: Row) -> None:
    whole = replace(
        row,
        model=Deployed(1000, 1.5, "wave", 25),
        no_model="a reason",
        evaluation=replace(
            row.evaluation,
            histories=[[{"epoch": 1.0, "loss": 0.5}]],
            importance={"MFCC": Difference(0.1, (0, 0.2), 0.3)},
        ),
    )
    read = again(whole)
    for name in (
        "recipe",
        "protocol",
        "key",
        "corpus",
        "data",
        "synthetic",
        "files",
        "model",
        "no_model",
        "made",
        "failed_clips",
    ):
        assert getattr(read, name) == getattr(whole, name), name
    assert read.summary() == whole.summary()
    told, kept = read.evaluation, whole.evaluation
    for name in ("y_true", "y_pred", "speakers", "places", "labels"):
        assert getattr(told, name).tolist() == getattr(kept, name).tolist(), name
    np.testing.assert_array_equal(told.probabilities, kept.probabilities)
    assert (told.histories, told.importance, told.ua_interval) == (kept.histories, kept.importance, kept.ua_interval)
    assert told.ece == kept.ece


def test_a_row_without_speakers_is_kept_as_well(row: Row) -> None:
    read = again(replace(row, evaluation=replace(row.evaluation, speakers=None)))
    assert read.evaluation.speakers is None
    assert read.summary()["speaker_UA"] is None


def test_a_row_tells_what_it_was_made_with(row: Row) -> None:
    made = row.summary()["made"]
    assert {"featkit", "numpy", "scikit-learn", "onnxruntime", "python", "platform"} <= made["versions"].keys()
    assert len(made["code"]) == 12
    assert made["date"].count("-") == 2


def test_a_row_does_not_tell_where_the_corpus_lay(row: Row) -> None:
    assert row.files[0] == "00.wav"
    assert names_of(["/home/me/a/x.wav", "/home/me/a/b/y.wav"]) == ["x.wav", "b/y.wav"]
    assert names_of(["/one/x.wav", "/two/x.wav"]) == ["one/x.wav", "two/x.wav"]
    assert names_of(["x.wav"]) == ["x.wav"]
    assert names_of([]) == []


def test_other_code_makes_another_key(row: Row) -> None:
    assert replace(row, made=Made("another", {}, "")).key != row.key


def test_rows_are_appended_and_read_in_order(row: Row, other: Row, tmp_path: Path) -> None:
    file = RowFile(tmp_path / "new" / "rows.jsonl")
    assert file.read() == []
    file.append(row)
    file.append(other)
    assert [one.key for one in file.read()] == [row.key, other.key]


def test_half_a_line_at_the_end_is_passed_over_and_then_replaced(row: Row, other: Row, tmp_path: Path) -> None:
    file = RowFile(tmp_path / "rows.jsonl")
    file.append(row)
    line = json.dumps(other.record())
    with file.path.open("a") as torn:
        torn.write(line[: len(line) // 2])
    assert [one.key for one in file.read()] == [row.key]
    file.append(other)
    assert [one.key for one in file.read()] == [row.key, other.key]


def test_a_row_is_appended_without_reading_those_before(
    row: Row, other: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RowFile(tmp_path / "rows.jsonl")
    file.append(row)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: 1 / 0)
        file.append(other)
    assert [one.key for one in file.read()] == [row.key, other.key]


def test_half_a_first_line_is_replaced(row: Row, tmp_path: Path) -> None:
    file = RowFile(tmp_path / "rows.jsonl")
    file.path.write_text('{"format"')
    file.append(row)
    assert [one.key for one in file.read()] == [row.key]


def tampered(record: dict[str, Any], **changes: Any) -> str:
    return json.dumps(record | changes) + "\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"UA": 0.99}, "line 1: its scores do not follow from its predictions. Delete the line"),
        ({"format": 99}, "line 1: is no row of format 1"),
        ({"recipe": {"feature": "mfcc39"}}, "line 1: .*unexpected keyword argument 'feature'"),
        ({"predictions": {}}, "line 1: misses 'truth'"),
    ],
)
def test_a_line_that_is_no_row_is_named(changes: dict[str, Any], message: str, row: Row, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(tampered(row.record(), **changes))
    with pytest.raises(DataError, match=message):
        RowFile(path).read()


def test_predictions_of_different_lengths_are_refused(row: Row, tmp_path: Path) -> None:
    record = row.record()
    record["predictions"]["predicted"] = base64.b64encode(zlib.compress(b"\0\0" * 23)).decode()
    (tmp_path / "rows.jsonl").write_text(json.dumps(record) + "\n")
    with pytest.raises(DataError, match="line 1: its predictions are of different lengths"):
        RowFile(tmp_path / "rows.jsonl").read()


@pytest.mark.parametrize("content", [b"[1, 2]\n", b"\xff\xfe\n", b"{}\n", b"null\n", b'{"format": 1}\n', b"\n"])
def test_a_file_of_something_else_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(
        DataError, match=r"rows.jsonl(, line 1: .*Delete the line|: is no file of rows that featkit wrote)"
    ):
        RowFile(tmp_path / "rows.jsonl").read()


def test_a_file_that_is_no_file_of_rows_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("my notes, one line")
    with pytest.raises(DataError, match="is no file of rows that featkit wrote; give another name"):
        RowFile(tmp_path / "notes").read()
    with pytest.raises(DataError, match=r"is a folder; name a file of rows, rows.jsonl"):
        RowFile(tmp_path).read()


def test_a_row_is_found_by_number_and_by_key(row: Row, other: Row, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for one in (row, other):
        RowFile(path).append(one)
    assert find_row(f"{path}#2").key == find_row(f"{path}#{other.key[:8]}").key == other.key
    assert find_row(row.key[:8], tmp_path).key == row.key
    one = tmp_path / "one.jsonl"
    RowFile(one).append(row)
    assert find_row(str(one)).key == row.key


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("#3", "'3' is neither the number of one of its 2 rows nor how the key of one begins"),
        ("#zz", "'zz' is neither"),
        ("#", r"holds 2 rows; name one by its number, as in .*#1"),
        ("", r"holds 2 rows; name one by its number, as in .*#1"),
    ],
)
def test_a_row_that_is_not_there_is_refused(which: str, message: str, row: Row, other: Row, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for one in (row, other):
        RowFile(path).append(one)
    with pytest.raises(DataError, match=message):
        find_row(f"{path}{which}")


def test_a_missing_file_of_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no such file of rows; name a row as in results/rows.jsonl#3"):
        find_row("abc", tmp_path)


def test_a_number_alone_is_looked_for_in_the_folder_of_results(row: Row, tmp_path: Path) -> None:
    RowFile(tmp_path / "rows.jsonl").append(row)
    assert find_row("#1", tmp_path).key == row.key


def test_a_damaged_line_after_good_ones_is_named(row: Row, tmp_path: Path) -> None:
    RowFile(tmp_path / "rows.jsonl").append(row)
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write("{\n")
    with pytest.raises(DataError, match=r"rows.jsonl, line 2: .* Delete the line"):
        RowFile(tmp_path / "rows.jsonl").read()
