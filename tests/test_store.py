"""A feature table gives back what was written, is read without featkit, and never passes for another one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from speech import write_wav

from featkit.bulk import extract_files
from featkit.corpus import read_corpus
from featkit.errors import DataError, FeatureError
from featkit.extraction import extract
from featkit.features import View, find_extractor
from featkit.store import is_table, read_table

RNG = np.random.default_rng(0)
WAVES = [RNG.normal(0, 0.1, n).astype(np.float32) for n in (8_000, 12_345, 16_000)]
NAMES = ["a.wav", "b ü.wav", "-c.wav"]
NOTES = [("x", "1", None), ("y", None, "a"), (None, "2", None)]
"""Label, speaker and text of each."""


def written(folder: Path, view: View = "functionals") -> Path:
    files = [write_wav(folder / name, wave) for name, wave in zip(NAMES, WAVES, strict=True)]
    extract_files(files, folder / "t.parquet", "mfcc39", view, notes=dict(zip(files, NOTES, strict=True)))
    return folder / "t.parquet"


@pytest.mark.parametrize("view", ["functionals", "frames"])
def test_what_was_written_is_read_bit_for_bit(tmp_path: Path, view: View) -> None:
    read, extractor = read_table(written(tmp_path, view)), find_extractor("mfcc39")
    assert read.files == [str(tmp_path / name) for name in NAMES]
    assert list(zip(read.labels, read.speakers, read.texts, strict=True)) == NOTES
    assert (read.view, read.names, read.spec) == (view, extractor.names(view), extractor.spec)
    for got, put in zip(read.features, extract(WAVES, extractor, view), strict=True):
        np.testing.assert_array_equal(got.values, put.values)
        assert got.spec_hash == put.spec_hash


def test_pandas_reads_it_with_a_name_for_every_column(tmp_path: Path) -> None:
    frame = pd.read_parquet(written(tmp_path))
    about = ["file", "start", "end", "label", "speaker", "text", "sha256", "quality", "bytes", "mtime_ns"]
    assert list(frame.columns) == [*about, *find_extractor("mfcc39").names("functionals")]
    assert frame["mfcc_1_mean"].dtype == np.float32


def test_the_recipe_stands_in_the_schema(tmp_path: Path) -> None:
    recipe = json.loads(pq.read_schema(written(tmp_path, "frames")).metadata[b"featkit_run"])
    assert recipe["features"]["name"] == "mfcc39"
    assert recipe["features"]["params"]["n_mfcc"] == 13


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.parquet: there is no such feature table"):
        read_table(tmp_path / "none.parquet")


def test_a_table_of_somebody_else_is_no_feature_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"file": ["a.wav"], "label": ["x"]}), tmp_path / "m.parquet")
    assert not is_table(tmp_path / "m.parquet")
    with pytest.raises(DataError, match="is not a feature table that featkit wrote"):
        read_table(tmp_path / "m.parquet")


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.99])
def test_a_truncated_table_is_named(tmp_path: Path, keep: float) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(DataError, match=r"t\.parquet: is damaged or not a Parquet file"):
        read_table(path)


def test_a_table_that_lost_a_column_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    pq.write_table(pq.read_table(path).drop_columns(["mfcc_2_std"]), path)
    with pytest.raises(DataError, match=r"has lost its rows or columns \(mfcc_2_std\)"):
        read_table(path)


def test_a_table_with_a_damaged_recipe_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    recipe = json.loads(pq.read_schema(path).metadata[b"featkit_run"])
    recipe["features"]["params"]["n_mfcc"] = 12
    for wrong, told in (({"command": "extract"}, "'features'"), (recipe, "features of hash [0-9a-f]+ have the hash")):
        metadata = {b"featkit_run": json.dumps(wrong)}
        pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
        with pytest.raises(DataError, match=rf"t\.parquet: its recipe is damaged \({told}.*\); extract it again"):
            read_table(path)


def test_a_table_that_pandas_saved_again_is_not_taken_for_a_manifest(tmp_path: Path) -> None:
    pd.read_parquet(written(tmp_path)).to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(DataError, match="holds 353 columns of numbers but no recipe of featkit, which pandas drops"):
        read_corpus(str(tmp_path / "plain.parquet"))


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    arrow = pq.read_table(path)
    holes = pa.array([float("nan")] * 3, pa.float32())
    pq.write_table(arrow.set_column(arrow.column_names.index("mfcc_1_mean"), "mfcc_1_mean", holes), path)
    with pytest.raises(FeatureError, match="holds values that are not finite"):
        read_table(path)
