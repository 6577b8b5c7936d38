"""Emotion while somebody speaks: blocks of sound → windows → model → smoothed events.

A package for where models run: numpy, soxr and the runtime; sounddevice only once a microphone is opened.
"""

from featkit.stream.gate import EnergyGate
from featkit.stream.microphone import Microphone, list_devices
from featkit.stream.offline import Segment, sliding
from featkit.stream.recogniser import Event, LiveRecogniser
from featkit.stream.sources import Block, recognise, replay

__all__ = [
    "Block", "EnergyGate", "Event", "LiveRecogniser", "Microphone", "Segment", "list_devices", "recognise", "replay",
    "sliding",
]  # fmt: skip
