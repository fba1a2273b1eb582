"""WaveletDenoiser against PyWavelets, Haar by hand, and what shifts and thresholds must do."""

import sys

import numpy as np
import pytest
import pywt

from skastro.denoising.baselines import WaveletDenoiser

rng = np.random.default_rng(0)


def pywavelets(cube, threshold, mode, level, axes):
    """One grid of coefficients, thresholded as one array."""
    found = pywt.wavedecn(cube, "sym4", mode="symmetric", level=level, axes=axes)
    array, slices = pywt.coeffs_to_array(found, padding=0, axes=axes)
    coarse = array[slices[0]].copy()
    array = pywt.threshold(array, threshold, mode)
    array[slices[0]] = coarse
    found = pywt.array_to_coeffs(array, slices, output_format="wavedecn")
    back = pywt.waverecn(found, "sym4", mode="symmetric", axes=axes)
    return back[tuple(slice(n) for n in cube.shape)]


@pytest.mark.parametrize("mode", ["hard", "soft", "garrote"])
@pytest.mark.parametrize("shape, level", [((16, 20, 33), 1), ((58, 57, 64), 3)])
def test_one_shift_is_pywavelets(mode, shape, level):
    cube = 3 * rng.normal(size=shape)
    found = WaveletDenoiser(mode=mode, n_shifts=1).fit_transform(cube, sigma=1.5)
    expected = 1.5 * pywavelets(cube / 1.5, 3.0, mode, level, (0, 1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_axes_too_short_for_the_wavelet_are_left_alone():
    cube = 3 * rng.normal(size=(3, 1, 64))
    found = WaveletDenoiser(n_shifts=1).fit_transform(cube, sigma=1.0)
    expected = pywavelets(cube, 3.0, "hard", 3, (2,))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    short = rng.normal(size=(4, 4))
    np.testing.assert_array_equal(WaveletDenoiser().fit_transform(short, sigma=1.0), short)


def test_haar_by_hand():
    # one level on 2 channels: means and differences of pairs, for the shifts 0 and 1
    spectrum = np.array([[4.0, 6.0, 1.0, 0.0]])
    threshold = 3.0
    denoiser = WaveletDenoiser("haar", threshold, n_shifts=1).fit(spectrum, sigma=1.0)
    # level 2: pairs (5, 0.5), differences of pairs sqrt(2) apart; (4-6) and (1-0) are below 3
    pair = np.array([10.0, 1.0]) / np.sqrt(2)
    detail = (pair[0] - pair[1]) / np.sqrt(2)
    assert detail > threshold
    np.testing.assert_allclose(denoiser.transform(spectrum), [[5.0, 5.0, 0.5, 0.5]], rtol=1e-12)
    strict = WaveletDenoiser("haar", 4.6, n_shifts=1).fit(spectrum, sigma=1.0)
    np.testing.assert_allclose(strict.transform(spectrum), np.full((1, 4), 2.75), rtol=1e-12)


def test_eight_shifts_make_it_invariant_under_shifts():
    signal = np.zeros((1, 200))
    signal[0, 90:104] = [2, 5, 9, 4, 3, 7, 7, 8, 1, 2, 3, 9, 9, 4]
    signal += 1.5 * np.sin(np.arange(200))
    denoiser = WaveletDenoiser("haar").fit(signal, sigma=1.0)
    moved = np.roll(signal, 3, axis=1)
    expected, found = denoiser.transform(signal), denoiser.transform(moved)
    np.testing.assert_allclose(found[0, 40:160], np.roll(expected, 3)[0, 40:160], atol=1e-10)
    one = WaveletDenoiser("haar", n_shifts=1).fit(signal, sigma=1.0)
    gap = one.transform(moved)[0, 40:160] - np.roll(one.transform(signal), 3)[0, 40:160]
    assert np.abs(gap).max() > 0.5


def test_nothing_below_a_threshold_of_zero():
    cube = rng.normal(size=(16, 17, 40))
    np.testing.assert_allclose(WaveletDenoiser(threshold=0.0).fit_transform(cube, sigma=1.0), cube,
                               rtol=1e-6, atol=1e-8)  # fmt: skip


def test_noise_left_by_a_hard_threshold():
    noise = rng.normal(size=(64, 64, 64)).astype(np.float32)
    left = WaveletDenoiser(n_shifts=1).fit_transform(noise, sigma=1.0)[12:-12, 12:-12, 12:-12]
    # of unit normal coefficients those beyond 3 keep 2 (3 phi(3) + Phi(-3)), and the coarse 1/512 all
    expected = np.sqrt(2 * (3 * 0.00443185 + 0.00134990) + 1 / 512)
    assert left.std() == pytest.approx(expected, rel=0.1)
    averaged = WaveletDenoiser().fit_transform(noise, sigma=1.0)[12:-12, 12:-12, 12:-12]
    assert averaged.std() < 0.85 * left.std()


def test_strong_lines_stay():
    channels = np.arange(64)
    line = 20 * np.exp(-0.5 * ((channels - 30) / 3.0) ** 2)
    cube = line + rng.normal(size=(20, 20, 64))
    denoised = WaveletDenoiser().fit_transform(cube, sigma=1.0)
    assert denoised.dtype == np.float64
    residual = denoised - line
    assert residual.std() < 0.4 and abs(residual.mean()) < 0.01


def test_blanks_are_taken_as_zero():
    cube = rng.normal(size=(16, 16, 40))
    blank = rng.random(cube.shape) < 0.1
    found = WaveletDenoiser().fit_transform(np.where(blank, np.nan, cube), sigma=1.0)
    expected = WaveletDenoiser().fit_transform(np.where(blank, 0.0, cube), sigma=1.0)
    assert np.isnan(found[blank]).all()
    np.testing.assert_array_equal(found[~blank], expected[~blank])


@pytest.mark.parametrize(
    "parameters, match",
    [
        ({"wavelet": "sym99"}, "wavelet='sym99'; expected a discrete wavelet of PyWavelets"),
        ({"wavelet": "morl"}, "wavelet='morl'; expected a discrete wavelet"),
        ({"wavelet": "bior2.2"}, "wavelet='bior2.2'; expected an orthogonal one"),
        ({"threshold": -1.0}, "'threshold' parameter of WaveletDenoiser must be"),
        ({"mode": "firm"}, "'mode' parameter of WaveletDenoiser must be"),
        ({"n_shifts": 9}, "'n_shifts' parameter of WaveletDenoiser must be"),
    ],
)
def test_bad_parameters(parameters, match):
    with pytest.raises(ValueError, match=match):
        WaveletDenoiser(**parameters).fit(np.zeros((3, 30)), sigma=1.0)


def test_without_pywavelets_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    with pytest.raises(ImportError, match=r"pip install 'skastro\[cubes\]'"):
        WaveletDenoiser().fit(np.zeros((3, 30)), sigma=1.0)
