"""A feature table gives back what was written, is read without featkit, and never passes for another one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featkit.corpus import read_corpus
from featkit.errors import DataError, FeatureError
from featkit.extraction import extract
from featkit.features import View, find_extractor
from featkit.store import FeatureTable, is_table, read_table, write_table

RNG = np.random.default_rng(0)
WAVES = [RNG.normal(0, 0.1, n).astype(np.float32) for n in (8_000, 12_345, 16_000)]


def table(view: View) -> FeatureTable:
    extractor = find_extractor("mfcc39")
    clips = extract(WAVES, extractor, view)
    return FeatureTable(
        ["a.wav", "b ü.wav", "-c.wav"],
        ["x", "y", None],
        ["1", None, "2"],
        [None, "a", None],
        clips,
        extractor.names(view),
        extractor.spec,
    )


@pytest.mark.parametrize("view", ["functionals", "frames"])
def test_what_was_written_is_read_bit_for_bit(tmp_path: Path, view: View) -> None:
    written = table(view)
    write_table(tmp_path / "t.parquet", written)
    read = read_table(tmp_path / "t.parquet")
    assert (read.files, read.labels, read.speakers, read.texts) == (
        written.files,
        written.labels,
        written.speakers,
        written.texts,
    )
    assert (read.view, read.names, read.spec) == (view, written.names, written.spec)
    for got, put in zip(read.features, written.features, strict=True):
        np.testing.assert_array_equal(got.values, put.values)
        assert got.spec_hash == put.spec_hash


def test_pandas_reads_it_with_a_name_for_every_column(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", table("functionals"))
    frame = pd.read_parquet(tmp_path / "t.parquet")
    about = ["file", "start", "end", "label", "speaker", "text", "sha256", "quality", "bytes", "mtime_ns"]
    assert list(frame.columns) == [*about, *find_extractor("mfcc39").names("functionals")]
    assert frame["mfcc_1_mean"].dtype == np.float32


def test_the_recipe_stands_in_the_schema(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", table("frames"))
    recipe = json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"featkit_run"])
    assert recipe["features"]["name"] == "mfcc39"
    assert recipe["features"]["params"]["n_mfcc"] == 13


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv: feature tables are Parquet; name the file \*\.parquet"):
        write_table(tmp_path / "t.csv", table("frames"))


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
    path = tmp_path / "t.parquet"
    write_table(path, table("functionals"))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(DataError, match=r"t\.parquet: is damaged or not a Parquet file"):
        read_table(path)


def test_a_table_that_lost_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, table("functionals"))
    pq.write_table(pq.read_table(path).drop_columns(["mfcc_2_std"]), path)
    with pytest.raises(DataError, match=r"has lost its rows or columns \(mfcc_2_std\)"):
        read_table(path)


def test_a_table_with_a_damaged_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, table("functionals"))
    recipe = json.loads(pq.read_schema(path).metadata[b"featkit_run"])
    recipe["features"]["params"]["n_mfcc"] = 12
    for wrong, told in (({"command": "extract"}, "'features'"), (recipe, "features of hash [0-9a-f]+ have the hash")):
        metadata = {b"featkit_run": json.dumps(wrong)}
        pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
        with pytest.raises(DataError, match=rf"t\.parquet: its recipe is damaged \({told}.*\); extract it again"):
            read_table(path)


def test_a_table_that_pandas_saved_again_is_not_taken_for_a_manifest(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", table("functionals"))
    pd.read_parquet(tmp_path / "t.parquet").to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(DataError, match="holds 355 columns of numbers but no recipe of featkit, which pandas drops"):
        read_corpus(str(tmp_path / "plain.parquet"))


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, table("functionals"))
    arrow = pq.read_table(path)
    holes = pa.array([float("nan")] * 3, pa.float32())
    pq.write_table(arrow.set_column(arrow.column_names.index("mfcc_1_mean"), "mfcc_1_mean", holes), path)
    with pytest.raises(FeatureError, match="holds values that are not finite"):
        read_table(path)
