"""``featkit extract`` and ``featkit store``: what they take, what they say, their exit codes, and what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from joblib import parallel_config
from speech import speech, write_manifest, write_wav

from featkit.cli import cli
from featkit.store import read_table


def run(*words: object, input: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)), prog_name="featkit", input=input)


def extract(*words: object, input: bytes | None = None) -> Result:
    return run("extract", *words, "-j", 2, input=input)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Workers that start at once."""
    with parallel_config(backend="threading"):
        yield


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    for i, name in enumerate(["a.wav", "b/a.wav", "b/c/ü 2.wav"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_wav(folder / name, speech().waves[i])
    return folder


@pytest.fixture
def names(clips: Path) -> list[str]:
    return [str(clips / name) for name in ("a.wav", "b/a.wav", "b/c/ü 2.wav")]


def files(table: Path) -> list[str]:
    return pd.read_parquet(table)["file"].tolist()


# --- inputs ------------------------------------------------------------------------------------------------------


def test_a_folder_is_searched_and_the_last_line_counts(tmp_path: Path, clips: Path, names: list[str]) -> None:
    (clips / "b" / "loop").symlink_to(clips)
    output = tmp_path / "o.parquet"
    result = extract(clips, "-o", output)
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [f"{output}: 3 clips × 351 mfcc39 functionals", f"{output}: 3 done, 0 failed, 0 skipped"],
    ), result.output
    assert files(output) == names
    again = extract(clips, "-o", output)
    assert again.stdout.splitlines()[-1] == f"{output}: 0 done, 0 failed, 3 skipped"


def test_a_pattern_names_the_files_that_fit(tmp_path: Path, clips: Path, names: list[str]) -> None:
    assert extract(clips / "**" / "a.wav", "-o", tmp_path / "o.parquet").exit_code == 0
    assert files(tmp_path / "o.parquet") == names[:2]
    result = extract(clips / "*.mp3", "-o", tmp_path / "p.parquet")
    assert (result.exit_code, "*.mp3: no file fits this pattern." in result.stderr) == (1, True)


@pytest.mark.parametrize("null", [False, True])
def test_standard_input_names_files_one_a_line_or_ended_by_nul(
    tmp_path: Path, clips: Path, names: list[str], null: bool
) -> None:
    odd = [str(clips / "two\nlines.wav")] if null else []
    for path in odd:
        os.link(names[0], path)
    end = b"\0" if null else b"\r\n"
    content = b"".join(os.fsencode(name) + end for name in [*names[::-1], *odd]) + (b"" if null else b"\n")
    assert extract(*["--null"] * null, "-", "-o", tmp_path / "o.parquet", input=content).exit_code == 0
    assert files(tmp_path / "o.parquet") == [*names[::-1], *odd]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_a_name_on_standard_input_that_is_no_text_comes_through(tmp_path: Path, names: list[str]) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.wav"
    os.link(os.fsencode(names[0]), path)
    assert extract("-", "-o", tmp_path / "o.parquet", input=path).exit_code == 0
    assert files(tmp_path / "o.parquet") == [f"{tmp_path}/\\udcff.wav"]


def test_a_manifest_gives_labels_speakers_and_sentences(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path)
    for words in ([manifest], ["--data", manifest]):
        result = extract(*words, "-o", tmp_path / "o.parquet", "--overwrite")
        assert result.exit_code == 0, result.output
        table = read_table(tmp_path / "o.parquet")
        assert table.labels == speech().labels.tolist()
        assert table.speakers == speech().speakers.tolist()
        assert table.texts[:2] == ["t0", "t1"]


def test_several_corpora_are_joined_and_their_speakers_kept_apart(tmp_path: Path) -> None:
    first = write_manifest(tmp_path)
    (tmp_path / "lab").mkdir()
    write_wav(tmp_path / "lab" / "x.wav", speech().waves[0][::-1].copy())
    (tmp_path / "lab" / "lab.csv").write_text("file,label,speaker,text\nx.wav,anger,s0,t0\n")
    result = extract("--data", first, "--data", tmp_path / "lab" / "lab.csv", "-o", tmp_path / "o.parquet")
    assert result.exit_code == 0, result.output
    table = read_table(tmp_path / "o.parquet")
    assert len(table.files) == 25
    assert (table.speakers[0], table.speakers[-1], table.texts[-1]) == ("clips.csv/s0", "lab.csv/s0", "lab.csv/t0")


def test_a_file_in_two_corpora_has_no_two_labels(tmp_path: Path) -> None:
    first = write_manifest(tmp_path)
    (tmp_path / "other.csv").write_text("file,label,speaker,text\n03.wav,fear,s0,t0\n")
    result = extract("--data", first, "--data", tmp_path / "other.csv", "-o", tmp_path / "o.parquet")
    assert result.exit_code == 1
    assert "03.wav' stands in two of the corpora; a table has one label for a file: name one" in result.stderr
    assert not (tmp_path / "o.parquet").exists()


def test_tables_of_features_are_not_extracted_again(tmp_path: Path) -> None:
    extract("--data", write_manifest(tmp_path), "-o", tmp_path / "f.parquet")
    result = extract("--data", tmp_path / "f.parquet", "--data", tmp_path / "f.parquet", "-o", tmp_path / "o.parquet")
    assert result.exit_code == 1
    assert "holds features; this command listens: name the corpus with the recordings" in result.stderr


def test_odd_names_are_files_like_others(tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-rf.wav", "a [1].wav", "--null"):
        os.link(names[0], name)
    assert run("extract", "-o", "o.parquet", "-j", 2, "--", "-rf.wav", "a [1].wav", "--null", "-rf.wav").exit_code == 0
    assert files(Path("o.parquet")) == ["-rf.wav", "a [1].wav", "--null"]


# --- what it says ------------------------------------------------------------------------------------------------


def test_bad_files_are_counted_and_some_are_shown(tmp_path: Path, clips: Path) -> None:
    for i in range(12):
        (clips / f"{i:02d}.wav").touch()
    result = extract(clips, "-o", tmp_path / "o.parquet")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == f"{tmp_path}/o.parquet: 3 done, 12 failed, 0 skipped"
    lines = result.stderr.splitlines()
    assert lines[:2] == ["12 of 15 files could not be used:", f"  {clips}/00.wav: the file is empty (0 bytes)"]
    told = f"{tmp_path}/o.parquet.failures.csv has them all; --retry-failed tries them again."
    assert lines[-2:] == ["  … and 2 more", told]
    write_wav(clips / "00.wav", speech().waves[7])
    again = extract(clips, "-o", tmp_path / "o.parquet", "--retry-failed")
    assert again.stdout.endswith("1 done, 11 failed, 3 skipped\n")


def test_if_no_file_can_be_used_one_line_says_why(tmp_path: Path) -> None:
    result = extract(tmp_path / "none.wav", "-o", tmp_path / "o.parquet")
    told = f"Error: None of 1 files can be used. The first: {tmp_path}/none.wav: there is no such file.\n"
    assert (result.exit_code, result.stderr) == (1, told)


def test_strict_ends_with_the_first_bad_file(tmp_path: Path, clips: Path) -> None:
    (clips / "0.wav").touch()
    result = extract(clips, "-o", tmp_path / "o.parquet", "--strict")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "0.wav: the file is empty (0 bytes). This is the first failure (--strict)" in result.stderr


def test_the_log_is_for_programs(tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featkit.parts.log.MOST", 2)
    monkeypatch.setattr("featkit.parts.drive.Driver._in_a_part", lambda driver: 1)
    for i in range(5):
        (clips / f"{i}.wav").touch()
    log = tmp_path / "logs" / "run.jsonl"
    extract(clips, "-o", tmp_path / "o.parquet", "--log-json", log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "warning", "warning", "end"]
    assert (lines[0]["files"], lines[0]["todo"], lines[0]["skipped"]) == (8, 8, 0)
    assert lines[1]["first"].endswith("the file is empty (0 bytes)")
    assert lines[-1]["summary"] == {"done": 3, "failed": 5, "skipped": 0}
    assert (lines[-1]["done"], lines[-1]["failed"], lines[-1]["warnings_left_out"]) == (3, 5, 3)
    assert lines[-1]["files_per_second"] > 0
    monkeypatch.setattr("featkit.parts.log.EVERY", 0.0)
    extract(clips, "-o", tmp_path / "o.parquet", "--log-json", log, "--overwrite")
    again = [json.loads(line) for line in log.read_text().splitlines()][len(lines) :]
    assert [line["event"] for line in again].count("progress") == 8
    assert again[-2]["seconds_left"] == 0
    extract(clips, "-o", tmp_path / "o.parquet", "--log-json", log, "--window", 1)
    assert "was made with other settings" not in log.read_text()  # nothing had begun


def test_a_run_that_ends_with_an_error_says_so_in_the_log(tmp_path: Path, clips: Path) -> None:
    (clips / "0.wav").touch()
    extract(clips, "-o", tmp_path / "o.parquet", "--strict", "--log-json", tmp_path / "log")
    last = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert (last["event"], "This is the first failure" in last["error"]) == ("end", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Name audio files or folders, or a corpus with --data."),
        (["a.wav", "--data", "synthetic"], "Name audio files or folders, or a corpus with --data."),
        (["a.wav", "-o", "o.txt"], "--output must end in .parquet, .csv, .arff or .npz; it is 'o.txt'."),
        (["a.wav", "--hop", "1"], "hop is the distance between windows; give their length with window"),
        (["a.wav", "--window", "1", "--hop", "2"], "The hop is 2.0 s; it must lie between"),
        (["a.wav", "--timeout", "1e300"], "1e+300 is not in the range 1<=x<=86400"),
        (["a.wav", "--set", "mfcc39", "--set", "logmel"], "--set is given 2 times; extract takes one."),
        (["a.wav", "--features", "mfcc39", "--set", "logmel"], "--features is given 2 times; extract takes one."),
        (["a.wav", "--jobs", "0"], "0 is no number of workers; give 1 or more, or -1 for all cores"),
        (["a.wav", "--shard", "5/4"], "'5/4' is no shard; the third of 64 is written 3/64."),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(words: list[str], message: str) -> None:
    output = [] if "-o" in words else ["-o", "o.parquet"]
    result = run("extract", *output, *words)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_features_and_set_are_one_option_everywhere(tmp_path: Path, clips: Path) -> None:
    for command in ("extract", "fit", "tune", "evaluate", "benchmark"):
        (one,) = [param for param in cli.commands[command].params if "--set" in param.opts]
        assert one.opts == ["--features", "--set"]
    for word in ("--set", "--features"):
        assert extract(clips, word, "logmel", "-o", tmp_path / f"{word}.parquet").exit_code == 0
    assert (tmp_path / "--set.parquet").read_bytes() == (tmp_path / "--features.parquet").read_bytes()


# --- shards and the store ----------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    manifest = write_manifest(tmp_path)
    (tmp_path / "24.wav").touch()
    with manifest.open("a") as file:
        file.write("24.wav,anger,s0,t0\n")
    for k in (1, 2, 3):
        extract("--data", manifest, "-o", tmp_path / "s.parquet", "--shard", f"{k}/3")
    assert extract("--data", manifest, "-o", tmp_path / "all.parquet").stdout.endswith("24 done, 1 failed, 0 skipped\n")
    return [tmp_path / f"s-{k}-of-3.parquet" for k in (1, 2, 3)]


def test_merged_shards_are_the_table_of_one_run(tmp_path: Path, shards: list[Path]) -> None:
    result = run("store", "merge", *shards[::-1], "-o", tmp_path / "m.parquet")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/m.parquet: 24 files of 3 tables, 1 failed\n")
    assert (tmp_path / "m.parquet").read_bytes() == (tmp_path / "all.parquet").read_bytes()
    assert (tmp_path / "m.parquet.failures.csv").read_bytes() == (tmp_path / "all.parquet.failures.csv").read_bytes()
    assert not list(tmp_path.glob("*.parts"))
    refused = run("store", "merge", *shards, "-o", tmp_path / "m.parquet")
    assert (refused.exit_code, "m.parquet: is there, or half made" in refused.stderr) == (1, True)
    assert run("store", "merge", *shards, "-o", tmp_path / "m.parquet", "--overwrite").exit_code == 0


def test_a_merge_that_was_cut_off_is_done_anew(
    tmp_path: Path, shards: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patch:
        patch.setattr("featkit.store.merge.join", stop)
        run("store", "merge", *shards, "-o", tmp_path / "m.parquet")
    assert (tmp_path / "m.parquet.parts").exists()
    assert run("store", "merge", *shards, "-o", tmp_path / "m.parquet").exit_code == 0
    assert (tmp_path / "m.parquet").read_bytes() == (tmp_path / "all.parquet").read_bytes()


def test_what_does_not_belong_together_is_not_merged(tmp_path: Path, shards: list[Path]) -> None:
    extract("--data", tmp_path / "clips.csv", "--set", "logmel", "-o", tmp_path / "other.parquet")
    (tmp_path / "foreign.parquet").write_bytes(b"PAR1")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(bytes([shards[0].read_bytes()[0] ^ 1]) + shards[0].read_bytes()[1:])
    for tables, told in (
        ([shards[0], shards[2]], "s: shard 2 of 3 is missing; extract it"),
        ([tmp_path / "all.parquet", *shards], "stands in two of these tables"),
        ([*shards, tmp_path / "other.parquet"], "parquet: the set is logmel here and mfcc39 there. Extract it"),
        (
            [*shards, tmp_path / "none.parquet"],
            "none.parquet: there is no such feature table; make one with featkit extract",
        ),
        ([tmp_path / "foreign.parquet"], "foreign.parquet: is damaged or not a Parquet file"),
        ([cut], "cut.parquet has lost or changed bits"),
    ):
        result = run("store", "merge", *tables, "-o", tmp_path / "m.parquet")
        assert (result.exit_code, told in result.stderr, result.stderr.count("\n")) == (1, True, 1), result.stderr
    assert not (tmp_path / "m.parquet").exists()


def test_an_unfinished_run_is_not_merged_over(tmp_path: Path, shards: list[Path]) -> None:
    (tmp_path / "m.parquet.parts").mkdir()
    assert "half made" in run("store", "merge", *shards, "-o", tmp_path / "m.parquet").stderr


def test_a_shard_stays_the_same_whatever_other_files_come(tmp_path: Path, clips: Path) -> None:
    def shard(k: int) -> set[str]:
        extract(clips, "-o", tmp_path / "s.parquet", "--shard", f"{k}/2", "--overwrite")
        return set(files(tmp_path / f"s-{k}-of-2.parquet"))

    for i in range(8):
        os.link(clips / "a.wav", clips / f"{i}.wav")
    first, second = shard(1), shard(2)
    assert first | second == {str(path) for path in clips.rglob("*.wav")}
    assert not first & second
    os.link(clips / "a.wav", clips / "0a.wav")
    assert first <= shard(1)


def test_a_shard_without_files_is_a_table_without_rows(tmp_path: Path, clips: Path) -> None:
    for k in range(1, 10):
        assert extract(clips / "a.wav", "-o", tmp_path / "s.parquet", "--shard", f"{k}/9").exit_code == 0
    shards = sorted(tmp_path.glob("s-*.parquet"))
    assert run("store", "merge", *shards, "-o", tmp_path / "m.parquet").stdout.endswith(
        "1 file of 9 tables, 0 failed\n"
    )


def test_info_tells_what_made_a_table(tmp_path: Path, clips: Path) -> None:
    extract(clips, "-o", tmp_path / "o.parquet", "--set", "mfcc39:n_mels=30", "--window", 0.5)
    told = run("store", "info", tmp_path / "o.parquet").stdout
    for text in ('"n_mels": 30', "351 dims, windows of 0.5 s every 0.5 s", "of 3 files", "not known", "onnxruntime"):
        assert text in told


def test_check_finds_damage_parts_and_recordings_that_changed(tmp_path: Path, clips: Path) -> None:
    output = tmp_path / "o.parquet"
    extract(clips, "-o", output)
    assert run("store", "check", output, "--files").stdout == "No problem found.\n"
    stamp = os.stat(clips / "a.wav")
    write_wav(clips / "a.wav", speech().waves[0][::-1].copy())
    os.utime(clips / "a.wav", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (clips / "b" / "a.wav").unlink()
    assert run("store", "check", output).exit_code == 0
    result = run("store", "check", output, "--files")
    assert (result.exit_code, result.stdout.splitlines()) == (
        1,
        [
            f"{clips}/a.wav: is another file than its features are of; touch it and extract again.",
            f"{clips}/b/a.wav: No such file or directory; its features are of what was there.",
        ],
    )
    parts = tmp_path / "p.parquet.parts"
    parts.mkdir()
    (parts / "00000001-0123456789abcdef.arrow").write_bytes(b"ARROW1")
    lines = run("store", "check", tmp_path / "p.parquet").stdout.splitlines()
    assert "00000001-0123456789abcdef.arrow: is damaged; give the command again" in lines[0]
    assert lines[1] == f"{tmp_path}/p.parquet: is not finished; give the same command again."
    pq.write_table(pq.read_table(output), output)
    assert "o.parquet: was written by another program" in run("store", "check", output).stdout
    assert "there is no such feature table" in run("store", "check", tmp_path / "none.parquet").stderr


@pytest.mark.parametrize(
    "words",
    [
        ["extract", "CLIPS", "-o", "o.parquet"],
        ["store", "info", "t.parquet"],
        ["store", "check", "t.parquet"],
        ["store", "merge", "t.parquet", "u.parquet", "-o", "o.parquet"],
    ],
)
def test_without_pyarrow_the_pip_line_is_given(words: list[str], tmp_path: Path, clips: Path) -> None:
    code = "import sys; sys.modules['pyarrow'] = None; from featkit.cli import cli; cli()"  # in a process of its own
    given = [str(clips) if word == "CLIPS" else word for word in words]
    done = subprocess.run([sys.executable, "-c", code, *given], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "pip install 'featkit[parquet]'" in done.stderr) == (1, True), done.stderr
