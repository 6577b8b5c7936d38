"""Pictures hold what they should say, at any number of rows, and take the colours of the page around them."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from featkit import metrics, plots
from featkit.errors import DataError, PluginError

pytest.importorskip("matplotlib")

CURVE = [{"epoch": float(i + 1), "loss": 1 / (i + 1), "validation_loss": 1.0, "validation_ua": 0.5} for i in range(5)]
DRAWN: dict[str, Callable[[], Any]] = {
    "one interval": lambda: plots.intervals(["egemaps + svm"], [0.5], [(0.4, 0.6)], chance=0.25),
    "twenty intervals": lambda: plots.intervals(
        [f"egemaps+mfcc39 + svm:kernel=linear,C={i}, standard × 8, transductive, seed {i}" for i in range(20)],
        [0.5] * 20, [None] * 20,
    ),
    "four emotions": lambda: plots.confusion(np.eye(4, dtype=int) * 9, list("abcd")),
    "nine emotions": lambda: plots.confusion(np.arange(81).reshape(9, 9), [f"emotion {i}" for i in range(9)]),
    "speakers": lambda: plots.speakers({"03": 0.4, "08": 0.6}, 0.9),
    "many speakers": lambda: plots.speakers({str(i): 0.5 for i in range(91)}, 0.5),
    "reliability": lambda: plots.reliability(metrics.reliability(np.array([0.2, 0.9]), np.array([0, 1]))),
    "curves": lambda: plots.curves([CURVE, CURVE[:3]]),
    "one curve": lambda: plots.curves([CURVE]),
    "importance": lambda: plots.importance({"MFCC": metrics.Difference(0.1, (-0.05, 0.2), 0.5)}),
}  # fmt: skip


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_picture_is_a_png_and_an_svg(draw: Callable[[], Any]) -> None:
    figure = draw()
    assert plots.png(figure).startswith(b"\x89PNG")
    text = plots.svg(figure, "a <title>")
    root = ET.fromstring(text)
    assert root.attrib["aria-label"] == "a <title>"
    assert "<metadata" not in text
    assert not re.search(r"#(1b1f24|c9ced6|0072b2|d55e00|fdfdfd|000000|ffffff)", text), "colours are the page's"


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_no_words_lie_outside_the_picture_or_on_each_other(draw: Callable[[], Any]) -> None:
    figure = draw()
    renderer = figure.canvas.get_renderer()
    for panel in figure.axes:
        for axis, ends in ((panel.xaxis, sorted(panel.get_xlim())), (panel.yaxis, sorted(panel.get_ylim()))):
            ticks = axis.get_major_ticks()
            shown = [tick.label1 for tick in ticks if ends[0] <= tick.get_loc() <= ends[1] and tick.label1.get_text()]
            shown = [label for label in shown if label.get_visible()]
            boxes = [label.get_window_extent(renderer) for label in shown]
            assert all(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 for box in boxes)
            if all(label.get_rotation() == 0 for label in shown):
                assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_the_first_stands_at_the_top_with_its_value() -> None:
    figure = plots.intervals(["low", "high", "middle"], [0.2, 0.9, 0.5], [None, (0.8, 0.95), None])
    (panel,) = figure.axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["low", "high", "middle"]
    assert [text.get_text() for text in panel.texts] == ["20.0", "90.0", "50.0"]
    tops = [text.get_window_extent().y1 for text in panel.texts]
    assert tops == sorted(tops, reverse=True)
    dots = [np.asarray(line.get_xydata())[0].tolist() for line in panel.lines if line.get_marker() == "o"]
    assert [x for x, _ in dots] == pytest.approx([20, 90, 50])
    assert [y for _, y in dots] == pytest.approx(list(panel.get_yticks()))


def test_a_long_name_of_the_axis_stays_in_the_picture() -> None:
    names = ["egemaps+mfcc39 + svm:kernel=linear,C=0.01"]
    figure = plots.intervals(names, [0.5], [None], axis="UA on another corpus, %, with 95 % interval over speakers")
    figure.canvas.draw()
    box = figure.axes[0].xaxis.label.get_window_extent()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= figure.bbox.x1


def test_the_confusion_tells_counts_and_recalls() -> None:
    (panel,) = plots.confusion(np.array([[3, 1], [0, 4]]), ["anger", "joy"]).axes
    assert [text.get_text() for text in panel.texts] == ["3", "1", "4"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["anger  75 %", "joy  100 %"]


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    assert "a$b$c" in plots.svg(plots.intervals(["a$b$c"], [0.5], [None]), "x")


def test_the_error_of_calibration_is_in_the_picture() -> None:
    figure = plots.reliability(metrics.reliability(np.array([0.9, 0.9]), np.array([1, 0])))
    assert figure.axes[0].get_title(loc="left") == "expected calibration error 40.0 %"


def test_of_one_network_the_best_epoch_is_marked() -> None:
    scores = [(0.5, 1.0), (0.625, 0.9), (0.625, 0.8), (0.6, 0.7)]  # the second and third differ by their loss
    rows = [
        {"epoch": i + 1.0, "loss": 1.0, "validation_loss": loss, "validation_ua": ua}
        for i, (ua, loss) in enumerate(scores)
    ]
    loss, ua = plots.curves([rows]).axes
    assert ua.get_title(loc="left") == "best epoch 3: UA 62.5 %"
    assert ua.get_ylabel() == "held-out UA, %"
    (dot,) = [line for line in ua.lines if line.get_marker() == "o"]
    assert np.asarray(dot.get_xydata()).tolist() == [[3, 62.5]]
    assert [line.get_xdata() for line in loss.lines if line.get_linestyle() != "-"] == [[3, 3]]
    assert not plots.curves([rows, rows]).axes[1].get_title(loc="left"), "of several there is no one best epoch"


def test_where_nobody_was_held_out_there_is_one_panel() -> None:
    (panel,) = plots.curves([[{"epoch": 1.0, "loss": 1.0}]]).axes
    assert panel.get_ylabel() == "loss"
    low, high = panel.get_xlim()
    assert [tick for tick in panel.get_xticks() if low <= tick <= high] == [1], "there is no half epoch"


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_a_file_of_the_kind_that_is_asked_for(kind: str, magic: bytes) -> None:
    assert plots.picture(plots.curves([CURVE]), kind).startswith(magic)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.intervals([], [], []),
        lambda: plots.speakers({}, 0.5),
        lambda: plots.curves([]),
        lambda: plots.curves([[]]),
        lambda: plots.importance({}),
    ],
)
def test_nothing_is_not_drawn(draw: Callable[[], Any]) -> None:
    with pytest.raises(DataError, match="There is nothing to draw"):
        draw()


def test_a_missing_matplotlib_answers_with_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PluginError, match=r"picture needs.*pip install 'featkit\[plot\]'"):
        plots.speakers({"03": 0.5}, 0.5)


def test_names_in_any_script_are_words_of_the_picture_and_no_warnings() -> None:
    figure = plots.speakers({"小明": 0.5, "Zoë": 0.7, "О'Нил": 0.9}, 0.7)
    words = plots.svg(figure, "UA by speaker")
    assert all(f">{name}<" in words for name in ("小明", "Zoë", "О'Нил"))
    assert plots.picture(figure, "png").startswith(b"\x89PNG")
