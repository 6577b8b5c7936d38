"""Linear classifiers of standardised vectors, with calibrated probabilities.

All products of two vectors are taken once and serve every fold, so that thousands of columns cost little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve
from scipy.special import softmax
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted

from featkit.backend import Float, clip_weights, speaker_folds
from featkit.errors import DataError
from featkit.graph import GraphBuilder
from featkit_backends.functionals import FunctionalsBackend, with_copies
from featkit_backends.margins import add_votes, calibrate, votes
from featkit_backends.standardise import Standardiser

Double: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.intp]
Machine: TypeAlias = Literal["svm", "ridge"]


class Linear(FunctionalsBackend):
    """Linear SVM or ridge classifier over standardised functionals.

    Made for sets of thousands of functionals, such as `compare2016`.

    Parameters
    ----------
    machine
        "svm": a machine for each pair of classes; its decision value, cut at the margins to -1 … 1, counts for the one
        and against the other, as in `svm`.
        "ridge": least squares to 1 for a class and -1 for the others. Source: Rifkin, Yeo & Poggio (2003), "Regularized
        least-squares classification".
        Probabilities are the softmax of these sums, or values, at a temperature learned on clips of speakers that the
        machine has not heard.
    C
        Cost of errors, for vectors of length about 1. The default was chosen by scores on EMO-DB and RAVDESS, so
        results there are optimistic.
    class_weight
        "balanced" weighs each class by the inverse of its frequency, in the machine and in the calibration; None does
        not.
    calibration_folds
        Folds, by speaker where speakers are known, from which the temperature is learned.
    random_state
        Seed of those folds.
    """

    name: ClassVar[str] = "linear"
    space: ClassVar[Mapping[str, Sequence[Any]]] = MappingProxyType(
        {
            "machine": ("svm", "ridge"),
            # Above 1 an SVM over many columns has most training clips apart, and nothing changes any more.
            "C": (0.03, 0.1, 0.3, 1.0, 3.0),
        }
    )
    """Machine and cost: 10 cells around the defaults."""

    def __init__(
        self,
        machine: Machine = "svm",
        C: float = 3.0,
        class_weight: Literal["balanced"] | None = "balanced",
        calibration_folds: int = 5,
        random_state: int | None = 0,
    ) -> None:
        self.machine = machine
        self.C = C
        self.class_weight = class_weight
        self.calibration_folds = calibration_folds
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, *, copies: Any = None) -> Self:
        """Learn from (n, dims) functionals. See `featkit.backend.Backend.fit`.

        ``copies`` are learned from as their clip is; the temperature is learned on the clips alone.
        """
        check_settings(self)
        X, index, weights, groups = self._check_training(X, y, sample_weight, groups)
        X, parent = with_copies(X, copies, sample_weight)
        folds = speaker_folds(index, groups, self.calibration_folds, self.random_state)
        self.machine_ = LinearMachine(self.machine, self.C, self.class_weight)
        self.machine_.fit(X, index, parent, weights, folds)
        return self

    def predict_proba(self, X: Any) -> Float:
        """Calibrated probabilities. (n, dims) -> (n, classes)."""
        X = self._check_features(X)
        return self.machine_.predict_proba(X)

    def to_onnx(self) -> Any:
        """Scaling, machine and temperature in one graph. (batch, dims) -> (batch, classes)."""
        check_is_fitted(self, "machine_")
        g = GraphBuilder("linear")
        x = g.input("functionals", ["batch", self.n_features_in_])
        g.output(self.machine_.add(g, x), "probabilities", ["batch", len(self.classes_)])
        return g.model()


class LinearMachine:
    """What is learned from vectors: scaler, weights, and the temperature of the probabilities."""

    def __init__(self, machine: Machine, C: float, class_weight: Literal["balanced"] | None) -> None:
        self.machine = machine
        self.C = C
        self.class_weight = class_weight

    def fit(
        self, vectors: npt.NDArray[Any], index: Places, parent: Places, sample_weight: Double | None, folds: Any,
        *, alike: bool = False,
    ) -> None:  # fmt: skip
        """Learn to tell the classes apart.

        Parameters
        ----------
        vectors
            (rows, dims): first the clips, then their copies.
        index
            (clips,) class of each clip.
        parent
            (rows,) the clip to which each row belongs.
        sample_weight
            (clips,) weights, or None.
        folds
            Pairs of clips to learn from and to calibrate on.
        alike
            All columns are of one unit, so that one which varies 10 000 times less than another varies by rounding: it
            becomes 0.
        """
        given = None if sample_weight is None else sample_weight[parent]
        weight = clip_weights(index[parent], given, self.class_weight)
        self.standardise = Standardiser(vectors, given)
        if alike:
            self.standardise = _without_rounding(self.standardise)
        Z = self.standardise(vectors)
        gram = (Z @ Z.T).astype(np.float64) / Z.shape[1]

        scores = np.zeros((len(index), index.max() + 1))
        for train, test in folds:
            rows = np.flatnonzero(np.isin(parent, train))
            dual, intercept = self._solve(gram[np.ix_(rows, rows)], index[parent[rows]], weight[rows])
            scores[test] = self._scores(gram[np.ix_(test, rows)] @ dual.T + intercept)
        self.inverse_temperature = calibrate(scores, index, weight[: len(index)])
        dual, intercept = self._solve(gram, index[parent], weight)
        self.coef: Float = (dual @ Z / Z.shape[1]).astype(np.float32)
        self.intercept: Float = intercept.astype(np.float32)

    def predict_proba(self, vectors: npt.NDArray[Any]) -> Float:
        """Calibrated probabilities. (n, dims) -> (n, classes)."""
        scores = self._scores(self.standardise(vectors) @ self.coef.T + self.intercept)
        proba: Float = softmax(self.inverse_temperature * scores, axis=1).astype(np.float32)
        return proba

    def add(self, g: GraphBuilder, vectors: str) -> str:
        """Write ``predict_proba`` into a graph. (batch, dims) -> (batch, classes)."""
        z = self.standardise.add(g, vectors)
        values = g.op("Add", g.op("MatMul", z, g.constant(self.coef.T)), g.constant(self.intercept))
        if self.machine == "svm":
            values = add_votes(g, values, len(self.coef))
        return str(g.op("Softmax", g.op("Mul", values, g.constant([self.inverse_temperature])), axis=1))

    def _solve(self, gram: Double, index: Places, weight: Double) -> tuple[Double, Double]:
        """Weights of the rows in each decision value. -> (values, rows) and (values,)."""
        return (solve_pairs if self.machine == "svm" else solve_ridge)(gram, index, weight, self.C)

    def _scores(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Decision values -> a score for each class."""
        return values if self.machine == "ridge" else votes(values)


def check_settings(backend: Any) -> None:
    """Refuse machine, cost or number of folds of a backend where they make no sense."""
    if backend.machine not in ("svm", "ridge"):
        raise DataError(f"{backend.name}: machine is 'svm' or 'ridge'; it is {backend.machine!r}.")
    within(backend, "C", 1e-9, 1e9)
    whole(backend, "calibration_folds", 2)


def within(backend: Any, setting: str, low: float, high: float) -> None:
    """Refuse a setting that is not a number from ``low`` to ``high``."""
    value = getattr(backend, setting)
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= float(value) <= high:
        raise DataError(f"{backend.name}: {setting} lies between {low:g} and {high:g}; it is {value!r}.")


def whole(backend: Any, setting: str, low: int) -> None:
    """Refuse a setting that is not a whole number from ``low`` on."""
    value = getattr(backend, setting)
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise DataError(f"{backend.name}: {setting} is a whole number from {low} on; it is {value!r}.")


def solve_pairs(gram: Double, index: Places, weight: Double, C: float) -> tuple[Double, Double]:
    """An SVM for each pair of classes, from the products of all rows. -> (pairs, rows) and (pairs,).

    libsvm keeps the weights packed: row b - 1 of class a and row a of class b make up the pair (a, b).
    """
    svc = SVC(kernel="precomputed", C=C).fit(gram, index, sample_weight=weight)
    ends = np.cumsum(svc.n_support_)
    own = [svc.support_[end - n : end] for end, n in zip(ends, svc.n_support_, strict=True)]
    packed = np.zeros((len(own) - 1, len(index)))
    packed[:, svc.support_] = svc.dual_coef_
    table = np.zeros((len(svc.intercept_), len(index)))
    for row, (one, other) in zip(table, combinations(range(len(own)), 2), strict=True):
        row[own[one]] = packed[other - 1, own[one]]
        row[own[other]] = packed[one, own[other]]
    sign = -1 if len(own) == 2 else 1  # of two classes scikit-learn turns it round, to speak for the second
    return sign * table, sign * svc.intercept_


def solve_ridge(gram: Double, index: Places, weight: Double, C: float) -> tuple[Double, Double]:
    """Least squares to ±1 with an intercept that costs nothing, for every class. -> (classes, rows) and (classes,).

    The dual of C Σ weight (target - value)² + |coefficients|², in closed form.
    """
    rows = len(index)
    target = np.where(index[:, None] == np.arange(index.max() + 1), 1.0, -1.0)
    found = solve(gram + np.diag(1 / (C * weight)), np.column_stack([target, np.ones(rows)]), assume_a="pos")
    without, one = found[:, :-1], found[:, -1:]
    intercept = without.sum(axis=0) / one.sum()  # where the weights of the rows add up to 0
    return (without - one * intercept).T, intercept


def _without_rounding(scaler: Standardiser) -> Standardiser:
    least = scaler.factor[scaler.factor > 0].min(initial=np.inf)
    return Standardiser.of(scaler.mean, np.where(scaler.factor > 1e4 * least, np.float32(0), scaler.factor))
