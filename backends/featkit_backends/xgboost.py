"""Gradient-boosted trees."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import Booster, XGBClassifier

from featkit.backend import Float, clip_weights
from featkit.graph import GraphBuilder
from featkit_backends.functionals import FunctionalsBackend


class XGBoost(FunctionalsBackend):
    """Boosted trees over functionals as they are.

    There is no scaler: trees do not need one, and its rounding in an exported graph moves values across thresholds.
    The defaults were chosen by scores on EMO-DB and RAVDESS, so results there are optimistic.

    Parameters
    ----------
    n_estimators
        Trees per class.
    max_depth
        Splits from root to leaf.
    learning_rate
        Share of each tree.
    subsample, colsample_bytree
        Share of clips, and of columns, that each tree sees.
    max_bin
        Cuts that are tried in each column. 64 train faster than XGBoost's 256 and scored no worse on small corpora.
    reg_lambda
        L2 penalty on leaf values.
    class_weight
        "balanced" weighs each class by the inverse of its frequency; None does not.
    n_jobs
        Threads; -1 for all cores, which pays from some thousand clips on.
    random_state
        Seed.
    """

    name: ClassVar[str] = "xgboost"
    space: ClassVar[Mapping[str, Sequence[Any]]] = MappingProxyType(
        {
            "n_estimators": (100, 300, 600),
            "max_depth": (2, 3, 4, 6, 8),
            "learning_rate": (0.03, 0.1, 0.3),
            # Functionals overlap: a tree that sees few of them differs from the next, and trains as much faster.
            "subsample": (0.6, 0.8, 1.0),
            "colsample_bytree": (0.1, 0.2, 0.5, 1.0),
            "reg_lambda": (0.3, 1.0, 3.0, 10.0),
        }
    )
    """Size, number and share of the trees, and what holds them back: 2160 cells around the defaults."""

    def __init__(
        self,
        n_estimators: int = 300,
        max_depth: int = 4,
        learning_rate: float = 0.1,
        subsample: float = 0.8,
        colsample_bytree: float = 0.2,
        max_bin: int = 64,
        reg_lambda: float = 1.0,
        class_weight: Literal["balanced"] | None = "balanced",
        n_jobs: int | None = 1,
        random_state: int | None = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.max_bin = max_bin
        self.reg_lambda = reg_lambda
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn from (n, dims) functionals; ``groups`` is not needed. See `featkit.backend.Backend.fit`."""
        X, index, sample_weight, _ = self._check_training(X, y, sample_weight, groups)
        weight = clip_weights(index, sample_weight, self.class_weight)
        params = {k: v for k, v in self.get_params().items() if k != "class_weight"}
        self.xgb_ = XGBClassifier(**params, tree_method="hist")
        # XGBoost refuses string labels, so it learns the index of each label in classes_.
        self.xgb_.fit(X, index, sample_weight=weight)
        _halve_gaps(self.xgb_.get_booster(), X)
        return self

    def predict_proba(self, X: Any) -> Float:
        """Probabilities. (n, dims) -> (n, classes)."""
        X = self._check_features(X)
        proba: Float = self.xgb_.predict_proba(X).astype(np.float32)
        return proba

    def to_onnx(self) -> Any:
        """The trees. (batch, dims) -> (batch, classes)."""
        dims, booster = self.n_features_in_, self.xgb_.get_booster()
        booster.feature_names = None  # the converter reads the column numbers from the names f0, f1, …
        trees = convert_xgboost(
            self.xgb_,
            initial_types=[("input", FloatTensorType([None, dims]))],
            target_opset=15,  # the newest onnxmltools writes; the few operators of its trees mean the same in ours
        )
        g = GraphBuilder("xgboost")
        x = g.input("functionals", ["batch", dims])
        g.output(g.include(trees, x, "probabilities"), "probabilities", ["batch", len(self.classes_)])
        return g.model()


def _halve_gaps(booster: Booster, X: Float) -> None:
    """Move every threshold from the training value it lies on halfway down to the next lower one.

    Histogram trees cut exactly at values of training clips, so that the last bit of a feature, which depends on the
    size of a batch, could send such a clip either way. The training clips stay in the same leaves.
    """
    model = json.loads(booster.save_raw("json"))
    columns = [np.unique(column) for column in X.T]
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        for node, child in enumerate(tree["left_children"]):
            if child == -1:
                continue
            values, cut = columns[tree["split_indices"][node]], np.float32(tree["split_conditions"][node])
            above = int(np.searchsorted(values, cut))
            if 0 < above < len(values):
                middle = values[above - 1] / 2 + values[above] / 2
                # Between neighbouring floats there is no middle: clips below the threshold go left.
                tree["split_conditions"][node] = float(middle if middle > values[above - 1] else values[above])
    booster.load_model(bytearray(json.dumps(model).encode()))
