"""``featkit list``."""

from __future__ import annotations

import click

from featkit.cli.terminal import entry
from featkit.errors import FeatkitError


@click.command("list")
def list_plugins() -> None:
    """List sets, backends, corpora and presets, and what is missing.

    \b
    featkit list
    """
    from featkit import plugins
    from featkit.presets import PRESETS

    kinds: tuple[tuple[plugins.Kind, str], ...] = (
        ("features", "Feature sets"),
        ("backends", "Backends"),
        ("datasets", "Corpora"),
    )
    for kind, heading in kinds:
        click.echo(f"{heading}:")
        for name in plugins.installed(kind):
            try:
                plugin = plugins.find(kind, name)
                title = getattr(plugin, "title", None) or str(plugin.__doc__).strip().splitlines()[0].rstrip(".")
                text = " — ".join(filter(None, (title, getattr(plugin, "licence", None))))
            except FeatkitError as error:
                text = str(error)
            entry(f"  {name.ljust(12)}  ", text)
    click.echo("Presets:")
    for name, preset in PRESETS.items():
        members = "; ".join(f"{features} + {backend}" for features, backend in preset.members)
        plan = f", {preset.copies} copies by {preset.augment}" if preset.augment else ""
        entry(f"  {name.ljust(12)}  ", f"{preset.title} — {members}{plan}")
