"""``featkit info``."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featkit.cli.common import FILE, option
from featkit.cli.terminal import entry
from featkit.errors import ModelError, PluginError

if TYPE_CHECKING:
    from featkit.modelfile.recipe import Opened


@click.command(short_help="Show what a model file says of itself.")
@option("--json", "as_json", is_flag=True, help="Print the recipe as JSON.")
@click.argument("model", type=FILE)
def info(as_json: bool, model: Path) -> None:
    """Show what a MODEL file says of itself, and whether it can be asked here.

    \b
    featkit info model.onnx
    """
    from featkit.modelfile.recipe import open_model
    from featkit.modelfile.session import file_content
    from featkit.runtime import Model

    with suppress(OSError):  # which `file_content` tells of
        if other := _no_model(model):
            raise ModelError(f"{model}: {other}")
    opened = open_model(content := file_content(model), str(model))
    if as_json:
        click.echo(json.dumps(opened.recipe, indent=2, ensure_ascii=False))
    else:
        for key, value in _rows(opened, f"{model} ({len(content) / 1000:.0f} kB)").items():
            entry(f"{key.ljust(10)}  ", value)
    try:
        Model(opened)
    except PluginError as error:  # nothing is wrong with the file
        click.echo(f"Note: this model cannot be asked here. {error}", err=True)


def _no_model(path: Path) -> str:
    """What a file or folder of featkit's is that is no model, and who tells more; empty where it may be one."""
    if path.is_dir():
        if (path / "config.json").is_file():
            return f"is the folder of a pretrained encoder; use it as --features \"wav2vec2:model='{path}'\"."
        if path.suffix == ".parts":
            return f"holds what is done of {path.with_suffix('')}; give the command again that it is of."
        if (path / "rows.jsonl").is_file():
            return "is a folder of results; look at its report.html, or its report.md."
    elif path.is_file():
        if path.suffix == ".checkpoint":
            whole = path.with_suffix("")
            return f"is a training that did not end; featkit fit --resume -o {whole}, with all else as it was, ends it."
        if path.suffix == ".safetensors":
            return "holds the weights of a network alone; featkit.weights.load_weights reads them."
        with path.open("rb") as file:
            if file.read(4) == b"PAR1":
                return f"is a table, not a model; where it holds features, featkit store info {path} tells more."
    return ""


def _rows(opened: Opened, file: str) -> dict[str, str]:
    from featkit.card import described

    recipe = opened.recipe
    rows = {"file": f"{file}, written by featkit {recipe['featkit_version']}"}
    if opened.quantised:
        rows["form"] = _form(recipe.get("form", {}))
    return rows | described(recipe, opened.inputs)


def _form(form: dict[str, str]) -> str:
    """What a model in 8 bits was made of, as far as it says."""
    text = f"8 bits ({form.get('name', 'not by featkit export')})"
    if "of" in form:
        text += f", made of {form['of']}. {form.get('judged', '')}"
    return "".join(sign if sign.isprintable() else " " for sign in text)
