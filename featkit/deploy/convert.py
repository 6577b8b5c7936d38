"""model.onnx → another form of it, which is judged beside the model before anything is written."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from featkit.audio import SAMPLE_RATE, Wave
from featkit.deploy import FORMS, tflite
from featkit.deploy.clips import Clips, synthetic
from featkit.deploy.int8 import quantised
from featkit.deploy.measure import Comparison, Predict, asked
from featkit.deploy.ort import predictor, to_ort
from featkit.deploy.readme import OPERATORS_SUFFIX, folder_readme, form_card
from featkit.deploy.source import Source, read_source, require_network, require_wave
from featkit.errors import ExportError
from featkit.export import TOLERANCE, require_place, with_form
from featkit.files import write_all, writing
from featkit.runtime import Model
from featkit.tables import counted


@dataclass(frozen=True, eq=False)
class FormReport:
    """What was written, and how it compares."""

    path: Path
    n_bytes: int
    """Of the model itself."""
    comparison: Comparison
    told: str
    """On which clips it was judged and calibrated."""


@dataclass(frozen=True, eq=False)
class _Made:
    """A form in memory."""

    files: dict[str, bytes]
    """By name; the model is the first. An empty name is the file that was asked for itself."""
    predict: Predict


def convert(
    model: Path | Source, form: str, output: Path, *, clips: Clips | None = None, max_drop: float = 2.0,
    seconds: float = 3.0,
) -> FormReport:  # fmt: skip
    """Write ``model`` in another form, or refuse.

    Parameters
    ----------
    model
        ONNX file that `featkit.export.export` wrote, which reads the waveform; or what `require_possible` read of it.
    form
        One of `featkit.deploy.FORMS`.
    output
        A file; for TFLite a folder, which gets model.tflite, labels.txt and README.md.
    clips
        Recordings on which both are asked, and by which static forms are calibrated. Forms without 8 bits do without:
        they must answer as the model, on synthetic speech.
    max_drop
        Points of UA that may be lost; without labels, per cent of clips whose label may change.
    seconds
        Fixed length of the input of TFLite forms.

    Raises
    ------
    ExportError
        The model has no such form, there are no clips to judge on, nothing can be written, or the form answers too
        differently; then a note of the error (``__notes__``) is the table of what was measured.
    ModelError
        The model is damaged or not featkit's.
    PluginError
        The converter to TFLite is not installed.
    """
    source = model if isinstance(model, Source) else require_possible(model, form, output)
    samples = _samples(source, seconds)
    if clips is None and not _exact(form):
        raise ExportError(f"{form} rounds, so it is judged on real speech: give --data CORPUS, or clips.")
    judged = clips or synthetic()
    calibration = judged
    if _calibrated(form):
        judged, calibration = judged.split()
    made = _make(source, form, samples, calibration)
    comparison = _compare(source, made, form, output, judged, samples)
    _require(comparison, form, max_drop)
    told = _told(form, judged, calibration)
    if form.startswith("onnx"):
        content = with_form(
            made.files[""], {"name": form, "of": source.path.name, "judged": f"{told} {comparison.summary()}"}
        )
        made = replace(made, files={"": content})
        comparison = replace(comparison, after=replace(comparison.after, n_bytes=len(content)))
    return _write(source, form, output, made, comparison, told, samples)


def require_possible(model: Path, form: str, output: Path) -> Source:
    """Read the model, and refuse what can be refused before any clip is read. Raises as `convert`."""
    source = read_source(model)
    require_wave(source.model, model, form)
    if form != "ort":
        require_network(source, form)
    _require_place(source, form, output)
    if not FORMS[form]:
        tflite.require_litert()
    return source


def _require(comparison: Comparison, form: str, max_drop: float) -> None:
    """Refuse a form that answers too differently, and note what was measured."""
    try:
        comparison.require_finite()
        if _exact(form):
            comparison.require_equal(TOLERANCE)
        comparison.require(max_drop)
    except ExportError as error:
        error.add_note(comparison.table())
        raise


def _exact(form: str) -> bool:
    return "int8" not in form


def _calibrated(form: str) -> bool:
    return form.endswith(("-static", "-full"))


def _require_place(source: Source, form: str, output: Path) -> None:
    """Before the work, not after it."""
    if FORMS[form]:
        require_place(output)
    if FORMS[form] and output.exists() and output.samefile(source.path):
        raise ExportError(f"{output}: is the model itself; give the new form another name.")
    if not FORMS[form]:
        _require_folder(form, output)


def _require_folder(form: str, output: Path) -> None:
    """It is not made yet: the form may be refused."""
    with writing(output):
        if output.exists() and not output.is_dir():
            raise ExportError(f"{output}: is a file; {form} is a folder with the model, its labels and a README.")
        there = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
        with tempfile.TemporaryFile(dir=there):
            pass


def _samples(source: Source, seconds: float) -> int:
    samples = round(seconds * SAMPLE_RATE) if math.isfinite(seconds) else 0
    shortest = max(tflite.SHORTEST, source.model.recipe["min_samples"])
    if not shortest <= samples <= 60 * SAMPLE_RATE:
        raise ExportError(f"A window lasts {shortest / SAMPLE_RATE:g} to 60 s; it is {seconds:g} s.")
    return samples


def _make(source: Source, form: str, samples: int, calibration: Clips) -> _Made:
    if form == "ort":
        content, operators = to_ort(source)
        return _Made({"": content, "operators": operators.encode()}, predictor(content))
    if form.startswith("onnx"):
        content = quantised(source, calibration if _calibrated(form) else None)
        return _Made({"": content}, _onnx(content))
    content = tflite.to_tflite(source, samples)
    if form != "tflite":
        bits: tflite.Bits = "full" if form.endswith("full") else "dynamic"
        content = tflite.in_8_bits(content, bits, calibration, samples)
    labels = "".join(f"{label}\n" for label in source.model.labels)
    return _Made({"model.tflite": content, "labels.txt": labels.encode()}, tflite.predictor(content, samples))


def _onnx(content: bytes) -> Predict:
    model = Model.of(content, "the converted model")
    return lambda wave: model.predict_proba([wave])[0]


def _compare(source: Source, made: _Made, form: str, output: Path, clips: Clips, samples: int) -> Comparison:
    def predict(wave: Wave) -> npt.NDArray[np.float32]:
        row: npt.NDArray[np.float32] = source.model.predict_proba([wave])[0]
        return row

    name, content = next(iter(made.files.items()))
    before = asked(source.path.name, source.n_bytes, predict, clips)
    after = asked(name or output.name, len(content), made.predict, clips)
    windows = None
    if not FORMS[form]:
        told = f"{source.path.name}, windows of {samples / SAMPLE_RATE:g} s"
        windows = asked(told, source.n_bytes, tflite.by_windows(predict, samples), clips)
    return Comparison(clips, source.model.labels, before, after, windows)


def _told(form: str, judged: Clips, calibration: Clips) -> str:
    kind = "labelled clip" if judged.labels is not None else "clip"
    text = f"Judged on {counted(len(judged), kind)}{' of SYNTHETIC speech' if judged.synthetic else ''}"
    if not _calibrated(form):
        return f"{text}."
    others = "the same" if calibration is judged else "others of the same source"
    return f"{text}; ranges from {counted(len(calibration), 'clip')}, {others}."


def _write(
    source: Source, form: str, output: Path, made: _Made, comparison: Comparison, told: str, samples: int
) -> FormReport:  # fmt: skip
    files = {(output / name if not FORMS[form] else output): content for name, content in made.files.items()}
    if form == "ort":
        files = {output: made.files[""], output.with_suffix(OPERATORS_SUFFIX): made.files["operators"]}
    if FORMS[form]:
        # An .ort file stands beside the model that it was made of, and may bear its name.
        beside = output.with_name(f"{output.name}.md") if form == "ort" else output.with_suffix(".md")
        files[beside] = form_card(source, comparison, output.name, told).encode()
    else:
        files[output / "README.md"] = folder_readme(source, comparison, samples, told).encode()
    write_all(files)
    return FormReport(next(iter(files)), len(next(iter(files.values()))), comparison, told)
