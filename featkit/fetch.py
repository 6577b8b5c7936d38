"""One file from the net: gone on with where it broke off, checked before it has its name. Standard library only."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from featkit.errors import DataError

_BLOCK = 1 << 20
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, in seconds, and how often to go on after it fell silent."""

    timeout: float = 60
    tries: int = 5
    pause: float = 2


def fetch(
    url: str,
    path: Path,
    checksum: str | None = None,
    size: int | None = None,
    *,
    refused: str = "",
    progress: bool = False,
    patience: Patience | None = None,
) -> None:
    """Fetch one file. What has come so far is kept beside it as ``*.part``, and a later call goes on from there.

    A part is continued only if the server says, by its ETag or date, that the file is still the same.

    Parameters
    ----------
    url, path
        From where, to where.
    checksum, size
        ``md5:…`` or ``sha256:…`` and bytes, where known.
    refused
        What to do where the server does not have the file, for the message.

    Raises
    ------
    DataError
        The server refuses or stays silent, the disk is full, or the file is not the one that was published.
    """
    if not url.startswith(("http://", "https://")):
        raise DataError(f"'{url}' is not an address that begins with http:// or https://.")
    patience = patience or Patience()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(path)
    failures = 0
    while True:
        before = part.size()
        try:
            _transfer(url, part, size, refused, progress, patience.timeout)
            break
        except _BrokenError as error:
            failures = 1 if part.size() > before else failures + 1
            if failures >= patience.tries:
                kept = f"{part.size() / 1e6:.1f} MB are kept in '{part.path}'"
                raise DataError(f"{url}: {error}; {kept}. Run the same command again to go on.") from None
            time.sleep(patience.pause * failures)
    _verify(part, checksum, url)
    part.finish()


def checksum_of(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class Mismatch(NamedTuple):
    """A file that is not the published one: digests by an algorithm, such as MD5."""

    algorithm: str
    found: str
    published: str


def mismatch(path: Path, checksum: str | None) -> Mismatch | None:
    """Compare a file with its published checksum, ``md5:…``; None where they agree or none is known."""
    algorithm, _, published = (checksum or "").partition(":")
    if not published or (found := checksum_of(path, algorithm)) == published:
        return None
    return Mismatch(algorithm.upper(), found, published)


def check_room(folder: Path, needed: int) -> None:
    """Raise `DataError` where a disk has less room than ``needed`` bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(f"'{folder}' has {free / 1e9:.1f} GB free, but {needed / 1e9:.1f} GB are needed; make room.")


class _BrokenError(Exception):
    """The connection failed in a way that a later try may mend."""


class _Part:
    """An unfinished file and what the server said of the whole."""

    def __init__(self, path: Path) -> None:
        self.whole = path
        self.path = path.with_name(path.name + ".part")
        self.notes = path.with_name(path.name + ".part.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def known(self, url: str) -> dict[str, Any]:
        """What the server said when the part was begun; empty if it cannot be continued."""
        try:
            notes: dict[str, Any] = json.loads(self.notes.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return notes if self.size() and notes.get("url") == url and notes.get("same") else {}

    def note(self, notes: _Notes) -> None:
        self.notes.write_text(json.dumps(asdict(notes)), encoding="utf-8")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)

    def finish(self) -> None:
        os.replace(self.path, self.whole)
        self.notes.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Notes:
    url: str
    same: str | None
    """A strong ETag, or the date of the last change: equal means the same bytes."""
    total: int | None

    @classmethod
    def of(cls, url: str, response: http.client.HTTPResponse, offset: int) -> _Notes:
        tag = response.headers.get("ETag")
        same = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
        length = response.headers.get("Content-Length")
        return cls(url, same, offset + int(length) if length and length.isdecimal() else None)


def _transfer(url: str, part: _Part, size: int | None, refused: str, progress: bool, timeout: float) -> None:
    """Fetch what is still missing of a part, or all of it where the server does not know the part any more."""
    known = part.known(url)
    offset = part.size() if known else 0
    if known and offset == known["total"]:
        return
    try:
        with _open(url, offset, known.get("same"), timeout) as response:
            goes_on = response.status == 206
            notes = _Notes.of(url, response, offset if goes_on else 0)
            if goes_on and not _continues(response, offset, known, notes):
                part.drop()  # other bytes than the part's: begin again
                raise _BrokenError("the file changed on the server")
            if size is not None and notes.total is not None and notes.total != size:
                part.drop()
                raise DataError(f"{url}: the file has {notes.total} bytes, but {size} were published; it was changed.")
            if not goes_on:  # a part keeps the notes that it was begun with: a 206 may say less
                part.note(notes)
            start, total = (offset, notes.total or known["total"]) if goes_on else (0, notes.total)
            check_room(part.path.parent, (total or 0) - start)
            _receive(response, part, start, total, progress)
    except urllib.error.HTTPError as error:
        _refused(url, error, part, refused)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error
        raise _BrokenError(f"the connection failed ({reason or type(error).__name__})") from None


def _open(url: str, offset: int, same: str | None, timeout: float) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "featkit", "Accept-Encoding": "identity"})
    if offset and same:
        request.add_header("Range", f"bytes={offset}-")
        request.add_header("If-Range", same)
    return urllib.request.urlopen(request, timeout=timeout)


def _continues(response: http.client.HTTPResponse, offset: int, known: dict[str, Any], notes: _Notes) -> bool:
    """Whether the answer begins where the part ends, and belongs to the same file."""
    range_ = response.headers.get("Content-Range", "")
    begins = re.fullmatch(rf"bytes {offset}-\d+/(\d+|\*)", range_) is not None
    return begins and notes.same in (None, known["same"]) and notes.total in (None, known["total"])


def _receive(response: http.client.HTTPResponse, part: _Part, start: int, total: int | None, progress: bool) -> None:
    bar = tqdm(
        initial=start, total=total, desc=part.whole.name, unit="B", unit_scale=True, disable=not progress, leave=False
    )
    with bar, part.path.open("ab" if start else "wb") as file:
        while block := response.read(_BLOCK):
            try:
                file.write(block)
            except OSError as error:
                raise DataError(f"'{part.path}': cannot be written ({error.strerror}); make room and go on.") from None
            bar.update(len(block))
    if total is not None and part.size() < total:
        raise _BrokenError(f"the connection ended after {part.size()} of {total} bytes")


def _refused(url: str, error: urllib.error.HTTPError, part: _Part, advice: str) -> None:
    """Answer a status that is an error: 416 means that the part is useless, some mean wait, the others are final."""
    error.close()
    if error.code == 416:
        part.drop()
        raise _BrokenError("the server does not know the part that is there")
    if error.code in _RETRIED:
        raise _BrokenError(f"the server answers {error.code} ({error.reason})")
    raise DataError(f"{url}: the server answers {error.code} ({error.reason}). {advice}".rstrip())


def _verify(part: _Part, checksum: str | None, what: str) -> None:
    if wrong := mismatch(part.path, checksum):
        part.drop()
        raise DataError(
            f"{what}: the {wrong.algorithm} of what came is {wrong.found}, but {wrong.published} was published. It was "
            "deleted; run the same command again, and if that does not help, the file was changed."
        )
