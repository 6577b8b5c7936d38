"""Learn from one corpus and judge another, beside the score on new speakers of the same corpus.

    python examples/cross_corpus.py
    python examples/cross_corpus.py emodb:PATH ravdess:PATH

prints UA with its interval inside each corpus and across them, both ways, on the emotions that both have. Rooms and
microphones differ between corpora, so the same follows with every speaker normalised: such a model hears the other
clips of the speaker it judges (transductive). Without arguments the corpora are two sets of synthetic speakers.
"""

import argparse
import sys

from featkit import SERClassifier, evaluate
from featkit.datasets import open_dataset
from featkit.datasets.synthetic import Synthetic
from featkit.errors import FeatkitError
from featkit.evaluation import evaluate_across
from featkit.tables import percent


def main() -> None:
    parser = argparse.ArgumentParser(description="Score a recogniser across two corpora.")
    parser.add_argument("corpora", nargs="*", help="two of emodb:PATH, ravdess:PATH or a manifest with speakers")
    args = parser.parse_args()
    if len(args.corpora) not in (0, 2):
        parser.error("name two corpora, or none")

    datasets = [open_dataset(spec) for spec in args.corpora] or [Synthetic(seed=0), Synthetic(seed=1)]
    names = [dataset.title for dataset in datasets] if args.corpora else ["the first speakers", "the second"]
    parts = []
    for dataset in datasets:
        clips = list(dataset.clips())
        features = SERClassifier("mfcc39", "svm").extract([clip.path for clip in clips])  # once, for all scores
        parts.append((features, [clip.label for clip in clips], [clip.speaker for clip in clips]))

    for normalise in (None, "speaker"):
        classifier = SERClassifier("mfcc39", "svm", normalise=normalise)
        print("every speaker normalised, transductive:" if normalise else "plain:")
        for X, y, speakers in parts:
            show(evaluate(classifier, X, y, groups=speakers))
        for here, there in ((0, 1), (1, 0)):
            (X, y, speakers), (X_test, y_test, speakers_test) = parts[here], parts[there]
            both = (names[here], names[there])
            show(evaluate_across(classifier, X, y, X_test, y_test, speakers, speakers_test, names=both))


def show(scores) -> None:
    ua, chance = percent(scores.ua, scores.ua_interval), percent(1 / len(scores.labels))
    print(f"UA {ua}, chance {chance}: {scores.protocol}")


if __name__ == "__main__":
    try:
        main()
    except FeatkitError as error:
        sys.exit(str(error))
