"""Does extraction lose or change anything, whatever happens to it? Ends with exit code 1 if it does.

    python benchmarks/kill.py [--clips 5000] [--kills 200] [--terms 50] [--flips 100] [--step 1] [--sizes 40] [--seed 0]

Clips are synthetic. A clean run gives the bytes that every other one must end with:

* runs that are killed at random moments: the whole group of processes, the parent alone, or one worker; in every second
  round two workers run at once, which so little work would not have;
* runs that are ended by SIGTERM;
* files that may not grow beyond a size, as on a full disk, and full disks of that size where one may be mounted;
* the last part of a run that was cut off, itself cut at every byte;
* single bits that change in the finished table, and in parts.

Nothing is removed by hand in between. A 0 leaves an attempt out, also as ``--step``; with other seeds long attempts can
be made in pieces.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import soundfile
from joblib import parallel_config

from featkit.bulk import extract_files
from featkit.datasets.synthetic import EMOTIONS, synthesise
from featkit.errors import DataError
from featkit.parts import Options
from featkit.store.upkeep import problems

FULL = (1, 200_000, 2_000_000)  # bytes of the smallest, middle and largest file or disk that is tried
SIZES = {"clips": 5000, "kills": 200, "terms": 50, "flips": 100, "step": 1, "sizes": 40, "seed": 0}
TWO = "from featkit.parts import drive; drive.WORTH = 0; from featkit.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), given.clips, given.seed)
        print(f"a clean run: {trial.seconds:.1f} s, {len(trial.clean)} bytes", flush=True)
        tried: list[tuple[str, Callable[[], Counter[str]]]] = [
            ("SIGKILL", lambda: trial.ended(signal.SIGKILL, given.kills)),
            ("SIGTERM", lambda: trial.ended(signal.SIGTERM, given.terms)),
            ("no space", lambda: trial.no_space(given.sizes)),
            ("a part cut off", lambda: trial.torn(given.step)),
            ("bits in a table", lambda: trial.flipped_table(given.flips)),
            ("bits in parts", lambda: trial.flipped_parts(given.flips)),
        ]
        wrong = 0
        for name, attempt in tried:
            counts = attempt()
            print(f"{name}: " + ", ".join(f"{n} {what}" for what, n in counts.items()), flush=True)
            wrong += counts["WRONG"]
    if wrong:
        raise SystemExit(f"{wrong} times the table was another one, and nobody said so.")


class Trial:
    """A folder of clips, the bytes of a clean table, and attempts to get others."""

    def __init__(self, folder: Path, n_clips: int, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.clips = folder / "clips"
        self.clips.mkdir()
        made = [synthesise(emotion, speaker, 0, 0)[:8000] for emotion in EMOTIONS for speaker in range(3)]
        for i in range(n_clips):
            if i < len(made):
                soundfile.write(self.clips / f"{i:06d}.wav", made[i], 16_000)
            else:
                os.link(self.clips / f"{i % len(made):06d}.wav", self.clips / f"{i:06d}.wav")
        (self.clips / "bad.wav").write_text("no audio")
        self.output = self.place("clean")
        begun = time.monotonic()
        code = subprocess.run(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        assert code == 1, code  # one file is bad
        self.seconds = time.monotonic() - begun
        self.clean = self.output.read_bytes()

    def place(self, name: str) -> Path:
        """A folder of its own for a table."""
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name / "f.parquet"

    def command(self, both: bool = False) -> list[str]:
        """What a user types; with ``both`` workers from the start."""
        start = ["-c", TWO] if both else ["-m", "featkit"]
        return [sys.executable, *start, "extract", str(self.clips), "-o", str(self.output), "-j", "2"]

    def judge(self) -> str:
        """Whether the table is what a clean run makes."""
        left = sorted(path.name for path in self.output.parent.iterdir())
        same = self.output.read_bytes() == self.clean and left == ["f.parquet", "f.parquet.failures.csv"]
        return "the same" if same else "WRONG"

    def ended(self, by: int, times: int) -> Counter[str]:
        """End runs by a signal at random moments; the last one, which nobody ends, must make the clean table."""
        found: Counter[str] = Counter()
        rounds = 0
        while found[signal.Signals(by).name] < times:
            rounds += 1
            self.output = self.place(f"{by}-{rounds}")
            while not self._comes_to_its_end(by, times, found, both=rounds % 2 == 0):
                pass
            found[self.judge()] += 1
            shutil.rmtree(self.output.parent)
        return found

    def _comes_to_its_end(self, by: int, times: int, found: Counter[str], both: bool) -> bool:
        """Start a run, and end it or a worker of it as long as it lives and ``times`` are not over."""
        name, said = signal.Signals(by).name, self.folder / "said"
        with said.open("wb") as errors:
            process = subprocess.Popen(self.command(both), stdout=errors, stderr=errors, start_new_session=True)
            while process.poll() is None:
                try:
                    process.wait(self.random.uniform(0, 1.3 * self.seconds) if found[name] < times else None)
                except subprocess.TimeoutExpired:
                    found[name] += self._end(process, by)
        if process.returncode == 1 and not self.output.exists():  # it gave up, and must have said why
            found["given up" if b"Error: The workers end" in said.read_bytes() else "WRONG"] += 1
        return process.returncode == 1 and self.output.exists()  # 1: one file is bad

    def _end(self, process: subprocess.Popen[bytes], by: int) -> int:
        if by == signal.SIGTERM:
            process.terminate()
            return 1
        victims: list[Callable[[], None]] = [lambda: os.killpg(process.pid, by), process.kill]
        if worker := next(iter(workers_of(process.pid)), None):
            victims.append(lambda: os.kill(worker, by))
        try:
            self.random.choice(victims)()
        except ProcessLookupError:
            return 0
        return 1

    def here(self, **options: Any) -> None:
        """Extract within this process."""
        with parallel_config(backend="threading"):
            files = sorted(self.clips.iterdir())[:60]
            extract_files(files, self.output, options=Options(n_jobs=2, **options))

    def no_space(self, sizes: int) -> Counter[str]:
        """Let files grow no larger than some sizes, or disks; then let them."""
        found: Counter[str] = Counter()
        for i in range(sizes):
            size = round(FULL[0] + (FULL[2] - FULL[0]) * (i / sizes) ** 3)
            self.output = self.place(f"size-{i}")
            with small_disk(self.output.parent, 4096 + size) as mounted:
                limit = None if mounted else lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
                done = subprocess.run(self.command(), capture_output=True, text=True, preexec_fn=limit)
                found["disks" if mounted else "limits"] += 1
                found["named"] += "cannot be written" in done.stderr
                if mounted:
                    subprocess.run(["mount", "-o", "remount,size=1G", str(self.output.parent)], check=True)
                subprocess.run(self.command(), capture_output=True)
                found[self.judge()] += 1
        return found

    def torn(self, step: int) -> Counter[str]:
        """Cut the last of the parts at every byte."""
        found: Counter[str] = Counter()
        clean, parts = self._begun()
        last = sorted(parts.glob("*.arrow"))[-1]
        for size in range(0, last.stat().st_size if step else 0, step or 1):
            copy = self._copy(parts)
            with open(copy / last.name, "rb+") as file:
                file.truncate(size)
            self.here()
            found["the same" if self.output.read_bytes() == clean else "WRONG"] += 1
        return found

    def flipped_parts(self, times: int) -> Counter[str]:
        """Change a bit of any file among the parts."""
        found: Counter[str] = Counter()
        clean, parts = self._begun()
        for _ in range(times):
            copy = self._copy(parts)
            self._flip(self.random.choice(sorted(path for path in copy.iterdir() if path.stat().st_size)))
            try:
                self.here()
            except DataError:
                found["named"] += 1
                self.here(overwrite=True)
            found["the same" if self.output.read_bytes() == clean else "WRONG"] += 1
        return found

    def flipped_table(self, times: int) -> Counter[str]:
        """Change a bit of the finished table: the next run and ``featkit store check`` must say so."""
        found: Counter[str] = Counter()
        self.output = self.place("table")
        self.here(overwrite=True)
        clean = self.output.read_bytes()
        for _ in range(times):
            self._flip(self.output)
            try:
                told = any(problems(self.output))
            except DataError:
                told = True
            found["found by check" if told else "WRONG"] += 1
            try:
                self.here()
                found["WRONG"] += 1
            except DataError:
                found["named"] += 1
            self.here(overwrite=True)
            found["the same" if self.output.read_bytes() == clean else "WRONG"] += 1
        return found

    def _flip(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        bit = self.random.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)

    def _begun(self) -> tuple[bytes, Path]:
        """The bytes of a clean table, and the parts of a run that was cut off before its end."""
        self.output = self.place("parts")
        self.here(overwrite=True)
        clean = self.output.read_bytes()
        self.output = self.place("begun")
        victim = sorted(self.clips.iterdir())[50]
        content = victim.read_bytes()
        kept = victim.stat()
        victim.unlink()
        victim.write_text("no audio")
        with suppress(DataError):
            self.here(strict=True, overwrite=True)
        victim.unlink()
        victim.write_bytes(content)
        os.utime(victim, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        return clean, self.output.with_name("f.parquet.parts")

    def _copy(self, parts: Path) -> Path:
        self.output = self.place("copy")
        shutil.rmtree(self.output.parent)
        shutil.copytree(parts, self.output.with_name(parts.name))
        return self.output.with_name(parts.name)


def workers_of(process: int) -> list[int]:
    """Workers that a process has started; joblib starts another that only clears up behind them."""
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(process)], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "popen_loky" in line]


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """Mount a disk of so many bytes, where that may be done."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


if __name__ == "__main__":
    main()
