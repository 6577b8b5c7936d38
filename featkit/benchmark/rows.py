"""One measurement with everything that is needed to show, compare and repeat it; and the file that keeps them."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from featkit.benchmark.deployed import Deployed
from featkit.benchmark.recipe import Protocol, Recipe, hashed
from featkit.benchmark.state import code_hash, versions
from featkit.errors import DataError
from featkit.metrics import Difference
from featkit.scores import Evaluation

FORMAT = 1


@dataclass(frozen=True)
class Made:
    """With what and when a row was made."""

    code: str = field(default_factory=code_hash)
    """Hash of the sources of featkit and of the plug-ins."""
    versions: Mapping[str, str] = field(default_factory=versions)
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d"))


@dataclass(frozen=True, eq=False)
class Row:
    """One recipe, evaluated."""

    recipe: Recipe
    protocol: Protocol
    corpus: str
    """Name; of a test across corpora "emodb → ravdess"."""
    data: str
    """Hash of recordings, labels and speakers."""
    synthetic: bool
    evaluation: Evaluation
    files: Sequence[str] = ()
    """(n,) names of the judged clips, from their common folder on."""
    failed_clips: int = 0
    """Clips that could not be used and are in no score."""
    extraction_seconds: float = 0.0
    """CPU seconds of extracting the features of all clips, with their copies."""
    model: Deployed | None = None
    no_model: str | None = None
    """Why a model was to be measured and could not be exported."""
    made: Made = field(default_factory=Made)

    @property
    def features(self) -> str:
        """As the recipe says."""
        return self.recipe.features or ""

    @property
    def backend(self) -> str:
        """As the recipe says; of a preset its name."""
        return self.recipe.backend or f"preset {self.recipe.preset}"

    @property
    def augment(self) -> str | None:
        """Plan and number of copies of each training clip; None for no augmentation."""
        return self.recipe.augmentation

    @property
    def key(self) -> str:
        """Names the measurement: recipe, data, protocol and the code that decides numbers. 12 hex digits."""
        return row_key(self.recipe, self.data, self.protocol, self.made.code)

    def summary(self) -> dict[str, Any]:
        """The row as plain data, without predictions."""
        about = {
            "key": self.key, "corpus": self.corpus, "synthetic": self.synthetic, "features": self.recipe.features,
            "backend": self.backend, "augment": self.augment, "remarks": ", ".join(self.remarks) or None,
        }  # fmt: skip
        uas = self.evaluation.speaker_uas
        return about | self.evaluation.summary() | {
            "failed_clips": self.failed_clips,
            "extraction_seconds": round(self.extraction_seconds, 2),
            "speaker_UA": None if uas is None else {name: round(value, 4) for name, value in uas.items()},
            "model": None if self.model is None else asdict(self.model),
            "no_model": self.no_model,
            "seed": self.recipe.seed,
            "data": self.data,
            "made": asdict(self.made),
        }  # fmt: skip

    @property
    def remarks(self) -> list[str]:
        """What must be said wherever this score is."""
        return [*(["SYNTHETIC"] if self.synthetic else []), *self.recipe.remarks]

    def record(self) -> dict[str, Any]:
        """Everything, as one line of JSON holds it."""
        told = self.evaluation
        cost = told.importance
        return self.summary() | {
            "format": FORMAT,
            "recipe": asdict(self.recipe),
            "judged": asdict(self.protocol),
            "labels": [str(label) for label in told.labels],
            "cpu_seconds": told.cpu_seconds,
            "extraction_seconds": self.extraction_seconds,
            "histories": [[{k: float(f"{v:.6g}") for k, v in row.items()} for row in one] for one in told.histories],
            "importance": None if cost is None else {k: [v.ua, *v.interval, v.p] for k, v in cost.items()},
            **({"chosen": list(told.chosen)} if told.chosen else {}),
            "predictions": _packed_predictions(told, self.files),
        }


def row_key(recipe: Recipe, data: str, protocol: Protocol, code: str) -> str:
    """See `Row.key`."""
    return hashed([asdict(recipe), data, asdict(protocol), code])


def read_row(record: Any) -> Row:
    """What `Row.record` wrote.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is something else, or its scores do not follow from its predictions.
    """
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"is no row of format {FORMAT}")
    evaluation, files = _unpacked_predictions(record)
    model = record["model"]
    row = Row(
        Recipe(**record["recipe"]), Protocol(**record["judged"]), record["corpus"], record["data"],
        record["synthetic"], evaluation, files, record["failed_clips"], record["extraction_seconds"],
        None if model is None else Deployed(**model), record["no_model"], Made(**record["made"]),
    )  # fmt: skip
    told = {name: record[name] for name in ("key", "UA", "WA", "macro_F1", "clips")}
    summary = row.summary()
    if told != {name: summary[name] for name in told}:
        raise ValueError("its scores do not follow from its predictions")
    return row


@dataclass(frozen=True)
class RowFile:
    """Rows on disk, one line each, written as soon as they are made."""

    path: Path

    def read(self) -> list[Row]:
        """The rows so far; none where there is no file. Half a line at its end, as a killed run leaves, is passed over.

        Raises
        ------
        DataError
            A line is no row.
        """
        if not self.path.exists():
            return []
        *lines, rest = self._content().split(b"\n")
        rows = []
        for i, line in enumerate(lines):
            try:
                rows.append(read_row(json.loads(line)))
            except json.JSONDecodeError as error:
                if not rows:
                    raise DataError(f"{self.path}: is no file of rows that featkit wrote; give another name.") from None
                raise DataError(f"{self.path}, line {i + 1}: {error}. Delete the line.") from None
            except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
                why = f"misses {error}" if isinstance(error, KeyError) else str(error)
                raise DataError(
                    f"{self.path}, line {i + 1}: {why}. Delete the line, or name another file to write to."
                ) from None
        if rest and not rows:
            raise DataError(f"{self.path}: is no file of rows that featkit wrote; give another name.")
        return rows

    def append(self, row: Row) -> None:
        """Write one row to the end, in one piece. Nobody else may write there: half a line is cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._require_no_folder()
        with self.path.open("ab+") as file:
            _cut_half_line(file)
            file.write(json.dumps(row.record(), ensure_ascii=False, allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _content(self) -> bytes:
        self._require_no_folder()
        return self.path.read_bytes()

    def _require_no_folder(self) -> None:
        if self.path.is_dir():
            raise DataError(f"{self.path}: is a folder; name a file of rows, rows.jsonl.")


def _cut_half_line(file: BinaryIO) -> None:
    """Cut off what a killed run left behind the last whole line. Only then is more read than one byte."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 1))
    if file.read(1) not in (b"", b"\n"):
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def find_row(name: str, folder: Path = Path("results")) -> Row:
    """``results/rows.jsonl#3`` (the third line), ``results/rows.jsonl#8c1f`` (a key, or how it begins), or a file of
    one row. A key alone is looked for in ``folder/rows.jsonl``.

    Raises
    ------
    DataError
        There is no such row, or more than one.
    """
    path, mark, which = name.rpartition("#")
    if mark and not path:
        path = str(folder / "rows.jsonl")
    elif not mark:
        path, which = (name, "") if Path(name).exists() else (str(folder / "rows.jsonl"), name)
    if not Path(path).exists():
        raise DataError(f"{path}: there is no such file of rows; name a row as in results/rows.jsonl#3.")
    rows = RowFile(Path(path)).read()
    if which.isdecimal() and 1 <= int(which) <= len(rows):
        return rows[int(which) - 1]
    # A key is known by four digits: a number that is too high must not find one that begins with it.
    found = [row for row in rows if row.key.startswith(which) and (len(which) >= 4 or not which)]
    if len(found) != 1:
        told = f"; {len(found)} keys begin so" if found and which else ""
        raise DataError(
            f"{path}: holds {len(rows)} rows; name one by its number, as in {path}#1."
            if not which
            else f"{path}: '{which}' is neither the number of one of its {len(rows)} rows nor how the key of one begins"
            f"{told}."
        )
    return found[0]


def names_of(files: Sequence[str]) -> list[str]:
    """Files named from their common folder on, so that rows do not tell where the corpus lay."""
    paths = [file.replace(os.sep, "/").split("/") for file in files]
    depth = min((len(path) for path in paths), default=1) - 1
    while len({tuple(path[:depth]) for path in paths}) > 1:
        depth -= 1
    return ["/".join(path[depth:]) for path in paths]


# --- packed ----------------------------------------------------------------------------------------------------------


def _packed_predictions(told: Evaluation, files: Sequence[str]) -> dict[str, Any]:
    place = {str(label): i for i, label in enumerate(told.labels)}
    speakers = None if told.speakers is None else [str(speaker) for speaker in told.speakers]
    return {
        "truth": _pack(np.array([place[str(label)] for label in told.y_true], dtype="<u2")),
        "predicted": _pack(np.array([place[str(label)] for label in told.y_pred], dtype="<u2")),
        "probabilities": _pack(told.probabilities.astype("<f2")),
        "places": _pack(told.places.astype("<u4")),
        "speakers": None if speakers is None else _pack("\n".join(speakers).encode()),
        "files": _pack("\n".join(files).encode()),
    }


def _unpacked_predictions(record: Mapping[str, Any]) -> tuple[Evaluation, list[str]]:
    packed, labels = record["predictions"], np.array(record["labels"])
    truth, predicted = (labels[_unpack(packed[name], "<u2")] for name in ("truth", "predicted"))
    n = len(truth)
    probabilities = _unpack(packed["probabilities"], "<f2").reshape(n, len(labels)).astype(np.float32)
    speakers = None if packed["speakers"] is None else np.array(_words(packed["speakers"]))
    files = _words(packed["files"])
    if len(predicted) != n or (speakers is not None and len(speakers) != n) or len(files) not in (0, n):
        raise ValueError("its predictions are of different lengths")
    cost = record["importance"]
    evaluation = Evaluation(
        truth, predicted, probabilities, labels, speakers, record["protocol"], record["cpu_seconds"],
        _unpack(packed["places"], "<u4").astype(np.intp), record["histories"],
        None if cost is None else {k: Difference(ua, (low, high), p) for k, (ua, low, high, p) in cost.items()},
        record.get("chosen", []),
    )  # fmt: skip
    return evaluation, files


def _pack(content: npt.NDArray[Any] | bytes) -> str:
    raw = content if isinstance(content, bytes) else content.tobytes()
    return base64.b64encode(zlib.compress(raw, 9)).decode()


def _unpack(text: str, kind: str) -> npt.NDArray[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=kind)


def _words(text: str) -> list[str]:
    words = zlib.decompress(base64.b64decode(text)).decode()
    return words.split("\n") if words else []
