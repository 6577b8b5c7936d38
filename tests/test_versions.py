"""Versions are told of what is installed, and of nothing else."""

from __future__ import annotations

import numpy as np

from featkit.versions import installed


def test_of_names_those_that_are_packages_have_a_version() -> None:
    found = installed(["soxr", "numpy", "no_such_package", "json", ""])
    assert list(found) == ["numpy", "soxr"]
    assert found["numpy"] == np.__version__
