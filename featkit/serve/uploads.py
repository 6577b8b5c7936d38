"""The body of a request → files in memory. Nothing is spooled to disk, as the usual form parsers do."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from featkit.serve.limits import Desk
from featkit.serve.refusals import RequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # else it warns of every byte of a damaged form

_FIELDS = 20
"""Parts of a form that are no files; they are passed over, but not for ever."""


class Upload(NamedTuple):
    """One file as it was sent. ``name`` is only told back, never used."""

    name: str
    content: bytes


@asynccontextmanager
async def body_of(request: Request, desk: Desk) -> AsyncIterator[bytes]:
    """The whole body, while it is needed.

    Raises
    ------
    RequestError
        413 larger than allowed, declared or not; 415 compressed; 408 too slow; 503 too many uploads at once.
    """
    held: list[bytes] = []
    try:
        await _receive(request, desk, held)
        held[:] = [b"".join(held)]
        yield held[0]
    finally:
        desk.give_back(_size(held))


def _size(held: list[bytes]) -> int:
    return sum(map(len, held))


async def _receive(request: Request, desk: Desk, held: list[bytes]) -> None:
    limits, chunks = desk.limits, request.stream()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(415, "compressed", "The body has a content encoding; send the file as it is.")
    if int(request.headers.get("content-length", 0)) > limits.max_bytes:  # the server lets only digits pass
        raise _too_large(limits.max_bytes)
    clock = asyncio.get_running_loop().time
    start, size = clock(), 0
    while True:
        # Two ways to be too slow: to send nothing, and to send a byte now and then.
        due = min(clock() + limits.idle, start + limits.idle + size / limits.min_rate)
        try:
            async with asyncio.timeout_at(due):
                chunk = await anext(chunks, None)
        except TimeoutError:
            came = f"{size} byte{'' if size == 1 else 's'} in {clock() - start:.0f} s"
            raise RequestError(408, "slow", f"The body did not arrive: {came}.") from None
        except ClientDisconnect:
            raise RequestError(400, "gone", "The client went away before the body was complete.") from None
        if chunk is None:
            return
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(limits.max_bytes)
        desk.take(len(chunk))
        held.append(chunk)


def _too_large(max_bytes: int) -> RequestError:
    return RequestError(413, "too_large", f"The request is larger than allowed; the most is {max_bytes / 1e6:.4g} MB.")


def files_of(body: bytes, content_type: str, max_files: int, advice: str = "") -> list[Upload]:
    """The files of a form, or the raw body as one file.

    Parameters
    ----------
    body
        The whole body.
    content_type
        The header; all but ``multipart/form-data`` mean one raw file.
    max_files
        More are refused.
    advice
        What to do with more, a sentence.

    Raises
    ------
    RequestError
        400: the form is damaged or holds no file; 413: too many files.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        return [Upload("", body)]
    form = _Form(max_files, advice)
    try:
        parser = MultipartParser(options.get(b"boundary", b""), form.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError:
        form.complete = False
    if not form.complete:
        raise RequestError(400, "bad_form", "The multipart form is damaged or cut off; send it again.")
    if not form.files:
        raise RequestError(400, "empty", "The form holds no file; send one as a part with a file name.")
    return form.files


class _Form:
    """Collects the parts that are files; other fields are passed over."""

    def __init__(self, max_files: int, advice: str) -> None:
        self.files: list[Upload] = []
        self.complete = False
        self._max_files, self._advice = max_files, advice
        self._parts = 0
        self._begin()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": self._part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._max_files + _FIELDS + 1:
            raise RequestError(413, "too_many", "The form has too many parts.")
        self._field, self._value, self._content = bytearray(), bytearray(), bytearray()
        self._name: str | None = None

    def _header(self) -> None:
        if self._field.lower() == b"content-disposition":
            options = parse_options_header(bytes(self._value))[1]
            if b"filename" in options:
                self._name = plain_name(options[b"filename"].decode("utf-8", "replace"))
        self._field, self._value = bytearray(), bytearray()

    def _part(self) -> None:
        if self._name is None:
            return
        if len(self.files) == self._max_files:
            reason = f"The form holds more files than allowed; the most is {self._max_files}."
            raise RequestError(413, "too_many", f"{reason} {self._advice}".rstrip())
        self.files.append(Upload(self._name, bytes(self._content)))

    def _end(self) -> None:
        self.complete = True


def plain_name(name: str) -> str:
    r"""A file's name as it may be told back: no folders, no control characters, not endless.

    Examples
    --------
    >>> plain_name("..\\..\\etc/passwd\n.wav")
    'passwd .wav'
    """
    return re.sub(r"[^ -~\u00a0-\u1fff\u2030-\ud7ff\uf900-\ufdff]", " ", re.split(r"[/\\]", name)[-1])[:120]
