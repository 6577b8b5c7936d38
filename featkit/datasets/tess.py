"""TESS: two actresses speak two hundred English words in seven emotions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from featkit.datasets.base import Archive, Clip, Counts, NamedFiles, Skipped

EMOTIONS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",  # pleasant surprise
    "sad": "sadness",
}

_FOLDER = re.compile(rf"([OY]AF)_({'|'.join(EMOTIONS)}|pleasant_surprised?)", re.IGNORECASE)


class Tess(NamedFiles):
    """Toronto emotional speech set: "Say the word …". A clip's text is the word.

    Two speakers are too few to say how well a model does on others.

    Parameters
    ----------
    root
        Folder that holds ``OAF_back_angry.wav`` and so on, itself or in sub-folders.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "YAF_back_ps.wav").touch()
    ...     clip = next(Tess(folder).clips())
    >>> clip.label, clip.speaker, clip.text
    ('surprise', 'YAF', 'back')
    """

    name = "tess"
    title = "TESS"
    labels = tuple(EMOTIONS.values())
    label_map = EMOTIONS
    languages = ("en",)
    licence = "CC BY-NC-ND 4.0"
    citation = (
        "M. K. Pichora-Fuller, K. Dupuis: Toronto emotional speech set (TESS). Borealis, 2020, V1. "
        "https://doi.org/10.5683/SP2/E8H2MF"
    )
    url = "https://doi.org/10.5683/SP2/E8H2MF"
    expected_clips = 2800
    expected_speakers = 2
    expected_by_label: ClassVar[Counts] = dict.fromkeys(EMOTIONS.values(), 400)
    expected_by_speaker: ClassVar[Counts] = {"OAF": 1400, "YAF": 1400}
    layout = "OAF_angry/OAF_back_angry.wav: speaker (older, younger), word, emotion; the folders may be absent"
    quirks = (
        "OA_bite_neutral.wav is a misspelt OAF_bite_neutral.wav, not a third speaker.",
        "YAF_germ_angry.wav and YAF_neat_fear.wav are AIFF under the name .wav; they are read by their content.",
        "OAF_food_fear.wav has 96 000 Hz, all others 24 414 Hz.",
        "Folders are spelt in several ways (OAF_Pleasant_surprise, YAF_pleasant_surprised); the file name decides.",
        "A widely copied archive holds all files again in an inner folder; copies with the same content are left out.",
    )
    access = "Free download from Borealis, the Canadian Dataverse."
    # All files of a data set as one zip (Dataverse's data access API), made when asked: no checksum can be known.
    archives = (
        Archive(
            "https://borealisdata.ca/api/access/dataset/:persistentId/?persistentId=doi:10.5683/SP2/E8H2MF", "tess.zip"
        ),
    )

    pattern = re.compile(rf"([OY]AF)_([A-Za-z]+)_({'|'.join(EMOTIONS)})")
    scheme = f"SSS_WORD_EMOTION: speaker OAF or YAF, a word, one of {', '.join(EMOTIONS)}"

    def subject(self, path: Path) -> str:
        """The name with the one misspelling mended, so that both spellings are one clip."""
        return re.sub("^OA(?=_bite_neutral$)", "OAF", path.stem)

    def entry(self, path: Path, match: re.Match[str]) -> Clip | Skipped:
        """A clip, unless its folder names another speaker or emotion than its name."""
        speaker, word, emotion = match.groups()
        folder = _FOLDER.fullmatch(path.parent.name)
        if folder and (folder[1].upper(), re.sub("^pleasant.*", "ps", folder[2].lower())) != (speaker, emotion):
            reason = f"'{path}' has one speaker and emotion in its name and others in its folder. Move it."
            return Skipped(path, reason, "unexpected")
        return Clip(path, EMOTIONS[emotion], speaker, word.lower())
