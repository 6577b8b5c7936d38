"""Folds part what they say they part, leaks are marked, and what cannot be parted is refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

from featkit.errors import DataError, LeakageError
from featkit.protocols import read_cv, split

CELLS = list(product(("anger", "joy", "sadness"), ("03", "08", "09", "10"), ("a", "b", "c"), range(2)))
Y, SPEAKERS, SENTENCES = (np.array([cell[i] for cell in CELLS]) for i in range(3))


def folds(cv: Any, allow_leakage: bool = False, speakers: Any = SPEAKERS, sentences: Any = SENTENCES) -> Any:
    return split(Y, speakers, cv, allow_leakage, 0, sentences)


@pytest.mark.parametrize("cv", ["loso", 2, "both", "both:3", "random", "random:4", "sentences", "sentences:2"])
def test_every_clip_is_judged_once_and_never_learned_from_then(cv: Any) -> None:
    pairs, _ = folds(cv, allow_leakage=True)
    judged = np.concatenate([test for _, test in pairs])
    assert sorted(judged) == list(range(len(CELLS)))
    assert all(not set(train) & set(test) for train, test in pairs)


@pytest.mark.parametrize(
    ("cv", "text", "n"),
    [
        ("loso", "leave one of 4 speakers out", 4),
        (2, "2 folds of 4 speakers", 2),
        ("both", "4 folds of 4 speakers × 3 of 3 sentences, both unheard", 12),
        ("both:2", "2 folds of 4 speakers × 2 of 3 sentences, both unheard", 4),
        (["08", "03"], "test speakers 03, 08, learned from 2 others", 1),
        ("test:09", "test speaker 09, learned from 3 others", 1),
    ],
)
def test_the_judged_speakers_are_unheard(cv: Any, text: str, n: int) -> None:
    pairs, told = folds(cv)
    assert (told, len(pairs)) == (text, n)
    for train, test in pairs:
        assert set(SPEAKERS[train]).isdisjoint(SPEAKERS[test])
        if "sentences" in text:
            assert set(SENTENCES[train]).isdisjoint(SENTENCES[test])


@pytest.mark.parametrize(
    ("cv", "text"),
    [
        ("random", "5 random folds, SPEAKERS LEAK"),
        ("random:3", "3 random folds, SPEAKERS LEAK"),
        ("sentences", "leave one of 3 sentences out, SPEAKERS LEAK"),
        ("sentences:2", "2 folds of 3 sentences, SPEAKERS LEAK"),
    ],
)
def test_protocols_that_leak_need_the_word_and_say_so(cv: str, text: str) -> None:
    with pytest.raises(LeakageError, match=r"judges voices that were heard in training.* allow_leakage=True"):
        folds(cv)
    pairs, told = folds(cv, allow_leakage=True)
    assert told == text
    assert any(set(SPEAKERS[train]) & set(SPEAKERS[test]) for train, test in pairs)
    if cv.startswith("sentences"):
        assert all(set(SENTENCES[train]).isdisjoint(SENTENCES[test]) for train, test in pairs)


def test_one_speaker_at_a_time_is_scikit_learns() -> None:
    pairs, _ = folds("loso")
    for (train, test), (train_, test_) in zip(pairs, LeaveOneGroupOut().split(Y, Y, SPEAKERS), strict=True):
        assert (train.tolist(), test.tolist()) == (train_.tolist(), test_.tolist())


def test_a_fixed_test_set_judges_its_speakers_alone() -> None:
    ((_, test),), _ = folds("test:03, 10")
    assert set(SPEAKERS[test]) == {"03", "10"}


@pytest.mark.parametrize("cv", ["test:03,08;09;10", [["03", "08"], ["09"], ("10",)]])
def test_sessions_are_left_out_as_sets_of_their_speakers(cv: Any) -> None:
    pairs, text = folds(cv)
    assert text == "leave one of 3 sets of speakers out: 03, 08; 09; 10"
    assert [set(SPEAKERS[test]) for _, test in pairs] == [{"03", "08"}, {"09"}, {"10"}]
    assert all(set(SPEAKERS[train]) == {"03", "08", "09", "10"} - set(SPEAKERS[test]) for train, test in pairs)


def test_speakers_who_are_numbers_may_be_named_as_numbers() -> None:
    numbers = SPEAKERS.astype(int)
    pairs, text = folds([[3, 8], [np.int64(9)]], speakers=numbers)
    assert text == "leave one of 2 sets of speakers out: 3, 8; 9"
    assert [set(numbers[test]) for _, test in pairs] == [{3, 8}, {9}]


@pytest.mark.parametrize("cv", ["loso", 3])
def test_a_speaker_for_every_clip_stands_in_the_protocol(cv: Any) -> None:
    assert folds(cv, speakers=np.arange(len(Y)))[1].endswith("speakers out, ONE CLIP EACH" if cv == "loso" else "EACH")
    assert "EACH" not in folds(cv)[1]


@pytest.mark.parametrize(
    ("text", "cv"),
    [("loso", "loso"), ("6", 6), ("both:3", "both:3"), ("test:03,08", "test:03,08"), ("random", "random")],
)
def test_a_protocol_is_read_from_a_word(text: str, cv: Any) -> None:
    assert read_cv(text) == cv


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ("loos", r"No protocol is named 'loos'. Did you mean 'loso'\?.* number of folds, as in random:5"),
        ("random:1", "No protocol is named 'random:1'"),
        ("both:x", "No protocol is named 'both:x'"),
        ("random:", "No protocol is named 'random:'"),
        ("test:", "No protocol is named 'test:'"),
        ("loso:5", "No protocol is named 'loso:5'"),
        (1, "cv must be 'loso' or a number of folds from 2 on; it is 1"),
        (True, "cv must be 'loso' or a number of folds from 2 on; it is True"),
        (2.5, "cv must be 'loso' or a number of folds from 2 on; it is 2.5"),
        ("test:3", r"No speaker is named '3'\. Did you mean '03'\? Speakers: 03, 08, 09, 10"),
        ("test:03,08,09,10", "All speakers are test speakers; nobody is left to learn from"),
        ("test:03;08,03", "The speaker '03' stands in two sets of test speakers; every clip is judged once"),
        ("test:03;99", "No speaker is named '99'"),
        (GroupKFold(2), r"cv is a GroupKFold; give 'loso', .* cross_val_predict\(clf, X, y, groups=speakers, cv"),
        ([(np.arange(2), np.arange(2))], "cv is a list; give 'loso', a number of folds"),
        ([], "cv is a list; give 'loso'"),
        ([["03"], []], "cv is a list; give 'loso'"),
        (None, "cv is a NoneType; give 'loso'"),
        (9, r"needs at least 9 speakers for this cv; there are 4\. Leave one .* \(--cv loso\), or .* \(--cv 4\)\."),
        ("sentences:9", r"at least 9 sentences for this cv; there are 3\. .*--cv sentences\), or .*--cv sentences:3"),
        ("random:99", "99 folds need at least 99 clips of every emotion"),
    ],
)
def test_what_is_no_protocol_is_refused(cv: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        folds(cv, allow_leakage=True)


@pytest.mark.parametrize(
    ("cv", "missing", "message"),
    [
        (
            "both",
            "speakers",
            "cv='both' needs the speaker of every clip. Give groups=speakers \\(a manifest with the column speaker\\)",
        ),
        ("test:03", "speakers", "cv='test:03' needs the speaker of every clip"),
        (
            "both",
            "sentences",
            r"cv='both' needs to know which sentence every clip says\. Give sentences=texts \(a manifest with the "
            r"column text\)",
        ),
        ("sentences", "sentences", "cv='sentences' needs to know which sentence every clip says"),
    ],
)
def test_what_must_be_known_is_asked_for(cv: str, missing: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        folds(cv, allow_leakage=True, **{missing: None})


def test_a_spelling_of_a_speaker_is_nearer_than_a_name_with_as_many_letters() -> None:
    speakers = np.where(SPEAKERS == "10", "13", SPEAKERS)
    with pytest.raises(DataError, match=r"Did you mean '03'\?"):
        folds("test:3", speakers=speakers)
    with pytest.raises(DataError, match=r"No speaker is named '033'\. Did you mean '03'\?"):
        folds("test:033", speakers=speakers)


def test_both_needs_two_of_each() -> None:
    with pytest.raises(DataError, match="cv='both' needs at least two sentences; there is 1"):
        folds("both", sentences=np.full(len(Y), "a"))
    with pytest.raises(DataError, match="cv='both' needs at least two speakers; there is 1"):
        folds("both", speakers=np.full(len(Y), "a"))


def test_an_emotion_that_one_sentence_has_alone_cannot_be_judged() -> None:
    with pytest.raises(DataError, match=r"emotion 'anger' \(sentence anger\) fall in one test fold.*Add sentences"):
        folds("sentences", allow_leakage=True, sentences=Y)
    speakers = np.where(Y == "anger", "03", SPEAKERS)
    with pytest.raises(DataError, match=r"emotion 'anger' \(speaker 03\) fall in one test fold.*Add speakers"):
        folds("test:03", speakers=speakers)


def test_an_emotion_in_two_cases_is_recognised() -> None:
    y = Y.copy()
    y[0] = "Anger"
    with pytest.raises(DataError, match=r"emotion 'Anger' \(speaker 03\) fall .* It looks like 'anger': give both one"):
        split(y, SPEAKERS, "loso", False, 0, SENTENCES)


def test_a_fold_without_a_clip_is_refused() -> None:
    speakers = np.array(["all"] * (len(Y) - 1) + ["one"])
    with pytest.raises(DataError, match=r"fall in one test fold|A test fold is empty"):
        folds(2, speakers=speakers)
