"""A feature set of your own in one file, written as a graph, so that the exported model takes the waveform.

    python examples/own_extractor.py
    python examples/own_extractor.py --data emodb:PATH

prints the score of a recogniser that hears level and zero crossings alone, writes own_extractor.onnx, and loads it.
A set that is no graph writes ``frames(wave)`` in numpy instead; its model needs the set installed: examples/plugin.
"""

import argparse
import sys
from dataclasses import dataclass

from featkit import SERClassifier, evaluate, load
from featkit.corpus import read_corpus
from featkit.errors import FeatkitError
from featkit.features.graph import GraphExtractor

END = 2**31


@dataclass
class Loudness(GraphExtractor):
    """Level in dB and share of zero crossings, in windows of 25 ms every 10 ms."""

    name = "loudness"

    floor: float = 1e-8
    """Power of what counts as silence."""

    def add_frames(self, g, wave):
        """(batch, samples) -> (batch, time, 2)."""
        now = g.op("Slice", wave, g.ints(1), g.ints(END), g.ints(1))
        before = g.op("Slice", wave, g.ints(0), g.ints(-1), g.ints(1))
        turns = g.op("Abs", g.op("Sub", g.op("Sign", now), g.op("Sign", before)))  # 2 where the sign changes
        level = self._mean(g, g.op("Mul", now, now))
        level = g.op("Mul", g.op("Log", g.op("Max", level, g.constant(self.floor))), g.constant(4.342945))  # to dB
        crossings = g.op("Mul", self._mean(g, turns), g.constant(0.5))
        return g.op("Concat", level, crossings, axis=2)

    def _mean(self, g, values):
        """Over windows. (batch, samples) -> (batch, time, 1)."""
        channel = g.op("Unsqueeze", values, g.ints(1))
        means = g.op("AveragePool", channel, kernel_shape=[400], strides=[160])
        return g.op("Transpose", means, perm=[0, 2, 1])

    @property
    def min_samples(self):
        return 401  # one more than a window, as each sample is seen beside the one before it

    @property
    def frame_names(self):
        return ["level", "zero_crossings"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Recognise emotions by level and zero crossings.")
    parser.add_argument("--data", default="synthetic", help="emodb:PATH, ravdess:PATH or a manifest with speakers")
    args = parser.parse_args()

    corpus = read_corpus(args.data)
    classifier = SERClassifier(Loudness(), "svm")
    scores = evaluate(classifier, corpus.clips, corpus.labels, groups=corpus.speakers)
    print(f"loudness: UA {100 * scores.ua:.1f}, chance {100 / len(set(corpus.labels)):.1f}, {scores.protocol}")

    classifier.fit(corpus.clips, corpus.labels, groups=corpus.speakers).export("own_extractor.onnx")
    model = load("own_extractor.onnx")  # the graph holds the features: whoever loads it needs no Loudness
    print(f"{model}: {model.predict(corpus.clips[:1])[0]}")


if __name__ == "__main__":
    try:
        main()
    except FeatkitError as error:
        sys.exit(str(error))
