"""Feature sets × backends on one corpus, as one table that says how each number was made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from featkit.augment import Augment
from featkit.backend import Backend, find_backend
from featkit.classifier import SERClassifier
from featkit.corpus import Corpus
from featkit.errors import FeatkitError
from featkit.evaluation import Evaluation, evaluate, require_speakers
from featkit.extraction import Failure
from featkit.features.base import FeatureExtractor, View


@dataclass(frozen=True, eq=False)
class Row:
    """One recipe, evaluated."""

    corpus: str
    synthetic: bool
    features: str
    backend: str
    augment: str | None
    """Plan and number of copies of each training clip; None for no augmentation."""
    evaluation: Evaluation

    def summary(self) -> dict[str, Any]:
        """The row as plain data."""
        about = {
            "corpus": self.corpus, "synthetic": self.synthetic, "features": self.features, "backend": self.backend,
            "augment": self.augment,
        }  # fmt: skip
        return about | self.evaluation.summary()


def benchmark(
    corpus: Corpus,
    features: Iterable[str | FeatureExtractor | None],
    backends: Iterable[str | Backend],
    *,
    augment: str | Augment | None = None,
    copies: int = 4,
    cv: int | Literal["loso"] = "loso",
    allow_leakage: bool = False,
    pad_short: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> tuple[list[Row], list[Failure]]:
    """Evaluate every set with every backend. Each view of a set is extracted once.

    Parameters
    ----------
    corpus
        Clips, labels, speakers.
    features, backends
        Names or objects; None among the features is what a backend asks for.
    augment, copies, pad_short
        As for `SERClassifier`.
    cv, allow_leakage, n_jobs, progress
        As for `evaluate`.

    Returns
    -------
    rows
        One per pair.
    failures
        Clips that could not be used with a set; they are left out of its rows.
    """
    rows: list[Row] = []
    failures: dict[tuple[str, str], Failure] = {}
    require_speakers(corpus.speakers, allow_leakage)
    named = [(str(backend), find_backend(backend)) for backend in backends]
    kept: dict[tuple[str, View], Corpus] = {}
    for chosen in features:
        for name, backend in named:
            classifier = SERClassifier(chosen, backend, augment=augment, copies=copies, pad_short=pad_short)
            extractor, _, varied = classifier.parts()
            what = (extractor.spec_hash, backend.consumes)
            if what not in kept:
                kept = {key: ready for key, ready in kept.items() if key[0] == what[0]}  # one set at a time in memory
                kept[what], bad = corpus.extracted(classifier, n_jobs=n_jobs, progress=progress)
                failures |= {(failure.clip, failure.reason): failure for failure in bad}
            ready = kept[what]
            result = evaluate(
                classifier, ready.clips, ready.labels, ready.speakers, cv=cv, allow_leakage=allow_leakage,
                n_jobs=n_jobs, progress=progress,
            )  # fmt: skip
            label = chosen if isinstance(chosen, str) else extractor.name
            more = None if varied is None else f"{augment if isinstance(augment, str) else 'own'} × {copies}"
            rows.append(Row(corpus.name, corpus.synthetic, label, name, more, result))
    return rows, list(failures.values())


def report(rows: Sequence[Row]) -> str:
    """Title and Markdown table of rows that share corpus and protocol."""
    first = rows[0]
    result = first.evaluation
    kind = " (SYNTHETIC speech: it shows that the program runs, not how well it does on people)"
    title = (
        f"{first.corpus}{kind if first.synthetic else ''}: {len(result.y_true)} clips, {len(result.labels)} emotions, "
        f"{result.protocol}{'' if result.speakers is None else '; UA with 95 % interval over speakers'}"
    )
    cells = [
        {
            "features": row.features,
            "backend": row.backend,
            **({"augment": row.augment or "none"} if any(other.augment for other in rows) else {}),
            "WA": f"{100 * row.evaluation.wa:.1f}",
            "UA": f"{100 * row.evaluation.ua:.1f}{_interval(row.evaluation)}",
            "macro-F1": f"{100 * row.evaluation.macro_f1:.1f}",
            "CPU s": f"{row.evaluation.cpu_seconds:.{0 if row.evaluation.cpu_seconds >= 10 else 1}f}",
        }
        for row in rows
    ]
    return f"{title}\n\n{markdown(cells)}"


def markdown(rows: Sequence[dict[str, str]]) -> str:
    """Aligned Markdown table; the keys of the first row are the heads.

    Examples
    --------
    >>> print(markdown([{"set": "mfcc39", "UA": "74.6"}]))
    | set    | UA   |
    |--------|------|
    | mfcc39 | 74.6 |
    """
    if not rows:
        raise FeatkitError("There are no rows to show.")
    heads = list(rows[0])
    widths = [max(len(head), *(len(row[head]) for row in rows)) for head in heads]
    lines = [[head.ljust(width) for head, width in zip(heads, widths, strict=True)]]
    lines += [[row[head].ljust(width) for head, width in zip(heads, widths, strict=True)] for row in rows]
    rendered = ["| " + " | ".join(line) + " |" for line in lines]
    rendered.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(rendered)


def _interval(evaluation: Evaluation) -> str:
    if evaluation.ua_interval is None:
        return ""
    low, high = evaluation.ua_interval
    return f" [{100 * low:.0f}, {100 * high:.0f}]"
