"""``featkit info``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from featkit.cli.common import option


@click.command()
@option("--json", "as_json", is_flag=True, help="Print the recipe as JSON.")
@click.argument("model", type=click.Path(path_type=Path))
def info(as_json: bool, model: Path) -> None:
    """Show what a MODEL file says of itself.

    \b
    featkit info model.onnx
    """
    from featkit.card import described
    from featkit.runtime import load

    read = load(model)
    recipe = read.recipe
    if as_json:
        click.echo(json.dumps(recipe, indent=2, ensure_ascii=False))
        return
    size = f"{model} ({model.stat().st_size / 1000:.0f} kB), written by featkit {recipe['featkit_version']}"
    rows = {"file": size} | described(recipe, read.inputs)
    for key, value in rows.items():
        click.echo(f"{key.ljust(10)}  {value}")
