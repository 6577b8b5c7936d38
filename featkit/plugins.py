"""Names → classes. Built-in and third-party plug-ins are found the same way: through entry points."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from featkit.errors import PluginError

Kind: TypeAlias = Literal["features", "backends", "datasets"]

_NOUN: dict[Kind, str] = {"features": "feature set", "backends": "backend", "datasets": "corpus"}
# What a plug-in, or the one that does most nearly the same, is called elsewhere: small letters, without other signs.
_ELSEWHERE: dict[Kind, dict[str, str]] = {
    "features": {
        "opensmile": "egemaps",
        "mel": "logmel",
        "fbank": "logmel",
        "melspectrogram": "logmel",
        "spectrogram": "logmel",
        "hubert": "wav2vec2",
        "wavlm": "wav2vec2",
        "xlsr": "wav2vec2",
    },
    "backends": {
        "rf": "xgboost",
        "randomforest": "xgboost",
        "lightgbm": "xgboost",
        "lgbm": "xgboost",
        "logistic": "linear",
        "logisticregression": "linear",
        "logreg": "linear",
        "cnn": "cnn_lstm",
        "rnn": "cnn_lstm",
        "gru": "cnn_lstm",
        "bilstm": "cnn_lstm",
        "crnn": "cnn_lstm",
        "dnn": "mlp",
        "nn": "mlp",
        "xvector": "tdnn",
        "ecapa": "tdnn",
        "ecapatdnn": "tdnn",
        "gmm": "fisher",
        "hubert": "wav2vec2",
        "wavlm": "wav2vec2",
    },
    "datasets": {},
}
# Packages of ours that are called otherwise than the modules they bring.
_PACKAGES = {"sklearn": "scikit-learn", "yaml": "pyyaml"}
# Which extra of featkit brings a module that a built-in plug-in needs.
_EXTRAS = {
    "opensmile": "opensmile",
    "xgboost": "xgboost",
    "onnxmltools": "xgboost",
    "torch": "torch",
    "onnxscript": "torch",
    "onnx_ir": "torch",
    "safetensors": "torch",
    "transformers": "wav2vec2",
    "huggingface_hub": "wav2vec2",
    "pyarrow": "parquet",
    "pandas": "pandas",
    "librosa": "augment",
    "matplotlib": "plot",
    "starlette": "serve",
    "uvicorn": "serve",
    "websockets": "serve",
    "python_multipart": "serve",
    "sounddevice": "live",
    "dask": "dask",
    "distributed": "dask",
    "litert_torch": "mobile",
    "ai_edge_litert": "mobile",
    "ai_edge_quantizer": "mobile",
}


def installed(kind: Kind) -> dict[str, EntryPoint]:
    """Entry points of one kind by name, sorted. Nothing is imported."""
    return dict(sorted(_installed(kind).items()))


@cache
def _installed(kind: Kind) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"featkit.{kind}")}


def find(kind: Kind, name: str) -> Any:
    """Import and return the plug-in class called ``name``.

    Raises
    ------
    PluginError
        The name is unknown (the message suggests the nearest one), or a package it needs is not installed (the
        message holds the pip line).
    """
    points = installed(kind)
    if name not in points:
        others = [_NOUN[other] for other in _NOUN if other != kind and name in installed(other)]
        hint = f" '{name}' is a {others[0]}: are they the wrong way round?" if others else ""
        raise PluginError(unknown(_NOUN[kind], name, points, elsewhere=_ELSEWHERE[kind]) + hint)
    try:
        return points[name].load()
    except ModuleNotFoundError as error:
        raise missing(error, f"{_NOUN[kind]} '{name}'", name) from None
    except Exception as error:  # a stranger's module may fail in any way
        raise PluginError(f"The {_NOUN[kind]} '{name}' cannot be loaded ({type(error).__name__}: {error}).") from error


def build(kind: Kind, text: str) -> Any:
    """Make a plug-in from its name, with settings behind a colon where it needs any.

    Examples
    --------
    >>> build("features", "mfcc39:n_mfcc=20,window=hamming").window
    'hamming'

    Raises
    ------
    PluginError
        The name or a setting is unknown, or a package is missing.
    """
    name, params = parse(text)
    plugin = find(kind, name)
    known = list(inspect.signature(plugin).parameters)
    for key in params:
        if key not in known:
            raise PluginError(unknown(f"setting of {name}", key, known, "Settings"))
    return plugin(**params)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Name and settings of ``name:first=1,second=word``. Nothing is evaluated.

    Examples
    --------
    >>> parse("noise:snr=15,p=1")
    ('noise', {'snr': 15, 'p': 1})

    Raises
    ------
    PluginError
        What follows the colon are no settings.
    """
    name, _, settings = text.strip().partition(":")
    return name, {str(setting.arg): _value(text, setting) for setting in _settings(text, name, settings)}


def _settings(text: str, name: str, settings: str) -> list[ast.keyword]:
    """``a=1,b=word`` read as the arguments of a call; nothing is evaluated."""
    try:
        call = ast.parse(f"f({settings})", mode="eval").body
    except SyntaxError:
        call = None
    if not isinstance(call, ast.Call) or call.args or any(setting.arg is None for setting in call.keywords):
        raise PluginError(f"'{text}': settings are written as in '{name}:first=1,second=word'.")
    return call.keywords


def _value(text: str, setting: ast.keyword) -> Any:
    """A literal of Python, or a word; true, false and none may be written small."""
    if isinstance(setting.value, ast.Name):
        word = setting.value.id
        return {"true": True, "false": False, "none": None}.get(word, word)
    try:
        return ast.literal_eval(setting.value)
    except ValueError:
        raise PluginError(f"'{text}': the value of {setting.arg} is neither a word, a number nor a tuple.") from None


def unknown(
    noun: str, name: str, names: Iterable[str], heading: str = "Installed",
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> str:  # fmt: skip
    """Message for a name that is not there, with the nearest one that is.

    ``elsewhere`` holds what the names are called elsewhere, in small letters without other signs.

    Examples
    --------
    >>> unknown("backend", "smv", ["svm", "xgboost"])
    "No backend is named 'smv'. Did you mean 'svm'? Installed: svm, xgboost."
    >>> unknown("backend", "Random-Forest", ["svm", "xgboost"], elsewhere={"randomforest": "xgboost"})
    "No backend is named 'Random-Forest'. The nearest is 'xgboost'. Installed: svm, xgboost."
    """
    names = list(names)
    same = elsewhere.get("".join(filter(str.isalnum, name.lower())))
    hint = f" The nearest is '{same}'." if same in names else _near(name, names)
    return f"No {noun} is named '{name}'.{hint} {heading}: {', '.join(names) or 'none'}."


def _near(name: str, names: list[str]) -> str:
    written = {other.lower(): other for other in reversed(names)}
    near = difflib.get_close_matches(name.lower(), written, n=1)
    return f" Did you mean '{written[near[0]]}'?" if near else ""


def missing(error: ModuleNotFoundError, what: str, plugin: str = "") -> PluginError:
    """Turn a failed import into the pip line that mends it.

    The extra called as the ``plugin``, where there is one, brings all that it needs, and not only the first module.
    """
    module = (error.name or "").partition(".")[0]
    extra = plugin if plugin in _EXTRAS.values() else _EXTRAS.get(module)
    package = f"'featkit[{extra}]'" if module in _EXTRAS else _PACKAGES.get(module, module)
    return PluginError(f"The {what} needs the package '{module}', which is not installed: pip install {package}")
