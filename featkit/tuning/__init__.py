"""Hyper-parameter search: settings drawn at random, each scored on speakers that it has not heard."""

from featkit.tuning.file import TrialFile, digest
from featkit.tuning.nested import TunedClassifier
from featkit.tuning.search import tune
from featkit.tuning.trials import OPTIMISM, Trial, Tuning
from featkit.tuning.words import read_space, recipe

__all__ = ["OPTIMISM", "Trial", "TrialFile", "TunedClassifier", "Tuning", "digest", "read_space", "recipe", "tune"]
