"""Functionals behave as any transformer of scikit-learn does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from speech import inputs, speech

from featkit import Functionals
from featkit.errors import AudioError, DataError
from featkit.features.mfcc import MFCC39


def test_gives_the_functionals_of_every_clip() -> None:
    np.testing.assert_array_equal(Functionals("mfcc39", n_jobs=2).fit_transform(speech().waves), inputs("functionals"))


def test_every_column_has_its_name() -> None:
    names = Functionals(MFCC39(n_mfcc=2, deltas=0)).get_feature_names_out().tolist()
    assert names[:4] == ["mfcc_1_mean", "mfcc_2_mean", "mfcc_1_std", "mfcc_2_std"]
    assert len(names) == 18


def test_gives_a_data_frame_on_request() -> None:
    transformer = Functionals("mfcc39").set_output(transform="pandas")
    table = transformer.fit_transform(speech().waves[:2])
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == transformer.get_feature_names_out().tolist()


def test_works_in_a_pipeline_over_clips_of_any_length() -> None:
    pipeline = make_pipeline(Functionals(), StandardScaler(), LogisticRegression())
    scores = cross_val_score(pipeline, speech().waves, speech().labels, groups=speech().speakers, cv=GroupKFold(2))
    assert scores.shape == (2,)
    assert scores.mean() > 0.4


def test_is_cloned_with_its_settings() -> None:
    copied = clone(Functionals(MFCC39(n_mfcc=20), pad_short=True))
    assert copied.features == MFCC39(n_mfcc=20)
    assert copied.pad_short
    assert copied.set_params(features__n_mfcc=5).features.n_mfcc == 5


def test_short_clips_are_padded_on_request() -> None:
    short = [speech().waves[0][8000:8100]]
    assert Functionals(pad_short=True).fit_transform(short).shape == (1, 351)
    with pytest.raises(AudioError, match="clip 0: has 100 samples"):
        Functionals().fit_transform(short)


def test_one_path_is_refused() -> None:
    with pytest.raises(DataError, match="One path is given"):
        Functionals().transform("a.wav")
