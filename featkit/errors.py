"""Every error featkit raises on purpose. Each message says what is, what should be, and what to do."""

from __future__ import annotations


class FeatkitError(Exception):
    """Root of all featkit errors: the command line prints these as one line."""


class AudioError(FeatkitError, ValueError):
    """A file or array that cannot be used as a clip.

    Attributes
    ----------
    code
        Why, for programs: "not_audio", "truncated", "too_long", or "unusable" for all else.
    """

    def __init__(self, message: str, code: str = "unusable") -> None:
        super().__init__(message)
        self.code = code


class FeatureError(FeatkitError, ValueError):
    """Features that do not fit: wrong view, wrong shape, another specification, not finite."""


class PluginError(FeatkitError, ValueError):
    """An unknown extractor, backend or corpus, or one whose package is not installed."""


class DataError(FeatkitError, ValueError):
    """Labels, speakers, tables or corpora that cannot be used."""


class LeakageError(DataError):
    """An evaluation that would let a speaker stand in training and in test."""


class ModelError(FeatkitError, ValueError):
    """A model file that is damaged, foreign, or does not match this installation."""


class ServeError(FeatkitError, RuntimeError):
    """A server that cannot start as it was asked to."""


class ExportError(FeatkitError, RuntimeError):
    """An export that was refused, because the exported model does not answer as the trained one."""
