"""``featkit info``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featkit.cli.common import FILE, option
from featkit.errors import PluginError

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

    opened = open_model(content := file_content(model), str(model))
    if as_json:
        click.echo(json.dumps(opened.recipe, indent=2, ensure_ascii=False))
    else:
        for key, value in _rows(opened, f"{model} ({len(content) / 1000:.0f} kB)").items():
            click.echo(f"{key.ljust(10)}  {value}")
    try:
        Model(opened)
    except PluginError as error:  # nothing is wrong with the file
        click.echo(f"Note: this model cannot be asked here. {error}", err=True)


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
