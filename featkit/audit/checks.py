"""Checks of recordings, speakers, sentences and classes, each a function of `Material`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from featkit.audit.findings import Finding, Severity, named
from featkit.audit.material import Material
from featkit.audit.recording import Recording
from featkit.datasets.names import alike, alone, letters, plain_name
from featkit.quality import CLIPPED, OFFSET, SHORT, SILENCE, padded
from featkit.tables import counted

_FAULTS: tuple[tuple[str, Callable[[Recording], bool]], ...] = (
    (f"shorter than {SHORT} s", lambda r: r.seconds < SHORT),
    (f"clipped: more than {100 * CLIPPED:g} % of samples in runs at full scale", lambda r: r.clipped > CLIPPED),
    (f"with a constant offset of more than {100 * OFFSET:g} % of the RMS level", lambda r: r.offset > OFFSET),
    (
        f"with more than {SILENCE} s of digital silence at an end, or more than half of it",
        lambda r: padded(r.zeros, r.seconds),
    ),
)
_HEARD = "are heard in training: {}"
_CALLED = (
    "are called as others in training ({}): if they are the same people, the score is not for new voices; if not, tell "
    "them apart by a word before the names in one manifest, as in lab-03"
)


def signal(material: Material) -> list[Finding]:
    """Recordings with a fault that can be heard or seen in the samples: one finding a fault."""
    findings = []
    for what, has in _FAULTS:
        bad = [i for i, recording in material.heard.items() if has(recording)]
        if bad:
            files = tuple(material.corpus.files[i] for i in bad)
            text = f"{len(bad)} of {counted(len(material.heard), 'clip')} {what}: {material.named(bad)}"
            findings.append(Finding("signal", "warning", text, files))
    return findings


def speakers(material: Material) -> list[Finding]:
    """Speakers that are not known, and names that look like one speaker."""
    voices = material.corpus.speakers
    if voices is None:
        text = "the speakers are not known, so no score can tell new voices from known ones; add them (a manifest)"
        near = "".join(f". {doubt}" for doubt in material.corpus.doubts if "speaker" in doubt)
        return [Finding("speakers", "warning", f"{text}{near}".rstrip("."))]
    findings = []
    if alone(voices):
        who = named(voices.tolist())
        text = f"each clip has a speaker of its own ({who}): unless these are people, every score is too high"
        findings.append(Finding("speakers", "warning", text))
    if same := material.corpus.namesakes:
        text = (
            f"{named(same)}: speakers of one name in two manifests, who count as different people; if they are the "
            "same, list all clips in one manifest"
        )
        findings.append(Finding("speakers", "warning", text))
    for names in alike(voices.tolist(), plain_name):
        quoted = " and ".join(f"'{name}'" for name in names)
        places = np.flatnonzero(np.isin(voices, names)).tolist()
        text = f"{quoted} look like one speaker; give them one name, or clearly different ones"
        clips = tuple(material.corpus.files[i] for i in places)
        findings.append(Finding("speakers", "warning", text, clips, material.splitting(places)))
    return findings


def heard(material: Material, certain: bool) -> list[Finding]:
    """Speakers on both sides of a fold. Unless it is ``certain``, equal names may be of different people."""
    voices = material.corpus.speakers
    if voices is None:
        return []
    findings = []
    for number, (train, test) in enumerate(material.folds, start=1):
        both = sorted(set(voices[train].tolist()) & set(voices[test].tolist()))
        if both:
            severity: Severity = "error" if certain else "warning"
            told = (_HEARD if certain else _CALLED).format(named(both))
            text = f"{_of(both, set(voices[test].tolist()))} speakers of the test {told}"
            findings.append(Finding("speakers", severity, text, fold=number))
    return findings


def sentences(material: Material) -> list[Finding]:
    """Sentences that the test shares with training. That is legitimate, and must be said."""
    texts = material.corpus.texts
    if texts is None or not material.folds:
        return []
    shares = [float(np.isin(texts[test], texts[train]).mean()) for train, test in material.folds if len(test)]
    if not any(shares):
        return []
    n = sum(share > 0 for share in shares)
    told = f"{100 * np.mean(shares):.0f} % of the test clips say a sentence that training has too"
    where = f"in {n} of {len(shares)} folds" if len(shares) > 1 else "in the one fold"
    return [Finding("sentences", "note", f"{told} ({where}): say that the score is not for new sentences")]


def _one_emotion(names: list[str]) -> list[Finding]:
    """Names that differ in case and signs alone."""
    text = "look like one emotion, and would be learned as several; give them one name"
    return [
        Finding("classes", "error", " and ".join(f"'{name}'" for name in same) + f" {text}")
        for same in alike(names, letters)
    ]


def classes(material: Material) -> list[Finding]:
    """Emotions written in two ways, or with too few speakers, speakers with one emotion, and gaps between them."""
    labels, voices = material.corpus.labels, material.corpus.speakers
    names = sorted(set(labels.tolist()))
    findings = _one_emotion(names)
    if len(names) < 2:
        findings.append(Finding("classes", "error", f"all clips have one label, '{names[0]}': nothing can be learned"))
    if voices is None:
        return findings
    heard = {voice: Counter(labels[voices == voice].tolist()) for voice in sorted(set(voices.tolist()))}
    if len(heard) < 2:
        text = f"there is one speaker, '{next(iter(heard))}': no score can be for new voices"
        return [*findings, Finding("classes", "warning", text)]
    for name in names:
        by = [voice for voice, counts in heard.items() if counts[name]]
        if len(by) < 2:
            text = f"'{name}' is shown by one speaker only ({by[0]}): it cannot be learned and judged on new voices"
            findings.append(Finding("classes", "warning", text))
    findings += _gaps(heard, names)
    return findings


def _gaps(heard: dict[str, Counter[str]], names: Sequence[str]) -> list[Finding]:
    findings = []
    single = [voice for voice, counts in heard.items() if len(counts) == 1]
    if single and len(names) > 1:
        text = f"{_of(single, heard)} speakers show one emotion only ({named(single)}): the voice gives it away"
        findings.append(Finding("classes", "warning", text))
    gaps = [f"{name} by {voice}" for voice, counts in heard.items() for name in names if not counts[name]]
    if gaps:
        findings.append(Finding("classes", "note", f"some emotions are not shown by every speaker: {named(gaps)}"))
    return findings


def _of(some: Sequence[str], every: object) -> str:
    return f"{len(some)} of {len(every)}"  # type: ignore[arg-type]
