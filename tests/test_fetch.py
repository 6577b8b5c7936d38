"""A file that breaks off is gone on with, two files are never glued together, and what came is what was published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fileserver import CONTENT, Server, served

from featkit import fetch as fetching
from featkit.errors import DataError
from featkit.fetch import Patience, checksum_of, fetch

QUICK = Patience(timeout=0.5, tries=2, pause=0)


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as state:
        yield state


def part_of(path: Path, url: str, n_bytes: int, tag: str | None = '"one"', total: int = len(CONTENT)) -> None:
    """What an interrupted download leaves."""
    path.with_name(path.name + ".part").write_bytes(CONTENT[:n_bytes])
    notes = {"url": url, "same": tag, "total": total}
    path.with_name(path.name + ".part.json").write_text(json.dumps(notes))


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if ".part" in path.name)


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
    url = server.url.replace("a.zip", "b.zip")
    with pytest.raises(DataError, match=r"/b\.zip: the server answers 404 \(Not Found\)\.$"):
        fetch(url, tmp_path / "b.zip", patience=QUICK)
    assert len(server.requests) == 1
    with pytest.raises(DataError, match=r"answers 404 \(Not Found\)\. Ask Mia\.$"):
        fetch(url, tmp_path / "b.zip", refused="Ask Mia.", patience=QUICK)


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
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DataError, match=r"has 0\.0 GB free, but 0\.0 GB are needed; make room"):
        fetch(server.url, tmp_path / "a.zip", patience=QUICK)


def test_a_disk_that_fills_up_meanwhile_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "a.zip.part").symlink_to("/dev/full")
    monkeypatch.setattr(fetching, "_BLOCK", 1 << 14)
    with pytest.raises(DataError, match=r"'.*a\.zip\.part': cannot be written \(No space left on device\); make room"):
        fetch(server.url, tmp_path / "a.zip", patience=QUICK)


def test_a_checksum_is_that_of_hashlib(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    assert checksum_of(tmp_path / "a", "sha256") == hashlib.sha256(CONTENT).hexdigest()
