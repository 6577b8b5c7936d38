"""Hyper-parameter search: settings drawn at random, each scored on speakers that it has not heard."""

from __future__ import annotations

import csv
import hashlib
import inspect
import io
import json
import keyword
import math
import re
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from featkit import plugins
from featkit.backend import Backend, Float
from featkit.classifier import Recogniser, SERClassifier, column
from featkit.errors import DataError, FeatkitError, PluginError
from featkit.evaluation import evaluate
from featkit.extraction import Failure, clip_list
from featkit.features.base import FeatureExtractor, Features, Fusion
from featkit.protocols import require_speakers, split
from featkit.tables import csv_line, markdown, percent, seconds

OPTIMISM = (
    "The best score of a search is optimistic, because it was chosen on these very folds. An honest number comes from "
    "speakers that the search has not heard: a test set, or the whole search again inside each training fold (nested)."
)
# What settings that do not suit the data raise; LinAlgError is a ValueError, torch's and joblib's are RuntimeErrors.
_COSTS_ONE_TRIAL = (FeatkitError, ValueError, TypeError, ArithmeticError, RuntimeError)


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, with what they scored, or why they failed. Scores are 0 to 1; NaN after a failure."""

    settings: Mapping[str, Any]
    """As ``SERClassifier.set_params`` takes them: ``{"backend__C": 10}``."""
    features: str
    backend: str
    """Set and backend as the command line reads them: "svm:C=10,gamma=0.5,kernel=rbf"."""
    ua: float = math.nan
    ua_interval: tuple[float, float] | None = None
    """95 %, over speakers; None where they are not known."""
    wa: float = math.nan
    macro_f1: float = math.nan
    cpu_seconds: float = math.nan
    failure: str | None = None

    def summary(self) -> dict[str, Any]:
        """Settings and scores as plain data; None for what there is not."""
        low, high = self.ua_interval or (None, None)
        numbers = {"UA": self.ua, "WA": self.wa, "macro_F1": self.macro_f1, "cpu_seconds": self.cpu_seconds}
        scores = {name: None if math.isnan(number) else number for name, number in numbers.items()}
        return dict(self.settings) | {"UA_low": low, "UA_high": high} | scores | {"failure": self.failure}


@dataclass(frozen=True, eq=False)
class Tuning:
    """What a search has tried, and the best of it."""

    rows: tuple[Trial, ...]
    """Trials in the order they were made, the classifier's own settings first."""
    classifier: SERClassifier
    """A clone with the best settings, not fitted."""
    protocol: str
    """The folds, as in `featkit.Evaluation`."""
    planned: int
    """Trials that were meant; more than there are rows where Ctrl-C ended the search."""

    @property
    def ranked(self) -> list[Trial]:
        """Highest UA first, of equals the one tried first; failures last."""
        return sorted(self.rows, key=lambda row: math.inf if row.failure is not None else -row.ua)

    @property
    def best(self) -> Mapping[str, Any]:
        """The settings with the highest UA, for ``set_params``. That UA is optimistic: see `tune`."""
        return self.ranked[0].settings

    @property
    def interrupted(self) -> bool:
        """Whether the search ended before its plan."""
        return len(self.rows) < self.planned

    def table(self) -> list[dict[str, Any]]:
        """One row a trial, best first, as plain data."""
        return [row.summary() for row in self.ranked]

    def report(self, top: int = 20) -> str:
        """The ``top`` trials as a Markdown table, best first, the reasons of failures, and how far to trust them."""
        failed = [row for row in self.rows if row.failure is not None]
        good = self.ranked[: len(self.rows) - len(failed)]
        title = (
            f"{len(self.rows)} trials{f' of {self.planned}, then interrupted' if self.interrupted else ''}, "
            f"{self.protocol}{'' if good[0].ua_interval is None else '; UA with 95 % interval over speakers'}"
        )
        parts = [title, markdown([_cells(row) for row in good[:top]])]
        if len(good) > top:
            parts.append(f"… and {len(good) - top} more.")
        if failed:
            reasons = [f"  {_told(row.settings)}: {row.failure}" for row in failed]
            parts.append("\n".join([f"{len(failed)} of {len(self.rows)} trials failed:", *reasons]))
        return "\n\n".join([*parts, textwrap.fill(OPTIMISM, 110)])


def tune(
    classifier: SERClassifier,
    X: Any,
    y: Any,
    groups: Any = None,
    *,
    space: Mapping[str, Sequence[Any]] | None = None,
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
        need paths or waves for X). None takes the ``space`` of the backend.
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
    clips, y = clip_list(X), column(y, "label")
    speakers = None if groups is None else column(groups, "speaker")
    check_consistent_length(clips, y, speakers)
    require_speakers(speakers, allow_leakage)
    _, protocol = split(y, speakers, cv, allow_leakage, seed)  # data that no trial can be judged on are no trial
    plan = _plan(classifier, space, n_trials, seed)
    if any(isinstance(clip, Features) for clip in clips) and any(name.startswith("features__") for name in plan[0]):
        raise DataError("To search settings of the features, give paths or waves: extracted features belong to one.")

    judge = _Judge(
        classifier, clips, y, speakers, {"cv": cv, "allow_leakage": allow_leakage, "seed": seed, "n_jobs": n_jobs},
        progress,
    )  # fmt: skip
    judge.features(classifier)  # a clip that cannot be used is an error of the data, not of a trial
    asked = [_asked(classifier, settings) for settings in plan]
    rows: list[Trial] = []
    try:
        for row in _made(judge, asked, done, on_trial, protocol):
            rows.append(row)  # noqa: PERF402 - what is made before Ctrl-C must be in the list
    except KeyboardInterrupt:
        if math.isnan(_highest(rows)):
            raise
        tqdm.write(f"Interrupted: {len(rows)} of {len(asked)} trials are kept.", file=sys.stderr)
    if math.isnan(_highest(rows)):
        raise DataError(f"All {len(rows)} trials failed. The first: {rows[0].failure}")
    found = Tuning(tuple(rows), clone(classifier), protocol, len(asked))
    found.classifier.set_params(**found.best)
    return found


class TunedClassifier(Recogniser):
    """A `SERClassifier` whose settings are searched whenever it is fitted, on the clips it is fitted on alone.

    In `evaluate` that makes nested cross-validation: every fold searches on its training speakers, and is scored on
    speakers that the search has not heard, so the score is not optimistic.

    Parameters
    ----------
    classifier
        Where the search starts; its own settings are the first trial.
    space, n_trials, cv, seed
        As for `tune`. Of fewer speakers than ``cv`` each is left out in turn.
    n_jobs
        joblib workers for extraction and for the folds of the search; -1 for all cores.
    progress
        Show bars.

    Attributes
    ----------
    search_
        The `Tuning` of the last fit.
    best_
        The classifier with the settings it found, fitted on all clips.

    Examples
    --------
    >>> from itertools import product
    >>> from featkit import SERClassifier, evaluate
    >>> from featkit.datasets.synthetic import synthesise
    >>> emotions, speakers, sentences = zip(*product(["anger", "sadness"], [0, 1, 2], [0, 1]))
    >>> waves = [synthesise(*said, take=0) for said in zip(emotions, speakers, sentences)]
    >>> tuned = TunedClassifier(SERClassifier(), space={"C": [0.1, 10]}, cv=2)
    >>> evaluate(tuned, waves, emotions, groups=speakers).ua
    1.0
    """

    search_: Tuning
    best_: SERClassifier

    def __init__(
        self,
        classifier: SERClassifier,
        *,
        space: Mapping[str, Sequence[Any]] | None = None,
        n_trials: int = 20,
        cv: int | Literal["loso"] = 5,
        seed: int = 0,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.classifier = classifier
        self.space = space
        self.n_trials = n_trials
        self.cv = cv
        self.seed = seed
        self.n_jobs = n_jobs
        self.progress = progress

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Search, then fit the best on all clips. Clips without speakers are parted at random."""
        if sample_weight is not None:
            raise DataError("TunedClassifier does not weigh clips; leave out sample_weight.")
        clips = self.extract(X)
        speakers = None if groups is None else column(groups, "speaker")
        few = speakers is not None and self.cv != "loso" and len(np.unique(speakers)) < self.cv
        self.search_ = tune(
            self.classifier, clips, y, speakers, space=self.space, n_trials=self.n_trials,
            cv="loso" if few else self.cv, allow_leakage=speakers is None, seed=self.seed, n_jobs=self.n_jobs,
            progress=self.progress,
        )  # fmt: skip
        if self.search_.interrupted:  # half a search would be another recipe
            raise KeyboardInterrupt
        self.best_ = self.search_.classifier.fit(clips, y, groups=speakers)
        self.classes_ = self.best_.classes_
        return self

    def predict_proba(self, X: Any, groups: Any = None) -> Float:
        """Probabilities by the best settings. -> (n, classes)."""
        check_is_fitted(self, "best_")
        return self.best_.predict_proba(X, groups)

    def extract(self, X: Any) -> list[Features]:
        """See `Recogniser.extract`."""
        return self._worker().extract(X)

    def extract_all(self, X: Any) -> tuple[list[Features | None], list[Failure]]:
        """See `Recogniser.extract_all`."""
        return self._worker().extract_all(X)

    def members(self) -> Sequence[SERClassifier]:
        """The best classifier once it is found, before that the one to start from."""
        return [self.best_ if hasattr(self, "best_") else self.classifier]

    def _worker(self) -> SERClassifier:
        worker: SERClassifier = clone(self.classifier).set_params(n_jobs=self.n_jobs, progress=self.progress)
        return worker


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
                    bar.write(f"{i + 1}/{len(asked)}  {_told(row.settings)}  {score}", file=sys.stderr)
                    bar.set_postfix_str(f"best UA {100 * best:.1f}", refresh=False)
                bar.update()
            yield row


def _plan(
    classifier: SERClassifier, space: Mapping[str, Sequence[Any]] | None, n_trials: int, seed: int
) -> list[dict[str, Any]]:
    """Settings of every trial, by the names of ``set_params``; the classifier's own first."""
    if n_trials < 1:
        raise DataError(f"n_trials must be 1 or more; it is {n_trials}.")
    own, values = _space(classifier, space)
    grid = ParameterGrid(values)
    plan = [own]
    if len(grid) <= n_trials:
        return plan + [dict(sorted(cell.items())) for cell in grid if cell != own]
    # Not ParameterSampler, whose draws for one number of trials are no beginning of those for another: a search with
    # more trials should go on from the file of the one before.
    rng, drawn = np.random.default_rng(seed), set()
    while len(plan) < n_trials:
        place = int(rng.integers(len(grid)))
        if place not in drawn and grid[place] != own:
            plan.append(dict(sorted(grid[place].items())))
        drawn.add(place)
    return plan


def _space(
    classifier: SERClassifier, space: Mapping[str, Sequence[Any]] | None
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Present value, and values to try, by the names of ``set_params``."""
    extractor, backend, _ = classifier.parts()
    parts: dict[str, Any] = {"backend": backend, "features": extractor}
    if space is None:
        space = backend.space
    if not space:
        raise DataError(
            f"There is nothing to search: {type(backend).__name__}.space is empty, and no other space is given. Name "
            f"settings of {backend.name} with values to try, as in space={{'C': [0.1, 1, 10]}} (--space C=0.1,1,10)."
        )
    own: dict[str, Any] = {}
    values: dict[str, list[Any]] = {}
    for name, tried in sorted(space.items()):
        part, _, setting = (
            name.partition("__") if name.startswith(("backend__", "features__")) else ("backend", "", name)
        )
        present = parts[part].get_params()
        if setting not in present:
            raise PluginError(plugins.unknown(f"setting of {parts[part].name}", setting, present, "Settings"))
        full = f"{part}__{setting}"
        if full in values:
            raise DataError(f"The setting {setting} of the {part} stands twice in the space.")
        own[full], values[full] = present[setting], _values(setting, tried)
    return dict(sorted(own.items())), values


def _values(setting: str, tried: Any) -> list[Any]:
    """A list without repetitions, of Python's own numbers: NumPy's are written otherwise."""
    if isinstance(tried, str | bytes | Mapping) or not isinstance(tried, Iterable) or not list(tried):
        raise DataError(f"The values of {setting} must be a list of one or more; it is {tried!r}.")
    found: list[Any] = []
    for value in tried:
        plain = value.item() if isinstance(value, np.generic) else value
        if plain not in found:
            found.append(plain)
    return found


def _asked(classifier: SERClassifier, settings: Mapping[str, Any]) -> Trial:
    """The trial before it is made."""
    candidate = clone(classifier).set_params(**settings)
    names = {part: {name.removeprefix(f"{part}__") for name in settings} for part in ("features", "backend")}
    features, backend, _ = candidate.parts()
    return Trial(settings, recipe(features, names["features"]), recipe(backend, names["backend"]))


def _highest(rows: Iterable[Trial]) -> float:
    """The best UA, NaN where there is none."""
    return max((row.ua for row in rows if row.failure is None), default=math.nan)


# --- in words ------------------------------------------------------------------------------------------------------


def recipe(part: Backend | FeatureExtractor, shown: Collection[str] = ()) -> str:
    """Backend or set as the command line reads it: its name, and the settings that are ``shown`` or not the default.

    Examples
    --------
    >>> from featkit.backend import find_backend
    >>> from featkit.features import find_extractor
    >>> recipe(find_backend("svm:C=10"), {"kernel"}), recipe(find_extractor("mfcc39:n_mfcc=20+logmel"))
    ('svm:C=10,kernel=rbf', 'mfcc39:n_mfcc=20+logmel')
    """
    if isinstance(part, Fusion):
        return "+".join(recipe(one) for one in part.parts)
    defaults = inspect.signature(type(part)).parameters
    words = {name: (_word(value), _word(defaults[name].default)) for name, value in part.get_params(deep=False).items()}
    told = [f"{name}={word}" for name, (word, default) in sorted(words.items()) if name in shown or word != default]
    return part.name + (f":{','.join(told)}" if told else "")


def read_space(texts: Iterable[str]) -> dict[str, list[Any]]:
    """``NAME=VALUE,VALUE,…`` of the command line → values by setting.

    Examples
    --------
    >>> read_space(["C=0.1,1", "kernel=rbf,linear", "channels=(8,12),(64,128)"])
    {'C': [0.1, 1], 'kernel': ['rbf', 'linear'], 'channels': [(8, 12), (64, 128)]}

    Raises
    ------
    PluginError
        It is written otherwise, or a setting stands twice.
    """
    space: dict[str, list[Any]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        try:
            # A comma inside brackets belongs to a value.
            space_of = [plugins.parse(f"x:{name}={value}")[1][name] for value in re.split(r",(?![^(\[]*[)\]])", values)]
        except (PluginError, KeyError):
            raise PluginError(
                f"'{text}': values to try are written as in 'C=0.1,1,10': words, numbers or tuples between commas."
            ) from None
        if name in space:
            raise PluginError(f"'{text}': values for {name} are given twice; write them as one list.")
        space[name] = space_of
    return space


def _word(value: Any) -> str:
    """As `featkit.plugins.parse` reads it, without spaces, which a shell would cut at."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        plain = value.isidentifier() and not keyword.iskeyword(value) and value not in ("none", "true", "false")
        return value if plain else repr(value)
    return repr(value).replace(", ", ",")


def _told(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.removeprefix('backend__')}={_word(value)}" for name, value in settings.items())


def _cells(row: Trial) -> dict[str, str]:
    """One row of the Markdown table, in percent, as `featkit.benchmark.report` writes them."""
    scores = {
        "WA": percent(row.wa),
        "UA": percent(row.ua, row.ua_interval),
        "macro-F1": percent(row.macro_f1),
        "CPU s": seconds(row.cpu_seconds),
    }
    return {name.removeprefix("backend__"): _word(value) for name, value in row.settings.items()} | scores


# --- on disk -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Record:
    """One line of a `TrialFile`."""

    data: str
    folds: str
    features: str
    backend: str
    UA: float | None
    UA_low: float | None
    UA_high: float | None
    WA: float | None
    macro_F1: float | None  # noqa: N815 - named as in every summary
    cpu_seconds: float | None
    failure: str | None


@dataclass(frozen=True)
class TrialFile:
    """Trials on disk, one line each, so that a search that is killed loses at most one.

    ``data`` and ``folds`` say what the scores stand for, and every line repeats them: trials of other data or folds
    cannot be compared, so a file that holds such is refused.
    """

    path: Path
    """*.jsonl or *.csv."""
    data: str
    folds: str

    def append(self, trial: Trial) -> None:
        """Write one trial to the end."""
        scores = {name: value for name, value in trial.summary().items() if name not in trial.settings}
        record = asdict(_Record(self.data, self.folds, trial.features, trial.backend, **scores))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            if self._is_csv:
                head = "" if file.tell() else csv_line(record)
                file.write(head + csv_line("" if value is None else value for value in record.values()))
            else:
                file.write(json.dumps(record) + "\n")

    def read(self) -> list[Trial]:
        """The trials so far, without their ``settings``; none where there is no file.

        Half a line at the end, which is what a killed search may leave, is cut off.

        Raises
        ------
        DataError
            The file is something else, or its trials were made on other data or folds.
        """
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            records = self._records(whole.decode("utf-8"))
        except (ValueError, TypeError, csv.Error):
            records = []
        if content and not records:
            raise DataError(f"{self.path}: is no file of trials that featkit tune wrote; give another name.")
        for record in records:
            for what, theirs, ours in (("data", record.data, self.data), ("folds", record.folds, self.folds)):
                if theirs != ours:
                    raise DataError(
                        f"{self.path}: holds trials on other {what} ({theirs}) than this search ({ours}); give another "
                        "name, or the same settings as before."
                    )
        if len(whole) < len(content):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        return [_trial(record) for record in records]

    @property
    def _is_csv(self) -> bool:
        if self.path.suffix not in (".jsonl", ".csv"):
            raise DataError(f"{self.path}: trials are kept as *.jsonl or *.csv.")
        return self.path.suffix == ".csv"

    def _records(self, text: str) -> list[_Record]:
        if not self._is_csv:
            return [_Record(**json.loads(line)) for line in text.splitlines()]
        numbers = {name for name, kind in _Record.__annotations__.items() if kind == "float | None"}

        def value(name: str, cell: str) -> Any:
            return None if cell == "" else float(cell) if name in numbers else cell

        rows = csv.DictReader(io.StringIO(text), strict=True)
        return [_Record(**{name: value(name, cell) for name, cell in row.items()}) for row in rows]


def _trial(record: _Record) -> Trial:
    ua, wa, macro_f1, cpu_seconds = (
        math.nan if number is None else number for number in (record.UA, record.WA, record.macro_F1, record.cpu_seconds)
    )
    ends = None if record.UA_low is None or record.UA_high is None else (record.UA_low, record.UA_high)
    return Trial({}, record.features, record.backend, ua, ends, wa, macro_f1, cpu_seconds, record.failure)


def digest(clips: Sequence[Features], y: Any, speakers: Any) -> str:
    """Hash of extracted features, labels and speakers, 16 hex digits: scores on another one cannot be compared."""
    content = hashlib.sha256(
        json.dumps([list(map(str, y)), speakers is not None and list(map(str, speakers))]).encode()
    )
    for clip in clips:
        content.update(f"{clip.spec_hash} {clip.view} {clip.values.shape} {clip.augment}".encode())
        content.update(clip.values.tobytes())
    return content.hexdigest()[:16]
