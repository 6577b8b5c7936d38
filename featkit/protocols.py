"""Which clips are learned from and which are judged: folds of speakers, of sentences, of both, and leaking ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from featkit import plugins
from featkit.backend import quietly
from featkit.datasets.names import alone, letters, plain_name
from featkit.errors import DataError, LeakageError

Places: TypeAlias = npt.NDArray[np.intp]
Pair: TypeAlias = tuple[Places, Places]
"""Places of the clips that are learned from, and of those that are judged."""
CV: TypeAlias = int | str | Sequence[str] | Sequence[Sequence[str]]

LEAKS = "SPEAKERS LEAK"
"""Stands in the text of every protocol that has heard the speakers it judges."""
PERMUTED = "LABELS PERMUTED"
"""Stands in the text where labels were permuted within speakers."""
ALONE = "ONE CLIP EACH"
"""Stands in the text where no speaker has two clips: file names given as speakers would hide that voices leak."""
_NUMBERED = {"random": 5, "sentences": 0, "both": 5}
"""Protocols that take a number of folds, and how many they make without one; 0 leaves one out at a time."""


@dataclass(frozen=True)
class _Plan:
    """What ``cv`` says, taken apart."""

    kind: str
    n: int = 0
    tests: tuple[tuple[str, ...], ...] = ()
    """Speakers of each fixed test set."""


def read_cv(text: str) -> CV:
    """``loso``, ``6``, ``random:5``, ``sentences``, ``both:5`` or ``test:03,08;09,10`` of a command line → ``cv``.

    Raises
    ------
    DataError
        It is none of these.
    """
    cv = int(text) if text.isdecimal() else text
    _plan(cv)
    return cv


def split(
    y: npt.NDArray[Any], speakers: npt.NDArray[Any] | None, cv: CV, allow_leakage: bool, seed: int,
    sentences: npt.NDArray[Any] | None = None,
) -> tuple[list[Pair], str]:  # fmt: skip
    """Index pairs and the name of the protocol. ``cv`` as for `featkit.evaluate`.

    Raises
    ------
    LeakageError
        The protocol judges speakers that it has heard, and nobody said that this is meant.
    DataError
        Speakers or sentences are not known or too few, or an emotion cannot be learned in one of the folds.
    """
    plan = _plan(cv)
    if plan.kind == "speakers" and speakers is None:
        require_speakers(speakers, allow_leakage)
        plan = _Plan("random", plan.n or _NUMBERED["random"])
    if plan.kind in ("random", "sentences") and not allow_leakage:
        raise LeakageError(
            f"cv='{plan.kind}' judges voices that were heard in training, and the score is too high. Say "
            "allow_leakage=True (--allow-leakage) to see it anyway; the protocol then tells."
        )
    if plan.kind in ("fixed", "both") and speakers is None:
        raise DataError(
            f"cv={cv!r} needs the speaker of every clip. Give groups=speakers (a manifest with the column speaker)."
        )
    if plan.kind in ("sentences", "both") and sentences is None:
        raise DataError(
            f"cv={cv!r} needs to know which sentence every clip says. Give sentences=texts (a manifest with the column "
            "text)."
        )
    made: Any
    if plan.kind == "random":
        made = _random(y, plan.n, seed)
    elif plan.kind == "fixed":
        made = _fixed(speakers, plan.tests)
    elif plan.kind == "both":
        made = _both(y, speakers, sentences, plan.n, seed)
    elif plan.kind == "sentences":
        made = _groups(y, sentences, plan.n, seed, "sentence")
    else:
        made = _groups(y, speakers, plan.n, seed, "speaker")
    folds, text = made
    who = sentences if plan.kind == "sentences" else speakers
    return list(_checked(folds, y, who, "sentence" if plan.kind == "sentences" else "speaker")), text


def require_speakers(speakers: Any, allow_leakage: bool) -> None:
    """Raise `LeakageError` where there are none and nobody said that this is meant."""
    if speakers is None and not allow_leakage:
        raise LeakageError(
            "Evaluation needs speakers: without them the same voice stands in training and in test, and the score is "
            "too high. Give groups=speakers (a manifest with the column speaker), or allow_leakage=True "
            "(--allow-leakage) to see it anyway."
        )


def _plan(cv: CV) -> _Plan:
    if isinstance(cv, str):
        return _worded(cv)
    if isinstance(cv, int | float):
        if not isinstance(cv, int) or isinstance(cv, bool) or cv < 2:
            raise DataError(f"cv must be 'loso' or a number of folds from 2 on; it is {cv!r}.")
        return _Plan("speakers", cv)
    if isinstance(cv, Sequence) and cv:
        several = all(isinstance(names, Sequence) and not isinstance(names, str) for names in cv)
        tests: Any = cv if several else [cv]
        if all(tests) and all(isinstance(name, str | int | np.generic) for names in tests for name in names):
            return _Plan("fixed", tests=tuple(map(_names, tests)))
    raise DataError(
        f"cv is a {type(cv).__name__}; give 'loso', a number of folds, 'random', 'sentences', 'both', or the judged, "
        "['03', '08'] or several such lists. For other folds: cross_val_predict(clf, X, y, groups=speakers, cv=...)."
    )


def _names(names: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in names)


def _worded(cv: str) -> _Plan:
    name, colon, rest = cv.partition(":")
    if cv == "loso":
        return _Plan("speakers")
    if name == "test" and rest.strip():
        tests = [[word.strip() for word in names.split(",")] for names in rest.split(";")]
        return _Plan("fixed", tests=tuple(map(_names, tests)))
    if name in _NUMBERED and (not colon or (rest.isdecimal() and int(rest) >= 2)):
        return _Plan(name, int(rest) if rest else _NUMBERED[name])
    known = ["loso", "a number of folds from 2 on", "random", "sentences", "both", "test:SPEAKER,SPEAKER",
             "test:SPEAKER,SPEAKER;SPEAKER,SPEAKER"]  # fmt: skip
    told = plugins.unknown("protocol", cv, known, "Protocols")
    raise DataError(f"{told} random, sentences and both take a number of folds, as in random:5.")


def _random(y: npt.NDArray[Any], n: int, seed: int) -> tuple[Any, str]:
    if np.unique(y, return_counts=True)[1].min() < n:
        raise DataError(f"{n} folds need at least {n} clips of every emotion; give a smaller cv or more clips.")
    folds = StratifiedKFold(n, shuffle=True, random_state=seed).split(np.zeros(len(y)), y)
    return folds, f"{n} random folds, {LEAKS}"


def _groups(y: npt.NDArray[Any], groups: Any, n: int, seed: int, noun: str) -> tuple[Any, str]:
    """Leave one speaker or sentence out at a time, or make ``n`` folds of whole ones."""
    present = len(np.unique(groups))
    if present < (n or 2):
        one, fewer = ("loso", f"{present}") if noun == "speaker" else ("sentences", f"sentences:{present}")
        few = f" Leave one out at a time (--cv {one}), or make fewer folds (--cv {fewer})." if n and present > 1 else ""
        raise DataError(f"Evaluation by {noun} needs at least {n or 2} {noun}s for this cv; there are {present}.{few}")
    mark = "" if noun == "speaker" else f", {LEAKS}"
    if noun == "speaker" and alone(groups):
        mark = f", {ALONE}"
    if not n:
        return LeaveOneGroupOut().split(y, y, groups), f"leave one of {present} {noun}s out{mark}"
    return _stratified(y, groups, n, seed), f"{n} folds of {present} {noun}s{mark}"


def _stratified(y: npt.NDArray[Any], groups: Any, n: int, seed: int) -> Any:
    most = int(np.unique(y, return_counts=True)[1].max())
    if most < n:
        raise DataError(f"{n} folds need an emotion with at least {n} clips; the most frequent has {most}.")
    return quietly(StratifiedGroupKFold(n, shuffle=True, random_state=seed).split(np.zeros(len(y)), y, groups))


def _fixed(speakers: Any, tests: Sequence[Sequence[str]]) -> tuple[Any, str]:
    """One fold for each set of test speakers."""
    names = np.array([str(speaker) for speaker in speakers])
    wanted = [name for test in tests for name in dict.fromkeys(test)]
    for name in wanted:
        if name not in names:
            raise DataError(_unknown(name, sorted(set(names.tolist()))))
        if wanted.count(name) > 1:
            raise DataError(f"The speaker '{name}' stands in two sets of test speakers; every clip is judged once.")
    folds, others = [], 0
    for test in tests:
        judged = np.isin(names, list(test))
        others = len(set(names[~judged]))
        if not others:
            raise DataError("All speakers are test speakers; nobody is left to learn from.")
        folds.append((np.flatnonzero(~judged), np.flatnonzero(judged)))
    if len(tests) > 1:
        return folds, f"leave one of {len(tests)} sets of speakers out: {'; '.join(map(_listed, tests))}"
    noun = "speaker" if len(set(wanted)) == 1 else "speakers"
    return folds, f"test {noun} {_listed(wanted)}, learned from {others} others"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(set(names)))


def _unknown(name: str, speakers: list[str]) -> str:
    """A spelling of the same speaker is nearer than a name with as many letters in common: 3 means 03, not 13."""
    same = [speaker for speaker in speakers if plain_name(speaker) == plain_name(name)]
    if not same:
        return plugins.unknown("speaker", name, speakers, "Speakers")
    return f"No speaker is named '{name}'. Did you mean '{same[0]}'? Speakers: {', '.join(speakers)}."


def _both(y: npt.NDArray[Any], speakers: Any, sentences: Any, n: int, seed: int) -> tuple[Any, str]:
    """Folds of speakers crossed with folds of sentences: the judged voice and the judged words are both unheard."""
    counts = [len(np.unique(values)) for values in (speakers, sentences)]
    for noun, present in zip(("speaker", "sentence"), counts, strict=True):
        if present < 2:
            raise DataError(f"cv='both' needs at least two {noun}s; there is {present}.")
    by_speaker, by_sentence = (min(n, present) for present in counts)
    said = list(GroupKFold(by_sentence, shuffle=True, random_state=seed).split(y, y, sentences))
    folds = [
        (np.intersect1d(heard, known), np.intersect1d(test, asked))
        for heard, test in _stratified(y, speakers, by_speaker, seed)
        for known, asked in said
    ]
    text = f"{by_speaker} folds of {counts[0]} speakers × {by_sentence} of {counts[1]} sentences, both unheard"
    return [(train, test) for train, test in folds if len(test)], text  # not everybody says everything


def _checked(folds: Any, y: npt.NDArray[Any], groups: Any, noun: str) -> Iterator[Pair]:
    for train, test in folds:
        if not len(test):
            raise DataError(f"A test fold is empty: some {noun}s have too many of the clips. Give a smaller cv.")
        unheard = set(y[test]) - set(y[train])
        if unheard:
            emotion = min(unheard)
            by = "" if groups is None else f" ({noun} {_told(np.unique(groups[y == emotion]))})"
            raise DataError(
                f"All clips of the emotion '{emotion}'{by} fall in one test fold, so it cannot be learned "
                f"from the others. Add {noun}s, or leave the emotion out.{_looks_like(emotion, y)}"
            )
        yield train, test


def _looks_like(emotion: str, y: npt.NDArray[Any]) -> str:
    same = [one for one in np.unique(y).tolist() if one != emotion and letters(str(one)) == letters(str(emotion))]
    return f" It looks like '{same[0]}': give both one name." if same else ""


def _told(names: Any) -> str:
    return ", ".join(str(name) for name in names[:5]) + (" …" if len(names) > 5 else "")
