"""Extraction to tables: the rows are what `extract` gives, with all that is known of each file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
from joblib import parallel_config
from speech import speech, write_wav

from featkit import extract
from featkit.audio import load
from featkit.bulk import Extract, extract_files, versions
from featkit.corpus import read_corpus
from featkit.errors import AudioError, DataError, FeatureError
from featkit.features import find_extractor
from featkit.features.base import FeatureExtractor, View
from featkit.parts import SETTINGS_KEY, FileError, Options, Summary
from featkit.store import is_table, read_table
from featkit.store.layout import Layout
from featkit.stream.windows import bounds


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Workers that start at once."""
    with parallel_config(backend="threading"):
        yield


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "a").mkdir()
    return [write_wav(tmp_path / "a" / f"{i}.wav", wave) for i, wave in enumerate(speech().waves[:5])]


def known(files: list[str]) -> dict[str, tuple[str | None, str | None, str | None]]:
    return {file: (str(speech().labels[i]), f"s{i % 2}", None) for i, file in enumerate(files)}


def bulk(files: list[str], output: Path, features: str = "mfcc39", view: View = "functionals", **more: Any) -> Summary:
    options = Options(
        n_jobs=2, **{key: more.pop(key) for key in ("overwrite", "strict", "retry_failed") if key in more}
    )
    return extract_files(files, output, features, view, options=options, **more)


@pytest.mark.parametrize("features", ["mfcc39", "egemaps+mfcc39"])
@pytest.mark.parametrize("view", ["functionals", "frames"])
def test_the_table_holds_bit_for_bit_what_extract_gives(
    tmp_path: Path, files: list[str], features: str, view: View
) -> None:
    found = bulk(files, tmp_path / "o.parquet", features, view, notes=known(files))
    assert (found.done, found.failed, found.skipped) == (5, 0, 0)
    table, want = read_table(tmp_path / "o.parquet"), extract(files, features, view)
    assert (table.files, table.speakers) == (files, ["s0", "s1", "s0", "s1", "s0"])
    assert table.labels == speech().labels[:5].tolist()
    assert (table.spec, table.names) == (find_extractor(features).spec, find_extractor(features).names(view))
    for got, clip in zip(table.features, want, strict=True):
        np.testing.assert_array_equal(got.values, clip.values)
        assert (got.view, got.spec_hash, got.seconds) == (view, clip.spec_hash, clip.seconds)


@pytest.mark.parametrize("view", ["functionals", "frames"])
def test_a_row_a_window_is_cut_as_a_stream_is(tmp_path: Path, files: list[str], view: View) -> None:
    bulk(files, tmp_path / "o.parquet", view=view, window=0.5, hop=0.2, notes=known(files))
    frame, table = pd.read_parquet(tmp_path / "o.parquet"), read_table(tmp_path / "o.parquet")
    waves = {file: load(file) for file in files}
    cuts = [(file, i, j) for file in files for i, j in bounds(waves[file].size, 8000, 3200)]
    assert frame[["file", "start", "end"]].to_numpy().tolist() == [[f, i / 16_000, j / 16_000] for f, i, j in cuts]
    assert len(cuts) > 3 * len(files)
    assert table.files == [file for file, _, _ in cuts]
    want = extract([waves[file][i:j] for file, i, j in cuts], "mfcc39", view)
    for got, clip in zip(table.features, want, strict=True):
        np.testing.assert_array_equal(got.values, clip.values)


def test_what_is_known_of_a_file_stands_beside_its_features(tmp_path: Path, files: list[str]) -> None:
    wave = np.clip(40 * load(files[1]), -1, 1)
    write_wav(Path(files[1]), wave)
    bulk(files, tmp_path / "o.parquet")
    frame = pd.read_parquet(tmp_path / "o.parquet")
    assert frame["sha256"].tolist() == [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    assert frame["bytes"].tolist() == [os.path.getsize(file) for file in files]
    assert frame["end"].tolist() == [load(file).size / 16_000 for file in files]
    assert "clipped" in frame["quality"][1]
    assert "clipped" not in frame["quality"][0]
    assert frame["label"].isna().all()


def test_the_recipe_and_the_versions_stand_in_the_schema(tmp_path: Path, files: list[str]) -> None:
    bulk(files[:1], tmp_path / "o.parquet", "egemaps", window=0.5, hop=0.25, pad_short=True)
    settings = json.loads(pq.read_schema(tmp_path / "o.parquet").metadata[SETTINGS_KEY])
    extractor = find_extractor("egemaps")
    assert (settings["features"], settings["hash"]) == (extractor.spec, extractor.spec_hash)
    assert [settings[key] for key in ("window", "hop", "pad_short", "view")] == [0.5, 0.25, True, "functionals"]
    assert settings["version of opensmile"] == versions(extractor)["version of opensmile"]
    assert not {"version of torch", "version of onnxruntime"} & settings.keys()
    assert "version of onnxruntime" in versions(find_extractor("egemaps+mfcc39"))


def test_each_failure_has_its_stage(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "text.wav").write_text("I am no audio")
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "short.wav", np.full(100, 0.5), 16_000)
    names = [str(tmp_path / f"{name}.wav") for name in ("text", "empty", "short", "none")]
    found = bulk([*files, *names], tmp_path / "o.parquet")
    assert (found.done, found.failed) == (5, 4)
    failures = pd.read_csv(tmp_path / "o.parquet.failures.csv")
    assert failures["file"].tolist() == names
    assert failures["stage"].tolist() == ["decode", "open", "features", "open"]
    assert bulk([*files, *names[2:3]], tmp_path / "p.parquet", pad_short=True).failed == 0


def test_features_that_fail_cost_their_file(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featkit.features.mfcc.MFCC39.functionals", lambda *given: np.array([np.nan], np.float32))
    with pytest.raises(FileError, match="mfcc39 gave 1 values that are not finite for") as failed:
        Extract(json.dumps(find_extractor("mfcc39").spec), "functionals", None, False)(files[0])
    assert (failed.value.stage, failed.value.hint) == ("features", "drop the clip")


@pytest.mark.parametrize("suffix", [".csv", ".arff", ".npz"])
def test_a_copy_takes_the_place_of_no_other_file(tmp_path: Path, files: list[str], suffix: str) -> None:
    output = tmp_path / f"mine{suffix}"
    output.write_text("file,label\na.wav,joy\n")
    with pytest.raises(DataError, match=rf"mine\{suffix}: is there and not of this command; name another output"):
        bulk(files, output)
    assert [path.name for path in tmp_path.glob("mine*")] == [output.name]
    for overwrite in (True, False):  # then it is a copy, and the same command goes on
        bulk(files, output, overwrite=overwrite)


def test_another_recipe_is_not_mixed_in(tmp_path: Path, files: list[str]) -> None:
    bulk(files, tmp_path / "o.parquet")
    for more, told in (
        ({"features": "mfcc39:n_mels=30"}, r"n_mels is 30 here and 40 there\. Give"),
        ({"window": 0.5}, r"hop is 0\.5 here and none there, window is 0\.5 here"),
        ({"view": "frames"}, "view is frames here and functionals there"),
        ({"pad_short": True}, "pad_short is true here and false there"),
    ):
        with pytest.raises(DataError, match=rf"o\.parquet: was made with other settings: .*{told}"):
            bulk(files, tmp_path / "o.parquet", **more)  # type: ignore[arg-type]


def test_a_hop_without_a_window_is_refused_as_for_predict(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(DataError, match=r"hop is the distance between windows; give their length with window"):
        bulk(files, tmp_path / "o.parquet", hop=0.5)


def test_a_file_that_changed_is_done_again_and_labels_that_changed_are_only_written(
    tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "o.parquet"
    bulk(files, output, notes=known(files))
    write_wav(Path(files[2]), speech().waves[9])
    assert bulk(files, output, notes=known(files)).done == 1
    np.testing.assert_array_equal(read_table(output).features[2].values, extract([speech().waves[9]])[0].values)
    monkeypatch.setattr("featkit.bulk.Extract.__call__", lambda *given: 1 / 0)
    again = known(files) | {files[0]: ("joy", None, "t")}
    found = bulk(files, output, notes=again)
    assert (found.done, found.skipped) == (0, 5)
    table = read_table(output)
    assert (table.labels[0], table.speakers[0], table.texts[0]) == ("joy", None, "t")
    assert table.labels[1:] == speech().labels[1:5].tolist()
    bulk(files, output)  # who knows nothing of them leaves what is there
    assert read_table(output).labels == table.labels


def test_rows_of_files_that_came_with_another_corpus_keep_their_labels(tmp_path: Path, files: list[str]) -> None:
    output = tmp_path / "o.parquet"
    bulk(files[:3], output, notes=known(files[:3]))
    found = bulk(files[3:], output, notes=dict.fromkeys(files[3:], ("fear", None, None)))
    assert found.others == 3
    assert read_table(output).labels == ["fear", "fear", *speech().labels[:3].tolist()]


@pytest.mark.parametrize(
    ("name", "view"),
    [("o.csv", "functionals"), ("o.arff", "functionals"), ("o.npz", "functionals"), ("o.npz", "frames")],
)
def test_a_copy_is_read_back_as_the_table(tmp_path: Path, files: list[str], name: str, view: View) -> None:
    odd = tmp_path / "it's, 100 %\n{a} \\ ü?.wav"
    Path(files[0]).rename(odd)
    files[0] = str(odd)
    notes = known(files) | {str(odd): ("so-so, 'or'\\", None, "?"), files[3]: (None, "a b", "")}
    bulk(files, tmp_path / name, view=view, notes=notes, window=0.5, hop=0.5)
    assert is_table(tmp_path / name)
    got, want = read_table(tmp_path / name), read_table(tmp_path / "o.parquet")
    assert (got.files, got.labels, got.speakers) == (want.files, want.labels, want.speakers)
    assert got.texts == [text or None for text in want.texts] if name == "o.npz" else want.texts
    assert (got.names, got.spec, got.view) == (want.names, want.spec, want.view)
    for ours, theirs in zip(got.features, want.features, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)
        assert ours.spec_hash == theirs.spec_hash
    content = (tmp_path / name).read_bytes()
    bulk(files, tmp_path / name, view=view, notes=notes, window=0.5, hop=0.5, overwrite=True)
    assert (tmp_path / name).read_bytes() == content


def test_a_table_trains_what_its_copy_trains(tmp_path: Path, files: list[str]) -> None:
    bulk(files, tmp_path / "o.arff", notes=known(files))
    corpus, copy = read_corpus(str(tmp_path / "o.parquet")), read_corpus(str(tmp_path / "o.arff"))
    assert corpus.labels.tolist() == copy.labels.tolist()
    assert copy.extractor == corpus.extractor


def test_a_damaged_copy_is_named(tmp_path: Path, files: list[str]) -> None:
    for name in ("o.csv", "o.arff", "o.npz"):
        bulk(files, tmp_path / name, notes=known(files))
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(
            content[: len(content) // 2] if name != "o.npz" else content.replace(b"PK", b"QK")
        )
        with pytest.raises(DataError, match=rf"{name}: is (damaged|not a feature table)"):
            read_table(tmp_path / name)


def test_frames_of_npz_are_mapped_from_disk(tmp_path: Path, files: list[str]) -> None:
    bulk(files, tmp_path / "o.npz", view="frames")
    clip = read_table(tmp_path / "o.npz").features[0].values
    while isinstance(clip.base, np.ndarray) and not isinstance(clip, np.memmap):
        clip = clip.base
    assert isinstance(clip, np.memmap)


@pytest.mark.parametrize("reader", ["polars", "duckdb"])
def test_others_read_the_table_without_featkit(tmp_path: Path, files: list[str], reader: str) -> None:
    module = pytest.importorskip(reader)
    bulk(files, tmp_path / "o.parquet", notes=known(files))
    want = pd.read_parquet(tmp_path / "o.parquet")["mfcc_1_mean"].to_numpy()
    if reader == "polars":
        got = module.read_parquet(tmp_path / "o.parquet")["mfcc_1_mean"].to_numpy()
    else:
        got = module.sql(f"select mfcc_1_mean from '{tmp_path}/o.parquet'").fetchnumpy()["mfcc_1_mean"]
    np.testing.assert_array_equal(got, want)


def test_weka_s_format_is_read_by_another_reader(tmp_path: Path, files: list[str]) -> None:
    arff = pytest.importorskip("arff")
    bulk(files, tmp_path / "o.arff", notes=known(files))
    with (tmp_path / "o.arff").open() as file:
        found = arff.load(file)
    assert found["attributes"][-1] == ("class", ["anger", "neutral", "sadness"])
    assert [row[-1] for row in found["data"]] == speech().labels[:5].tolist()
    want = pd.read_parquet(tmp_path / "o.parquet")["mfcc_1_mean"]
    place = [name for name, _ in found["attributes"]].index("mfcc_1_mean")
    assert [np.float32(row[place]) for row in found["data"]] == want.tolist()


@pytest.mark.parametrize(
    ("name", "more", "error", "message"),
    [
        ("o.txt", {}, DataError, r"o\.txt: tables of features are \*\.parquet"),
        ("o.csv", {"view": "frames"}, DataError, r"o\.csv: CSV holds no frames; name the file"),
        ("o.parquet", {"window": 0}, AudioError, "A window must be longer than 0 s"),
        ("o.parquet", {"features": "mfcc39+mfcc39:n_mels=30"}, None, ""),
    ],
)
def test_what_makes_no_sense_is_told_before_the_first_file(
    tmp_path: Path, files: list[str], name: str, more: dict[str, Any], error: type[Exception] | None, message: str
) -> None:
    if error is None:
        assert bulk(files, tmp_path / name, **more).done == 5
        return
    with pytest.raises(error, match=message):
        bulk(files, tmp_path / name, **more)
    assert not list(tmp_path.glob("o.*"))


def test_a_feature_may_not_be_called_as_another_column() -> None:
    with pytest.raises(FeatureError, match="A feature is called 'label' twice, or as another column is; rename it"):
        Layout(("a", "label"), "functionals")


def test_a_set_that_is_no_plug_in_is_one_line(tmp_path: Path, files: list[str]) -> None:
    @dataclass
    class Own(FeatureExtractor):
        name = "own"

        def frames(self, wave: Any) -> Any:
            return wave[:, None]

    with pytest.raises(Exception, match="No feature set is named 'own'"):
        extract_files(files, tmp_path / "o.parquet", Own(), options=Options(n_jobs=2))


@pytest.mark.parametrize("view", ["functionals", "frames"])
def test_the_bytes_are_the_same_however_the_work_was_shared(tmp_path: Path, files: list[str], view: View) -> None:
    made = {}
    for jobs, order in ((1, 1), (2, 1), (3, -1)):
        output = tmp_path / f"{jobs}.parquet"
        extract_files(
            files[::order], tmp_path / "first.parquet", view=view, options=Options(n_jobs=jobs, overwrite=True)
        )
        (tmp_path / "first.parquet").rename(output)
        # Going on with the files in another order puts the rows in that order.
        output.rename(tmp_path / "o.parquet")
        extract_files(
            files,
            tmp_path / "o.parquet",
            view=view,
            options=Options(n_jobs=jobs, retry_failed=True, overwrite=order < 0),
        )
        made[jobs] = (tmp_path / "o.parquet").read_bytes()
        (tmp_path / "o.parquet").unlink()
    assert made[1] == made[2] == made[3]
