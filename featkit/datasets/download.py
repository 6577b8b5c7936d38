"""Fetch a corpus whose licence lets a program do so: resumed, checked, unpacked with care. Standard library only."""

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
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from tqdm import tqdm

from featkit.datasets.base import Archive, Dataset
from featkit.errors import DataError

MAX_UNPACKED = 50 << 30
"""Bytes that an archive may unpack to."""

MAX_MEMBERS = 200_000
"""Files that an archive may hold."""

MAX_RATIO = 200
"""How many times its packed size an archive may unpack to. Recordings shrink by less than 3, text by 20."""

_BLOCK = 1 << 20
_POINTER = re.compile(rb"version https://git-lfs\S+\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_PARALLEL = 8  # files of a repository that are fetched at a time
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, in seconds, and how often to go on after it fell silent."""

    timeout: float = 60
    tries: int = 5
    pause: float = 2


def download(
    corpus: type[Dataset], folder: Path, *, progress: bool = False, patience: Patience | None = None
) -> list[str]:
    """Fetch and unpack a corpus into ``folder``, and go on where an earlier call stopped.

    Returns
    -------
    What was done, a line each.

    Raises
    ------
    DataError
        The corpus is not for programs to fetch, the server or the disk fails, or what came is not what was published.
    """
    if not corpus.archives:
        raise DataError(f"{corpus.title} is not for a program to fetch. {corpus.access}")
    patience = patience or Patience()
    done = []
    for archive in corpus.archives:
        packed = folder / archive.name
        if packed.is_file():
            _check_packed(packed, archive)
        else:
            fetch(archive.url, packed, archive.checksum, archive.size, progress=progress, patience=patience)
        count = unpack(packed, folder, archive.members, resume=True, progress=progress)
        done.append(f"{archive.name}: {count} files unpacked" + ("" if archive.checksum else ", no checksum is known"))
        if archive.lfs:
            done.append(f"{resolve_pointers(folder, archive, progress, patience)} recordings fetched and checked")
        packed.unlink()
    return done


def fetch(
    url: str,
    path: Path,
    checksum: str | None = None,
    size: int | None = None,
    *,
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
            _transfer(url, part, size, progress, patience.timeout)
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


def unpack(packed: Path, folder: Path, members: str = "", *, resume: bool = False, progress: bool = False) -> int:
    """Unpack a zip into ``folder`` and return the number of files. Hidden members are passed over.

    A member whose name leads out of the folder, a link, a locked member, or more bytes than a corpus can have are
    refused before anything is written.

    Parameters
    ----------
    packed, folder, members
        The zip, where to, and a regular expression that the names of wanted members match in part.
    resume
        Keep files that are there: no file has its name before it is whole, and some may already have taken the place
        of the pointer that the zip holds.

    Raises
    ------
    DataError
        The archive is damaged or refused, or the disk has no room for it.
    """
    try:
        with zipfile.ZipFile(packed) as archive:
            chosen = [info for info in archive.infolist() if _wanted(info, members)]
            _check_members(packed, folder, chosen)
            folder.mkdir(parents=True, exist_ok=True)
            _check_room(folder, sum(info.file_size for info in chosen))
            for info in tqdm(chosen, desc="unpack", unit="file", disable=not progress, leave=False):
                if not (resume and (folder / info.filename).is_file()):
                    _write_member(archive, info, folder / info.filename)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"'{packed}' is damaged or no zip ({error}); delete it and fetch it again.") from None
    if not chosen:
        raise DataError(f"'{packed}' holds none of the files of this corpus; the release has changed.")
    return len(chosen)


def resolve_pointers(folder: Path, archive: Archive, progress: bool = False, patience: Patience | None = None) -> int:
    """Put the recordings in place of the Git LFS pointers that a repository's zip holds. Returns their number.

    A pointer states the SHA-256 and the size of its file, and both are checked.
    """
    pointers = list(_pointers(folder))
    _check_room(folder, sum(size for _, _, size in pointers))

    def resolve(pointer: tuple[Path, str, int]) -> None:
        path, digest, size = pointer
        place = "/".join(path.relative_to(folder).parts[1:])  # without the folder that GitHub's zip adds
        fetch(archive.lfs.format(path=place), path, f"sha256:{digest}", size, patience=patience)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        jobs = [pool.submit(resolve, pointer) for pointer in pointers]
        try:
            for job in tqdm(jobs, desc="recordings", unit="file", disable=not progress, leave=False):
                job.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return len(pointers)


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


def _transfer(url: str, part: _Part, size: int | None, progress: bool, timeout: float) -> None:
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
            _check_room(part.path.parent, (total or 0) - start)
            _receive(response, part, start, total, progress)
    except urllib.error.HTTPError as error:
        _refused(url, error, part)
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


def _refused(url: str, error: urllib.error.HTTPError, part: _Part) -> None:
    """Answer a status that is an error: 416 means that the part is useless, some mean wait, the others are final."""
    error.close()
    if error.code == 416:
        part.drop()
        raise _BrokenError("the server does not know the part that is there")
    if error.code in _RETRIED:
        raise _BrokenError(f"the server answers {error.code} ({error.reason})")
    raise DataError(
        f"{url}: the server answers {error.code} ({error.reason}). The corpus may have moved: look at its page, "
        "fetch it with a browser, and unpack it into the folder."
    )


def _verify(part: _Part, checksum: str | None, what: str) -> None:
    if wrong := mismatch(part.path, checksum):
        part.drop()
        raise DataError(
            f"{what}: the {wrong.algorithm} of what came is {wrong.found}, but {wrong.published} was published. It was "
            "deleted; run the same command again, and if that does not help, the file was changed."
        )


def _check_packed(packed: Path, archive: Archive) -> None:
    """Refuse an archive that somebody else put there, if it is not the published one."""
    if wrong := mismatch(packed, archive.checksum):
        raise DataError(
            f"'{packed}': its {wrong.algorithm} is not the published {wrong.published}; delete it to fetch it anew."
        )


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(f"'{folder}' has {free / 1e9:.1f} GB free, but {needed / 1e9:.1f} GB are needed; make room.")


def _wanted(info: zipfile.ZipInfo, members: str) -> bool:
    """Files that are asked for. Names that begin with a dot and __MACOSX are what a Mac leaves behind."""
    hidden = any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in info.filename.split("/"))
    return not info.is_dir() and not hidden and re.search(members, info.filename) is not None


def _check_members(packed: Path, folder: Path, chosen: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that would write elsewhere, fill the disk, or cannot be opened."""
    if len(chosen) > MAX_MEMBERS:
        raise DataError(f"'{packed}' holds {len(chosen)} files, more than the {MAX_MEMBERS} of any corpus; refused.")
    total = sum(info.file_size for info in chosen)
    if total > min(MAX_UNPACKED, MAX_RATIO * max(packed.stat().st_size, 1)):
        raise DataError(f"'{packed}' would unpack to {total / 1e9:.1f} GB, which no corpus of its size does; refused.")
    root = folder.resolve()
    for info in chosen:
        name = info.filename
        strange = (
            "\\" in name or ":" in name or name.startswith("/") or ".." in name.split("/") or not name.isprintable()
        )
        if strange or info.external_attr >> 28 == 0xA or not (folder / name).resolve().is_relative_to(root):
            raise DataError(f"'{packed}': its member {name!r} leads out of the folder or is a link; refused.")
        if info.flag_bits & 1:
            raise DataError(f"'{packed}': its member {name!r} is locked by a password; unpack it yourself.")


def _write_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """Write a member under another name first, so that no half file bears the name of a recording."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        with archive.open(info) as source, part.open("wb") as file:
            _copy(source, file)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    read: Callable[[int], bytes] = source.read
    while block := read(_BLOCK):
        target.write(block)


def _pointers(folder: Path) -> Iterator[tuple[Path, str, int]]:
    """Files that are Git LFS pointers, with the SHA-256 and the size of what they stand for."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size < 1024:
            pointer = _POINTER.match(path.read_bytes())
            if pointer:
                yield path, pointer[1].decode(), int(pointer[2])
