"""ESD: ten Mandarin and ten English speakers say the same 350 sentences of their language in five emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from featkit.datasets.base import Clip, Counts, NamedFiles, Skipped

EMOTIONS = {
    "Neutral": "neutral",
    "Angry": "anger",
    "Happy": "happiness",
    "Sad": "sadness",
    "Surprise": "surprise",
}
MANDARIN = {"中立": "Neutral", "生气": "Angry", "快乐": "Happy", "伤心": "Sad", "惊喜": "Surprise"}

_SENTENCES = 350  # a speaker's files 1 to 350 are neutral, 351 to 700 angry and so on, the sentences in one order
_PARTS = ("train", "evaluation", "test")
_FOLDERS = {word.lower(): word for word in EMOTIONS}


class Esd(NamedFiles):
    """Emotional Speech Dataset. A clip's text is language and number of its sentence, such as ``en017``.

    The emotion is that of the folder; where the files of a speaker lie in one folder, that of the speaker's
    transcript. A number that belongs to another emotion is an error.

    Parameters
    ----------
    root
        Folder that holds ``0001`` to ``0020``, or some of them, with the sub-folders ``train``, ``evaluation`` and
        ``test`` of each emotion (a clip's ``part``) or without.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     place = Path(folder, "0011", "Angry", "train")
    ...     place.mkdir(parents=True)
    ...     Path(place, "0011_000367.wav").touch()
    ...     clip = next(Esd(folder).clips())
    >>> clip.label, clip.speaker, clip.text, clip.part
    ('anger', '0011', 'en017', 'train')
    """

    name = "esd"
    title = "ESD"
    labels = tuple(EMOTIONS.values())
    label_map = EMOTIONS
    languages: ClassVar[tuple[str, ...]] = ("en", "zh")
    licence = "Free for research on a signed licence"
    citation = (
        "K. Zhou, B. Sisman, R. Liu, H. Li: Emotional voice conversion: Theory, databases and ESD. Speech "
        "Communication 137, 2022, pp. 1-18. https://doi.org/10.1016/j.specom.2021.11.006"
    )
    url = "https://github.com/HLTSingapore/Emotional-Speech-Data"
    expected_clips = 35_000
    expected_speakers = 20
    expected_by_label: ClassVar[Counts] = dict.fromkeys(EMOTIONS.values(), 7000)
    expected_by_speaker: ClassVar[Counts] = {f"{speaker:04d}": 1750 for speaker in range(1, 21)}
    layout = (
        "0001/Angry/train/0001_000351.wav, or without train, evaluation, test; 0001/0001.txt: name, sentence, emotion"
    )
    quirks: ClassVar[tuple[str, ...]] = (
        "Transcripts are in UTF-8, UTF-16 or GB 2312 by speaker, with blanks (also full-width ones) at ends of cells.",
        "Some lines of transcripts lack a tab; they are named by featkit data check and cost nothing.",
        "Speakers 0001-0010 speak Mandarin, 0011-0020 English: esd_mandarin and esd_english read one of them.",
    )
    access = "Sign the licence that the README links and mail it to the authors; it also links the archive."

    pattern = re.compile(r"(00(?:0[1-9]|1\d|20))_(000[0-9]{3}|001[0-9]{3})", re.ASCII)
    scheme = "SSSS_NNNNNN: speaker 0001 to 0020, number 000001 to 001750"
    _speakers: ClassVar[range] = range(1, 21)

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._transcripts: dict[Path, tuple[dict[str, str], list[int]]] = {}

    def entries(self) -> Iterator[Clip | Skipped]:
        """Yield what every audio file is, then lines of transcripts that cannot be read or contradict a folder."""
        labels: dict[str, str] = {}
        for entry in super().entries():
            if isinstance(entry, Clip):
                labels[entry.path.stem] = entry.label
            yield entry
        for path in sorted(self.root.rglob("00[012][0-9].txt")):
            if int(path.stem) not in self._speakers:
                continue
            emotions, broken = self._transcript(path)
            for line in broken:
                yield Skipped(path, f"line {line} of {path.name} is not name TAB sentence TAB emotion")
            for name, emotion in emotions.items():
                if labels.get(name, EMOTIONS[emotion]) != EMOTIONS[emotion]:
                    yield Skipped(path, f"{name} is {emotion} in the transcript and lies in another folder")

    def entry(self, path: Path, match: re.Match[str]) -> Clip | Skipped:
        """A clip, or what contradicts itself."""
        speaker, number = int(match[1]), int(match[2])
        if speaker not in self._speakers:
            return Skipped(path, "the other language")
        folders = [part.lower() for part in path.relative_to(self.root).parts[:-1]]
        emotion = next((_FOLDERS[part] for part in reversed(folders) if part in _FOLDERS), None)
        emotion = emotion or self._transcript(path.parent / f"{match[1]}.txt")[0].get(path.stem)
        if emotion is None:
            reason = f"'{path}' is in no folder {', '.join(EMOTIONS)}, nor in a transcript {match[1]}.txt beside it."
            return Skipped(path, reason, "unexpected")
        block, sentence = divmod(number - 1, _SENTENCES)
        if block != list(EMOTIONS).index(emotion):
            low = 1 + _SENTENCES * list(EMOTIONS).index(emotion)
            reason = f"'{path}' should be {emotion}, but that has the numbers {low} to {low + _SENTENCES - 1}. Move it."
            return Skipped(path, reason, "unexpected")
        part = next((part for part in reversed(folders) if part in _PARTS), None)
        text = f"{'zh' if speaker <= 10 else 'en'}{sentence + 1:03d}"
        return Clip(path, EMOTIONS[emotion], match[1], text, part)

    def _transcript(self, path: Path) -> tuple[dict[str, str], list[int]]:
        """As `read_transcript`, but read once; nothing where there is none."""
        if path not in self._transcripts:
            self._transcripts[path] = read_transcript(path) if path.is_file() else ({}, [])
        return self._transcripts[path]


class EsdEnglish(Esd):
    """ESD: its ten English speakers.

    Parameters
    ----------
    root
        Folder that holds ``0011`` to ``0020``; the others are passed over.

    Examples
    --------
    >>> EsdEnglish("ESD").expected_clips
    17500
    """

    name = "esd_english"
    title = "ESD, English"
    languages = ("en",)
    expected_clips = 17_500
    expected_speakers = 10
    expected_by_label: ClassVar[Counts] = dict.fromkeys(EMOTIONS.values(), 3500)
    expected_by_speaker: ClassVar[Counts] = {f"{speaker:04d}": 1750 for speaker in range(11, 21)}
    _speakers = range(11, 21)


class EsdMandarin(Esd):
    """ESD: its ten Mandarin speakers.

    Parameters
    ----------
    root
        Folder that holds ``0001`` to ``0010``; the others are passed over.

    Examples
    --------
    >>> EsdMandarin("ESD").languages
    ('zh',)
    """

    name = "esd_mandarin"
    title = "ESD, Mandarin"
    languages = ("zh",)
    expected_clips = 17_500
    expected_speakers = 10
    expected_by_label: ClassVar[Counts] = dict.fromkeys(EMOTIONS.values(), 3500)
    expected_by_speaker: ClassVar[Counts] = {f"{speaker:04d}": 1750 for speaker in range(1, 11)}
    _speakers = range(1, 11)


def read_transcript(path: Path) -> tuple[dict[str, str], list[int]]:
    """Emotions (``Neutral``, ``Angry`` …) by name of the clip, and the numbers of lines that cannot be read.

    The encoding is found by trying: a byte order mark, then UTF-8, then GB 18030 (of which GB 2312 is a part), then
    Latin-1, in which every file can be read; names and English emotions are ASCII in all of them.
    """
    emotions: dict[str, str] = {}
    broken: list[int] = []
    for number, line in enumerate(_decoded(path.read_bytes()).splitlines(), 1):
        cells = [cell.strip() for cell in line.replace("\ufeff", "").split("\t")]  # strip knows full-width blanks
        if not any(cells):
            continue
        emotion = MANDARIN.get(cells[-1], cells[-1].title())
        if len(cells) != 3 or emotion not in EMOTIONS:
            broken.append(number)
        else:
            emotions[cells[0]] = emotion
    return emotions, broken


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")
