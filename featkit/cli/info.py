"""``featkit info``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from featkit.cli.common import (
    option,
)


@click.command()
@option("--json", "as_json", is_flag=True, help="Print the recipe as JSON.")
@click.argument("model", type=click.Path(path_type=Path))
def info(as_json: bool, model: Path) -> None:
    """Show what a MODEL file says of itself.

    \b
    featkit info model.onnx
    """
    from featkit.runtime import load

    recipe = load(model).recipe
    if as_json:
        click.echo(json.dumps(recipe, indent=2, ensure_ascii=False))
        return
    data, scores = recipe["data"], recipe["scores"]
    wave = (
        f"waveform (batch, samples) float32, mono, {recipe['sample_rate']} Hz, at least {recipe['min_samples']} samples"
    )
    features = recipe["features"]
    names = [part["name"] for part in features.get("fusion", [features])]
    measured = "not measured"
    if scores:
        kind = "SYNTHETIC " if scores.get("synthetic") else ""
        ends = f" [{100 * scores['UA_95'][0]:.0f}, {100 * scores['UA_95'][1]:.0f}]" if scores["UA_95"] else ""
        measured = (
            f"{kind}{scores.get('corpus', 'unnamed corpus')}, {scores['protocol']}: WA {100 * scores['WA']:.1f} %, "
            f"UA {100 * scores['UA']:.1f} %{ends}"
        )
    counts = ", ".join(f"{label} {count}" for label, count in data["labels"].items())
    speakers = f" from {data['speakers']} speakers" if data["speakers"] else ", speakers not known"
    varied = data.get("augment")
    copies = f", {varied['copies']} copies of each by {varied['plan']}" if varied else ""
    rows = {
        "file": f"{model} ({model.stat().st_size / 1000:.0f} kB), written by featkit {recipe['featkit_version']}",
        "input": wave if recipe["input"] == "wave" else f"{'+'.join(names)} {recipe['input']} (computed by featkit)",
        "output": f"label, probabilities: {', '.join(recipe['labels'])}",
        "features": f"{'+'.join(names)} {recipe['view']}, specification {recipe['feature_hash']}",
        "backend": recipe["backend"]["name"],
        "trained on": f"{data['clips']} clips{speakers} ({counts}){copies}",
        "scores": measured,
        "licence": "; ".join(recipe["licence"]) or "none inherited from features",
    }
    for key, value in rows.items():
        click.echo(f"{key.ljust(10)}  {value}")
