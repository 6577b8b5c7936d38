"""A plan is read strictly: what it cannot say is told with its line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from featkit.benchmark import Protocol, Recipe
from featkit.benchmark.plan import Plan, read_plan
from featkit.errors import DataError, PluginError

WHOLE = """\
# a comment
data: [emodb:a, [ravdess:b, tess:c]]
test: savee:d
features: [egemaps, mfcc39]
backend: "svm:kernel=linear,C=0.01"
augment: [none, standard]
copies: 2
normalise: [none, speaker]
tune: 3
cv: [loso, 6, "test:03,08", both]
seed: [0, 1]
pad_short: true
allow_leakage: true
permute_labels: true
recipes:
  - {features: compare2016, backend: svm, seed: 5}
  - preset: best
    copies: 8
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return tmp_path / "plan.yaml"


def test_everything_is_read(plan: Path) -> None:
    plan.write_text(WHOLE)
    read = read_plan(plan)
    assert read.data == (("emodb:a",), ("ravdess:b", "tess:c"))
    assert read.test == ("savee:d",)
    assert (read.features, read.backend) == (("egemaps", "mfcc39"), ("svm:kernel=linear,C=0.01",))
    assert (read.augment, read.normalise, read.copies, read.tune, read.seed) == (
        (None, "standard"), (None, "speaker"), (2,), (3,), (0, 1),
    )  # fmt: skip
    assert read.protocols() == [Protocol(cv, True, True) for cv in ("loso", 6, "test:03,08", "both")]
    recipes = read.all_recipes()
    assert len(recipes) == 2 * 2 * 2 * 2 + 2
    assert recipes[-2:] == [Recipe("compare2016", "svm", seed=5), Recipe(preset="best", copies=8)]
    assert recipes[0].pad_short


def test_an_empty_plan_is_one_recipe(plan: Path) -> None:
    plan.write_text("")
    assert read_plan(plan) == Plan()
    assert Plan().all_recipes() == [Recipe()]
    assert Plan().protocols() == [Protocol()]


def test_single_recipes_stand_alone(plan: Path) -> None:
    plan.write_text("recipes:\n  - features: mfcc39\n")
    assert read_plan(plan).all_recipes() == [Recipe("mfcc39")]
    assert Plan(preset=("best",)).all_recipes() == [Recipe(preset="best")]


def test_flags_take_the_place_of_what_the_file_says() -> None:
    read = Plan(features=("mfcc39",), cv=(5,), allow_leakage=True).with_flags(
        features=("logmel",), cv=(), allow_leakage=False
    )
    assert (read.features, read.cv, read.allow_leakage) == (("logmel",), (5,), True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: a\nfeature: mfcc39\n", r"plan.yaml, line 2: No key is named 'feature'. Did you mean 'features'\?"),
        ("cv: loso\ncv: 5\n", "line 2: 'cv' stands twice"),
        ("cv: [loso, 1]\n", "line 1: cv: cv must be 'loso' or a number of folds from 2 on; it is 1"),
        ("cv: lose\n", r"line 1: cv: No protocol is named 'lose'. Did you mean 'loso'\?"),
        ("cv: true\n", "line 1: cv: No protocol is named 'True'"),
        ("cv: 2.5\n", "line 1: cv: No protocol is named '2.5'"),
        ("features: 39\n", "line 1: features: 39 is no word; put it between quotes"),
        ("features: []\n", "line 1: features: the list is empty"),
        ("features: ''\n", "line 1: features: '' is no word"),
        ("\ncopies: 0\n", "line 2: copies: 0 is no whole number from 1 on"),
        ("seed: true\n", "line 1: seed: True is no whole number from 0 on"),
        ("normalise: clip\n", "line 1: normalise: 'clip' is neither speaker nor none"),
        ("pad_short: 1\n", "line 1: pad_short: 1 is neither true nor false"),
        ("- a\n- b\n", "line 1: a plan is written as KEY: VALUE, one a line"),
        ("just words\n", "line 1: a plan is written as KEY: VALUE"),
        ("[a]: b\n", "line 1: No key is named 'a list'"),
        ("recipes: mfcc39\n", "line 1: recipes are a list, as in"),
        ("recipes:\n  - mfcc39\n", "line 2: a plan is written as KEY: VALUE"),
        ("recipes:\n  - {features: mfcc39, cv: 5}\n", "line 2: No key is named 'cv'"),
        ("recipes:\n  - {features: mfcc39, preset: best}\n", "line 2: The preset 'best' brings its features"),
        ("data: [a\n", "line 2: is no YAML: "),
        ("data: @x\n", "line 1: is no YAML: "),
        ("data: !!python/object/apply:os.system ['true']\n", "line 1: is no YAML: could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", "is no YAML"),
        ("data: \x00\n", "is no YAML"),
        ("data: " + "[" * 5000 + "]" * 5000, "is no YAML"),
    ],
)
def test_what_a_plan_cannot_say_is_told_with_its_line(text: str, message: str, plan: Path) -> None:
    plan.write_text(text)
    with pytest.raises(DataError, match=message):
        read_plan(plan)


def test_bytes_that_are_no_text_are_refused(plan: Path) -> None:
    plan.write_bytes(b"data: \xff\xfe")
    with pytest.raises(DataError, match=r"plan.yaml: is no YAML: .*codec can't decode"):
        read_plan(plan)


def test_a_preset_beside_nothing_it_brings_is_fine_and_else_refused(plan: Path) -> None:
    plan.write_text("preset: best\ncopies: [2, 4]\n")
    assert [one.copies for one in read_plan(plan).all_recipes()] == [2, 4]


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.yaml: there is no such plan"):
        read_plan(tmp_path / "none.yaml")


def test_a_missing_yaml_answers_with_the_pip_line(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(PluginError, match="needs the package 'yaml', which is not installed"):
        read_plan(plan)
