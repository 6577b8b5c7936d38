"""What an audit has found, as plain data and as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, TypeAlias

from featkit.tables import counted, csv_table, markdown

Severity: TypeAlias = Literal["error", "warning", "note"]
"""An error makes scores wrong, a warning may, a note is good to know."""
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

_NAMED = 3  # clips that a message names
_ROWS = 40  # speakers that a table shows


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    check: str
    severity: Severity
    message: str
    clips: tuple[str, ...] = ()
    """All clips that it is about; empty where it is about the corpus."""
    fold: int | None = None
    """The fold it was found in, from 1; None where it holds for any."""


@dataclass(frozen=True)
class Cue:
    """How well a small decision tree tells the emotion from something that is no speech, on unheard speakers."""

    name: str
    ua: float
    """Mean recall over the emotions, 0 to 1."""
    low: float
    """What it is above with 95 % confidence, over speakers: the lower end of a 90 % interval."""
    chance: float
    """One by the number of emotions."""


@dataclass(frozen=True)
class Audit:
    """Findings, the worst first, and what they were found in."""

    corpus: str
    n_clips: int
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]
    counts: Mapping[str, Mapping[str, int]]
    """Clips of each emotion by each speaker; one row "all" where speakers are not known."""
    cues: tuple[Cue, ...] = ()

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def fails(self, level: Severity = "error") -> bool:
        """Whether anything was found that is as bad as ``level`` or worse."""
        return any(self.of(severity) for severity in SEVERITIES[: SEVERITIES.index(level) + 1])

    def report(self) -> str:
        """Title, findings, clips by emotion and speaker, and cues, as Markdown."""
        told = ", ".join(counted(len(self.of(severity)), severity) for severity in SEVERITIES)
        parts = [f"{self.corpus}: {counted(self.n_clips, 'clip')}, {told}"]
        if self.findings:
            rows = [
                {
                    "severity": finding.severity,
                    "check": finding.check,
                    "fold": "" if finding.fold is None else str(finding.fold),
                    "finding": finding.message,
                }
                for finding in self.findings
            ]
            parts.append(markdown(rows))
        parts.append(markdown(self._crosstab()))
        if self.cues:
            parts.append(markdown([_cue_row(cue) for cue in self.cues]))
        return "\n\n".join(parts)

    def save(self, path: Path) -> None:
        """Write the findings as ``.csv``, everything as ``.json``, or the report as any other text."""
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix.lower()
        if suffix == ".json":
            text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        elif suffix == ".csv":
            rows = [asdict(finding) | {"clips": "\n".join(finding.clips)} for finding in self.findings]
            text = csv_table(rows) if rows else ",".join(field.name for field in fields(Finding)) + "\n"
        else:
            text = self.report() + "\n"
        path.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files need not be UTF-8

    def _crosstab(self) -> list[dict[str, str]]:
        labels = sorted({label for row in self.counts.values() for label in row})
        rows = [
            {"speaker": speaker} | {label: str(row.get(label, 0)) for label in labels} | {"all": str(sum(row.values()))}
            for speaker, row in self.counts.items()
        ]
        if len(rows) > _ROWS:
            rows = rows[:_ROWS] + [{"speaker": f"… {len(rows) - _ROWS} more"} | dict.fromkeys([*labels, "all"], "")]
        if len(rows) > 1:
            totals = {label: str(sum(row.get(label, 0) for row in self.counts.values())) for label in labels}
            rows.append({"speaker": "all"} | totals | {"all": str(self.n_clips)})
        return rows


def named(clips: Sequence[str]) -> str:
    """Clips for a message: the first few names, and how many more."""
    more = f" and {len(clips) - _NAMED} more" if len(clips) > _NAMED else ""
    return ", ".join(clips[:_NAMED]) + more


def _cue_row(cue: Cue) -> dict[str, str]:
    return {
        "emotion told from": cue.name,
        "UA [95 % from]": f"{100 * cue.ua:.1f} [{100 * cue.low:.0f}]",
        "chance": f"{100 * cue.chance:.1f}",
    }
