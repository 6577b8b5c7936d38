"""Feature sets whose definition is an ONNX graph."""

from __future__ import annotations

from abc import abstractmethod

import onnx
import onnxruntime

from featkit.audio import Wave
from featkit.features.base import Array, FeatureExtractor, View
from featkit.features.functionals import add_functionals
from featkit.graph import GraphBuilder, run, session


class GraphExtractor(FeatureExtractor):
    """A feature set that is an ONNX graph: the same graph runs in training and inside the exported model.

    Subclasses write ``add_frames``; everything else is given.
    """

    @abstractmethod
    def add_frames(self, g: GraphBuilder, wave: str) -> str:
        """Write the extractor into a graph. (batch, samples) -> (batch, time, dims)."""

    def frames(self, wave: Wave) -> Array:
        """Run the graph. (n_samples,) -> (time, dims)."""
        values: Array = run(self._session(), wave[None])[0]
        return values

    def to_onnx(self, view: View) -> onnx.ModelProto:
        """The definition itself: wave (batch, samples) → view, dynamic in batch and length."""
        g = GraphBuilder(self.name)
        frames = self.add_frames(g, g.input("wave", ["batch", "samples"]))
        if view == "frames":
            g.output(frames, view, ["batch", "time", "dims"])
        else:
            g.output(add_functionals(g, frames), view, ["batch", "dims"])
        return g.model()

    def _session(self) -> onnxruntime.InferenceSession:
        key = (type(self), self.spec_hash)
        if key not in _SESSIONS:
            _SESSIONS[key] = session(self.to_onnx("frames"))
        return _SESSIONS[key]


# Sessions are kept by class and specification, once a process: an extractor itself stays a plain, picklable dataclass.
_SESSIONS: dict[tuple[type, str], onnxruntime.InferenceSession] = {}
