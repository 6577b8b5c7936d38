"""The browser's onnxruntime: two files of its npm package, fetched once, checked, and kept."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import tarfile
from pathlib import Path

from featkit.errors import DataError, ExportError
from featkit.fetch import Patience, fetch
from featkit.files import cache_folder, replacing

VERSION = "1.30.0"
"""Of onnxruntime-web: the one that featkit is tested with."""

# Its smallest part: WebAssembly on the processor, without WebGPU, and the code around it in one module.
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
INTEGRITY = {
    SCRIPT: "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
    WASM: "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
}
"""As browsers check files (W3C Subresource Integrity)."""

CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"

LICENCE = Path(__file__).with_name("onnxruntime-LICENSE.txt")
"""MIT. The npm package names it but does not hold its text."""

_PACKAGE = (  # the whole package, as the registry tells it
    "sha512:ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
_BYTES = 33_106_585
_REGISTRY = "https://registry.npmjs.org"


def integrity_of(content: bytes) -> str:
    """The SHA-384 of a file as browsers check it."""
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


def runtime_files(runtime: Path | None = None) -> dict[str, bytes]:
    """Script and WebAssembly by their names.

    Parameters
    ----------
    runtime
        Folder of the unpacked npm package, or its folder ``dist``. Default: ``featkit/onnxruntime-web-VERSION`` in the
        user's cache folder, filled from the npm registry (``npm_config_registry``) once.

    Raises
    ------
    ExportError
        The folder holds no such files or those of another version, the cache folder cannot be used, or the registry
        cannot be reached.
    """
    if runtime is not None:
        return _named(runtime)
    folder = kept_in()
    try:
        found = _whole(folder)
        if not found:
            _fetch(folder)
            found = _whole(folder)
    except OSError as error:
        variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
        raise ExportError(
            f"onnxruntime-web cannot be kept in '{folder}' ({error.strerror}). Set {variable} to a folder that can be "
            "written, name one that holds its npm package (--runtime FOLDER), or leave it to a CDN (--cdn)."
        ) from None
    return found


def kept_in() -> Path:
    """Where the files are kept from one export to the next."""
    return cache_folder(f"onnxruntime-web-{VERSION}")


def _named(runtime: Path) -> dict[str, bytes]:
    """What somebody put there: the right files, or a reason."""
    places = [place for place in (runtime / "dist", runtime) if (place / SCRIPT).is_file() and (place / WASM).is_file()]
    if not places:
        raise ExportError(
            f"'{runtime}' does not hold {SCRIPT} and {WASM}; name the unpacked npm package onnxruntime-web {VERSION}."
        )
    found = _whole(places[0])
    if not found:
        raise ExportError(
            f"'{places[0]}' holds another onnxruntime-web than {VERSION}, with which featkit is tested, or a damaged "
            f"one; fetch it by: npm pack onnxruntime-web@{VERSION}"
        )
    return found


def _whole(folder: Path) -> dict[str, bytes]:
    """Both files, if they are there and the published ones; else nothing."""
    if not all((folder / name).is_file() for name in INTEGRITY):
        return {}
    found = {name: (folder / name).read_bytes() for name in INTEGRITY}
    return found if all(integrity_of(content) == INTEGRITY[name] for name, content in found.items()) else {}


def _fetch(folder: Path) -> None:
    """Both files of the package into ``folder``. The package itself, ten times as large, is not kept."""
    registry = os.environ.get("npm_config_registry") or _REGISTRY  # noqa: SIM112  npm writes it so
    packed = folder / "package.tgz"
    try:
        url = f"{registry.rstrip('/')}/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
        fetch(url, packed, _PACKAGE, _BYTES, progress=sys.stderr.isatty(), patience=Patience(30, tries=2, pause=1))
    except DataError as error:
        raise ExportError(
            f"onnxruntime-web {VERSION} cannot be fetched: {error} Where there is no network, fetch it elsewhere "
            f"(npm pack onnxruntime-web@{VERSION}), unpack it here and name the folder: --runtime FOLDER"
        ) from None
    with tarfile.open(packed) as package:
        for name in INTEGRITY:
            member = package.extractfile(f"package/dist/{name}")
            assert member is not None, "the package was checked as a whole"
            with replacing(folder / name) as draft:
                draft.write_bytes(member.read())
    packed.unlink()
