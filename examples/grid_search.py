"""scikit-learn's GridSearchCV over a recogniser: folds of speakers, features extracted once.

    python examples/grid_search.py
    python examples/grid_search.py --data emodb:PATH --folds 5

prints UA of every setting over the folds, and UA of the best one on speakers that the search has not heard: only that
number is honest. The score in the search is too high, as the best was chosen on those very folds, and too low, as each
fold learns from fewer speakers than the model in the end; with few speakers either can outweigh the other.
"""

import argparse
import sys

from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, GroupShuffleSplit

from featkit import SERClassifier
from featkit.corpus import read_corpus
from featkit.errors import FeatkitError


def main() -> None:
    parser = argparse.ArgumentParser(description="Search the settings of the svm.")
    parser.add_argument("--data", default="synthetic", help="emodb:PATH, ravdess:PATH or a manifest with speakers")
    parser.add_argument("--folds", type=int, default=3)
    args = parser.parse_args()

    corpus = read_corpus(args.data)
    if corpus.speakers is None:
        sys.exit(f"{corpus.name} does not tell who speaks; folds are made of speakers.")
    y, speakers = corpus.labels, corpus.speakers
    classifier = SERClassifier("mfcc39", "svm")
    clips = classifier.extract(corpus.clips)

    ((train, test),) = GroupShuffleSplit(1, test_size=0.25, random_state=0).split(clips, y, speakers)
    search = GridSearchCV(
        classifier,
        {"backend__kernel": ["linear", "rbf"], "backend__C": [0.01, 0.1, 1, 10]},
        scoring="balanced_accuracy",  # scikit-learn's name for UA
        cv=GroupKFold(args.folds),
    )
    search.fit([clips[i] for i in train], y[train], groups=speakers[train])
    results = search.cv_results_
    for setting, ua in zip(results["params"], results["mean_test_score"], strict=True):
        print(f"{setting['backend__kernel']:6} C={setting['backend__C']:<5} UA {100 * ua:.1f}")

    ua = balanced_accuracy_score(y[test], search.predict([clips[i] for i in test]))
    print(f"best: {search.best_params_}, UA {100 * search.best_score_:.1f} in the search")
    print(f"UA {100 * ua:.1f} on the unheard speakers {', '.join(sorted(set(speakers[test])))}")
    if ua > search.best_score_:
        print("Higher than in the search: its folds learn from fewer speakers, and with few of them luck weighs much.")


if __name__ == "__main__":
    try:
        main()
    except (FeatkitError, ValueError) as error:  # ValueError: scikit-learn's
        sys.exit(str(error))
