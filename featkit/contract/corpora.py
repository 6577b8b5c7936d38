"""Promises of a corpus."""

from __future__ import annotations

from collections import Counter

from featkit.contract.trial import check_name
from featkit.datasets.base import Clip, Dataset
from featkit.errors import PluginError


def check_corpus(dataset: Dataset) -> None:
    """Refuse a corpus that breaks a promise; see `featkit.contract.check`. What it holds: `featkit data check`."""
    check_name("datasets", dataset)
    for word in ("title", "licence"):
        if not getattr(dataset, word, ""):
            raise PluginError(f"{dataset.name}: says no {word}; write {word} = '…' into the class.")
    clips = list(dataset.clips())
    if not clips:
        raise PluginError(f"{dataset.name}: yields no clip; raise DataError where there is none.")
    if list(dataset.clips()) != clips:
        raise PluginError(f"{dataset.name}: its clips come in another order when they are read again; sort them.")
    _files(dataset, clips)
    _labels(dataset, clips)


def _files(dataset: Dataset, clips: list[Clip]) -> None:
    """Every recording is there, and comes once."""
    for clip in clips:
        if not clip.path.is_file():
            raise PluginError(f"{dataset.name}: '{clip.path}' is no file; yield only clips that are there.")
    path, times = Counter(clip.path for clip in clips).most_common(1)[0]
    if times > 1:
        raise PluginError(f"{dataset.name}: '{path}' comes {times} times; a recording is one clip.")


def _labels(dataset: Dataset, clips: list[Clip]) -> None:
    """Labels are the ones that the corpus declares."""
    strange = {clip.label for clip in clips} - set(dataset.labels or (clip.label for clip in clips))
    if strange:
        raise PluginError(f"{dataset.name}: yields the labels {sorted(strange)}, which its labels do not hold.")
