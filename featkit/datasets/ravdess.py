"""RAVDESS: twenty-four actors speak two English sentences in eight emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from featkit.datasets.base import Clip, Dataset
from featkit.errors import DataError

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}

_NAME = re.compile(
    r"(?P<kind>0[123]-0[12])-(?P<emotion>0[1-8])-0[12]-(?P<text>0[12])-0[12]-(?P<speaker>0[1-9]|1[0-9]|2[0-4])"
)
_SPEECH = "03-01"  # audio only, spoken


class Ravdess(Dataset):
    """Ryerson Audio-Visual Database of Emotional Speech and Song: its spoken audio.

    A clip's speaker is the actor, ``01`` to ``24`` (odd: male). Its text is the statement: ``01`` is "Kids are talking
    by the door", ``02`` is "Dogs are sitting by the door". Song and video are passed over. One recording of the release
    stands in it twice: actor 07, happiness of normal intensity, statement 02, repetitions 01 and 02.

    Parameters
    ----------
    root
        Folder that holds ``Actor_01`` to ``Actor_24``. Hidden files are passed over.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "03-01-06-01-02-01-12.wav").touch()
    ...     clip = next(Ravdess(folder).clips())
    >>> clip.label, clip.speaker, clip.text
    ('fear', '12', '02')
    """

    name = "ravdess"
    title = "RAVDESS"
    labels = tuple(EMOTIONS.values())
    languages = ("en",)
    licence = "CC BY-NC-SA 4.0"
    citation = (
        "S. R. Livingstone, F. A. Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): A "
        "dynamic, multimodal set of facial and vocal expressions in North American English. PLoS ONE 13(5), 2018, "
        "e0196391. https://doi.org/10.1371/journal.pone.0196391"
    )
    url = "https://zenodo.org/records/1188976"
    expected_clips = 1440

    def clips(self) -> Iterator[Clip]:
        """Yield the spoken clips in the order of their paths. Raises `DataError` at a name that is none of RAVDESS's.

        The corpus is offered in places as an archive that holds every clip twice; that is an error too.
        """
        found: dict[str, Path] = {}
        for path in self._files():
            match = _NAME.fullmatch(path.stem)
            if match is None:
                raise DataError(
                    f"ravdess: the name of '{path}' does not fit 03-01-EE-II-SS-RR-AA: emotion 01 to 08, intensity, "
                    "statement and repetition 01 or 02, actor 01 to 24. Move it elsewhere."
                )
            if match["kind"] != _SPEECH:
                continue
            first = found.setdefault(path.stem, path)
            if first != path:
                raise DataError(f"ravdess: '{path}' is the same clip as '{first}'. Keep one of the two.")
            yield Clip(path, EMOTIONS[match["emotion"]], match["speaker"], match["text"])
        if not found:
            raise DataError(f"ravdess: below '{self.root}' there is song or video only; the speech is 03-01-*.wav.")
