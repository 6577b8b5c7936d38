"""RAVDESS: twenty-four actors speak, and twenty-three sing, two English sentences in up to eight emotions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from featkit.datasets.base import Archive, Clip, Counts, NamedFiles, Names, Skipped

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

_RECORD = "https://zenodo.org/records/1188976"
_ACTORS = [f"{actor:02d}" for actor in range(1, 25)]


class Ravdess(NamedFiles):
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
    labels: ClassVar[tuple[str, ...]] = tuple(EMOTIONS.values())
    label_map: ClassVar[Names] = EMOTIONS
    languages = ("en",)
    licence = "CC BY-NC-SA 4.0"
    citation = (
        "S. R. Livingstone, F. A. Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): A "
        "dynamic, multimodal set of facial and vocal expressions in North American English. PLoS ONE 13(5), 2018, "
        "e0196391. https://doi.org/10.1371/journal.pone.0196391"
    )
    url = _RECORD
    expected_clips = 1440
    expected_speakers = 24
    expected_by_label: ClassVar[Counts] = {label: 96 if label == "neutral" else 192 for label in EMOTIONS.values()}
    expected_by_speaker: ClassVar[Counts] = dict.fromkeys(_ACTORS, 60)
    layout = "Actor_01/03-01-06-01-02-01-01.wav: modality, channel (01 speech, 02 song), emotion, …, actor"
    quirks: ClassVar[tuple[str, ...]] = (
        "The folders do not matter (Actor_01, actor_01, none): the names say everything.",
        "Speech, song and video may lie together; only the channel that is asked for is read.",
        "One recording stands in the release twice: 03-01-03-01-02-01-07 and its repetition 02.",
        "Five files are stereo: the channels are averaged. Chunks 'FLLR' and 'bext' before the samples are read over.",
        "A widely copied archive holds every file twice; a second copy with the same content is left out.",
    )
    identical: ClassVar[tuple[frozenset[str], ...]] = (frozenset({"03-01-03-01-02-01-07", "03-01-03-01-02-02-07"}),)
    access = "Free download from Zenodo."
    # Address, size and MD5 as the Zenodo record lists them.
    archives = (
        Archive(
            f"{_RECORD}/files/Audio_Speech_Actors_01-24.zip?download=1",
            "Audio_Speech_Actors_01-24.zip",
            208_468_073,
            "md5:bc696df654c87fed845eb13823edef8a",
        ),
    )

    pattern = re.compile(
        r"(?P<channel>0[123]-0[12])-(?P<emotion>0[1-8])-(0[12])-(?P<text>0[12])-(0[12])-"
        r"(?P<speaker>0[1-9]|1[0-9]|2[0-4])"
    )
    scheme = "03-01-EE-II-SS-RR-AA: emotion 01 to 08, intensity, statement and repetition 01 or 02, actor 01 to 24"
    _channel: ClassVar[str] = "03-01"  # audio only, spoken
    _other: ClassVar[str] = "song or video; the speech is 03-01-*.wav"

    def entry(self, path: Path, match: re.Match[str]) -> Clip | Skipped:
        """A clip, or a file of another channel."""
        if match["channel"] != self._channel:
            return Skipped(path, self._other)
        label = EMOTIONS[match["emotion"]]
        if label not in self.labels:
            return Skipped(path, f"'{path}' claims {label}, which {self.title} does not have.", "unexpected")
        return Clip(path, label, match["speaker"], match["text"])


class RavdessSong(Ravdess):
    """RAVDESS: its sung audio, in six emotions. Actor 18 did not sing.

    Parameters
    ----------
    root
        Folder that holds ``Actor_01`` to ``Actor_24``. Hidden files are passed over.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Path(folder, "03-02-06-01-02-01-12.wav").touch()
    ...     clip = next(RavdessSong(folder).clips())
    >>> clip.label, clip.speaker, clip.text
    ('fear', '12', '02')
    """

    name = "ravdess_song"
    title = "RAVDESS song"
    labels = Ravdess.labels[:6]
    label_map: ClassVar[Names] = dict(list(EMOTIONS.items())[:6])
    expected_clips = 1012
    expected_speakers = 23
    expected_by_label: ClassVar[Counts] = {label: 92 if label == "neutral" else 184 for label in label_map.values()}
    expected_by_speaker: ClassVar[Counts] = {actor: 44 for actor in _ACTORS if actor != "18"}
    layout = Ravdess.layout.replace("03-01-", "03-02-")
    quirks = (*Ravdess.quirks[:2], "Actor 18 has no song; disgust and surprise were not sung.")
    identical = ()
    archives = (
        Archive(
            f"{_RECORD}/files/Audio_Song_Actors_01-24.zip?download=1",
            "Audio_Song_Actors_01-24.zip",
            225_505_317,
            "md5:5411230427d67a21e18aa4d466e6d1b9",
        ),
    )
    _channel = "03-02"
    _other = "speech or video; the song is 03-02-*.wav"
