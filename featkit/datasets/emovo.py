"""EMOVO: six Italian actors speak fourteen sentences in seven emotions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from featkit.datasets.base import Clip, Counts, NamedFiles

EMOTIONS = {
    "dis": "disgust",  # disgusto
    "gio": "happiness",  # gioia
    "neu": "neutral",
    "pau": "fear",  # paura
    "rab": "anger",  # rabbia
    "sor": "surprise",  # sorpresa
    "tri": "sadness",  # tristezza
}


class Emovo(NamedFiles):
    """Italian emotional speech. A clip's text is the code of its sentence: b1-b3, l1-l4, n1-n5, d1-d2.

    Parameters
    ----------
    root
        Folder that holds ``f1/dis-f1-b1.wav`` and so on.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "gio-m2-n3.wav").touch()
    ...     clip = next(Emovo(folder).clips())
    >>> clip.label, clip.speaker, clip.text
    ('happiness', 'm2', 'n3')
    """

    name = "emovo"
    title = "EMOVO"
    labels = tuple(EMOTIONS.values())
    label_map = EMOTIONS
    languages = ("it",)
    licence = "Free for research; terms on the page of the corpus"
    citation = (
        "G. Costantini, I. Iaderola, A. Paoloni, M. Todisco: EMOVO Corpus: an Italian Emotional Speech Database. "
        "Proc. LREC 2014, pp. 3501-3504. https://aclanthology.org/L14-1478/"
    )
    url = "http://voice.fub.it/activities/corpora/emovo/index.html"
    expected_clips = 588
    expected_speakers = 6
    expected_by_label: ClassVar[Counts] = dict.fromkeys(EMOTIONS.values(), 84)
    expected_by_speaker: ClassVar[Counts] = dict.fromkeys(("f1", "f2", "f3", "m1", "m2", "m3"), 98)
    layout = "f1/dis-f1-b1.wav: emotion, speaker (f1-f3 women, m1-m3 men), sentence; the folders do not matter"
    quirks = (
        "Files are stereo with different channels, 48 000 Hz: the wave is the mean of both channels.",
        "Names are read in small or capital letters.",
    )
    access = "The page of the Fondazione Ugo Bordoni links an archive; its address has changed, so open the page."

    pattern = re.compile(r"(dis|gio|neu|pau|rab|sor|tri)-([fm][123])-(b[123]|l[1-4]|n[1-5]|d[12])")
    scheme = f"EEE-SS-TT: one of {', '.join(EMOTIONS)}, speaker f1 to m3, sentence b1-b3, l1-l4, n1-n5 or d1-d2"

    def subject(self, path: Path) -> str:
        """The name in small letters."""
        return path.stem.lower()

    def entry(self, path: Path, match: re.Match[str]) -> Clip:
        """Every name that fits is a clip."""
        return Clip(path, EMOTIONS[match[1]], match[2], match[3])
