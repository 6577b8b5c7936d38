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

from featkit.audio import SAMPLE_RATE, as_wave, at_least, name_of
from featkit.errors import FeatureError, ModelError
from featkit.features.base import extractor_from_spec, hash_spec

RECIPE_KEY = "featkit"
RECIPE_FORMAT = 1


class Model:
    """A trained recogniser read from one ONNX file. Made by `load`.

    Attributes
    ----------
    labels
        Emotions, in the order of the columns of ``predict_proba``.
    input
        What the graph reads: "wave", "frames" or "functionals".
    recipe
        Everything the file says of itself: features, backend, training data, scores, licence.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self._session = _session(content, name)
        self.recipe = _recipe(self._session, name)
        self.labels: list[str] = self.recipe["labels"]
        self.input: str = self.recipe["input"]
        self._extractor = None
        if self.input != "wave":
            try:
                self._extractor = extractor_from_spec(self.recipe["features"])
            except FeatureError as error:
                raise ModelError(f"{name}: {error}") from None
            if self._extractor.spec_hash != self.recipe["feature_hash"]:
                raise ModelError(
                    f"{name}: was trained on {self._extractor.name} with specification {self.recipe['feature_hash']}; "
                    f"the installed one is {self._extractor.spec_hash}. Install the featkit and plug-in versions it "
                    f"was trained with (featkit {self.recipe['featkit_version']}), or train again."
                )

    def predict_proba(self, clips: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Probabilities of each emotion. A list of paths or waves (n_samples,) at 16 000 Hz -> (n, classes).

        Clips run one by one, so an answer never depends on its neighbours.
        """
        if isinstance(clips, (str, os.PathLike)):
            raise ModelError(f"Give a list of clips: [{str(clips)!r}].")
        rows = [self._run(clip, name_of(clip, i)) for i, clip in enumerate(clips)]
        return np.concatenate(rows) if rows else np.empty((0, len(self.labels)), dtype=np.float32)

    def predict(self, clips: Sequence[Any]) -> npt.NDArray[np.str_]:
        """The most probable emotion of each clip. -> (n,)."""
        labels: npt.NDArray[np.str_] = np.array(self.labels)[self.predict_proba(clips).argmax(axis=1)]
        return labels

    def _run(self, clip: Any, where: str) -> npt.NDArray[np.float32]:
        wave, pad_short = as_wave(clip, where), self.recipe["pad_short"]
        if self._extractor is None:
            value: npt.NDArray[np.float32] = at_least(wave, self.recipe["min_samples"], pad_short, where)
        else:
            value = self._extractor.extract(wave, self.recipe["view"], where, pad_short)
        probabilities: npt.NDArray[np.float32] = self._session.run(["probabilities"], {self.input: value[None]})[0]
        return probabilities

    def __repr__(self) -> str:
        backend = self.recipe["backend"]["name"]
        return f"<featkit model: {self.input} -> {backend} -> {', '.join(self.labels)}>"


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
        newer = recipe["format"] > RECIPE_FORMAT
        if not newer and not _describes(recipe, session):
            raise ValueError("its parts contradict each other")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{name}: its recipe is damaged ({error}); export it again.") from None
    if newer:
        form = recipe["format"]
        raise ModelError(f"{name}: has recipe format {form}; this featkit reads {RECIPE_FORMAT}. Update featkit.")
    return recipe


def _describes(recipe: dict[str, Any], session: onnxruntime.InferenceSession) -> bool:
    """Whether the recipe fits its own graph, and what is used of it later is of the right kind."""
    kinds = {"view": str, "min_samples": int, "pad_short": bool, "backend": dict, "featkit_version": str, "data": dict}
    return (
        all(isinstance(recipe[key], kind) for key, kind in kinds.items())
        and [value.name for value in session.get_inputs()] == [recipe["input"]]
        and [value.name for value in session.get_outputs()] == ["label", "probabilities"]
        and session.get_outputs()[1].shape[1] == len(recipe["labels"])
        and isinstance(recipe["scores"], dict | None)
        and isinstance(recipe["licence"], list)
        and recipe["sample_rate"] == SAMPLE_RATE
        and hash_spec(recipe["features"]) == recipe["feature_hash"]
    )
