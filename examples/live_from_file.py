"""Recognise a recording as if it were spoken now, one event for every window.

    python examples/live_from_file.py model.onnx talk.wav
    python examples/live_from_file.py model.onnx talk.wav --speed inf

prints the end of each window in seconds, its label (or why there is none) and the share of it. A microphone is a
source like the file: ``with Microphone() as source: ...``.
"""

import argparse
import os
import sys

from featkit import load
from featkit.errors import FeatkitError
from featkit.stream import EnergyGate, LiveRecogniser, recognise, replay


def main() -> None:
    parser = argparse.ArgumentParser(description="Replay a recording through a live recogniser.")
    parser.add_argument("model")
    parser.add_argument("recording")
    parser.add_argument("--speed", type=float, default=1.0, help="times faster than life; inf: as fast as it goes")
    args = parser.parse_args()

    live = LiveRecogniser(load(args.model), window=2.0, hop=0.5, gate=EnergyGate())
    for event in recognise(live, replay(args.recording, args.speed)):
        share = "" if event.label is None else f"{event.as_dict()['smoothed'][event.label]:.2f}"
        print(f"{event.end:6.1f} s  {event.label or event.reason:12} {share}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except FeatkitError as error:
        sys.exit(str(error))
    except BrokenPipeError:  # who reads, as `head` does, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
