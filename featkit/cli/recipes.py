"""Options of the commands that measure recipes: what is trained, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from featkit.cli.common import SET_HELP, needs_plan, option

CV_HELP = (
    "loso leaves one speaker out, N makes folds of whole speakers, test:03,08 judges these speakers, both leaves "
    "speakers and sentences out; sentences and random let speakers leak."
)


def protocols(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Each ``--cv`` as `evaluate` takes it; None where none was given."""
    if value is None or ctx.resilient_parsing:  # a shell that completes a word waits for no scikit-learn
        return value
    from featkit.errors import DataError
    from featkit.protocols import read_cv

    try:
        if isinstance(value, tuple):
            return tuple(map(read_cv, value))
        return read_cv(value)
    except DataError as error:
        raise click.BadParameter(str(error)) from None


_RECIPE = (
    option("--features", "--set", multiple=True, metavar="SET", help="Feature set; may be given again. " + SET_HELP),
    option("--backend", multiple=True, metavar="BACKEND", help="Backend; may be given again.  [default: svm]"),
    option(
        "--preset", multiple=True, metavar="NAME", is_eager=True,
        help="A recipe that has a name, in place of set and backend.",
    ),
    option(
        "--augment", multiple=True, metavar="TRANSFORMS", is_eager=True,  # before --copies, which asks for it
        help="Also learn from varied copies of training clips: standard, or speed+noise:snr=15; none for without.",
    ),
    option(
        "--copies", multiple=True, type=click.IntRange(min=1), metavar="N", callback=needs_plan,
        help="Copies of each training clip.  [default: 4]",
    ),
    option(
        "--normalise", multiple=True, type=click.Choice(["none", "speaker"]),
        help="speaker: features in deviations from each speaker's mean. It hears all clips of a test speaker at once "
        "(transductive); tables say so.",
    ),
    option(
        "--tune", multiple=True, type=click.IntRange(min=0), metavar="N",
        help="Search the backend's settings with N trials inside every training fold.",
    ),
    option("--seed", multiple=True, type=click.IntRange(min=0), metavar="N", help="Seed.  [default: 0]"),
)  # fmt: skip
_JUDGED = (
    option(
        "--cv", multiple=True, metavar="PROTOCOL", callback=protocols, help=f"{CV_HELP}  [default: loso]",
    ),
    option("--test", multiple=True, metavar="DATA", help="Judge this corpus, and learn from --data."),
    option("--permute-labels", is_flag=True, help="Permute labels within speakers: what is above chance is a leak."),
    option("--importance", is_flag=True, help="Measure what shuffling each family of features costs."),
)  # fmt: skip


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is measured."""
    for add in reversed((*_RECIPE, *_JUDGED)):
        command = add(command)
    return command


CV_AND_TEST = "--cv has no meaning with --test: --data is learned from, and --test judged."


def plan_fields(given: dict[str, Any]) -> dict[str, Any]:
    """What those options were given, as fields of a `featkit.benchmark.plan.Plan`."""
    if given["cv"] and given["test"]:
        raise click.UsageError(CV_AND_TEST)
    nothing = {"none": None}
    words = {name: tuple(nothing.get(word, word) for word in given[name]) for name in ("augment", "normalise")}
    return {name: given[name] for name in ("features", "backend", "preset", "copies", "tune", "seed", "cv", "test")} | {
        "permute_labels": given["permute_labels"],
        **words,
    }
