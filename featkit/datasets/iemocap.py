"""IEMOCAP: ten actors in five dyadic sessions, improvised and scripted, in the classes that the field uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from featkit.datasets.base import Clip, Counts, Names, Published, Skipped, find_audio
from featkit.errors import DataError

EMOTIONS = {
    "ang": "anger",
    "hap": "happiness",
    "exc": "happiness",  # excitement
    "sad": "sadness",
    "neu": "neutral",
}

_OTHERS = {
    "fru": "frustration",
    "fea": "fear",
    "sur": "surprise",
    "dis": "disgust",
    "oth": "another emotion",
    "xxx": "no agreement between the listeners",
}

_LINE = re.compile(r"\[\s*[\d.]+ - [\d.]+\s*\]\t(?P<turn>\S+)\t(?P<label>[a-z]{3})\t\[.*\]\s*")
_TURN = re.compile(
    r"(?P<dialogue>(?P<session>Ses0[1-5])[FM]_(?P<text>(?P<kind>impro|script)\d\d(?:_\d)?)[a-z]?)_(?P<gender>[FM])\w{3}"
)


class _Rated(NamedTuple):
    """One line of an evaluation file: a turn and what most listeners called it."""

    turn: re.Match[str]
    label: str
    wav: Path


class Iemocap(Published):
    """Interactive Emotional Dyadic Motion Capture database: anger, happiness (with excitement), sadness, neutral.

    A clip's speaker is session and sex of the one who speaks (``Ses01F``); its part is ``Session1 improvised`` or
    ``Session1 scripted``; its text is the scene (``impro01``, ``script01_1``), as several pairs of actors play the
    same one. Turns with another label, or on which the listeners did not agree, are left out.

    Parameters
    ----------
    root
        Folder that holds ``Session1`` to ``Session5``, or some of them.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     session = Path(folder, "Session1")
    ...     wav = session / "sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav"
    ...     table = session / "dialog/EmoEvaluation/Ses01F_impro01.txt"
    ...     wav.parent.mkdir(parents=True), table.parent.mkdir(parents=True), wav.touch()
    ...     line = "[6.29 - 8.23]\\tSes01F_impro01_M003\\texc\\t[2.5, 2.5, 2.5]\\n"
    ...     _ = table.write_text(line)
    ...     clip = next(Iemocap(folder).clips())
    (None, None, None)
    >>> clip.label, clip.speaker, clip.text, clip.part
    ('happiness', 'Ses01M', 'impro01', 'Session1 improvised')
    """

    name = "iemocap"
    title = "IEMOCAP, 4 classes"
    labels: ClassVar[tuple[str, ...]] = ("anger", "happiness", "sadness", "neutral")
    label_map: ClassVar[Names] = EMOTIONS
    languages = ("en",)
    licence = "Free for research on signed request; not to be passed on"
    citation = (
        "C. Busso, M. Bulut, C.-C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. N. Chang, S. Lee, S. S. Narayanan: "
        "IEMOCAP: interactive emotional dyadic motion capture database. Language Resources and Evaluation 42, 2008, "
        "pp. 335-359. "
        "https://doi.org/10.1007/s10579-008-9076-6"
    )
    url = "https://sail.usc.edu/iemocap/"
    # 10 039 turns: neu 1708, ang 1103, sad 1084, exc 1041, hap 595; fru 1849, sur 107, fea 40, oth 3, dis 2, xxx 2507.
    expected_clips = 5531
    expected_speakers = 10
    expected_by_label: ClassVar[Counts] = {"anger": 1103, "happiness": 1636, "sadness": 1084, "neutral": 1708}
    expected_by_speaker: ClassVar[Counts] = {
        "Ses01F": 528, "Ses01M": 557, "Ses02F": 481, "Ses02M": 542, "Ses03F": 522, "Ses03M": 629, "Ses04F": 528,
        "Ses04M": 503, "Ses05F": 590, "Ses05M": 651,
    }  # fmt: skip
    layout = (
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt with the labels; "
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    )
    quirks: ClassVar[tuple[str, ...]] = (
        "Turns labelled xxx (no agreement) or with an emotion outside the classes are left out and counted.",
        "Ses01F in a file's name is the actor with the markers; who speaks is the letter before the number.",
        "Hidden files (._Ses01F_impro01.txt) and the folders below EmoEvaluation are passed over.",
        "Papers differ in their classes; these are all turns of both kinds, 5 531.",
    )
    access = "Fill in the release form at https://sail.usc.edu/iemocap/iemocap_release.htm; they mail a link."

    def entries(self) -> Iterator[Clip | Skipped]:
        """Yield every rated turn in the order of the evaluation files, then recordings that nobody rated."""
        rated = set()
        for table in self._tables():
            for turn, label, wav in self._ratings(table):
                if turn[0] in rated:
                    reason = f"'{table}' rates {turn[0]}, which is rated before. Keep one copy of the session."
                    yield Skipped(table, reason, "unexpected")
                    continue
                rated.add(turn[0])
                yield self._entry(turn, label, wav)
        for path in find_audio(self.root):
            if path.parent.parent.name == "wav" and path.stem not in rated:
                yield Skipped(path, "no evaluation file rates it")

    def _entry(self, turn: re.Match[str], label: str, wav: Path) -> Clip | Skipped:
        if label not in self.label_map:
            return Skipped(wav, f"labelled {label}: {_OTHERS[label]}")
        if not wav.is_file():
            return Skipped(wav, "rated, but the recording is not there", "missing")
        kind = "improvised" if turn["kind"] == "impro" else "scripted"
        speaker, part = turn["session"] + turn["gender"], f"Session{turn['session'][-1]} {kind}"
        return Clip(wav, self.label_map[label], speaker, turn["text"], part)

    def _tables(self) -> list[Path]:
        """Evaluation files of all sessions, and only those directly in EmoEvaluation."""
        self._check_root()
        tables = sorted(
            path for path in self.root.rglob("EmoEvaluation/*.txt") if not path.name.startswith(".") and path.is_file()
        )
        if not tables:
            raise DataError(
                f"{self.name}: no Session*/dialog/EmoEvaluation/*.txt was found below '{self.root}'; name the folder "
                "IEMOCAP_full_release, which holds Session1 to Session5."
            )
        return tables

    def _ratings(self, table: Path) -> Iterator[_Rated]:
        """The lines of a file that begin with a time; the others are single listeners' answers."""
        sentences = table.parents[2] / "sentences" / "wav"
        for number, text in enumerate(table.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if not text.startswith("["):
                continue
            line = _LINE.fullmatch(text)
            turn = _TURN.fullmatch(line["turn"]) if line else None
            if line is None or turn is None or line["label"] not in {**EMOTIONS, **_OTHERS}:
                raise DataError(
                    f"{self.name}: line {number} of '{table}' is {text!r}; it should be "
                    "[start - end] TAB Ses01F_impro01_F000 TAB neu TAB [v, a, d]. Take the file from the release."
                )
            yield _Rated(turn, line["label"], sentences / turn["dialogue"] / f"{turn[0]}.wav")


class Iemocap6(Iemocap):
    """IEMOCAP in six classes: excitement apart from happiness, and frustration.

    Parameters
    ----------
    root
        Folder that holds ``Session1`` to ``Session5``, or some of them.

    Examples
    --------
    >>> Iemocap6("IEMOCAP_full_release").labels
    ('anger', 'happiness', 'excitement', 'sadness', 'neutral', 'frustration')
    """

    name = "iemocap6"
    title = "IEMOCAP, 6 classes"
    labels = ("anger", "happiness", "excitement", "sadness", "neutral", "frustration")
    label_map: ClassVar[Names] = {**EMOTIONS, "exc": "excitement", "fru": "frustration"}
    expected_clips = 7380
    expected_by_label: ClassVar[Counts] = {
        "anger": 1103, "happiness": 595, "excitement": 1041, "sadness": 1084, "neutral": 1708, "frustration": 1849,
    }  # fmt: skip
    expected_by_speaker: ClassVar[Counts] = {}
    quirks = (*Iemocap.quirks[:3], "Papers on dialogues count 7 433 turns, by another reading of the ratings.")
