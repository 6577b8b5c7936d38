"""One small corpus for all tests of benchmarks, and rows that are measured on it once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech import speech, write_manifest

from featkit.benchmark import Options, Protocol, Recipe, Row, measured
from featkit.corpus import Corpus

QUICK = Options()


def in_memory(name: str = "four voices", synthetic: bool = True) -> Corpus:
    """24 clips: 4 speakers say 2 sentences in 3 emotions."""
    waves, labels, speakers = speech()
    files = [f"{name}/{i:02d}.wav" for i in range(len(waves))]
    texts = np.array([str(i % 2) for i in range(len(waves))])
    return Corpus(name, files, list(waves), labels, speakers, texts, synthetic=synthetic)


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return in_memory()


@pytest.fixture(scope="session")
def row(corpus: Corpus) -> Row:
    """Not to be changed: all tests look at it."""
    return measured(corpus, [Recipe("mfcc39", "svm")], [Protocol()], QUICK)[0][0]


@pytest.fixture(scope="session")
def other(corpus: Corpus) -> Row:
    """The same data and protocol, another recipe."""
    return measured(corpus, [Recipe("mfcc39", "svm:kernel=linear,C=0.0001")], [Protocol()], QUICK)[0][0]


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus on disk."""
    return write_manifest(tmp_path_factory.mktemp("corpus"))
