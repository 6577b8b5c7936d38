"""What is counted, and that Prometheus can read it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from speaking import TOKEN, Served, running, wav
from speech import speech
from websockets.sync.client import connect

from featkit.serve import Limits
from featkit.serve.metrics import BUCKETS, Counts

Numbers = dict[str, float]


def scraped(served: Served, **headers: str) -> Numbers:
    """The numbers by name and labels, once the text is sure to have the form."""
    answer = served.ask("/metrics", headers=headers)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return numbers(answer.content.decode())


def numbers(text: str) -> Numbers:
    assert text.endswith("\n")
    found: Numbers = {}
    described: dict[str, str] = {}
    for line in text.splitlines():
        if head := re.fullmatch(r"# (HELP|TYPE) (\w+) (.+)", line):
            described[head[2]] = head[3]
            continue
        row = re.fullmatch(r'(\w+)((?:\{(?:\w+="[^"\\]*",?)+\})?) (\S+)', line)
        assert row, line
        family = row[1] if row[1] in described else re.sub("_(bucket|sum|count)$", "", row[1])
        assert described[family] in ("counter", "gauge", "histogram")
        assert row[1] + row[2] not in found
        found[row[1] + row[2]] = float(row[3])
    return found


def test_requests_refusals_and_sound_are_counted() -> None:
    clip = wav(speech().waves[0][:16_000])
    with running() as served:
        for _ in range(2):
            served.ask("/predict", clip)
        served.ask("/predict", b"I am no audio")
        served.form("/batch", [("a.wav", clip), ("b.wav", b""), ("c.wav", clip)])
        served.ask("/nothing")
        served.ask("/nothing/else")
        served.ask("/predict", clip, headers={"origin": "http://evil.example"})
        found = scraped(served)
    requests = {name: count for name, count in found.items() if name.startswith("featkit_requests_total")}
    assert requests == {
        'featkit_requests_total{method="POST",route="/predict",status="200"}': 2,
        'featkit_requests_total{method="POST",route="/predict",status="415"}': 1,
        'featkit_requests_total{method="POST",route="/predict",status="403"}': 1,
        'featkit_requests_total{method="POST",route="/batch",status="200"}': 1,
        'featkit_requests_total{method="GET",route="other",status="404"}': 2,
    }
    refused = {name: count for name, count in found.items() if name.startswith("featkit_refused_total")}
    assert refused == {
        'featkit_refused_total{code="not_audio"}': 1,
        'featkit_refused_total{code="wrong_origin"}': 1,
        'featkit_refused_total{code="empty"}': 1,  # in the batch
        'featkit_refused_total{code="unknown_path"}': 2,
    }
    assert found['featkit_audio_seconds_total{route="/predict"}'] == 2
    assert found['featkit_audio_seconds_total{route="/batch"}'] == 2


def test_answers_are_counted_by_the_seconds_that_they_took() -> None:
    with running() as served:
        for _ in range(3):
            served.ask("/predict", wav())
        found = scraped(served)
    name = "featkit_answer_seconds"
    counts = [found[f'{name}_bucket{{route="/predict",le="{end}"}}'] for end in (*BUCKETS, "+Inf")]
    assert counts == sorted(counts)
    assert counts[-1] == found[f'{name}_count{{route="/predict"}}'] == 3
    assert 0 < found[f'{name}_sum{{route="/predict"}}'] < 3 * BUCKETS[-1]


def test_an_answer_stands_in_the_bucket_of_its_seconds() -> None:
    counts = Counts()
    for seconds in (0.0, 0.0025, 0.0026, 31.0):
        counts.answered("/predict", seconds, {"seconds": 1.0})
    found = numbers(counts.text({}))
    ends = ("0.0025", "0.005", "30.0", "+Inf")
    assert [found[f'featkit_answer_seconds_bucket{{route="/predict",le="{end}"}}'] for end in ends] == [2, 3, 3, 4]
    assert found['featkit_answer_seconds_sum{route="/predict"}'] == pytest.approx(31.0051)


def test_streams_are_counted_while_they_are_open_and_when_they_have_ended() -> None:
    with running(Limits(streams=1)) as served:
        url = f"ws://127.0.0.1:{served.port}/stream?window=1&hop=1"
        with connect(url) as socket:
            socket.send(bytes(32_000))
            socket.recv(timeout=10)
            assert scraped(served)["featkit_streams"] == 1
            socket.send(b"odd")
            socket.recv(timeout=10)
        found = until(lambda: scraped(served), lambda found: found["featkit_streams"] == 0)
    assert found['featkit_requests_total{method="GET",route="/stream",status="101"}'] == 1
    assert found['featkit_refused_total{code="odd_bytes"}'] == 1
    assert found['featkit_audio_seconds_total{route="/stream"}'] == 1


def until(look: Callable[[], Numbers], true: Callable[[Numbers], Any]) -> Numbers:
    for _ in range(200):
        if true(found := look()):
            return found
        time.sleep(0.02)
    pytest.fail("it did not happen")


def test_places_and_memory_are_told(served: Served) -> None:
    found = scraped(served)
    assert found["featkit_places"] == 64
    assert (found["featkit_places_taken"], found["featkit_upload_bytes"]) == (0, 0)
    if sys.platform == "linux":
        assert 3e7 < found["process_resident_memory_bytes"] < 1e10


def test_with_a_token_the_numbers_ask_for_it() -> None:
    with running(token=TOKEN) as served:
        served.ask("/metrics").refused(401, "wrong_token")
        found = scraped(served, authorization=f"Bearer {TOKEN}")
    assert found['featkit_requests_total{method="GET",route="/metrics",status="401"}'] == 1


def test_nothing_of_a_clip_or_a_client_stands_in_the_numbers() -> None:
    with running() as served:
        served.form("/batch", [("secret-name.wav", wav())])
        served.ask("/secret-path?secret-query")
        served.ask("/model", method="SECRET")
        text = served.ask("/metrics").content.decode()
    assert "secret" not in text.lower()
    assert 'featkit_requests_total{method="other",route="/model",status="405"} 1' in text


def test_the_docs_name_what_is_counted_and_nothing_else(served: Served) -> None:
    served.ask("/predict", wav())
    counted = set(re.findall(r"^# TYPE (\w+)", served.ask("/metrics").content.decode(), re.MULTILINE))
    told = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:featkit|process)_\w+)", told))
    assert named - {"process_resident_memory_bytes"} <= counted <= named  # memory is told on Linux only


def test_prometheus_own_client_reads_it(served: Served) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    served.ask("/predict", wav())
    families = {
        family.name for family in parser.text_string_to_metric_families(served.ask("/metrics").content.decode())
    }
    assert {"featkit_requests", "featkit_answer_seconds", "featkit_streams"} <= families
