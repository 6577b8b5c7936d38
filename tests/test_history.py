"""The course of training as a table and as a picture."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from speech import fitted, inputs, small, speech

from featkit.errors import DataError, PluginError
from featkit.history import plot_history, write_history

HISTORY = (
    small("cnn_lstm", validation=0.25, epochs=4)
    .fit(inputs("frames"), speech().labels, groups=speech().speakers)
    .history_
)


def test_the_history_is_a_table(tmp_path: Path) -> None:
    write_history(HISTORY, tmp_path / "run" / "history.csv")
    table = pd.read_csv(tmp_path / "run" / "history.csv")
    assert list(table) == ["epoch", "lr", "loss", "validation_loss", "validation_ua"]
    assert table["epoch"].tolist() == list(range(1, len(HISTORY) + 1))
    assert table["validation_ua"].tolist() == pytest.approx([row["validation_ua"] for row in HISTORY], rel=1e-5)


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_curves_are_drawn(suffix: str, magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"curve.{suffix}"
    plot_history(HISTORY, path)
    assert path.read_bytes().startswith(magic)


def test_the_picture_names_the_best_epoch_and_its_ua(tmp_path: Path) -> None:
    rows = [
        {"epoch": float(i + 1), "lr": 0.1, "loss": 1.0, "validation_loss": loss, "validation_ua": ua}
        for i, (ua, loss) in enumerate([(0.5, 1.0), (0.625, 0.9), (0.625, 0.8), (0.6, 0.7)])
    ]
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # words as words
        plot_history(rows, tmp_path / "curve.svg")
    text = (tmp_path / "curve.svg").read_text()
    assert "best epoch 3: UA 62.5 %" in text
    assert "validation UA, %" in text


def test_without_validation_there_is_one_curve(tmp_path: Path) -> None:
    rows = [{"epoch": 1.0, "lr": 0.1, "loss": 1.0}]
    plot_history(rows, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_an_empty_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="The history is empty: no epoch was trained"):
        write_history([], tmp_path / "history.csv")


def test_a_missing_matplotlib_answers_with_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PluginError, match=r"needs the package 'matplotlib'.*pip install 'featkit\[plot\]'"):
        plot_history(HISTORY, tmp_path / "curve.png")


def test_a_backend_without_epochs_has_no_history() -> None:
    with pytest.raises(AttributeError, match="svm does not train in epochs, so it has no history"):
        _ = fitted().history_
