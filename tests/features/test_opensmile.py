"""openSMILE's sets are openSMILE's own numbers, bit by bit."""

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
    smile = opensmile.Smile
    monkeypatch.setattr(opensmile, "Smile", lambda **settings: built.append(settings) or smile(**settings))
    module._smile.cache_clear()
    wave = synthesise("anger", 0, 0, 0)[:8_000]
    for _ in range(3):
        find_extractor("gemaps").functionals(wave)
    assert len(built) == 1
    find_extractor("gemaps").frames(wave)
    find_extractor("gemaps").names("frames")
    assert len(built) == 2


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
