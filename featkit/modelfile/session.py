"""A file that is not trusted, read and given to onnxruntime: no other is read, and what it takes has limits."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import onnxruntime

from featkit.decoding.heads import HEAD, text_of
from featkit.errors import ModelError
from featkit.modelfile.contents import MAX_BYTES

MAX_MEMORY = 8 * 2**30
"""Bytes that what the models of a process compute may take at a time. An hour of speech takes half of it."""
MAX_SECONDS = 60
"""How long a model may think about the test sound when it is loaded."""


_OTHERS = {b"ORTM": ("an ORT file", "onnxruntime"), b"TFL3": ("a TFLite file", "LiteRT")}
"""Forms of a model that featkit does not read, by their bytes 4 to 8: what they are, and who reads them."""


_RECORDINGS = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb")
"""How wav, FLAC, ogg and mp3 begin."""


def file_content(path: Path) -> bytes:
    """The bytes of what may be a model file.

    Raises
    ------
    ModelError
        There is no file, but a folder, a pipe or nothing; it may not be read; or it is another form of a model.
    """
    try:
        if path.is_dir():
            raise ModelError(f"{path}: is a folder; name the model file, as {path / 'model.onnx'}.")
        if not path.exists():
            raise ModelError(f"{path}: there is no such model file.")
        if not path.is_file():  # to read it could take for ever
            raise ModelError(f"{path}: is a pipe or a device; write the model to a file, and name that.")
        if (size := path.stat().st_size) >= MAX_BYTES:
            raise ModelError(f"{path}: has {size / 2**30:.1f} GB, and no ONNX file has 2; name the model itself.")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from None
    if path.suffix == ".joblib":
        onnx = path.with_suffix(".onnx")
        raise ModelError(f"{path}: is a saved estimator; export it first: featkit export {path} -o {onnx}")
    if not content:
        raise ModelError(f"{path}: the file is empty (0 bytes); copy or export it again.")
    if content.startswith(_RECORDINGS):
        raise ModelError(f"{path}: is a recording, not a model; the model is named first.")
    if text := text_of(content[:HEAD]):
        raise ModelError(f"{path}: is text, not a model (it starts with {text[:24]!r}).")
    if content[4:8] in _OTHERS:
        kind, reader = _OTHERS[content[4:8]]
        raise ModelError(f"{path}: is {kind}, which {reader} alone reads; name the model.onnx that it was made of.")
    return content


def open_session(content: bytes, name: str) -> onnxruntime.InferenceSession:
    """A session on one thread. It asks for no other file and computes nothing yet.

    Raises
    ------
    ModelError
        onnxruntime cannot read the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # A model may keep its weights in other files. Ours never do, and one that names files to read is refused: no file
    # lies below the null device.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", f"{os.devnull}/none")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # and not what the bytes claim to be
    # What is computed takes memory from a store with an end; weights, which lie in the file, do not.
    _limit_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    try:
        # What follows from constants alone is computed when the model is asked, where memory has that limit.
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], disabled_optimizers=["ConstantFolding"],
            enable_fallback=0,  # which would print, and try the same again
        )  # fmt: skip
    except Exception as error:  # onnxruntime's exceptions have no common base class
        why = reason(error)
        raise ModelError(f"{name}: is damaged or not an ONNX model ({why}); copy or export it again.") from None


@cache
def _limit_memory() -> None:
    """Once a process: the store of memory that sessions share."""
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(MAX_MEMORY, -1, -1, -1))


@contextmanager
def time_limit() -> Iterator[onnxruntime.RunOptions]:
    """Options for a run that ends within `MAX_SECONDS`, after the operator that is at work then."""
    options = onnxruntime.RunOptions()
    timer = threading.Timer(MAX_SECONDS, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()


def reason(error: Exception) -> str:
    """Why onnxruntime failed, in a few words."""
    text = str(error)
    if "Available memory" in text:
        return f"it takes more than {MAX_MEMORY / 2**30:g} GB of memory"
    if "terminate flag" in text:
        return f"it takes more than {MAX_SECONDS} s"
    return told(text.partition("\n")[0].rpartition(" : ")[2], 120)


def told(text: object, most: int) -> str:
    """What a file says, fit for one line of a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in str(text)[:most])
