"""What a model file says of itself, as JSON in its metadata."""

from __future__ import annotations

import json
from typing import Any

import onnxruntime

from featkit.audio import SAMPLE_RATE
from featkit.errors import ModelError
from featkit.features.base import hash_spec
from featkit.modelfile.session import told

RECIPE_KEY = "featkit"
RECIPE_FORMAT = 3

MAX_SHORTEST = 10 * SAMPLE_RATE
"""The longest clip, in samples, that a model may call too short."""


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
        if form == RECIPE_FORMAT and not _describes(recipe, session):
            raise ValueError("its parts contradict each other")
        other = "Update featkit" if form > RECIPE_FORMAT else "Export it again"
    except ModelError:
        raise
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelError(f"{name}: its recipe is damaged ({told(error, 120)}); export it again.") from None
    if form != RECIPE_FORMAT:
        shown = told(form, 20)
        raise ModelError(f"{name}: has recipe format {shown}; this featkit reads {RECIPE_FORMAT}. {other}.")
    return recipe


def _describes(recipe: dict[str, Any], session: onnxruntime.InferenceSession) -> bool:
    """Whether the recipe fits its own graph, and what is used of it later is of the right kind."""
    kinds = {
        "min_samples": int, "pad_short": bool, "featkit_version": str, "data": dict, "licence": list, "canary": dict,
    }  # fmt: skip
    outputs, values = [value.name for value in session.get_outputs()], [*session.get_inputs(), *session.get_outputs()]
    members = recipe["members"]
    normalised = [member["normalise"] for member in members if member["normalise"]]
    return (
        all(isinstance(recipe[key], kind) for key, kind in kinds.items())
        and {value.name for value in session.get_inputs()} == {member["input"] for member in members}
        and outputs == ["label", "probabilities", *(["population"] if normalised else [])]
        and {value.type for value in values if value.name != "label"} == {"tensor(float)"}
        and session.get_outputs()[1].shape[1] == len(recipe["labels"])
        and all(isinstance(label, str) and label.isprintable() for label in recipe["labels"])
        and 0 < recipe["min_samples"] <= MAX_SHORTEST
        and all(isinstance(term, str) for term in recipe["licence"])
        and isinstance(recipe["scores"], dict | None)
        and isinstance(recipe["data"]["labels"], dict)
        and isinstance(recipe["canary"]["versions"], dict)
        and recipe["sample_rate"] == SAMPLE_RATE
        and normalised in ([], ["speaker"])
        and (not normalised or len(members) == 1)
        and all(_describes_member(member) for member in members)
    )


def _describes_member(member: dict[str, Any]) -> bool:
    return (
        member["view"] in ("frames", "functionals")
        and isinstance(member["backend"]["name"], str)
        and hash_spec(member["features"]) == member["feature_hash"]
        and not any("fusion" in part for part in member["features"].get("fusion", []))  # they could lie deep
    )
