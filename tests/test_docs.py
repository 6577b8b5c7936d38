"""The Python in README and docs runs as it stands, on synthetic speech where it names a corpus."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import soundfile

from featkit.datasets.synthetic import Synthetic, synthesise

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_readme_and_these_pages_hold_python() -> None:
    holding = {page.name for page in PAGES if blocks(page)}
    assert holding >= {"README.md", "evaluation.md", "features.md", "models.md", "training.md"}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for home in ("featkit.corpus", "featkit.datasets"):  # the importer first, or it would keep the replacement
        monkeypatch.setattr(f"{home}.open_dataset", lambda spec: Synthetic(tmp_path / "c", n_speakers=3, n_sentences=1))
    soundfile.write("clip.wav", synthesise("anger", 0, 0, 0), 16_000)
    names: dict[str, Any] = {}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []
