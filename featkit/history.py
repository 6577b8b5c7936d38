"""The course of training, epoch by epoch, as a table and as a picture."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from featkit import plugins
from featkit.errors import DataError

History = Sequence[dict[str, float]]
"""``SERClassifier.history_``: one dict an epoch."""


def write_history(history: History, path: str | os.PathLike[str]) -> None:
    """Write a CSV table, one row an epoch."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(_checked(history)[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in history)


def plot_history(history: History, path: str | os.PathLike[str]) -> None:
    """Draw the learning curves: loss above, UA of the validation part below with the epoch that was kept.

    Parameters
    ----------
    history
        As above.
    path
        *.png, *.svg or *.pdf.

    Raises
    ------
    PluginError
        matplotlib is not installed; the message holds the pip line.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ModuleNotFoundError as error:
        raise plugins.missing(error, "plot of the history") from None
    epochs = [row["epoch"] for row in _checked(history)]
    validated = "validation_ua" in history[0]
    # No pyplot: it would keep figures alive and look for a screen.
    figure = Figure(figsize=(7, 6 if validated else 3.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2 if validated else 1, 1, sharex=True, squeeze=False)[:, 0]
    loss = panels[0]
    loss.plot(epochs, [row["loss"] for row in history], color="#4c72b0", label="training")
    if validated:
        loss.plot(epochs, [row["validation_loss"] for row in history], color="#dd8452", label="validation")
        scores = [100 * row["validation_ua"] for row in history]
        best = max(range(len(history)), key=lambda i: (scores[i], -history[i]["validation_loss"]))
        ua = panels[1]
        ua.plot(epochs, scores, color="#dd8452")
        ua.plot(epochs[best], scores[best], "o", color="#c44e52")
        ua.axvline(epochs[best], color="#c44e52", lw=0.8, ls=":")
        ua.set_title(f"best epoch {epochs[best]:.0f}: UA {scores[best]:.1f} %", fontsize="medium", loc="left")
        ua.set_ylabel("validation UA, %")
        loss.axvline(epochs[best], color="#c44e52", lw=0.8, ls=":")
        loss.legend(frameon=False)
    loss.set_ylabel("loss" if validated else "training loss")
    loss.set_ylim(bottom=0)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _checked(history: History) -> History:
    if not history:
        raise DataError("The history is empty: no epoch was trained.")
    return history
