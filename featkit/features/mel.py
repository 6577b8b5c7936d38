"""wave → log-mel energies, as an ONNX graph. What `mfcc39` and `logmel` share.

Frames are cut from blocks of gcd(n_fft, hop) samples, so that one Gather of whole rows makes them; the DFT is two
small matrix products (`dsp.split_dft`). That is as fast as a hand-written FFT pipeline and much faster than ONNX's
own STFT operator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from types import NoneType
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
from onnx import TensorProto

from featkit.audio import SAMPLE_RATE
from featkit.errors import FeatureError
from featkit.features import dsp
from featkit.features.graph import GraphExtractor
from featkit.graph import GraphBuilder

# A model file names settings, and tables grow with them: a second of sound, and more bands than a transform has lines.
_LONGEST, _MOST_BANDS = 16_384, 1_024


@dataclass
class MelExtractor(GraphExtractor):
    """Parameters of a mel spectrogram in decibels. Names and meaning are librosa's; defaults suit 16 kHz speech.

    ==============  ==============  ================  ==============================================================
    parameter       here            librosa           meaning
    ==============  ==============  ================  ==============================================================
    sample rate     16 000 (fixed)  22 050            Hz; files are resampled on loading
    ``n_mels``      40 (64 logmel)  128               mel bands
    ``n_fft``       400 = 25 ms     2048 = 93 ms      length of the transform, samples
    ``win_length``  None = n_fft    None = n_fft      length of the window, samples, centred in n_fft
    ``hop_length``  160 = 10 ms     512 = 23 ms       distance between frames, samples
    ``window``      "hann"          "hann"            hann, hamming, blackman or boxcar
    ``center``      True            True              pad by n_fft // 2 on both sides: 1 + n // hop frames (301 for
                                                      3 s); False: 1 + (n - n_fft) // hop frames (298 for 3 s)
    ``pad_mode``    "constant"      "constant"        zeros or "reflect", where center pads
    ``power``       2.0             2.0               2 energy, 1 magnitude
    ``fmin``        0.0             0.0               Hz, lower edge of the first band
    ``fmax``        None = 8 000    None = rate / 2   Hz, upper edge of the last band
    ``htk``         False           False             HTK's mel formula instead of Slaney's
    ``mel_norm``    "slaney"        "slaney"          area of a band: 1, or None for height 1
    ``ref``         1.0             1.0               0 dB: a power, or "max" for the loudest value of the clip
    ``amin``        1e-10           1e-10             floor of the power before the logarithm
    ``top_db``      80.0            80.0              floor below the loudest value of the clip, dB; None for none
    ==============  ==============  ================  ==============================================================
    """

    _double: ClassVar[bool] = False
    """Do the DFT in 64 bits: faint bands beside loud ones need it; MFCC, which mix all bands, do not."""

    n_mels: int = 40
    n_fft: int = 400
    win_length: int | None = None
    hop_length: int = 160
    window: str = "hann"
    center: bool = True
    pad_mode: Literal["constant", "reflect"] = "constant"
    power: float = 2.0
    fmin: float = 0.0
    fmax: float | None = None
    htk: bool = False
    mel_norm: Literal["slaney"] | None = "slaney"
    ref: float | Literal["max"] = 1.0
    amin: float = 1e-10
    top_db: float | None = 80.0

    @property
    def hop(self) -> float:
        """Seconds between frames."""
        return self.hop_length / SAMPLE_RATE

    @property
    def min_samples(self) -> int:
        """One whole frame."""
        return self.n_fft

    def add_log_mel(self, g: GraphBuilder, wave: str) -> str:
        """Write wave → log-mel into a graph. (batch, samples) -> (batch, time, n_mels) in dB."""
        self.check()
        frames, time = self._frames(g, wave)
        power = self._power(g, frames)
        mel = g.op("Reshape", power, g.op("Concat", g.ints(-1), time, g.ints(self.n_mels), axis=0))
        return self._decibel(g, mel)

    def check(self) -> None:
        """Raise `FeatureError` for a setting of the wrong type or out of range."""
        kinds = get_type_hints(type(self))
        for field in fields(self):
            value, kind = getattr(self, field.name), kinds[field.name]
            if not _is_a(value, kind):
                raise FeatureError(f"{field.name} must be {_told(kind)}; it is {value!r}.")
        if self.hop_length < 1 or self.n_mels < 1 or not 2 <= self._win_length <= self.n_fft:
            raise FeatureError(
                f"{self.name} needs hop_length >= 1, n_mels >= 1 and 2 <= win_length <= n_fft; they are "
                f"{self.hop_length}, {self.n_mels}, {self._win_length}, {self.n_fft}."
            )
        if max(self.n_fft, self.hop_length) > _LONGEST or self.n_mels > _MOST_BANDS:
            raise FeatureError(
                f"{self.name} takes n_fft and hop_length up to {_LONGEST} and n_mels up to {_MOST_BANDS}; they are "
                f"{self.n_fft}, {self.hop_length} and {self.n_mels}."
            )
        if self.power not in (1, 2):
            raise FeatureError(f"power must be 1 (magnitude) or 2 (energy); it is {self.power}.")
        if not self.amin > 0 or (self.top_db is not None and not self.top_db >= 0):
            raise FeatureError(f"amin must be positive and top_db not negative; they are {self.amin}, {self.top_db}.")

    def _frames(self, g: GraphBuilder, wave: str) -> tuple[str, str]:
        """Pad and cut. -> frames (batch * time, n_fft) and the 1-D tensor [time]."""
        block = math.gcd(self.n_fft, self.hop_length)
        given = g.op("Shape", wave, start=1, end=2)
        length = g.op("Max", given, g.ints(self.n_fft))  # a clip shorter than a frame is padded to one
        edge = self.n_fft // 2 if self.center else 0
        if edge and self.pad_mode == "reflect":
            wave = self._pad(g, wave, 0, g.op("Sub", length, given), "constant")
            wave = self._pad(g, wave, edge, g.ints(edge), "reflect")
            given = length = g.op("Add", length, g.ints(2 * edge))
            edge = 0
        total = g.op("Add", length, g.ints(2 * edge))
        time = g.op("Add", g.op("Div", g.op("Sub", total, g.ints(self.n_fft)), g.ints(self.hop_length)), g.ints(1))
        blocks = g.op("Div", g.op("Add", total, g.ints(block - 1)), g.ints(block))
        right = g.op("Sub", g.op("Sub", g.op("Mul", blocks, g.ints(block)), given), g.ints(edge))
        padded = self._pad(g, wave, edge, right, "constant")
        rows = g.op("Reshape", padded, g.op("Concat", g.ints(0), blocks, g.ints(block), axis=0))

        count = g.op("Range", g.constant(0, np.int64), g.op("Squeeze", time), g.constant(1, np.int64))
        start = g.op("Mul", count, g.ints(self.hop_length // block))
        index = g.op("Add", g.op("Unsqueeze", start, g.ints(1)), g.ints(*range(self.n_fft // block)))
        frames = g.op("Reshape", g.op("Gather", rows, index, axis=1), g.ints(-1, self.n_fft))
        return frames, time

    def _window(self) -> dsp.Matrix:
        left = (self.n_fft - self._win_length) // 2
        return np.pad(dsp.window(self.window, self._win_length), (left, self.n_fft - self._win_length - left))

    @property
    def _win_length(self) -> int:
        return self.n_fft if self.win_length is None else self.win_length

    @staticmethod
    def _pad(g: GraphBuilder, wave: str, left: int, right: str, mode: str) -> str:
        return str(g.op("Pad", wave, g.op("Concat", g.ints(0, left, 0), right, axis=0), mode=mode))

    def _power(self, g: GraphBuilder, frames: str) -> str:
        """Window, DFT, power and mel bands. (rows, n_fft) -> (rows, n_mels)."""
        first, second, bins = dsp.split_dft(self.n_fft)
        half, n2 = second.shape[0], second.shape[1] // 2
        n1 = self.n_fft // n2
        fmax = SAMPLE_RATE / 2 if self.fmax is None else self.fmax
        area = self.mel_norm == "slaney"
        mel = dsp.mel_filters(SAMPLE_RATE, self.n_fft, self.n_mels, self.fmin, fmax, self.htk, area)
        # A bin that comes twice counts half each time.
        weights = (mel / np.bincount(bins)).T[bins]

        kind = np.float64 if self._double else np.float32
        if self._double:
            frames = g.op("Cast", frames, to=TensorProto.DOUBLE)
        windowed = g.op("Mul", frames, g.constant(self._window(), kind))
        grid = g.op("Reshape", windowed, g.ints(-1, n1, n2))
        inner = g.op("Reshape", g.op("MatMul", g.constant(first, kind), grid), g.ints(-1, half, 2 * n2))
        inner = g.op("Transpose", inner, perm=[1, 0, 2])  # (half, rows, 2 * n2): real parts, imaginary parts
        if self._double:
            inner = g.apart(inner, half, -1, 2 * n2)
        spectrum = g.op("MatMul", inner, g.constant(second, kind))  # (half, rows, 2 * n2), the same
        square = g.op("Transpose", g.op("Mul", spectrum, spectrum), perm=[1, 0, 2])
        if self._double:
            square = g.op("Cast", square, to=TensorProto.FLOAT)
        if self.power == 2:  # |X|² = re² + im²: the sum is left to the mel product
            both = weights.reshape(half, 1, n2, -1).repeat(2, axis=1)
            flat = g.op("Reshape", square, g.ints(-1, half * 2 * n2))
            return str(g.op("MatMul", flat, g.constant(both.reshape(half * 2 * n2, -1))))
        parts = g.op("Reshape", square, g.ints(-1, half, 2, n2))
        magnitude = g.op("Sqrt", g.op("ReduceSum", parts, g.ints(2), keepdims=0))
        flat = g.op("Reshape", magnitude, g.ints(-1, half * n2))
        return str(g.op("MatMul", flat, g.constant(weights)))

    def _decibel(self, g: GraphBuilder, mel: str) -> str:
        """librosa's ``power_to_db``, clip by clip. (batch, time, n_mels) -> the same, dB."""
        scale = g.constant([10 / math.log(10)])
        floored = g.op("Max", mel, g.constant([self.amin]))
        level = g.op("Mul", g.op("Log", floored), scale)
        if self.ref == "max":
            level = g.op("Sub", level, g.op("ReduceMax", level, g.ints(1, 2), keepdims=1))
        elif self.ref != 1:
            level = g.op("Sub", level, g.constant([10 * math.log10(max(self.amin, self.ref))]))
        if self.top_db is None:
            return str(level)
        loudest = g.op("ReduceMax", level, g.ints(1, 2), keepdims=1)
        return str(g.op("Max", level, g.op("Sub", loudest, g.constant([self.top_db]))))


def _is_a(value: Any, kind: Any) -> bool:
    """Whether a parameter is of the type that its field declares; what is written on a command line may not be."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_args(kind):
        return any(_is_a(value, one) for one in get_args(kind))
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    return isinstance(value, (bool, np.bool_) if kind is bool else kind)


def _told(kind: Any) -> str:
    """A type in words."""
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if get_args(kind):
        return " or ".join(map(_told, get_args(kind)))
    return "None" if kind is NoneType else str(kind.__name__)
