"""EMO-DB: ten actors speak ten German sentences in seven emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from featkit.datasets.base import Clip, Dataset
from featkit.errors import DataError

EMOTIONS = {
    "W": "anger",  # Wut, Ärger
    "L": "boredom",  # Langeweile
    "E": "disgust",  # Ekel
    "A": "fear",  # Angst
    "F": "happiness",  # Freude
    "T": "sadness",  # Trauer
    "N": "neutral",
}

_NAME = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])[a-z]", re.ASCII)


class EmoDB(Dataset):
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
    languages = ("de",)
    licence = "Free for research; the authors ask to be cited"
    citation = (
        "F. Burkhardt, A. Paeschke, M. Rolfes, W. F. Sendlmeier, B. Weiss: A database of German emotional speech. "
        "Proc. Interspeech 2005, pp. 1517-1520. https://doi.org/10.21437/Interspeech.2005-446"
    )
    url = "http://emodb.bilderbar.info"
    expected_clips = 535

    def clips(self) -> Iterator[Clip]:
        """Yield the clips in the order of their paths. Raises `DataError` at a name that is none of EMO-DB's."""
        found: dict[str, Path] = {}
        for path in self._files():
            match = _NAME.fullmatch(path.stem)
            if match is None:
                raise DataError(
                    f"emodb: the name of '{path}' does not fit SSTTTEv: two digits for the speaker, a text such as "
                    f"a01, one of the letters {''.join(EMOTIONS)} for the emotion, a version letter. Move it elsewhere."
                )
            first = found.setdefault(path.stem, path)
            if first != path:
                raise DataError(f"emodb: '{path}' is the same clip as '{first}'. Keep one of the two.")
            yield Clip(path, EMOTIONS[match["emotion"]], match["speaker"], match["text"])
