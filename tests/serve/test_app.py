"""The HTTP API: right answers, and a plain one for everything that is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from speaking import Served, expected, form, model, running, wav
from speech import speech

from featkit import SERClassifier
from featkit.audio import read
from featkit.card import described, limits
from featkit.errors import ModelError
from featkit.quality import flags
from featkit.runtime import load
from featkit.serve import Limits, create_app
from featkit.stream import sliding

RAW = {"content-type": "application/octet-stream"}


def test_a_raw_body_is_labelled_as_the_runtime_labels_it(served: Served) -> None:
    for wave in speech().waves[:4]:
        content = wav(wave)
        answer = served.ask("/predict", content).json
        assert list(answer["probabilities"]) == model().labels
        np.testing.assert_allclose(list(answer["probabilities"].values()), expected(content), atol=1e-6)
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
        assert answer["seconds"] == round(wave.size / 16_000, 3)
        assert set(answer) == {"label", "probabilities", "seconds", "quality"}


def test_a_form_with_one_file_is_labelled_as_the_raw_body_is(served: Served) -> None:
    content = wav()
    assert served.form("/predict", [("a.wav", content)]).json == served.ask("/predict", content, headers=RAW).json


def test_a_timeline_is_what_sliding_windows_say(served: Served) -> None:
    wave = np.concatenate(speech().waves[:5])
    timeline = served.ask("/predict?hop=0.5&window=2", wav(wave, subtype="FLOAT")).json["timeline"]
    windows = sliding(model(), wave, 2.0, 0.5)
    assert len(timeline) == len(windows) > 3
    for row, window in zip(timeline, windows, strict=True):
        assert (row["start"], row["end"]) == (round(window.start, 3), round(window.end, 3))
        np.testing.assert_allclose(list(row["probabilities"].values()), window.probabilities, atol=1e-6)


def test_what_is_odd_about_a_recording_is_told_as_featkit_tells_it(served: Served, tmp_path: Path) -> None:
    wave = speech().waves[0]
    contents = {
        "clipped.wav": wav(np.clip(40 * wave, -1, 1)),
        "dc.wav": wav(np.stack([wave / 2 + 0.2, 0 * wave], axis=1)),
        "telephone.wav": wav(wave[::2], 8_000),
        "cut.ogg": wav(np.concatenate(speech().waves[:9]), form="OGG", subtype="VORBIS")[:-2_000],
        "good.wav": wav(wave),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    wanted = {name: flags(*read(tmp_path / name)) for name in contents}
    assert {name: served.ask("/predict", content).json["quality"] for name, content in contents.items()} == wanted
    rows = served.form("/batch", list(contents.items())).json["results"]
    assert {row["name"]: row["quality"] for row in rows} == wanted
    words = {flag.split()[0] for found in wanted.values() for flag in found}
    assert words >= {"clipped", "dc", "channels", "narrow", "cut"}
    assert wanted["good.wav"] == []


def test_a_silent_window_has_a_reason_instead_of_probabilities(served: Served) -> None:
    wave = np.concatenate([speech().waves[0], np.zeros(32_000, dtype=np.float32)])
    last = served.ask("/predict?hop=1&window=1", wav(wave)).json["timeline"][-1]
    assert (last["label"], last["reason"]) == (None, "silence")


def test_peaks_are_the_lowest_and_highest_samples_of_equal_stretches(served: Served) -> None:
    wave = np.arange(1000, dtype=np.float32) / 1000
    peaks = served.ask("/predict?peaks=10", wav(wave, subtype="FLOAT")).json["peaks"]
    assert peaks == [[round(i / 10, 3), round(i / 10 + 0.099, 3)] for i in range(10)]
    assert len(served.ask("/predict?peaks=4000", wav(wave)).json["peaks"]) == 1000


def test_a_batch_is_answered_in_order_and_a_bad_clip_costs_its_own_row(served: Served) -> None:
    contents = [wav(wave) for wave in speech().waves[:3]]
    files = [("one.wav", contents[0]), ("text.wav", b"I am no audio"), ("two.wav", contents[1]), ("none.wav", b"")]
    rows = served.form("/batch", files).json["results"]
    assert [row["name"] for row in rows] == ["one.wav", "text.wav", "two.wav", "none.wav"]
    assert [row.get("error", {}).get("code") for row in rows] == [None, "not_audio", None, "empty"]
    for row, content in ((rows[0], contents[0]), (rows[2], contents[1])):
        np.testing.assert_allclose(list(row["probabilities"].values()), expected(content), atol=1e-6)


def test_a_raw_body_is_a_batch_of_one_clip_without_a_name(served: Served) -> None:
    rows = served.ask("/batch", wav(), headers=RAW).json["results"]
    assert rows == [{"name": ""} | served.ask("/predict", wav(), headers=RAW).json]


def test_all_clips_of_a_batch_share_the_seconds_of_a_request() -> None:
    clip = wav(speech().waves[0][:16_000])
    with running(Limits(max_seconds=2.5)) as served:
        rows = served.form("/batch", [("a", clip)] * 3).json["results"]
    assert [row.get("error", {}).get("code") for row in rows] == [None, None, "too_long"]
    told = "With this clip the request would hold more than 2.5 s of audio; send it in another one."
    assert rows[2]["error"]["reason"] == told


def test_clips_that_there_is_no_time_for_say_so() -> None:
    with running(Limits(timeout=1e-9)) as served:
        assert served.ask("/predict", wav()).refused(503, "timeout").startswith("The answer took more than 1e-09 s.")


def test_rate_and_channels_do_not_matter(served: Served) -> None:
    labels = set()
    for rate in (8_000, 16_000, 44_100, 48_000, 96_000, 192_000):
        t = np.arange(rate) / rate
        tone = (0.3 * np.sin(2 * np.pi * 220 * t) + 0.1 * np.sin(2 * np.pi * 660 * t)).astype(np.float32)
        for samples in (tone, np.stack([tone, tone], axis=1)):
            answer = served.ask("/predict", wav(samples, rate)).json
            assert answer["seconds"] == 1.0
            labels.add(answer["label"])
    assert len(labels) == 1


@pytest.mark.parametrize(
    ("content", "status", "code", "reason"),
    [
        (b"", 400, "empty", "The file is empty (0 bytes); send an audio file."),
        (b"I am no audio", 415, "not_audio", "The clip is text, not audio (it starts with 'I am no audio')."),
        (bytes(range(256)) * 4, 415, "not_audio", "damaged or in another format than wav, flac, ogg, opus, mp3, aiff"),
        (wav()[:9000], 422, "truncated", "The clip is truncated: 8956 of "),
        (wav(np.zeros(16_000)), 422, "unusable", "all 16000 samples are zero (digital silence)"),
        (wav(np.zeros(0)), 422, "unusable", "holds 0 samples"),
        (wav(np.zeros(1)), 422, "unusable", "used: its only sample is zero (digital silence); drop the clip."),
        (wav(np.full(16_000, np.nan), subtype="FLOAT"), 422, "unusable", "are not finite (NaN or inf);"),
        (wav([0.1, np.nan], subtype="FLOAT"), 422, "unusable", "1 of 2 samples is not finite (NaN or inf);"),
        (wav([3e4] * 500, subtype="FLOAT"), 422, "unusable", "samples reach 30000, a wave −1 to 1; scale them to that"),
        (wav([[0.5, -0.5]] * 500), 422, "unusable", "its 2 channels cancel each other: their mean is silence."),
        (wav(speech().waves[0][:100]), 422, "unusable", "it has 6.25 ms and the model needs at least 25 ms; send a"),
        (wav(speech().waves[0][8_000:8_399]), 422, "unusable", "it has 24.94 ms and the model needs at least 25 ms;"),
        (wav([0.1])[:45], 422, "truncated", "The clip is truncated: 1 of 2 bytes is there; copy or convert it again."),
        (wav(rate=500), 422, "unusable", "claims a sample rate of 500 Hz"),
    ],
)
def test_what_is_no_clip_is_refused_with_its_reason(
    served: Served, content: bytes, status: int, code: str, reason: str
) -> None:
    told = served.ask("/predict", content).refused(status, code)
    assert reason in told
    assert not re.search(r"pad_short|--|featkit|libsndfile|\(inf\)", told)  # advice for those who have Python
    row = served.form("/batch", [("../evil\n/a.wav", content)]).json["results"][0]
    assert row == {"name": "a.wav", "error": {"code": code, "reason": told}}


def test_fifty_milliseconds_are_a_clip_for_a_model_that_needs_less(served: Served) -> None:
    assert served.ask("/predict", wav(speech().waves[0][8000:8800])).json["seconds"] == 0.05


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("hop=x", "hop must be a number from 0.05 to 3."),
        ("hop=nan", "hop must be a number from 0.05 to 3."),
        ("hop=0", "hop must be a number from 0.05 to 3."),
        ("hop=2&window=1", "hop must be a number from 0.05 to 1."),
        ("window=1e9", "window must be a number from 0.1 to 60."),
        ("hop=61&window=60", "hop must be a number from 0.05 to 60."),
        ("hop=0.04", "hop must be a number from 0.05 to 3."),
        ("hop=1&window=0.09", "window must be a number from 0.1 to 60."),
        ("window=1", "window is the length of the windows of a timeline, and hop asks for one: add hop."),
        ("peaks=-1", "peaks must be a number from 0 to 4000."),
        ("peaks=1.5", "peaks must be a whole number from 0 to 4000."),
        ("hops=1", "The query knows hop, window and peaks"),
    ],
)
def test_a_wrong_query_is_refused(served: Served, query: str, reason: str) -> None:
    assert reason in served.ask(f"/predict?{query}", wav()).refused(400, "bad_query")


def test_a_timeline_of_too_many_windows_is_refused() -> None:
    with running(Limits(max_windows=5)) as served:
        reason = served.ask("/predict?hop=0.1&window=0.1", wav()).refused(422, "too_many_windows")
    assert reason == "The timeline has 10 windows; the most is 5. Ask for a longer hop."


def test_windows_that_are_too_short_for_the_model_are_refused() -> None:
    model().recipe["min_samples"] = 3_200
    try:
        with running() as served:
            reason = served.ask("/predict?hop=0.1&window=0.1", wav()).refused(400, "bad_query")
            assert served.ask("/predict?hop=0.1&window=0.2", wav()).status == 200
    finally:
        model().recipe["min_samples"] = 400
    assert reason == "The window has 1600 samples (100 ms) and the model needs 3200 (200 ms); make it longer."


def test_unknown_paths_and_wrong_methods_are_refused(served: Served) -> None:
    served.ask("/nothing").refused(404, "unknown_path")
    served.ask("/static/../app.py").refused(404, "unknown_path")
    served.ask("/static/%2e%2e/app.py").refused(404, "unknown_path")
    served.ask("/health/").refused(404, "unknown_path")
    answer = served.ask("/predict")
    assert answer.refused(405, "wrong_method") == "This path knows POST."
    assert answer.headers["allow"] == "POST"
    served.ask("/model", b"", "DELETE").refused(405, "wrong_method")
    served.ask("/stream/").refused(404, "unknown_path")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_whoever_asks_for_the_socket_by_http_is_told_what_it_is(served: Served, method: str) -> None:
    answer = served.ask("/stream?rate=8000", method=method)
    assert answer.status == 426
    assert (answer.headers["upgrade"], answer.headers["connection"]) == ("websocket", "Upgrade")
    if method != "HEAD":
        assert answer.refused(426, "not_websocket") == "This path is a WebSocket; open it as ws://… or wss://…"


def test_what_is_no_http_is_refused_in_json_too(served: Served) -> None:
    served.raw(b"\x16\x03\x01 this is not HTTP\r\n\r\n").refused(400, "bad_request")
    served.raw(b"GET /health HTTP/1.1\r\n\r\n").refused(400, "bad_request")  # no host
    served.raw(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 400_000 + b"\r\n\r\n").refused(
        400, "bad_request"
    )


def test_health_is_short_and_heads_are_answered(served: Served) -> None:
    assert served.ask("/health").json == {"status": "ok"}
    assert served.ask("/health", method="HEAD").content == b""


def test_the_model_tells_its_card_and_the_limits(served: Served) -> None:
    about = served.ask("/model").json
    assert about["name"] == "model.onnx"
    assert about["labels"] == model().labels
    assert about["card"] == described(model().recipe, model().inputs)
    assert about["cautions"] == limits(model().recipe)
    assert (about["max_bytes"], about["max_seconds"], about["max_files"]) == (32_000_000, 300.0, 100)


def test_the_page_and_its_parts_have_their_types_and_nothing_inline(served: Served) -> None:
    page = served.ask("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = page.content.decode()
    assert "://" not in text
    assert " style=" not in text
    assert " onclick" not in text
    for name, kind in (("app.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        assert served.ask(f"/static/{name}").headers["content-type"].startswith(kind)


def test_a_mistake_of_ours_is_json_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("/secret/path")

    monkeypatch.setattr("featkit.serve.answers.decode", broken)
    with running() as served:
        reason = served.ask("/predict", wav()).refused(500, "mistake")
    assert "secret" not in reason


def test_a_model_that_needs_speakers_is_refused(tmp_path: Path) -> None:
    known = SERClassifier(normalise="speaker").fit(speech().waves, speech().labels, groups=speech().speakers)
    known.export(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"m.onnx: judges a clip beside the others of its speaker"):
        create_app(load(tmp_path / "m.onnx"), "m.onnx")


def test_forms_that_are_damaged_or_hold_no_file_are_refused(served: Served) -> None:
    whole, kind = form([("a.wav", wav())]), {"content-type": "multipart/form-data; boundary=x0x"}
    served.ask("/predict", whole[: len(whole) // 2], headers=kind).refused(400, "bad_form")
    served.ask("/predict", whole, headers={"content-type": "multipart/form-data"}).refused(400, "bad_form")
    served.ask("/predict", b"--x0x--\r\n", headers=kind).refused(400, "empty")
    served.ask("/predict", b"", headers=kind).refused(400, "bad_form")
    told = served.form("/predict", [("a.wav", wav()), ("b.wav", wav())]).refused(413, "too_many")
    assert told == "The form holds more files than allowed; the most is 1. /batch takes several."
