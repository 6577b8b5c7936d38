"""The synthetic corpus is whole, deterministic and kept on disk, and its emotions lie in the cues it claims."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from featkit.audio import SAMPLE_RATE, Wave
from featkit.datasets import synthetic
from featkit.datasets.base import Clip
from featkit.datasets.synthetic import EMOTIONS, PHONES, SENTENCES, Cues, Synthetic, synthesise
from featkit.errors import DataError

SIZES = {"n_speakers": 2, "n_sentences": 2, "n_takes": 1}


def mean_f0(wave: Wave) -> float:
    """Median F0 in Hz of the louder half of the frames, by librosa's YIN."""
    f0 = librosa.yin(wave, fmin=65, fmax=700, sr=SAMPLE_RATE, frame_length=1024, hop_length=256)
    level = librosa.feature.rms(y=wave, frame_length=1024, hop_length=256)[0]
    return float(np.median(f0[level > np.median(level)]))


def level(wave: Wave) -> float:
    """RMS in dB."""
    return float(10 * np.log10(np.mean(wave.astype(float) ** 2)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


@pytest.fixture(scope="module")
def clips(root: Path) -> list[Clip]:
    return list(Synthetic(root, **SIZES).clips())


def test_every_speaker_says_every_sentence_in_every_emotion(clips: list[Clip]) -> None:
    said = [(c.speaker, c.label, c.text) for c in clips]
    assert said == list(product(["s00", "s01"], EMOTIONS, SENTENCES[:2]))
    assert len({c.path for c in clips}) == len(clips)
    assert Synthetic.labels == tuple(sorted(EMOTIONS))


def test_clips_are_audible_speech_of_a_few_seconds(clips: list[Clip]) -> None:
    for clip in clips:
        info = soundfile.info(clip.path)
        assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE, 1, "PCM_16")
        wave, _ = soundfile.read(clip.path, dtype="float32")
        assert 1 < len(wave) / SAMPLE_RATE < 4
        assert np.abs(wave).max() < 1
        assert -45 < level(wave) < -10


def test_a_second_call_rewrites_nothing(root: Path, clips: list[Clip]) -> None:
    before = [c.path.stat().st_mtime_ns for c in clips]
    assert list(Synthetic(root, **SIZES).clips()) == clips
    assert [c.path.stat().st_mtime_ns for c in clips] == before


def test_the_same_clip_has_the_same_bytes_in_another_folder(tmp_path: Path, clips: list[Clip]) -> None:
    again = next(Synthetic(tmp_path, **SIZES).clips())
    assert again.path.read_bytes() == clips[0].path.read_bytes()


def test_a_clip_does_not_depend_on_the_size_of_the_corpus(root: Path, clips: list[Clip]) -> None:
    assert set(Synthetic(root, n_speakers=1, n_sentences=1, n_takes=1).clips()) < set(clips)


@pytest.mark.parametrize("change", [{"seed": 1}, {"take": 1}, {"speaker": 2}, {"emotion": "fear"}])
def test_another_seed_take_speaker_or_emotion_is_another_clip(change: dict[str, object]) -> None:
    settings = {"emotion": "anger", "speaker": 0, "sentence": 0, "take": 0, "seed": 0}
    wave, other = synthesise(**settings), synthesise(**(settings | change))
    assert wave.shape != other.shape or not np.allclose(wave, other)


def test_seeds_share_a_root_without_sharing_files(tmp_path: Path) -> None:
    first, second = (next(Synthetic(tmp_path, seed=seed, **SIZES).clips()) for seed in (0, 1))
    assert first.path != second.path
    assert first.path.read_bytes() != second.path.read_bytes()


def test_what_an_interrupted_run_left_does_not_matter(tmp_path: Path, clips: list[Clip], root: Path) -> None:
    path = tmp_path / clips[0].path.relative_to(root)
    path.parent.mkdir(parents=True)
    rest = path.with_name(path.name + ".0.part")
    rest.write_bytes(b"RIFF")
    assert next(Synthetic(tmp_path, **SIZES).clips()).path.read_bytes() == clips[0].path.read_bytes()
    assert sorted(path.parent.iterdir()) == sorted([path, rest])


@pytest.mark.parametrize("speaker", range(4))
def test_anger_is_higher_and_louder_than_sadness_in_every_speaker(speaker: int) -> None:
    said = {e: [synthesise(e, speaker, s, 0) for s in range(3)] for e in ("anger", "sadness")}
    assert np.mean([mean_f0(w) for w in said["anger"]]) > 1.1 * np.mean([mean_f0(w) for w in said["sadness"]])
    assert np.mean([level(w) for w in said["anger"]]) > 3 + np.mean([level(w) for w in said["sadness"]])


@pytest.mark.parametrize(("speaker", "low", "high"), [(0, 160, 260), (1, 90, 150)])
def test_the_pitch_of_women_and_men_is_measured_where_it_should_be(speaker: int, low: float, high: float) -> None:
    assert low < np.mean([mean_f0(synthesise("neutral", speaker, s, 0)) for s in range(3)]) < high


@pytest.mark.parametrize("semitones", [-4, 4])
def test_measured_pitch_follows_its_cue(monkeypatch: pytest.MonkeyPatch, semitones: float) -> None:
    before = mean_f0(synthesise("neutral", 1, 0, 0))
    monkeypatch.setitem(EMOTIONS, "neutral", Cues(f0=semitones))
    assert 12 * np.log2(mean_f0(synthesise("neutral", 1, 0, 0)) / before) == pytest.approx(semitones, abs=0.5)


def test_a_slower_rate_makes_a_longer_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(synthesise("neutral", 0, 0, 0))
    monkeypatch.setitem(EMOTIONS, "neutral", Cues(rate=-1))
    assert len(synthesise("neutral", 0, 0, 0)) == pytest.approx(2 * before, rel=0.02)


def test_a_tense_voice_has_more_energy_above_1_khz(monkeypatch: pytest.MonkeyPatch) -> None:
    def balance(tilt: float) -> float:
        monkeypatch.setitem(EMOTIONS, "neutral", Cues(tilt=tilt))
        power = np.abs(np.fft.rfft(synthesise("neutral", 0, 1, 0), 1 << 16)) ** 2
        hz = np.fft.rfftfreq(1 << 16, 1 / SAMPLE_RATE)
        return float(power[(hz > 1000) & (hz < 3500)].sum() / power[hz < 1000].sum())

    assert balance(-5) > 1.5 * balance(5)


@pytest.mark.parametrize("cue", ["jitter", "shimmer"])
def test_jitter_and_shimmer_follow_their_cues(monkeypatch: pytest.MonkeyPatch, cue: str) -> None:
    opensmile = pytest.importorskip("opensmile")
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    name = {"jitter": "jitterLocal_sma3nz_amean", "shimmer": "shimmerLocaldB_sma3nz_amean"}[cue]

    def measured(octaves: float) -> float:
        monkeypatch.setitem(EMOTIONS, "neutral", Cues(**{cue: octaves}))
        return float(smile.process_signal(synthesise("neutral", 0, 0, 0), SAMPLE_RATE)[name].iloc[0])

    assert measured(2) > 1.3 * measured(0)


def test_vowels_have_their_formants() -> None:
    """A tract that stands still peaks where its formants are."""
    i = PHONES["i"]
    response = np.abs(synthetic._tract(np.array([[i.f1], [i.f2], [i.f3]]), Cues(tilt=1)))[0]
    peaks = np.flatnonzero((response[1:-1] > response[:-2]) & (response[1:-1] > response[2:])) + 1
    assert synthetic._BINS[peaks[:3]] == pytest.approx([i.f1, i.f2, i.f3], abs=40)


def test_every_letter_of_every_sentence_has_a_sound() -> None:
    assert set("".join(SENTENCES)) - {" "} <= set(PHONES)


def test_the_version_is_raised_with_the_sound() -> None:
    """Where this fails the clips sound otherwise than before: raise VERSION and state the new figures."""
    wave = synthesise("happiness", 0, 0, 0)
    assert (synthetic.VERSION, len(wave)) == (1, 28720)
    assert level(wave) == pytest.approx(-24.3, abs=0.1)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_speakers": 0}, "n_speakers is 0; it must be 1 or more"),
        ({"n_takes": -1}, "n_takes is -1; it must be 1 or more"),
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
        ({"n_sentences": 99}, "n_sentences is 99, but there are 6 sentences; raise n_takes"),
    ],
)
def test_impossible_sizes_are_refused(tmp_path: Path, sizes: dict[str, int], message: str) -> None:
    corpus = Synthetic(tmp_path, **sizes)
    with pytest.raises(DataError, match=message):
        next(corpus.clips())


def test_an_unknown_emotion_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"no emotion is called 'joy'\. There are: anger, disgust"):
        synthesise("joy", 0, 0, 0)


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    corpus = Synthetic(blocked)
    told = r"anger-0-0\.wav' cannot be written \(.+\)\. Name another folder \(root=, .* or set XDG_CACHE_HOME to one"
    with pytest.raises(DataError, match=told):
        next(corpus.clips())


def test_the_default_root_is_in_the_cache_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    monkeypatch.setenv(variable, str(tmp_path))
    assert Synthetic().root == tmp_path / "featkit" / "synthetic"
    monkeypatch.delenv(variable)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert Synthetic().root.relative_to(tmp_path).parts[-2:] == ("featkit", "synthetic")
    assert list(tmp_path.iterdir()) == []
