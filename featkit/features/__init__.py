"""Waves → features: the extractor contract and the built-in feature sets."""

from featkit.features.base import FeatureExtractor, Features, View, find_extractor

__all__ = ["FeatureExtractor", "Features", "View", "find_extractor"]
