"""Profile of the noise over the band, and its correlation in short windows."""

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from skastro.denoising.line_free import trend_terms
from skastro.denoising.noise_spectrum import common_noise, spectral_correlation


def correlated(shape, kernel, rng):
    kernel = np.asarray(kernel, float)
    noise = rng.standard_normal(shape)
    return correlate1d(noise, kernel / np.sqrt((kernel**2).sum()), axis=-1, mode="wrap")


@pytest.mark.parametrize(
    "kernel, expected",
    [([1.0], [1, 0, 0, 0]), ([0.5, 1, 0.5], [1, 2 / 3, 1 / 6, 0]), ([1, -0.5], [1, -0.4, 0, 0])],
)
def test_correlation_is_that_of_the_kernel(kernel, expected):
    noise = correlated((40_000, 240), kernel, np.random.default_rng(0))[:, :12]
    terms = trend_terms(12)
    rest = (noise - noise @ terms @ terms.T).astype(np.float32)
    np.testing.assert_allclose(spectral_correlation(rest), expected, atol=0.02)


def test_white_where_there_is_too_little():
    noise = np.random.default_rng(0).standard_normal((20, 12)).astype(np.float32)
    np.testing.assert_array_equal(spectral_correlation(noise), [1, 0, 0, 0])
    np.testing.assert_array_equal(spectral_correlation(np.ones((99, 2), np.float32)), [1])


def band(n_channels, ends=0.15):
    profile = 1 + ends * np.linspace(-1, 1, n_channels) ** 2
    return profile / np.median(profile)


@pytest.mark.parametrize("kernel", [[1.0], [0.3, 1.0, 0.3]])
@pytest.mark.parametrize("ends", [0.15, 1.0])
def test_profile_of_pure_noise(kernel, ends):
    rng = np.random.default_rng(0)
    profile = band(240, ends)
    spectra = rng.uniform(1, 3, (2000, 1)) * profile * correlated((2000, 240), kernel, rng)
    found, correlation = common_noise(spectra.astype(np.float32) + 30, 5, "auto")
    np.testing.assert_allclose(found, profile, rtol=0.05)
    assert np.std(found / profile) < 0.015
    lag1 = 0.6 / 1.18 if len(kernel) > 1 else 0.0
    np.testing.assert_allclose(correlation[1], lag1, atol=0.02)


def test_faint_narrow_lines_in_a_third_of_the_spectra():
    rng = np.random.default_rng(0)
    spectra = rng.standard_normal((2000, 240))
    k = np.arange(240)
    centre = rng.normal(120, 3, (700, 1))
    spectra[:700] += rng.uniform(0.5, 2.0, (700, 1)) * np.exp(-0.5 * ((k - centre) / 1.2) ** 2)
    found, _ = common_noise(spectra.astype(np.float32), 5, "auto")
    assert np.abs(found - 1).max() < 0.04


def test_flat_where_spectra_share_their_noise():
    """Four hundred pixels inside a few beams: the scatter of one channel is no profile."""
    rng = np.random.default_rng(0)
    own = rng.standard_normal((5, 240))[rng.integers(0, 5, 400)]
    spectra = own + 0.05 * rng.standard_normal((400, 240))
    found, _ = common_noise(spectra.astype(np.float32), 5, "auto")
    np.testing.assert_array_equal(found, 1.0)


def test_channels_that_are_blank_or_nowhere_free():
    rng = np.random.default_rng(0)
    spectra = band(240) * rng.standard_normal((1000, 240))
    k = np.arange(240)
    spectra += 50 * np.exp(-0.5 * ((k - 120) / 10.0) ** 2)
    spectra[:, 200:220] = np.nan
    found, _ = common_noise(spectra.astype(np.float32), 5, "auto")
    np.testing.assert_allclose(found, band(240), rtol=0.1)
