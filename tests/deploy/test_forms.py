"""Clips to judge on, the comparison, and what ``featkit export --to`` says when something is wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import onnx
import pytest
import soundfile
from click.testing import CliRunner, Result
from onnx import TensorProto, helper
from speech import EMOTIONS, fitted, speech, write_manifest, write_wav

from featkit import SERClassifier, load
from featkit.cli import cli
from featkit.corpus import read_corpus
from featkit.deploy import FORMS
from featkit.deploy.clips import CALIBRATION, Clips, of_corpus, of_files
from featkit.deploy.convert import convert
from featkit.deploy.measure import Answers, Comparison, Predict, asked
from featkit.deploy.tflite import by_windows, windows
from featkit.errors import DataError, ExportError, ModelError

SAID = speech()


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="featkit")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forms") / "model.onnx"
    fitted("mfcc39", "mlp").export(path)
    return path


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("clips"))


# Clips


def test_clips_of_a_corpus_keep_labels_and_speakers_and_leave_out_what_cannot_be_used(
    model: Path, manifest: Path
) -> None:
    folder = manifest.parent
    (folder / "text.wav").write_text("I am no audio")
    (folder / "more.csv").write_text(manifest.read_text() + "text.wav,anger,s0,t0\n")
    clips = of_corpus(read_corpus(str(folder / "more.csv")), load(model))
    assert len(clips) == 24
    assert clips.labels is not None
    assert clips.speakers is not None
    assert clips.labels.tolist() == SAID.labels.tolist()
    assert clips.speakers.tolist() == SAID.speakers.tolist()
    ((failed,),) = ([Path(failure.clip).name for failure in clips.failures],)
    assert failed == "text.wav"
    np.testing.assert_allclose(clips.waves[3], SAID.waves[3], atol=1e-6)


def test_labels_that_the_model_does_not_know_are_left_out(model: Path, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / name, SAID.waves[0])
    (tmp_path / "clips.csv").write_text("file,label\na.wav,anger\nb.wav,calm\n")
    clips = of_corpus(read_corpus(str(tmp_path / "clips.csv")), load(model))
    assert clips.labels is not None
    assert clips.labels.tolist() == ["anger"]
    (tmp_path / "clips.csv").write_text("file,label\na.wav,calm\nb.wav,calm\n")
    with pytest.raises(DataError, match=r"knows none of its labels \(calm\), but anger, neutral, sadness"):
        of_corpus(read_corpus(str(tmp_path / "clips.csv")), load(model))


def test_a_table_of_features_is_no_speech(model: Path, manifest: Path, tmp_path: Path) -> None:
    run("extract", "--data", manifest, "-o", tmp_path / "table.parquet")
    with pytest.raises(DataError, match="holds features; a model is judged on sound: name the corpus"):
        of_corpus(read_corpus(str(tmp_path / "table.parquet")), load(model))


def test_clips_of_which_none_can_be_used_are_an_error(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(100, 0.1), 16_000)
    with pytest.raises(DataError, match=r"None of 2 clips can be used\. The first: .*short\.wav: has 100 samples"):
        of_files([tmp_path / "short.wav", tmp_path / "none.wav"], load(model))


def test_many_clips_are_judged_on_others_than_give_the_ranges() -> None:
    waves = [np.full(1, i, dtype=np.float32) for i in range(5 * CALIBRATION)]
    judged, calibration = Clips(waves, np.array(["a"] * len(waves))).split()
    places = [{int(wave[0]) for wave in part.waves} for part in (judged, calibration)]
    assert len(places[1]) == CALIBRATION
    assert places[0] | places[1] == set(range(len(waves)))
    assert not places[0] & places[1]
    assert max(np.diff(sorted(places[1]))) == 5  # from everywhere
    assert judged.labels is not None
    assert len(judged.labels) == len(judged)


def test_few_clips_serve_for_both() -> None:
    clips = Clips(SAID.waves)
    assert clips.split() == (clips, clips)


# Windows


def test_a_short_clip_is_repeated_and_a_long_one_covered() -> None:
    wave = np.arange(1, 8, dtype=np.float32)
    assert windows(wave[:3], 5)[0].tolist() == [1, 2, 3, 1, 2]
    assert windows(wave[:5], 5)[0].tolist() == [1, 2, 3, 4, 5]
    assert [part.tolist() for part in windows(wave, 5)] == [[1, 2, 3, 4, 5], [3, 4, 5, 6, 7]]
    parts = windows(np.arange(1003), 100)
    assert {part.size for part in parts} == {100}
    assert sorted({int(i) for part in parts for i in part}) == list(range(1003))


def test_windows_are_averaged() -> None:
    assert by_windows(lambda part: part[:1], 2)(np.array([1, 2, 3, 4], dtype=np.float32)).tolist() == [2]


# Comparison


def compared(after: list[list[float]], labels: list[str] | None, speakers: list[str] | None = None) -> Comparison:
    before = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]], dtype=np.float32)
    truth, who = (None if column is None else np.array(column) for column in (labels, speakers))
    clips = Clips([np.zeros(1, dtype=np.float32)] * 4, truth, who)
    one, other = Answers("a.onnx", 4000, 1.0, before), Answers("b.onnx", 1000, 0.5, np.array(after, dtype=np.float32))
    return Comparison(clips, ["x", "y"], one, other)


def test_the_comparison_counts_labels_and_points() -> None:
    comparison = compared([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.4, 0.6]], ["x", "x", "y", "y"], ["s", "t", "s", "t"])
    assert comparison.agreement == 0.75
    assert comparison.max_difference == pytest.approx(0.4)
    assert comparison.ua_drop == pytest.approx(25)
    table = comparison.table()
    assert "| b.onnx | 1  | 0.50       | 0.4    | 75.0 %     | 75.0  | 75.0 [0.0, 100.0] " in table
    with pytest.raises(ExportError, match=r"UA falls by 25\.0 points on 4 clips; --max-drop allows 24\.9"):
        comparison.require(24.9)
    comparison.require(25.1)


def test_what_the_fixed_length_costs_is_told_apart() -> None:
    whole = compared([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.6, 0.4]], ["x", "x", "y", "y"])
    cut = Answers("a.onnx, windows", 4000, 1.0, np.float32([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.4, 0.6]]))
    comparison = Comparison(whole.clips, whole.labels, whole.before, whole.after, cut)
    assert comparison.ua_drop == pytest.approx(50)
    assert comparison.agreement == 0.75  # with the model that was asked the same
    assert comparison.windows_cost == "25.0 % of clips get another label by the fixed length alone"
    with pytest.raises(
        ExportError, match=r"falls by 50\.0 points on 4 clips, of which 25\.0 by the fixed length alone"
    ):
        comparison.require(2)


def test_without_labels_the_labels_that_change_count() -> None:
    comparison = compared([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.4, 0.6]], None)
    assert comparison.ua_drop is None
    assert "UA" not in comparison.table()
    with pytest.raises(ExportError, match=r"25\.0 % of 4 clips get another label; --max-drop allows 2 %"):
        comparison.require(2)
    comparison.require(25)


def test_a_better_score_is_no_loss() -> None:
    compared([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]], ["x", "x", "x", "y"]).require(0)


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ExportError, match=r"b\.onnx answers with numbers that are not finite"):
        compared([[np.nan, 0.1]] * 4, None).require_finite()
    with pytest.raises(ExportError, match=r"b.onnx does not answer as the model: .* up to nan \(allowed 0.0001\)"):
        compared([[np.nan, 0.1]] * 4, None).require_equal(1e-4)


# The command


def test_a_form_is_judged_on_a_corpus_and_told_in_a_table(model: Path, manifest: Path, tmp_path: Path) -> None:
    result = run("export", model, "--to", "onnx-int8", "--data", manifest, "-o", tmp_path / "small.onnx")
    assert result.exit_code == 0, result.output
    assert "small.onnx: " in result.output
    assert "Judged on 24 labelled clips." in result.output
    assert "| UA " in result.output
    assert "Note: the model learned from as many clips of the same corpus" not in result.stderr, "it knows no corpus"
    assert run("predict", tmp_path / "small.onnx", manifest.parent / "00.wav").exit_code == 0


def test_who_judges_on_the_training_clips_is_told(manifest: Path, tmp_path: Path) -> None:
    model, small = tmp_path / "own.onnx", tmp_path / "small.onnx"
    assert run("fit", "--data", manifest, "--backend", "mlp:epochs=2", "-o", model).exit_code == 0
    result = run("export", model, "--to", "onnx-int8", "--data", manifest, "-o", small, "--max-drop", 100)
    assert "Note: the model learned from as many clips of the same corpus" in result.stderr
    fewer = tmp_path / manifest.name
    head, *rows = manifest.read_text().splitlines()
    fewer.write_text("\n".join([head, *(f"{manifest.parent}/{row}" for row in rows[1:])]))
    result = run("export", model, "--to", "onnx-int8", "--data", fewer, "-o", small, "--max-drop", 100)
    assert (result.exit_code, "Note: the model" in result.stderr) == (0, False), result.output


def test_clips_without_labels_serve_too_and_bad_ones_are_told(model: Path, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("I am no audio")
    words = ("--to", "onnx-int8-static", "-o", tmp_path / "small.onnx")
    result = run("export", model, *words, manifest.parent / "00.wav", manifest.parent / "01.wav", tmp_path / "text.wav")
    assert result.exit_code == 1
    assert "Judged on 2 clips; ranges from 2 clips, the same." in result.output
    assert "UA" not in result.output
    assert "1 of 3 files could not be used" in result.output
    assert (tmp_path / "small.onnx").exists()


def test_a_form_that_is_refused_shows_what_was_measured(
    model: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked_otherwise(name: str, n_bytes: int, predict: Predict, clips: Clips) -> Answers:
        answers = asked(name, n_bytes, predict, clips)
        turned = np.roll(answers.probabilities, 1, axis=1)
        return replace(answers, probabilities=turned if name == "small.onnx" else answers.probabilities)

    monkeypatch.setattr("featkit.deploy.convert.asked", asked_otherwise)
    result = run("export", model, "--to", "onnx-int8", "--data", manifest, "-o", tmp_path / "small.onnx")
    assert result.exit_code == 1
    assert "| model.onnx |" in result.stdout
    assert "| small.onnx |" in result.stdout
    assert result.stderr == "Error: UA falls by 100.0 points on 24 clips; --max-drop allows 2. Nothing was written.\n"
    assert not (tmp_path / "small.onnx").exists()
    result = run("export", model, "--to", "ort", "-o", tmp_path / "small.ort")
    assert result.exit_code == 0, result.output


def test_an_exact_form_needs_no_clips(model: Path, tmp_path: Path) -> None:
    result = run("export", model, "--to", "ort", "-o", tmp_path / "model.ort")
    assert result.exit_code == 0, result.output
    assert "clips of SYNTHETIC speech" in result.output


def test_a_form_for_the_web_is_one_line(model: Path, tmp_path: Path) -> None:
    result = run("export", model, "--to", "web", "--cdn", "-o", tmp_path / "page")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(str(tmp_path / "page"))
    assert len(result.output.splitlines()) == 1


def _foreign(path: Path) -> Path:
    node = helper.make_node("Identity", ["wave"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("wave", "y")]
    onnx.save(helper.make_model(helper.make_graph([node], "g", values[:1], values[1:]), ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def broken(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that are no source, by what is wrong with them."""
    folder = tmp_path_factory.mktemp("broken")
    paths = {kind: folder / f"{kind}.onnx" for kind in ("none", "text", "truncated", "foreign", "egemaps", "speaker")}
    paths |= {"joblib": folder / "estimator.joblib", "ort": folder / "model.ort"}
    paths["text"].write_text("I am no model")
    paths["truncated"].write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    _foreign(paths["foreign"])
    joblib.dump(fitted("mfcc39", "mlp"), paths["joblib"])
    fitted("egemaps", "mlp").export(paths["egemaps"])
    spoken = SERClassifier("mfcc39", fitted("mfcc39", "svm").backend, normalise="speaker")
    spoken.fit(SAID.waves, SAID.labels, groups=SAID.speakers).export(paths["speaker"])
    convert(model, "ort", paths["ort"])
    return paths


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("none", "there is no such model file"),
        ("text", "is text, not a model"),
        ("truncated", "is damaged or not an ONNX model"),
        ("foreign", "not one that featkit wrote"),
        ("joblib", "is a saved estimator; export it first: featkit export .*estimator.joblib -o .*estimator.onnx"),
        ("egemaps", r"starts at features \(functionals\) .* train with mfcc39 or logmel"),
        ("speaker", r"judges a clip beside the others of its speaker \(normalise='speaker'\)"),
        ("ort", "is an ORT file, which onnxruntime alone reads; name the model.onnx"),
    ],
)
def test_what_is_no_source_is_one_plain_line(
    form: str, kind: str, message: str, broken: dict[str, Path], tmp_path: Path
) -> None:  # fmt: skip
    source = broken[kind]
    with pytest.raises((ExportError, ModelError), match=message):
        convert(source, form, tmp_path / f"out{FORMS[form]}", clips=Clips(SAID.waves))
    assert not (tmp_path / f"out{FORMS[form]}").exists()


def test_the_output_must_have_a_place(model: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"folder.onnx: is a folder; name a file\."):
        convert(model, "onnx-int8", tmp_path / "folder.onnx")
    with pytest.raises(ExportError, match="is the model itself; give the new form another name"):
        convert(model, "onnx-int8", model)
    with pytest.raises(ExportError, match="file: is a file; tflite is a folder"):
        convert(model, "tflite", tmp_path / "file")


def test_a_place_where_no_folder_can_be_is_refused_before_the_work(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "phone", tmp_path / "file" / "deep" / "phone"):
        with pytest.raises(ExportError, match=r"phone: cannot be written here \(Not a directory\); name another place"):
            convert(model, "tflite", place)
    with pytest.raises(ExportError, match=r"cannot be written here \(File name too long\); name another place"):
        convert(model, "tflite", tmp_path / (300 * "x"))


def _full(self: Path, content: bytes) -> int:
    """What a full disk does."""
    self.touch()
    with open("/dev/full", "wb", buffering=0) as nowhere:
        return nowhere.write(content)


@pytest.mark.parametrize("form", ["onnx-int8", "ort"])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    model: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(Path, "write_bytes", _full)
    output = tmp_path / f"small{FORMS[form]}"
    result = run("export", model, "--to", form, "--data", manifest, "-o", output)
    assert result.exit_code == 1
    assert result.output == f"Error: {output}: cannot be written here (No space left on device); name another place.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("form", "tool"), [("onnx-int8", "int8._dynamic"), ("ort", "ort._write_operators")])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("FAIL: cannot save")])
def test_no_room_for_temporary_files_is_one_line(
    model: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, tool: str, error: Exception
) -> None:
    """onnxruntime fails with an error of its own, which does not say that the disk is full."""

    def fail(*given: object) -> None:
        monkeypatch.setattr(Path, "write_bytes", _full)
        raise error

    monkeypatch.setattr(f"featkit.deploy.{tool}", fail)
    output = tmp_path / f"small{FORMS[form]}"
    result = run("export", model, "--to", form, "--data", manifest, "-o", output)
    assert result.output == (
        "Error: No temporary file can be written (No space left on device); let TMPDIR name a folder with room.\n"
    )


def test_what_fails_for_another_reason_is_told_as_it_is(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise ExportError("another reason")

    monkeypatch.setattr("featkit.deploy.ort._write_operators", fail)
    with pytest.raises(ExportError, match="another reason"):
        convert(model, "ort", tmp_path / "model.ort")


@pytest.mark.parametrize("kind", ["pipe", "folder", "none"])
def test_what_is_no_file_is_no_estimator(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "estimator.joblib"
    if kind == "pipe":
        os.mkfifo(source)
    elif kind == "folder":
        source.mkdir()
    result = run("export", source, "-o", tmp_path / "x.onnx")
    what = "there is no such file" if kind == "none" else "is no file"
    assert result.output == (
        f"Error: {source}: {what}; name a fitted estimator that featkit fit -o NAME.joblib saved.\n"
    )


@pytest.mark.parametrize("form", ["onnx-int8", "onnx-int8-static"])
def test_8_bits_need_speech_to_be_judged_on(model: Path, tmp_path: Path, form: str) -> None:
    result = run("export", model, "--to", form, "-o", tmp_path / "x.onnx")
    assert result.exit_code == 1
    assert f"Error: {form} rounds, so it is judged on real speech: give --data CORPUS, or clips." in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "onnx-int8", "-o", "x.ort"), "--output must end in .onnx; it is 'x.ort'."),
        (("--to", "ort", "-o", "x.onnx"), "--output must end in .ort; it is 'x.onnx'."),
        (("--to", "tflite", "-o", "x.tflite"), "--output is a folder for tflite; it is 'x.tflite'."),
        (("--to", "ort", "-o", "x.ort", "--cdn"), "--runtime and --cdn are not for --to ort."),
        (("--to", "onnx", "-o", "x.onnx", "--data", "d"), "--data is not for --to onnx."),
        (("--to", "ort", "-o", "x.ort", "--seconds", "2"), "--seconds is not for --to ort."),
        (("--to", "web", "-o", "x", "a.wav"), "CLIPS are not for --to web."),
        (("--to", "ort", "-o", "x.ort", "--data", "d", "a.wav"), "CLIPS are not for --to ort beside --data."),
        (("--to", "lite", "-o", "x"), "'lite' is not one of"),
        (("--to", "ort", "-o", "x.ort", "--max-drop", "-1"), "-1.0 is not in the range"),
    ],
)
def test_wrong_words_are_told(words: tuple[str, ...], message: str, model: Path) -> None:
    result = run("export", model, *words)
    assert result.exit_code == 2
    assert message in result.output


def test_an_exported_model_is_no_estimator(model: Path, tmp_path: Path) -> None:
    result = run("export", model, "-o", tmp_path / "x.onnx")
    assert result.exit_code == 1
    assert "is exported already; say what to make of it, as in --to onnx-int8" in result.output


def test_a_model_that_is_wrong_already_loses_nothing(model: Path, tmp_path: Path) -> None:
    wrong = list(np.roll(EMOTIONS, 1))
    for i in range(4):
        write_wav(tmp_path / f"{i}.wav", SAID.waves[i])
    rows = [f"{i}.wav,{wrong[EMOTIONS.index(SAID.labels[i])]}" for i in range(4)]
    (tmp_path / "clips.csv").write_text("file,label\n" + "\n".join(rows) + "\n")
    result = run("export", model, "--to", "onnx-int8", "--data", tmp_path / "clips.csv", "-o", tmp_path / "x.onnx")
    assert result.exit_code == 0, result.output
