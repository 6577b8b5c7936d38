"""Deployment side: a model file → probabilities. A leaf: numpy, onnxruntime and the door for audio.

A model whose features are no graph (openSMILE) also loads its extractor, by its installed name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from featkit.audio import SAMPLE_RATE, Wave, as_wave, at_least, name_of
from featkit.errors import FeatureError, ModelError
from featkit.features.base import View, extractor_from_spec, hash_spec
from featkit.normalise import RunningSpeaker, standardised, statistics_of

RECIPE_KEY = "featkit"
RECIPE_FORMAT = 2

SPEAKER_PRIOR = {"frames": 3_000, "functionals": 10}
"""How many frames or clips the training speakers count for beside a new voice: half a minute of speech."""


class Model:
    """A trained recogniser read from one ONNX file. Made by `load`.

    Attributes
    ----------
    labels
        Emotions, in the order of the columns of ``predict_proba``.
    inputs
        What the graph reads: "wave", or features that featkit computes.
    recipe
        Everything the file says of itself: members with features and backend, training data, scores, licence.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self._session = _session(content, name)
        self.recipe = _recipe(self._session, name)
        self.labels: list[str] = self.recipe["labels"]
        members = {member["input"]: member for member in self.recipe["members"]}
        self.inputs: list[str] = list(members)
        self._readers = {key: _Reader(member, self.recipe, name) for key, member in members.items() if key != "wave"}
        self.normalise: str | None = self.recipe["members"][0]["normalise"]

    def predict_proba(self, clips: Sequence[Any], speakers: Sequence[Any] | None = None) -> npt.NDArray[np.float32]:
        """Probabilities of each emotion. A list of paths or waves (n_samples,) at 16 000 Hz -> (n, classes).

        Clips run one by one, so an answer never depends on its neighbours; but of a model that was trained with
        ``normalise="speaker"`` it depends on the other clips of its speaker, and ``speakers`` (n,) must be told.
        """
        if isinstance(clips, (str, os.PathLike)):
            raise ModelError(f"Give a list of clips: [{str(clips)!r}].")
        if self.normalise:
            return self._by_speaker(clips, speakers)
        rows = [self._run(self._values(clip, name_of(clip, i))) for i, clip in enumerate(clips)]
        return np.concatenate(rows) if rows else np.empty((0, len(self.labels)), dtype=np.float32)

    def follow(self, prior: float | None = None) -> Follower:
        """For clips of one speaker as they come: each is normalised by what was heard of the speaker so far.

        ``prior`` says how many clips (for frames: frames) the training speakers count for; default `SPEAKER_PRIOR`.
        """
        if not self.normalise:
            raise ModelError(
                "This model hears every clip for itself; only one with normalise='speaker' can follow one."
            )
        return Follower(self, prior)

    def predict(self, clips: Sequence[Any], speakers: Sequence[Any] | None = None) -> npt.NDArray[np.str_]:
        """The most probable emotion of each clip. -> (n,)."""
        labels: npt.NDArray[np.str_] = np.array(self.labels)[self.predict_proba(clips, speakers).argmax(axis=1)]
        return labels

    def _values(self, clip: Any, where: str) -> dict[str, npt.NDArray[np.float32]]:
        """What the graph reads of one clip, by the name of the input."""
        wave, short, pad_short = as_wave(clip, where), self.recipe["min_samples"], self.recipe["pad_short"]
        wave = at_least(wave, short, pad_short, where)
        return {key: self._readers[key](wave, where) if key in self._readers else wave for key in self.inputs}

    def _run(self, values: dict[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        feed = {key: value[None] for key, value in values.items()}
        probabilities: npt.NDArray[np.float32] = self._session.run(["probabilities"], feed)[0]
        return probabilities

    def _by_speaker(self, clips: Sequence[Any], speakers: Sequence[Any] | None) -> npt.NDArray[np.float32]:
        if speakers is None or len(speakers) != len(clips):
            raise ModelError(
                "This model judges a clip beside the others of its speaker (normalise='speaker'): give one speaker for "
                "each clip, or follow one speaker clip by clip with Model.follow()."
            )
        (key,) = self.inputs
        values = [self._values(clip, name_of(clip, i))[key] for i, clip in enumerate(clips)]
        about = statistics_of(values, speakers)
        rows = [self._run({key: standardised(value, about[who])}) for value, who in zip(values, speakers, strict=True)]
        return np.concatenate(rows) if rows else np.empty((0, len(self.labels)), dtype=np.float32)

    def __repr__(self) -> str:
        backends = "+".join(member["backend"]["name"] for member in self.recipe["members"])
        return f"<featkit model: {', '.join(self.inputs)} -> {backends} -> {', '.join(self.labels)}>"


class Follower:
    """One speaker, clip by clip. Made by `Model.follow`."""

    def __init__(self, model: Model, prior: float | None) -> None:
        self._model = model
        (member,) = model.recipe["members"]
        (value,) = model._session.get_inputs()
        shape = [1, *(100 if isinstance(axis, str) else axis for axis in value.shape[1:])]  # any features will do
        (population,) = model._session.run(["population"], {value.name: np.zeros(shape, dtype=np.float32)})
        self._voice = RunningSpeaker(population, SPEAKER_PRIOR[member["view"]] if prior is None else prior)

    def predict_proba(self, clip: Any) -> npt.NDArray[np.float32]:
        """Probabilities of one clip, path or wave (n_samples,), that is heard now. -> (classes,)."""
        values = self._model._values(clip, name_of(clip, 0))
        found: npt.NDArray[np.float32] = self._model._run({key: self._voice(value) for key, value in values.items()})[0]
        return found


class _Reader:
    """Computes the features of one input with the extractor of its recipe, if that is the one it was trained with."""

    def __init__(self, member: dict[str, Any], recipe: dict[str, Any], name: str) -> None:
        try:
            self._extractor = extractor_from_spec(member["features"])
        except FeatureError as error:
            raise ModelError(f"{name}: {error}") from None
        if self._extractor.spec_hash != member["feature_hash"]:
            raise ModelError(
                f"{name}: was trained on {self._extractor.name} with specification {member['feature_hash']}; "
                f"the installed one is {self._extractor.spec_hash}. Install the featkit and plug-in versions it "
                f"was trained with (featkit {recipe['featkit_version']}), or train again."
            )
        self._view: View = member["view"]

    def __call__(self, wave: Wave, where: str) -> npt.NDArray[np.float32]:
        return self._extractor.extract(wave, self._view, where)


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model that `SERClassifier.export` wrote. No code from the file is run.

    Raises
    ------
    ModelError
        The file is missing, damaged, not featkit's, of a newer format, or was trained on other features than are
        installed.
    PluginError
        Its features need a package that is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file.")
    return Model(path.read_bytes(), str(path))


def _session(content: bytes, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # A model may keep its weights in other files. Ours never do, and one that names files to read is refused: no file
    # lies below the null device.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", f"{os.devnull}/none")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base class
        reason = f"{error}\n".splitlines()[0].rpartition(" : ")[2][:120]
        raise ModelError(f"{name}: is damaged or not an ONNX model ({reason}); copy or export it again.") from None


def _recipe(session: onnxruntime.InferenceSession, name: str) -> dict[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(RECIPE_KEY)
    if text is None:
        raise ModelError(f"{name}: is an ONNX model, but not one that featkit wrote: it holds no recipe.")
    try:
        recipe: dict[str, Any] = json.loads(text)
        form = recipe["format"]
        if form == RECIPE_FORMAT and not _describes(recipe, session):
            raise ValueError("its parts contradict each other")
        other = "Update featkit" if form > RECIPE_FORMAT else "Export it again"
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{name}: its recipe is damaged ({error}); export it again.") from None
    if form != RECIPE_FORMAT:
        raise ModelError(f"{name}: has recipe format {form}; this featkit reads {RECIPE_FORMAT}. {other}.")
    return recipe


def _describes(recipe: dict[str, Any], session: onnxruntime.InferenceSession) -> bool:
    """Whether the recipe fits its own graph, and what is used of it later is of the right kind."""
    kinds = {"min_samples": int, "pad_short": bool, "featkit_version": str, "data": dict, "licence": list}
    outputs = [value.name for value in session.get_outputs()]
    members = recipe["members"]
    normalised = [member["normalise"] for member in members if member["normalise"]]
    return (
        all(isinstance(recipe[key], kind) for key, kind in kinds.items())
        and {value.name for value in session.get_inputs()} == {member["input"] for member in members}
        and outputs == ["label", "probabilities", *(["population"] if normalised else [])]
        and session.get_outputs()[1].shape[1] == len(recipe["labels"])
        and isinstance(recipe["scores"], dict | None)
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
    )
