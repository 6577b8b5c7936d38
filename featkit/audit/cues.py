"""Whether the emotion can be told from what is no speech: length, silence, level, file kind, folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold, KFold
from sklearn.tree import DecisionTreeClassifier

from featkit import metrics
from featkit.audit.findings import Cue, Finding, Severity
from featkit.audit.material import Material
from featkit.audit.recording import Kind, Recording

MARGIN = 0.15
"""UA above chance from which a cue is worth a word. Duration gives +0.09 in EMO-DB and +0.05 in RAVDESS."""
LEVEL_MARGIN = 0.35
"""The same for a warning of level, which carries emotion in natural speech: RAVDESS has +0.16, EMO-DB +0.10."""
LEAST_CLIPS = 30
"""Fewer clips tell nothing about cues."""

_DEPTH, _LEAF, _FOLDS = 4, 5, 5
_MEASURES: Mapping[str, Callable[[Recording], tuple[float, ...]]] = {
    "duration": lambda r: (r.seconds,),
    "silence at the ends": lambda r: (r.lead, r.trail),
    "level": lambda r: (r.peak, r.rms),
}


def shortcuts(material: Material) -> tuple[list[Finding], list[Cue]]:
    """Cues in the recordings: duration, silence before and after speech, level."""
    if (reason := _too_small(material)) is not None:
        return [Finding("shortcuts", "note", f"not checked: {reason}")], []
    findings, cues = [], []
    for name, measure in _MEASURES.items():
        cue = _cue(material, name, np.array([measure(recording) for recording in material.heard.values()]))
        cues.append(cue)
        severity = _severity(cue)
        if severity is not None:
            hint = "louder speech may be part of the emotion" if name == "level" and severity == "note" else None
            findings.append(_told("shortcuts", severity, cue, hint or "a model may learn that instead of speech"))
    return findings, cues


def container(material: Material) -> tuple[list[Finding], list[Cue]]:
    """Cues in how files are stored, which have nothing to do with speech: rate, channels, coding, folder."""
    corpus, heard = material.corpus, material.heard
    kinds = [recording.kind for recording in heard.values()]
    if any(kind is None for kind in kinds) or not kinds:
        return [], []
    findings = _mixed(material, [kind for kind in kinds if kind is not None])
    if _too_small(material) is not None:
        return findings, []
    folders = [Path(corpus.files[i]).parent for i in heard]
    by_name = all(str(corpus.labels[i]).casefold() in map(str.casefold, Path(corpus.files[i]).parts) for i in heard)
    cues = []
    stored: dict[str, list[Any]] = {"file kind": kinds, "folder": [] if by_name else folders}
    for name, values in stored.items():
        if len(set(values)) < 2:
            continue
        cue = _cue(material, name, _codes(values))
        cues.append(cue)
        if _exceeds(cue, MARGIN):
            severity: Severity = "note" if name == "folder" else "warning"
            findings.append(_told("container", severity, cue, "emotions seem to come from different sources"))
    return findings, cues


def _mixed(material: Material, kinds: Sequence[Kind]) -> list[Finding]:
    """Say that files are stored in several ways, and whether that goes with the speaker."""
    counts = Counter(kinds)
    if len(counts) < 2:
        return []
    told = ", ".join(f"{n} × {kind}" for kind, n in counts.most_common(4)) + (", …" if len(counts) > 4 else "")
    voices: dict[str, set[Kind]] = defaultdict(set)
    if material.corpus.speakers is not None:
        for i, kind in zip(material.heard, kinds, strict=True):
            voices[str(material.corpus.speakers[i])].add(kind)
    own = len(voices) > 1 and all(len(used) == 1 for used in voices.values())
    text = f"files are stored in {len(counts)} ways{', each speaker in one' if own else ''}: {told}"
    return [Finding("container", "note", text)]


def _too_small(material: Material) -> str | None:
    places = list(material.heard)
    if len(places) < LEAST_CLIPS:
        return f"{len(places)} usable clips are fewer than {LEAST_CLIPS}"
    if len(set(material.corpus.labels[places])) < 2:
        return "the usable clips have one label"
    voices = material.corpus.speakers
    return "there is one speaker" if voices is not None and len(set(voices[places])) < 2 else None


def _cue(material: Material, name: str, X: npt.NDArray[Any]) -> Cue:
    """UA of a small tree on speakers that it has not heard; where they are not known, on random folds."""
    places = list(material.heard)
    y, voices = material.corpus.labels[places], material.corpus.speakers
    if voices is None:
        folds = list(KFold(_FOLDS, shuffle=True, random_state=0).split(X))
        groups = np.zeros(len(y), dtype=int)
        for number, (_, test) in enumerate(folds):
            groups[test] = number
    else:
        groups = np.unique(voices[places], return_inverse=True)[1]
        folds = list(GroupKFold(min(_FOLDS, groups.max() + 1)).split(X, y, groups))
    answers = np.empty_like(y)
    for train, test in folds:
        tree = DecisionTreeClassifier(max_depth=_DEPTH, min_samples_leaf=_LEAF, class_weight="balanced", random_state=0)
        answers[test] = tree.fit(X[train], y[train]).predict(X[test])
    labels = np.unique(y)
    tables = [metrics.confusion(y[groups == g], answers[groups == g], labels) for g in np.unique(groups)]
    low, _ = metrics.ua_interval(np.stack(tables), level=0.9)  # 95 % to one side
    return Cue(name, metrics.ua(sum(tables)), low, 1 / len(labels))  # type: ignore[arg-type]


def _codes(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """One column a value, 0 or 1: a tree then cuts off one value at a time."""
    names = sorted(set(values))
    return np.array([[float(value == name) for name in names] for value in values])


def _severity(cue: Cue) -> Severity | None:
    if cue.name == "level" and not _exceeds(cue, LEVEL_MARGIN):
        return "note" if _exceeds(cue, MARGIN) else None
    return "warning" if _exceeds(cue, MARGIN) else None


def _exceeds(cue: Cue, margin: float) -> bool:
    """More than ``margin`` above chance, and surely above chance."""
    return cue.ua > cue.chance + margin and cue.low > cue.chance


def _told(check: str, severity: Severity, cue: Cue, hint: str) -> Finding:
    text = f"{cue.name} alone tells the emotion with UA {100 * cue.ua:.0f} (chance {100 * cue.chance:.0f}): {hint}"
    return Finding(check, severity, text)
