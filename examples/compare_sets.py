"""Several feature sets with one backend on the same folds: a table with intervals, and whether they differ.

    python examples/compare_sets.py
    python examples/compare_sets.py --data emodb:PATH --sets mfcc39 egemaps egemaps+mfcc39 --plot sets.png

prints UA with its 95 % interval over speakers for each set, and the difference of each to the first one.
"""

import argparse
import sys
from pathlib import Path

from featkit import SERClassifier, evaluate
from featkit.benchmark import compare
from featkit.corpus import read_corpus
from featkit.errors import FeatkitError
from featkit.plots import intervals, png
from featkit.tables import markdown, percent


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare feature sets.")
    parser.add_argument("--data", default="synthetic", help="emodb:PATH, ravdess:PATH or a manifest with speakers")
    parser.add_argument("--sets", nargs="+", default=["mfcc39", "logmel", "mfcc39+logmel"])
    parser.add_argument("--backend", default="svm")
    parser.add_argument("--plot", type=Path, help="write a picture, *.png; needs matplotlib")
    args = parser.parse_args()

    corpus = read_corpus(args.data)
    found = {}
    for name in args.sets:  # evaluate extracts a set once, not once a fold
        classifier = SERClassifier(name, args.backend)
        found[name] = evaluate(classifier, corpus.clips, corpus.labels, groups=corpus.speakers)

    rows = [
        {"features": name, "UA [95 %]": percent(scores.ua, scores.ua_interval), "WA": percent(scores.wa)}
        for name, scores in found.items()
    ]
    first, *others = found
    print(f"{corpus.name}, {args.backend}, {found[first].protocol}\n")
    print(markdown(rows) + "\n")
    for name in others:
        print(f"{name} against {first}: {compare(found[first], found[name])}")

    if args.plot:
        values, ends = [s.ua for s in found.values()], [s.ua_interval for s in found.values()]
        args.plot.parent.mkdir(parents=True, exist_ok=True)
        args.plot.write_bytes(png(intervals(list(found), values, ends, chance=1 / len(set(corpus.labels)))))


if __name__ == "__main__":
    try:
        main()
    except FeatkitError as error:
        sys.exit(str(error))
