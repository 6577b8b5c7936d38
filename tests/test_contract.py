"""The check for plug-ins passes what keeps its promises, and says which promise anything else breaks."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from speech import write_wav

from featkit import plugins
from featkit.backend import Backend, find_backend
from featkit.contract import check
from featkit.datasets import Clip, Dataset
from featkit.errors import PluginError
from featkit.features import FeatureExtractor, find_extractor
from featkit.features.graph import GraphExtractor
from featkit.graph import GraphBuilder, convert_classifier


@dataclass
class Energy(FeatureExtractor):
    """Power of every 10 ms, in a unit of one's own. What the broken ones below depart from."""

    name = "energy"
    unit: float = 1.0

    def frames(self, wave: Any) -> Any:
        return (wave[: wave.size // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1, keepdims=True) / self.unit


class Logistic(Backend):
    """Logistic regression."""

    name, consumes = "logistic", "functionals"

    def __init__(self, C: Any = 1.0) -> None:
        self.C = C

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Logistic:
        self.model_ = LogisticRegression(C=self.C, max_iter=3000).fit(X / 100, y, sample_weight)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: Any) -> Any:
        return self.model_.predict_proba(np.asarray(X) / 100)

    def to_onnx(self) -> Any:
        g = GraphBuilder("logistic")
        X = g.input("functionals", ["batch", self.model_.n_features_in_])
        model = convert_classifier(self.model_, self.model_.n_features_in_)
        g.output(g.include(model, g.op("Div", X, g.constant(100.0))), "probabilities", ["batch", len(self.classes_)])
        return g.model()


@dataclass
class Mine(Dataset):
    """Two recordings."""

    root: Path
    name, title, licence, labels = "mine", "Mine", "CC0", ("anger", "neutral")

    def clips(self) -> Iterator[Clip]:
        for label in ("anger", "neutral"):
            yield Clip(self.root / f"{label}.wav", label)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for label in ("anger", "neutral"):
        write_wav(tmp_path / f"{label}.wav", np.zeros(16_000, dtype=np.float32))
    return tmp_path


@pytest.mark.parametrize("name", ["mfcc39", "logmel:top_db=none", "egemaps+mfcc39"])
def test_our_feature_sets_keep_their_promises(name: str) -> None:
    check(find_extractor(name))


@pytest.mark.parametrize("name", ["svm", "tdnn:channels=(8,12),epochs=2"])
def test_our_backends_keep_their_promises(name: str) -> None:
    check(find_backend(name))


def test_the_synthetic_corpus_keeps_its_promises() -> None:
    check(plugins.find("datasets", "synthetic")())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_plug_ins_that_are_not_installed_can_be_checked(root: Path) -> None:
    check(Energy(unit=2.0))
    check(Logistic(C=10.0))
    check(Mine(root))


def test_the_plug_ins_of_the_example_keep_their_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "examples" / "plugin")
    example = importlib.import_module("featkit_energy")
    check(example.Energy())
    check(example.Logistic())


def test_what_is_no_plug_in_is_refused() -> None:
    with pytest.raises(PluginError, match="A plug-in is a FeatureExtractor, Backend or Dataset, not str"):
        check("energy")  # type: ignore[arg-type]


# Feature sets


class Nameless(Energy):
    name = ""


class Impostor(Energy):
    name = "mfcc39"


class Flat(Energy):
    def frames(self, wave: Any) -> Any:
        return super().frames(wave)[:, 0]


class Logarithm(Energy):
    def frames(self, wave: Any) -> Any:
        with np.errstate(divide="ignore"):
            return np.log(super().frames(wave))


class Growing(Energy):
    def frames(self, wave: Any) -> Any:
        return np.repeat(super().frames(wave), 1 + wave.size // 16_000, axis=1)


class Greedy(Energy):
    def frames(self, wave: Any) -> Any:
        wave /= max(1e-9, abs(wave).max())
        return super().frames(wave)


class Random(Energy):
    def frames(self, wave: Any) -> Any:
        return super().frames(wave) + np.random.default_rng().normal()


class Raises(Energy):
    def frames(self, wave: Any) -> Any:
        return wave.nothing


class Ungrouped(Logistic):
    def fit(self, X: Any, y: Any) -> Logistic:  # type: ignore[override]
        return super().fit(X, y)


class Unlabelled(Logistic):
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Logistic:
        super().fit(X, y)
        del self.classes_
        return self


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (
            Raises(),
            r"energy: AttributeError: 'numpy\.ndarray' object has no attribute 'nothing' \(test_contract",
        ),
        (
            Ungrouped(),
            r"logistic: TypeError: .*unexpected keyword argument 'groups' \(backends\.py, line",
        ),
        (Unlabelled(), r"logistic: AttributeError: 'Unlabelled' object has no attribute 'classes_'"),
    ],
)
def test_what_a_plugin_raises_itself_is_its_own_promise_broken(plugin: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message) as told:
        check(plugin)
    assert isinstance(told.value.__cause__, AttributeError | TypeError)


class Remembering(Energy):
    heard = 0.0

    def frames(self, wave: Any) -> Any:
        Remembering.heard += 1
        return super().frames(wave) + Remembering.heard


class Misnamed(Energy):
    @property
    def frame_names(self) -> list[str]:
        return ["energy", "entropy"]


class Twins(Energy):
    def frames(self, wave: Any) -> Any:
        return np.repeat(super().frames(wave), 2, axis=1)

    @property
    def frame_names(self) -> list[str]:
        return ["energy", "energy"]


class Hasty(Energy):
    @property
    def hop(self) -> float:
        return 0.020


@dataclass
class Locked(Energy):
    def __post_init__(self) -> None:
        self.scale = lambda values: values


class Forgetful(Energy):
    def __reduce__(self) -> Any:
        return Forgetful, ()


@dataclass
class Weighted(Energy):
    weights: Any = None


@dataclass
class Stringly(Energy):
    """Its setting is a tuple, which comes back from JSON as a list and then means something else."""

    bands: Any = (0, 1)

    def frames(self, wave: Any) -> Any:
        return super().frames(wave) + isinstance(self.bands, tuple)


class OtherGraph(GraphExtractor):
    """Python and graph are not one."""

    name = "other"

    def add_frames(self, g: GraphBuilder, wave: str) -> str:
        blocks = g.op("Unsqueeze", wave, g.ints(2))
        return str(g.op("AveragePool", g.op("Transpose", blocks, perm=[0, 2, 1]), kernel_shape=[160], strides=[160]))

    def frames(self, wave: Any) -> Any:
        return super().frames(wave) * 2


class Transposed(OtherGraph):
    def add_frames(self, g: GraphBuilder, wave: str) -> str:
        return str(g.op("Transpose", super().add_frames(g, wave), perm=[0, 2, 1]))


@pytest.mark.parametrize(
    ("extractor", "message"),
    [
        (Nameless(), "Nameless: has no name; write name = '…' into the class."),
        (Impostor(), "mfcc39: the entry point of this name leads to featkit.features.mfcc:MFCC39, not Impostor."),
        (Flat(), "energy: energy gave frames of shape ("),
        (Logarithm(), "energy: silence: energy gave 100 values that are not finite for 1.00 s of audio"),
        (Growing(), "energy: frames have [1, 2, 3] columns"),
        (Greedy(), "energy: frames change the wave that they are given: values differ by up to "),
        (Random(), "energy: frames of the shortest clip come out otherwise again: values differ by up to "),
        (Remembering(), "energy: frames of the shortest clip come out otherwise again: values differ by up to "),
        (Misnamed(), "energy: 2 names for 1 columns of frames."),
        (Twins(), "energy: names of frames must be texts, each another one."),
        (Hasty(), "energy: hop is 0.02 s, but a second more of sound gives 100 frames more."),
        (Locked(), "energy: cannot be pickled ("),
        (Forgetful(unit=2.0), "energy: a copy, pickled, has other settings: unit is "),
        (Weighted(weights=np.ones(2)), "energy: settings must be what JSON can hold ("),
        (Stringly(), "energy: frames of a copy, made of its settings: values differ by up to 1."),
        (Transposed(), "other: the graph of frames does not answer as Python for speech: values differ by up to "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, FeatureExtractor) else "",
)
def test_a_broken_feature_set_is_told_its_first_broken_promise(extractor: FeatureExtractor, message: str) -> None:
    with pytest.raises(PluginError, match=re.escape(message)):
        check(extractor)


# Backends


class Undecided(Logistic):
    consumes: Any = "waves"


class Scaling(Logistic):
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Logistic:
        X /= 100
        return super().fit(X, y)


class Numbered(Logistic):
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Logistic:
        super().fit(X, y)
        self.classes_ = np.arange(len(self.classes_))
        return self


class Narrow(Logistic):
    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(X)[:, :1]


class Odds(Logistic):
    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(X) * 2


class Comparing(Logistic):
    """Judges a clip by the company it keeps."""

    def predict_proba(self, X: Any) -> Any:
        X = np.asarray(X)
        return super().predict_proba(X + len(X))


class Undone(Logistic):
    def to_onnx(self) -> Any:
        g = GraphBuilder("undone")
        X = g.input("functionals", ["batch", self.model_.n_features_in_])
        g.output(g.op("Softmax", X), "probabilities", ["batch", len(self.classes_)])
        return g.model()


class Choosy(Logistic):
    def to_onnx(self) -> Any:
        g = GraphBuilder("choosy")
        X, weight = g.input("functionals", ["batch", 351]), g.input("weight", ["batch", 351])
        g.output(g.op("Mul", X, weight), "probabilities", ["batch", 351])
        return g.model()


class OneByOne(Logistic):
    """Its graph is written for a batch of one."""

    def to_onnx(self) -> Any:
        model = super().to_onnx()
        g = GraphBuilder("one")
        X = g.op("Reshape", g.input("functionals", ["batch", 351]), g.ints(1, 351))
        g.output(g.include(model, X), "probabilities", ["batch", len(self.classes_)])
        return g.model()


class Unpickled(Logistic):
    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "trick": lambda: 0}


class Dice(Logistic):
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Logistic:
        return super().fit(X, y, np.random.default_rng().uniform(0.5, 2, len(y)))


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (Undecided(), "logistic: consumes must be 'frames' or 'functionals', not 'waves'."),
        (Scaling(), "logistic: changes the features that it is given: values differ by up to "),
        (Numbered(), "logistic: classes_ must be ['anger', 'neutral', 'sadness']; they are [0, 1, 2]."),
        (Narrow(), "logistic: predict_proba gave (24, 1); it must be (24, 3)."),
        (Odds(), "logistic: the rows of predict_proba must be probabilities that sum to 1."),
        (Comparing(), "logistic: a clip alone is judged otherwise: values differ by up to "),
        (Undone(), "logistic: the graph does not answer as predict_proba for an input of (1, 351): shape (1, 351)"),
        (Choosy(), "logistic: the graph has 2 inputs; it must have the features alone."),
        (
            OneByOne(),
            "logistic: the graph does not answer as predict_proba for an input of (3, 351): [ONNXRuntimeError]",
        ),
        (Unpickled(), "logistic: cannot be pickled ("),
        (Dice(), "logistic: fitted again it judges otherwise: values differ by up to "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Backend) else "",
)
def test_a_broken_backend_is_told_its_first_broken_promise(backend: Backend, message: str) -> None:
    with pytest.raises(PluginError, match=re.escape(message)):
        check(backend)


def test_a_backend_whose_settings_json_cannot_hold_is_refused() -> None:
    with pytest.raises(PluginError, match=r"logistic: settings must be what JSON can hold \("):
        check(Logistic(C=np.float32(1)))


# Corpora


class Unlicensed(Mine):
    licence = ""


class Shuffled(Mine):
    def clips(self) -> Iterator[Clip]:
        self.turned = not getattr(self, "turned", False)
        clips = list(super().clips())
        yield from clips[::-1] if self.turned else clips


class Promising(Mine):
    def clips(self) -> Iterator[Clip]:
        yield Clip(self.root / "gone.wav", "anger")


class Doubled(Mine):
    def clips(self) -> Iterator[Clip]:
        yield from [*super().clips(), *super().clips()]


class Empty(Mine):
    def clips(self) -> Iterator[Clip]:
        yield from ()


class German(Mine):
    def clips(self) -> Iterator[Clip]:
        yield Clip(self.root / "anger.wav", "Wut")


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (Unlicensed, r"mine: says no licence; write licence = '…' into the class\."),
        (Shuffled, r"mine: its clips come in another order when they are read again; sort them\."),
        (Promising, r"mine: '.*gone\.wav' is no file; yield only clips that are there\."),
        (Doubled, r"mine: '.*anger\.wav' comes 2 times; a recording is one clip\."),
        (Empty, r"mine: yields no clip; raise DataError where there is none\."),
        (German, r"mine: yields the labels \['Wut'\], which its labels do not hold\."),
    ],
)
def test_a_broken_corpus_is_told_its_first_broken_promise(corpus: type[Mine], message: str, root: Path) -> None:
    with pytest.raises(PluginError, match=message):
        check(corpus(root))
