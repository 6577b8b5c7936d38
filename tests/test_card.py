"""The card beside a model says what it was made of, how it scored, and what it is not for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from speech import extracted, speech

from featkit import SERClassifier, SERVoting, evaluate, load
from featkit.card import LIMITS, described, limits, window_caution

WAVES, LABELS, SPEAKERS = speech()


def card(tmp_path: Path, classifier: SERClassifier | SERVoting, **about: object) -> str:
    classifier.export(tmp_path / "model.onnx", **about)  # type: ignore[arg-type]
    return (tmp_path / "model.md").read_text(encoding="utf-8")


def test_it_tells_scores_with_their_protocol_interval_and_recalls(tmp_path: Path) -> None:
    clf = SERClassifier().fit(WAVES, LABELS, groups=SPEAKERS)
    result = evaluate(clf, extracted("functionals"), LABELS, SPEAKERS)
    scores = {"corpus": "emodb", "synthetic": False} | result.summary()
    text = card(tmp_path, clf, scores=scores, corpora=["EMO-DB (free for research)"])
    low, high = result.ua_interval or (0, 0)
    assert f"emodb, leave one of 4 speakers out: WA {100 * result.wa:.1f} %, UA {100 * result.ua:.1f} %" in text
    assert f"[{100 * low:.0f}, {100 * high:.0f}]" in text
    for label, recall in result.recalls.items():
        assert f"| {label} | {100 * recall:.1f} |" in text
    assert "EMO-DB (free for research): 24 clips from 4 speakers (anger 8, neutral 8, sadness 8)" in text
    assert "SYNTHETIC" not in text


def test_it_tells_how_long_the_clips_were(tmp_path: Path) -> None:
    waves = [speech().waves[0]] * 2 + [np.tile(speech().waves[0], n) for n in (2, 3)] * 9
    labels = ["anger", "sadness"] * 10
    lengths = np.quantile([len(wave) / 16_000 for wave in waves], [0.05, 0.5, 0.95])
    text = card(tmp_path, SERClassifier().fit(waves, labels))
    low, median, high = (f"{length:.3g}" for length in lengths)
    assert f", 9 of 10 of {low} to {high} s, half below {median} s" in text
    recipe = load(tmp_path / "model.onnx").recipe
    assert recipe["data"]["seconds"] == pytest.approx(lengths, abs=0.001)
    assert window_caution(recipe, lengths[0] + 0.01) is None
    assert f"shorter than 95 of 100 clips that the model learned from ({low} s" in str(window_caution(recipe, 0.5))


def test_of_features_that_know_no_recording_no_length_is_told(tmp_path: Path) -> None:
    clips = [replace(clip, seconds=None) for clip in extracted("functionals")]
    clf = SERClassifier().fit(clips, LABELS)
    assert clf.data_["seconds"] is None
    clf.export(tmp_path / "model.onnx", clips=WAVES[:3])
    assert " half below" not in (tmp_path / "model.md").read_text(encoding="utf-8")
    assert window_caution(load(tmp_path / "model.onnx").recipe, 0.1) is None


def test_what_goes_in_and_comes_out_is_what_the_graph_says(tmp_path: Path) -> None:
    told = card(tmp_path, SERClassifier().fit(WAVES, LABELS)).partition("## In and out")[2]
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for kind, values in {"input": session.get_inputs(), "output": session.get_outputs()}.items():
        for value in values:
            number = value.type.removeprefix("tensor(").removesuffix(")").replace("float", "float32")
            shape = f"{value.shape}".replace("'", "")
            assert f"| {kind} `{value.name}` | `{number} {shape}`: " in told
    assert "operator set 18 (ai.onnx.ml 3), IR version 8." in told
    model = onnx.load(tmp_path / "model.onnx")
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 18, "ai.onnx.ml": 3}
    assert model.ir_version == 8
    example = told.rpartition("```python\n")[2].partition("```")[0].replace("model.onnx", f"{tmp_path / 'model.onnx'}")
    names: dict[str, Any] = {"wave": WAVES[0]}
    exec(example, names)
    assert names["label"].tolist() == load(tmp_path / "model.onnx").predict([WAVES[0]]).tolist()


def test_it_tells_size_latency_input_and_backend(tmp_path: Path) -> None:
    text = card(tmp_path, SERClassifier().fit(WAVES, LABELS))
    assert f"`model.onnx`, {(tmp_path / 'model.onnx').stat().st_size / 1000:.0f} kB" in text
    assert "| input | wave (batch, samples) float32: mono, 16000 Hz, −1 to 1, at least 400 samples |" in text
    assert "| backend | svm |" in text
    assert " ms for a clip of 1." in text
    assert "Not measured: `featkit fit --evaluate`" in text


def test_it_warns_of_synthetic_speech_licences_and_transduction(tmp_path: Path) -> None:
    clf = SERClassifier("egemaps", normalise="speaker").fit(WAVES, LABELS, groups=SPEAKERS)
    scores = {"corpus": "synthetic", "synthetic": True, "protocol": "x", "WA": 0.5, "UA": 0.5, "UA_95": None}
    text = card(tmp_path, clf, scores=scores)
    assert "It was trained on SYNTHETIC speech" in text
    assert "Terms of the features hold for the model: openSMILE features: research and private use only" in text
    assert "(*transductive*)" in text
    assert 'model.predict(["clip.wav"], speakers=["mia"])' in text


def test_an_average_names_its_members(tmp_path: Path) -> None:
    text = card(tmp_path, SERVoting([SERClassifier("mfcc39"), SERClassifier("logmel")]).fit(WAVES, LABELS))
    assert "| backend | average of svm on mfcc39, svm on logmel |" in text


def test_scores_of_another_kind_are_told_as_they_are(tmp_path: Path) -> None:
    text = card(tmp_path, SERClassifier().fit(WAVES, LABELS), scores={"AUC": 0.9})
    assert "## Scores\n\nAUC 0.9\n" in text


def test_a_label_does_not_break_the_table(tmp_path: Path) -> None:
    text = card(tmp_path, SERClassifier().fit(WAVES, ["a|b" if name == "anger" else name for name in LABELS]))
    table = text.partition("|---|---|\n")[2].partition("\n\n")[0]
    assert all(line.startswith("| ") and line.replace("\\|", "").count("|") == 3 for line in table.splitlines())


def test_the_limits_of_a_model_are_those_of_its_card(tmp_path: Path) -> None:
    scores = {"corpus": "synthetic", "synthetic": True, "protocol": "x", "WA": 0.5, "UA": 0.5, "UA_95": None}
    text = card(tmp_path, SERClassifier("egemaps").fit(WAVES, LABELS), scores=scores)
    told = limits(load(tmp_path / "model.onnx").recipe)
    assert len(told) == len(LIMITS) + 2
    assert all(f"- {limit}\n" in text for limit in told)


def test_the_recall_of_an_emotion_that_was_not_judged_is_left_empty(tmp_path: Path) -> None:
    clf = SERClassifier().fit(WAVES, LABELS, groups=SPEAKERS)
    places = [i for i, label in enumerate(LABELS) if SPEAKERS[i] != SPEAKERS[0] or label != "anger"]
    result = evaluate(
        clf, [WAVES[i] for i in places], [LABELS[i] for i in places], [SPEAKERS[i] for i in places], cv=[SPEAKERS[0]]
    )
    text = card(tmp_path, clf, scores={"corpus": "emodb", "synthetic": False} | result.summary())
    assert "| anger |  |" in text


def test_what_a_file_says_of_itself_cannot_command_the_terminal(tmp_path: Path) -> None:
    SERClassifier().fit(WAVES, LABELS).export(tmp_path / "model.onnx")
    read = load(tmp_path / "model.onnx")
    told = described(read.recipe | {"licence": ["free\x1b]0;title\x07"]}, read.inputs)
    assert told["licence"] == "free ]0;title "
