"""SAVEE: four British men speak TIMIT sentences in seven emotions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from featkit.datasets.base import Clip, Counts, NamedFiles

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}


class Savee(NamedFiles):
    """Surrey Audio-Visual Expressed Emotion database: its audio.

    A clip's text is not known: the number in its name counts the sentences of one emotion, some sentences return in
    other emotions, and the release does not say under which numbers.

    Parameters
    ----------
    root
        Folder that holds ``DC/a01.wav`` or ``DC_a01.wav`` and so on.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "DC_sa01.wav").touch()
    ...     clip = next(Savee(folder).clips())
    >>> clip.label, clip.speaker
    ('sadness', 'DC')
    """

    name = "savee"
    title = "SAVEE"
    labels = tuple(EMOTIONS.values())
    label_map = EMOTIONS
    languages = ("en",)
    licence = "Free for research after registration; not to be passed on"
    citation = (
        "S. Haq, P. J. B. Jackson: Multimodal emotion recognition. In W. Wang (ed.): Machine Audition: Principles, "
        "Algorithms and Systems, IGI Global, 2010, pp. 398-423. https://doi.org/10.4018/978-1-61520-919-4.ch017"
    )
    url = "http://kahlan.eps.surrey.ac.uk/savee"
    expected_clips = 480
    expected_speakers = 4
    expected_by_label: ClassVar[Counts] = {label: 120 if label == "neutral" else 60 for label in EMOTIONS.values()}
    expected_by_speaker: ClassVar[Counts] = dict.fromkeys(("DC", "JE", "JK", "KL"), 120)
    layout = "AudioData/DC/a01.wav, or all in one folder as DC_a01.wav: speaker, emotion, number"
    quirks = (
        "sa is sadness and su is surprise; s alone is neither.",
        "Neutral has 30 sentences a speaker, every other emotion 15.",
        "Which sentences are the same in several emotions is not in the release, so a clip's text is unknown.",
    )
    access = "Register at the University of Surrey (the page 'Register' of the corpus's site); it mails a password."

    pattern = re.compile(r"(DC|JE|JK|KL)_(sa|su|[adfhn])(0[1-9]|[12]\d|30)")
    scheme = "SS_ENN, or ENN in a folder SS: speaker DC, JE, JK or KL, emotion a, d, f, h, n, sa or su, number 01 to 30"

    def subject(self, path: Path) -> str:
        """The name, with the speaker's folder before it where it has no speaker."""
        return path.stem if "_" in path.stem else f"{path.parent.name}_{path.stem}"

    def entry(self, path: Path, match: re.Match[str]) -> Clip:
        """Every name that fits is a clip."""
        return Clip(path, EMOTIONS[match[2]], match[1])
