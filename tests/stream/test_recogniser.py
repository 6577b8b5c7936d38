"""A stream is answered as the whole recording is offline, bit by bit; what is lost is told; nothing bad ends it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import soxr
from speech import EMOTIONS

from featkit.audio import Wave
from featkit.errors import AudioError, ModelError
from featkit.features.base import FeatureExtractor
from featkit.runtime import Model
from featkit.stream import EnergyGate, Event, LiveRecogniser, Segment, sliding

RNG = np.random.default_rng(0)
NAMES = ("svm", "cnn_lstm", "egemaps")


def live(model: Model, **settings: Any) -> LiveRecogniser:
    """Short windows, so that a test is short."""
    return LiveRecogniser(model, **{"window": 1.0, "hop": 0.5, "smoothing": None, "threshold": 0.0} | settings)


def heard(
    recogniser: LiveRecogniser, samples: Any, rate: int = 16_000, sizes: tuple[int, ...] = (1024,)
) -> list[Event]:
    """All events of a stream that comes in blocks of these sizes, again and again."""
    events, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        events += recogniser.push(samples[at : at + size], rate)
        at, turn = at + size, turn + 1
    return events + recogniser.finish()


def times(answers: list[Event] | list[Segment]) -> list[tuple[float, float]]:
    return [(answer.start, answer.end) for answer in answers]


def same(events: list[Event], wanted: list[Segment] | list[Event]) -> None:
    """The same windows with the same probabilities, to the last bit."""
    assert times(events) == times(wanted)
    for event, other in zip(events, wanted, strict=True):
        np.testing.assert_array_equal(event.probabilities, other.probabilities)


class Pretended:
    """A model that answers as it is told to; what is asked of a model beside that is a real one's."""

    normalise = None
    recipe = {"min_samples": 400, "pad_short": False}  # noqa: RUF012

    def __init__(self, answer: Callable[[Wave], Any] = lambda wave: [0.7, 0.2, 0.1], labels: Any = EMOTIONS) -> None:
        self.labels, self._answer = list(labels), answer
        self.asked: list[Wave] = []

    def predict_proba(self, clips: list[Wave]) -> Any:
        self.asked += clips
        return np.array([self._answer(clip) for clip in clips], dtype=np.float32)


def pretended(*given: Any, **settings: Any) -> Any:
    return Pretended(*given, **settings)


# Equal to the whole recording


@pytest.mark.parametrize("name", NAMES)
def test_at_16_khz_probabilities_are_those_of_slices_of_the_recording(
    models: dict[str, Model], recording: Wave, name: str
) -> None:
    events = heard(live(models[name]), recording)
    starts = [*range(0, recording.size - 16_000 + 1, 8_000), recording.size - 16_000]
    wanted = models[name].predict_proba([recording[start : start + 16_000] for start in starts])
    assert [event.start * 16_000 for event in events] == starts
    np.testing.assert_array_equal(np.stack([event.probabilities for event in events if event.raw]), wanted)
    same(events, sliding(models[name], recording, 1.0, 0.5))


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 192_000])
def test_at_other_rates_they_are_those_of_the_whole_resampled_at_once(svm: Model, recording: Wave, rate: int) -> None:
    samples = np.interp(np.arange(4 * rate + 77) / rate, np.arange(recording.size) / 16_000, recording)
    samples = samples.astype(np.float32)
    whole = soxr.ResampleStream(rate, 16_000, 1, dtype="float32", quality="HQ").resample_chunk(samples, last=True)
    same(heard(live(svm), samples, rate, (1, 3000, 0, 977)), sliding(svm, whole, 1.0, 0.5))


@pytest.mark.parametrize("sizes", [(1_000_000,), (160, 0, 1), (8_000,), (12_345,)])
def test_the_sizes_of_blocks_make_no_difference(svm: Model, recording: Wave, sizes: tuple[int, ...]) -> None:
    same(heard(live(svm), recording[:60_000], sizes=sizes), sliding(svm, recording[:60_000], 1.0, 0.5))


@pytest.mark.parametrize(("window", "hop"), [(3.0, 0.5), (0.5, 0.5), (1.0, 0.3), (20.0, 1.0)])
def test_other_windows_and_hops_are_equal_too(svm: Model, recording: Wave, window: float, hop: float) -> None:
    events = heard(live(svm, window=window, hop=hop), recording)
    same(events, sliding(svm, recording, window, hop))
    assert events[-1].end == recording.size / 16_000


def test_int16_and_stereo_are_the_float_and_mono_they_stand_for(svm: Model, recording: Wave) -> None:
    whole = np.round(recording[:40_000] * 32_768)
    wanted = sliding(svm, (whole / 32_768).astype(np.float32), 1.0, 0.5)
    for samples in (whole.astype(np.int16), np.stack([whole, whole], axis=1).astype(np.int16), whole / 32_768):
        same(heard(live(svm), samples), wanted)


def test_a_model_of_a_speaker_follows_the_stream(models: dict[str, Model], recording: Wave) -> None:
    model = models["speaker"]
    same(heard(live(model), recording), sliding(model, recording, 1.0, 0.5))
    voice = model.follow(prior=20)  # two overlapping windows tell as much as one clip
    wanted = [voice.predict_proba(recording[start : start + 16_000]) for start in range(0, 40_000, 8_000)]
    for event, probabilities in zip(heard(live(model), recording[:48_000]), wanted, strict=True):
        np.testing.assert_array_equal(event.probabilities, probabilities)


# What an event says


def test_the_first_event_comes_with_the_first_whole_window(svm: Model, recording: Wave) -> None:
    recogniser = LiveRecogniser(svm)
    assert recogniser.push(recording[:47_999], 16_000) == []
    (event,) = recogniser.push(recording[47_999:48_000], 16_000)
    assert (event.start, event.end, event.gap, event.dropped) == (0, 3, 0, 0)
    assert event.raw == event.label == svm.predict([recording[:48_000]])[0]
    assert event.smoothed is not None
    assert event.smoothed.tolist() == [float(name == event.raw) for name in svm.labels]  # one vote


def test_an_event_is_ready_for_json(svm: Model, recording: Wave) -> None:
    (event,) = heard(live(svm), recording[:16_000])
    told = json.loads(json.dumps(event.as_dict()))
    assert event.probabilities is not None
    assert list(told) == [
        "start", "end", "label", "reason", "raw", "probabilities", "smoothed", "latency", "gap", "dropped",
    ]  # fmt: skip
    assert told["probabilities"] == pytest.approx(dict(zip(svm.labels, event.probabilities, strict=True)), abs=1e-6)
    assert (told["label"], told["reason"]) == (event.label, None)


def test_what_is_not_sure_has_no_label_but_a_raw_one(recording: Wave) -> None:
    model = pretended(lambda wave: [0.4, 0.3, 0.3])
    (event,) = heard(live(model, threshold=0.5), recording[:16_000])
    assert (event.label, event.reason, event.raw) == (None, "not sure", "anger")
    assert event.as_dict()["probabilities"] == {"anger": 0.4, "neutral": 0.3, "sadness": 0.3}


def test_labels_are_smoothed_over_windows(recording: Wave) -> None:
    says = iter([[0.8, 0.1, 0.1]] * 3 + [[0.1, 0.8, 0.1]] * 9)
    events = heard(live(pretended(lambda wave: next(says)), smoothing="vote", votes=3), recording[:64_000])
    assert [event.raw for event in events] == ["anger"] * 3 + ["neutral"] * 4
    assert [event.label for event in events] == ["anger"] * 4 + ["neutral"] * 3


def test_latency_counts_from_the_arrival_of_the_last_sample(recording: Wave) -> None:
    def slow(wave: Wave) -> list[float]:
        time.sleep(0.05)
        return [0.7, 0.2, 0.1]

    recogniser, now = live(pretended(slow)), time.monotonic()
    recogniser.feed(recording[:16_000], 16_000, arrived=now - 5)
    recogniser.feed(recording[16_000:24_001], 16_000, arrived=now - 2)
    found = [recogniser.answer().latency for _ in range(2)]
    assert found == [pytest.approx(5.1, abs=0.3), pytest.approx(2.15, abs=0.3)]
    (event,) = heard(live(pretended(slow)), recording[:16_000])
    assert 0.05 <= event.latency < 1


def test_the_look_ahead_of_the_resampler_is_part_of_the_latency(recording: Wave) -> None:
    """The window's last sample came with the first block, although only the second lets it be told."""
    recogniser, now = live(pretended()), time.monotonic()
    assert recogniser.push(RNG.normal(0, 0.1, 48_000), 48_000, arrived=now - 3) == []
    (event,) = recogniser.push(RNG.normal(0, 0.1, 4_800), 48_000, arrived=now)
    assert event.latency == pytest.approx(3, abs=0.3)


# Lost sound


def test_no_window_reaches_across_a_gap_and_its_length_is_told(svm: Model, recording: Wave) -> None:
    recogniser = live(svm)
    before = recogniser.push(recording[:30_000], 16_000)
    recogniser.gap(0.75)
    assert recogniser.seconds == 30_000 / 16_000 + 0.75
    after = recogniser.push(recording[40_000:70_000], 16_000) + recogniser.finish()
    same(before + after[:1], sliding(svm, recording[:30_000], 1.0, 0.5))
    for event, segment in zip(after[1:], sliding(svm, recording[40_000:70_000], 1.0, 0.5), strict=True):
        assert event.start == segment.start + 30_000 / 16_000 + 0.75
        np.testing.assert_array_equal(event.probabilities, segment.probabilities)
    assert [event.gap for event in before + after] == [0] * 3 + [0.75] + [0] * (len(after) - 2)
    assert recogniser.lost == 0.75


def test_at_another_rate_both_sides_of_a_gap_are_resampled_for_themselves(svm: Model, recording: Wave) -> None:
    recogniser = live(svm)
    events = recogniser.push(recording[:22_050], 22_050)
    recogniser.gap(0.1)
    events += recogniser.push(recording[22_050:44_100], 22_050) + recogniser.finish()
    for half, event in enumerate(events):
        part = soxr.resample(recording[22_050 * half : 22_050 * (half + 1)], 22_050, 16_000, quality="HQ")
        np.testing.assert_array_equal(event.probabilities, svm.predict_proba([part])[0])


def test_smoothing_begins_anew_after_a_gap(recording: Wave) -> None:
    says = iter([[0.8, 0.1, 0.1]] * 3 + [[0.1, 0.8, 0.1]])
    recogniser = live(pretended(lambda wave: next(says)), smoothing="vote")
    events = recogniser.push(recording[:32_000], 16_000)
    recogniser.gap(1)
    events += recogniser.push(recording[:16_000], 16_000)
    assert [event.label for event in events] == ["anger"] * 3 + ["neutral"]


def test_smoothing_begins_anew_after_silence(recording: Wave) -> None:
    says = iter([[0.8, 0.1, 0.1]] * 4 + [[0.1, 0.8, 0.1]])
    samples = np.concatenate([recording[:32_000], np.zeros(32_000), recording[:8_000]])
    events = heard(live(pretended(lambda wave: next(says)), smoothing="vote"), samples)
    assert [event.label for event in events] == ["anger"] * 4 + [None] * 3 + ["neutral"]


def test_several_gaps_before_a_window_are_told_together(svm: Model, recording: Wave) -> None:
    recogniser = live(svm)
    recogniser.gap(0.25)
    recogniser.gap(0)
    recogniser.gap(0.5)
    (event,) = recogniser.push(recording[:16_000], 16_000)
    assert (event.start, event.gap) == (0.75, 0.75)


def test_sound_that_is_lost_at_the_end_is_told_too(svm: Model, recording: Wave) -> None:
    recogniser = live(svm)
    recogniser.push(recording[:16_000], 16_000)
    recogniser.gap(2.5)
    (event,) = recogniser.finish()
    assert (event.start, event.end, event.gap, event.reason) == (1, 3.5, 2.5, "gap")
    assert event.label is event.raw is event.probabilities is None
    assert recogniser.finish() == []


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_gap_without_a_length_is_refused(svm: Model, seconds: float) -> None:
    with pytest.raises(AudioError, match="A gap has a length in seconds, 0 or more; this one is"):
        live(svm).gap(seconds)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_samples_that_are_not_finite_are_a_gap_of_their_length(svm: Model, recording: Wave, bad: float) -> None:
    samples = recording[:60_000].astype(np.float64)
    samples[[24_000, 24_007, 25_599]] = bad
    recogniser, told = live(svm), live(svm)
    events = heard(recogniser, samples, sizes=(60_000,))
    wanted = told.push(recording[:24_000], 16_000)
    told.gap(0.1)
    wanted += told.push(recording[25_600:60_000], 16_000) + told.finish()
    same(events, wanted)
    assert [event.gap for event in events if event.gap] == [0.1]


def test_a_block_of_nothing_but_nan_is_a_gap(svm: Model, recording: Wave) -> None:
    recogniser = live(svm)
    assert recogniser.push(np.full((800, 2), np.nan), 16_000) == []
    (event,) = recogniser.push(recording[:16_000], 16_000)
    assert (event.start, event.gap) == (0.05, 0.05)


# Slow models


def test_a_slow_model_drops_old_windows_and_says_how_many(svm: Model, recording: Wave) -> None:
    recogniser = live(svm, backlog=2)
    recogniser.feed(recording[:48_000], 16_000)  # five windows
    assert (recogniser.pending, recogniser.dropped) == (2, 3)
    events = [recogniser.answer(), recogniser.answer()]
    assert times(events) == [(1.5, 2.5), (2.0, 3.0)]
    assert [event.dropped for event in events] == [3, 0]
    same(events, sliding(svm, recording[:48_000], 1.0, 0.5)[-2:])


def test_a_gap_before_a_dropped_window_is_told_with_the_next(svm: Model, recording: Wave) -> None:
    recogniser = live(svm, backlog=1)
    recogniser.gap(0.5)
    recogniser.feed(recording[:32_000], 16_000)
    event = recogniser.answer()
    assert (event.start, event.gap, event.dropped) == (1.5, 0.5, 2)


def test_who_pushes_waits_and_so_loses_nothing(svm: Model, recording: Wave) -> None:
    same(heard(live(svm, backlog=1), recording, sizes=(recording.size,)), sliding(svm, recording, 1.0, 0.5))


def test_there_is_no_answer_where_no_window_waits(svm: Model) -> None:
    with pytest.raises(AudioError, match="No window waits for an answer"):
        live(svm).answer()


@pytest.mark.parametrize("rate", [16_000, 1_000, 1_001.5])
@pytest.mark.parametrize("bad", [False, True])
def test_an_hour_in_one_block_does_not_lie_in_memory_as_windows(rate: float, bad: bool) -> None:
    most = 0

    def answer(wave: Wave) -> list[float]:
        nonlocal most
        most = max(most, recogniser.pending)
        return [1, 0, 0]

    recogniser, samples = LiveRecogniser(pretended(answer), hop=0.5), np.ones(int(rate * 600), dtype=np.float32)
    if bad:
        samples[0] = np.nan
    events = recogniser.push(samples, rate) + recogniser.finish()
    assert len(events) == 1195
    assert most <= (2 if rate == 16_000 else 3)  # the resampler gives in bursts


# Silence


def test_digital_silence_has_no_label(svm: Model, recording: Wave) -> None:
    samples = np.concatenate([recording[:16_000], np.zeros(32_000, dtype=np.float32), recording[:16_000]])
    events = heard(live(svm), samples)
    assert [event.reason for event in events] == [None, None, "silence", "silence", "silence", None, None]
    assert events[3].label is events[3].raw is events[3].probabilities is events[3].smoothed is None
    assert events[3].as_dict()["probabilities"] is None
    same([event for event in events if event.raw], [s for s in sliding(svm, samples, 1.0, 0.5) if not s.reason])


def test_a_stream_of_nothing_but_silence_only_says_so(svm: Model) -> None:
    events = heard(LiveRecogniser(svm), np.zeros((64_000, 2), dtype=np.int16), 16_000)
    assert [event.reason for event in events] == ["silence"] * 3


def test_what_the_gate_keeps_out_is_not_given_to_the_model(recording: Wave) -> None:
    noise = RNG.normal(0, 1e-4, 64_000).astype(np.float32)
    model = pretended()
    events = heard(live(model, gate=EnergyGate()), np.concatenate([noise, recording[:32_000]]))
    assert [event.reason for event in events[:7]] == ["silence"] * 7
    assert [event.reason for event in events[-2:]] == [None, None]
    assert len(model.asked) == sum(event.raw is not None for event in events)


def test_any_function_of_the_window_may_be_the_gate(svm: Model, recording: Wave) -> None:
    shut = live(svm, gate=lambda wave: False)
    assert {event.reason for event in heard(shut, recording[:32_000])} == {"silence"}


# Bad input


def test_no_blocks_and_empty_blocks_give_no_events(svm: Model) -> None:
    assert live(svm).finish() == []
    for empty in (np.empty(0), np.empty((0, 2), dtype=np.int16), []):
        assert heard(live(svm), empty) == []
        assert live(svm).push(empty, 44_100) == []


def test_50_ms_are_judged_as_they_are_and_less_is_told(svm: Model, recording: Wave) -> None:
    (event,) = heard(LiveRecogniser(svm), recording[8_000:8_800])
    assert (event.start, event.end) == (0, 0.05)
    np.testing.assert_array_equal(event.probabilities, svm.predict_proba([recording[8_000:8_800]])[0])
    (event,) = heard(LiveRecogniser(svm), recording[8_000:8_100])
    assert event.label is event.probabilities is None
    assert str(event.reason).startswith("has 100 samples (6.2 ms); these features need at least 400")
    (segment,) = sliding(svm, recording[8_000:8_100])
    assert segment.reason == event.reason


@pytest.mark.parametrize(
    ("block", "rate", "message"),
    [
        (np.zeros((3, 100)), 16_000, r"must have shape \(n,\) or \(n, 1 to 64 channels\); these have \(3, 100\)"),
        (np.zeros((1, 1, 1)), 16_000, r"these have \(1, 1, 1\)"),
        (["a", "b"], 16_000, "Samples must be floats or integers"),
        (np.full(100, 20_000.0), 16_000, r"the block at 0\.00 s: samples reach 20000, a wave −1 to 1"),
        (np.ones(9), 100, "The sample rate is 100 Hz; it must lie between 1000 and 768000 Hz"),
        (np.ones(9), float("nan"), "The sample rate is nan Hz"),
        (np.ones(9), "16000", "The sample rate is '16000' Hz"),
        (np.ones(9), None, "The sample rate is None Hz"),
    ],
)  # fmt: skip
def test_a_bad_block_is_refused_and_the_stream_may_go_on(
    svm: Model, recording: Wave, block: Any, rate: Any, message: str
) -> None:
    recogniser = live(svm)
    with pytest.raises(AudioError, match=message):
        recogniser.push(block, rate)
    same(heard(recogniser, recording[:32_000]), sliding(svm, recording[:32_000], 1.0, 0.5))


def test_another_rate_within_a_stream_is_refused(svm: Model, recording: Wave) -> None:
    recogniser = live(svm)
    recogniser.push(recording[:100], 48_000)
    with pytest.raises(AudioError, match="The stream began at 48000 Hz and this block has 44100 Hz; a stream keeps"):
        recogniser.push(recording[:100], 44_100)


def test_a_stream_that_has_ended_takes_nothing_more(svm: Model, recording: Wave) -> None:
    recogniser = live(svm)
    recogniser.finish()
    for more in (lambda: recogniser.push(recording, 16_000), lambda: recogniser.gap(1)):
        with pytest.raises(AudioError, match="This stream has ended; make a new LiveRecogniser"):
            more()


def test_what_a_model_cannot_judge_costs_one_window(models: dict[str, Model], recording: Wave) -> None:
    """A window in which features are not finite, or the answer is not."""

    def answers() -> Iterator[list[float]]:
        yield from ([np.nan, 0.5, 0.5], [0.6, 0.2, 0.2])

    says = answers()
    events = heard(live(pretended(lambda wave: next(says))), recording[:24_000])
    assert [event.reason for event in events] == ["the model gave probabilities that are not finite", None]
    assert events[1].smoothed is not None


def test_features_that_are_not_finite_cost_one_window(
    models: dict[str, Model], recording: Wave, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = models["egemaps"], []
    right = FeatureExtractor._checked

    def first_is_nan(self: FeatureExtractor, values: Any, view: str) -> Any:
        asked.append(view)
        return right(self, values if len(asked) > 1 else np.full_like(values, np.nan), view)

    monkeypatch.setattr(FeatureExtractor, "_checked", first_is_nan)
    events = heard(live(model), recording[:24_000])
    assert str(events[0].reason).startswith("egemaps gave 88 values that are not finite for 1.00 s of audio")
    assert events[1].reason is None


def test_a_model_of_no_classes_is_refused() -> None:
    for begin in (LiveRecogniser, lambda model: sliding(model, np.ones(99))):
        with pytest.raises(ModelError, match=r"The model knows no emotion \(it has 0 classes\)"):
            begin(pretended(labels=[]))


def test_a_window_that_is_too_short_for_the_model_is_refused(svm: Model) -> None:
    with pytest.raises(ModelError, match=r"The window has 320 samples \(20 ms\) and the model needs 400 \(25 ms\)"):
        LiveRecogniser(svm, window=0.02, hop=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "A window must be longer than 0 s"),
        ({"hop": 2}, "it must lie between"),
        ({"votes": 0}, "votes is the number of windows"),
        ({"backlog": 0}, "backlog is the number of windows that may wait, 1 or more; it is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(svm: Model, settings: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        live(svm, **settings)


def test_offline_a_wave_that_is_no_clip_is_refused(svm: Model) -> None:
    for wave, message in (
        (np.zeros(99), "digital silence"),
        (np.full(9, np.nan), "are not finite"),
        (np.empty(0), "0 samples"),
    ):
        with pytest.raises(AudioError, match=message):
            sliding(svm, wave)
