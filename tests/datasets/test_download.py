"""Downloads go on where they stopped, never glue two files together, and unpack nothing outside their folder."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from featkit.datasets import download as module
from featkit.datasets.base import Archive, Clip, Dataset
from featkit.datasets.download import Patience, checksum_of, download, fetch, resolve_pointers, unpack
from featkit.errors import DataError

CONTENT = bytes(range(256)) * 800  # 204 800 bytes
QUICK = Patience(timeout=0.5, tries=2, pause=0)


@dataclass
class Server:
    """What the next answers will be, and which requests came."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/a.zip": CONTENT})
    tag: str | None = '"one"'
    ranges: bool = True
    obeys_if_range: bool = True
    length: bool = True
    brief: bool = False  # a part is sent without ETag and length
    cut: int | None = None  # bytes after which the connection is closed, once
    status: list[int] = field(default_factory=list)
    silent: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.requests.append(dict(self.headers))
            if state.silent:
                release.wait(3)
                self.close_connection = True
                return
            if state.status or self.path not in state.files:
                self.send_error(state.status.pop(0) if state.status else 404)
                return
            self.answer(state.files[self.path])

        def answer(self, content: bytes) -> None:
            begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
            same = not state.obeys_if_range or self.headers.get("If-Range") == state.tag
            partial = "Range" in self.headers and state.ranges and same
            begin = begin if partial else 0
            if partial and begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if partial else 200)
            if partial:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            brief = partial and state.brief
            if state.tag and not brief:
                self.send_header("ETag", state.tag)
            if state.length and not brief:
                self.send_header("Content-Length", str(len(content) - begin))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            cut, state.cut = state.cut, None
            self.wfile.write(content[begin:][:cut])
            self.close_connection = cut is not None or not state.length or brief

        def log_message(self, *words: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/a.zip"
    yield state
    release.set()
    http.shutdown()
    thread.join()
    http.server_close()


def part_of(path: Path, url: str, n_bytes: int, tag: str | None = '"one"', total: int = len(CONTENT)) -> None:
    """What an interrupted download leaves."""
    path.with_name(path.name + ".part").write_bytes(CONTENT[:n_bytes])
    notes = {"url": url, "same": tag, "total": total}
    path.with_name(path.name + ".part.json").write_text(json.dumps(notes))


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if ".part" in path.name)


# Fetching


def test_a_file_is_fetched_checked_and_nothing_is_left_over(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.zip"
    fetch(server.url, path, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", len(CONTENT), patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert leftovers(path.parent) == []


def test_a_part_is_continued_from_where_it_ended(server: Server, tmp_path: Path) -> None:
    part_of(tmp_path / "a.zip", server.url, 150_000)
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [(request["Range"], request["If-Range"]) for request in server.requests] == [("bytes=150000-", '"one"')]


def test_a_connection_that_breaks_is_taken_up_again_in_the_same_call(server: Server, tmp_path: Path) -> None:
    server.cut = 100_000
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.requests[1]["Range"] == "bytes=100000-"


def test_a_part_whose_answer_names_neither_tag_nor_length_is_continued_again(server: Server, tmp_path: Path) -> None:
    part_of(tmp_path / "a.zip", server.url, 50_000)
    server.brief, server.cut = True, 50_000
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [request["Range"] for request in server.requests] == ["bytes=50000-", "bytes=100000-"]


def test_a_whole_part_that_was_never_renamed_needs_no_request(server: Server, tmp_path: Path) -> None:
    part_of(tmp_path / "a.zip", server.url, len(CONTENT))
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.requests == []


@pytest.mark.parametrize("obeys", [True, False], ids=["server obeys If-Range", "server ignores If-Range"])
def test_a_file_that_changed_on_the_server_is_fetched_anew(server: Server, tmp_path: Path, obeys: bool) -> None:
    part_of(tmp_path / "a.zip", server.url, 150_000)
    server.tag, server.obeys_if_range, server.files["/a.zip"] = '"two"', obeys, CONTENT[::-1]
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT[::-1]


def test_a_file_that_shrank_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    part_of(tmp_path / "a.zip", server.url, 150_000)
    server.files["/a.zip"] = CONTENT[:1000]
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT[:1000]


def test_a_server_that_states_no_length_is_read_to_its_end(server: Server, tmp_path: Path) -> None:
    server.length = False
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_server_without_range_sends_all_again(server: Server, tmp_path: Path) -> None:
    part_of(tmp_path / "a.zip", server.url, 150_000)
    server.ranges = False
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_without_a_sure_sign_that_the_file_is_the_same_it_begins_again(
    server: Server, tmp_path: Path, tag: str | None
) -> None:
    server.tag, server.cut = tag, 100_000
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert all("Range" not in request for request in server.requests)


def test_a_part_of_another_address_or_without_notes_is_not_continued(server: Server, tmp_path: Path) -> None:
    part_of(tmp_path / "a.zip", "http://elsewhere/a.zip", 150_000)
    part_of(tmp_path / "b.zip", server.url, 150_000)
    (tmp_path / "b.zip.part.json").write_text("{")
    for name in ("a.zip", "b.zip"):
        fetch(server.url, tmp_path / name, patience=QUICK)
        assert (tmp_path / name).read_bytes() == CONTENT
    assert all("Range" not in request for request in server.requests)


def test_a_wrong_checksum_is_an_error_and_the_part_is_deleted(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"a\.zip: the MD5 of what came is [0-9a-f]{32}, but 00 was published\. It was del"
    ):
        fetch(server.url, tmp_path / "a.zip", "md5:00", patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_was_corrupted_on_disk_is_found_by_its_checksum(server: Server, tmp_path: Path) -> None:
    part_of(tmp_path / "a.zip", server.url, 150_000)
    (tmp_path / "a.zip.part").write_bytes(bytes(150_000))
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    with pytest.raises(DataError, match="the MD5 of what came is"):
        fetch(server.url, tmp_path / "a.zip", checksum, patience=QUICK)
    fetch(server.url, tmp_path / "a.zip", checksum, patience=QUICK)


def test_another_size_than_the_published_one_is_an_error_before_it_is_fetched(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the file has 204800 bytes, but 5 were published; it was changed"):
        fetch(server.url, tmp_path / "a.zip", size=5, patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_is_not_there_is_a_plain_answer(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"/b\.zip: the server answers 404 \(Not Found\)\. The corpus may have moved: look"
    ):
        fetch(server.url.replace("a.zip", "b.zip"), tmp_path / "b.zip", patience=QUICK)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again_and_then_named(server: Server, tmp_path: Path) -> None:
    server.status = [503]
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    server.status = [503, 503]
    with pytest.raises(DataError, match=r"the server answers 503 .*; 0\.0 MB are kept .*\. Run the same command again"):
        fetch(server.url, tmp_path / "b.zip", patience=QUICK)


def test_a_silent_server_is_given_up(server: Server, tmp_path: Path) -> None:
    server.silent = True
    with pytest.raises(
        DataError, match=r"the connection failed \(.*timed out\); 0\.0 MB are kept in '.*a\.zip\.part'\. Run"
    ):
        fetch(server.url, tmp_path / "a.zip", patience=Patience(timeout=0.1, tries=2, pause=0))


def test_what_came_before_the_server_fell_silent_is_kept(server: Server, tmp_path: Path) -> None:
    server.cut = 150_000
    with pytest.raises(DataError, match=r"the connection ended after 150000 of 204800 bytes; 0\.1 MB are kept|0\.2 MB"):
        fetch(server.url, tmp_path / "a.zip", patience=Patience(timeout=0.5, tries=1, pause=0))
    fetch(server.url, tmp_path / "a.zip", patience=QUICK)
    assert server.requests[1]["Range"] == "bytes=150000-"


def test_nobody_who_answers_is_a_plain_answer(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"http://127\.0\.0\.1:9/a\.zip: the connection failed \(.*\); 0\.0 MB are kept"
    ):
        fetch("http://127.0.0.1:9/a.zip", tmp_path / "a.zip", patience=QUICK)


def test_only_web_addresses_are_fetched(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'file:///etc/passwd' is not an address that begins with http:// or https://"):
        fetch("file:///etc/passwd", tmp_path / "a.zip")


def test_a_full_disk_is_told_before_it_is_full(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DataError, match=r"has 0\.0 GB free, but 0\.0 GB are needed; make room"):
        fetch(server.url, tmp_path / "a.zip", patience=QUICK)


def test_a_disk_that_fills_up_meanwhile_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "a.zip.part").symlink_to("/dev/full")
    monkeypatch.setattr(module, "_BLOCK", 1 << 14)
    with pytest.raises(DataError, match=r"'.*a\.zip\.part': cannot be written \(No space left on device\); make room"):
        fetch(server.url, tmp_path / "a.zip", patience=QUICK)


def test_a_checksum_is_that_of_hashlib(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    assert checksum_of(tmp_path / "a", "sha256") == hashlib.sha256(CONTENT).hexdigest()


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
