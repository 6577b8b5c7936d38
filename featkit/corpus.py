"""A corpus in memory: clips, labels and speakers side by side, from recordings or from a feature table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from featkit.datasets import Clip, Dataset, open_dataset
from featkit.datasets.base import Skipped
from featkit.datasets.names import alike, alone, letters, plain_name
from featkit.datasets.twins import twins
from featkit.errors import DataError, FeatureError
from featkit.extraction import Failure
from featkit.features.base import FeatureExtractor, extractor_from_spec
from featkit.settings import differing
from featkit.store import is_table, read_table
from featkit.tables import counted

if TYPE_CHECKING:
    from featkit.classifier import Recogniser

Strings = npt.NDArray[np.str_]


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """``clips[i]`` shows the emotion ``labels[i]`` and is spoken by ``speakers[i]``."""

    name: str
    files: Sequence[str]
    clips: Sequence[Any]
    """Paths, or what an extractor or a `Recogniser` made of each clip."""
    labels: Strings
    speakers: Strings | None
    """None where the speaker of any clip is not known."""
    texts: Strings | None = None
    """Which sentence is spoken; None where that of any clip is not known."""
    synthetic: bool = False
    extractor: FeatureExtractor | None = None
    """What the clips of a feature table were extracted with."""
    sources: tuple[str, ...] = ()
    """Title and licence of each corpus, for a model that is trained on it."""
    doubts: tuple[str, ...] = ()
    """What a person should know before a score is made of it, a line each."""
    left_out: tuple[str, ...] = ()
    """Why entries are no clips; only where it was read leniently."""
    shared: tuple[str, str] | None = None
    """Two files of equal content in two of the corpora that were joined: their speakers are in both."""
    namesakes: tuple[str, ...] = ()
    """Names of speakers in two of the manifests that were joined: they count as different people."""

    def __repr__(self) -> str:
        who = "speakers not known" if self.speakers is None else counted(len(set(self.speakers.tolist())), "speaker")
        emotions = counted(len(set(self.labels.tolist())), "emotion")
        return f"<corpus {self.name}: {counted(len(self.files), 'clip')}, {emotions}, {who}>"

    def extracted(
        self, classifier: Recogniser, *, n_jobs: int | None = None, progress: bool = False
    ) -> tuple[Corpus, list[Failure]]:
        """The same corpus with what ``classifier`` learns from for clips, without those that could not be used."""
        from sklearn.base import clone  # heavy; reading a corpus needs none of it

        if self.extractor is not None:
            self._require_features(classifier, self.extractor)
        worker = clone(classifier).set_params(n_jobs=n_jobs, progress=progress)
        return self._usable(*worker.extract_all(self.clips))

    def require_recordings(self, why: str) -> None:
        """Raise `DataError` for a feature table; ``why`` tells what would be done with recordings."""
        if self.extractor is not None:
            raise DataError(f"{self.name} holds features; {why}: name the corpus with the recordings.")

    def only(self, places: npt.NDArray[Any] | Sequence[int]) -> Corpus:
        """The clips at ``places``, in that order."""
        return replace(
            self,
            files=[self.files[i] for i in places],
            clips=[self.clips[i] for i in places],
            labels=self.labels[places],
            speakers=None if self.speakers is None else self.speakers[places],
            texts=None if self.texts is None else self.texts[places],
        )

    def one_of_each(self, values: Sequence[Any]) -> list[Any]:
        """Of one value a clip, those of the first clip of each emotion."""
        return list(dict(zip(reversed(self.labels.tolist()), reversed(values), strict=True)).values())

    def _require_features(self, classifier: Recogniser, held: FeatureExtractor) -> None:
        """Raise `FeatureError` where a feature table holds another set than the classifier reads."""
        for member in classifier.members():
            asked = member.parts()[0]
            if asked.spec_hash != held.spec_hash:
                other = differing(asked.spec, held.spec)
                settings = f" of other settings ({other})" if asked.name == held.name else ""
                raise FeatureError(
                    f"{self.name} holds {held.name} {self.clips[0].view}{settings}, not {asked.name}. Extract them "
                    "again with the same settings, or leave out --features."
                )

    def _usable(self, found: Sequence[Any], failures: list[Failure]) -> tuple[Corpus, list[Failure]]:
        kept = [i for i, clip in enumerate(found) if clip is not None]
        if not kept:
            raise DataError(f"{self.name}: none of {len(found)} clips can be used. The first: {failures[0].reason}")
        return replace(self, clips=found).only(kept), failures


def read_corpora(specs: Sequence[str], progress: bool = False, *, lenient: bool = False) -> Corpus:
    """Read one corpus or merge several, each written as for `read_corpus`.

    In a merged corpus a speaker or sentence is told with its corpus, "emodb/03": nobody is in two corpora. What makes
    one doubt that, or other things, is in `Corpus.doubts`.
    """
    if not specs:
        raise DataError("Name at least one corpus.")
    corpora = [read_corpus(spec, progress, lenient=lenient) for spec in specs]
    return corpora[0] if len(corpora) == 1 else _merged(corpora, specs)


def _merged(corpora: Sequence[Corpus], specs: Sequence[str]) -> Corpus:
    if len({corpus.extractor and corpus.extractor.spec_hash for corpus in corpora}) > 1:
        raise DataError(
            f"Feature tables of other sets, or of tables and recordings, cannot be merged: {', '.join(specs)}"
            f"{_unlike(corpora, specs)}."
        )
    names = [corpus.name for corpus in corpora]
    names = [name if names.count(name) == 1 else f"{name}-{i + 1}" for i, name in enumerate(names)]
    whole = side_by_side([told_with(name, one) for name, one in zip(names, corpora, strict=True)], "+".join(names))
    found = twins([corpus.files for corpus in corpora])
    shared = found and (corpora[found[0][0]].files[found[0][1]], corpora[found[1][0]].files[found[1][1]])
    namesakes = _namesakes(corpora, specs)
    doubts = [*whole.doubts]
    if namesakes and not shared:
        more = f" and {len(namesakes) - 1} more" if len(namesakes) > 1 else ""
        doubts.append(
            f"Two manifests have speakers of one name ('{namesakes[0]}'{more}), who count as different people. If they "
            "are the same, list all clips in one manifest."
        )
    if shared:
        doubts.append(
            f"The same recording stands in two of the corpora, as '{shared[0]}' and '{shared[1]}': its speaker is in "
            "both. featkit audit finds all such copies; leave out one of each."
        )
    return replace(whole, doubts=tuple(doubts), shared=shared, namesakes=namesakes)


def side_by_side(corpora: Sequence[Corpus], name: str) -> Corpus:
    """Several as one, the clips of the first before those of the next; equal names are of the same speaker."""
    return Corpus(
        name,
        [file for corpus in corpora for file in corpus.files],
        [clip for corpus in corpora for clip in corpus.clips],
        np.concatenate([corpus.labels for corpus in corpora]),
        _one_column([corpus.speakers for corpus in corpora]),
        _one_column([corpus.texts for corpus in corpora]),
        any(corpus.synthetic for corpus in corpora),
        corpora[0].extractor,
        tuple(source for corpus in corpora for source in corpus.sources),
        tuple(doubt for corpus in corpora for doubt in corpus.doubts),
        tuple(reason for corpus in corpora for reason in corpus.left_out),
        next((corpus.shared for corpus in corpora if corpus.shared), None),
        tuple(name for corpus in corpora for name in corpus.namesakes),
    )


def told_with(name: str, corpus: Corpus) -> Corpus:
    """The corpus with a name before those of its speakers and sentences, so that nobody is in another one too."""
    speakers, texts = (
        None if column is None else np.array([f"{name}/{value}" for value in column])
        for column in (corpus.speakers, corpus.texts)
    )
    return replace(corpus, speakers=speakers, texts=texts)


def _namesakes(corpora: Sequence[Corpus], specs: Sequence[str]) -> tuple[str, ...]:
    """Names of speakers in two of the manifests. Speaker 03 of a published corpus is nobody's speaker 03."""
    if any(corpus.speakers is None for corpus in corpora) or corpora[0].extractor is not None:
        return ()
    own = [
        corpus.speakers for corpus, spec in zip(corpora, specs, strict=True) if open_dataset(spec).name == "manifest"
    ]
    times = Counter(name for speakers in own for name in set(speakers.tolist()))  # type: ignore[union-attr]
    return tuple(sorted(name for name, n in times.items() if n > 1))


def _unlike(corpora: Sequence[Corpus], specs: Sequence[str]) -> str:
    """The first table that is not made as the first of all, and by what setting."""
    first = corpora[0].extractor
    for spec, held in zip(specs, (corpus.extractor for corpus in corpora), strict=True):
        if first and held and held.spec_hash != first.spec_hash:
            return f" ({spec}: {differing(held.spec, first.spec)})"
    return ""


def _one_column(columns: Sequence[Strings | None]) -> Strings | None:
    known = [column for column in columns if column is not None]
    return np.concatenate(known) if len(known) == len(columns) else None


def read_corpus(spec: str, progress: bool = False, *, lenient: bool = False) -> Corpus:
    """Read ``emodb:PATH``, ``ravdess:PATH``, ``synthetic``, a folder, a manifest, or a feature table.

    ``progress`` shows a bar, as the synthetic corpus is made when it is first read. ``lenient`` passes over single
    entries that are wrong, as a row that stands twice, and keeps the reasons in `Corpus.left_out`.

    Raises
    ------
    DataError
        It is not found, or its clips have no labels.
    """
    if is_table(spec):
        return _of_table(spec)
    dataset = open_dataset(spec)
    clips, left_out = _entries(dataset, lenient, progress)
    files = [str(clip.path) for clip in clips]
    own = dataset.name in ("folder", "manifest")
    name = dataset.root.name if own else dataset.name
    labels, speakers = np.array([clip.label for clip in clips]), _known([clip.speaker for clip in clips])
    return Corpus(
        name, files, files, labels, speakers, _known([clip.text for clip in clips]), dataset.synthetic,
        sources=(name if own else f"{dataset.title} ({dataset.licence})",),
        doubts=(*([dataset.doubt] if dataset.doubt else []), *_doubts(name, labels, speakers)), left_out=left_out,
    )  # fmt: skip


def _of_table(spec: str) -> Corpus:
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
    name, labels, speakers = Path(spec).name, np.array(table.labels), _known(table.speakers)
    return Corpus(
        name, table.files, table.features, labels, speakers, _known(table.texts), table.synthetic, extractor,
        doubts=_doubts(name, labels, speakers),
    )  # fmt: skip


def _entries(dataset: Dataset, lenient: bool, progress: bool) -> tuple[list[Clip], tuple[str, ...]]:
    """Clips, and of a lenient reading why others are none."""
    asked = dataset.entries() if lenient else dataset.clips()
    found = list(tqdm(asked, desc=dataset.name, unit="clip", disable=not progress, leave=False))
    clips = [entry for entry in found if isinstance(entry, Clip)]
    if not clips:
        return list(dataset.clips()), ()  # which says what is wrong
    wrong = (entry for entry in found if isinstance(entry, Skipped) and entry.kind != "left out")
    return clips, tuple(one.reason if one.kind == "unexpected" else f"{one.path}: {one.reason}" for one in wrong)


def _doubts(name: str, labels: Strings, speakers: Strings | None) -> tuple[str, ...]:
    """Lines about emotions and speakers who look like one, written in several ways, and about no speaker at all."""
    told = [_alike(name, "emotions", alike(labels.tolist(), letters))]
    if speakers is not None:
        told.append(_alike(name, "speakers", alike(speakers.tolist(), plain_name)))
        if alone(speakers):
            told.append(
                f"{name}: each of the {len(speakers)} clips has a speaker of its own, '{speakers[0]}' the first. "
                "Unless these are people, voices are on both sides of every fold, and the score is too high."
            )
    return tuple(filter(None, told))


def _alike(name: str, noun: str, groups: Sequence[Sequence[str]]) -> str:
    if not groups:
        return ""
    quoted = " and ".join(f"'{one}'" for one in groups[0])
    more = f", and {counted(len(groups) - 1, 'more group')}" if len(groups) > 1 else ""
    return f"{name}: {noun} {quoted} look like one{more}, and count as several; see featkit audit."


def _known(values: Sequence[str | None]) -> Strings | None:
    return None if any(value is None for value in values) else np.array(values)
