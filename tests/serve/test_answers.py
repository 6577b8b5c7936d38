"""Answers about clips, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from speaking import form, model, wav
from speech import speech
from starlette.requests import Request

from featkit import SERClassifier, load
from featkit.serve import Limits
from featkit.serve.answers import Answerer, peaks
from featkit.serve.limits import Desk
from featkit.serve.query import Wishes
from featkit.serve.refusals import RequestError
from featkit.serve.uploads import body_of

FORM = "multipart/form-data; boundary=x0x"


def test_what_a_batch_has_no_time_for_is_not_begun() -> None:
    body = form([("a.wav", wav()), ("b.wav", wav())])
    rows = Answerer(model(), Limits(timeout=1e-9)).many(body, FORM, Wishes())["results"]
    assert [row["error"]["code"] for row in rows] == ["timeout", "timeout"]
    assert rows[0]["error"]["reason"] == "There was no time left for this clip; send fewer at once."


def test_an_answer_does_not_depend_on_what_else_is_wished() -> None:
    answerer = Answerer(model(), Limits())
    plain = answerer.one(wav(), "", Wishes())
    rich = answerer.one(wav(), "", Wishes(hop=0.2, window=0.5, peaks=50))
    assert plain == {key: rich[key] for key in plain}
    assert set(rich) - set(plain) == {"timeline", "peaks"}


def test_peaks_hold_every_sample_once() -> None:
    wave = np.random.default_rng(0).uniform(-1, 1, 1_003).astype(np.float32)
    pairs = peaks(wave, 7)
    assert len(pairs) == 7
    assert min(low for low, _ in pairs) == round(float(wave.min()), 3)
    assert max(high for _, high in pairs) == round(float(wave.max()), 3)
    assert peaks(wave[:3], 7) == [[round(float(x), 3)] * 2 for x in wave[:3]]


def test_a_client_that_goes_away_ends_its_upload_and_gives_back_what_it_held() -> None:
    messages = iter([{"type": "http.request", "body": b"x" * 50, "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, object]:
        return next(messages)

    async def upload() -> None:
        desk = Desk(Limits(max_bytes=50))
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        with pytest.raises(RequestError, match="The client went away before the body was complete"):
            async with body_of(request, desk):
                pass
        desk.take(desk.limits.buffered)  # all of it is free again
        desk.close()

    asyncio.run(upload())


def test_of_a_short_clip_that_is_padded_all_that_is_told_is_of_the_clip_itself(tmp_path: Path) -> None:
    SERClassifier(pad_short=True).fit(speech().waves, speech().labels).export(tmp_path / "m.onnx")
    wave = speech().waves[0][4_000:4_160]
    answer = Answerer(load(tmp_path / "m.onnx"), Limits()).one(wav(wave), "", Wishes(hop=0.1, window=0.5, peaks=400))
    assert (answer["seconds"], len(answer["peaks"])) == (0.01, 160)
    assert [(row["start"], row["end"]) for row in answer["timeline"]] == [(0, 0.01)]
