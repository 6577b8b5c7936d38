"""What must be looked at before any score: copies, leaks, shortcuts and damage in a corpus."""

from featkit.audit.findings import Audit, Cue, Finding
from featkit.audit.run import CHECKS, audit, joined

__all__ = ["CHECKS", "Audit", "Cue", "Finding", "audit", "joined"]
