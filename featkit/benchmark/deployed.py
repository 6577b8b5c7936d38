"""What a recipe costs where it runs: size of the model, and time from a clip to its label."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from featkit.audio import as_wave, at_least
from featkit.classifier import Recogniser
from featkit.corpus import Corpus
from featkit.features.base import Features
from featkit.graph import session
from featkit.runtime import load
from featkit.timing import median_seconds

CLIPS = 25
"""Real clips that are timed, spread over the corpus."""


@dataclass(frozen=True)
class Deployed:
    """A model fitted on all clips and exported."""

    n_bytes: int
    milliseconds: float
    """Median over real clips of the CPU time from a clip in memory to its label, one clip at a time on one thread."""
    reads: str
    """"wave", also where featkit computes features before the graph; "features" where no recordings were at hand."""
    clips: int


def deploy(classifier: Recogniser, ready: Corpus, corpus: Corpus) -> Deployed:
    """Fit on all clips of ``ready``, which were extracted from ``corpus``, export, and time the model on its clips.

    Raises
    ------
    FeatkitError
        It cannot be exported.
    """
    fitted = classifier.fit(ready.clips, ready.labels, groups=ready.speakers)
    clip_of = dict(zip(corpus.files, corpus.clips, strict=True))
    clips = [clip_of[file] for file in ready.files]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        report = fitted.export(path, clips=ready.one_of_each(clips))
        places = range(0, len(clips), max(1, len(clips) // CLIPS))
        reads, calls = _calls(path, [clips[i] for i in places], fitted)
        seconds = median_seconds(calls) / (2 if fitted.transductive else 1)
    return Deployed(report.n_bytes, round(1000 * seconds, 3), reads, len(calls))


def _calls(path: Path, clips: Sequence[Any], fitted: Recogniser) -> tuple[str, list[Callable[[], Any]]]:
    """One question to the model for each clip, with what it reads."""
    if isinstance(clips[0], Features):  # of a table: what comes behind the features
        graphs = [session(member.backend_.to_onnx()) for member in fitted.members()]
        return "features", [partial(_asked, graphs, clip) for clip in clips]
    model = load(path)
    waves = [at_least(as_wave(clip, "a clip"), model.recipe["min_samples"], True) for clip in clips]
    if fitted.transductive:  # two clips are the fewest of which a speaker can be known; half the time is one's
        return "wave", [partial(model.predict_proba, [wave, wave[::-1].copy()], ["one"] * 2) for wave in waves]
    return "wave", [partial(model.predict_proba, [wave]) for wave in waves]


def _asked(graphs: Sequence[Any], clip: Features) -> None:
    for graph in graphs:
        graph.run(None, {graph.get_inputs()[0].name: clip.values[None]})
