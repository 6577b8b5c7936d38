"""Files that are replaced whole or not at all, and where files are kept that can be made again."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from featkit.errors import ExportError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to, which takes the place of ``path`` when all has gone well; folders are made.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "a.txt")) as draft:
    ...         _ = draft.write_text("done")
    ...     Path(folder, "a.txt").read_text(), len(list(Path(folder).iterdir()))
    ('done', 1)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name for each thread of the computer: several may write the same file.
    draft = path.with_name(f".{path.name}.{threading.get_native_id()}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before any work is done for it; its folder is made.

    Raises
    ------
    ExportError
        It is a folder, or nothing may be written there.
    """
    with writing(path):
        if path.is_dir():
            raise ExportError(f"{path}: is a folder; name a file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write each file whole or not at all, in this order; folders are made.

    Raises
    ------
    ExportError
        One cannot be written, as on a full disk.
    """
    for path, content in files.items():
        with writing(path), replacing(path) as draft:
            draft.write_bytes(content)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Whatever the system says against writing ``path`` becomes one line.

    Raises
    ------
    ExportError
        The block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise ExportError(f"{path}: cannot be written here ({error.strerror}); name another place.") from None


def cache_folder(name: str) -> Path:
    """``featkit/NAME`` where the system keeps what can be made or fetched again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "featkit" / name
