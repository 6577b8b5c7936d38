"""What every corpus must keep: common names of emotions, counts that agree with each other, words about itself."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from recordings import published

from featkit.datasets.base import EMOTIONS, Archive, Clip, Dataset, Published
from featkit.datasets.describe import corpora
from featkit.errors import DataError

NAMES = {
    "cremad", "cremad_voted", "emodb", "emovo", "esd", "esd_english", "esd_mandarin", "iemocap", "iemocap6", "meld",
    "nemo", "ravdess", "ravdess_song", "savee", "tess",
}  # fmt: skip


def of(corpus: type[Dataset]) -> str:
    return corpus.name


def test_the_corpora_of_the_literature_are_all_there() -> None:
    assert {corpus.name for corpus in published()} == NAMES


@pytest.mark.parametrize("corpus", corpora(), ids=of)
def test_a_corpus_uses_only_the_common_names(corpus: type[Dataset]) -> None:
    assert set(corpus.labels or ()) <= set(EMOTIONS)
    assert set(corpus.expected_by_label) <= set(corpus.labels or ())


@pytest.mark.parametrize("corpus", published(), ids=of)
def test_the_label_map_leads_to_the_labels(corpus: type[Dataset]) -> None:
    assert set(corpus.label_map.values()) == set(corpus.labels or ())


@pytest.mark.parametrize("corpus", published(), ids=of)
def test_the_expected_counts_agree(corpus: type[Dataset]) -> None:
    assert corpus.expected_clips == sum(corpus.expected_by_label.values())
    assert set(corpus.expected_by_label) == set(corpus.labels or ())
    if corpus.expected_by_speaker:
        assert corpus.expected_clips == sum(corpus.expected_by_speaker.values())
        assert corpus.expected_speakers == len(corpus.expected_by_speaker)


@pytest.mark.parametrize("corpus", published(), ids=of)
def test_a_corpus_says_what_it_is_and_where_it_is_had(corpus: type[Dataset]) -> None:
    for words in (corpus.licence, corpus.citation, corpus.url, corpus.layout, corpus.access, *corpus.quirks):
        assert words
    assert corpus.languages
    assert corpus.url.startswith("http")
    assert "Examples" in inspect.getdoc(corpus)


@pytest.mark.parametrize("corpus", published(), ids=of)
def test_archives_are_fetched_over_http_and_checked_where_a_checksum_is_published(corpus: type[Dataset]) -> None:
    for archive in corpus.archives:
        assert archive.url.startswith(("https://", "http://emodb"))
        assert archive.name.endswith(".zip")
        if archive.checksum:
            algorithm, _, digest = archive.checksum.partition(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[algorithm]


@pytest.mark.parametrize("corpus", published(), ids=of)
def test_a_folder_that_does_not_exist_or_is_a_file_is_an_error(corpus: type[Dataset], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root, state in ((tmp_path / "nowhere", "does not exist"), (tmp_path / "file", "is a file, not a folder")):
        with pytest.raises(
            DataError, match=f"{corpus.name}: '.*' {state}; name the folder of the {corpus.title} corpus"
        ):
            next(corpus(root).clips())


@pytest.mark.parametrize("corpus", published(), ids=of)
def test_another_corpus_is_an_error_and_never_labelled(corpus: type[Dataset], tmp_path: Path) -> None:
    (tmp_path / "happy.wav").touch()
    with pytest.raises(DataError, match=f"{corpus.name}: "):
        next(corpus(tmp_path).clips())


def test_a_corpus_of_ones_own_needs_only_clips() -> None:
    class Own(Dataset):
        name, title, labels, licence, citation, url = "own", "own", ("anger",), "mine", "", ""

        def clips(self):
            yield Clip(self.root / "1.wav", "anger")

    assert list(Own("x").entries()) == list(Own("x").clips()) == [Clip(Path("x/1.wav"), "anger")]
    assert Own.archives == ()


def test_a_corpus_without_any_clip_says_what_was_there_instead(tmp_path: Path) -> None:
    class Nothing(Published):
        name, title, labels, licence, citation, url = "nothing", "Nothing", (), "", "", ""

        def entries(self):
            yield from ()

    with pytest.raises(DataError, match=r"nothing: '.*' holds no clip of Nothing\.$"):
        next(Nothing(tmp_path).clips())


def test_an_archive_of_which_nothing_is_published_is_one_address_and_a_name() -> None:
    archive = Archive("https://example.org/a.zip", "a.zip")
    assert (archive.size, archive.checksum, archive.members, archive.lfs) == (None, None, "", "")
