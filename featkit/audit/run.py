"""All checks in one run over a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from featkit import plugins
from featkit.audit import checks as looks
from featkit.audit.copies import duplicates, equal, near_duplicates
from featkit.audit.cues import container, shortcuts
from featkit.audit.findings import SEVERITIES, Audit, Cue, Finding
from featkit.audit.material import Material
from featkit.audit.recording import Recording, measure_all
from featkit.columns import require_classes
from featkit.corpus import Corpus, side_by_side, told_with
from featkit.errors import AudioError, DataError
from featkit.protocols import CV, Pair, split

CHECKS = (
    "files", "signal", "speakers", "sentences", "classes", "duplicates", "near duplicates", "shortcuts", "container"
)  # fmt: skip
"""What `audit` looks for, in this order."""

_PLAIN = {
    "signal": looks.signal,
    "speakers": looks.speakers,
    "sentences": looks.sentences,
    "classes": looks.classes,
    "duplicates": duplicates,
}
_WITH_CUES = {"shortcuts": shortcuts, "container": container}
_LISTENS = "an audit listens"


def audit(
    corpus: Corpus,
    *,
    folds: CV | Sequence[Pair] | None = None,
    across: bool = False,
    checks: Sequence[str] = CHECKS,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Audit:
    """Look for what would make scores on a corpus wrong, before any are made.

    Parameters
    ----------
    corpus
        Recordings with labels; speakers and sentences where they are known.
    folds
        How the corpus is to be scored: what ``cv`` of `featkit.evaluate` takes, or pairs of places of the clips that
        are learned from and judged. Default: findings that hold for any folds.
    across
        The one fold is that of two corpora, as `joined` makes it: speakers of equal names may be different people, and
        are an error only where both corpora hold the same recording.
    checks
        Some of `CHECKS`.
    n_jobs
        joblib workers; -1 for all cores. The findings do not depend on it.
    progress
        Show bars with the time left.

    Raises
    ------
    DataError
        The corpus is a feature table, nearly every clip has a label of its own, or a check is unknown.

    Examples
    --------
    >>> from featkit.datasets.synthetic import synthesise
    >>> wave = synthesise("anger", speaker=0, sentence=0, take=0)
    >>> pair = Corpus("two", ["a", "b"], [wave, wave / 2], np.array(["anger", "fear"]), None)
    >>> audit(pair, checks=["near duplicates"]).findings[0].message
    '2 clips are one recording (similarity 1.000), but are labelled anger and fear: a, b'
    """
    corpus.require_recordings(_LISTENS)
    require_classes(corpus.labels)
    for name in checks:
        if name not in CHECKS:
            raise DataError(plugins.unknown("check", name, list(CHECKS), "Checks"))
    pairs, findings = _folds(corpus, folds)
    measured = measure_all(
        corpus.clips, corpus.files, prints="near duplicates" in checks, n_jobs=n_jobs, progress=progress
    )
    heard = {i: one for i, one in enumerate(measured) if isinstance(one, Recording)}
    material = Material(corpus, heard, pairs)
    if "files" in checks:
        findings += [Finding("files", "error", reason) for reason in corpus.left_out]
        findings += _unreadable(corpus, measured)
    cues: list[Cue] = []
    for name in (name for name in CHECKS if name in checks):
        if name in _PLAIN:
            findings += _PLAIN[name](material)
        elif name == "near duplicates":
            findings += near_duplicates(material, n_jobs=n_jobs, progress=progress)
        elif name in _WITH_CUES:
            more, told = _WITH_CUES[name](material)
            findings += more
            cues += told
    if "speakers" in checks:
        findings += looks.heard(material, not across or _one_source(material, findings))
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    used = tuple(name for name in CHECKS if name in checks)
    return Audit(corpus.name, len(corpus.files), used, tuple(findings), _counts(corpus), tuple(cues))


def joined(train: Corpus, test: Corpus, *, apart: bool = False) -> tuple[Corpus, list[Pair]]:
    """Two corpora as one, with the fold that learns from the first and judges on the second.

    ``apart``: equal names of speakers and sentences mean others, as in two corpora from different people.
    """
    both = [train, test]
    for corpus in both:
        corpus.require_recordings(_LISTENS)
    if apart:
        both = [told_with(corpus.name, corpus) for corpus in both]
    whole, n = side_by_side(both, f"{train.name} → {test.name}"), len(train.files)
    return whole, [(np.arange(n), np.arange(n, len(whole.files)))]


def _folds(corpus: Corpus, folds: CV | Sequence[Pair] | None) -> tuple[Sequence[Pair], list[Finding]]:
    """Pairs of places. Folds that cannot be made are a finding: the rest is still looked at."""
    if folds is None or (not isinstance(folds, (int, str)) and not len(folds)):
        return [], []
    if not isinstance(folds, (int, str)) and not isinstance(folds[0], str):
        return [_pair(corpus, pair) for pair in folds], []
    if corpus.speakers is None and (folds == "loso" or isinstance(folds, int)):
        text = "the speakers are not known; give them (a manifest with the column speaker)"
        return [], [Finding("folds", "error", f"cv={folds!r} cannot be made: {text}")]
    try:
        return split(corpus.labels, corpus.speakers, folds, True, 0, corpus.texts)[0], []  # type: ignore[arg-type]
    except DataError as error:
        return [], [Finding("folds", "error", f"cv={folds!r} cannot be made: {error}")]


def _pair(corpus: Corpus, pair: Any) -> Pair:
    """Two checked arrays of places."""
    parts = [np.asarray(part) for part in pair]
    if len(parts) != 2 or any(part.ndim != 1 or (part.size and part.dtype.kind not in "iu") for part in parts):
        raise DataError("A fold is a pair of arrays of places: of the clips learned from, and of those judged.")
    train, test = (part.astype(np.intp) for part in parts)
    places = np.concatenate([train, test])
    if places.size and not 0 <= places.min() <= places.max() < len(corpus.files):
        raise DataError(
            f"A fold names places from {places.min()} to {places.max()}; the corpus has {len(corpus.files)} clips."
        )
    return train, test


def _one_source(material: Material, findings: Sequence[Finding]) -> bool:
    """Whether a recording stands on both sides of the fold, as it is or changed, as far as was looked."""
    copies = any(one.fold for one in findings if one.check in ("duplicates", "near duplicates"))
    return copies or any(material.splitting(group) for group in equal(material) if len(group) > 1)


def _unreadable(corpus: Corpus, measured: Sequence[Recording | AudioError]) -> list[Finding]:
    return [
        Finding("files", "error", str(result), (corpus.files[i],))
        for i, result in enumerate(measured)
        if isinstance(result, AudioError)
    ]


def _counts(corpus: Corpus) -> dict[str, dict[str, int]]:
    speakers = np.full(len(corpus.files), "all") if corpus.speakers is None else corpus.speakers
    return {
        str(voice): dict(sorted(Counter(corpus.labels[speakers == voice].tolist()).items()))
        for voice in sorted(set(speakers.tolist()))
    }
