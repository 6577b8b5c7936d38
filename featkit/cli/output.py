"""Standard output, which says of itself that it cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from featkit.errors import FeatkitError


class OutputError(FeatkitError, OSError):
    """Standard output that cannot be written: its disk is full, its terminal gone."""


class Output:
    """A stream as it is, but for its errors: they say what could not be written, where Python's name no file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As that of the stream."""
        with self._told():
            return self._stream.write(text)

    def flush(self) -> None:
        """As that of the stream."""
        with self._told():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def settle(self) -> None:
        """Drop what could not be written: Python tries once more when it ends, and would tell of that, too."""
        try:
            self._stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # the reader of a pipe has had enough: nothing is wrong
            raise
        except OSError as error:
            raise OutputError(f"standard output could not be written ({error.strerror}).") from None
