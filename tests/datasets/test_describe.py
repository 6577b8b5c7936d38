"""Corpora in words: what the documentation says is what the code knows."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from recordings import published

from featkit import plugins
from featkit.datasets.describe import HEADER, corpora, details, overview
from featkit.datasets.ravdess import Ravdess
from featkit.datasets.savee import Savee
from featkit.tables import markdown

PAGE = Path(__file__).parents[2] / "docs" / "corpora.md"


def test_the_table_of_the_documentation_is_the_one_that_the_code_makes() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("<!-- table -->\n")[2].partition("\n<!-- end of table -->")[0]
    assert table == markdown([dict(zip(HEADER, row, strict=True)) for row in overview(published())])


@pytest.mark.parametrize("corpus", published(), ids=lambda corpus: corpus.name)
def test_every_corpus_stands_in_the_table_of_layouts(corpus: type) -> None:
    assert f"`{corpus.name}`" in PAGE.read_text(encoding="utf-8")


def test_a_row_tells_size_languages_licence_and_download() -> None:
    rows = overview([Ravdess, Savee])
    assert rows[0] == ("ravdess", "RAVDESS", "1440", "24", "en", "8", "CC BY-NC-SA 4.0", "yes")
    assert rows[1][-1] == "no"


def test_a_corpus_that_cannot_be_loaded_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "no_such_module:Corpus", "featkit.datasets")
    points = {**plugins.installed("datasets"), "broken": broken}
    monkeypatch.setattr(plugins, "installed", lambda kind: points)
    assert "broken" not in {corpus.name for corpus in corpora()}


def test_all_that_is_known_is_told() -> None:
    told = details(Ravdess)
    headings = [heading for heading, _ in told]
    assert headings.count("quirk") == len(Ravdess.quirks)
    text = "\n".join(text for _, text in told)
    for words in ("03 → happiness", "neutral 96", "md5:bc696df6", "208 MB", "PLoS ONE", "https://zenodo.org"):
        assert words in text
