"""The tables of spectral analysis as pure functions of numpy: windows, DFT, mel bands, DCT, deltas.

Conventions are librosa's, and the tests hold every table against it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from featkit.errors import FeatureError

Matrix = npt.NDArray[np.float64]


def window(name: str, length: int) -> Matrix:
    """Periodic window. -> (length,). Names as in `scipy.signal.get_window`: hann, hamming, blackman, boxcar.

    Source: Harris (1978), "On the use of windows for harmonic analysis with the DFT", eq. 20–33.
    """
    coefficients = {
        "hann": (0.5, 0.5),
        "hamming": (0.54, 0.46),
        "blackman": (0.42, 0.5, 0.08),
        "boxcar": (1.0,),
    }
    if name not in coefficients:
        raise FeatureError(f"window must be one of {', '.join(coefficients)}; it is {name!r}.")
    angle = 2 * np.pi * np.arange(length) / length
    terms: Matrix = np.array([(-1) ** k * a * np.cos(k * angle) for k, a in enumerate(coefficients[name])])
    return np.asarray(terms.sum(axis=0))


def hz_to_mel(hz: npt.ArrayLike, htk: bool) -> Matrix:
    """Hz → mel, element by element: HTK's formula, or Slaney's (linear to 1 kHz, logarithmic above)."""
    f = np.asarray(hz, dtype=np.float64)
    if htk:
        return 2595.0 * np.log10(1.0 + f / 700.0)  # Young et al., The HTK Book, eq. 5.13
    # Slaney (1998), Auditory Toolbox: 200/3 Hz a mel below 1 kHz; 27 steps for a factor of 6.4 above.
    return np.where(f < 1000.0, f * 3 / 200, 15.0 + 27 * np.log(np.maximum(f, 1000.0) / 1000.0) / math.log(6.4))


def mel_to_hz(mel: npt.ArrayLike, htk: bool) -> Matrix:
    """Mel → Hz: the inverse of `hz_to_mel`."""
    m = np.asarray(mel, dtype=np.float64)
    if htk:
        return 700.0 * (10.0 ** (m / 2595.0) - 1.0)
    return np.where(m < 15.0, m * 200 / 3, 1000.0 * np.exp(math.log(6.4) / 27 * (m - 15.0)))


def mel_filters(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float, htk: bool, slaney_norm: bool) -> Matrix:
    """Triangular mel bands. -> (n_mels, n_fft // 2 + 1). ``slaney_norm`` gives every band the area 1.

    Raises `FeatureError` when a band lies between two DFT bins and would always be silent.
    """
    if not 0 <= fmin < fmax <= rate / 2:
        raise FeatureError(f"Mel bands need 0 <= fmin < fmax <= {rate // 2} Hz; they are {fmin:g} and {fmax:g} Hz.")
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    low, high = hz_to_mel([fmin, fmax], htk)
    edges = mel_to_hz(np.linspace(low, high, n_mels + 2), htk)
    width = np.diff(edges)[:, None]
    distance = edges[:, None] - bins
    filters = np.maximum(0.0, np.minimum(-distance[:-2] / width[:-1], distance[2:] / width[1:]))
    empty = int(np.count_nonzero(filters.max(axis=1) == 0))
    if empty:
        raise FeatureError(
            f"{empty} of {n_mels} mel bands hold no DFT bin at n_fft={n_fft}; lower n_mels or raise n_fft."
        )
    return filters * (2.0 / (edges[2:] - edges[:-2]))[:, None] if slaney_norm else filters


def dct_matrix(n_mfcc: int, n_mels: int, lifter: int = 0) -> Matrix:
    """Orthonormal DCT-II with optional sinusoidal liftering. -> (n_mels, n_mfcc).

    Source of the lifter: Young et al., The HTK Book, eq. 5.12.
    """
    if lifter < 0:
        raise FeatureError(f"lifter must be 0 (none) or positive; it is {lifter}.")
    if not 1 <= n_mfcc <= n_mels:
        raise FeatureError(f"n_mfcc must lie between 1 and n_mels={n_mels}; it is {n_mfcc}.")
    k = np.arange(n_mfcc)
    basis = np.cos(np.pi * (np.arange(n_mels)[:, None] + 0.5) * k / n_mels) * math.sqrt(2 / n_mels)
    basis[:, 0] /= math.sqrt(2)
    if lifter > 0:
        basis *= 1 + lifter / 2 * np.sin(np.pi * (k + 1) / lifter)
    return basis


def delta_kernel(width: int, order: int) -> Matrix:
    """Savitzky–Golay derivative of one order over ``width`` frames, as librosa's ``delta``. -> (width,), per frame.

    The slope (order 1) or curvature (order 2) of the polynomial of that degree that fits the frames best.
    """
    if width < 3 or width % 2 == 0 or order not in (1, 2):
        raise FeatureError(f"delta_width must be odd and at least 3; it is {width}.")
    t = np.arange(width) - width // 2
    fit: Matrix = np.linalg.pinv(np.vander(t, order + 1, increasing=True))
    return np.asarray(fit[order] * math.factorial(order))


def split_dft(n_fft: int) -> tuple[Matrix, Matrix, npt.NDArray[np.int64]]:
    """Two small tables that make the DFT of a real frame (Cooley & Tukey 1965), for n_fft = n1 * n2.

    With x[n2 * i + j] and k = a + n1 * b:
    ``X[k] = sum_j W(n2)^(j b) W(n)^(j a) sum_i W(n1)^(i a) x[n2 i + j]``. A real frame needs a = 0 … n1 / 2 only,
    because ``|X[k]| = |X[n - k]|``.

    Returns
    -------
    first
        (2 * half, n1), half = n1 // 2 + 1: for each a a cosine row and a negative sine row; times frames of (n1, n2).
    second
        (half, 2 * n2, 2 * n2): for each a, real and imaginary input rows → real and imaginary output columns.
    bins
        (half * n2,): which DFT bin (0 … n_fft / 2) each output holds; some bins come twice.
    """
    n1, n2 = _factors(n_fft)
    half = n1 // 2 + 1
    a, i = np.arange(half), np.arange(n1)
    angle = 2 * np.pi * np.outer(a, i) / n1
    first = np.stack([np.cos(angle), -np.sin(angle)], axis=1).reshape(2 * half, n1)
    j, b = np.arange(n2), np.arange(n2)
    phase = 2 * np.pi * (a[:, None, None] * j[:, None] / n_fft + j[:, None] * b / n2)  # (half, j, b)
    real, imaginary = np.cos(phase), -np.sin(phase)
    second = np.concatenate(
        [np.concatenate([real, imaginary], axis=2), np.concatenate([-imaginary, real], axis=2)], axis=1
    )
    k = a[:, None] + n1 * b
    return first, second, np.minimum(k, n_fft - k).ravel()


def _factors(n: int) -> tuple[int, int]:
    """Two different factors of n, as close together as can be, the larger one first: 25 * 16 is faster than 20 * 20."""
    small = next(k for k in range(math.isqrt(n - 1), 0, -1) if n % k == 0)
    return n // small, small
