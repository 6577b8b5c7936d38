"""Thousands of files: workers that die, disks that are full, clusters, memory; the table stays what it is."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from joblib import Parallel, delayed
from speech import speech, write_wav

from featkit.bulk import extract_files
from featkit.errors import DataError, PluginError
from featkit.features import find_extractor
from featkit.parts import Options
from featkit.parts.cluster import on
from featkit.parts.output import SETTINGS_KEY
from featkit.parts.pool import own_processes
from featkit.sealed import SealedWriter
from featkit.store import mapped, read_table
from featkit.store.layout import ROW, Layout
from featkit.store.table import settings_of

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and hard links")


def links(folder: Path, n: int) -> list[str]:
    """Many files of a few clips."""
    folder.mkdir()
    first = [write_wav(folder / f"{i:05d}.wav", speech().waves[i]) for i in range(4)]
    for i in range(4, n):
        os.link(first[i % 4], folder / f"{i:05d}.wav")
    return sorted(map(str, folder.iterdir()))


def test_whatever_happens_to_a_run_the_table_is_the_same_or_the_damage_is_named() -> None:
    few = ["--clips=60", "--kills=1", "--terms=0", "--flips=6", "--step=1500", "--sizes=1"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "kill.py", *few], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"SIGKILL: .*1 SIGKILL", done.stdout)
    assert "bits in a table: 6 found by check, 6 named, 6 the same" in done.stdout
    assert "WRONG" not in done.stdout


def test_sigterm_ends_a_run_with_its_exit_code_and_the_next_one_goes_on(tmp_path: Path) -> None:
    files, log = links(tmp_path / "a", 3000), tmp_path / "log"
    command = [sys.executable, "-m", "featkit", "extract", str(tmp_path / "a"), "-o", str(tmp_path / "o.parquet")]
    process = subprocess.Popen([*command, "--log-json", str(log)], stderr=subprocess.PIPE)
    while not list(tmp_path.glob("o.parquet.parts/*.arrow")):
        assert process.poll() is None
        time.sleep(0.02)
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert '"event": "end", "error": "143"' in log.read_text()
    done = sum(int(path.name.partition("-")[0]) > 0 for path in tmp_path.glob("o.parquet.parts/*.arrow"))
    assert 0 < done < len(files)
    with pytest.raises(DataError, match=r"was made with other settings"):
        extract_files(files, tmp_path / "o.parquet", "logmel")


def test_a_second_worker_is_started_only_where_there_is_work_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = links(tmp_path / "a", 60)
    asked: list[int] = []

    def runner(n_jobs: int) -> object:
        asked.append(n_jobs)
        return lambda tasks: (report for report in map(do_here, tasks))

    from featkit.parts.work import do as do_here

    monkeypatch.setattr("featkit.parts.drive.alone", lambda tasks: map(do_here, tasks))
    monkeypatch.setattr("featkit.parts.drive.Driver._follow", follow)
    monkeypatch.setattr("featkit.parts.drive.runner", runner)
    monkeypatch.setattr("featkit.parts.drive._MOST_FILES", 8)
    rest: list[int] = []
    monkeypatch.setattr(sys.modules[__name__], "REST", rest)
    assert own_processes()
    extract_files(files, tmp_path / "o.parquet", options=Options(n_jobs=2))
    assert rest == [60, 0]
    rest.clear()
    monkeypatch.setattr("featkit.parts.drive.WORTH", 1e-6)
    extract_files(files, tmp_path / "p.parquet", options=Options(n_jobs=2))
    alone, together = rest
    assert 0 < alone <= 16
    assert alone + together == 60
    assert (tmp_path / "o.parquet").read_bytes() == (tmp_path / "p.parquet").read_bytes()


REST: list[int] = []


def follow(driver: object, reports: Iterator[object]) -> None:
    """As `Driver._follow`, and takes down how many files each runner did."""
    n = 0
    for report in reports:
        driver._count(report)  # type: ignore[attr-defined]
        n += report.files  # type: ignore[attr-defined]
    REST.append(n)


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    """What is more for 8 000 files than for 500 are their names: less than a kilobyte each."""
    code = (
        "import resource, sys; from pathlib import Path; from joblib import parallel_config;"
        "from featkit.bulk import Extract, extract_files; from featkit.parts import Options;"
        "import numpy as np; values = np.zeros(351, np.float32);"
        "row = {'sha256': '0' * 64, 'quality': '', 'start': [0.], 'end': [1.], 'frames': [1], 'values': values};"
        "Extract.__call__ = lambda work, path: row;"
        "parallel_config(backend='threading');"
        "extract_files(sorted(map(str, Path(sys.argv[1]).iterdir()))[: int(sys.argv[2])], sys.argv[3],"
        " options=Options(n_jobs=2));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    folder = tmp_path / "a"
    links(folder, 8000)
    peaks = []
    for n in (500, 8000):
        words = [sys.executable, "-c", code, str(folder), str(n), str(tmp_path / f"{n}.parquet")]
        peaks.append(int(subprocess.run(words, capture_output=True, text=True, check=True).stdout))  # kB; macOS: bytes
    unit = 1024 if sys.platform == "darwin" else 1
    assert (peaks[1] - peaks[0]) / unit < 24_000


# --- frames that are more than memory holds ------------------------------------------------------------------------


def frames_table(path: Path, n: int, length: int = 20) -> list[Any]:
    """Write a table of noise in place of frames, ten rows to a row group. Returns the frames."""
    extractor, rng = find_extractor("mfcc39"), np.random.default_rng(0)
    names = extractor.names("frames")
    layout, settings = Layout(tuple(names), "frames"), settings_of(extractor.spec, "frames", names, True)
    schema = pa.schema([("file", pa.string()), *ROW, ("bytes", pa.int64()), ("mtime_ns", pa.int64())])
    writer = SealedWriter(path, layout.schema, {SETTINGS_KEY.decode(): json.dumps(settings)})
    values = [rng.normal(i % 2, 1, (length + i % 7, 39)).astype(np.float32) for i in range(n)]
    for first in range(0, n, 10):
        rows = [
            {"file": f"{i}.wav", "label": "ab"[i % 2], "start": [0.0], "end": [1.0], "frames": [len(values[i])],
             "values": values[i].ravel()}
            for i in range(first, min(n, first + 10))
        ]  # fmt: skip
        writer.write(layout.spread(pa.Table.from_pylist(rows, schema)))
    writer.close()
    return values


def open_files() -> list[str]:
    return [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]


linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc")


@linux
def test_many_frames_lie_in_a_file_without_a_name_until_they_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = frames_table(tmp_path / "t.parquet", 30)
    (tmp_path / "large").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "large"))
    in_memory = read_table(tmp_path / "t.parquet")
    monkeypatch.setattr("featkit.store.table.IN_MEMORY", 0)
    table = read_table(tmp_path / "t.parquet")
    for clip, frames, other in zip(table.features, wanted, in_memory.features, strict=True):
        np.testing.assert_array_equal(clip.values, frames)
        np.testing.assert_array_equal(other.values, frames)
        assert not clip.values.flags.writeable
    assert isinstance(table.features[3].values.base.base, np.memmap)  # type: ignore[union-attr]
    assert not list((tmp_path / "large").iterdir())
    assert any(str(tmp_path / "large") in name for name in open_files())
    del table, clip
    assert not any(str(tmp_path / "large") in name for name in open_files())


@linux
def test_workers_look_at_the_same_file() -> None:
    clips = mapped.on_disk([np.full((3, 2), i, np.float32) for i in range(4)], 2, 96)
    # A lambda, as workers cannot import this file; what is sent may be written to, what is mapped may not.
    seen = Parallel(n_jobs=2)(delayed(lambda clip: (clip.mean(), clip.flags.writeable))(clip) for clip in clips)
    assert seen == [(i, False) for i in range(4)]


def test_frames_for_which_there_is_no_room_are_refused_before_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames_table(tmp_path / "t.parquet", 4)
    monkeypatch.setattr("featkit.store.table.IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("", (), {"free": 10}))
    with pytest.raises(DataError, match=r"GB of frames cannot be kept there \(No space .*\); name a folder .* TMPDIR"):
        read_table(tmp_path / "t.parquet")


@linux
def test_a_disk_that_becomes_full_while_frames_are_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames_table(tmp_path / "t.parquet", 4)
    monkeypatch.setattr("featkit.store.table.IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: open("/dev/full", "wb", 0))  # noqa: SIM115
    with pytest.raises(DataError, match=r"0\.0 GB of frames cannot be kept there \(No space left on device\)"):
        read_table(tmp_path / "t.parquet")


@linux
def test_memory_does_not_grow_with_the_frames_that_a_network_learns_from(tmp_path: Path) -> None:
    """90 MB more of frames on disk are less than 9 MB more in memory: headers of arrays, names, labels."""
    code = (
        "import re, sys; from pathlib import Path; from featkit.corpus import read_corpus;"
        "from featkit.store import table; from featkit_backends import batches; from featkit import SERClassifier;"
        "table.IN_MEMORY = batches.KEPT = 0;"
        "corpus = read_corpus(sys.argv[1]);"
        "clf = SERClassifier('mfcc39', 'tdnn:channels=(4,4),epochs=1,crop=50');"
        "clf.fit(corpus.clips, corpus.labels); clf.predict_proba(corpus.clips);"
        "print(re.search(r'RssAnon:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    used = []
    # Every thread has a store of freed memory of its own, which differs from run to run.
    env = os.environ | {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    for n in (100, 500):
        frames_table(tmp_path / f"{n}.parquet", n, 1500)
        words = [sys.executable, "-c", code, str(tmp_path / f"{n}.parquet")]
        told = subprocess.run(words, capture_output=True, text=True, check=True, env=env).stdout
        used.append(int(told) / 1024)
    assert used[1] - used[0] < 9


# --- a cluster ---------------------------------------------------------------------------------------------------


def test_without_dask_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(PluginError, match="The scheduler tcp://x:1 needs the package 'distributed'"), on("tcp://x:1"):
        pass


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("featkit.parts.cluster._SECONDS", 1)
    with pytest.raises(DataError, match=r"tcp://127\.0\.0\.1:9: no Dask scheduler answers"), on("tcp://127.0.0.1:9"):
        pass


@contextmanager
def cluster(folder: Path, n_workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers, each a process."""
    place, log = folder / "scheduler.json", (folder / "dask.log").open("wb")
    common = [sys.executable, "-m", "dask"], ["--scheduler-file", str(place), "--no-dashboard"]
    start = [[*common[0], "scheduler", "--host", "127.0.0.1", "--port", "0", *common[1]]]
    start += [[*common[0], "worker", *common[1], "--nthreads", "1", "--no-nanny"]] * n_workers
    running = [subprocess.Popen(words, stdout=log, stderr=log, cwd=folder) for words in start]
    try:
        for _ in range(400):
            if place.exists() and place.read_text():
                break
            time.sleep(0.05)
        yield json.loads(place.read_text())["address"], running[1:]
    finally:
        for process in running:
            process.kill()
            process.wait()
        log.close()


@pytest.mark.filterwarnings("ignore")
def test_a_dask_worker_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    files = links(tmp_path / "a", 60)
    settings = {"window": 0.5, "hop": 0.01}  # 50 windows a second: a few seconds of work
    extract_files(files, tmp_path / "o.parquet", **settings)  # type: ignore[arg-type]
    (tmp_path / "wide").mkdir()
    output = tmp_path / "wide" / "o.parquet"
    with cluster(tmp_path, 2) as (address, workers):
        killer = (
            "import os, sys, time, glob\n"
            "while not glob.glob(sys.argv[1]): time.sleep(0.02)\n"
            f"os.kill(int(sys.argv[2]), {int(signal.SIGKILL)})"
        )
        watch = subprocess.Popen([sys.executable, "-c", killer, f"{output}.parts/*.arrow", str(workers[0].pid)])
        with on(address):
            found = extract_files(files, output, options=Options(n_jobs=-1), **settings)  # type: ignore[arg-type]
        watch.wait()
        assert workers[0].wait() == -signal.SIGKILL
    assert (found.done, found.failed) == (60, 0)
    assert output.read_bytes() == (tmp_path / "o.parquet").read_bytes()
