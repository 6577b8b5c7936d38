"""Own recordings, sorted into one folder per emotion."""

from __future__ import annotations

from collections.abc import Iterator

from featkit.datasets.base import Clip, Dataset
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
        for path in self._files():
            label, *rest = path.relative_to(self.root).parts
            if not rest:
                raise DataError(
                    f"folder: '{path}' is in no sub-folder, so its emotion is not known. Move it to "
                    f"'{self.root / 'EMOTION' / label}', or list files and labels in a manifest (.csv)."
                )
            yield Clip(path, label)
