"""Load on `featkit serve`: requests a second, p99, wrong answers, and what is left behind.

    python benchmarks/serving.py [--seconds 60] [--out benchmarks/results/serving.jsonl]

The server is the command line in a process of its own. 1, 8, 32 and 64 clients send 3 s clips of synthetic speech (wav,
16 bit) over kept connections, each as soon as it has its last answer; then 32 clients with one bad request in ten.
Every answer is compared with the model's own. Clients and server share the cores of one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from featkit import SERClassifier, load
from featkit.audio import SAMPLE_RATE, fit_length, to_wave
from featkit.datasets.synthetic import EMOTIONS, synthesise
from featkit.tables import markdown

CLIENTS = (1, 8, 32, 64)
MIXED = 32
BAD_SHARE = 0.1


@dataclass
class Request:
    """A body, and the answer that is right for it."""

    body: bytes
    status: int
    probabilities: dict[str, float] | None = None


@dataclass
class Tally:
    """What the clients of one load saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0


def clips(folder: Path) -> tuple[Path, list[Request], list[Request]]:
    """A model, good requests, and bad ones."""
    spoken = [(emotion, speaker) for emotion in EMOTIONS for speaker in range(4)]
    waves = [fit_length(synthesise(emotion, speaker, 0, 0), 3.0) for emotion, speaker in spoken]
    path = folder / "model.onnx"
    SERClassifier("mfcc39", "svm").fit(waves, [emotion for emotion, _ in spoken]).export(path)
    model, good = load(path), []
    for wave in waves:
        body = as_wav(wave)
        heard = to_wave(soundfile.read(io.BytesIO(body), dtype="float32")[0], SAMPLE_RATE)
        (row,) = model.predict_proba([heard])
        good.append(Request(body, 200, dict(zip(model.labels, map(float, row), strict=True))))
    bad = [
        Request(b"", 400),
        Request(b"this is no audio, but text that somebody took for it\n" * 100, 415),
        Request(good[0].body[:40_000], 422),
        Request(as_wav(np.zeros(SAMPLE_RATE, dtype=np.float32)), 422),
    ]
    return path, good, bad


def as_wav(wave: Any) -> bytes:
    """A 16-bit wav file."""
    file = io.BytesIO()
    soundfile.write(file, wave, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


async def client(port: int, requests: list[Request], end: float, tally: Tally) -> None:
    """Sends one request after the other over one connection; opens another where it was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        if time.monotonic() > end:
            break
        start = time.perf_counter()
        status, answer, closed = await ask(reader, writer, request.body)
        tally.seconds.append(time.perf_counter() - start)
        tally.statuses[status] += 1
        if status == 503:  # busy: comes again, as it was asked to
            await asyncio.sleep(1)
        elif not right(request, status, answer):
            tally.wrong += 1
        if closed:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> tuple[int, Any, bool]:
    """One request. -> status, answer, whether the server closes the connection."""
    writer.write(f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = re.search(r"content-length: (\d+)", head)
    assert length is not None, head
    answer = json.loads(await reader.readexactly(int(length[1])))
    return int(head.split()[1]), answer, "connection: close" in head


def right(request: Request, status: int, answer: Any) -> bool:
    """Whether this is the answer that the model gives by itself, or the right refusal."""
    if status != request.status:
        return False
    if request.probabilities is None:
        return set(answer) == {"code", "reason"}
    told = answer["probabilities"]
    best = max(request.probabilities, key=lambda label: request.probabilities[label])  # type: ignore[index]
    close = all(abs(told[label] - value) < 2e-6 for label, value in request.probabilities.items())
    return close and answer["label"] == best


async def loaded(port: int, clients: int, good: list[Request], bad: list[Request], seconds: float) -> Tally:
    """Puts the server under load by ``clients``; one in ten requests is of ``bad``, where there are any."""
    tally, end = Tally(), time.monotonic() + seconds
    rng = np.random.default_rng(clients)

    def sequence(start: int) -> Any:
        for i in range(start, sys.maxsize):
            yield bad[i % len(bad)] if bad and rng.random() < BAD_SHARE else good[i % len(good)]

    await asyncio.gather(*(client(port, sequence(i), end, tally) for i in range(clients)))
    return tally


def left(pid: int) -> dict[str, float]:
    """What the server holds: memory, threads, open files; and the CPU seconds it has used."""
    status = Path(f"/proc/{pid}/status").read_text()
    numbers = {key: int(re.search(rf"{key}:\s+(\d+)", status)[1]) for key in ("VmRSS", "Threads")}  # type: ignore[index]
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    open_files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return {"MB": numbers["VmRSS"] / 1024, "threads": numbers["Threads"], "descriptors": open_files, "cpu": cpu}


def measured(
    port: int, pid: int, clients: int, good: list[Request], bad: list[Request], seconds: float
) -> dict[str, Any]:
    """One row of the results."""
    before = left(pid)
    tally = asyncio.run(loaded(port, clients, good, bad, seconds))
    time.sleep(1)  # connections are closed by now
    after = left(pid)
    ordered = np.sort(tally.seconds)
    return {
        "clients": clients,
        "bad": BAD_SHARE if bad else 0,
        "seconds": seconds,
        "requests": len(ordered),
        "requests_per_second": len(ordered) / seconds,
        "p50_ms": 1000 * float(np.percentile(ordered, 50)),
        "p99_ms": 1000 * float(np.percentile(ordered, 99)),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "wrong": tally.wrong,
        "server_cpu_ms_per_request": 1000 * (after["cpu"] - before["cpu"]) / len(ordered),
        **{key: after[key] for key in ("MB", "threads", "descriptors")},
    }


def started(model: Path, temporary: Path) -> tuple[subprocess.Popen[str], int]:
    """The server in a process of its own, and its port. Its folders for temporary files and for work are empty ones."""
    command = [sys.executable, "-u", "-m", "featkit", "serve", str(model), "--port", "0"]
    names = {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=temporary, env=os.environ | names)
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found:
            return server, int(found[1])
    raise SystemExit("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "serving.jsonl")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as temporary:
        model, good, bad = clips(Path(name))
        server, port = started(model, Path(temporary))
        try:
            asyncio.run(loaded(port, max(CLIENTS), good, bad, min(10, arguments.seconds)))  # memory is as it will be
            time.sleep(1)
            first = left(server.pid)
            for clients, wrong in [*((clients, []) for clients in CLIENTS), (MIXED, bad)]:
                rows.append(measured(port, server.pid, clients, good, wrong, arguments.seconds))
                print(f"{clients} clients: done", file=sys.stderr)
            last, files = left(server.pid), [path.name for path in Path(temporary).rglob("*")]
        finally:
            server.terminate()
            server.wait()
    about = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, its own included",
        "python": platform.python_version(),
        "memory_growth": last["MB"] / first["MB"] - 1,
        "threads_left": last["threads"] - first["threads"],
        "descriptors_left": last["descriptors"] - first["descriptors"],
        "temporary_files_left": len(files),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text("".join(json.dumps(line) + "\n" for line in [about, *rows]), encoding="utf-8")
    print(*files, file=sys.stderr)
    print(f"{json.dumps(about)}\n\n{report(rows)}")


def report(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    return markdown(
        [
            {
                "clients": str(row["clients"]) + (f", {row['bad']:.0%} bad" if row["bad"] else ""),
                "requests/s": f"{row['requests_per_second']:.0f}",
                "p50": f"{row['p50_ms']:.1f} ms",
                "p99": f"{row['p99_ms']:.1f} ms",
                "answers": ", ".join(f"{status}: {count}" for status, count in row["statuses"].items()),
                "wrong": str(row["wrong"]),
                "server CPU": f"{row['server_cpu_ms_per_request']:.1f} ms",
                "memory": f"{row['MB']:.1f} MB",
            }
            for row in rows
        ]
    )


if __name__ == "__main__":
    main()
