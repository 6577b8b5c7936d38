"""The search: each trial an evaluation on the same folds of speakers."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from sklearn.base import clone
from tqdm import tqdm

from featkit.backend import Space
from featkit.classifier import SERClassifier
from featkit.columns import labelled
from featkit.errors import DataError, FeatkitError
from featkit.evaluation import evaluate
from featkit.features.base import Features
from featkit.protocols import require_speakers, split
from featkit.tables import percent
from featkit.tuning.space import plan
from featkit.tuning.trials import Trial, Tuning, told
from featkit.tuning.words import recipe

# What settings that do not suit the data raise; LinAlgError is a ValueError, torch's and joblib's are RuntimeErrors.
_COSTS_ONE_TRIAL = (FeatkitError, ValueError, TypeError, ArithmeticError, RuntimeError)


def tune(
    classifier: SERClassifier,
    X: Any,
    y: Any,
    groups: Any = None,
    *,
    space: Space | None = None,
    n_trials: int = 20,
    cv: int | Literal["loso"] = 5,
    allow_leakage: bool = False,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = False,
    on_trial: Callable[[Trial], None] | None = None,
    done: Iterable[Trial] = (),
) -> Tuning:
    """Search settings at random, without repetition. Each trial is an `evaluate` on the same folds of speakers.

    The best score of a search is optimistic: it was chosen on these very folds, and the more trials, the more so. An
    honest number comes from speakers that the search has not heard: keep some out of ``groups`` for a test, or run
    the whole search again inside each training fold (nested cross-validation). Source: Cawley & Talbot (2010), "On
    over-fitting in model selection and subsequent selection bias in performance evaluation", JMLR 11.

    Random search needs fewer trials than a grid where few of the settings matter. Source: Bergstra & Bengio (2012),
    "Random search for hyper-parameter optimization", JMLR 13.

    Parameters
    ----------
    classifier
        Where the search starts: its own settings are the first trial, and those that are not searched stay.
    X, y, groups
        Clips, labels and speakers, as for `evaluate`. Features are extracted once for all trials; for a space that
        names settings of the features, once for each of those.
    space
        Values by setting of the backend (``C`` or ``backend__C``) or of the features (``features__n_mfcc``, which
        need paths or waves for X), or a list of such, of which one at a time is searched. None takes the ``space`` of
        the backend.
    n_trials
        Trials, with the classifier's own. A grid of no more cells than that is searched whole.
    cv, allow_leakage, n_jobs
        As for `evaluate`. Neither trials nor scores depend on ``n_jobs``.
    seed
        Seed of the trials and of the folds. More trials with the same seed begin with the same ones.
    progress
        Show a line a trial and a bar with the best UA so far and the time left.
    on_trial
        Called with every trial as soon as it is made.
    done
        Trials of an earlier search on the same clips and folds (`TrialFile.read`): they are not made again.

    Returns
    -------
    The trials, and an unfitted classifier with the best settings. A trial whose settings do not work costs one row,
    with the reason. Ctrl-C ends the search and returns the trials made so far, if one of them has a score.

    Raises
    ------
    LeakageError
        There are no speakers and leakage is not allowed.
    PluginError
        A setting is unknown.
    DataError
        There is nothing to search, the clips cannot be judged on these folds, or every trial failed.

    Examples
    --------
    >>> from itertools import product
    >>> from featkit import SERClassifier, tune
    >>> from featkit.datasets.synthetic import synthesise
    >>> emotions, speakers, sentences = zip(*product(["anger", "sadness"], [0, 1, 2], [0, 1]))
    >>> waves = [synthesise(*said, take=0) for said in zip(emotions, speakers, sentences)]
    >>> found = tune(SERClassifier(), waves, emotions, groups=speakers, space={"C": [1e-4, 10]}, cv=3)
    >>> len(found.rows), found.best
    (3, {'backend__C': 3.0})
    >>> fitted = found.classifier.fit(waves, emotions, groups=speakers)
    """
    if not isinstance(classifier, SERClassifier):
        raise DataError(f"tune takes an SERClassifier, not a {type(classifier).__name__}.")
    clips, y, speakers = labelled(X, y, groups)
    require_speakers(speakers, allow_leakage)
    _, protocol = split(y, speakers, cv, allow_leakage, seed)  # data that no trial can be judged on are no trial
    tried = plan(classifier, space, n_trials, seed)
    if any(isinstance(clip, Features) for clip in clips) and any(name.startswith("features__") for name in tried[0]):
        raise DataError("To search settings of the features, give paths or waves: extracted features belong to one.")

    judge = _Judge(
        classifier, clips, y, speakers, {"cv": cv, "allow_leakage": allow_leakage, "seed": seed, "n_jobs": n_jobs},
        progress,
    )  # fmt: skip
    judge.features(classifier)  # a clip that cannot be used is an error of the data, not of a trial
    trials = [_asked(classifier, settings) for settings in tried]
    rows: list[Trial] = []
    try:
        for row in _made(judge, trials, done, on_trial, protocol):
            rows.append(row)  # noqa: PERF402 - what is made before Ctrl-C must be in the list
    except KeyboardInterrupt:
        if math.isnan(_highest(rows)):
            raise
        tqdm.write(f"Interrupted: {len(rows)} of {len(trials)} trials are kept.", file=sys.stderr)
    if math.isnan(_highest(rows)):
        raise DataError(f"All {len(rows)} trials failed. The first: {rows[0].failure}")
    found = Tuning(tuple(rows), clone(classifier), protocol, len(trials))
    found.classifier.set_params(**found.best)
    return found


@dataclass
class _Judge:
    """Scores trials on the same clips and folds, and keeps what was extracted for each setting of the features."""

    classifier: SERClassifier
    clips: list[Any]
    y: Any
    speakers: Any
    folds: Mapping[str, Any]
    """cv, allow_leakage, seed and n_jobs of `evaluate`."""
    progress: bool
    ready: dict[str, list[Features]] = field(default_factory=dict)

    def features(self, candidate: SERClassifier) -> list[Features]:
        """The clips as this candidate reads them, extracted when first asked for."""
        extractor, _, _ = candidate.parts()
        if extractor.spec_hash not in self.ready:
            extractor.check()
            worker = clone(candidate).set_params(n_jobs=self.folds["n_jobs"], progress=self.progress)
            self.ready[extractor.spec_hash] = worker.extract(self.clips)
        return self.ready[extractor.spec_hash]

    def __call__(self, trial: Trial) -> Trial:
        """The trial with its scores, or with the reason why there are none."""
        try:
            candidate = clone(self.classifier).set_params(**trial.settings)
            scores = evaluate(candidate, self.features(candidate), self.y, self.speakers, **self.folds)
        except _COSTS_ONE_TRIAL as error:
            kind = "" if isinstance(error, FeatkitError) else f"{type(error).__name__}: "
            reason = textwrap.shorten(f"{kind}{error}", 300, placeholder=" …") or type(error).__name__
            return replace(trial, failure=reason)
        return replace(
            trial, ua=scores.ua, ua_interval=scores.ua_interval, wa=scores.wa, macro_f1=scores.macro_f1,
            cpu_seconds=scores.cpu_seconds,
        )  # fmt: skip


def _made(
    judge: _Judge,
    asked: Sequence[Trial],
    done: Iterable[Trial],
    on_trial: Callable[[Trial], None] | None,
    protocol: str,
) -> Iterator[Trial]:
    """Every trial with its scores, in order: those of ``done`` as they are, the others made and told of."""
    known = {(trial.features, trial.backend): trial for trial in done}
    skipped = sum((trial.features, trial.backend) in known for trial in asked)
    bar = tqdm(total=len(asked), initial=skipped, desc=protocol, unit="trial", disable=not judge.progress, leave=False)
    best = math.nan
    with bar:
        for i, trial in enumerate(asked):
            earlier = known.get((trial.features, trial.backend))
            row = judge(trial) if earlier is None else replace(earlier, settings=trial.settings)
            best = float(np.fmax(best, row.ua))  # of NaN and a number, the number
            if earlier is None:
                if on_trial is not None:
                    on_trial(row)
                if judge.progress:
                    score = (
                        f"failed: {row.failure}"
                        if row.failure is not None
                        else f"UA {percent(row.ua, row.ua_interval)}"
                    )
                    bar.write(f"{i + 1}/{len(asked)}  {told(row.settings)}  {score}", file=sys.stderr)
                    bar.set_postfix_str(f"best UA {100 * best:.1f}", refresh=False)
                bar.update()
            yield row


def _asked(classifier: SERClassifier, settings: Mapping[str, Any]) -> Trial:
    """The trial before it is made."""
    candidate = clone(classifier).set_params(**settings)
    names = {part: {name.removeprefix(f"{part}__") for name in settings} for part in ("features", "backend")}
    features, backend, _ = candidate.parts()
    return Trial(settings, recipe(features, names["features"]), recipe(backend, names["backend"]))


def _highest(rows: Iterable[Trial]) -> float:
    """The best UA, NaN where there is none."""
    return max((row.ua for row in rows if row.failure is None), default=math.nan)
