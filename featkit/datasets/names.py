"""Names that people write in several ways: which of them mean one speaker, or one emotion."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

# Words before a number that mean "speaker": spk03, Actor_3, subject 3.
_SPEAKER_WORD = re.compile(r"^(?:speakers?|spkr?|sp|s|actors?|act|subjects?|subj|sub|id|participant|p|person)(?=\d)")


def plain_name(speaker: str) -> str:
    """A name without what varies between spellings of one: case, signs, a word for speaker, zeros in front.

    Examples
    --------
    >>> {plain_name(name) for name in ("03", "3", " 03", "spk03", "Actor_03")}
    {'3'}
    >>> plain_name("emodb/03") == plain_name("ravdess/03"), plain_name("f3") == plain_name("m3")
    (False, False)
    >>> plain_name("101"), plain_name("010")
    ('101', '10')
    """
    name = _SPEAKER_WORD.sub("", letters(speaker))
    return re.sub(r"^0+(?=\d)", "", name) if name.isdecimal() else re.sub(r"(?<=\D)0+(?=\d)", "", name)


def letters(name: str) -> str:
    """A name without case and signs."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name).casefold())


def alike(names: Iterable[str], plain: Callable[[str], str]) -> list[list[str]]:
    """Different names that are one where ``plain`` has made them so, sorted.

    Examples
    --------
    >>> alike(["3", "08", "03", "3"], plain_name)
    [['03', '3']]
    """
    found: dict[str, set[str]] = defaultdict(set)
    for name in dict.fromkeys(names):  # a corpus says each of a thousand times
        found[plain(name)].add(name)
    return [sorted(same) for same in found.values() if len(same) > 1]


def alone(speakers: Any) -> bool:
    """Whether each of ten and more clips has a speaker (n,) of its own, as where file names are given for people."""
    return 10 <= len(speakers) == len(set(speakers))
