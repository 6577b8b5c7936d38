"""Clips on which a form is judged, and others by which it is calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from featkit.audio import SAMPLE_RATE, Wave
from featkit.corpus import Corpus
from featkit.errors import AudioError, DataError
from featkit.extraction import Failure
from featkit.runtime import Model

MOST = 2_000
"""Clips that are judged on, spread over the corpus: they lie in memory."""

CALIBRATION = 64
"""Clips that ranges are taken from. Judged on are others, where there are twice as many."""

SECONDS = 3
"""Length of the clip that is timed."""


@dataclass(frozen=True, eq=False)
class Clips:
    """Waves with their labels and speakers, where these are known."""

    waves: Sequence[Wave]
    labels: npt.NDArray[np.str_] | None = None
    speakers: npt.NDArray[np.str_] | None = None
    synthetic: bool = False
    failures: tuple[Failure, ...] = ()
    heard: bool = False
    """Whether they seem to be those that the model learned from: as many, of the same corpus."""

    def __len__(self) -> int:
        return len(self.waves)

    @property
    def timed(self) -> Wave:
        """A clip of 3 s."""
        return np.resize(self.waves[0], SECONDS * SAMPLE_RATE)

    def only(self, places: Sequence[int]) -> Clips:
        """The clips at ``places``."""
        labels, speakers = (None if column is None else column[list(places)] for column in (self.labels, self.speakers))
        return Clips([self.waves[i] for i in places], labels, speakers, self.synthetic, self.failures)

    def split(self) -> tuple[Clips, Clips]:
        """To be judged on, and for calibration: others, spread over the whole; all for both where there are few."""
        if len(self) < 2 * CALIBRATION:
            return self, self
        chosen = {len(self) * i // CALIBRATION for i in range(CALIBRATION)}
        return self.only([i for i in range(len(self)) if i not in chosen]), self.only(sorted(chosen))


def of_files(paths: Sequence[Path], model: Model) -> Clips:
    """Recordings without labels. Those that cannot be used are left out, and told."""
    return _read([str(paths[i]) for i in _spread(range(len(paths)))], model, None, None)


def of_corpus(corpus: Corpus, model: Model) -> Clips:
    """Recordings with labels, as far as the model knows these.

    Raises
    ------
    DataError
        It is a feature table, none of its clips can be used, or the model knows none of its labels.
    """
    corpus.require_recordings("a model is judged on sound")
    known = [i for i, label in enumerate(corpus.labels) if label in model.labels]
    if not known:
        raise DataError(
            f"{corpus.name}: the model knows none of its labels ({', '.join(sorted(set(corpus.labels)))}), but "
            f"{', '.join(model.labels)}."
        )
    part = corpus.only(_spread(known))
    learned = model.recipe["data"]
    heard = (list(corpus.sources), len(corpus.files)) == (learned.get("corpora"), learned["clips"])
    return replace(_read(part.files, model, part.labels, part.speakers, corpus.synthetic), heard=heard)


def synthetic() -> Clips:
    """Synthetic speech, for forms that answer exactly as the model: one clip of each emotion."""
    from featkit.datasets.synthetic import one_of_each

    return Clips(one_of_each(), synthetic=True)


def _spread(places: Sequence[int]) -> list[int]:
    """At most as many as can lie in memory, from everywhere."""
    n = min(len(places), MOST)
    return [places[len(places) * i // n] for i in range(n)]


def _read(
    files: Sequence[str], model: Model, labels: npt.NDArray[np.str_] | None, speakers: npt.NDArray[np.str_] | None,
    made: bool = False,
) -> Clips:  # fmt: skip
    waves: dict[int, Wave] = {}
    failures = []
    for i, file in enumerate(files):
        try:
            waves[i] = model.wave(file, file)
        except AudioError as error:
            failures.append(Failure(file, str(error)))
    if not waves:
        raise DataError(f"None of {len(files)} clips can be used. The first: {failures[0].reason}")
    kept = list(waves)
    labels, speakers = (None if column is None else column[kept] for column in (labels, speakers))
    return Clips(list(waves.values()), labels, speakers, made, tuple(failures))
