"""Corpora in words: the table of the command line and of the documentation, and all that is known of one."""

from __future__ import annotations

from collections.abc import Sequence

from featkit import plugins
from featkit.datasets.base import Dataset
from featkit.errors import PluginError

HEADER = ("name", "corpus", "clips", "speakers", "languages", "emotions", "licence", "download")


def corpora() -> list[type[Dataset]]:
    """Classes of all installed corpora by name; one whose package is missing is passed over."""
    found = []
    for name in plugins.installed("datasets"):
        try:
            found.append(plugins.find("datasets", name))
        except PluginError:
            continue
    return found


def overview(chosen: Sequence[type[Dataset]]) -> list[tuple[str, ...]]:
    """A row for each corpus, in the columns of `HEADER`."""
    return [
        (
            corpus.name,
            corpus.title,
            _number(corpus.expected_clips),
            _number(corpus.expected_speakers),
            " ".join(corpus.languages) or "-",
            str(len(corpus.labels)) if corpus.labels else "-",
            corpus.licence,
            "yes" if corpus.archives else "no" if corpus.access else "-",
        )
        for corpus in chosen
    ]


def details(corpus: type[Dataset]) -> list[tuple[str, str]]:
    """Everything that is known of a corpus, as pairs of a heading and its text; one heading may come several times."""
    labels = [f"{label} {_number(corpus.expected_by_label.get(label))}" for label in corpus.labels or ()]
    archives = [
        f"{archive.url}{f' ({archive.size / 1e6:.0f} MB)' if archive.size else ''}, "
        f"{archive.checksum or 'no checksum published'}"
        for archive in corpus.archives
    ]
    pairs = [
        ("name", corpus.name),
        ("title", corpus.title),
        ("clips", _number(corpus.expected_clips)),
        ("speakers", _number(corpus.expected_speakers)),
        ("languages", ", ".join(corpus.languages)),
        ("emotions", ", ".join(labels) or "as the data say"),
        ("label map", ", ".join(f"{own} → {common}" for own, common in corpus.label_map.items())),
        ("licence", corpus.licence),
        ("citation", corpus.citation),
        ("page", corpus.url),
        ("on disk", corpus.layout),
        *(("quirk", quirk) for quirk in corpus.quirks),
        ("how to get", corpus.access),
        *(("download", archive) for archive in archives),
    ]
    return [(heading, text) for heading, text in pairs if text]


def _number(number: int | None) -> str:
    return "-" if number is None else str(number)
