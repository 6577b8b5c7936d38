"""Deployment side: a model file → probabilities. A leaf: numpy, onnxruntime and the door for audio.

A model whose features are no graph (openSMILE) also loads its extractor, by its installed name. A file is not
trusted: it is looked through before onnxruntime reads it, and what it computes has a limit of memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from featkit.audio import Wave, as_wave, at_least, name_of
from featkit.errors import AudioError, FeatureError, ModelError
from featkit.features.base import View, extractor_from_spec, parts_of
from featkit.modelfile import canary
from featkit.modelfile.recipe import Opened, open_model
from featkit.modelfile.session import file_content, reason, time_limit, told
from featkit.normalise import RunningSpeaker, standardised, statistics_of
from featkit.settings import differing

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
    quantised
        Whether its graph computes in 8 bits.
    """

    _file: Path | None = None
    """Where it was read from; None where it was made of bytes."""

    def __init__(self, opened: Opened, *, check: bool = True) -> None:
        name = opened.name
        self._name, self._options = name, None  # of a run: it has no limit of time but when the model is loaded
        self._session, self.recipe = opened.session, opened.recipe
        self.labels: list[str] = self.recipe["labels"]
        self.inputs, self.quantised = opened.inputs, opened.quantised
        members = {member["input"]: member for member in self.recipe["members"]}
        self._readers = {key: _Reader(member, self.recipe, name) for key, member in members.items() if key != "wave"}
        self.normalise: str | None = self.recipe["members"][0]["normalise"]
        if check:  # all but a file that is being made
            self._check()

    @classmethod
    def of(cls, content: bytes, name: str) -> Model:
        """The model in these bytes, as `load` reads it from a file; ``name`` is what messages call it."""
        return cls(open_model(content, name))

    def predict_proba(self, clips: Sequence[Any], speakers: Sequence[Any] | None = None) -> npt.NDArray[np.float32]:
        """Probabilities of each emotion. A list of paths or waves (n_samples,) at 16 000 Hz -> (n, classes).

        Clips run one by one, so an answer never depends on its neighbours; but of a model that was trained with
        ``normalise="speaker"`` it depends on the other clips of its speaker, and ``speakers`` (n,) must be told.
        """
        if isinstance(clips, (str, os.PathLike)):
            raise ModelError(f"Give a list of clips: [{str(clips)!r}].")
        if self.normalise:
            return self._by_speaker(clips, speakers)
        rows = [self._run(self._values(clip, where), where) for where, clip in _named(clips)]
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

    def wave(self, clip: Any, where: str) -> Wave:
        """A clip, path or wave, as the model hears it: silence is appended if it is too short and may be padded.

        Raises `AudioError` where it cannot be used; ``where`` is its name in the message.
        """
        return at_least(as_wave(clip, where), self.recipe["min_samples"], self.recipe["pad_short"], where)

    def _values(self, clip: Any, where: str) -> dict[str, npt.NDArray[np.float32]]:
        """What the graph reads of one clip, by the name of the input."""
        wave = self.wave(clip, where)
        return {key: self._readers[key](wave, where) if key in self._readers else wave for key in self.inputs}

    def _run(self, values: dict[str, npt.NDArray[np.float32]], where: str) -> npt.NDArray[np.float32]:
        feed = {key: value[None] for key, value in values.items()}
        return self._ask("probabilities", feed, (1, len(self.labels)), where)

    def _ask(
        self, output: str, feed: dict[str, npt.NDArray[np.float32]], shape: tuple[int, ...], where: str
    ) -> npt.NDArray[np.float32]:  # fmt: skip
        """One output of the graph, which must have this shape."""
        try:
            answer: npt.NDArray[np.float32] = self._session.run([output], feed, self._options)[0]
        except Exception as error:  # onnxruntime's exceptions have no common base class
            raise AudioError(f"{where}: the model gives no answer ({reason(error)}); try a shorter piece.") from None
        if answer.shape != shape:
            raise AudioError(f"{where}: the model gives {output} of shape {answer.shape}; export it again.")
        return answer

    def heard(self) -> dict[str, Any]:
        """What the model answers to the test sound, as its recipe keeps it."""
        where = "the test sound"
        values = self._values(canary.sound(self.recipe["min_samples"]), where)
        try:
            with time_limit() as self._options, np.errstate(all="ignore"):  # what is no number is told below
                rows = self.follow()._judge(values, where) if self.normalise else self._run(values, where)
        finally:
            self._options = None
        return canary.answered(values, rows[0])

    def _check(self) -> None:
        """Refuse a model that answers otherwise than where it was exported."""
        expected = self.recipe["canary"]
        try:
            problem = canary.difference(expected, self.heard())
        except (AudioError, FeatureError) as error:
            problem = str(error).rstrip(".")
        except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
            raise ModelError(f"{self._name}: its recipe is damaged ({reason(error)}); export it again.") from None
        if problem:
            others = told(canary.other_versions(expected["versions"]), 200)
            made = f"It was made with {others}: install that" if others else "It was changed: copy it again"
            raise ModelError(
                f"{self._name}: does not answer as where it was exported: {problem}. {made}, or export it anew."
            )

    def _by_speaker(self, clips: Sequence[Any], speakers: Sequence[Any] | None) -> npt.NDArray[np.float32]:
        if speakers is None or len(speakers) != len(clips):
            raise ModelError(
                "This model judges a clip beside the others of its speaker (normalise='speaker'): give one speaker for "
                "each clip, or follow one speaker clip by clip with Model.follow()."
            )
        (key,) = self.inputs
        values = [self._values(clip, where)[key] for where, clip in _named(clips)]
        about = statistics_of(values, speakers)
        judged = zip(_named(clips), values, speakers, strict=True)
        rows = [self._run({key: standardised(value, about[who])}, where) for (where, _), value, who in judged]
        return np.concatenate(rows) if rows else np.empty((0, len(self.labels)), dtype=np.float32)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as the name of its file, which the process that unpickles it reads and checks again."""
        if self._file is None:
            raise ModelError(
                "A model that was made of bytes cannot be pickled; pickle the bytes, and call Model.of in the other "
                "process."
            )
        return load, (self._file,)

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
        features = np.zeros(shape, dtype=np.float32)
        population = model._ask("population", {value.name: features}, (2, shape[-1]), "the training speakers")
        self._voice = RunningSpeaker(population, SPEAKER_PRIOR[member["view"]] if prior is None else prior)

    def predict_proba(self, clip: Any) -> npt.NDArray[np.float32]:
        """Probabilities of one clip, path or wave (n_samples,), that is heard now. -> (classes,)."""
        where = name_of(clip, 0)
        found: npt.NDArray[np.float32] = self._judge(self._model._values(clip, where), where)[0]
        return found

    def _judge(self, values: dict[str, npt.NDArray[np.float32]], where: str) -> npt.NDArray[np.float32]:
        return self._model._run({key: self._voice(value) for key, value in values.items()}, where)


class _Reader:
    """Computes the features of one input with the extractor of its recipe, if that is the one it was trained with."""

    def __init__(self, member: dict[str, Any], recipe: dict[str, Any], name: str) -> None:
        try:
            self._extractor = extractor_from_spec(member["features"])
            for part in parts_of(self._extractor):
                if "local_files_only" in part.get_params():  # a file may name weights, but have none downloaded
                    part.set_params(local_files_only=True)
                part.check()
            installed = self._extractor.spec_hash
        except (AttributeError, FeatureError) as error:
            raise ModelError(f"{name}: {told(error, 500)}") from None
        if installed != member["feature_hash"]:
            other = differing(self._extractor.spec, member["features"])
            raise ModelError(
                f"{name}: was trained on {self._extractor.name} with specification {member['feature_hash']}; "
                f"the installed one is {installed} ({other}). Install the featkit and plug-in versions it "
                f"was trained with (featkit {recipe['featkit_version']}), or train again."
            )
        self._view: View = member["view"]

    def __call__(self, wave: Wave, where: str) -> npt.NDArray[np.float32]:
        return self._extractor.extract(wave, self._view, where)


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model that `SERClassifier.export` wrote. No code from the file is run, and it names no other files.

    The model is asked about a sound made by formula, and must answer as where it was exported. What it may hold and
    take is in `featkit.modelfile`.

    Raises
    ------
    ModelError
        The file is missing, damaged, not featkit's, of another form or format, holds what no model needs, contradicts
        itself, was trained on other features than are installed, or answers otherwise than where it was exported.
    PluginError
        Its features need a package that is not installed.
    """
    if isinstance(path, bytes | bytearray | memoryview):
        raise ModelError("featkit.load reads a file by its name; of bytes Model.of(content, name) makes the model.")
    model = Model.of(file_content(Path(path)), str(path))
    model._file = Path(path).absolute()
    return model


def _named(clips: Any) -> Iterator[tuple[str, Any]]:
    """Each clip of a list, and how it is called in messages."""
    if isinstance(clips, np.ndarray) and clips.ndim == 1 and clips.dtype.kind in "fiu":
        raise ModelError("One wave is given where a list of clips is expected; write [wave].")
    return ((name_of(clip, i), clip) for i, clip in enumerate(clips))
