"""Own recordings, sorted into one folder per emotion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from featkit import plugins
from featkit.datasets.base import EMOTIONS, Clip, Dataset
from featkit.errors import DataError


class Folder(Dataset):
    """A folder whose sub-folders are named after the emotions: ``root/anger/…/clip.wav``.

    The speakers are not known, so scores by speaker need a `Manifest` instead. Hidden files and folders, whose names
    begin with a dot, are passed over.

    Parameters
    ----------
    root
        Folder that holds the sub-folders. They may have sub-folders of their own.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for emotion in ("anger", "neutral"):
    ...         Path(folder, emotion).mkdir()
    ...         Path(folder, emotion, "1.wav").touch()
    ...     [clip.label for clip in Folder(folder).clips()]
    ['anger', 'neutral']
    """

    name = "folder"
    title = "folder-per-emotion"
    labels = None
    licence = "that of the recordings"
    citation = ""
    url = ""

    def clips(self) -> Iterator[Clip]:
        """Yield the clips in the order of their paths. Raises `DataError` at audio outside the sub-folders."""
        files = list(self._files())
        self._refuse_published(files)
        for path in files:
            label, *rest = path.relative_to(self.root).parts
            if not rest:
                raise DataError(
                    f"folder: '{path}' is in no sub-folder, so its emotion is not known. Move it to "
                    f"'{self.root / 'EMOTION' / label}', or list files and labels in a manifest (.csv)."
                )
            yield Clip(path, label)

    def _refuse_published(self, files: Sequence[Path]) -> None:
        """Raise `DataError` for a corpus whose file names say that a folder holds several emotions."""
        if {path.relative_to(self.root).parts[0] for path in files} <= set(EMOTIONS):
            return
        some = files[:: max(1, len(files) // 100)]
        for name, point in plugins.installed("datasets").items():
            pattern = getattr(_quietly(point), "pattern", None)
            if pattern is None or "emotion" not in pattern.groupindex:
                continue
            told = [(path.parent, match["emotion"]) for path in some if (match := pattern.fullmatch(path.stem))]
            if some and len(told) == len(some) and len(set(told)) > len(dict(told)):
                title = point.load().title
                raise DataError(f"folder: '{self.root}' looks like {title}; name it as {name}:{self.root}.")


def _quietly(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception:  # a stranger's corpus may fail in any way; it is no reason to fail here
        return None
