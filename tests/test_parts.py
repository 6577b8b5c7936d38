"""A run over many files loses nothing: not by a crash, a full disk, a hang, or a file that changes or kills."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featkit.errors import DataError, ModelError, PluginError
from featkit.lock import locked
from featkit.parts import FAILURES, SETTINGS_KEY, FileError, Options, Summary, run
from featkit.parts.folder import Folder, read_part
from featkit.parts.join import blocks
from featkit.parts.lifetime import limited
from featkit.parts.pool import Reports
from featkit.parts.work import Report, Task, do


@dataclass(frozen=True)
class Letters:
    """Counts the letters of a text file; some words in it are orders."""

    detail: str | None = "letters"

    @property
    def schema(self) -> pa.Schema:
        letter = pa.struct([("letter", pa.string()), ("place", pa.int64())])
        columns: list[Any] = [("length", pa.int64()), ("share", pa.float32())]
        return pa.schema([*columns, ("letters", pa.list_(letter))] if self.detail else columns)

    def __call__(self, path: str) -> dict[str, Any]:
        try:
            text = Path(path).read_text()
        except OSError as error:
            raise FileError("open", error.strerror or "cannot be read", "look for it") from None
        _obey(text, path)
        row: dict[str, Any] = {"length": len(text), "share": len(text) / 3}
        if self.detail:
            row["letters"] = [{"letter": letter, "place": i} for i, letter in enumerate(text)]
        return row


def _obey(order: str, path: str) -> None:
    if order == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if order == "hang":
        time.sleep(1_000)
    if order == "slow":
        time.sleep(0.05)
    if order == "bad":
        raise FileError("decode", "is bad", "make it good")
    if order == "bug":
        raise RuntimeError("two\nlines")
    if order == "model":
        raise ModelError("the model is gone")
    if order == "touch":
        os.utime(path, ns=(0, 0))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No workers: quick, and to be patched."""

    def runner(n_jobs: int) -> Any:
        def work(tasks: Iterable[Task]) -> Reports:
            yield from map(do, tasks)

        return work

    monkeypatch.setattr("featkit.parts.drive.runner", runner)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """All workers from the first file on, however little there is to do."""
    monkeypatch.setattr("featkit.parts.drive.WORTH", 0.0)


def texts(folder: Path, *contents: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    for i, content in enumerate(contents):
        (folder / f"{i:03d}.txt").write_text(content)
    return [str(folder / f"{i:03d}.txt") for i in range(len(contents))]


def count(
    files: list[str], output: Path, work: Letters | None = None, settings: dict[str, Any] | None = None, **options: Any
) -> Summary:
    return run(files, work or Letters(), settings or {"version": 1}, output, Options(**options))


def numbers(summary: Summary) -> tuple[int, int, int]:
    return summary.done, summary.failed, summary.skipped


def tables(output: Path) -> dict[str, bytes]:
    """All that lies beside an output, but the texts."""
    return {path.name: path.read_bytes() for path in output.parent.iterdir() if path.is_file()}


WORDS = [f"word{i}" * (i % 5) for i in range(40)] + ["bad", "last"]


# --- tables ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_row_a_file_a_row_a_detail_and_a_row_a_failure(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", "ab", "bad", "", "c")
    assert numbers(count(files, tmp_path / "o.parquet")) == (3, 1, 0)
    main = pd.read_parquet(tmp_path / "o.parquet")
    assert list(main.columns) == ["file", "length", "share", "letters", "bytes", "mtime_ns"]
    assert main["file"].tolist() == [files[0], files[2], files[3]]
    assert main["letters"].tolist() == main["length"].tolist() == main["bytes"].tolist() == [2, 0, 1]
    assert main["mtime_ns"].tolist() == [os.stat(files[i]).st_mtime_ns for i in (0, 2, 3)]
    detail = pd.read_parquet(tmp_path / "o.letters.parquet")
    assert detail.to_dict("list") == {"file": [files[0]] * 2 + [files[3]], "letter": list("abc"), "place": [0, 1, 0]}
    failures = pd.read_csv(tmp_path / "o.parquet.failures.csv")
    assert list(failures.columns) == FAILURES.names
    assert failures.iloc[0].tolist()[:4] == [files[1], "decode", "is bad", "make it good"]
    assert sorted(tables(tmp_path / "o.parquet")) == ["o.letters.parquet", "o.parquet", "o.parquet.failures.csv"]


@pytest.mark.usefixtures("here")
def test_the_settings_stand_in_both_schemas(tmp_path: Path) -> None:
    count(texts(tmp_path / "t", "ab"), tmp_path / "o.parquet", settings={"hop": 1.0, "recipe": {"a": [1]}})
    for name in ("o.parquet", "o.letters.parquet"):
        found = json.loads(pq.read_schema(tmp_path / name).metadata[SETTINGS_KEY])
        assert found == {"hop": 1.0, "recipe": {"a": [1]}}


@pytest.mark.usefixtures("here")
def test_csv_holds_the_same_as_parquet(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", *WORDS)
    for name in ("o.parquet", "o.csv"):
        count(files, tmp_path / name)
    for name in ("o", "o.letters"):
        frame = pd.read_csv(tmp_path / f"{name}.csv", keep_default_na=False)
        pd.testing.assert_frame_equal(frame, pd.read_parquet(tmp_path / f"{name}.parquet"), check_dtype=False)
    assert json.loads((tmp_path / "o.settings.json").read_text()) == {"version": 1}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_names_of_every_kind_come_through(tmp_path: Path, suffix: str) -> None:
    names = ["a b.txt", "-rf.txt", "ü\u4e2d.txt", 'a"b,c.txt', "two\nlines.txt", "x/same.txt", "y/same.txt", "=1+1.txt"]
    for name in names:
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_text("word" if name != "-rf.txt" else "bad")
    files = [str(tmp_path / "t" / name) for name in names]
    output = tmp_path / f"o{suffix}"
    assert numbers(count(files, output)) == (7, 1, 0)
    assert numbers(count(files, output)) == (0, 1, 7)
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    assert [*read(output)["file"], *pd.read_csv(tmp_path / f"o{suffix}.failures.csv")["file"]] == [
        file for file in files if "-rf" not in file
    ] + [str(tmp_path / "t" / "-rf.txt")]


@pytest.mark.usefixtures("here")
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_a_name_that_is_no_text_is_written_out(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")
    Path(path).write_text("word")
    assert numbers(count([path], tmp_path / "o.parquet")) == (1, 0, 0)
    assert numbers(count([path], tmp_path / "o.parquet")) == (0, 0, 1)
    assert pd.read_parquet(tmp_path / "o.parquet")["file"].tolist() == [f"{tmp_path}/\\udcff.txt"]
    with pytest.raises(DataError, match="two files would have this name in the table"):
        count([path, f"{tmp_path}/\\udcff.txt"], tmp_path / "p.parquet")


@pytest.mark.usefixtures("here")
def test_a_file_that_is_named_twice_has_one_row(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", "a")
    assert numbers(count(files * 2, tmp_path / "o.parquet")) == (1, 0, 0)


@pytest.mark.usefixtures("here")
def test_if_all_files_fail_there_is_a_table_without_rows(tmp_path: Path) -> None:
    for name in ("o.parquet", "o.csv"):
        files = texts(tmp_path / "t", "bad", "bad")
        assert numbers(count(files, tmp_path / name)) == (0, 2, 0)
        assert numbers(count(files, tmp_path / name)) == (0, 2, 0)
    assert len(pd.read_parquet(tmp_path / "o.parquet")) == len(pd.read_csv(tmp_path / "o.csv")) == 0


def test_blocks_depend_on_the_rows_and_not_on_how_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featkit.parts.join._MOST_ROWS", 4)
    monkeypatch.setattr("featkit.parts.join.MOST_VALUES", 40)
    rows = pa.table({"x": range(50), "y": [[0] * (i % 7) for i in range(50)]})
    for sizes in ([50], [1] * 50, [3, 30, 17]):
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        pieces = [rows.slice(start, size) for start, size in zip(starts, sizes, strict=True)]
        made = list(blocks(pieces, {"y": 5}))
        assert pa.concat_tables(made).equals(rows)
        lengths = [len(block) for block in made]
        assert lengths == [len(block) for block in blocks([rows], {"y": 5})]
        assert max(lengths) == 4
        assert min(lengths) == 1


@pytest.mark.usefixtures("here")
def test_lists_of_vectors_come_through_and_the_memory_for_them_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Frames:
        detail: str | None = None

        @property
        def schema(self) -> pa.Schema:
            return pa.schema([("frames", pa.list_(pa.list_(pa.float32(), 3)))])

        def __call__(self, path: str) -> dict[str, Any]:
            return {"frames": [[float(i), 0.0, 1.0] for i in range(len(Path(path).read_text()))]}

    monkeypatch.setattr("featkit.parts.work.MOST_VALUES", 100)
    monkeypatch.setattr("featkit.parts.join.MOST_VALUES", 100)
    files = texts(tmp_path / "t", *["x" * n for n in (5, 50, 0, 7, 20)])
    with pytest.raises(DataError, match=r"o\.csv: CSV holds no lists \(frames\); name the file \*\.parquet"):
        run(files, Frames(), {}, tmp_path / "o.csv")
    run(files, Frames(), {}, tmp_path / "o.parquet")
    got = pq.read_table(tmp_path / "o.parquet")["frames"].to_pylist()
    assert [len(rows) for rows in got] == [5, 50, 0, 7, 20]
    assert got[3][6] == [6.0, 0.0, 1.0]
    # A row weighs its 7 columns and 3 for every frame: 22, 157, 7 + 28, 67.
    file = pq.ParquetFile(tmp_path / "o.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [1, 1, 2, 1]


# --- going on ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_that_was_cut_off_goes_on_to_the_same_bytes(
    tmp_path: Path, suffix: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = texts(tmp_path / "t", *WORDS)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert numbers(count(files, tmp_path / "a" / f"o{suffix}")) == (41, 1, 0)
    cut_off(monkeypatch, after)
    with pytest.raises(KeyboardInterrupt):
        count(files, tmp_path / "b" / f"o{suffix}")
    kept = len(list((tmp_path / "b" / f"o{suffix}.parts").glob("*.arrow")))
    assert kept == after
    told: list[str] = []
    found = count(files, tmp_path / "b" / f"o{suffix}", tell=told.append)
    assert numbers(found) == (41 - 8 * after, 1, 8 * after)
    assert told == [f"{tmp_path}/b/o{suffix}: {8 * after} of 42 files were done before."]
    assert tables(tmp_path / "b" / "o") == tables(tmp_path / "a" / "o")
    assert not (tmp_path / "b" / f"o{suffix}.parts").exists()


def cut_off(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The next run does ``after`` tasks of 8 files and is interrupted."""

    def runner(n_jobs: int) -> Any:
        def work(tasks: Iterable[Task]) -> Reports:
            for i, task in enumerate(tasks):
                if i == after:
                    monkeypatch.undo()
                    in_process(monkeypatch)
                    raise KeyboardInterrupt
                yield do(task)

        return work

    monkeypatch.setattr("featkit.parts.drive.runner", runner)
    monkeypatch.setattr("featkit.parts.drive.Driver._in_a_part", lambda driver: 8)


def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featkit.parts.drive.runner", lambda n_jobs: lambda tasks: (do(task) for task in list(tasks)))


@pytest.mark.usefixtures("here")
def test_a_damaged_part_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = texts(tmp_path / "t", *WORDS)
    count(files, tmp_path / "a.parquet")
    cut_off(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        count(files, tmp_path / "b.parquet")
    first, second, _ = sorted((tmp_path / "b.parquet.parts").glob("*.arrow"))
    content = first.read_bytes()
    first.write_bytes(content[: len(content) // 2])  # power was lost
    second.write_bytes(content[:-100] + bytes(100))  # and a block of zeros stands where data should
    (tmp_path / "b.parquet.parts" / "00000009-1.draft").write_bytes(content[:10])
    assert numbers(count(files, tmp_path / "b.parquet")) == (33, 1, 8)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("step", range(10))
def test_a_crash_while_the_tables_take_their_places_loses_nothing(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished table, a file more, and an end of the process at every rename on the way to the new table."""
    files = texts(tmp_path / "t", *WORDS)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    count(files, tmp_path / "a" / "o.csv")
    count(files[:30], tmp_path / "b" / "o.csv")
    steps = iter(range(100))
    replace = Path.replace

    def crash(path: Path, target: Path) -> Any:
        if next(steps) == step:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            count(files, tmp_path / "b" / "o.csv")
    found = count(files, tmp_path / "b" / "o.csv")
    assert (found.failed, found.done + found.skipped) == (1, 41)
    assert tables(tmp_path / "a" / "o.csv") == tables(tmp_path / "b" / "o.csv")
    assert not list(tmp_path.rglob("*.parts*"))


@pytest.mark.usefixtures("here")
def test_a_full_disk_is_one_line_and_what_is_done_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = texts(tmp_path / "t", *WORDS)
    monkeypatch.setattr("featkit.parts.drive.Driver._in_a_part", lambda driver: 8)
    commit, room = Folder.commit, iter([True] * 2)

    def fill(folder: Folder, number: int, rows: pa.Table) -> None:
        with monkeypatch.context() as patch:
            if not next(room, False):
                patch.setattr("featkit.parts.folder.replace_synced", full)
            commit(folder, number, rows)

    def full(draft: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "ENOSPC")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "commit", fill)
        with pytest.raises(DataError, match=r"o\.csv\.parts: cannot be written: No space left .* What is done stays"):
            count(files, tmp_path / "o.csv")
    assert not list(tmp_path.glob("*.parts/*.draft"))
    with monkeypatch.context() as patch:
        patch.setattr("featkit.parts.join.replace_synced", full)
        with pytest.raises(DataError, match=r"o\.csv: cannot be written: No space left"):
            count(files, tmp_path / "o.csv")
    assert numbers(count(files, tmp_path / "o.csv")) == (0, 1, 41)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_finished_table_is_done_and_only_what_is_new_or_changed_is_added(tmp_path: Path, suffix: str) -> None:
    files, output = texts(tmp_path / "t", *WORDS), tmp_path / f"o{suffix}"
    count(files[:20], output)
    before = output.stat().st_mtime_ns
    assert numbers(count(files[:20], output)) == (0, 0, 20)
    assert output.stat().st_mtime_ns == before
    Path(files[3]).write_text("another word")
    told: list[str] = []
    assert numbers(count(files, output, tell=told.append)) == (22, 1, 19)
    assert told == [f"{output}: 20 of 42 files were done before; 1 changed since and are done again."]
    got = tables(output)
    count(files, output, overwrite=True)
    assert tables(output) == got


@pytest.mark.usefixtures("here")
def test_rows_of_files_that_are_not_named_any_more_stay(tmp_path: Path) -> None:
    files, output = texts(tmp_path / "t", "a", "b", "bad", "c"), tmp_path / "o.parquet"
    count(files, output)
    found = count(files[1:2], output)
    assert (numbers(found), found.others, found.renamed) == ((0, 0, 1), 2, 0)
    assert pd.read_parquet(output)["file"].tolist() == [files[1], files[0], files[3]]
    assert not (tmp_path / "o.parquet.failures.csv").exists()
    assert len(pd.read_parquet(tmp_path / "o.letters.parquet")) == 3


@pytest.mark.usefixtures("here")
def test_files_that_are_named_in_another_way_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, output = texts(tmp_path / "t", "a", "b", "bad", "c"), tmp_path / "o.parquet"
    count(files, output)
    monkeypatch.chdir(tmp_path)
    found = count([os.path.relpath(path) for path in files[:2]], output)
    assert (numbers(found), found.others, found.renamed) == ((2, 0, 0), 3, 2)
    Path(files[0]).write_text("another word")
    found = count([os.path.relpath(path) for path in files[:2]], output)
    assert (numbers(found), found.others, found.renamed) == ((1, 0, 1), 3, 1), "it is not what that row tells of"


@pytest.mark.usefixtures("here")
def test_what_a_run_left_that_was_stopped_while_it_removed_its_parts_is_swept(tmp_path: Path) -> None:
    files, output = texts(tmp_path / "t", "a", "b"), tmp_path / "o.parquet"
    for finished in (False, True):
        (tmp_path / "o.parquet.parts.old" / "joined").mkdir(parents=True)
        assert numbers(count(files, output)) == ((0, 0, 2) if finished else (2, 0, 0))
        assert not list(tmp_path.glob("*.parts*"))


@pytest.mark.usefixtures("here")
def test_other_settings_are_never_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = texts(tmp_path / "t", *WORDS)
    cut_off(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        count(files, tmp_path / "o.parquet", settings={"model": "a" * 64, "hop": 1.0})
    for _ in range(2):  # while it is not finished, and when it is
        with pytest.raises(DataError, match=r"other settings: hop is none here and 1\.0 there\. Give the same"):
            count(files, tmp_path / "o.parquet", settings={"model": "b" * 64, "hop": None})
        count(files, tmp_path / "o.parquet", settings={"model": "a" * 64, "hop": 1.0})
    found = count(files, tmp_path / "o.parquet", settings={"model": "b" * 64}, overwrite=True)
    assert numbers(found) == (41, 1, 0)


@pytest.mark.usefixtures("here")
def test_a_part_of_other_settings_that_comes_late_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = texts(tmp_path / "t", *WORDS)
    cut_off(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        count(files, tmp_path / "o.parquet")
    Folder(tmp_path / "o.parquet.parts", "others").commit(7, pa.table({"file": files, "reason": [None] * len(files)}))
    assert numbers(count(files, tmp_path / "o.parquet")) == (33, 1, 8)


@pytest.mark.usefixtures("here")
def test_a_foreign_file_is_not_written_over(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", "a")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "o.parquet")
    (tmp_path / "o.csv").write_text("x\n1\n")
    for name in ("o.parquet", "o.csv"):
        with pytest.raises(DataError, match=r"is there and not of this command; name another output, or say --overwri"):
            count(files, tmp_path / name)
    assert numbers(count(files, tmp_path / "o.csv", overwrite=True)) == (1, 0, 0)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_tables_that_do_not_belong_together_are_refused(tmp_path: Path, suffix: str) -> None:
    files = texts(tmp_path / "t", "ab", "c", "d")
    count(files[:2], tmp_path / f"o{suffix}")
    count(files[:1], tmp_path / f"p{suffix}")
    (tmp_path / f"p.letters{suffix}").replace(tmp_path / f"o.letters{suffix}")
    with pytest.raises(DataError, match=r"a table beside it is damaged .*; begin anew with --overwrite"):
        count(files, tmp_path / f"o{suffix}")


@pytest.mark.usefixtures("here")
def test_what_failed_is_tried_again_if_it_changed_or_is_asked_for(tmp_path: Path) -> None:
    files, output = texts(tmp_path / "t", "bad", "bad", "a"), tmp_path / "o.parquet"
    missing = str(tmp_path / "t" / "later.txt")
    assert numbers(count([*files, missing], output)) == (1, 3, 0)
    assert count([*files, missing], output).failures[-1] == f"{missing}: No such file or directory"
    Path(missing).write_text("now")
    Path(files[0]).write_text("good")
    assert numbers(count([*files, missing], output)) == (2, 1, 1)
    stat = os.stat(files[1])
    Path(files[1]).write_text("gut")  # mended with nothing to see of it
    os.utime(files[1], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert numbers(count([*files, missing], output)) == (0, 1, 3)
    assert numbers(count([*files, missing], output, retry_failed=True)) == (1, 0, 3)
    assert not (tmp_path / "o.parquet.failures.csv").exists()
    assert len(pd.read_parquet(output)) == 4


@pytest.mark.usefixtures("here")
def test_a_file_that_vanishes_keeps_no_old_row(tmp_path: Path) -> None:
    files, output = texts(tmp_path / "t", "a", "b"), tmp_path / "o.parquet"
    count(files, output)
    Path(files[0]).unlink()
    assert numbers(count(files, output)) == (0, 1, 1)
    assert pd.read_parquet(output)["file"].tolist() == files[1:]
    assert pd.read_csv(tmp_path / "o.parquet.failures.csv")["reason"].tolist() == ["No such file or directory"]


@pytest.mark.usefixtures("here")
def test_a_file_that_changes_while_it_is_read_is_not_believed(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", "touch")
    assert count(files, tmp_path / "o.parquet").failures == [f"{files[0]}: the file changed while it was read"]
    assert numbers(count(files, tmp_path / "o.parquet")) == (1, 0, 0)  # by now it rests


# --- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_bug_costs_the_row_of_its_file(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", "a", "bug", "b")
    assert count(files, tmp_path / "o.parquet").failures == [f"{files[1]}: RuntimeError: two lines"]


@pytest.mark.usefixtures("here")
def test_a_model_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the model is gone"):
        count(texts(tmp_path / "t", "model"), tmp_path / "o.parquet")


@pytest.mark.usefixtures("here")
def test_strict_stops_at_the_first_failure_and_keeps_what_is_done(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", "a", "b", "bad", *["c"] * 20)
    with pytest.raises(DataError, match=r"002\.txt: is bad\. This is the first failure \(--strict\); what is done st"):
        count(files, tmp_path / "o.parquet", strict=True)
    assert not (tmp_path / "o.parquet").exists()
    assert numbers(count(files, tmp_path / "o.parquet")) == (20, 1, 2)


@pytest.mark.parametrize(("name", "message"), [("o.txt", "tables are Parquet or CSV"), ("d.csv", "is a folder")])
def test_an_output_that_cannot_be_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(DataError, match=message):
        count([], tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="all may be written")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"o\.csv: cannot be written: Permission denied\. What is done stays"):
        count([], tmp_path / "o" / "o.csv")


def test_the_second_run_on_an_output_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    files, output = texts(tmp_path / "t", "a"), tmp_path / "o.parquet"
    with locked(tmp_path / ".o.parquet.lock", output), pytest.raises(DataError, match="another run is at work on it"):
        count(files, output)
    assert numbers(count(files, output)) == (1, 0, 0)
    assert not (tmp_path / ".o.parquet.lock").exists()


def test_a_disk_without_locks_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(handle: int) -> None:
        raise OSError(errno.ENOLCK, "any text")

    monkeypatch.setattr("featkit.lock._take", no_locks)
    with pytest.raises(DataError, match=r"o\.parquet: its disk gives no locks \(No locks available\).*another disk"):
        count([], tmp_path / "o.parquet")


def test_without_pyarrow_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "featkit.parts")
    with pytest.raises(PluginError, match=r"needs the package 'pyarrow'.*'featkit\[parquet\]'"):
        __import__("featkit.parts")


# --- workers -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_kills_its_worker_costs_its_own_row(tmp_path: Path, jobs: int) -> None:
    files = texts(tmp_path / "t", *["a"] * 9, "crash", *["b"] * 9, "c", "bad")
    found = count(files, tmp_path / "o.parquet", n_jobs=jobs)
    assert numbers(found) == (19, 2, 0)
    assert found.failures == [f"{files[9]}: worker died: signal 11 (SIGSEGV)", f"{files[20]}: is bad"]


def test_a_file_that_hangs_costs_its_own_row(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", "a", "hang", "b")
    found = count(files, tmp_path / "o.parquet", timeout=1)
    assert (numbers(found), found.failures) == ((2, 1, 0), [f"{files[1]}: took longer than 1 s"])


@pytest.mark.usefixtures("wide")
def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", *WORDS)
    for jobs in (1, 2, 3):
        (tmp_path / str(jobs)).mkdir()
        count(files, tmp_path / str(jobs) / "o.parquet", n_jobs=jobs)
    assert tables(tmp_path / "1" / "o") == tables(tmp_path / "2" / "o") == tables(tmp_path / "3" / "o")


def test_workers_that_die_before_a_file_end_the_run_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import BrokenExecutor

    def broken(tasks: Iterable[Task]) -> Reports:
        raise BrokenExecutor
        yield

    monkeypatch.setattr("featkit.parts.drive.runner", lambda n_jobs: broken)
    with pytest.raises(DataError, match=r"workers end before they have done a file; .* Give fewer --jobs"):
        count(texts(tmp_path / "t", "a"), tmp_path / "o.parquet")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_run_leaves_its_parts_and_no_worker(tmp_path: Path) -> None:
    files = texts(tmp_path / "t", *["slow"] * 60)
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_parts; from pathlib import Path;"
        "import featkit.parts.drive; featkit.parts.drive.WORTH = 0;"
        f"test_parts.count({files!r}, Path({str(tmp_path / 'o.parquet')!r}), n_jobs=2)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, start_new_session=True)
    folder = tmp_path / "o.parquet.parts"
    for _ in range(600):
        if len(list(folder.glob("*.arrow"))) >= 2:
            break
        time.sleep(0.05)
    process.kill()
    process.communicate()
    for _ in range(100):
        if not group(process.pid):
            break
        time.sleep(0.1)
    assert not group(process.pid)
    done = sum(len(read_part(path)) for path in folder.glob("*.arrow"))
    assert 2 <= done < 60
    assert numbers(count(files, tmp_path / "o.parquet")) == (60 - done, 0, done)


def test_a_limit_may_be_longer_than_any_clock_can_tell() -> None:
    with limited(home=0, seconds=1e300):
        pass
    with limited(home=0, seconds=float("inf")):
        pass


def group(leader: int) -> list[int]:
    """Processes of a group that are alive."""
    found = subprocess.run(["ps", "-eo", "pid,pgid,stat"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()[1:]]
    return [int(pid) for pid, pgid, state in rows if int(pgid) == leader and not state.startswith("Z")]


# --- progress ----------------------------------------------------------------------------------------------------


def test_the_first_task_is_one_file_since_nobody_knows_how_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def runner(n_jobs: int) -> Any:
        def work(tasks: Iterable[Task]) -> Reports:
            for task in tasks:
                sizes.append(len(task.files))
                yield Report(do(task).files, 3.0 * len(task.files))  # said to have taken 3 s each

        return work

    monkeypatch.setattr("featkit.parts.drive.runner", runner)
    count(texts(tmp_path / "t", *["a"] * 3), tmp_path / "o.parquet")
    assert sizes == [1, 1, 1]


def test_what_takes_long_is_kept_before_its_task_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featkit.parts.work.PART", 0.02)
    folder = Folder(tmp_path / "parts", "key")
    folder.path.mkdir()
    files = tuple(texts(tmp_path / "t", "slow", "slow", "slow"))
    do(Task(Letters(), folder, 1, files, ({}, {}, {}), "/", False, 60.0, os.getpid()))
    assert [len(read_part(path)) for path in folder.parts()] == [1, 1, 1]


@pytest.mark.usefixtures("here")
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_a_bar_is_shown_on_a_terminal_that_does_not_know_its_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    assert os.get_terminal_size(theirs).columns == 0
    with open(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        count(texts(tmp_path / "t", "a", "b"), tmp_path / "o.parquet", progress=True)
        assert b"0/2 [" in os.read(ours, 4096)
    os.close(ours)
