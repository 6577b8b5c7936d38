"""Differences are paired over speakers, unlike is refused, and a repetition is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from featkit import metrics
from featkit.benchmark import Options, Recipe, Row, compare, compare_rows, measured, verify
from featkit.benchmark.rows import Made
from featkit.corpus import Corpus
from featkit.errors import DataError


def test_the_difference_is_that_of_the_two_uas(row: Row, other: Row) -> None:
    found = compare(row.evaluation, other.evaluation)
    assert found.difference.ua == pytest.approx(other.evaluation.ua - row.evaluation.ua)
    assert found.difference.interval[0] <= found.difference.ua <= found.difference.interval[1]
    assert (found.clips, found.speakers, found.left_out) == (24, 4, 0)


def test_a_row_does_not_differ_from_itself(row: Row) -> None:
    found = compare_rows(row, row).difference
    assert (found.ua, found.interval, found.p) == (0, (0, 0), 1)
    assert str(compare_rows(row, row)) == (
        "difference of UA +0.0 [+0.0, +0.0] points, p = 1 (over 4 speakers, 24 clips)"
    )


def test_clips_that_only_one_could_use_are_left_out(row: Row, other: Row) -> None:
    told = other.evaluation
    short = replace(
        told,
        **{name: getattr(told, name)[1:] for name in ("y_true", "y_pred", "probabilities", "speakers", "places")},
    )
    found = compare(row.evaluation, short)
    assert (found.clips, found.left_out) == (23, 1)
    assert "1 clips that only one could use left out" in str(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "abc"}, r"The rows are of different data \(four voices \(.*\) and four voices \(abc\)\)"),
        ({"protocol_text": "2 folds"}, "The rows are of different protocol"),
    ],
)
def test_rows_of_other_data_or_protocol_are_not_compared(change: dict[str, Any], message: str, row: Row) -> None:
    text = change.pop("protocol_text", row.evaluation.protocol)
    with pytest.raises(DataError, match=message):
        compare_rows(row, replace(row, evaluation=replace(row.evaluation, protocol=text), **change))


def test_other_clips_are_not_compared(row: Row) -> None:
    elsewhere = replace(row.evaluation, places=row.evaluation.places + 100)
    with pytest.raises(DataError, match="not measured on the same clips"):
        compare(row.evaluation, elsewhere)
    relabelled = replace(row.evaluation, y_true=row.evaluation.y_true[::-1])
    with pytest.raises(DataError, match="not measured on the same clips: labels or speakers differ"):
        compare(row.evaluation, relabelled)


def test_a_comparison_needs_speakers(row: Row) -> None:
    with pytest.raises(DataError, match="A comparison draws speakers; evaluate on a corpus that knows them"):
        compare(row.evaluation, replace(row.evaluation, speakers=None))


def test_the_same_again_is_reproduced(row: Row, corpus: Corpus) -> None:
    (again,), _ = measured(corpus, [row.recipe], [row.protocol], Options())
    found = verify(row, again)
    assert (found.verdict, found.differences) == ("REPRODUCED", [])


def test_other_labels_are_within_the_interval_or_not(row: Row) -> None:
    told = row.evaluation
    one = told.y_pred.copy()
    one[0] = next(label for label in told.labels if label != one[0])
    found = verify(row, replace(row, evaluation=replace(told, y_pred=one)))
    assert found.verdict == "WITHIN INTERVAL"
    assert "labels: 1 of 24 clips are judged otherwise" in found.differences
    wrong = np.array([next(label for label in told.labels if label != truth) for truth in told.y_true])
    assert verify(row, replace(row, evaluation=replace(told, y_pred=wrong))).verdict == "NOT REPRODUCED"


def test_what_differs_is_told(row: Row) -> None:
    made = Made("older", dict(row.made.versions) | {"numpy": "1.0"}, "2020-01-01")
    found = verify(replace(row, made=made), row)
    assert found.verdict == "REPRODUCED", "the same labels are what counts"
    assert f"code: hash older was, {row.made.code} is" in found.differences
    assert any(line.startswith("version: numpy 1.0 was") for line in found.differences)


def test_other_data_do_not_reproduce_a_row(row: Row) -> None:
    found = verify(replace(row, data="abc"), row)
    assert found.verdict == "NOT REPRODUCED"
    assert found.differences[0].startswith("data: hash abc was")


def test_clips_that_are_gone_are_counted(row: Row) -> None:
    found = verify(replace(row, files=["gone.wav", *row.files[1:]]), row)
    assert "clips: 1 are gone, 1 new" in found.differences


def test_the_paired_interval_is_narrower_than_that_of_two(row: Row, other: Row) -> None:
    """What pairing is for: a speaker who is hard for both widens each interval, not the difference."""
    rng = np.random.default_rng(0)
    first = []
    for ability in rng.uniform(0.3, 0.95, 12):
        truth = np.repeat([0, 1, 2], 20)
        first.append(metrics.confusion(truth, np.where(rng.random(60) < ability, truth, (truth + 1) % 3), range(3)))
    counts = np.stack(first)
    better = counts.copy()
    for table in better:  # each speaker gains two clips
        for i in range(2):
            if table[i, (i + 1) % 3]:
                table[i, (i + 1) % 3] -= 1
                table[i, i] += 1
    found = metrics.ua_difference(counts, better)
    assert np.ptp(found.interval) < 0.3 * np.ptp(metrics.ua_interval(counts))
    assert found.p < 0.01
    assert metrics.ua_difference(better, counts).ua == pytest.approx(-found.ua)


def test_a_recipe_is_named_in_the_row(row: Row) -> None:
    assert row.recipe == Recipe("mfcc39", "svm")
