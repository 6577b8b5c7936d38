"""Bodies: too large, too slow, too many, damaged; and names that are only told back."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speaking import form, running, wav

from featkit.serve import Limits
from featkit.serve.refusals import RequestError
from featkit.serve.uploads import files_of, plain_name

HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def test_a_declared_two_gigabytes_are_refused_before_a_byte_is_read() -> None:
    with running() as served:
        answer = served.raw(HEAD + b"Content-Length: 2000000000\r\n\r\n")
    assert answer.refused(413, "too_large") == "The request is larger than allowed; the most is 32 MB."


def test_whoever_asks_before_sending_is_not_told_to_go_on() -> None:
    with running() as served:
        served.raw(HEAD + b"Expect: 100-continue\r\nContent-Length: 2000000000\r\n\r\n").refused(413, "too_large")


def test_two_gigabytes_in_chunks_are_refused_once_they_are_too_many() -> None:
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with running(Limits(max_bytes=300_000)) as served:
        served.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 6).refused(413, "too_large")


def test_exactly_as_many_bytes_as_are_allowed_are_allowed() -> None:
    content = wav()
    with running(Limits(max_bytes=len(content))) as served:
        assert served.ask("/predict", content).status == 200
        served.ask("/predict", content + b"\0").refused(413, "too_large")


@pytest.mark.parametrize(("sent", "told"), [(1000, "1000 bytes in 0 s"), (1, "1 byte in 0 s")])
def test_a_body_that_stops_half_way_is_refused_and_the_line_is_closed(sent: int, told: str) -> None:
    content = wav()
    with running(Limits(idle=0.3)) as served:
        start = time.monotonic()
        answer = served.raw(HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode() + content[:sent])
        assert told in answer.refused(408, "slow")
        assert time.monotonic() - start < 3


def test_a_body_that_trickles_is_refused_although_it_never_stops() -> None:
    import socket

    with running(Limits(idle=0.3)) as served, socket.create_connection(("127.0.0.1", served.port)) as line:
        line.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        line.settimeout(0.05)
        answer = b""
        for _ in range(100):
            line.sendall(b"x")
            try:
                answer += line.recv(4096)
            except TimeoutError:
                continue
            break
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_compressed_body_is_refused() -> None:
    with running() as served:
        served.ask("/predict", wav(), headers={"content-encoding": "gzip"}).refused(415, "compressed")


def test_more_files_than_allowed_are_refused() -> None:
    with running(Limits(max_files=2)) as served:
        reason = served.form("/batch", [("a", b"1")] * 3).refused(413, "too_many")
    assert reason == "The form holds more files than allowed; the most is 2."


def test_a_form_of_endless_small_parts_is_refused_early() -> None:
    field = b'--x0x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    with pytest.raises(RequestError, match=r"The form has too many parts."):
        files_of(field * 1000, "multipart/form-data; boundary=x0x", 3)


def test_what_looks_like_a_boundary_all_along_does_not_take_long() -> None:
    content = b"\r\n--x0" * 300_000
    start = time.monotonic()
    assert files_of(form([("a", content)]), "multipart/form-data; boundary=x0x", 1) == [("a", content)]
    assert time.monotonic() - start < 10


def test_fields_that_are_no_files_are_passed_over() -> None:
    field = b'--x0x\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n'
    body = field + form([("one.wav", b"content")])
    assert files_of(body, "multipart/form-data; boundary=x0x", 1) == [("one.wav", b"content")]


def test_any_other_type_is_one_raw_file() -> None:
    for kind in ("", "audio/wav", "text/plain", "application/x-www-form-urlencoded"):
        assert files_of(b"abc", kind, 1) == [("", b"abc")]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.wav", "a.wav"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.wav", "a.wav"),
        ("Größe 名前.wav", "Größe 名前.wav"),
        ("a\0b\x1b[31m.wav", "a b [31m.wav"),
        ("turned \u202e round.wav", "turned   round.wav"),
        ("x" * 300, "x" * 120),
        ("", ""),
    ],
)
def test_a_name_is_told_back_without_folders_and_control_characters(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.text(st.characters(codec="latin-1"), max_size=40))
def test_no_form_whatever_its_bytes_does_more_than_be_refused(body: bytes, boundary: str) -> None:
    for content in (body, form([("a", body)]), form([("a", body)])[:-9] + body):
        for kind in ("multipart/form-data; boundary=x0x", f"multipart/form-data; boundary={boundary}"):
            with suppress(RequestError):
                assert isinstance(files_of(content, kind, 3), list)
