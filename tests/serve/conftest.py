"""One server for all tests that only ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from speaking import Served, running


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    with running() as server:
        yield server
