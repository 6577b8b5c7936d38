"""Own recordings, sorted into one folder per emotion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from featkit.datasets.base import AUDIO_SUFFIXES, Clip, Dataset
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
        if not self.root.is_dir():
            raise DataError(f"folder: the folder '{self.root}' does not exist; name one with a sub-folder per emotion.")
        entries = sorted(self.root.glob("[!.]*"))
        for path in entries:
            if _is_audio(path):
                raise DataError(
                    f"folder: '{path}' is in no sub-folder, so its emotion is not known. Move it to "
                    f"'{self.root / 'EMOTION' / path.name}', or list files and labels in a manifest (.csv)."
                )
        # Searched one by one: rglob from the root would pass over a sub-folder that is a link, and so lose a label.
        clips = [
            Clip(path, label.name)
            for label in entries
            for path in sorted(label.rglob("[!.]*"))
            if _is_audio(path) and not any(part.startswith(".") for part in path.relative_to(label).parts)
        ]
        if not clips:
            raise DataError(
                f"folder: no audio file was found below '{self.root}'; name a folder with a sub-folder per emotion."
            )
        yield from clips


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()
