"""Many clips → features: the one road that training, evaluation, tables and prediction all take."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from featkit.audio import SAMPLE_RATE, as_wave, name_of
from featkit.augment import Augment
from featkit.errors import AudioError, DataError, FeatkitError, FeatureError
from featkit.features.base import Bundle, FeatureExtractor, Features, View, find_extractor, known_spec
from featkit.settings import differing


@dataclass(frozen=True)
class Copies:
    """Varied copies that are made of every training clip: a plan, how many, and the seed."""

    plan: Augment
    n: int = 4
    seed: int = 0

    def summary(self) -> dict[str, Any]:
        """For the recipe of a model."""
        names = "+".join(transform.name for transform in self.plan.transforms)
        return {"plan": names, "copies": self.n, "seed": self.seed}

    @property
    def key(self) -> str:
        """Names the copies in `Features`, so that those of another plan are not taken for these."""
        return f"{self.plan.spec_hash}-{self.n}-{self.seed}"


@dataclass(frozen=True)
class Failure:
    """A clip that could not be used, and why."""

    clip: str
    reason: str


def clip_list(X: Any) -> list[Any]:
    """Clips one by one: of a list, an array or Series of paths, or the rows of a 2-D array of equally long waves."""
    if isinstance(X, (str, os.PathLike)):
        raise DataError(f"One path is given where a list of clips is expected; write [{os.fspath(X)!r}].")
    if X is None:
        raise DataError("X is None; give a list of paths or waves.")
    array = np.asarray(X) if hasattr(X, "__array__") else X
    if isinstance(array, np.ndarray):
        _check_array_of_clips(array)
    if hasattr(X, "toarray") or (isinstance(array, np.ndarray) and (array.ndim != 1 or array.dtype.kind not in "OUST")):
        from sklearn.utils import check_array  # heavy, and seldom needed

        rows = check_array(X, dtype=np.float32)
        if hasattr(X, "columns") or rows.shape[1] < SAMPLE_RATE:
            warnings.warn(
                f"X is a matrix {rows.shape}: each row is heard as {rows.shape[1] / SAMPLE_RATE:.3g} s of sound at "
                f"{SAMPLE_RATE} Hz. If these are features, the scores mean nothing: write an extractor that computes "
                "them. If they are waves, give list(X).",
                stacklevel=3,
            )
        return list(rows)
    clips = list(array)
    if not clips:
        raise DataError("The list of clips is empty.")
    return clips


def _check_array_of_clips(array: np.ndarray[Any, Any]) -> None:
    """Say what an array is that holds neither paths nor a wave a row."""
    if not array.size and array.ndim == 1:
        raise DataError("The list of clips is empty.")
    if array.ndim == 1 and array.dtype.kind in "fiu":
        raise DataError(
            "One wave is given where a list of clips is expected; write [wave]. Reshape your data to (clips, samples) "
            "where there are many."
        )
    if array.ndim > 1 and array.size and isinstance(array.flat[0], str):
        raise DataError(f"X has shape {array.shape} and holds words; give the one column with the paths: table['file']")
    if array.ndim > 2:
        raise DataError(
            f"X has shape {array.shape}; a clip is a path or a wave (n_samples,). If these are features, make them "
            "with clf.extract(clips), which remembers their settings."
        )


def extract(
    clips: Sequence[Any],
    features: str | FeatureExtractor = "mfcc39",
    view: View = "functionals",
    *,
    pad_short: bool = False,
    copies: Copies | None = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Features]:
    """Extract features once, to be used wherever clips are: in ``fit``, ``predict``, ``GridSearchCV``, ``evaluate``.

    Parameters
    ----------
    clips
        Paths, waves (n_samples,) at 16 000 Hz, or `Features`, which are checked and passed on.
    features
        Name of a set, names joined by ``+``, or an extractor.
    view
        "functionals", one vector a clip, or "frames", (time, dims).
    pad_short
        Append silence to clips that are too short instead of refusing them.
    copies
        Also extract varied copies of every clip, for training.
    n_jobs
        joblib workers; -1 for all cores. Any joblib engine serves (``joblib.parallel_config``).
    progress
        Show a bar with the time left.

    Raises
    ------
    FeatkitError
        The first clip that cannot be used, by name. `extract_all` collects them instead.
    """
    results = _results(clip_list(clips), features, view, pad_short, copies, n_jobs, progress)
    found: list[Features] = []
    for result in results:
        if isinstance(result, FeatkitError):
            with warnings.catch_warnings():
                # joblib tells of tasks that were done and not used: they are of no use after this error.
                warnings.filterwarnings("ignore", ".*tasks", UserWarning)
                results.close()
            raise result
        found.append(result)
    return found


def extract_all(
    clips: Sequence[Any],
    features: str | FeatureExtractor = "mfcc39",
    view: View = "functionals",
    *,
    pad_short: bool = False,
    copies: Copies | None = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> tuple[list[Features | None], list[Failure]]:
    """As `extract`, but a bad clip costs one row: its place holds None, and a `Failure` says why."""
    clips = clip_list(clips)
    found: list[Features | None] = []
    failures: list[Failure] = []
    for i, result in enumerate(_results(clips, features, view, pad_short, copies, n_jobs, progress)):
        if isinstance(result, FeatkitError):
            failures.append(Failure(name_of(clips[i], i), str(result)))
            found.append(None)
        else:
            found.append(result)
    return found, failures


def _results(
    clips: Sequence[Any],
    features: str | FeatureExtractor,
    view: View,
    pad_short: bool,
    copies: Copies | None,
    n_jobs: int | None,
    progress: bool,
) -> Generator[Features | FeatkitError, None, None]:
    extractor = find_extractor(features)
    extractor.check()  # before the first clip, and not as what is wrong with every one
    if copies is not None:
        copies.plan.check()
    # Decoding, onnxruntime and openSMILE all release the GIL: threads share one extractor and start at once.
    workers = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    results = workers(
        delayed(_one)(clip, name_of(clip, i), extractor, view, pad_short, copies) for i, clip in enumerate(clips)
    )
    bar = tqdm(results, total=len(clips), desc=extractor.name, unit="clip", disable=not progress, leave=False)
    yield from bar


def _one(
    clip: Any, where: str, extractor: FeatureExtractor, view: View, pad_short: bool, copies: Copies | None
) -> Features | FeatkitError:
    try:
        return extract_one(clip, where, extractor, view, pad_short, copies)
    except FeatkitError as error:
        return error


def extract_one(
    clip: Any, where: str, extractor: FeatureExtractor, view: View, pad_short: bool, copies: Copies | None = None
) -> Features:
    """One clip → one view. `Features` of the same specification, view and copies pass; others are refused."""
    if isinstance(clip, Bundle):
        clip = clip.part(extractor.spec_hash, view, None if copies is None else copies.key)
    if not isinstance(clip, Features):
        wave = as_wave(clip, where)
        try:
            values = extractor.extract(wave, view, where, pad_short)
        except AudioError as error:
            if isinstance(clip, np.ndarray):  # a row of a table is not too short a recording
                raise AudioError(f"{error} If these are features, make them with clf.extract(clips).") from None
            raise
        seconds = len(wave) / SAMPLE_RATE
        if copies is None:
            return Features(values, view, extractor.spec_hash, seconds=seconds)
        # A copy that speed made a little too short for the set is padded, whatever was said of recordings.
        varied = tuple(
            extractor.extract(copy, view, where, True) for copy in copies.plan.copies(wave, copies.n, copies.seed)
        )
        return Features(values, view, extractor.spec_hash, varied, copies.key, seconds)
    if clip.spec_hash != extractor.spec_hash:
        raise FeatureError(
            f"{where}: these features have specification {clip.spec_hash}; {extractor.name} with these settings is "
            f"{extractor.spec_hash} ({differing(extractor.spec, known_spec(clip.spec_hash))}). Extract them again with "
            "the same settings."
        )
    if clip.view != view:
        raise FeatureError(f"{where}: these are {clip.view}; the backend reads {view}. Extract those (--view {view}).")
    if copies is not None and clip.augment != copies.key:
        raise FeatureError(
            f"{where}: these features hold no copies made by this plan; augmentation needs the recordings, or features "
            "extracted by an estimator with the same augment, copies and random_state."
        )
    # Who asked for no copies must not learn from those that another has made.
    return clip if copies is not None or clip.augment is None else replace(clip, copies=(), augment=None)
