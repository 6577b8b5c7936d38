"""The tables of spectral analysis equal those of librosa, scipy and numpy."""

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal

from featkit.errors import FeatureError
from featkit.features import dsp


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "boxcar"])
@pytest.mark.parametrize("length", [2, 25, 400, 401])
def test_windows_equal_scipy(name: str, length: int) -> None:
    assert dsp.window(name, length) == pytest.approx(scipy.signal.get_window(name, length), abs=1e-12)


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(FeatureError, match="window must be one of hann, hamming, blackman, boxcar; it is 'kaiser'"):
        dsp.window("kaiser", 400)


@pytest.mark.parametrize("htk", [False, True])
def test_the_mel_scale_equals_librosa_and_inverts(htk: bool) -> None:
    hz = np.linspace(0, 8000, 333)
    mel = dsp.hz_to_mel(hz, htk)
    assert mel == pytest.approx(librosa.hz_to_mel(hz, htk=htk), rel=1e-12)
    assert dsp.mel_to_hz(mel, htk) == pytest.approx(hz, rel=1e-9, abs=1e-9)
    assert dsp.mel_to_hz(mel, htk) == pytest.approx(librosa.mel_to_hz(mel, htk=htk), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("n_fft", "n_mels"), [(400, 40), (401, 23), (512, 40), (1024, 80), (2048, 128)])
@pytest.mark.parametrize(("fmin", "fmax"), [(0.0, 8000.0), (64.0, 7600.0)])
@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize("norm", ["slaney", None])
def test_mel_filters_equal_librosa(
    n_fft: int, n_mels: int, fmin: float, fmax: float, htk: bool, norm: str | None
) -> None:
    ours = dsp.mel_filters(16_000, n_fft, n_mels, fmin, fmax, htk, norm == "slaney")
    theirs = librosa.filters.mel(
        sr=16_000, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm, dtype=np.float64
    )
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-9 * theirs.max()


@pytest.mark.parametrize(("fmin", "fmax"), [(-1.0, 8000.0), (0.0, 8001.0), (4000.0, 4000.0), (100.0, 0.0)])
def test_mel_bands_outside_the_spectrum_are_refused(fmin: float, fmax: float) -> None:
    with pytest.raises(FeatureError, match="Mel bands need 0 <= fmin < fmax <= 8000 Hz; they are"):
        dsp.mel_filters(16_000, 400, 40, fmin, fmax, False, True)


def test_mel_bands_without_a_bin_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"\d+ of 200 mel bands hold no DFT bin at n_fft=400; lower n_mels"):
        dsp.mel_filters(16_000, 400, 200, 0, 8000, False, True)


@pytest.mark.parametrize(("n_mfcc", "n_mels"), [(13, 40), (20, 23), (40, 40), (1, 1)])
def test_the_dct_equals_scipy(n_mfcc: int, n_mels: int) -> None:
    expected = scipy.fft.dct(np.eye(n_mels), type=2, norm="ortho", axis=0)[:n_mfcc].T
    assert dsp.dct_matrix(n_mfcc, n_mels) == pytest.approx(expected, abs=1e-12)


def test_the_lifter_is_the_htk_book_s() -> None:
    k = np.arange(13)
    expected = 1 + 22 / 2 * np.sin(np.pi * (k + 1) / 22)
    assert dsp.dct_matrix(13, 40, 22) / dsp.dct_matrix(13, 40) == pytest.approx(np.tile(expected, (40, 1)))


@pytest.mark.parametrize("n_mfcc", [0, 41])
def test_more_coefficients_than_bands_are_refused(n_mfcc: int) -> None:
    with pytest.raises(FeatureError, match=f"n_mfcc must lie between 1 and n_mels=40; it is {n_mfcc}"):
        dsp.dct_matrix(n_mfcc, 40)


def test_a_negative_lifter_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"lifter must be 0 \(none\) or positive; it is -1"):
        dsp.dct_matrix(13, 40, -1)


@pytest.mark.parametrize("width", [3, 5, 9, 21])
@pytest.mark.parametrize("order", [1, 2])
def test_delta_kernels_equal_savitzky_golay(width: int, order: int) -> None:
    expected = scipy.signal.savgol_coeffs(width, order, deriv=order, use="dot")
    assert dsp.delta_kernel(width, order) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("width", [1, 2, 8, 0, -3])
def test_an_even_or_tiny_delta_width_is_refused(width: int) -> None:
    with pytest.raises(FeatureError, match=f"delta_width must be odd and at least 3; it is {width}"):
        dsp.delta_kernel(width, 1)


@pytest.mark.parametrize("n_fft", [2, 4, 9, 30, 400, 401, 450, 512, 1000])
def test_the_split_dft_equals_numpy(n_fft: int) -> None:
    first, second, bins = dsp.split_dft(n_fft)
    half, n2 = second.shape[0], second.shape[1] // 2
    frame = np.random.default_rng(0).standard_normal(n_fft)
    inner = (first @ frame.reshape(-1, n2)).reshape(half, 1, 2 * n2)
    real, imaginary = np.split((inner @ second)[:, 0], 2, axis=1)
    expected = np.abs(np.fft.rfft(frame))
    assert np.hypot(real, imaginary).ravel() == pytest.approx(expected[bins], abs=1e-9)
    assert set(bins) == set(range(n_fft // 2 + 1))
