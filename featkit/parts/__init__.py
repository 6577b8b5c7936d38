"""Long work over many files that loses nothing: a row a file, kept in parts while it runs, joined in the end.

A part is about two seconds of one worker's rows. It is written, synced and renamed, so it is there whole or not at
all; whatever ends a run, the next one begins where the parts end. The joined table has the order of the files and
nothing in it of who did what when, so it is the same to the byte however often the work was cut off.

The engine knows nothing of audio: it takes files, a `Work` that turns one of them into a row, and the settings that
decide the rows.
"""

from featkit import plugins

try:
    import pyarrow  # noqa: F401  every module below needs it
except ModuleNotFoundError as error:
    raise plugins.missing(error, "table of many files") from None

from featkit.parts.drive import Options
from featkit.parts.ledger import Notes
from featkit.parts.output import FAILURES, SETTINGS_KEY, Output
from featkit.parts.run import Summary, run
from featkit.parts.shape import Shape
from featkit.parts.work import FileError, Work, reading_stage

__all__ = [
    "FAILURES", "SETTINGS_KEY", "FileError", "Notes", "Options", "Output", "Shape", "Summary", "Work",
    "reading_stage", "run",
]  # fmt: skip
