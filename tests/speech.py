"""A few synthetic clips, and estimators fitted on them once for all tests that only look at them."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from featkit import Features, SERClassifier, extract, plugins
from featkit.audio import SAMPLE_RATE, Wave
from featkit.backend import Backend, find_backend
from featkit.bulk import extract_files
from featkit.corpus import read_corpus
from featkit.datasets.synthetic import synthesise
from featkit.features.base import View

EMOTIONS = ("anger", "neutral", "sadness")
SPEAKERS = ("s0", "s1", "s2", "s3")

_TRAINING = "epochs=20,batch_size=8,lr=0.005,dropout=0.1,average=0,label_smoothing=0"
_SMALL = {
    "xgboost": "xgboost:n_estimators=15,n_jobs=1",
    "fisher": "fisher:components=4,frames=5000,C=0.03",
    "cnn_lstm": f"cnn_lstm:channels=(8,12),hidden=8,{_TRAINING}",
    "tdnn": f"tdnn:channels=(8,12),{_TRAINING}",
    "transformer": f"transformer:width=12,layers=1,heads=2,{_TRAINING}",
    "conformer": f"conformer:width=24,layers=1,heads=2,kernel=5,{_TRAINING}",
    "mlp": f"mlp:hidden=(16,),{_TRAINING}",
}
FRAME_NETWORKS = ("cnn_lstm", "tdnn", "transformer", "conformer")
NETWORKS = (*FRAME_NETWORKS, "mlp")
BACKENDS = tuple(plugins.installed("backends"))


class Speech(NamedTuple):
    waves: list[Wave]
    labels: npt.NDArray[np.str_]
    speakers: npt.NDArray[np.str_]


@cache
def speech() -> Speech:
    """24 clips: 4 speakers say 2 sentences in 3 emotions."""
    said = list(product(range(len(SPEAKERS)), EMOTIONS, range(2)))
    return Speech(
        [
            synthesise(emotion, speaker, sentence, take=0)[: SAMPLE_RATE + 2000 * i % 9000]
            for i, (speaker, emotion, sentence) in enumerate(said)
        ],
        np.array([emotion for _, emotion, _ in said]),
        np.array([SPEAKERS[speaker] for speaker, _, _ in said]),
    )


@cache
def extracted(view: View, features: str = "mfcc39") -> list[Features]:
    return extract(speech().waves, features, view)


@cache
def inputs(view: View) -> Any:
    """What a backend is given: (24, dims), or 24 arrays (time, dims)."""
    values = [clip.values for clip in extracted(view)]
    return np.stack(values) if view == "functionals" else values


def small(backend: str, **params: Any) -> Backend:
    """A backend that is fitted in a moment."""
    text = _SMALL.get(backend, backend)
    if backend == "wav2vec2":
        import pretrained  # and with it transformers

        text = f"wav2vec2:model='{pretrained.as_wide_as_mfcc39()}',hidden=16,{_TRAINING}"
        params = {"epochs": 10} | params  # later it knows all clips by heart
    return find_backend(text).set_params(**params)


@cache
def fitted(features: str = "mfcc39", backend: str = "svm") -> SERClassifier:
    """Not to be changed: other tests look at it too."""
    return SERClassifier(features, small(backend)).fit(speech().waves, speech().labels, groups=speech().speakers)


def write_wav(path: Path, wave: Wave) -> str:
    """Write without rounding, so that the file holds the very wave."""
    soundfile.write(path, wave, SAMPLE_RATE, subtype="FLOAT")
    return str(path)


def write_manifest(folder: Path) -> Path:
    """The clips of `speech` as files, and ``clips.csv`` that lists them with speakers and sentences."""
    waves, labels, speakers = speech()
    lines = ["file,label,speaker,text"]
    for i, (wave, label, speaker) in enumerate(zip(waves, labels, speakers, strict=True)):
        write_wav(folder / f"{i:02d}.wav", wave)
        lines.append(f"{i:02d}.wav,{label},{speaker},t{i % 2}")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return folder / "clips.csv"


def write_features(path: Path, manifest: Path, features: str = "mfcc39") -> str:
    """The clips of a manifest that knows all of them as a feature table."""
    corpus = read_corpus(str(manifest))
    assert corpus.speakers is not None
    assert corpus.texts is not None
    about = zip(corpus.labels.tolist(), corpus.speakers.tolist(), corpus.texts.tolist(), strict=True)
    extract_files(corpus.files, path, features, notes=dict(zip(corpus.files, about, strict=True)))
    return str(path)
