"""Recordings that stand in a corpus more than once, as they are or changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from featkit.audit.findings import Finding, Severity
from featkit.audit.fingerprint import Match, matches
from featkit.audit.material import Material

DUPLICATE = 0.995
NEAR_TWIN = 0.92
"""Similarity from which two clips are one recording, measured by ``benchmarks/copies.py`` on all pairs of EMO-DB and
RAVDESS: clips that are no copies reach 0.72 and 0.88 (two takes of a sentence by one actor); copies with noise at
20 dB, 8 bits, MP3, another rate, level or speed, or a third cut off, 0.94 and more."""


def duplicates(material: Material) -> list[Finding]:
    """Clips with equal samples."""
    return [
        _finding(material, "duplicates", group, "have the same samples") for group in equal(material) if len(group) > 1
    ]


def near_duplicates(material: Material, *, n_jobs: int | None = None, progress: bool = False) -> list[Finding]:
    """Clips that are one recording, changed. Of those with equal samples only the first is compared."""
    groups = equal(material)
    prints = [material.heard[group[0]].print_ for group in groups]
    found = matches([p for p in prints if p is not None], NEAR_TWIN, n_jobs=n_jobs, progress=progress)
    findings = []
    for linked in _components(len(groups), found):
        pairs = [match for match in found if match.a in linked]
        members = sorted(i for place in linked for i in groups[place])
        findings.append(_finding(material, "near duplicates", members, _how(pairs)))
    return findings


def equal(material: Material) -> list[list[int]]:
    """Usable clips by their samples, in order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, recording in material.heard.items():
        groups[recording.digest].append(i)
    return list(groups.values())


def _components(n: int, found: Sequence[Match]) -> list[set[int]]:
    """Places that are linked by matches, directly or through others."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for match in found:
        a, b = sorted((root(match.a), root(match.b)))
        parent[b] = a
    linked: dict[int, set[int]] = defaultdict(set)
    for i in range(n):
        linked[root(i)].add(i)
    return [places for places in linked.values() if len(places) > 1]


def _how(pairs: Sequence[Match]) -> str:
    low, high = min(p.similarity for p in pairs), max(p.similarity for p in pairs)
    likeness = f"{low:.3f}" if len(pairs) == 1 else f"{low:.3f} to {high:.3f}"
    speeds = sorted({round(100 * (match.speed - 1)) for match in pairs} - {0})
    at = f", at a speed changed by {', '.join(f'{change:+d}' for change in speeds)} %" if speeds else ""
    return f"are {'one recording' if low >= DUPLICATE else 'near twins'} (similarity {likeness}{at})"


def _finding(material: Material, check: str, group: Sequence[int], what: str) -> Finding:
    """How bad it is: a contradiction, a leak, or a clip that counts twice."""
    corpus = material.corpus
    labels = sorted({str(corpus.labels[i]) for i in group})
    voices = [] if corpus.speakers is None else sorted({str(corpus.speakers[i]) for i in group})
    fold = material.splitting(group)
    severity: Severity = "error"
    if len(labels) > 1:
        more = f", but are labelled {' and '.join(labels)}"
    elif len(voices) > 1:
        more = f", but are said to be of speakers {' and '.join(voices)}"
    elif fold is not None:
        more = ", on both sides of a fold"
    else:
        severity, more = "warning", ": the recording counts more than once"
    clips = tuple(corpus.files[i] for i in group)
    return Finding(check, severity, f"{len(clips)} clips {what}{more}: {material.named(group)}", clips, fold)
