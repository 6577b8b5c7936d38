"""Default functionals: nine statistics over time of every frame column, defined as an ONNX graph.

Moments can be ruled by one outlying frame, so the shape of the distribution is given by percentiles instead of
skewness and kurtosis. Silence and a single frame give finite numbers.

=============  ==========================================================================
``mean``       mean over time
``std``        standard deviation over time (population, divided by n)
``p5 … p95``   5th, 25th, 50th, 75th, 95th percentile, linear between frames as in NumPy
``slope``      slope of the least-squares line over time, per frame
``absdelta``   mean absolute difference between neighbouring frames
=============  ==========================================================================
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from featkit.graph import GraphBuilder, run, session

PERCENTILES = (5, 25, 50, 75, 95)
STATISTICS = ("mean", "std", *(f"p{q}" for q in PERCENTILES), "slope", "absdelta")


def functionals(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Statistics over time. (time, dims) -> (9 * dims,), statistic by statistic: all means first.

    The same bits as the graph alone gives, which sorts for itself: NumPy is eight times as fast at that.
    """
    ordered = np.sort(np.ascontiguousarray(frames.T, dtype=np.float32), axis=1)
    values: npt.NDArray[np.float32] = run(_session(), frames[None], ordered[None])[0]
    return values


def functional_names(frame_names: list[str]) -> list[str]:
    """Column names in the order of the values."""
    return [f"{name}_{statistic}" for statistic in STATISTICS for name in frame_names]


def add_functionals(g: GraphBuilder, frames: str, ordered: str | None = None) -> str:
    """Write the statistics into a graph. (batch, time, dims) -> (batch, 9 * dims).

    ``ordered``, (batch, dims, time), are the frames in ascending order, if somebody has sorted them already.
    """
    x = g.op("Transpose", frames, perm=[0, 2, 1])  # (batch, dims, time): every statistic runs along a row
    length = g.op("Shape", x, start=2, end=3)
    last = g.op("Sub", length, g.ints(1))
    last_f = g.op("Cast", last, to=1)
    steps = g.op("Max", last_f, g.constant([1.0]))  # a single frame has no slope and no difference: 0 / 1

    mean = g.op("ReduceMean", x, g.ints(2), keepdims=1)
    centred = g.op("Sub", x, mean)
    std = g.op("Sqrt", g.op("ReduceMean", g.op("Mul", centred, centred), g.ints(2), keepdims=1))

    position = g.op("Mul", last_f, g.constant([q / 100 for q in PERCENTILES]))
    floor = g.op("Floor", position)
    place = g.op("Cast", floor, to=TensorProto.INT64)
    low, high = _select(g, x, length, place) if ordered is None else _pick(g, ordered, last, place)
    percentiles = g.op("Add", low, g.op("Mul", g.op("Sub", high, low), g.op("Sub", position, floor)))

    index = g.op("Range", g.constant(0, np.int64), g.op("Squeeze", length), g.constant(1, np.int64))
    time = g.op("Sub", g.op("Cast", index, to=1), g.op("Mul", last_f, g.constant([0.5])))
    energy = g.op("ReduceSum", g.op("Mul", time, time), keepdims=1)
    energy = g.op("Max", energy, g.constant([0.5]))
    slope = g.op("Div", g.op("MatMul", centred, g.op("Unsqueeze", time, g.ints(1))), energy)

    later = g.op("Slice", x, g.ints(1), length, g.ints(2))
    earlier = g.op("Slice", x, g.ints(0), last, g.ints(2))
    change = g.op("ReduceSum", g.op("Abs", g.op("Sub", later, earlier)), g.ints(2), keepdims=1)
    absdelta = g.op("Div", change, steps)

    table = g.op("Concat", mean, std, percentiles, slope, absdelta, axis=2)  # (batch, dims, 9)
    return str(g.op("Flatten", g.op("Transpose", table, perm=[0, 2, 1]), axis=1))


def _pick(g: GraphBuilder, ordered: str, last: str, place: str) -> tuple[str, str]:
    """The values on both sides of each percentile. -> twice (batch, dims, percentiles)."""
    following = g.op("Min", g.op("Add", place, g.ints(1)), last)
    return g.op("Gather", ordered, place, axis=2), g.op("Gather", ordered, following, axis=2)


def _select(g: GraphBuilder, x: str, length: str, place: str) -> tuple[str, str]:
    """As `_pick`, of frames in any order.

    A selection without order costs less than a sort, the less the fewer it is made from: the upper part of a clip is
    cut at its 75th percentile and that again at the 95th, the lower at the 50th, 25th and 5th. The two values at the
    cut are what is wanted.
    """
    n = len(PERCENTILES)
    x = g.op("Pad", x, g.op("Concat", g.ints(0, 0, 0, 0, 0), _missing(g, length), axis=0), mode="edge")
    below = g.op("Split", g.op("Add", place, g.ints(2)), axis=0, outputs=n, num_outputs=n)
    above = g.op("Split", g.op("Sub", g.op("Max", length, g.ints(2)), place), axis=0, outputs=n, num_outputs=n)
    pairs = []
    for counts, order, largest in ((above, (3, 4), 1), (below, (2, 1, 0), 0)):
        part = x
        for i in order:
            part = g.op("TopK", part, counts[i], axis=2, largest=largest, sorted=0, outputs=2)[0]
            pairs.append(g.op("TopK", part, g.ints(2), axis=2, largest=1 - largest, sorted=1, outputs=2)[0])
    # Upper pairs came in ascending order, 75th and 95th; lower ones in descending order, 50th, 25th, 5th.
    values = g.op("Concat", *pairs, axis=2)
    return g.op("Gather", values, g.ints(9, 7, 5, 0, 2), axis=2), g.op("Gather", values, g.ints(8, 6, 4, 1, 3), axis=2)


def _missing(g: GraphBuilder, length: str) -> str:
    """Frames that are wanting to a pair: 1 for a single frame."""
    return str(g.op("Max", g.op("Sub", g.ints(2), length), g.ints(0)))


@cache
def _session() -> Any:
    g = GraphBuilder("functionals")
    frames = g.input("frames", ["batch", "time", "dims"])
    ordered = g.input("ordered", ["batch", "dims", "time"])
    g.output(add_functionals(g, frames, ordered), "functionals", ["batch", "values"])
    return session(g.model())
