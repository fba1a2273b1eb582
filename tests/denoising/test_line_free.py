"""Noise of single spectra: moments of windows, line-free windows, differences."""

import numpy as np
import pytest

from skastro.denoising.line_free import (
    difference_noise,
    filled_noise,
    roughness,
    row_quantile,
    sparse_noise,
    spectrum_noise,
    trend_terms,
    window_length,
    window_moments,
)


def ma_noise(shape, rng, a=0.0):
    """Noise of variance 1 whose lag-1 correlation is a / (1 + a^2), and 0 beyond."""
    white = rng.standard_normal((*shape[:-1], shape[-1] + 1))
    return ((white[..., 1:] + a * white[..., :-1]) / np.sqrt(1 + a * a)).astype(np.float32)


@pytest.mark.parametrize("n_channels", [2, 3, 5, 17, 44, 96, 240, 380, 490, 1001])
def test_few_channels_are_left_over(n_channels):
    length = window_length(n_channels)
    assert 2 <= length <= 12
    assert n_channels % length <= 0.1 * n_channels or n_channels < 20


def test_moments_against_loops():
    rng = np.random.default_rng(0)
    spectra = rng.normal(3.0, 2.0, (4, 240)).astype(np.float32)
    spectra[1, 24:28] = np.nan
    spectra[2, 120:132] = 7.0
    skip = rng.random(spectra.shape) < 0.02
    skip[3, 60:72] = True
    scale = rng.uniform(0.5, 2.0, 240)
    found = window_moments(spectra, skip, scale)
    assert found.length == 12
    for i in range(4):
        for j in range(20):
            channels = np.arange(12 * j, 12 * j + 12)
            used = ~np.isnan(spectra[i, channels]) & ~skip[i, channels]
            x = spectra[i, channels].astype(np.float64)
            if used.sum() < 6 or (i, j) == (2, 10):
                assert found.count[i, j] == 0 and np.isnan(found.level[i, j])
                continue
            deviation = (x[used] - x[used].mean()) / scale[channels][used]
            assert found.count[i, j] == used.sum()
            np.testing.assert_allclose(found.level[i, j], x[used].mean(), rtol=1e-4)
            np.testing.assert_allclose(found.variance[i, j], (deviation**2).mean(), rtol=1e-3)
            if used.all():
                rest = deviation - np.polyval(np.polyfit(channels, deviation, 2), channels)
                # the mean was taken out before scaling, the constant of the fit is on top
                rest += np.mean(deviation)
                np.testing.assert_allclose(found.rough[i, j], (rest**2).sum() / 9, rtol=2e-3)


def test_input_is_left_alone():
    spectra = np.random.default_rng(0).normal(size=(3, 60)).astype(np.float32)
    spectra[0, 3] = np.nan
    before = spectra.copy()
    spectrum_noise(spectra, 3, "auto", scale=np.full(60, 2.0))
    np.testing.assert_array_equal(spectra, before)


def test_quantile_of_rows():
    values = np.array([[3.0, 1.0, np.nan, 2.0], [np.nan] * 4, [5.0, np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(row_quantile(values, 0.5), [2.0, np.nan, 5.0])


@pytest.mark.parametrize("length", [2, 5, 8, 12])
def test_roughness_against_draws(length):
    noise = ma_noise((100_000, length), np.random.default_rng(0), a=0.5)
    terms = trend_terms(length)
    rest = noise - noise @ terms @ terms.T
    measured = (rest**2).sum(axis=1).mean() / (length - terms.shape[1])
    np.testing.assert_allclose(roughness(length, [1.0, 0.4]), measured, rtol=0.02)
    np.testing.assert_allclose(roughness(length, [1.0]), 1.0)


@pytest.mark.parametrize("method", [sparse_noise, filled_noise])
@pytest.mark.parametrize("n_channels", [48, 240, 490])
def test_unbiased_on_pure_noise(method, n_channels):
    noise = ma_noise((4000, n_channels), np.random.default_rng(1))
    found = method(window_moments(noise + 5.0), 5)
    np.testing.assert_allclose(np.sqrt(found.power).mean(), 1.0, atol=0.03)
    np.testing.assert_allclose(found.base.mean(), 5.0, atol=0.02)
    # no more scatter than a tenth above that of a standard deviation
    if method is sparse_noise and n_channels > 100:
        assert np.sqrt(found.power).std() < 1.1 / np.sqrt(2 * n_channels)


def test_lines_do_not_enter():
    rng = np.random.default_rng(0)
    noise, k = ma_noise((2000, 240), rng, a=0.4), np.arange(240)
    line = 20 * np.exp(-0.5 * ((k - 100) / 4.0) ** 2) - 8 * np.exp(-0.5 * ((k - 180) / 3.0) ** 2)
    spectra = (noise + line).astype(np.float32)
    found = spectrum_noise(spectra, 5, "auto", correlation=[1.0, 0.4 / 1.16])
    assert found.filled.mean() < 0.05
    np.testing.assert_allclose(np.sqrt(found.power).mean(), 1.0, atol=0.015)
    # 12 channels a window: the lines are in windows 7 to 9 and 14 to 15
    assert found.keep[:, [8, 14]].mean() < 0.03 and found.keep[:, [2, 11, 19]].mean() > 0.95


@pytest.mark.parametrize("correlation", [[1.0], [1.0, 0.4]])
@pytest.mark.parametrize("n_channels", [13, 40, 240])
def test_differences(correlation, n_channels):
    rng = np.random.default_rng(0)
    noise = ma_noise((3000, n_channels), rng, a=0.5 if len(correlation) > 1 else 0.0)
    bright = 100 * np.exp(-0.5 * ((np.arange(n_channels) - n_channels / 2) / 12) ** 2)
    smooth = noise + (bright if n_channels > 100 else 1.0) + 1000.0
    sigma, _ = difference_noise(smooth.astype(np.float32), correlation)
    # the median of few values is a little low
    np.testing.assert_allclose(sigma.mean(), 1.0, atol=0.08 if n_channels < 20 else 0.03)


def test_too_short_for_differences():
    sigma, _ = difference_noise(np.ones((2, 4), np.float32))
    assert np.isnan(sigma).all()


def test_blank_and_constant_spectra():
    spectra = ma_noise((5, 60), np.random.default_rng(0))
    spectra[1], spectra[2], spectra[3, 5:] = np.nan, 4.0, np.nan
    found = spectrum_noise(spectra, 5, "auto")
    assert not (found.power[1:3] > 0).any()
    assert (found.power[[0, 4]] > 0.5).all()
