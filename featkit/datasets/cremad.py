"""CREMA-D: ninety-one actors speak twelve English sentences in six emotions, rated by thousands of listeners."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from featkit.datasets.base import Archive, Clip, Counts, NamedFiles, Names, Skipped
from featkit.datasets.tables import rows
from featkit.errors import DataError

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
VOTES = {code[0]: label for code, label in EMOTIONS.items()}

_REPOSITORY = "CheyneyComputerScience/CREMA-D"
_COMMIT = "1658cd342dff90010aa843eaeebd53610a08b1dc"
_TABLE = "summaryTable.csv"


class CremaD(NamedFiles):
    """Crowd-sourced Emotional Multimodal Actors Dataset, labelled with the emotion that the actor meant.

    A clip's text is the code of its sentence, such as ``IEO`` for "It's eleven o'clock".

    Parameters
    ----------
    root
        Folder that holds ``AudioWAV``, or that folder itself. Hidden files are passed over.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "1001_DFA_ANG_XX.wav").touch()
    ...     clip = next(CremaD(folder).clips())
    >>> clip.label, clip.speaker, clip.text
    ('anger', '1001', 'DFA')
    """

    name = "cremad"
    title = "CREMA-D"
    labels = tuple(EMOTIONS.values())
    label_map = EMOTIONS
    languages = ("en",)
    licence = "Open Database License 1.0; contents under the Database Contents License 1.0"
    citation = (
        "H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova, R. Verma: CREMA-D: Crowd-sourced Emotional "
        "Multimodal Actors Dataset. IEEE Transactions on Affective Computing 5(4), 2014, pp. 377-390. "
        "https://doi.org/10.1109/TAFFC.2014.2336244"
    )
    url = f"https://github.com/{_REPOSITORY}"
    expected_clips = 7441  # 7 442 are published, one of them silent
    expected_speakers = 91
    expected_by_label: ClassVar[Counts] = {
        "anger": 1271, "disgust": 1271, "fear": 1271, "happiness": 1271, "neutral": 1087, "sadness": 1270,
    }  # fmt: skip
    expected_by_speaker: ClassVar[Counts] = {str(actor): 82 for actor in range(1001, 1092)} | {
        "1002": 81, "1008": 76, "1009": 76, "1019": 76, "1076": 80,
    }  # fmt: skip
    layout = "AudioWAV/1001_DFA_ANG_XX.wav: actor, sentence, emotion, level (XX, LO, MD, HI)"
    quirks: ClassVar[tuple[str, ...]] = (
        "1076_MTI_SAD_XX is silent in the release; it is left out, so 7 441 of the 7 442 files are clips.",
        "AudioMP3 holds the same clips as they were played to the listeners; only AudioWAV is read.",
        "Copies exist in which one level is written X for XX.",
        "Without Git LFS a clone holds small text files in place of the audio; each is named as such.",
    )
    unusable: ClassVar[Names] = {"1076_MTI_SAD_XX": "silent in the release"}
    access = "Free download from GitHub (Git LFS); the authors ask users to fill in the form that their README links."
    # The zip that GitHub makes of the repository (its README: "the zip download") holds pointers with the SHA-256 of
    # every clip; what they point to is at the address of GitHub's LFS files that TensorFlow Datasets uses too.
    archives = (
        Archive(
            f"https://github.com/{_REPOSITORY}/archive/{_COMMIT}.zip",
            "cremad.zip",
            members=r"/(AudioWAV|processedResults)/|/LICENSE",
            lfs=f"https://media.githubusercontent.com/media/{_REPOSITORY}/{_COMMIT}/{{path}}",
        ),
    )

    pattern = re.compile(
        r"(?P<speaker>100[1-9]|10[1-8]\d|109[01])_(?P<text>DFA|IEO|IOM|ITH|ITS|IWL|IWW|MTI|TAI|TIE|TSI|WSI)_"
        rf"(?P<emotion>{'|'.join(EMOTIONS)})_(XX?|LO|MD|HI)"
    )
    scheme = (
        "AAAA_TTT_EEE_LL: actor 1001 to 1091, one of twelve sentences such as IEO, one of "
        f"{', '.join(EMOTIONS)}, level XX, LO, MD or HI"
    )

    def entry(self, path: Path, match: re.Match[str]) -> Clip | Skipped:
        """A clip, the silent one, or what the listeners heard."""
        if path.parent.name == "AudioMP3":
            return Skipped(path, "the version that listeners heard; AudioWAV is read")
        if path.stem in self.unusable:
            return Skipped(path, self.unusable[path.stem])
        return Clip(path, EMOTIONS[match["emotion"]], match["speaker"], match["text"])


class CremaDVoted(CremaD):
    """CREMA-D labelled with the emotion that most listeners heard in the voice alone; ties are left out.

    More than half of these clips are neutral: that is what they sound like.

    Parameters
    ----------
    root
        Folder that holds ``AudioWAV`` and ``processedResults/summaryTable.csv``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "1001_DFA_ANG_XX.wav").touch()
    ...     _ = Path(folder, "summaryTable.csv").write_text('"","FileName","VoiceVote"\\n"1","1001_DFA_ANG_XX","N"\\n')
    ...     clip = next(CremaDVoted(folder).clips())
    >>> clip.label
    'neutral'
    """

    name = "cremad_voted"
    title = "CREMA-D voted"
    label_map = VOTES
    # Counted in the authors' summaryTable.csv: 7 442 rows, 644 ties, and the silent clip is voted neutral.
    expected_clips = 6797
    expected_by_label: ClassVar[Counts] = {
        "anger": 986, "disgust": 547, "fear": 645, "happiness": 353, "neutral": 3896, "sadness": 370,
    }  # fmt: skip
    expected_by_speaker: ClassVar[Counts] = {}
    layout = f"{CremaD.layout}; processedResults/{_TABLE} with the columns FileName and VoiceVote"
    quirks = (*CremaD.quirks, "644 clips have a tie between emotions (A:D): they are left out and counted.")

    def entries(self) -> Iterator[Clip | Skipped]:
        """Yield the clips with the vote for a label, and the ties as left out."""
        votes = self._votes()
        for entry in super().entries():
            if isinstance(entry, Skipped):
                yield entry
                continue
            vote = votes.get(re.sub("_X$", "_XX", entry.path.stem))
            if vote is None:
                yield Skipped(entry.path, f"no row in {_TABLE}", "missing")
            elif ":" in vote:
                yield Skipped(entry.path, "a tie between emotions")
            else:
                yield Clip(entry.path, VOTES[vote], entry.speaker, entry.text)

    def _votes(self) -> dict[str, str]:
        self._check_root()
        path = self._table()
        votes: dict[str, str] = {}
        for number, row in rows(self.name, path, ("FileName", "VoiceVote")):
            name, vote = row.values()
            if not re.fullmatch(r"[ADFHNS](:[ADFHNS])*", vote):
                raise DataError(
                    f"{self.name}: line {number} of '{path}' has the VoiceVote {vote!r}; it should be one of the "
                    "letters A, D, F, H, N, S, or several with colons where they tie. Take it from the release again."
                )
            votes[name] = vote
        return votes

    def _table(self) -> Path:
        """The table of votes, below the root or beside it, where the root is AudioWAV itself."""
        places = [self.root, self.root / "processedResults", self.root.parent / "processedResults"]
        for path in (place / _TABLE for place in places):
            if path.is_file():
                return path
        for path in sorted(self.root.rglob(f"processedResults/{_TABLE}")):  # a walk over all clips, so only then
            if path.is_file():
                return path
        raise DataError(
            f"{self.name}: no {_TABLE} was found in or beside '{self.root}'; take processedResults/{_TABLE} from "
            f"{self.url}, or use the corpus cremad, whose labels are in the file names."
        )
