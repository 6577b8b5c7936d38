"""What the checks look at."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featkit.audit.findings import named
from featkit.audit.recording import Recording
from featkit.corpus import Corpus
from featkit.protocols import Pair


@dataclass(frozen=True, eq=False)
class Material:
    """A corpus, what was measured of its usable clips, and the folds in which it is to be scored."""

    corpus: Corpus
    heard: Mapping[int, Recording]
    """Place of a clip in the corpus → its measurements, in order; clips that cannot be used are not in it."""
    folds: Sequence[Pair] = ()

    def named(self, places: Sequence[int]) -> str:
        """Clips for a message, counted from the folder that all have in common: a few, and how many more."""
        paths, folder = [os.fspath(self.corpus.files[i]) for i in places], self._folder
        return named([os.path.relpath(path, folder) if folder else path for path in paths])

    @cached_property
    def _folder(self) -> str:
        """What all files have in common; of a large corpus it takes too long to be found again for every message."""
        try:
            return os.path.commonpath({os.path.dirname(path) for path in self.corpus.files})
        except ValueError:  # absolute beside relative paths, or two drives
            return ""

    def splitting(self, group: Sequence[int]) -> int | None:
        """The first fold, from 1, in which the group stands in training and in test."""
        for number, (train, test) in enumerate(self.folds, start=1):
            if np.isin(group, train).any() and np.isin(group, test).any():
                return number
        return None
