"""EMO-DB: ten actors speak ten German sentences in seven emotions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from featkit.datasets.base import Archive, Clip, Counts, NamedFiles

EMOTIONS = {
    "W": "anger",  # Wut, Ärger
    "L": "boredom",  # Langeweile
    "E": "disgust",  # Ekel
    "A": "fear",  # Angst
    "F": "happiness",  # Freude
    "T": "sadness",  # Trauer
    "N": "neutral",
}


class EmoDB(NamedFiles):
    """Berlin Database of Emotional Speech. A clip's text is the code of its sentence, ``a01`` to ``b10``.

    The corpus keeps the recordings whose emotion at least 80 % of the listeners knew: 535, unevenly spread.

    Parameters
    ----------
    root
        Folder that holds ``03a01Fa.wav`` and so on, itself or in a sub-folder such as ``wav``. Hidden files are
        passed over.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "03a01Wa.wav").touch()
    ...     clip = next(EmoDB(folder).clips())
    >>> clip.label, clip.speaker, clip.text
    ('anger', '03', 'a01')
    """

    name = "emodb"
    title = "EMO-DB"
    labels = tuple(EMOTIONS.values())
    label_map = EMOTIONS
    languages = ("de",)
    licence = "Free for research; the authors ask to be cited"
    citation = (
        "F. Burkhardt, A. Paeschke, M. Rolfes, W. F. Sendlmeier, B. Weiss: A database of German emotional speech. "
        "Proc. Interspeech 2005, pp. 1517-1520. https://doi.org/10.21437/Interspeech.2005-446"
    )
    url = "http://emodb.bilderbar.info"
    expected_clips = 535
    expected_speakers = 10
    expected_by_label: ClassVar[Counts] = {
        "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79,
    }  # fmt: skip
    expected_by_speaker: ClassVar[Counts] = {
        "03": 49, "08": 58, "09": 43, "10": 38, "11": 55, "12": 35, "13": 61, "14": 69, "15": 56, "16": 71,
    }  # fmt: skip
    layout = "wav/03a01Fa.wav: speaker, sentence, letter of the emotion, version; the folders do not matter"
    quirks = (
        "Speaker 08 has no disgust, and other cells are thin: the release holds what listeners recognised.",
        "Some wav files carry a chunk 'PAD ' before the samples; they are read as any other.",
        "EMO-DB 2.0 on Zenodo is another, extended release; the counts here are those of 2005.",
    )
    access = "Free download from the authors' site."
    # The address of the button at http://emodb.bilderbar.info/download/; no size or checksum is published.
    archives = (Archive("http://emodb.bilderbar.info/download/download.zip", "emodb.zip", members=r"(?i)\.wav$"),)

    pattern = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])([a-z])", re.ASCII)
    scheme = (
        "SSTTTEv: two digits for the speaker, a text such as a01, one of the letters "
        f"{''.join(EMOTIONS)} for the emotion, a version letter"
    )

    def entry(self, path: Path, match: re.Match[str]) -> Clip:
        """Every name that fits is a clip."""
        return Clip(path, EMOTIONS[match["emotion"]], match["speaker"], match["text"])
