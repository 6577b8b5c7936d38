"""The contract of an extractor: two views, names, parameters, specification, fusion."""

import json
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone

from featkit import plugins
from featkit.audio import Wave
from featkit.datasets.synthetic import synthesise
from featkit.errors import AudioError, FeatureError, PluginError
from featkit.features import FeatureExtractor, find_extractor
from featkit.features.base import Fusion, extractor_from_spec, hash_spec, packages_of
from featkit.features.functionals import functionals
from featkit.features.logmel import LogMel
from featkit.features.mfcc import MFCC39

BUILT_IN = ["mfcc39", "logmel", "egemaps", "gemaps", "compare2016", "emobase"]
FUSIONS = ["egemaps+mfcc39", "mfcc39+logmel", "egemaps+gemaps", "compare2016+emobase", "mfcc39+mfcc39"]


@pytest.fixture(scope="module")
def speech() -> Wave:
    return synthesise("anger", 0, 0, 0)[:16_000]


@dataclass
class Loudness(FeatureExtractor):
    """What a third party writes: a name, a parameter, one method."""

    name: ClassVar[str] = "loudness"
    block: int = 160

    def frames(self, wave):
        return np.abs(wave[: wave.size // self.block * self.block].reshape(-1, self.block)).mean(1, keepdims=True)


class Level(Loudness):
    """One that brings functionals of its own."""

    name = "level"

    def functionals(self, wave):
        return np.array([wave.max(), wave.min()])


@dataclass
class Returns(FeatureExtractor):
    """Gives back what it is told."""

    name: ClassVar[str] = "returns"
    value: object = None

    def frames(self, wave):
        return self.value

    def functionals(self, wave):
        return self.value


# Views and names


@pytest.mark.parametrize("name", BUILT_IN + FUSIONS)
@pytest.mark.parametrize("view", ["frames", "functionals"])
def test_every_column_has_one_name_of_its_own(name, view, speech):
    extractor = find_extractor(name)
    names = extractor.names(view)
    assert len(names) == extractor.extract(speech, view).shape[-1]
    assert len(names) == len(set(names))
    assert all(isinstance(column, str) for column in names)


def test_a_third_party_extractor_needs_one_method(speech):
    extractor = Loudness()
    frames = extractor.extract(speech, "frames")
    assert frames.shape == (100, 1)
    np.testing.assert_array_equal(extractor.extract(speech, "functionals"), functionals(frames))
    assert extractor.names("frames") == ["loudness_0"]
    assert extractor.names("functionals")[:2] == ["loudness_0_mean", "loudness_0_std"]
    assert extractor.to_onnx("frames") is None
    assert (extractor.hop, extractor.min_samples, extractor.licence) == (0.010, 400, None)


def test_functionals_of_its_own_have_names_of_their_own(speech):
    assert Level().names("functionals") == ["level_functional_0", "level_functional_1"]
    values = Level().extract(speech, "functionals")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, [speech.max(), speech.min()])


def test_another_view_is_refused(speech):
    with pytest.raises(FeatureError, match="A view is 'frames' or 'functionals', not 'frame'"):
        MFCC39().extract(speech, "frame")


@pytest.mark.parametrize(
    ("view", "value", "message"),
    [
        ("frames", np.zeros(5), "returns gave frames of shape (5,); it must be (time, dims)."),
        ("frames", np.zeros((0, 5)), "returns gave frames of shape (0, 5); it must be (time, dims)."),
        ("frames", np.zeros((1, 5, 2)), "returns gave frames of shape (1, 5, 2)"),
        ("functionals", np.zeros((1, 5)), "returns gave functionals of shape (1, 5); it must be (dims,)."),
        ("functionals", 3.0, "returns gave functionals of shape ()"),
        (
            "functionals",
            [1.0, np.nan, np.inf],
            "x: returns gave 2 values that are not finite for 1.00 s of audio; drop",
        ),
    ],
)
def test_what_is_not_as_promised_is_refused(view, value, message, speech):
    with pytest.raises(FeatureError, match=re.escape(message)):
        Returns(value).extract(speech, view, "x")


@pytest.mark.parametrize("shape", [(5,), (0, 5), (1, 5, 2)])
def test_frames_are_as_promised_before_they_are_described(shape, speech):
    class Broken(FeatureExtractor):
        name = "broken"

        def frames(self, wave):
            return np.zeros(shape)

    with pytest.raises(FeatureError, match=re.escape(f"broken gave frames of shape {shape}; it must be (time, dims).")):
        Broken().extract(speech, "functionals")


def test_a_short_clip_is_refused_or_padded():
    short = np.ones(100, dtype=np.float32)
    with pytest.raises(AudioError, match=r"x: has 100 samples .* need at least 400"):
        MFCC39().extract(short, "frames", "x")
    padded = np.pad(short, (0, 300))
    np.testing.assert_array_equal(MFCC39().extract(short, "frames", pad_short=True), MFCC39().extract(padded, "frames"))
    assert np.isfinite(find_extractor("egemaps").extract(short, "functionals", pad_short=True)).all()


# Parameters, as scikit-learn knows them


@pytest.mark.parametrize("extractor", [MFCC39(n_mfcc=20, ref="max"), LogMel(), find_extractor("egemaps+mfcc39")])
def test_clone_and_pickle_give_an_equal_but_separate_extractor(extractor, speech):
    extractor.functionals(speech)  # used ones too
    for twin in (clone(extractor), pickle.loads(pickle.dumps(extractor))):
        assert twin == extractor
        assert twin is not extractor
        assert twin.spec_hash == extractor.spec_hash
        np.testing.assert_array_equal(twin.functionals(speech), extractor.functionals(speech))


def test_clones_of_a_fusion_share_no_part():
    fusion = find_extractor("mfcc39+logmel")
    clone(fusion).parts[0].set_params(n_mfcc=5)
    assert fusion.parts[0].n_mfcc == 13


def test_parameters_are_read_and_set_by_name():
    extractor = MFCC39().set_params(n_mfcc=20, window="hamming")
    assert extractor == MFCC39(n_mfcc=20, window="hamming")
    assert extractor.get_params()["n_mfcc"] == 20
    assert len(extractor.get_params()) == len(fields(MFCC39))
    assert repr(LogMel(n_mels=26)).startswith("LogMel(n_mels=26, n_fft=400")


def test_an_unknown_parameter_tells_the_nearest():
    with pytest.raises(FeatureError, match=r"named 'nmfcc'\. Did you mean 'n_mfcc'\? Parameters: n_mels, "):
        MFCC39().set_params(nmfcc=20)


# Specification


OTHER = {
    "n_mels": 41, "n_fft": 512, "win_length": 300, "hop_length": 161, "window": "hamming", "center": False,
    "pad_mode": "reflect", "power": 1.0, "fmin": 1.0, "fmax": 7_000.0, "htk": True, "mel_norm": None, "ref": "max",
    "amin": 1e-9, "top_db": None, "n_mfcc": 14, "lifter": 22, "deltas": 1, "delta_width": 7, "delta_mode": "nearest",
}  # fmt: skip


def test_the_hash_changes_with_every_parameter_and_with_the_version(monkeypatch):
    assert OTHER.keys() == MFCC39().get_params().keys()
    variants = [MFCC39(), LogMel(), *(replace(MFCC39(), **{name: value}) for name, value in OTHER.items())]
    hashes = {variant.spec_hash for variant in variants}
    assert len(hashes) == len(variants)
    monkeypatch.setattr(MFCC39, "version", 2)
    assert MFCC39().spec_hash not in hashes


def test_the_hash_of_a_fusion_follows_its_parts_and_their_order():
    hashes = {find_extractor(name).spec_hash for name in ("mfcc39+logmel", "logmel+mfcc39", "mfcc39", "logmel")}
    assert len(hashes) == 4
    assert Fusion((MFCC39(n_mfcc=5), LogMel())).spec_hash not in hashes


def test_the_hash_is_the_same_in_another_process():
    code = (
        "from featkit.features import find_extractor as f; print(f('mfcc39').spec_hash, f('mfcc39+logmel').spec_hash)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.split() == [find_extractor(name).spec_hash for name in ("mfcc39", "mfcc39+logmel")]


def test_the_hash_does_not_follow_the_order_in_which_a_file_holds_the_settings():
    spec = MFCC39().spec
    turned = {**dict(reversed(spec.items())), "params": dict(reversed(spec["params"].items()))}
    assert hash_spec(turned) == MFCC39().spec_hash


def test_numbers_of_numpy_are_the_numbers_they_are():
    """`GridSearchCV` over ``np.arange`` sets NumPy integers."""
    extractor = MFCC39(n_mels=np.int64(40), fmin=np.float64(0), center=np.bool_(True))
    assert extractor.spec_hash == MFCC39().spec_hash
    assert json.loads(json.dumps(extractor.spec)) == MFCC39().spec


def test_a_parameter_that_json_cannot_hold_is_refused():
    with pytest.raises(FeatureError, match="loudness: parameters must be what JSON can hold: Object of type ndarray"):
        _ = Loudness(block=np.arange(3)).spec_hash


def test_a_constructor_that_hides_a_parameter_from_the_specification_is_refused():
    class ByHand(Loudness):
        def __init__(self, block, gain):
            self.block, self.gain = block, gain

    with pytest.raises(FeatureError, match="ByHand takes gain without a field of that name; make it a dataclass"):
        _ = ByHand(1, 2).spec_hash


@pytest.mark.parametrize("extractor", [MFCC39(n_mfcc=20, ref="max"), *map(find_extractor, BUILT_IN + FUSIONS)], ids=str)
def test_the_specification_rebuilds_the_extractor_from_json(extractor):
    spec = json.loads(json.dumps(extractor.spec))
    rebuilt = extractor_from_spec(spec)
    assert rebuilt == extractor
    assert rebuilt.spec_hash == extractor.spec_hash == hash_spec(spec)


def test_fusions_of_fusions_are_rebuilt_too():
    nested = Fusion((find_extractor("mfcc39+logmel"), MFCC39(n_mfcc=5)))
    assert extractor_from_spec(nested.spec) == nested


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "mfcc39", "version": 1, "params": {"n_mfcc": 13, "tempo": 2}},
        {"name": "mfcc39"},
        {"params": {}},
        {"fusion": 3},
        {"fusion": [{"name": "mfcc39"}]},
    ],
)
def test_a_specification_that_fits_nothing_installed_is_refused(spec):
    with pytest.raises(FeatureError, match="These features are not what is installed: "):
        extractor_from_spec(spec)


def test_a_specification_of_an_unknown_set_tells_the_nearest():
    with pytest.raises(PluginError, match=r"No feature set is named 'egemap'\. Did you mean 'egemaps'"):
        extractor_from_spec({"name": "egemap", "version": 1, "params": {}})


# Finding and fusing


def test_names_with_settings_make_extractors_and_plus_joins_them():
    assert find_extractor("mfcc39") == MFCC39()
    assert find_extractor("mfcc39:n_mfcc=20 + logmel") == Fusion((MFCC39(n_mfcc=20), LogMel()))
    extractor = LogMel()
    assert find_extractor(extractor) is extractor


@pytest.mark.parametrize("name", ["mfc39", "logmel+mfc39", "", "mfcc39+", "MFCC39"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(PluginError, match="No feature set is named "):
        find_extractor(name)


def test_what_is_neither_name_nor_extractor_is_refused():
    with pytest.raises(FeatureError, match="features must be a name or a FeatureExtractor, not int"):
        find_extractor(39)


def test_a_missing_package_gives_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    monkeypatch.delitem(sys.modules, "featkit.features.opensmile", raising=False)
    with pytest.raises(PluginError, match=re.escape("pip install 'featkit[opensmile]'")):
        find_extractor("mfcc39+egemaps")


def test_fused_functionals_stand_one_after_the_other(speech):
    fused = find_extractor("egemaps+mfcc39").extract(speech, "functionals")
    parts = [find_extractor(name).functionals(speech) for name in ("egemaps", "mfcc39")]
    np.testing.assert_array_equal(fused, np.concatenate(parts))


def test_fused_frames_stand_side_by_side_cut_to_the_shortest(speech):
    egemaps, mfcc39 = (find_extractor(name).frames(speech) for name in ("egemaps", "mfcc39"))
    assert len(egemaps) < len(mfcc39)
    fused = find_extractor("mfcc39+egemaps").extract(speech, "frames")
    np.testing.assert_array_equal(fused, np.hstack([mfcc39[: len(egemaps)], egemaps]))


def test_a_fusion_asks_for_what_its_most_demanding_part_needs():
    fusion = find_extractor("mfcc39+egemaps")
    assert fusion.name == "mfcc39+egemaps"
    assert fusion.min_samples == 1_600
    assert fusion.hop == 0.010


def test_frames_with_different_hops_are_not_fused_but_their_functionals_are(speech):
    fusion = Fusion((MFCC39(), LogMel(hop_length=200)))
    message = re.escape(
        "Frames can only be fused at one hop; these differ: mfcc39 10 ms, logmel 12.5 ms. Set equal hops."
    )
    with pytest.raises(FeatureError, match=message):
        fusion.frames(speech)
    with pytest.raises(FeatureError, match=message):
        fusion.to_onnx("frames")
    with pytest.raises(FeatureError, match=r"these differ: logmel 10 ms, logmel 12\.5 ms"):  # one name twice
        find_extractor("logmel+logmel:hop_length=200").frames(speech)
    assert fusion.extract(speech, "functionals").shape == (9 * (39 + 64),)
    assert fusion.to_onnx("functionals") is not None


def test_a_name_that_comes_again_is_numbered():
    twice = find_extractor("mfcc39+mfcc39")
    assert twice.names("frames")[0] == "mfcc_1"
    assert twice.names("frames")[39] == "mfcc_1_2"


def test_every_set_is_registered_under_its_own_name():
    assert set(BUILT_IN) <= set(plugins.installed("features"))
    assert all(find_extractor(name).name == name for name in BUILT_IN)


def test_what_decides_the_numbers_is_also_what_the_modules_of_base_classes_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, member in (("theirs.sets", ModuleType("theirs")), ("elsewhere.base", ModuleType("their_dsp.fft"))):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setattr(sys.modules[name], "member", member, raising=False)
    base = type("Base", (Loudness,), {"__module__": "elsewhere.base"})
    theirs = type("Theirs", (base,), {"__module__": "theirs.sets"})
    found = packages_of(Fusion((theirs(), MFCC39())))
    assert {"theirs", "elsewhere", "their_dsp", "featkit", "numpy"} <= found
    assert "elsewhere" not in packages_of(MFCC39())
