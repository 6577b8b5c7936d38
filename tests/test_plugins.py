"""Names become classes, and a name that does not says which one was meant or which package is missing."""

import re
import sys
from importlib.metadata import EntryPoint

import pytest

from featkit import plugins
from featkit.errors import PluginError
from featkit.features.logmel import LogMel
from featkit.features.mfcc import MFCC39


@pytest.fixture
def foreign(monkeypatch):
    """Installs an entry point for the time of one test."""

    def install(kind, name, value):
        points = {**plugins.installed(kind), name: EntryPoint(name, value, f"featkit.{kind}")}
        monkeypatch.setattr(plugins, "_installed", lambda _: points)

    return install


def test_every_built_in_plugin_is_found_by_its_name():
    for kind in ("features", "backends", "datasets"):
        names = list(plugins.installed(kind))
        assert names == sorted(names)
        for name in names:
            assert plugins.find(kind, name).name == name


def test_listing_the_plugins_imports_none(monkeypatch):
    monkeypatch.delitem(sys.modules, "featkit.features.logmel", raising=False)
    plugins._installed.cache_clear()
    assert "logmel" in plugins.installed("features")
    assert "featkit.features.logmel" not in sys.modules


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("features", "mfc39", "No feature set is named 'mfc39'. Did you mean 'mfcc39'? Installed: compare2016, "),
        ("backends", "smv", "No backend is named 'smv'. Did you mean 'svm'? Installed: "),
        ("datasets", "emo-db", "No corpus is named 'emo-db'. Did you mean 'emodb'? Installed: "),
        ("backends", "lstm", "No backend is named 'lstm'. Did you mean 'cnn_lstm'? "),
        ("backends", "svc", "No backend is named 'svc'. Did you mean 'svm'? "),
        ("backends", "randomforest", "No backend is named 'randomforest'. The nearest is 'xgboost'. Installed: "),
        ("backends", "Random_Forest", "No backend is named 'Random_Forest'. The nearest is 'xgboost'. "),
        ("backends", "rf", "No backend is named 'rf'. The nearest is 'xgboost'. "),
        ("backends", "knn", "No backend is named 'knn'. Installed: "),
        ("features", "mfcc", "No feature set is named 'mfcc'. Did you mean 'mfcc39'? "),
        ("features", "wav2vec", "No feature set is named 'wav2vec'. Did you mean 'wav2vec2'? "),
        ("features", "openSMILE", "No feature set is named 'openSMILE'. The nearest is 'egemaps'. Installed: "),
        ("features", "zzz", "No feature set is named 'zzz'. Installed: "),
    ],
)
def test_an_unknown_name_tells_the_nearest_and_all(kind, name, message):
    with pytest.raises(PluginError, match=re.escape(message)):
        plugins.find(kind, name)


@pytest.mark.parametrize("kind", ["features", "backends", "datasets"])
def test_what_a_name_is_called_elsewhere_leads_to_what_there_is(kind):
    for other, name in plugins._ELSEWHERE[kind].items():
        assert name in plugins.installed(kind)
        assert other not in plugins.installed(kind)
        assert other.isalnum()
        assert other == other.lower()


def test_what_is_not_installed_is_not_named_as_the_nearest(monkeypatch):
    monkeypatch.setattr("featkit.plugins._installed", lambda kind: {"svm": EntryPoint("svm", "x:Y", "z")})
    with pytest.raises(PluginError, match=r"No backend is named 'randomforest'\. Installed: svm\.$"):
        plugins.find("backends", "randomforest")


def test_where_nothing_is_installed_the_message_says_so():
    assert plugins.unknown("backend", "svm", []) == "No backend is named 'svm'. Installed: none."


def test_a_missing_package_of_an_extra_gives_its_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    monkeypatch.delitem(sys.modules, "featkit.features.opensmile", raising=False)
    message = "The feature set 'egemaps' needs the package 'opensmile', which is not installed: "
    with pytest.raises(PluginError, match=re.escape(message + "pip install 'featkit[opensmile]'")):
        plugins.find("features", "egemaps")


@pytest.mark.parametrize(
    ("kind", "module"), [("features", "torch"), ("features", "huggingface_hub"), ("backends", "torch")]
)
def test_the_extra_that_is_called_as_the_plugin_brings_all_that_it_needs(kind, module, monkeypatch):
    """Else who installs the first extra is told of the next."""
    place = plugins.installed(kind)["wav2vec2"].module
    monkeypatch.setitem(sys.modules, module, None)
    for name in (place, "featkit.features.pretrained"):  # which the feature set is made of
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(
        PluginError, match=re.escape(f"'{module}', which is not installed: pip install 'featkit[wav2vec2]'")
    ):
        plugins.find(kind, "wav2vec2")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("xgboost", "pip install 'featkit[xgboost]'"),
        ("onnxmltools.convert", "pip install 'featkit[xgboost]'"),
        ("torch.nn", "pip install 'featkit[torch]'"),
        ("huggingface_hub", "pip install 'featkit[wav2vec2]'"),
        ("pyarrow.parquet", "pip install 'featkit[parquet]'"),
        ("pandas", "pip install 'featkit[pandas]'"),
        ("parselmouth", "pip install parselmouth"),
    ],
)
def test_the_pip_line_names_the_extra_or_the_package(module, line):
    error = plugins.missing(ModuleNotFoundError(name=module), "backend 'x'")
    assert str(error).endswith(f"the package '{module.partition('.')[0]}', which is not installed: {line}")


def test_a_foreign_plugin_whose_package_is_missing_gives_its_pip_line(foreign):
    foreign("features", "pitch", "no_such_package.pitch:Pitch")
    with pytest.raises(PluginError, match=r"'pitch' needs the package 'no_such_package'.*pip install no_such_package"):
        plugins.find("features", "pitch")


def test_a_foreign_plugin_is_found_as_ours_are(foreign):
    foreign("features", "mine", "featkit.features.logmel:LogMel")
    assert plugins.find("features", "mine") is LogMel
    assert plugins.find("features", "mfcc39") is MFCC39


@pytest.mark.parametrize(
    ("text", "extractor"),
    [
        ("mfcc39", MFCC39()),
        (" mfcc39: ", MFCC39()),
        ("mfcc39:n_mfcc=20", MFCC39(n_mfcc=20)),
        ("mfcc39: n_mfcc = 20 , window=hamming,ref='max'", MFCC39(n_mfcc=20, window="hamming", ref="max")),
        ("mfcc39:center=false,htk=true,top_db=none,fmin=5e1", MFCC39(center=False, htk=True, top_db=None, fmin=50.0)),
        ("logmel:win_length=None,top_db=-1", LogMel(top_db=-1)),
    ],
)
def test_settings_stand_behind_a_colon(text, extractor):
    assert plugins.build("features", text) == extractor


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mfc39:n_mfcc=20", "No feature set is named 'mfc39'. Did you mean 'mfcc39'?"),
        ("mfcc39:n_mfc=20", "No setting of mfcc39 is named 'n_mfc'. Did you mean 'n_mfcc'? Settings: n_mels, "),
        ("egemaps:n=1", "No setting of egemaps is named 'n'. Settings: none."),
        ("mfcc39:20", "'mfcc39:20': settings are written as in 'mfcc39:first=1,second=word'."),
        ("egemaps:loud", "'egemaps:loud': settings are written as in 'egemaps:first=1,second=word'."),
        ("mfcc39:n_mfcc=", "settings are written as in "),
        ("mfcc39:n_mfcc=1) or f(", "settings are written as in "),
        ("mfcc39:**{'n_mfcc': 2}", "settings are written as in "),
        ("mfcc39:n_mfcc=open('x')", "the value of n_mfcc is neither a word, a number nor a tuple."),
    ],
)
def test_settings_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(PluginError, match=re.escape(message)):
        plugins.build("features", text)
