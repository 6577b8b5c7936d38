"""A corpus in memory: clips, labels and speakers side by side, from recordings or from a feature table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from featkit.datasets import open_dataset
from featkit.errors import DataError, FeatureError
from featkit.extraction import Copies, Failure, extract_all
from featkit.features.base import FeatureExtractor, Features, View, extractor_from_spec
from featkit.store import FeatureTable, is_table, read_table


@dataclass(frozen=True, eq=False)
class Corpus:
    """``clips[i]`` shows the emotion ``labels[i]`` and is spoken by ``speakers[i]``."""

    name: str
    files: Sequence[str]
    clips: Sequence[Any]
    """Paths, or `Features` of each clip."""
    labels: npt.NDArray[np.str_]
    speakers: npt.NDArray[np.str_] | None
    """None where the speaker of any clip is not known."""
    synthetic: bool = False
    extractor: FeatureExtractor | None = None
    """What the clips were extracted with, where they are `Features`."""

    def extracted(
        self, extractor: FeatureExtractor, view: View, *, pad_short: bool = False, copies: Copies | None = None,
        n_jobs: int | None = None, progress: bool = False,
    ) -> tuple[Corpus, list[Failure]]:  # fmt: skip
        """The same corpus with features for clips, without those that could not be used, and why not."""
        found, failures = extract_all(
            self.clips, extractor, view, pad_short=pad_short, copies=copies, n_jobs=n_jobs, progress=progress
        )
        kept = [i for i, clip in enumerate(found) if clip is not None]
        if not kept:
            raise DataError(f"{self.name}: none of {len(found)} clips can be used. The first: {failures[0].reason}")
        return (
            replace(
                self,
                files=[self.files[i] for i in kept],
                clips=[found[i] for i in kept],
                labels=self.labels[kept],
                speakers=None if self.speakers is None else self.speakers[kept],
                extractor=extractor,
            ),
            failures,
        )

    def table(self) -> FeatureTable:
        """The extracted corpus as a table to write."""
        if self.extractor is None or not all(isinstance(clip, Features) for clip in self.clips):
            raise FeatureError(f"{self.name} holds recordings; extract features first.")
        names = self.extractor.names(self.clips[0].view)
        speakers = [None] * len(self.files) if self.speakers is None else self.speakers.tolist()
        return FeatureTable(
            self.files, self.labels.tolist(), speakers, self.clips, names, self.extractor.spec, self.synthetic
        )


def read_corpus(spec: str, progress: bool = False) -> Corpus:
    """Read ``emodb:PATH``, ``ravdess:PATH``, ``synthetic``, a folder, a manifest, or a feature table.

    ``progress`` shows a bar, as the synthetic corpus is made when it is first read.

    Raises
    ------
    DataError
        It is not found, or its clips have no labels.
    """
    if is_table(spec):
        table = read_table(spec)
        unlabelled = [file for file, label in zip(table.files, table.labels, strict=True) if not label]
        if unlabelled:
            raise DataError(
                f"{spec}: {len(unlabelled)} of {len(table.files)} clips have no label, '{unlabelled[0]}' the first; "
                "extract with --data, so that labels and speakers are kept."
            )
        extractor = extractor_from_spec(table.spec)
        if extractor.spec != table.spec:
            raise FeatureError(f"{spec}: was extracted with another version of {extractor.name}; extract it again.")
        name = Path(spec).name
        labels, speakers = np.array(table.labels), _speakers(table.speakers)
        return Corpus(name, table.files, table.features, labels, speakers, table.synthetic, extractor)
    dataset = open_dataset(spec)
    clips = list(tqdm(dataset.clips(), desc=dataset.name, unit="clip", disable=not progress, leave=False))
    files = [str(clip.path) for clip in clips]
    labels = np.array([clip.label for clip in clips])
    name = dataset.name if dataset.name not in ("folder", "manifest") else dataset.root.name
    return Corpus(name, files, files, labels, _speakers([clip.speaker for clip in clips]), dataset.synthetic)


def _speakers(speakers: Sequence[str | None]) -> npt.NDArray[np.str_] | None:
    return None if any(speaker is None for speaker in speakers) else np.array(speakers)
