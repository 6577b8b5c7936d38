"""The Python in README and docs runs as it stands, the commands of the site's own pages too, on synthetic speech."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import click
import pytest
import soundfile
import speech
import yaml
from click.testing import CliRunner

from featkit.cli import cli
from featkit.datasets.synthetic import Synthetic, synthesise

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
WITH_COMMANDS = ("quickstart.md", "tutorial.md", "own-corpus.md", "plugins.md", "choosing.md")
"""Pages whose commands run, but for those with a title: it tells what they need that is not here."""
CHINESE = DOCS / "tutorial.zh.md"

ELSEWHERE = re.compile(r'<(?:link|script|img|iframe)[^>]*(?:href|src)="?(https?://[^" >]*)')
ASSIGNMENT = re.compile(r"^[A-Z]+=.*\n", re.MULTILINE)


class Block(NamedTuple):
    language: str
    title: str
    code: str


def blocks(page: Path) -> list[Block]:
    """What stands between fences that are not indented."""
    fenced = r'^```(\w*)(?: title="([^"]*)")?\n(.*?)^```$'
    return [Block(*found) for found in re.findall(fenced, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)]


def runs(page: Path) -> list[Block]:
    """The Python of a page and, where its commands run, these, in the order of the page."""
    if page == CHINESE:
        return []  # the same as those of the English page
    languages = ("python", "bash") if page.name in WITH_COMMANDS else ("python",)
    return [block for block in blocks(page) if block.language in languages and not block.title]


def test_the_readme_and_these_pages_hold_python() -> None:
    holding = {page.name for page in PAGES if any(block.language == "python" for block in runs(page))}
    assert holding >= {"README.md", "evaluation.md", "features.md", "models.md", "training.md", "tutorial.md"}
    assert holding >= {"quickstart.md", "own-corpus.md", "plugins.md"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with clip.wav, manifest.csv, and recordings/ with a folder for each emotion."""
    monkeypatch.chdir(tmp_path)
    for home in ("featkit.corpus", "featkit.datasets"):  # the importer first, or it would keep the replacement
        monkeypatch.setattr(f"{home}.open_dataset", lambda spec: Synthetic(tmp_path / "c", n_speakers=3, n_sentences=1))
    soundfile.write("clip.wav", synthesise("anger", 0, 0, 0), 16_000)
    speech.write_manifest(tmp_path).rename("manifest.csv")
    for i, (label, speaker) in enumerate(zip(speech.speech().labels, speech.speech().speakers, strict=True)):
        copy = Path("recordings", label, f"{speaker}_{i}.wav")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"{i:02d}.wav", copy)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)], ids=lambda page: page.name)
def test_what_a_page_shows_runs(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {}
    said = ""
    for block in runs(page):
        if block.language == "python":
            exec(compile(block.code, str(page), "exec"), names)
        else:
            code = block.code.replace("DATA=synthetic", "DATA=manifest.csv")
            run_commands(said + code)
            said += "".join(ASSIGNMENT.findall(code))


def run_commands(code: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", code],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


def test_a_command_that_fails_fails_its_page(folder: Path) -> None:
    with pytest.raises(AssertionError, match="does-not-exist"):
        run_commands("featkit predict does-not-exist.onnx clip.wav\ntrue\n")


def test_the_manifest_of_the_quickstart_is_enough_as_it_stands(folder: Path) -> None:
    (manifest,) = (block.code for block in blocks(DOCS / "quickstart.md") if block.language == "csv")
    Path("typed.csv").write_text(manifest, encoding="utf-8")
    rows = list(csv.DictReader(manifest.splitlines()))
    speakers = sorted({row["speaker"] for row in rows})
    for row in rows:
        soundfile.write(row["file"], synthesise(row["label"], speakers.index(row["speaker"]), 0, 0), 16_000)
    run_commands("featkit audit --data typed.csv --cv loso\nfeatkit evaluate --data typed.csv\n")


def uncommented(page: Path) -> list[tuple[str, str]]:
    """Language and code of each block, without the comments, which are in the language of the page."""
    return [(block.language, re.sub(r"\s+# .*", "", block.code)) for block in blocks(page)]


def test_the_chinese_tutorial_has_the_code_of_the_english_one() -> None:
    assert uncommented(CHINESE) == uncommented(DOCS / "tutorial.md")


def test_the_plug_in_of_the_page_is_the_one_in_examples() -> None:
    shown = {block.code for block in blocks(DOCS / "plugins.md")}
    assert shown >= {path.read_text() for path in (ROOT / "examples" / "plugin").iterdir() if path.is_file()}


def figures(text: str) -> set[str]:
    """Cells of tables that hold digits."""
    cells = [cell.strip() for line in text.splitlines() if line.startswith("| ") for cell in line.split("|")]
    return {cell.replace("\u2009", "").replace(" ", "") for cell in cells if re.search(r"\d", cell)}


@pytest.mark.parametrize(("page", "sources"), [("choosing.md", ["docs/scores.md"])])
def test_figures_in_tables_stand_where_they_were_measured(page: str, sources: list[str]) -> None:
    """`| 77.7 [72, 83] |` of a page is a cell of the page that holds the command."""
    measured = {cell for name in sources for cell in figures((ROOT / name).read_text(encoding="utf-8"))}
    scores = {cell for cell in figures((DOCS / page).read_text(encoding="utf-8")) if re.match(r"\d+\.\d+\[", cell)}
    assert len(scores) >= 4
    assert scores <= measured


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert [author["name"] for author in cited["authors"]] == [author["name"] for author in project["authors"]]


class Site(yaml.SafeLoader):
    """mkdocs.yml, whose functions of Python are passed over."""


Site.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def site() -> Any:
    return yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Site)


def leaves(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [leaf for part in (nav.values() if isinstance(nav, dict) else nav) for leaf in leaves(part)]


def test_every_page_is_in_the_navigation() -> None:
    assert sorted(leaves(site()["nav"])) == sorted(str(page.relative_to(DOCS).as_posix()) for page in PAGES[1:])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("重采样", ["重", "采", "样"]),
        ("采样率：16 kHz", ["采", "样", "率", "16", "kHz"]),
        ("n_mfcc=13", ["n_mfcc", "13"]),
        ("样", ["样"]),  # the search reads a query so, and takes what matches for the end of a word
    ],
)
def test_the_search_knows_chinese_characters_and_names_of_settings(text: str, words: list[str]) -> None:
    (search,) = (plugin["search"] for plugin in site()["plugins"] if "search" in plugin)
    assert re.split(search["separator"], text) == words
    assert search["lang"] == ["en", "zh"]


@pytest.fixture
def hooks() -> ModuleType:
    """docs/hooks.py, as mkdocs imports it."""
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_examples_in_the_help_of_commands_become_code(hooks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    every = [cli, *cli.commands.values()]
    for command in every:
        monkeypatch.setattr(command, "help", command.help)
    before = CliRunner().invoke(cli, ["predict", "--help"]).output
    hooks.on_config(None)
    assert "```text\nfeatkit predict model.onnx clip.wav\n" in str(cli.commands["predict"].help)
    assert not any("\b" in str(command.help) for command in every if isinstance(command, click.Command))
    assert "featkit predict model.onnx clip.wav" in before


@pytest.mark.parametrize(
    ("address", "expected"),
    [(None, "see `examples/plugin`."), ("https://x.org/f/", "see [`examples/plugin`](https://x.org/f/blob/main/examples/plugin).")],
)  # fmt: skip
def test_a_link_out_of_the_pages_leads_to_the_repository(hooks: ModuleType, address: str | None, expected: str) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="plugins.md"))
    config = SimpleNamespace(repo_url=address)
    assert hooks.on_page_markdown("see [a package](../examples/plugin).", page, config, None) == expected


def test_the_site_is_built_without_a_warning_and_takes_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(
            r'<(?:link|script|img|iframe)[^>]*(?:href|src)="?(https?://[^" >]*)', page.read_text("utf-8")
        )
        assert loaded == [], page
    told = (tmp_path / "reference" / "recognisers.html").read_text("utf-8")
    assert 'id="featkit.SERClassifier"' in told
    assert "featkit stream model.onnx" in (tmp_path / "reference" / "cli.html").read_text("utf-8")


def test_a_score_and_its_interval_stay_in_one_line(hooks: ModuleType) -> None:
    html = hooks.on_page_content("<td>77.7 [72, 83]</td><td>a [b]</td>", None, None, None)
    assert html == '<td><span class="figure">77.7 [72, 83]</span></td><td>a [b]</td>'
