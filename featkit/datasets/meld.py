"""MELD: utterances from a television series in seven emotions, in the splits of its makers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from featkit.datasets.base import AUDIO_SUFFIXES, Clip, Counts, Names, Published, Skipped, find_files
from featkit.datasets.tables import rows
from featkit.errors import DataError

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprise": "surprise",
}

_FOLDERS = {
    "train": "train", "train_splits": "train", "dev": "dev", "dev_splits_complete": "dev", "test": "test",
    "output_repeated_splits_test": "test",
}  # fmt: skip
_TABLES = {f"{part}_sent_emo.csv": part for part in ("train", "dev", "test")}
_NAME = re.compile(r"dia(\d+)_utt(\d+)")
_EXTRA = re.compile(r"final_videos_test.*")
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")


class Meld(Published):
    """Multimodal EmotionLines Dataset, from its video clips or from audio taken out of them.

    A clip's speaker is the name in the table, its text is what is said, its part is ``train``, ``dev`` or ``test``.
    The speakers of the three parts overlap: folds by part are no folds by speaker.

    Parameters
    ----------
    root
        Folder that holds the tables ``train_sent_emo.csv``, ``dev_sent_emo.csv`` and ``test_sent_emo.csv`` (or some of
        them) and, in a folder of each part, ``dia0_utt0.wav``. Tables and folders are found at any depth. Videos
        (``.mp4``) are read through ffmpeg, which is slow; take the audio out once:
        ``ffmpeg -i dia0_utt0.mp4 -vn -ac 1 -ar 16000 dia0_utt0.wav``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "dev").mkdir()
    ...     Path(folder, "dev", "dia0_utt1.wav").touch()
    ...     table = "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\\nWhat?,Monica,surprise,0,1\\n"
    ...     _ = Path(folder, "dev_sent_emo.csv").write_text(table)
    ...     clip = next(Meld(folder).clips())
    >>> clip.label, clip.speaker, clip.text, clip.part
    ('surprise', 'Monica', 'What?', 'dev')
    """

    name = "meld"
    title = "MELD"
    labels = tuple(EMOTIONS.values())
    label_map = EMOTIONS
    languages = ("en",)
    licence = "Annotations GPL-3.0; the clips are from a television series, whose rights are others'"
    citation = (
        "S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria, R. Mihalcea: MELD: A Multimodal Multi-Party Dataset "
        "for Emotion Recognition in Conversations. Proc. ACL 2019, pp. 527-536. https://doi.org/10.18653/v1/P19-1050"
    )
    url = "https://affective-meld.github.io"
    # Counted in the release's tables: 13 708 rows (9 989 train, 1 109 dev, 2 610 test), two of them without audio.
    expected_clips = 13706
    expected_speakers = 304
    expected_by_label: ClassVar[Counts] = {
        "anger": 1607, "disgust": 361, "fear": 358, "happiness": 2308, "neutral": 6434, "sadness": 1002,
        "surprise": 1636,
    }  # fmt: skip
    layout = (
        "train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv; train_splits/dia0_utt0.wav, "
        "dev_splits_complete/…, output_repeated_splits_test/… (or folders train, dev, test); .mp4 through ffmpeg"
    )
    quirks = (
        "train dia125_utt3 cannot be decoded and dev dia110_utt7 is not in the release; both are left out.",
        "Files final_videos_test* in the test folder are extras of the release, and ._* come from a Mac: passed over.",
        "Where a wav lies beside its mp4, the wav is read.",
        "The soundtrack has laughter and music; some clips last a fraction of a second, two some minutes.",
        "Speakers of the three parts overlap, and names such as All stand for several people.",
    )
    unusable: ClassVar[Names] = {
        "train dia125_utt3": "cannot be decoded in the release",
        "dev dia110_utt7": "not in the release",
    }
    access = (
        "MELD.Raw.tar.gz (video) at http://web.eecs.umich.edu/~mihalcea/downloads/MELD.Raw.tar.gz, tables at "
        "https://github.com/declare-lab/MELD/tree/master/data/MELD. Its video is others' property: fetch it yourself."
    )

    def entries(self) -> Iterator[Clip | Skipped]:
        """Yield a clip for every row of the tables, then recordings that they do not list."""
        self._check_root()
        files = find_files(self.root, (*AUDIO_SUFFIXES, ".csv"))
        recordings, others = self._recordings([path for path in files if path.suffix.lower() != ".csv"])
        if not any(path.name in _TABLES for path in files):
            raise DataError(
                f"{self.name}: no train_sent_emo.csv, dev_sent_emo.csv or test_sent_emo.csv was found below "
                f"'{self.root}'; the labels are in them. {self.access}"
            )
        yield from others
        for name, part in _TABLES.items():
            for table in (path for path in files if path.name == name):
                for number, row in rows(self.name, table, _COLUMNS):
                    yield self._entry(table, number, row, part, recordings)
        for (part, _), path in recordings.items():
            reason = f"'{path}' stands in no {part}_sent_emo.csv, so its emotion is not known. Move it elsewhere."
            yield Skipped(path, reason, "unexpected")

    def _entry(
        self, table: Path, number: int, row: dict[str, str], part: str, recordings: dict[tuple[str, str], Path]
    ) -> Clip | Skipped:
        """The clip of a row; its recording is taken out of ``recordings``."""
        stem = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
        if row["Emotion"] not in EMOTIONS or not row["Speaker"] or not _NAME.fullmatch(stem):
            reason = (
                f"line {number} of '{table}' has {row}; it needs numbers, a Speaker and an Emotion of "
                f"{', '.join(EMOTIONS)}. Take the table from the release."
            )
            return Skipped(table, reason, "unexpected")
        path = recordings.pop((part, stem), None)
        why = self.unusable.get(f"{part} {stem}")
        if why or path is None:
            reason = f"{part} {stem} is listed in '{table}', but not there or listed before"
            return Skipped(path or table.parent / part / stem, why or reason, "left out" if why else "missing")
        return Clip(path, EMOTIONS[row["Emotion"]], row["Speaker"], " ".join(row["Utterance"].split()), part)

    def _recordings(self, files: Sequence[Path]) -> tuple[dict[tuple[str, str], Path], list[Skipped]]:
        """Recordings by part and name, and files that are none."""
        found: dict[tuple[str, str], Path] = {}
        others: list[Skipped] = []
        for path in files:
            part = self._part(path)
            if _EXTRA.fullmatch(path.stem):
                others.append(Skipped(path, "an extra of the release"))
            elif part is None or not _NAME.fullmatch(path.stem):
                reason = f"'{path}' is not named diaN_uttN in a folder of train, dev or test. Move it elsewhere."
                others.append(Skipped(path, reason, "unexpected"))
            else:
                first = found.setdefault((part, path.stem), path)
                if first != path:  # sorted by path: .mp4 comes before .wav
                    found[part, path.stem] = path if first.suffix.lower() == ".mp4" else first
                    others.append(Skipped(first if first.suffix.lower() == ".mp4" else path, "beside its wav"))
        return found, others

    def _part(self, path: Path) -> str | None:
        """The part of the nearest folder that names one."""
        for folder in reversed(path.relative_to(self.root).parts[:-1]):
            if folder.lower() in _FOLDERS:
                return _FOLDERS[folder.lower()]
        return _FOLDERS.get(self.root.name.lower())
