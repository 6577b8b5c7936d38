"""The whole way in Python: a corpus, an honest score, a trained model, one file, a prediction.

    python examples/train_and_export.py
    python examples/train_and_export.py --data emodb:PATH --features egemaps+mfcc39 --backend xgboost -o model.onnx

prints the score on speakers that were not heard, with its interval, and how closely the file answers as the trained
model. The other examples take the model.onnx that this one writes.
"""

import argparse
import sys

from featkit import SERClassifier, evaluate, load
from featkit.corpus import read_corpus
from featkit.errors import FeatkitError
from featkit.tables import percent


def main() -> None:
    parser = argparse.ArgumentParser(description="Evaluate, train and export a recogniser.")
    parser.add_argument("--data", default="synthetic", help="emodb:PATH, ravdess:PATH or a manifest with speakers")
    parser.add_argument("--features", default="mfcc39")
    parser.add_argument("--backend", default="svm")
    parser.add_argument("-o", "--out", default="model.onnx")
    args = parser.parse_args()

    corpus = read_corpus(args.data)
    classifier = SERClassifier(args.features, args.backend)

    scores = evaluate(classifier, corpus.clips, corpus.labels, groups=corpus.speakers)
    print(f"{corpus.name}: {len(corpus.clips)} clips, {scores.protocol}")
    print(f"UA {percent(scores.ua, scores.ua_interval)}, WA {percent(scores.wa)}")

    classifier.fit(corpus.clips, corpus.labels, groups=corpus.speakers)
    summary = {"corpus": corpus.name, "synthetic": corpus.synthetic} | scores.summary()
    report = classifier.export(args.out, scores=summary, corpora=corpus.sources)
    print(f"{report.path}: {report.n_bytes / 1000:.0f} kB, probabilities differ by {report.max_difference:.0e}")

    model = load(args.out)
    clip = corpus.clips[-1]
    print(f"{clip}: {model.predict([clip])[0]}")


if __name__ == "__main__":
    try:
        main()
    except FeatkitError as error:
        sys.exit(str(error))
