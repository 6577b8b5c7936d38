"""openSMILE's sets are openSMILE's own numbers, bit by bit."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from featkit.datasets.synthetic import synthesise
from featkit.errors import AudioError
from featkit.features import find_extractor

opensmile = pytest.importorskip("opensmile", reason="openSMILE is an extra")

SETS = {
    "egemaps": (opensmile.FeatureSet.eGeMAPSv02, 25, 88),
    "gemaps": (opensmile.FeatureSet.GeMAPSv01b, 18, 62),
    "compare2016": (opensmile.FeatureSet.ComParE_2016, 65, 6_373),
    "emobase": (opensmile.FeatureSet.emobase, 26, 988),
}
LEVELS = {
    "frames": opensmile.FeatureLevel.LowLevelDescriptors,
    "functionals": opensmile.FeatureLevel.Functionals,
}


@pytest.mark.parametrize("view", LEVELS)
@pytest.mark.parametrize("name", SETS)
def test_both_views_are_opensmiles_bit_by_bit(name, view):
    feature_set, n_frames, n_functionals = SETS[name]
    reference = opensmile.Smile(feature_set=feature_set, feature_level=LEVELS[view])
    extractor = find_extractor(name)
    for emotion, speaker in (("anger", 0), ("sadness", 1)):
        wave = synthesise(emotion, speaker, sentence=0, take=0)
        theirs = reference.process_signal(wave, 16_000)
        ours = extractor.extract(wave, view)
        assert ours.dtype == np.float32
        assert np.array_equal(ours, theirs.to_numpy() if view == "frames" else theirs.to_numpy()[0])
        assert ours.shape[-1] == (n_frames if view == "frames" else n_functionals)
        assert extractor.names(view) == list(theirs.columns)


def test_a_clip_gives_the_same_numbers_after_other_clips():
    """The engine is kept between clips; nothing of one may reach the next."""
    extractor = find_extractor("egemaps")
    first, other = (synthesise(emotion, 0, 0, 0) for emotion in ("fear", "anger"))
    before = extractor.functionals(first)
    extractor.functionals(other)
    np.testing.assert_array_equal(extractor.functionals(first), before)


def test_the_engine_is_built_once_a_process(monkeypatch):
    from featkit.features import opensmile as module

    built = []
    initialise = module.OpenSMILE.initialize
    monkeypatch.setattr(
        module.OpenSMILE, "initialize", lambda self, *a, **k: built.append(a) or initialise(self, *a, **k)
    )
    module._smile.cache_clear()
    monkeypatch.setattr(module, "_IDLE", {})
    wave = synthesise("anger", 0, 0, 0)[:8_000]
    for _ in range(3):
        find_extractor("gemaps").functionals(wave)
    assert len(built) == 2  # the names are asked of one that never runs
    find_extractor("gemaps").frames(wave)
    find_extractor("gemaps").names("frames")
    assert len(built) == 4


def test_an_engine_that_is_used_again_knows_nothing_of_other_clips():
    """Long after short, silence after sound, in several threads: what a new engine gives, bit by bit."""
    rng = np.random.default_rng(0)
    waves = [rng.normal(0, 0.1, n).astype(np.float32) for n in (1_600, 40_000, 1_601, 5_000, 1_600, 16_000)]
    waves[3:3] = [np.zeros(8_000, dtype=np.float32)]
    extractor = find_extractor("gemaps")
    reference = opensmile.Smile(feature_set=SETS["gemaps"][0], feature_level=LEVELS["functionals"])
    theirs = [reference(wave, 16_000)[0, :, 0] for wave in waves]
    with ThreadPoolExecutor(3) as threads:
        ours = list(threads.map(extractor.functionals, waves * 3))
    np.testing.assert_array_equal(ours, theirs * 3)


def test_an_engine_that_a_long_clip_has_made_large_is_not_kept(monkeypatch):
    from featkit.features import opensmile as module

    monkeypatch.setattr(module, "_IDLE", {})
    wave = synthesise("anger", 0, 0, 0)
    monkeypatch.setattr(module, "_MOST_HELD", 2 * wave.size)
    extractor = find_extractor("gemaps")
    extractor.functionals(np.append(wave, wave[:1]))
    assert not any(module._IDLE.values())
    extractor.functionals(wave)
    assert len(*module._IDLE.values()) == 1


def test_a_sample_beyond_full_scale_stays_there():
    """The package's own conversion to 16 bits turns 1 into −1."""
    wave = synthesise("anger", 0, 0, 0)
    loud = wave / np.abs(wave).max() * np.float32(1.2)
    limited = np.clip(loud, -1, 32_767 / 32_768)
    extractor = find_extractor("gemaps")
    np.testing.assert_array_equal(extractor.functionals(loud), extractor.functionals(limited))
    wrapped = opensmile.Smile(feature_set=SETS["gemaps"][0], feature_level=LEVELS["functionals"])(loud, 16_000)
    assert not np.array_equal(extractor.functionals(loud), wrapped[0, :, 0])


def test_a_clip_about_which_opensmile_would_only_warn_is_refused():
    with pytest.raises(AudioError, match=r"has 1599 samples .*these features need at least 1600"):
        find_extractor("egemaps").extract(np.ones(1_599, dtype=np.float32), "functionals")


@pytest.mark.parametrize("view", LEVELS)
@pytest.mark.parametrize("name", SETS)
def test_the_shortest_clip_and_silence_are_finite(name, view):
    wave = synthesise("anger", 0, 0, 0)[4_000:5_600]
    for clip in (wave, np.zeros(1_600, dtype=np.float32)):
        assert np.isfinite(find_extractor(name).extract(clip, view)).all()


def test_the_licence_goes_with_the_features():
    assert "research" in find_extractor("egemaps").licence
    assert find_extractor("egemaps+gemaps+mfcc39").licence == find_extractor("egemaps").licence
    assert find_extractor("mfcc39+logmel").licence is None
