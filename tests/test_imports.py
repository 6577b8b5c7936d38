"""Who may import whom. The table is the architecture: every row names only rows above it."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# module or package : what of featkit it may import. Inside a package (features, datasets) imports are free.
MAY_IMPORT = {
    "errors": "",
    "versions": "",
    "timing": "",
    "decoding": "errors",
    "audio": "errors decoding",
    "quality": "audio",
    "plugins": "errors",
    "normalise": "errors",
    "files": "errors",
    "tables": "errors",
    "settings": "",
    "metrics": "errors",
    "graph": "errors plugins",
    "features": "errors audio plugins settings graph",
    "fetch": "errors",
    "datasets": "errors audio plugins files fetch",
    "augment": "errors audio plugins files datasets",
    "backend": "errors plugins features",
    "sealed": "",
    "lock": "errors files",
    "muted": "",
    "workers": "",
    "parts": "errors plugins settings sealed lock workers",
    "store": "errors plugins files settings features sealed lock parts",
    "extraction": "errors audio settings features augment",
    "columns": "errors extraction",
    "transformer": "features extraction",
    "modelfile": "errors versions decoding audio settings features",
    "card": "tables settings modelfile",
    "runtime": "errors audio normalise settings features modelfile",
    "stream": "errors audio plugins tables muted runtime",
    "bulk": "errors versions decoding audio quality features parts store stream",
    "batch": "errors decoding audio quality parts modelfile card runtime stream",
    "corpus": "errors tables settings features datasets store extraction",
    "export": "errors versions timing audio files graph features datasets backend extraction modelfile card runtime",
    "weights": "errors plugins files settings",
    "classifier": "errors normalise features augment backend extraction columns export weights",
    "voting": "errors audio features backend extraction classifier",
    "presets": "errors plugins features backend classifier voting",
    "protocols": "errors plugins datasets backend",
    "scores": "tables metrics protocols",
    "importance": "features classifier",
    "evaluation": "errors audio metrics features datasets workers columns classifier protocols scores importance",
    "contract": "errors audio plugins settings graph features datasets backend extraction",
    "tuning": "errors plugins tables features backend extraction columns classifier protocols evaluation",
    "plots": "errors plugins metrics",
    "benchmark": "errors versions timing audio plugins tables metrics graph features backend extraction "
    "runtime corpus classifier presets protocols scores evaluation tuning plots",
    "audit": "errors audio quality plugins tables metrics datasets columns corpus protocols",
    "serve": "errors audio quality plugins card runtime stream",
    "deploy": "errors timing audio plugins files tables metrics graph fetch datasets muted extraction "
    "modelfile card runtime corpus export",
    "demo": "*",
    "cli": "*",
    "__main__": "cli",
    "__init__": "",
}
NOBODY_IMPORTS = {"cli", "demo", "__main__"}
"""The ends of the road. Only cli and __main__ may call them."""

BACKENDS_MAY_IMPORT = {"errors", "graph", "backend", "features.wav2vec2", "features.pretrained"}
"""What a third party's backend needs, and so all that ours may use."""

SERVING_NEEDS_NONE_OF = {
    "sklearn", "scipy", "onnx", "skl2onnx", "torch", "xgboost", "pandas", "pyarrow", "opensmile", "sounddevice",
}  # fmt: skip


def modules(package: Path) -> dict[str, Path]:
    """Dotted name below the package → file."""
    paths = sorted(package.rglob("*.py"))
    return {".".join(path.relative_to(package).with_suffix("").parts): path for path in paths}


CORE = modules(ROOT / "featkit")
BACKENDS = modules(ROOT / "backends" / "featkit_backends")


@cache
def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, at its top and inside functions; for the type checker alone does not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written with full names"
            # `from featkit import plugins` imports a module, `from featkit.errors import DataError` a name of one.
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def of_featkit(path: Path) -> set[str]:
    """The core's modules that a file imports, as dotted names below featkit."""
    found = set()
    for name in imports(path):
        head, _, rest = name.partition(".")
        if head == "featkit":
            while rest and rest not in CORE and f"{rest}.__init__" not in CORE:
                rest = rest.rpartition(".")[0]
            found.add(rest or "__init__")
    return found


def row(module: str) -> str:
    return module.partition(".")[0]


def test_every_row_names_only_rows_above_it_so_there_is_no_circle():
    above: set[str] = set()
    for name, allowed in MAY_IMPORT.items():
        if allowed != "*" and name != "__main__":
            assert set(allowed.split()) <= above, name
        above.add(name)


def test_every_module_of_the_core_has_a_row():
    assert {row(module) for module in CORE} <= MAY_IMPORT.keys()


def test_a_row_names_what_its_modules_import_and_nothing_else():
    found: dict[str, set[str]] = {name: set() for name in MAY_IMPORT}
    for module, path in CORE.items():
        found[row(module)] |= {row(other) for other in of_featkit(path)} - {row(module)}
    assert {name: found[name] for name, allowed in MAY_IMPORT.items() if allowed != "*"} == {
        name: set(allowed.split()) for name, allowed in MAY_IMPORT.items() if allowed != "*"
    }


def test_the_ends_of_the_road_are_imported_by_nobody():
    others = {name: path for name, path in CORE.items() if row(name) not in {"cli", "__main__"}}
    assert not {
        name for name, path in others.items()
        if {row(other) for other in of_featkit(path)} & NOBODY_IMPORTS - {row(name)}
    }  # fmt: skip


def test_the_core_never_imports_the_built_in_backends():
    assert not {name for name, path in CORE.items() if any("featkit_backends" in other for other in imports(path))}


def test_a_built_in_backend_uses_no_more_of_featkit_than_a_foreign_one():
    assert set().union(*map(of_featkit, BACKENDS.values())) == BACKENDS_MAY_IMPORT


def test_the_runtime_needs_of_the_features_only_their_contract():
    assert of_featkit(CORE["runtime"]) <= {
        "audio", "errors", "features.base", "modelfile", "modelfile.canary", "modelfile.contents", "modelfile.recipe",
        "modelfile.session", "normalise", "settings",
    }  # fmt: skip


@pytest.mark.parametrize("module", ["featkit", "featkit.runtime", "featkit.stream", "featkit.cli"])
def test_to_serve_a_model_no_training_library_is_loaded(module):
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "featkit" in loaded
    assert not SERVING_NEEDS_NONE_OF & set(loaded)


def test_imports_are_found_wherever_they_stand(tmp_path):
    (tmp_path / "x.py").write_text(
        "import featkit.audio\n"
        "from featkit import plugins\n"
        "from featkit.features.base import View\n"
        "if TYPE_CHECKING:\n    from featkit.classifier import SERClassifier\n"
        "def f():\n    from featkit.graph import run\n"
    )
    assert of_featkit(tmp_path / "x.py") == {"audio", "plugins", "features.base", "graph"}
