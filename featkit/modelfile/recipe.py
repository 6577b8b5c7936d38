"""What a model file says of itself, as JSON in its metadata, and whether its graph says the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import onnxruntime

from featkit.audio import SAMPLE_RATE
from featkit.errors import ModelError
from featkit.features.base import hash_spec
from featkit.modelfile.contents import OPERATORS, check_contents
from featkit.modelfile.seal import check_seal
from featkit.modelfile.session import open_session, told
from featkit.settings import set_name

RECIPE_KEY = "featkit"
RECIPE_FORMAT = 3

OWN_SCORES = frozenset({"protocol", "WA", "UA", "UA_95"})
"""Entries of "scores" that featkit measured; without them they are somebody's own, and may be anything."""

MAX_SHORTEST = 10 * SAMPLE_RATE
"""The longest clip, in samples, that a model may call too short."""

EIGHT_BITS = OPERATORS["com.microsoft"] | {
    "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul",
    "QuantizeLinear",
}  # fmt: skip
"""Operators that compute in 8 bits, or lead there and back."""

_KINDS = {
    "min_samples": (int, "whole number"), "pad_short": (bool, "true or false"), "featkit_version": (str, "text"),
    "labels": (list, "list"), "members": (list, "list"), "data": (dict, "table"), "licence": (list, "list"),
    "canary": (dict, "table"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Opened:
    """A file that may be asked, and what it says of itself. Its extractor need not be installed."""

    name: str
    """How the file is called in messages."""
    session: onnxruntime.InferenceSession
    recipe: dict[str, Any]
    quantised: bool
    """Whether its graph computes in 8 bits."""

    @property
    def inputs(self) -> list[str]:
        """What the graph reads, in the order of the members."""
        return list(dict.fromkeys(member["input"] for member in self.recipe["members"]))


def open_model(content: bytes, name: str) -> Opened:
    """Look a file through, open it and read its recipe.

    Raises
    ------
    ModelError
        It is damaged, holds what no model needs, cannot be read, or contradicts itself.
    """
    check_seal(content, name)
    contents = check_contents(content, name)
    session = open_session(content, name)
    recipe = read_recipe(session, name)
    if recipe["labels"] != contents.labels:
        answers = f"answers with {_listed(contents.labels)}" if contents.labels else "looks its labels up in no list"
        raise ModelError(
            f"{name}: its recipe names the labels {_listed(recipe['labels'])}, but its graph {answers}; copy the file "
            "again, or export it anew."
        )
    return Opened(name, session, recipe, bool(contents.operators & EIGHT_BITS))


def read_recipe(session: onnxruntime.InferenceSession, name: str) -> dict[str, Any]:
    """The recipe of an opened model.

    Raises
    ------
    ModelError
        There is none, it is of another format, or it does not fit its own graph.
    """
    try:
        if (text := session.get_modelmeta().custom_metadata_map.get(RECIPE_KEY)) is None:
            raise ModelError(f"{name}: is an ONNX model, but not one that featkit wrote: it holds no recipe.")
        recipe: dict[str, Any] = json.loads(text)
        form = recipe["format"]
        if form == RECIPE_FORMAT and (problem := next(_problems(recipe, session), None)):
            raise ValueError(problem)
        other = "Update featkit" if form > RECIPE_FORMAT else "Export it again"
    except ModelError:
        raise
    except KeyError as error:
        raise ModelError(f"{name}: its recipe is damaged ({told(error, 60)} is missing); export it again.") from None
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelError(f"{name}: its recipe is damaged ({told(error, 160)}); export it again.") from None
    if form != RECIPE_FORMAT:
        shown = told(form, 20)
        raise ModelError(f"{name}: has recipe format {shown}; this featkit reads {RECIPE_FORMAT}. {other}.")
    return recipe


def _problems(recipe: dict[str, Any], session: onnxruntime.InferenceSession) -> Iterator[str]:
    """What does not fit the graph, or is not of the kind that is used later: the first is told."""
    for key, (kind, noun) in _KINDS.items():
        if not isinstance(recipe[key], kind):
            yield f"'{key}' is no {noun}"
    if not all(isinstance(member, dict) for member in recipe["members"]):
        yield "one of 'members' is no table"
    yield from _of_graph(recipe, session)
    yield from _of_words(recipe)
    yield from _of_data(recipe["data"])
    yield from _of_scores(recipe["scores"])
    normalised = [member["normalise"] for member in recipe["members"] if member["normalise"]]
    if normalised not in ([], ["speaker"]) or (normalised and len(recipe["members"]) > 1):
        yield "'normalise' of its members is neither null nor, of a single one, 'speaker'"
    for i, member in enumerate(recipe["members"], 1):
        for problem in _of_member(member):
            yield f"of member {i}, {problem}"


def _of_graph(recipe: dict[str, Any], session: onnxruntime.InferenceSession) -> Iterator[str]:
    """Where names, types and sizes are not those of the graph."""
    read, given = session.get_inputs(), session.get_outputs()
    expected = {member["input"] for member in recipe["members"]}
    if {value.name for value in read} != expected:
        yield f"its members read {_listed(sorted(expected))}, the graph {_listed(value.name for value in read)}"
    population = ["population"] if recipe["members"][0]["normalise"] else []
    outputs = ["label", "probabilities", *population]
    if [value.name for value in given] != outputs:
        yield f"the graph gives {_listed(value.name for value in given)} instead of {_listed(outputs)}"
    for value in (*read, *given[1:]):
        if value.type != "tensor(float)":
            yield f"'{value.name}' of the graph is {value.type} instead of tensor(float)"
    if given[1].shape[1:] != [len(recipe["labels"])]:
        yield f"'labels' has {len(recipe['labels'])} entries, 'probabilities' of the graph the shape {given[1].shape}"


def _of_words(recipe: dict[str, Any]) -> Iterator[str]:
    """Where an entry is not of the kind that people are shown, or that clips are checked by."""
    if not all(isinstance(label, str) and label.isprintable() for label in recipe["labels"]):
        yield "one of 'labels' is no text that can be shown"
    if not 0 < recipe["min_samples"] <= MAX_SHORTEST:
        yield f"'min_samples' is {recipe['min_samples']}, not 1 to {MAX_SHORTEST}"
    if recipe["sample_rate"] != SAMPLE_RATE:
        yield f"'sample_rate' is {recipe['sample_rate']}, not {SAMPLE_RATE}"
    if not all(isinstance(term, str) for term in recipe["licence"]):
        yield "one of 'licence' is no text"
    if not isinstance(recipe["canary"]["versions"], dict):
        yield "'versions' of 'canary' is no table"
    form = recipe.get("form", {})
    if not isinstance(form, dict) or not all(isinstance(word, str) for word in form.values()):
        yield "'form' is no table of texts"


def _of_data(data: dict[str, Any]) -> Iterator[str]:
    if not isinstance(data["labels"], dict):
        yield "'labels' of 'data' is no table"
    numbers = {"clips": data["clips"], "speakers": data["speakers"], "stopped": data.get("stopped")}
    for key, number in numbers.items():
        if not isinstance(number, int | None):
            yield f"'{key}' of 'data' is no whole number"
    if not _are_lengths(data.get("seconds")):
        yield "'seconds' of 'data' is neither null nor three lengths"
    if not all(isinstance(corpus, str) for corpus in data.get("corpora") or []):
        yield "one of 'corpora' of 'data' is no text"
    if not {"plan", "copies"} <= (data.get("augment") or {"plan": "", "copies": 0}).keys():
        yield "'augment' of 'data' has no plan or no copies"


def _are_lengths(seconds: Any) -> bool:
    if seconds is None:
        return True
    numbers = isinstance(seconds, list) and all(isinstance(length, int | float) for length in seconds)
    return numbers and len(seconds) == 3 and seconds == sorted(seconds) and seconds[0] > 0


def _of_scores(scores: Any) -> Iterator[str]:
    """Of featkit's own the numbers are shown as such; of others anything is."""
    if not isinstance(scores, dict | None):
        yield "'scores' is no table"
    if not scores or not scores.keys() >= OWN_SCORES:
        return
    recalls, ends = scores.get("recalls"), scores["UA_95"] or [0, 0]
    numbers = [scores["WA"], scores["UA"], *ends]
    numbers += [recall for recall in recalls.values() if recall is not None] if isinstance(recalls, dict) else []
    if len(ends) != 2 or not all(isinstance(number, int | float) for number in numbers):
        yield "one of 'scores' is no number"


def _of_member(member: dict[str, Any]) -> Iterator[str]:
    if member["view"] not in ("frames", "functionals"):
        yield "'view' is neither frames nor functionals"
    if not isinstance(member["backend"]["name"], str):
        yield "'name' of 'backend' is no text"
    if not isinstance(member["backend"]["params"], dict):
        yield "'params' of 'backend' is no table"
    if any("fusion" in part for part in member["features"].get("fusion", [])):  # they could lie deep
        yield "'features' is a fusion of fusions"
    elif set_name(member["features"]) is None:
        yield "'features' names no set"
    if hash_spec(member["features"]) != member["feature_hash"]:
        yield "'feature_hash' is not that of 'features'"


def _listed(names: Any) -> str:
    return told(", ".join(names) or "nothing", 60)
