"""Prediction to tables: the rows are what the model says of each file and window, and each failure has its stage."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
from joblib import parallel_config
from speech import EMOTIONS, fitted, speech, write_wav

from featkit import SERClassifier, load
from featkit.audio import load as load_audio
from featkit.audio import read
from featkit.batch import Predict, predict_files
from featkit.bulk import extract_files
from featkit.errors import AudioError, DataError, ModelError
from featkit.parts import SETTINGS_KEY, FileError, Options
from featkit.quality import flags
from featkit.stream import sliding


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    fitted().export(path, clips=speech().waves[:3])
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "a").mkdir()
    waves = speech().waves[:4]
    waves[2] = np.concatenate([waves[2], np.zeros(20_000, np.float32), waves[3]])  # a pause longer than a window
    return [write_wav(tmp_path / "a" / f"{i}.wav", wave) for i, wave in enumerate(waves)]


def test_tables_of_one_name_keep_their_own_lists_of_failures(model: Path, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.wav").touch()
    predict_files(model, [tmp_path / "bad.wav", files[0]], tmp_path / "o.csv")
    extract_files([tmp_path / "gone.wav", files[0]], tmp_path / "o.parquet")
    for table, name in (("o.csv", "bad.wav"), ("o.parquet", "gone.wav")):
        assert pd.read_csv(tmp_path / f"{table}.failures.csv")["file"].tolist() == [str(tmp_path / name)]


def test_a_table_of_windows_that_is_gone_is_told(model: Path, files: list[Path], tmp_path: Path) -> None:
    predict_files(model, files[:1], tmp_path / "o.csv", window=0.5)
    (tmp_path / "o.segments.csv").unlink()
    with pytest.raises(DataError, match=r"o\.segments\.csv is not there"):
        predict_files(model, files[:1], tmp_path / "o.csv", window=0.5)


def test_a_file_in_one_go_is_judged_as_the_model_judges_it(tmp_path: Path, model: Path, files: list[str]) -> None:
    found = predict_files(model, files, tmp_path / "o.parquet")
    assert (found.done, found.failed, found.skipped) == (4, 0, 0)
    table = pd.read_parquet(tmp_path / "o.parquet")
    assert list(table.columns) == ["file", "label", *EMOTIONS, "seconds", "quality", "bytes", "mtime_ns"]
    np.testing.assert_array_equal(table[list(EMOTIONS)], load(model).predict_proba(files))
    assert table["label"].tolist() == list(load(model).predict(files))
    assert table["seconds"].tolist() == [load_audio(file).size / 16_000 for file in files]
    assert not (tmp_path / "o.segments.parquet").exists()


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_table_begun_anew_without_windows_leaves_none_of_them_beside_it(
    model: Path, files: list[str], tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"o{suffix}"
    predict_files(model, files[:1], output, window=0.5)
    assert (tmp_path / f"o.segments{suffix}").exists()
    predict_files(model, files[:1], output, options=Options(overwrite=True))
    assert not list(tmp_path.glob("o.segments.*"))


def test_what_is_odd_about_a_recording_stands_in_its_row(model: Path, files: list[str], tmp_path: Path) -> None:
    clipped = write_wav(tmp_path / "clipped.wav", np.clip(20 * speech().waves[0], -1, 1))
    soundfile.write(tmp_path / "narrow.wav", speech().waves[1][::2], 8_000)
    clips = [files[0], clipped, str(tmp_path / "narrow.wav")]
    for window in (None, 0.5):
        output = tmp_path / f"{window}.parquet"
        predict_files(model, clips, output, window=window)
        assert pd.read_parquet(output)["quality"].tolist() == ["; ".join(flags(*read(clip))) for clip in clips]
    assert pd.read_parquet(output)["quality"].str.contains("clipped").tolist() == [False, True, False]


def test_a_table_without_one_of_the_columns_is_told(model: Path, files: list[str], tmp_path: Path) -> None:
    output = tmp_path / "o.csv"
    predict_files(model, files[:1], output)
    pd.read_csv(output).drop(columns="quality").to_csv(output, index=False)
    with pytest.raises(DataError, match=r"o\.csv: it or a table beside it is damaged \(.*quality.*begin anew with"):
        predict_files(model, files[:2], output)


def test_windows_are_those_of_sliding_and_a_file_is_their_mean(tmp_path: Path, model: Path, files: list[str]) -> None:
    predict_files(model, files, tmp_path / "o.parquet", window=0.5, hop=0.2)
    table, segments = pd.read_parquet(tmp_path / "o.parquet"), pd.read_parquet(tmp_path / "o.segments.parquet")
    assert list(segments.columns) == ["file", "start", "end", "label", "reason", *EMOTIONS]
    for file, rows in segments.groupby("file"):
        want = sliding(load(model), load_audio(file), 0.5, 0.2)
        assert rows["start"].tolist() == [segment.start for segment in want]
        assert rows["end"].tolist() == [segment.end for segment in want]
        assert rows["reason"].replace({np.nan: None}).tolist() == [segment.reason for segment in want]
        judged = np.array([s.probabilities for s in want if s.probabilities is not None])
        np.testing.assert_array_equal(rows.loc[rows["reason"].isna(), list(EMOTIONS)], judged)
        (row,) = table[table["file"] == file].to_dict("records")
        np.testing.assert_allclose([row[name] for name in EMOTIONS], judged.mean(axis=0), rtol=1e-6)
        assert row["label"] == EMOTIONS[judged.mean(axis=0).argmax()]
        assert row["segments"] == len(want)
    silent = segments[segments["reason"] == "silence"]
    assert len(silent) >= 1
    assert silent["label"].isna().all()
    assert silent[list(EMOTIONS)].isna().all(axis=None)


def test_the_model_and_the_windows_stand_in_the_schema(tmp_path: Path, model: Path, files: list[str]) -> None:
    predict_files(model, files, tmp_path / "o.parquet", window=1.0)
    settings = json.loads(pq.read_schema(tmp_path / "o.parquet").metadata[SETTINGS_KEY])
    assert (settings["window"], settings["hop"]) == (1.0, 1.0)
    assert settings["recipe"] == load(model).recipe
    assert len(settings["model"]) == 64
    assert settings["featkit"] == load(model).recipe["featkit_version"]


def test_each_failure_has_its_stage_a_reason_and_a_hint(tmp_path: Path, model: Path, files: list[str]) -> None:
    folder = tmp_path / "a"
    (folder / "text.wav").write_text("I am no audio")
    (folder / "empty.wav").touch()
    soundfile.write(folder / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(folder / "short.wav", np.full(100, 0.5), 16_000)
    names = ["text", "empty", "silent", "short", "missing"]
    found = predict_files(model, [*files, *(folder / f"{name}.wav" for name in names)], tmp_path / "o.parquet")
    assert (found.done, found.failed) == (4, 5)
    failures = pd.read_csv(tmp_path / "o.parquet.failures.csv", keep_default_na=False)
    assert failures["stage"].tolist() == ["decode", "open", "decode", "features", "open"]
    assert failures["reason"].str.contains(str(folder)).sum() == 0
    assert "is text, not audio" in failures["reason"][0]
    assert failures.iloc[1].tolist()[2:4] == ["the file is empty (0 bytes)", "copy or record it again"]
    assert failures["reason"][3].startswith("has 100 samples")
    assert failures["hint"][3].startswith("Drop the clip")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_a_pipe_is_a_failure_and_nobody_waits_for_it(model: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.wav")
    found = predict_files(model, [tmp_path / "fifo.wav"], tmp_path / "o.parquet")
    assert found.failures == [f"{tmp_path}/fifo.wav: is not a regular file, not an audio file"]
    assert pd.read_csv(tmp_path / "o.parquet.failures.csv")["stage"].tolist() == ["open"]


def test_a_file_of_which_no_window_can_be_judged_is_a_failure(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(100, 0.5), 16_000)
    found = predict_files(model, [tmp_path / "short.wav"], tmp_path / "o.parquet", window=1.0)
    assert "none of 1 windows could be judged: has 100 samples" in found.failures[0]


def test_probabilities_that_are_not_finite_are_a_failure(
    model: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featkit.runtime.Model.predict_proba", lambda *given: np.full((1, 3), np.nan, np.float32))
    import hashlib

    work = Predict(str(model), hashlib.sha256(model.read_bytes()).hexdigest(), EMOTIONS, None)
    with pytest.raises(FileError, match="probabilities that are not finite") as failed:
        work(files[0])
    assert failed.value.stage == "model"


def test_another_model_is_not_mixed_in(tmp_path: Path, model: Path, files: list[str]) -> None:
    other = tmp_path / "other.onnx"
    SERClassifier().fit(speech().waves[:12], speech().labels[:12], groups=speech().speakers[:12]).export(other)
    predict_files(model, files[:2], tmp_path / "o.parquet")
    with pytest.raises(DataError, match=r"o\.parquet: was made with other settings: model is [0-9a-f]{12}… here and "):
        predict_files(other, files, tmp_path / "o.parquet")
    with pytest.raises(DataError, match=r"settings: hop is 0\.5 here and none there, window is 1"):
        predict_files(model, files, tmp_path / "o.parquet", window=1.0, hop=0.5)
    assert predict_files(model, files, tmp_path / "o.parquet").skipped == 2


def test_a_model_that_changes_during_the_run_ends_it(tmp_path: Path, model: Path, files: list[str]) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(model.read_bytes() + b"\n")
    work = Predict(str(copy), "0" * 64, EMOTIONS, None)
    with pytest.raises(ModelError, match=r"copy\.onnx: changed during the run"):
        work(files[0])


def test_a_model_that_goes_during_the_run_ends_it(tmp_path: Path, files: list[str]) -> None:
    work = Predict(str(tmp_path / "gone.onnx"), "1" * 64, EMOTIONS, None)
    with pytest.raises(ModelError, match=r"gone\.onnx: there is no such model file"):
        work(files[0])


def test_settings_that_make_no_sense_are_told_before_the_first_file(
    tmp_path: Path, model: Path, files: list[str]
) -> None:
    with pytest.raises(DataError, match=r"hop is the distance between windows; give their length with window"):
        predict_files(model, files, tmp_path / "o.parquet", hop=0.5)
    with pytest.raises(AudioError, match=r"The hop is 2\.0 s; it must lie between"):
        predict_files(model, files, tmp_path / "o.parquet", window=1.0, hop=2.0)
    with pytest.raises(ModelError, match=r"The window has 160 samples .* make it longer"):
        predict_files(model, files, tmp_path / "o.parquet", window=0.01)
    with pytest.raises(ModelError, match="there is no such model file"):
        predict_files(tmp_path / "none.onnx", files, tmp_path / "o.parquet")
    assert not (tmp_path / "o.parquet.parts").exists()


def test_a_model_that_knows_speakers_is_refused(tmp_path: Path, files: list[str]) -> None:
    path = tmp_path / "speaker.onnx"
    classifier = SERClassifier(normalise="speaker")
    classifier.fit(speech().waves, speech().labels, groups=speech().speakers).export(path)
    with pytest.raises(ModelError, match="judges a clip beside the others of its speaker, and a table is made file by"):
        predict_files(path, files, tmp_path / "o.parquet")


def test_an_emotion_that_is_called_as_a_column_is_refused(tmp_path: Path, files: list[str]) -> None:
    path, labels = tmp_path / "m.onnx", np.where(speech().labels == "anger", "label", speech().labels)
    SERClassifier().fit(speech().waves, labels, groups=speech().speakers).export(path)
    with pytest.raises(ModelError, match="calls an emotion 'label', which is a column of the table"):
        predict_files(path, files, tmp_path / "o.parquet")


def test_any_engine_of_joblib_gives_the_same_table(tmp_path: Path, model: Path, files: list[str]) -> None:
    for name, engine in (("a", "threading"), ("b", "loky")):
        (tmp_path / name).mkdir(exist_ok=True)
        with parallel_config(backend=engine):
            predict_files(model, files, tmp_path / name / "o.parquet", window=0.5, options=Options(n_jobs=2))
    for table in ("o.parquet", "o.segments.parquet"):
        assert (tmp_path / "a" / table).read_bytes() == (tmp_path / "b" / table).read_bytes()
