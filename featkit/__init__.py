"""featkit: features, backends and honest scores for speech emotion recognition.

Names are loaded when first used, so that a model can be served without the training libraries.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# onnxruntime from 1.29 on would keep a database in the home folder and report to its makers. Before it is imported:
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from featkit.classifier import SERClassifier
    from featkit.evaluation import evaluate
    from featkit.extraction import extract
    from featkit.features.base import FeatureExtractor, Features
    from featkit.runtime import Model, load
    from featkit.scores import Evaluation
    from featkit.transformer import Functionals
    from featkit.tuning import TunedClassifier, Tuning, tune
    from featkit.voting import SERVoting

    __version__: str

_HOMES = {
    "SERClassifier": "featkit.classifier",
    "Evaluation": "featkit.scores",
    "evaluate": "featkit.evaluation",
    "extract": "featkit.extraction",
    "FeatureExtractor": "featkit.features.base",
    "Features": "featkit.features.base",
    "Functionals": "featkit.transformer",
    "Model": "featkit.runtime",
    "load": "featkit.runtime",
    "Tuning": "featkit.tuning",
    "tune": "featkit.tuning",
    "TunedClassifier": "featkit.tuning",
    "SERVoting": "featkit.voting",
}

__all__ = [
    "Evaluation", "FeatureExtractor", "Features", "Functionals", "Model", "SERClassifier", "SERVoting",
    "TunedClassifier", "Tuning", "evaluate",
    "extract", "load", "tune",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":  # looked up where it is asked for: nothing else needs it
        from importlib.metadata import version

        return version("featkit")
    if name not in _HOMES:
        raise AttributeError(f"module 'featkit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
