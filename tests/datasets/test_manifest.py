"""Manifests as spreadsheets write them are read; what is not clear is an error that names the row."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from featkit.datasets.base import Clip, Skipped
from featkit.datasets.manifest import Manifest
from featkit.errors import DataError, PluginError


def written(folder: Path, content: str | bytes, name: str = "clips.csv") -> Manifest:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Manifest(path)


def saved(folder: Path, **columns: object) -> Manifest:
    parquet.write_table(pa.table(columns), folder / "clips.parquet")
    return Manifest(folder / "clips.parquet")


def read(manifest: Manifest) -> list[Clip]:
    return list(manifest.clips())


# What is read


def test_relative_files_start_from_the_folder_of_the_manifest(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "2.wav"
    clips = read(written(tmp_path, f"file,label,speaker,text\nwav/1.wav,anger,mia,hello\n{elsewhere},neutral,tom,\n"))
    assert clips == [Clip(tmp_path / "wav" / "1.wav", "anger", "mia", "hello"), Clip(elsewhere, "neutral", "tom", None)]


@pytest.mark.parametrize(
    "content",
    [
        b"file,label\n1.wav,anger\n2.wav,fear\n",
        b"file,label\r\n1.wav,anger\r\n2.wav,fear\r\n",
        b"file,label\r1.wav,anger\r2.wav,fear",
        b"\xef\xbb\xbffile,label\n1.wav,anger\n2.wav,fear",
        b"\n\nfile,label\n\n1.wav,anger\n,\n   \n2.wav,fear\n\n",
        b" File , LABEL \n 1.wav , anger \n2.wav,fear\n",
        b'"file","label"\n"1.wav","anger"\n"2.wav","fear"\n',
        b"file;label\n1.wav;anger\n2.wav;fear\n",
        b"file\tlabel\n1.wav\tanger\n2.wav\tfear\n",
        b"label,id,file\nanger,7,1.wav\nfear,8,2.wav\n",
    ],
    ids=["LF", "CRLF", "CR", "BOM", "blank lines", "spaces", "quotes", "semicolons", "tabs", "more columns"],
)
def test_tables_are_read_as_spreadsheets_write_them(tmp_path: Path, content: bytes) -> None:
    clips = read(written(tmp_path, content))
    assert [(clip.path.name, clip.label, clip.speaker) for clip in clips] == [
        ("1.wav", "anger", None),
        ("2.wav", "fear", None),
    ]


def test_semicolons_in_the_rows_do_not_make_them_the_separator(tmp_path: Path) -> None:
    (clip,) = read(written(tmp_path, 'file,label,text\n1.wav,anger,"no; no, no;\nno"\n'))
    assert clip.text == "no; no, no;\nno"


def test_parquet_reads_like_text(tmp_path: Path) -> None:
    labels = pa.array(["anger", "fear"]).dictionary_encode()
    manifest = saved(
        tmp_path, Label=labels, file=["1.wav", "2.wav"], speaker=[3, 4], text=["a", None], score=[0.5, 1.0]
    )
    assert read(manifest) == [Clip(tmp_path / "1.wav", "anger", "3", "a"), Clip(tmp_path / "2.wav", "fear", "4", None)]


@pytest.mark.parametrize("word", ["", "nan", "NaN", "<NA>", "None"])
def test_a_speaker_that_pandas_does_not_know_is_not_known(tmp_path: Path, word: str) -> None:
    (clip,) = read(written(tmp_path, f"file,label,speaker,text\n1.wav,anger,{word},{word}\n"))
    assert (clip.speaker, clip.text) == (None, None)


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_null_and_nan_of_parquet_are_not_known(tmp_path: Path, missing: float | None) -> None:
    speakers = pa.array([missing, missing], pa.float64(), from_pandas=False)
    clips = read(saved(tmp_path, file=["1.wav", "2.wav"], label=["anger", "fear"], speaker=speakers))
    assert [clip.speaker for clip in clips] == [None, None]


def test_a_column_of_missing_speakers_as_pandas_writes_it_is_not_known(tmp_path: Path) -> None:
    table = pd.DataFrame({"file": ["1.wav"], "label": ["anger"], "speaker": [float("nan")]})
    table.to_parquet(tmp_path / "clips.parquet")
    table.astype(str).to_csv(tmp_path / "clips.csv", index=False)
    for name in ("clips.parquet", "clips.csv"):
        assert read(Manifest(tmp_path / name))[0].speaker is None


def test_a_hundred_thousand_rows_take_ten_times_as_long_as_ten_thousand(tmp_path: Path) -> None:
    rows = [f"wav/{i // 100}/{i}.wav,anger,s{i % 50},t{i % 10}\n" for i in range(100_000)]
    seconds = []
    gc.disable()  # it looks at all that other tests have left in memory, the more often the more rows there are
    try:
        for n in (10_000, 100_000):
            manifest = written(tmp_path, f"file,label,speaker,text\n{''.join(rows[:n])}")
            start = time.process_time()
            assert len(read(manifest)) == n
            seconds.append(time.process_time() - start)
    finally:
        gc.enable()
    assert seconds[1] < 30 * seconds[0]  # a hundred times, were every row compared with every other


def test_files_need_not_exist_and_none_is_opened(tmp_path: Path) -> None:
    assert not read(written(tmp_path, "file,label\nnowhere.wav,anger\n"))[0].path.exists()


@pytest.mark.parametrize("column", ["speakers", "Speaker_ID", "speaker id", "SPK", "subject", "actor", "who"])
def test_a_column_that_may_be_that_of_the_speakers_is_a_doubt(tmp_path: Path, column: str) -> None:
    for manifest in (
        written(tmp_path, f"file,label,{column}\n1.wav,anger,mia\n"),
        saved(tmp_path, file=["1.wav"], label=["anger"], **{column: ["mia"]}),
    ):
        assert read(manifest)[0].speaker is None
        assert str(manifest.doubt).endswith(f"has no column 'speaker'; is '{column.lower()}' it? Rename it.")


@pytest.mark.parametrize("header", ["file,label,id", "file,label,peak", "file,label,speech", "file,label,speaker"])
def test_other_columns_are_no_doubt(tmp_path: Path, header: str) -> None:
    manifest = written(tmp_path, f"{header}\n1.wav,anger,x\n")
    read(manifest)
    assert manifest.doubt is None


def test_entries_tell_which_rows_are_no_clips(tmp_path: Path) -> None:
    rows = "1.wav,anger\n2.wav,\n1.wav,fear\n3.wav,fear\n"
    entries = list(written(tmp_path, f"file,label\n{rows}").entries())
    assert [type(entry) for entry in entries] == [Clip, Skipped, Skipped, Clip]
    assert [entry.reason.partition("'")[0] for entry in entries if isinstance(entry, Skipped)] == [
        "row 3 of ", "rows 2 and 4 of ",
    ]  # fmt: skip


# What is refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"clips\.csv' is empty; it needs the columns file, label"),
        ("file,label\n\n", r"clips\.csv' lists no clip below its header"),
        (
            "file,labels\n1.wav,anger\n",
            r"has no column 'label'\. Rename 'labels' to 'label'\? Its columns: file, labels",
        ),
        (
            "filename;label\n1.wav;anger\n",
            r"has no column 'file'\. Rename 'filename' to 'file'\? Its columns: filename, label",
        ),
        (
            "file,emotion,subject,sentence\n1.wav,anger,a,b\n",
            r"Rename 'emotion' to 'label', 'subject' to 'speaker', 'sentence' to 'text'\? Its columns: file, emotion",
        ),
        (
            "path,emotion,who\n1.wav,anger,mia\n",
            r"Rename 'path' to 'file', 'emotion' to 'label', 'who' to 'speaker'\? Its columns: path, emotion, who",
        ),
        ("file,emotion,peak\n1.wav,anger,1\n", r"Rename 'emotion' to 'label'\? Its"),
        ("1.wav,anger\n2.wav,fear\n", r"has no column 'file'\. Its columns: 1\.wav, anger"),
        ("file,label,Label\n1.wav,anger,fear\n", r"has 2 columns 'label'; keep one"),
        ("file,label\n1.wav,anger\n2.wav,\n", r"row 3 of '.*' has no label; fill it in or drop the row"),
        ("file,label\n1.wav,nan\n", r"row 2 of '.*' has no label; fill it in or drop the row"),
        ("file,label\n\n,anger\n", r"row 3 of '.*' has no file; fill it in"),
        ("file,label\n1.wav,anger\n2.wav\n", r"row 3 of '.*' has 1 cells, but the header has 2"),
        ("file,label\n1.wav,anger,very\n", r"row 2 of '.*' has 3 cells, but the header has 2"),
        (
            'file,label\n1.wav,anger\n"2.wav,fear\n3.wav,fear\n',
            r"row 3 of '.*' is not valid CSV \(.*\); look at its quotes",
        ),
        (b"file,label\n1.wav,\xc4rger\n", r"row 2 of '.*' is not UTF-8 text; save the table as UTF-8"),
        ("file,label\n1.wav,anger\n".encode("utf-16"), r"row 1 of '.*' is not UTF-8 text"),
        ("file,label\n1.wav,anger\n2.wav,fear\n1.wav,anger\n", r"rows 2 and 4 of '.*' list '.*1\.wav' twice; drop one"),
        (
            "file,label\n1.wav,anger\n./x/../1.wav,fear\n",
            r"rows 2 and 3 of '.*' list '.*1\.wav' twice, as 'anger' and 'fear'; drop one",
        ),
        (
            'file,label,speaker\n1.wav,anger,"m\n"\n\n2.wav,fear,\n3.wav,fear,\n',
            r"row 5 of '.*' has no speaker, but other rows have one; give all rows a speaker, or none",
        ),
    ],
)
def test_a_table_that_is_not_clear_is_an_error(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"manifest: .*{message}"):
        read(written(tmp_path, content))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"file": ["1.wav"]}, r"has no column 'label'\. Its columns: file"),
        ({"file": ["1.wav", None], "label": ["anger", "fear"]}, r"row 2 of '.*' has no file"),
        ({"file": ["1.wav"], "label": [0.5]}, r"row 1 of '.*' has 0\.5 for its label; save that column as text or"),
        ({"file": ["1.wav"], "label": ["fear"], "speaker": [3.0]}, r"row 1 of '.*' has 3\.0 for its speaker"),
        ({"file": ["1.wav"], "label": [float("nan")]}, r"row 1 of '.*' has no label"),
        (
            {"file": ["1.wav", "2.wav"], "label": ["fear"] * 2, "speaker": ["mia", None]},
            r"row 2 of '.*' has no speaker, but other rows have one",
        ),
        ({"file": [b"1.wav"], "label": ["fear"]}, r"row 1 of '.*' has b'1\.wav' for its file"),
        ({"file": ["1.wav"] * 2, "label": ["anger"] * 2}, r"rows 1 and 2 of '.*' list '.*1\.wav' twice"),
        ({"file": pa.array([], pa.string()), "label": pa.array([], pa.string())}, r"lists no clip below its header"),
    ],
)
def test_a_parquet_table_that_is_not_clear_is_an_error(
    tmp_path: Path, columns: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=f"manifest: .*{message}"):
        read(saved(tmp_path, **columns))


def test_a_file_that_is_not_parquet_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest: '.*clips\.parquet' cannot be read as parquet: "):
        read(written(tmp_path, "file,label\n1.wav,anger\n", "clips.parquet"))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = saved(tmp_path, file=["1.wav"], label=["anger"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PluginError, match=r"parquet manifest needs the package 'pyarrow', .* 'featkit\[parquet\]'"):
        read(manifest)


@pytest.mark.parametrize("name", [".", "nowhere.csv"])
def test_a_manifest_that_is_no_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"manifest: there is no file '.*'; name a table \(\.csv, \.tsv, \.parquet\)"):
        read(Manifest(tmp_path / name))


def test_nothing_is_yielded_from_a_table_with_a_wrong_row(tmp_path: Path) -> None:
    clips = written(tmp_path, "file,label\n1.wav,anger\n2.wav,\n").clips()
    with pytest.raises(DataError, match="row 3"):
        next(clips)
