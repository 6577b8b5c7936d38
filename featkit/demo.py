"""The whole road on the embedded corpus: extract, train, evaluate, export, check, print one table."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

from tqdm import tqdm

from featkit.benchmark import benchmark
from featkit.classifier import SERClassifier
from featkit.corpus import read_corpus
from featkit.runtime import load
from featkit.tables import markdown, percent
from featkit.timing import median_seconds

FEATURES = "mfcc39"
BACKENDS = ("svm", "xgboost", "cnn_lstm:epochs=30")


def run(out: Path, *, progress: bool = False) -> None:
    """Train and export three models on synthetic speech and print what they reach.

    Parameters
    ----------
    out
        Folder for ``svm.onnx``, ``xgboost.onnx``, ``cnn_lstm.onnx`` and ``results.jsonl``.
    progress
        Show bars.
    """
    start = time.perf_counter()
    say = tqdm.write
    say("Making synthetic speech (once) …")
    corpus = read_corpus("synthetic", progress=progress)
    assert corpus.speakers is not None
    say(
        f"{len(corpus.files)} clips, {len(set(corpus.speakers))} speakers, {len(set(corpus.labels))} emotions. "
        f"Training {len(BACKENDS)} backends on {FEATURES}, one speaker left out at a time …"
    )
    table, records = [], []
    last = corpus.files[-1]
    for text in BACKENDS:
        rows, _ = benchmark(corpus, [FEATURES], [text], n_jobs=-1, progress=progress)
        evaluation = rows[0].evaluation
        classifier = SERClassifier(FEATURES, text, progress=progress)
        classifier.fit(corpus.files, corpus.labels, groups=corpus.speakers)
        path = out / f"{classifier.backend_.name}.onnx"
        report = classifier.export(path, scores={"corpus": corpus.name, "synthetic": True} | evaluation.summary())
        model = load(path)
        seconds = median_seconds([partial(model.predict_proba, [last])] * 20)
        records.append(rows[0].summary())
        table.append(
            {
                "backend": text,
                "WA": percent(evaluation.wa),
                "UA [95 %]": percent(evaluation.ua, evaluation.ua_interval),
                "model": str(path),
                "kB": f"{report.n_bytes / 1000:.0f}",
                "|Δp|": f"{report.max_difference:.0e}",
                "ms/clip": f"{1000 * seconds:.1f}",
            }
        )
    (out / "results.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    say(f"\nSYNTHETIC speech, {FEATURES}, {evaluation.protocol}; |Δp|: exported against trained model\n")
    say(markdown(table))
    say(f"\nDone in {time.perf_counter() - start:.0f} s. These scores show that everything runs, not how well it does")
    say("on people. Try a model:  featkit predict " + f"{path} YOUR.wav")
