"""nEMO: nine Polish actors speak ninety sentences in six emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from featkit.datasets.base import Archive, Clip, Counts, Published, Skipped, find_audio
from featkit.datasets.tables import rows
from featkit.errors import DataError

EMOTIONS = {
    "anger": "anger",
    "fear": "fear",
    "happiness": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprised": "surprise",
}

_COMMIT = "66de9999a8f2f605eb5f64841790aa5cb0877782"
_NAME = re.compile(rf"(?P<speaker>[A-Z]{{2}}\d)_(?P<emotion>{'|'.join(EMOTIONS)})_(?P<text>\d+)\.wav")
_COLUMNS = ("file_id", "emotion", "speaker_id")


class Nemo(Published):
    """Polish emotional speech. A clip's text is the number of its sentence.

    Parameters
    ----------
    root
        Folder that holds ``data.tsv`` and ``samples``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "samples").mkdir()
    ...     Path(folder, "samples", "WR0_surprised_64.wav").touch()
    ...     row = "file_id\\temotion\\tspeaker_id\\nWR0_surprised_64.wav\\tsurprised\\t        WR0\\n"
    ...     _ = Path(folder, "data.tsv").write_text(row)
    ...     clip = next(Nemo(folder).clips())
    >>> clip.label, clip.speaker, clip.text
    ('surprise', 'WR0', '64')
    """

    name = "nemo"
    title = "nEMO"
    labels = tuple(EMOTIONS.values())
    label_map = EMOTIONS
    languages = ("pl",)
    licence = "CC BY-NC-SA 4.0"
    citation = (
        "I. Christop: nEMO: Dataset of Emotional Speech in Polish. Proc. LREC-COLING 2024, pp. 12111-12116. "
        "https://aclanthology.org/2024.lrec-main.1059"
    )
    url = "https://github.com/amu-cai/nEMO"
    # Counted in the release's data.tsv.
    expected_clips = 4481
    expected_speakers = 9
    expected_by_label: ClassVar[Counts] = {
        "anger": 749, "fear": 736, "happiness": 749, "neutral": 809, "sadness": 769, "surprise": 669,
    }  # fmt: skip
    expected_by_speaker: ClassVar[Counts] = {
        "EB0": 539, "IC0": 540, "KD0": 540, "KS0": 540, "MK0": 450, "MP0": 256, "SM0": 538, "TP0": 539, "WR0": 539,
    }  # fmt: skip
    layout = "data.tsv with the columns file_id, emotion, speaker_id; samples/WR0_surprised_64.wav"
    quirks = ("data.tsv writes every speaker with eight blanks before the name; they are dropped.",)
    access = "Free download from GitHub."
    # GitHub's zip of the repository at the commit of May 2024; it is made when asked: no checksum can be known.
    archives = (
        Archive(
            f"https://github.com/amu-cai/nEMO/archive/{_COMMIT}.zip",
            "nemo.zip",
            members=r"/samples/|/data\.tsv$|/LICENSE",
        ),
    )

    def entries(self) -> Iterator[Clip | Skipped]:
        """Yield a clip for every row of data.tsv, then recordings that it does not list."""
        self._check_root()
        table = self._table()
        samples = table.parent / "samples"
        listed = set()
        for number, row in rows(self.name, table, _COLUMNS, separator="\t", quotes=False):
            entry = self._entry(table, number, row, samples)
            if entry.path.stem in listed:
                entry = Skipped(table, f"row {number} of '{table}' lists a file again. Drop the row.", "unexpected")
            listed.add(entry.path.stem)
            yield entry
        for path in find_audio(samples):
            if path.stem not in listed:
                reason = f"'{path}' is not listed in '{table}', so its emotion is not known. Move it elsewhere."
                yield Skipped(path, reason, "unexpected")

    def _entry(self, table: Path, number: int, row: dict[str, str], samples: Path) -> Clip | Skipped:
        name = _NAME.fullmatch(row["file_id"])
        if name is None or (name["emotion"], name["speaker"]) != (row["emotion"], row["speaker_id"]):
            reason = (
                f"row {number} of '{table}' has {row}; file_id should be SPEAKER_EMOTION_NUMBER.wav with the row's own "
                "speaker and emotion. Take the table from the release."
            )
            return Skipped(samples / row["file_id"], reason, "unexpected")
        path = self._recording(samples / name[0])
        if path is None:
            return Skipped(samples / name[0], "listed in data.tsv, but not there", "missing")
        return Clip(path, EMOTIONS[name["emotion"]], name["speaker"], name["text"])

    def _recording(self, wav: Path) -> Path | None:
        """The wav, or a copy of it that was packed without loss."""
        return next((path for path in (wav, wav.with_suffix(".flac")) if path.is_file()), None)

    def _table(self) -> Path:
        tables = [self.root / "data.tsv", *sorted(self.root.glob("*/data.tsv"))]
        for table in tables:
            if table.is_file():
                return table
        raise DataError(f"{self.name}: there is no data.tsv in '{self.root}'; name the folder that holds it.")
