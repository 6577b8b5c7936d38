"""Models that are exported once, and a recording of several sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech import fitted, speech

import featkit
from featkit import SERClassifier
from featkit.audio import Wave
from featkit.runtime import Model


class _Models(dict[str, Model]):
    """Each is trained when it is first asked for: few tests need them all."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> Model:
        path = self._folder / f"{name}.onnx"
        _trained(name).export(path)
        self[name] = featkit.load(path)
        return self[name]


def _trained(name: str) -> SERClassifier:
    if name == "speaker":
        waves, labels, speakers = speech()
        return SERClassifier(normalise="speaker").fit(waves, labels, groups=speakers)
    return fitted("egemaps", "svm") if name == "egemaps" else fitted("mfcc39", name)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """A classical and a neural model of the wave, one of openSMILE's features, and one that knows speakers."""
    return _Models(tmp_path_factory.mktemp("stream"))


@pytest.fixture(scope="session")
def svm(models: dict[str, Model]) -> Model:
    return models["svm"]


@pytest.fixture(scope="session")
def recording() -> Wave:
    """11.4 s of speech at 16 000 Hz: a length that no window or block divides."""
    wave: Wave = np.concatenate(speech().waves)[:182_341]
    return wave
