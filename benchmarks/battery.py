"""What becomes of a run of which one file is bad: in featkit, opensmile's ``process_files``, a loop over librosa.

    python benchmarks/battery.py [--seconds 10] [--show]

Each kind of file of ``tests/battery`` stands between two good ones, and the three are given to each tool as its
documentation has it, in a process of their own that may take so many seconds and 4 GB of address space.
"""

from __future__ import annotations

import argparse
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path[0] = str(Path(__file__).parents[1] / "tests")  # instead of this folder, which has a battery too

import numpy as np
from battery.kinds import Kind, written
from battery.test_door import KINDS

from featkit.tables import markdown

MEMORY = 4 << 30


class Row(NamedTuple):
    """What a tool gave for the file in the middle; no values where it said which file it could not use."""

    values: Any
    seconds: float | None


Tool = Callable[[list[str]], Row]


def featkit(features: str) -> Tool:
    from featkit.extraction import extract_all
    from featkit.features.base import find_extractor

    extractor = find_extractor(features)
    extract_all([written("warm.wav")(Path(tempfile.mkdtemp()))], extractor)

    def rows(files: list[str]) -> Row:
        found, failures = extract_all(files, extractor)
        assert found[0] is not None and found[2] is not None  # noqa: PT018
        if found[1] is None:
            assert [failure.clip for failure in failures] == [files[1]]
            return Row(None, None)
        return Row(found[1].values, None)

    return rows


def process_files() -> Tool:
    import opensmile

    level = opensmile.FeatureLevel.Functionals
    smile = opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=level)

    def rows(files: list[str]) -> Row:
        table = smile.process_files(files)
        end = table.index.get_level_values("end")[1]
        return Row(table.to_numpy()[1], end.total_seconds())

    return rows


def librosa_loop() -> Tool:
    import librosa

    def rows(files: list[str]) -> Row:
        found, seconds = [], []
        for file in files:
            wave, rate = librosa.load(file, sr=16_000)
            mfcc = librosa.feature.mfcc(y=wave, sr=rate, n_mfcc=13)
            found.append(np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)]))
            seconds.append(wave.size / rate)
        return Row(found[1], seconds[1])

    rows([str(written("warm.wav")(Path(tempfile.mkdtemp())))] * 3)
    return rows


TOOLS: dict[str, Callable[[], Tool]] = {
    "featkit, mfcc39": lambda: featkit("mfcc39"),
    "featkit, egemaps": lambda: featkit("egemaps"),
    "opensmile.process_files": process_files,
    "loop over librosa": librosa_loop,
}


def judged(kind: Kind, row: Row) -> str:
    """What a row is worth."""
    if row.values is None:
        return "named"
    values = np.asarray(row.values, dtype=float)
    if not np.isfinite(values).all():
        return "NaN or Inf"
    if np.ptp(values) == 0 or np.count_nonzero(values) == 0:
        return "constant"
    if kind.refused:
        return "no whole recording"
    if None not in (row.seconds, kind.seconds) and abs(row.seconds - kind.seconds) > max(0.1, 2 * kind.slack):
        return "wrong length"
    return "row"


def apart(tool: Tool, kind: Kind, files: list[str], seconds: float) -> str:
    """The fate of a run, in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.close(reading)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        warnings.simplefilter("ignore")
        try:
            said = judged(kind, tool(files))
        except BaseException as error:
            said = f"exception {type(error).__name__}"
        os.write(writing, pickle.dumps(said))
        os._exit(0)
    os.close(writing)
    deadline = time.monotonic() + seconds
    status = None
    while status is None and time.monotonic() < deadline:
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            status = code
        else:
            time.sleep(0.002)
    if status is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as file:
        answer = file.read()
    if answer:
        return str(pickle.loads(answer))
    return "hang" if status is None else f"crash {os.waitstatus_to_exitcode(status)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="for a run of three files")
    parser.add_argument("--show", action="store_true", help="print the kinds that went wrong")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as root:
        good = str(written("good.wav")(Path(root)))
        files = {}
        for i, kind in enumerate(KINDS):
            folder = Path(root) / str(i)
            folder.mkdir()
            files[kind.name] = str(kind.make(folder))
        for name, make in TOOLS.items():
            tool = make()
            fates = {kind: apart(tool, kind, [good, files[kind.name], good], options.seconds) for kind in KINDS}
            rows.append(summary(name, fates))
            if options.show:
                for kind, fate in fates.items():
                    if fate not in ("row", "named"):
                        print(f"{name}: {kind.name}: {fate}", file=sys.stderr)
    print(f"{len(KINDS)} kinds of files, of which {sum(not kind.refused for kind in KINDS)} can be used\n")
    print(markdown(rows))


def summary(name: str, fates: dict[Kind, str]) -> dict[str, str]:
    counts = Counter(fate.split()[0] for fate in fates.values())
    usable = sum(not kind.refused for kind in fates)
    kept = sum(not kind.refused and fate == "row" for kind, fate in fates.items())
    ended = counts["exception"] + counts["crash"] + counts["hang"]
    return {
        "tool": name,
        "rows of usable files": f"{kept} of {usable}",
        "named, run goes on": str(counts["named"]),
        "ends the run": str(ended),
        "of it hangs, crashes": f"{counts['hang']}, {counts['crash']}",
        "NaN or Inf": str(counts["NaN"]),
        "constant": str(counts["constant"]),
        "numbers of no whole recording": str(counts["no"]),
        "wrong length": str(counts["wrong"]),
    }


if __name__ == "__main__":
    main()
