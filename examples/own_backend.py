"""A backend of your own in one file, used as an object and exported like any other.

    python examples/own_backend.py
    python examples/own_backend.py --data emodb:PATH --features egemaps+mfcc39

prints the score of a forest of random trees beside that of the built-in svm, writes own_backend.onnx, and loads it.
As a package with an entry point it has a name on the command line too: examples/plugin.
"""

import argparse
import sys

from sklearn.ensemble import ExtraTreesClassifier

from featkit import SERClassifier, evaluate, load
from featkit.backend import Backend
from featkit.corpus import read_corpus
from featkit.errors import FeatkitError
from featkit.graph import convert_classifier


class Forest(Backend):
    """Extremely randomised trees over functionals."""

    name, consumes = "forest", "functionals"

    def __init__(self, trees=200, random_state=0):
        self.trees = trees
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None, groups=None):
        """Learn from functionals (n, dims). Nothing is held out, so the speakers in ``groups`` do not matter."""
        forest = ExtraTreesClassifier(self.trees, class_weight="balanced", random_state=self.random_state)
        self.forest_ = forest.fit(X, y, sample_weight)
        self.classes_ = forest.classes_
        return self

    def predict_proba(self, X):
        """(n, dims) -> (n, classes)."""
        return self.forest_.predict_proba(X)

    def to_onnx(self):
        """By skl2onnx. (batch, dims) -> (batch, classes)."""
        return convert_classifier(self.forest_, self.forest_.n_features_in_)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare a backend of one's own with svm.")
    parser.add_argument("--data", default="synthetic", help="emodb:PATH, ravdess:PATH or a manifest with speakers")
    parser.add_argument("--features", default="mfcc39")
    args = parser.parse_args()

    corpus = read_corpus(args.data)
    mine = SERClassifier(args.features, Forest())
    clips = mine.extract(corpus.clips)  # once: both backends read functionals
    for name, classifier in [("forest", mine), ("svm", SERClassifier(args.features, "svm"))]:
        scores = evaluate(classifier, clips, corpus.labels, groups=corpus.speakers)
        print(f"{name:6} UA {100 * scores.ua:.1f}, {scores.protocol}")

    mine.fit(corpus.clips, corpus.labels, groups=corpus.speakers).export("own_backend.onnx")
    model = load("own_backend.onnx")  # a graph: whoever loads it needs no Forest
    print(f"{model}: {model.predict(corpus.clips[:1])[0]}")


if __name__ == "__main__":
    try:
        main()
    except FeatkitError as error:
        sys.exit(str(error))
