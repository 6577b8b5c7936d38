"""Fetch a corpus whose licence lets a program do so, and unpack it with care."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from tqdm import tqdm

from featkit.datasets.base import Archive, Dataset
from featkit.errors import DataError
from featkit.fetch import Patience, check_room, fetch, mismatch

MAX_UNPACKED = 50 << 30
"""Bytes that an archive may unpack to."""

MAX_MEMBERS = 200_000
"""Files that an archive may hold."""

MAX_RATIO = 200
"""How many times its packed size an archive may unpack to. Recordings shrink by less than 3, text by 20."""

_BLOCK = 1 << 20
_POINTER = re.compile(rb"version https://git-lfs\S+\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_PARALLEL = 8  # files of a repository that are fetched at a time
_MOVED = "The corpus may have moved: look at its page, fetch it with a browser, and unpack it into the folder."


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
    done = []
    for archive in corpus.archives:
        packed = folder / archive.name
        if packed.is_file():
            _check_packed(packed, archive)
        else:
            fetch(
                archive.url, packed, archive.checksum, archive.size, refused=_MOVED, progress=progress,
                patience=patience,
            )  # fmt: skip
        count = unpack(packed, folder, archive.members, resume=True, progress=progress)
        done.append(f"{archive.name}: {count} files unpacked" + ("" if archive.checksum else ", no checksum is known"))
        if archive.lfs:
            done.append(f"{resolve_pointers(folder, archive, progress, patience)} recordings fetched and checked")
        packed.unlink()
    return done


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
            check_room(folder, sum(info.file_size for info in chosen))
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
    check_room(folder, sum(size for _, _, size in pointers))

    def resolve(pointer: tuple[Path, str, int]) -> None:
        path, digest, size = pointer
        place = "/".join(path.relative_to(folder).parts[1:])  # without the folder that GitHub's zip adds
        url = archive.lfs.format(path=place)
        fetch(url, path, f"sha256:{digest}", size, refused=_MOVED, patience=patience)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        jobs = [pool.submit(resolve, pointer) for pointer in pointers]
        try:
            for job in tqdm(jobs, desc="recordings", unit="file", disable=not progress, leave=False):
                job.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return len(pointers)


def _check_packed(packed: Path, archive: Archive) -> None:
    """Refuse an archive that somebody else put there, if it is not the published one."""
    if wrong := mismatch(packed, archive.checksum):
        raise DataError(
            f"'{packed}': its {wrong.algorithm} is not the published {wrong.published}; delete it to fetch it anew."
        )


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
