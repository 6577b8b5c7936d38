"""Workers on other machines: Dask's, through the engine that joblib calls "dask"."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from joblib import parallel_config

from featkit import plugins
from featkit.errors import DataError

_SECONDS = 30
"""How long a scheduler may take to answer."""


@contextmanager
def on(scheduler: str) -> Iterator[None]:
    """Let the workers of a Dask scheduler do what is done meanwhile.

    Parameters
    ----------
    scheduler
        Its address, ``tcp://host:8786`` or ``tls://host:8786``.

    Raises
    ------
    DataError
        Nobody answers there.
    PluginError
        Dask is not installed.
    """
    try:
        from distributed import Client  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError as error:
        raise plugins.missing(error, f"scheduler {scheduler}") from None
    try:
        client = Client(scheduler, timeout=_SECONDS)  # type: ignore[no-untyped-call, unused-ignore]
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{scheduler}: no Dask scheduler answers there ({reason}); start one with dask scheduler."
        ) from None
    with client, parallel_config(backend="dask"):
        yield


def deaths() -> tuple[type[Exception], ...]:
    """What Dask raises of a task whose workers died again and again."""
    distributed = sys.modules.get("distributed")
    return () if distributed is None else (distributed.KilledWorker,)
