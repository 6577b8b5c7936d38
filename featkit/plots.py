"""Pictures of scores. Drawn without a screen; as SVG they take the colours of the page around them."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from featkit import plugins
from featkit.errors import DataError
from featkit.metrics import Difference, Reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Blue and vermillion of Okabe & Ito (2008), "Color universal design": told apart in every form of colour blindness.
INK, GRID, FIRST, SECOND, ON = "#1b1f24", "#c9ced6", "#0072b2", "#d55e00", "#fdfdfd"
_VARIABLES = {INK: "--ink", GRID: "--grid", FIRST: "--first", SECOND: "--second", ON: "--on"}
"""Colours of the pictures → what an HTML page calls them, for light and dark."""


def intervals(
    names: Sequence[str], values: Sequence[float], ends: Sequence[tuple[float, float] | None], *,
    chance: float | None = None, axis: str = "UA, %",
) -> Figure:  # fmt: skip
    """Values with their intervals, one a line, the first at the top.

    Parameters
    ----------
    names
        (n,) what is measured; long ones are wrapped.
    values, ends
        (n,) 0 to 1; an interval may be unknown.
    chance
        Value of guessing, drawn as a line.
    axis
        What is shown.
    """
    _some(names)
    labels = [_wrapped(name, 26) for name in names]
    lines = np.array([label.count("\n") + 1 for label in labels])
    heights = np.maximum(1.0, 0.62 * lines)
    at = np.cumsum(heights) - heights / 2
    with _figure(5.2, 0.95 + 0.3 * heights.sum()) as figure:  # narrow, so that its words can be read on a phone
        panel = figure.add_subplot()
        for y, value, end in zip(at, values, ends, strict=True):
            if end is not None:
                panel.plot(100 * np.array(end), [y, y], color=FIRST, lw=2.2, alpha=0.55, solid_capstyle="butt")
            panel.plot(100 * value, y, "o", color=FIRST, ms=6)
            panel.annotate(
                f"{100 * value:.1f}", (1.02, y), xycoords=panel.get_yaxis_transform(), va="center", color=INK
            )
        panel.set_yticks(at, labels)
        panel.set_ylim(heights.sum(), 0)
        panel.set_xlim(*_limits([100 * v for v in values], [100 * v for end in ends if end for v in end], chance))
        if chance is not None:
            panel.axvline(100 * chance, color=SECOND, lw=1.2, ls=(0, (4, 3)))
            panel.annotate(
                "chance", (100 * chance, 1.01), xycoords=panel.get_xaxis_transform(), ha="center", color=SECOND,
                fontsize=9,
            )  # fmt: skip
        panel.set_xlabel(_wrapped(axis, 30))
        panel.grid(axis="x", color=GRID, lw=0.7)
        panel.tick_params(axis="y", length=0)
    return figure


def confusion(counts: npt.NDArray[Any], labels: Sequence[str]) -> Figure:
    """Rows are the truth, columns the prediction; the shade is the share of the row. (labels, labels) counts."""
    n = len(labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with _figure(1.75 + 0.62 * n, 1.45 + 0.5 * n) as figure:
        panel = figure.add_subplot()
        for i in range(n):
            for j in range(n):
                _cell(panel, i, j, shares[i, j], int(counts[i, j]))
        panel.set_xticks(range(n), labels, rotation=38, ha="right", rotation_mode="anchor")
        recall = [f"{label}  {100 * shares[i, i]:.0f} %" for i, label in enumerate(labels)]
        panel.set_yticks(range(n), recall)
        panel.set_xlim(-0.5, n - 0.5)
        panel.set_ylim(n - 0.5, -0.5)
        panel.set_xlabel("predicted")
        panel.set_ylabel("truth, recall")
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    return figure


def speakers(uas: Mapping[str, float], whole: float) -> Figure:
    """UA of each speaker, from the one who is understood worst to the one who is understood best."""
    _some(uas)
    order = sorted(uas, key=lambda name: uas[name])
    values = [100 * uas[name] for name in order]
    named = len(order) <= 48
    with _figure(max(4.2, min(9.0, 1.2 + 0.3 * len(order))), 2.9) as figure:
        panel = figure.add_subplot()
        panel.vlines(range(len(order)), 100 * whole, values, color=FIRST, lw=1.4, alpha=0.5)
        panel.plot(range(len(order)), values, "o", color=FIRST, ms=5 if named else 3)
        panel.axhline(100 * whole, color=SECOND, lw=1.2)
        panel.annotate(
            f"all {100 * whole:.1f}", (1.01, 100 * whole), xycoords=panel.get_yaxis_transform(), va="center",
            color=SECOND, fontsize=9,
        )  # fmt: skip
        long = max(map(len, order)) > 3
        panel.set_xticks(range(len(order)) if named else [], order if named else [], rotation=60 if long else 0,
                         ha="right" if long else "center", rotation_mode="anchor")  # fmt: skip
        panel.set_xlim(-0.7, len(order) - 0.3)
        panel.set_ylim(max(0, min(*values, 100 * whole) - 8), min(102, max(*values, 100 * whole) + 6))
        panel.set_xlabel("speaker" if named else f"{len(order)} speakers")
        panel.set_ylabel("UA, %")
        panel.grid(axis="y", color=GRID, lw=0.7)
    return figure


def reliability(told: Reliability) -> Figure:
    """How often answers are right that are given with so much confidence; below, how many clips that are."""
    bins = len(told.clips)
    centres = (np.arange(bins) + 0.5) / bins
    seen = told.clips > 0
    with _figure(4.4, 4.2) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color=SECOND, lw=1.2, ls=(0, (4, 3)))
        upper.bar(centres[seen], told.accuracy[seen], 0.92 / bins, color=FIRST, alpha=0.4)
        upper.plot(told.confidence[seen], told.accuracy[seen], "o", color=FIRST, ms=4.5)
        upper.set_ylim(0, 1.02)
        upper.set_ylabel("right")
        upper.set_title(f"expected calibration error {100 * told.ece:.1f} %", loc="left", fontsize=10, color=INK)
        lower.bar(centres, told.clips, 0.92 / bins, color=FIRST, alpha=0.4)
        lower.set_ylabel("clips")
        lower.set_xlabel("confidence")
        lower.set_xlim(0, 1)
        for panel in (upper, lower):
            panel.grid(axis="y", color=GRID, lw=0.7)
            panel.set_axisbelow(True)
    return figure


def curves(histories: Sequence[Sequence[Mapping[str, float]]]) -> Figure:
    """Loss of every network epoch by epoch, and their mean; below, UA of what was held out in training, if any was.

    Of a single network the best epoch is marked, the one that early stopping keeps.
    """
    for some in (histories, *histories):
        _some(some)
    kinds = [("loss", FIRST), ("validation_loss", SECOND)]
    validated = all("validation_ua" in history[0] for history in histories)
    with _figure(5.6, 4.6 if validated else 2.9) as figure:
        panels = figure.subplots(2 if validated else 1, 1, sharex=True, squeeze=False)[:, 0]
        for key, colour in kinds[: 2 if validated else 1]:
            _course(panels[0], histories, key, 1, colour, "training" if key == "loss" else "held out")
        panels[0].set_ylabel("loss")
        panels[0].set_ylim(bottom=0)
        if validated:
            panels[0].legend(frameon=False, labelcolor=INK)
            _course(panels[1], histories, "validation_ua", 100, SECOND, "held out")
            panels[1].set_ylabel("held-out UA, %")
            if len(histories) == 1:
                _best_epoch(panels, histories[0])
        for panel in panels:
            panel.grid(color=GRID, lw=0.7)
        panels[-1].set_xlabel("epoch" if len(histories) == 1 else f"epoch ({len(histories)} networks, the mean bold)")
    return figure


def importance(cost: Mapping[str, Difference]) -> Figure:
    """What shuffling each family of features costs, in points of UA."""
    _some(cost)
    values = [told.ua for told in cost.values()]
    figure = intervals(list(cost), values, [told.interval for told in cost.values()], axis="cost in points of UA")
    figure.axes[0].axvline(0, color=INK, lw=0.8)
    return figure


def svg(figure: Figure, title: str) -> str:
    """The picture as an element of an HTML page: words as words, colours as variables of the page, no size."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "featkit"}), _any_script():
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="([\d.]+)pt" height="[\d.]+pt"', r'\1 style="width: \2pt"', text, count=1)
    for colour, name in _VARIABLES.items():
        text = text.replace(colour, f"var({name})")
    head, rest = text.split(">", 1)
    return f'{head} role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{rest}'


def png(figure: Figure) -> bytes:
    """The picture as a file on white."""
    return picture(figure, "png")


def picture(figure: Figure, kind: str) -> bytes:
    """The picture as a file on white: png, svg or pdf."""
    file = io.BytesIO()
    with _any_script():
        figure.savefig(file, format=kind, dpi=150, facecolor="white")
    return file.getvalue()


def require() -> None:
    """Raise `PluginError` with the pip line where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as error:
        raise plugins.missing(error, "picture") from None


# Behind our own, for the names of people and files in other scripts.
_CJK = ("Noto Sans CJK SC", "Noto Sans SC", "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB")


@cache
def _fonts() -> list[str]:
    from matplotlib import font_manager

    there = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _CJK if name in there), "Verdana", "sans-serif"]


@contextmanager
def _any_script() -> Iterator[None]:
    """Without a line for every sign that no font here has: as SVG the words are the browser's to set."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches; whatever is drawn inside has featkit's style."""
    require()
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {
        "font.family": "sans-serif", "font.sans-serif": _fonts(), "font.size": 10,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8, "axes.facecolor": "none",
        "text.parse_math": False,  # a dollar in somebody's file name is a dollar
    }  # fmt: skip
    with mpl.rc_context(style):
        # No pyplot: it would keep figures alive and look for a screen.
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        layout = figure.get_layout_engine()
        assert layout is not None
        with _any_script():
            layout.execute(figure)
        figure.set_layout_engine("none")  # it stays as this style made it


def _cell(panel: Any, i: int, j: int, share: float, count: int) -> None:
    from matplotlib.patches import Rectangle

    # White between the cells instead of lines; an empty one shows only its place.
    panel.add_patch(Rectangle((j - 0.47, i - 0.46), 0.94, 0.92, facecolor=FIRST, alpha=0.06 + 0.94 * share, lw=0))
    if count:
        panel.text(j, i, str(count), ha="center", va="center", color=ON if share > 0.55 else INK, fontsize=9)


def _course(panel: Any, histories: Any, key: str, scale: float, colour: str, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    for history in histories:
        panel.plot([row["epoch"] for row in history], [scale * row[key] for row in history], color=colour, lw=0.7,
                   alpha=0.3)  # fmt: skip
    last = min(len(history) for history in histories)  # early stopping ends them at different epochs
    means = np.mean([[row[key] for row in history[:last]] for history in histories], axis=0)
    panel.plot([row["epoch"] for row in histories[0][:last]], scale * means, color=colour, lw=2, label=label)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _best_epoch(panels: Any, history: Sequence[Mapping[str, float]]) -> None:
    best = max(history, key=lambda row: (row["validation_ua"], -row["validation_loss"]))
    epoch, score = best["epoch"], 100 * best["validation_ua"]
    for panel in panels:
        panel.axvline(epoch, color=INK, lw=1, ls=(0, (1, 2)))
    panels[1].plot(epoch, score, "o", color=SECOND, ms=6)
    panels[1].set_title(f"best epoch {epoch:.0f}: UA {score:.1f} %", loc="left", fontsize=10, color=INK)


def _limits(values: Sequence[float], ends: Sequence[float], chance: float | None) -> tuple[float, float]:
    """Ends of an axis in percent, with room on both sides."""
    every = [*values, *ends, *([] if chance is None else [100 * chance])]
    low, high = min(every), max(every)
    room = max(1.0, 0.06 * (high - low))
    return max(low - room, -100.0), min(high + room, 101.0)


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width, break_on_hyphens=False)) or text


def _some(things: Any) -> None:
    if not len(things):
        raise DataError("There is nothing to draw.")
