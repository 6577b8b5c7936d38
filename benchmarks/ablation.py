"""What each ingredient of neural training is worth: one recipe, and the same with one thing changed at a time.

Scores whole corpora by speaker and appends a row to a file as soon as it is measured; rows that stand there already are
not measured again. The table shows each row's difference from the first, with a 95 % interval over
speakers, both judged on the same ones.

    python benchmarks/ablation.py --data emodb:PATH --backend mlp
    python benchmarks/ablation.py --data emodb:PATH --backend tdnn --jobs 2
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from featkit.benchmark import compare
from featkit.classifier import SERClassifier
from featkit.corpus import read_corpus
from featkit.evaluation import evaluate
from featkit.scores import Evaluation
from featkit.tables import markdown, percent

PLAN, COPIES = "standard", 8
# name : settings of the backend, or of the estimator where they begin with "clf__"
CHANGES: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "no copies": {"clf__augment": None},
    "pitch as well": {"clf__augment": "standard+pitch:p=0.5"},
    "noise and gain as well": {"clf__augment": "standard+noise:p=0.5+gain:p=0.8"},
    "no class weights": {"class_weight": None},
    "balanced sampling": {"sampling": "balanced"},
    "focal loss, gamma 2": {"focal_gamma": 2.0},
    "no label smoothing": {"label_smoothing": 0.0},
    "mixup 0.4": {"mixup": 0.4},
    "SpecAugment 30 × 6": {"mask_time": 30, "mask_dims": 6},
    "no average of weights": {"average": 0.0},
    "plateau × 0.7": {"schedule": "plateau"},
    "early stopping, 2 speakers held out": {"validation": 0.2, "patience": 10},
    "frames not centred": {"centre": False},
    "statistics of every level": {"levels": "all"},
    "crops of 1.5 s": {"crop": 150},
    "3 networks": {"ensemble": 3},
}

OF_FRAMES = {"mask_time", "levels", "crop", "centre"}
"""Settings that mean nothing for functionals."""


@click.command()
@click.option("--data", required=True, help="A corpus with speakers, as for featkit evaluate.")
@click.option("--backend", default="mlp", type=click.Choice(["mlp", "tdnn", "cnn_lstm"]), help="The network.")
@click.option("--only", multiple=True, type=click.Choice(list(CHANGES)), help="Measure these rows; may be given again.")
@click.option("--jobs", default=1, help="Folds side by side.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path(__file__).parent / "results/ablation.jsonl"
)
def main(data: str, backend: str, only: tuple[str, ...], jobs: int, output: Path) -> None:
    """Measure what is missing, then print the table."""
    corpus = read_corpus(data)
    kept = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    rows = {row["change"]: row for row in kept if row["backend"] == backend}
    features: dict[Any, Any] = {}
    output.parent.mkdir(parents=True, exist_ok=True)
    for name in only or CHANGES:
        changes = CHANGES[name]
        if name in rows or (backend == "mlp" and changes.keys() & OF_FRAMES):
            continue
        augment = changes.get("clf__augment", PLAN)
        classifier = SERClassifier("mfcc39", backend, augment=augment, copies=COPIES, n_jobs=jobs)
        classifier.set_params(**{f"backend__{key}": value for key, value in changes.items() if key[:5] != "clf__"})
        if augment not in features:
            features = {augment: classifier.extract(corpus.files)}
        result = evaluate(classifier, features[augment], corpus.labels, corpus.speakers, n_jobs=jobs)
        predicted = {"predicted": result.y_pred.tolist()}
        rows[name] = (
            {"backend": backend, "change": name, "settings": changes, "corpus": corpus.name}
            | result.summary()
            | predicted
        )
        with output.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[name], ensure_ascii=False) + "\n")
        click.echo(f"{name}: UA {100 * result.ua:.1f} %", err=True)
    click.echo(table(rows, corpus))


def table(rows: dict[str, Any], corpus: Any) -> str:
    """Markdown: UA with its interval, and the difference from the recipe with its own."""
    y, labels = corpus.labels, np.unique(corpus.labels)

    def of(row: dict[str, Any]) -> Evaluation:
        proba = np.zeros((len(y), len(labels)), np.float32)
        return Evaluation(
            y, np.array(row["predicted"]), proba, labels, corpus.speakers, row["protocol"], row["cpu_seconds"],
            np.arange(len(y)),
        )  # fmt: skip

    base = of(rows["the recipe"])
    cells = []
    for name in (name for name in CHANGES if name in rows):
        row = rows[name]
        told = of(row)
        gain = compare(base, told).difference
        mean, down, up = gain.ua, *gain.interval
        cells.append(
            {
                "change": name,
                "UA": percent(told.ua, told.ua_interval),
                "difference": "" if name == "the recipe" else f"{100 * mean:+.1f} [{100 * down:+.1f}, {100 * up:+.1f}]",
                "CPU s": f"{row['cpu_seconds']:.0f}",
            }
        )
    return markdown(cells)


if __name__ == "__main__":
    main()
