"""Downloads go on where they stopped, are what was published, and unpack nothing outside their folder."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from fileserver import CONTENT, Server, served

from featkit.datasets import download as module
from featkit.datasets.base import Archive, Clip, Dataset
from featkit.datasets.download import download, resolve_pointers, unpack
from featkit.errors import DataError
from featkit.fetch import Patience

QUICK = Patience(timeout=0.5, tries=2, pause=0)


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as state:
        yield state


# Unpacking


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_members_are_unpacked_with_their_folders_and_hidden_ones_are_not(tmp_path: Path) -> None:
    members = {"c/wav/1.wav": b"1", "c/._1.wav": b"x", "__MACOSX/c/1.wav": b"x", ".git/1.wav": b"x", "c/readme": b"r"}
    packed = zipped(tmp_path / "a.zip", **members)
    assert unpack(packed, tmp_path / "out", r"\.wav$") == 1
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["1.wav"]


@pytest.mark.parametrize(
    "name", ["../1.wav", "a/../../1.wav", "/tmp/1.wav", "C:/1.wav", "a\\..\\1.wav", "..", "a/\x1b[2J.wav", "a:b.wav"]
)
def test_a_member_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    packed = zipped(tmp_path / "a.zip", **{"ok.wav": b"1", name: b"2"})
    with pytest.raises(DataError, match=r"its member .* leads out of the folder or is a link; refused"):
        unpack(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc")
    with pytest.raises(DataError, match="its member 'link' leads out of the folder or is a link; refused"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_folder_that_is_a_link_to_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"its member 'a/1\.wav' leads out of the folder"):
        unpack(zipped(tmp_path / "a.zip", **{"a/1.wav": b"1"}), tmp_path / "out")


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    packed = zipped(tmp_path / "a.zip", **{"1.wav": bytes(5_000_000)})
    with pytest.raises(
        DataError, match=r"'.*a\.zip' would unpack to 0\.0 GB, which no corpus of its size does; refused"
    ):
        unpack(packed, tmp_path / "out")


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MEMBERS", 1)
    with pytest.raises(DataError, match=r"holds 2 files, more than the 1 of any corpus; refused"):
        unpack(zipped(tmp_path / "a.zip", **{"1.wav": b"1", "2.wav": b"2"}), tmp_path)


def test_a_locked_member_is_refused(tmp_path: Path) -> None:
    packed = zipped(tmp_path / "a.zip", **{"1.wav": b"1"})
    content = bytearray(packed.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    packed.write_bytes(content)
    with pytest.raises(DataError, match=r"its member '1\.wav' is locked by a password; unpack it yourself"):
        unpack(packed, tmp_path / "out")


@pytest.mark.parametrize("damage", ["cut", "changed", "text"])
def test_a_damaged_archive_is_named_and_leaves_no_half_file(tmp_path: Path, damage: str) -> None:
    packed = zipped(tmp_path / "a.zip", **{"1.wav": bytes(range(256)) * 9})
    content = bytearray(packed.read_bytes())
    content[60:70] = bytes(10)
    packed.write_bytes({"cut": content[:200], "changed": content, "text": b"<html>"}[damage])
    with pytest.raises(DataError, match=r"'.*a\.zip' is damaged or no zip \(.*\); delete it and fetch it again"):
        unpack(packed, tmp_path / "out")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [packed]


def test_an_archive_without_the_files_of_the_corpus_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds none of the files of this corpus; the release has changed"):
        unpack(zipped(tmp_path / "a.zip", readme=b"r"), tmp_path, r"\.wav$")


def test_files_that_are_there_are_kept_when_it_goes_on(tmp_path: Path) -> None:
    packed = zipped(tmp_path / "a.zip", **{"1.wav": b"pointer"})
    (tmp_path / "1.wav").write_bytes(b"recording")
    assert unpack(packed, tmp_path, resume=True) == 1
    assert (tmp_path / "1.wav").read_bytes() == b"recording"
    unpack(packed, tmp_path)
    assert (tmp_path / "1.wav").read_bytes() == b"pointer"


# A whole corpus


def corpus(*archives: Archive) -> type[Dataset]:
    class Corpus(Dataset):
        name, title, labels, licence, citation, url = "c", "Corpus", ("anger",), "free", "we", "http://c"
        access = "Write to its authors."
        archives: ClassVar[tuple[Archive, ...]] = ()

        def clips(self) -> Iterator[Clip]:
            yield from ()

    Corpus.archives = archives
    return Corpus


def pointer(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()


def test_a_corpus_is_fetched_unpacked_and_its_archive_deleted(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = zipped(tmp_path / "made.zip", **{"wav/1.wav": b"1"}).read_bytes()
    checksum = f"md5:{hashlib.md5(server.files['/a.zip']).hexdigest()}"
    done = download(corpus(Archive(server.url, "a.zip", checksum=checksum)), tmp_path / "c", patience=QUICK)
    assert done == ["a.zip: 1 files unpacked"]
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["wav"]


def test_an_archive_that_is_there_already_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", **{"1.wav": b"1"})
    done = download(corpus(Archive(server.url, "a.zip")), tmp_path, patience=QUICK)
    assert done == ["a.zip: 1 files unpacked, no checksum is known"]
    assert server.requests == []


def test_an_archive_that_is_there_already_and_is_another_one_is_refused(server: Server, tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", **{"1.wav": b"1"})
    with pytest.raises(DataError, match=r"'.*a\.zip': its MD5 is not the published 00; delete it to fetch it anew"):
        download(corpus(Archive(server.url, "a.zip", checksum="md5:00")), tmp_path, patience=QUICK)


def test_of_an_archive_that_is_gone_the_page_of_the_corpus_is_named(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"b\.zip: the server answers 404 .*\. The corpus may have moved: look"):
        download(corpus(Archive(server.url.replace("a.zip", "b.zip"), "b.zip")), tmp_path, patience=QUICK)


def test_a_corpus_that_a_person_must_ask_for_says_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Corpus is not for a program to fetch\. Write to its authors\."):
        download(corpus(), tmp_path)


def test_pointers_are_replaced_by_the_recordings_they_stand_for(server: Server, tmp_path: Path) -> None:
    members = {f"repo-1/wav/{i}.wav": pointer(CONTENT + bytes([i])) for i in range(12)}
    server.files = {f"/media/wav/{i}.wav": CONTENT + bytes([i]) for i in range(12)}
    server.files["/a.zip"] = zipped(tmp_path / "made.zip", **members).read_bytes()
    archive = Archive(server.url, "a.zip", lfs=server.url.replace("a.zip", "media/{path}"))
    done = download(corpus(archive), tmp_path / "c", patience=QUICK)
    assert done[1] == "12 recordings fetched and checked"
    assert (tmp_path / "c/repo-1/wav/7.wav").read_bytes() == CONTENT + bytes([7])


def test_a_recording_that_is_not_what_its_pointer_says_is_an_error(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "repo" / "1.wav"
    path.parent.mkdir()
    path.write_bytes(pointer(CONTENT))
    server.files["/1.wav"] = CONTENT[::-1]
    with pytest.raises(DataError, match=r"1\.wav: the SHA256 of what came is"):
        resolve_pointers(tmp_path, Archive("", "", lfs=server.url.replace("a.zip", "{path}")), patience=QUICK)
    assert path.read_bytes() == pointer(CONTENT)
