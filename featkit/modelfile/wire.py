"""The wire format of protobuf, read without a copy and without trust. A leaf: the standard library only.

A message is a list of fields: a tag (number and kind of the field) and a value. Source:
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

Value: TypeAlias = int | memoryview
"""A number as it is stored, or the bytes of a text, a message or a number of fixed size."""

_FIXED = {1: 8, 5: 4}  # bytes of a value, by the kind of its field
_LIST = 1000


class DamagedError(Exception):
    """Bytes that are no message."""


class Fields:
    """Reads messages and all that is inside them, up to a number of fields altogether."""

    def __init__(self, most: int) -> None:
        self._left = most

    def of(self, message: memoryview, skip: re.Pattern[bytes] | None = None) -> Iterator[tuple[int, Value]]:
        """Number and value of each field of a message; what ``skip`` matches is passed over."""
        at, end = 0, len(message)
        while at < end:
            if skip and (run := skip.match(message, at)):
                at = run.end()
                continue
            self._left -= 1
            if self._left < 0:
                raise DamagedError("it consists of millions of small parts")
            tag, at = _varint(message, at)
            if tag >> 32:  # other readers cut it to 32 bits, and see another field than this one
                raise DamagedError("a part has an impossible number")
            if tag & 7 == 0:
                number, at = _varint(message, at)
                yield tag >> 3, number
                continue
            size, at = _varint(message, at) if tag & 7 == 2 else (_FIXED.get(tag & 7, end), at)
            if tag < 8:
                raise DamagedError("a part has the number 0")
            if at + size > end:
                raise DamagedError(f"a part of {size} bytes stands where {max(end - at, 0)} are left")
            yield tag >> 3, message[at : at + size]
            at += size


def message(value: Value) -> memoryview:
    """A value that is a text or a message."""
    if isinstance(value, int):
        raise DamagedError("a number stands where a part should")
    return value


def numbers(value: Value) -> list[int]:
    """A value that is one whole number of 64 bits, or a short list of them."""
    if isinstance(value, int):
        return [value - 2**64 if value >= 2**63 else value]
    if len(value) > _LIST:
        raise DamagedError(f"a list of {len(value)} bytes stands where a short one should")
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found += numbers(number)
    return found


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of up to 64 bits, and where it ends: seven bits a byte, the lowest first."""
    number = 0
    for place, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at + place + 1
    raise DamagedError("it ends too early")
