"""What a plug-in promises, tried out on the plug-in itself: for the tests of whoever writes one."""

from __future__ import annotations

import traceback
from pathlib import Path

from featkit.backend import Backend
from featkit.contract.backends import check_backend
from featkit.contract.corpora import check_corpus
from featkit.contract.features import check_features
from featkit.datasets.base import Dataset
from featkit.errors import FeatkitError, PluginError
from featkit.features.base import FeatureExtractor

__all__ = ["check"]


def check(plugin: FeatureExtractor | Backend | Dataset) -> None:
    """Use a feature set, backend or corpus as featkit does, and refuse it at the first promise that it breaks.

    A feature set is given synthetic speech, silence and its shortest clip; a backend learns 24 synthetic clips, six
    times in all, so give a network few epochs; a corpus is read twice.

    Parameters
    ----------
    plugin
        An object, with the settings that are to be tried; it need not be installed. It stays as it is.

    Raises
    ------
    PluginError
        A promise is broken; the message says which, and by how much. Where the plug-in raised an exception of its own,
        that is its cause.

    Examples
    --------
    >>> from featkit.features import find_extractor
    >>> check(find_extractor("mfcc39:n_mfcc=5"))
    """
    try:
        _check(plugin)
    except FeatkitError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        name = getattr(plugin, "name", type(plugin).__name__)
        raise PluginError(
            f"{name}: {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno}). featkit uses "
            "the plug-in as the contract of its kind says; see its base class."
        ) from error


def _check(plugin: FeatureExtractor | Backend | Dataset) -> None:
    if isinstance(plugin, FeatureExtractor):
        check_features(plugin)
    elif isinstance(plugin, Backend):
        check_backend(plugin)
    elif isinstance(plugin, Dataset):
        check_corpus(plugin)
    else:
        raise PluginError(f"A plug-in is a FeatureExtractor, Backend or Dataset, not {type(plugin).__name__}.")
