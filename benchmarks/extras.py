"""Whether each extra brings what it promises: installed alone, into an empty environment, and put to work.

    python benchmarks/extras.py [--only torch] [--wheel dist/featkit-0.1.0-py3-none-any.whl] [--python python3.13]

Of each extra: how many packages and megabytes it adds to featkit without extras, how long its installation takes,
whether one real command works with it, and whether the same command without it ends in one line that says what to
install. Ends with exit code 1 where anything is not so. pip's cache makes a second run quick; an environment is removed
as soon as it is measured. `mobile`, 1 GB beside torch, is measured only where it is named.

torch comes first and in the version of constraints.txt. A build with CUDA is refused before it is downloaded: name the
place of a CPU build, for Linux ``PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu``.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from featkit.tables import markdown

ROOT = Path(__file__).parents[1]
TIMEOUT = 900
"""Seconds that a command, and pip, may take."""

CLIPS = """
import shutil
from pathlib import Path
from featkit.datasets import open_dataset
Path("clips").mkdir()
clips = list(open_dataset("synthetic").clips())
for number, clip in zip(range(4), clips):
    shutil.copy(clip.path, f"clips/{number}.wav")
rows = [f"{clip.path},{clip.label},{clip.speaker}" for clip in clips]
Path("manifest.csv").write_text("\\n".join(["file,label,speaker", *rows]))
"""
ENCODER = """
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model
config = Wav2Vec2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
    conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4)
Wav2Vec2Model(config).save_pretrained("encoder")
Wav2Vec2FeatureExtractor().save_pretrained("encoder")
"""
TABLE = """
import numpy as np
from featkit import Functionals
waves = np.random.default_rng(0).normal(0, 0.1, (2, 16_000)).astype(np.float32)
print(Functionals().set_output(transform="pandas").fit_transform(waves).columns[0])
"""
ASK = """
import subprocess, sys, urllib.request
command = [sys.executable, "-m", "featkit", "serve", "base.onnx", "--port", "0"]
server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
server.stdout.readline()
address = server.stdout.readline().split()
if address:
    print(urllib.request.urlopen(address[0], timeout=60).status)
    server.terminate()
sys.exit(0 if address else server.wait())
"""
CLUSTER = """
import subprocess, sys
def main(address):
    command = [sys.executable, "-m", "featkit", "extract", "clips", "-o", "dask.parquet", "--overwrite"]
    return subprocess.call([*command, "--scheduler", address])
if __name__ == "__main__":
    try:
        from distributed import LocalCluster
    except ModuleNotFoundError:
        sys.exit(main("tcp://127.0.0.1:9"))
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        code = main(cluster.scheduler_address)
    sys.exit(code)
"""
SCRIPTS = {"clips": CLIPS, "encoder": ENCODER, "table": TABLE, "ask": ASK, "cluster": CLUSTER}


class Extra(NamedTuple):
    """The commands that show an extra at work; the last of them is also tried without it."""

    commands: tuple[str, ...]
    told: str = ""
    """What stands in the line of who has it not, where that is not the pip line of the extra itself."""


FIT = "featkit fit --data synthetic -o {name}.onnx"
NETWORK = f"{FIT.format(name='network')} --backend mlp:epochs=2"
EXTRAS = {
    "opensmile": Extra((f"{FIT.format(name='egemaps')} --features egemaps",)),
    "xgboost": Extra((f"{FIT.format(name='xgboost')} --backend xgboost",)),
    "torch": Extra((NETWORK,)),
    "wav2vec2": Extra(("python encoder.py", f"{FIT.format(name='wav2vec2')} --features wav2vec2:model=encoder")),
    "augment": Extra(("featkit augment --augment pitch --copies 1 clips varied",)),
    "plot": Extra(("featkit benchmark --data synthetic --backend svm --cv 2 -o report",)),
    "parquet": Extra(("featkit extract clips -o features.parquet --overwrite",)),
    "pandas": Extra(("python table.py",), "requires pandas to be installed"),
    "serve": Extra(("python ask.py",)),
    "live": Extra(("featkit stream base.onnx --list-devices",)),
    "dask": Extra(("python cluster.py",), "pip install 'featkit[parquet]'"),  # pyarrow is missed before Dask is
    "docs": Extra((f"mkdocs build --strict --quiet -f {shlex.quote(str(ROOT / 'mkdocs.yml'))} -d site",)),
    "mobile": Extra((NETWORK, "featkit export network.onnx --to tflite -o phone")),
}
WITH_TORCH = {"torch", "wav2vec2", "mobile"}
NO_COMMAND_OF_OURS = {"docs"}  # so there is none that could tell what is missing


class WrongError(Exception):
    """Something is not as it should be; the message goes into the table."""


class Environment:
    """A virtual environment in a folder of its own."""

    def __init__(self, folder: Path, python: str) -> None:
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        self.folder = folder
        self.bin = folder / ("Scripts" if sys.platform == "win32" else "bin")
        self.empty = self.packages(), self.megabytes()

    def pip(self, *words: str) -> str:
        """Let pip do something. -> what it prints."""
        pip = [str(self.bin / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        done = subprocess.run([*pip, *words], capture_output=True, text=True, timeout=TIMEOUT)
        if done.returncode:
            raise WrongError(f"pip: {last_line(done.stderr)}")
        return done.stdout

    def run(self, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run one of its programs in a folder."""
        program, *words = shlex.split(command)
        return subprocess.run(
            [str(self.bin / program), *words], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def packages(self) -> int:
        """How many are installed."""
        return len(list(self.folder.rglob("*.dist-info")))

    def megabytes(self) -> float:
        """What its files hold, with the bytecode that pip makes of them."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())
        return sum(path.stat().st_size for path in files) / 1e6


def last_line(text: str) -> str:
    """The last line that is not empty, or a word where there is none."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "not a word")


def cpu_torch(environment: Environment) -> None:
    """Install torch as constraints.txt has it, if that is no build with CUDA."""
    pinned = next(
        line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line.startswith("torch==")
    )
    plan = json.loads(environment.pip("install", "--dry-run", "--report", "-", pinned))
    if any(re.match("nvidia|cuda", item["metadata"]["name"].lower()) for item in plan["install"]):
        raise WrongError(f"not installed: {pinned} would come with CUDA; name the place of a CPU build")
    environment.pip("install", pinned)


def at_work(environment: Environment, commands: tuple[str, ...], folder: Path) -> str:
    """Run the commands; all must end well."""
    for command in commands:
        done = environment.run(command, folder)
        if done.returncode:
            raise WrongError(f"{command.split()[0]}: {last_line(done.stderr)}")
    return "works"


def without(base: Environment, name: str, folder: Path) -> str:
    """Run the last command where the extra is not installed: one line must say what to install."""
    if name in NO_COMMAND_OF_OURS:
        return "–"
    extra = EXTRAS[name]
    done = base.run(extra.commands[-1], folder)
    told = extra.told or f"pip install 'featkit[{name}]'"
    if told not in last_line(done.stderr) or ("Traceback" in done.stderr and not extra.told):
        raise WrongError(last_line(done.stderr))
    return told


def measured(name: str, base: Environment, wheel: Path, python: str, folder: Path) -> dict[str, str]:
    """The row of one extra."""
    row = {"extra": name, "packages": "", "MB": "", "s": "", "with it": "", "without it": ""}
    with tempfile.TemporaryDirectory(prefix="featkit-packaging-") as place:
        try:
            environment = Environment(Path(place), python)
            if name in WITH_TORCH:
                cpu_torch(environment)
            begun = time.monotonic()
            environment.pip("install", f"{wheel}[{name}]")
            row["s"] = f"{time.monotonic() - begun:.0f}"
            row["packages"] = f"+{environment.packages() - base.packages()}"
            row["MB"] = f"+{environment.megabytes() - base.megabytes():.0f}"
            row["with it"] = at_work(environment, EXTRAS[name].commands, folder)
            row["without it"] = without(base, name, folder)
        except (WrongError, subprocess.TimeoutExpired) as error:
            row["without it" if row["with it"] else "with it"] = f"WRONG: {' '.join(str(error).split())[:160]}"
    return row


def without_extras(base: Environment, wheel: Path, folder: Path) -> dict[str, str]:
    """The row of featkit alone, which also makes what the extras work on."""
    begun = time.monotonic()
    base.pip("install", str(wheel))
    seconds = time.monotonic() - begun
    packages, size = base.packages() - base.empty[0], base.megabytes() - base.empty[1]
    commands = (
        "featkit --version", "python -m featkit --help", FIT.format(name="base"), "python clips.py",
        "featkit predict base.onnx clips", "featkit fit --data manifest.csv -o manifest.onnx",
    )  # fmt: skip
    says = at_work(base, commands, folder)
    return {"extra": "none", "packages": str(packages), "MB": f"{size:.0f}", "s": f"{seconds:.0f}",
            "with it": says, "without it": "–"}  # fmt: skip


def built(folder: Path, python: str) -> Path:
    """A wheel of this checkout."""
    subprocess.run([python, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    return next(folder.glob("featkit-*.whl"))


def rows(names: list[str], wheel: Path | None, python: str, place: Path) -> Iterator[dict[str, str]]:
    """featkit alone, then each extra."""
    folder = place / "work"
    folder.mkdir()
    for name, code in SCRIPTS.items():
        (folder / f"{name}.py").write_text(code, "utf-8")
    wheel = (wheel or built(place, python)).resolve()
    base = Environment(place / "base", python)
    yield without_extras(base, wheel, folder)
    for name in names:
        yield measured(name, base, wheel, python, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=EXTRAS, metavar="EXTRA", help="may be given again")
    parser.add_argument("--wheel", type=Path, help="instead of one of this checkout")
    parser.add_argument("--python", default=sys.executable, help="whose environments are made")
    options = parser.parse_args()
    names = options.only or [name for name in EXTRAS if name != "mobile"]
    table = []
    with tempfile.TemporaryDirectory(prefix="featkit-packaging-") as place:
        try:
            for row in rows(names, options.wheel, options.python, Path(place)):
                print(*row.values(), sep=" · ", file=sys.stderr, flush=True)
                table.append(row)
        except (WrongError, OSError, subprocess.SubprocessError) as error:
            sys.exit(f"featkit alone cannot be installed and put to work: {error}")
    print(markdown(table))
    sys.exit(any("WRONG" in cell for row in table for cell in row.values()))


if __name__ == "__main__":
    main()
