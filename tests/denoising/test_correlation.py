"""Autocorrelation of noise that was made with a known one."""

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from skastro.denoising.correlation import noise_correlation


def autocorrelation(kernel, lags):
    full = np.correlate(kernel, kernel, "full") / (kernel**2).sum()
    middle = len(kernel) - 1
    return np.array([full[middle + lag] if lag < len(kernel) else 0.0 for lag in lags])


@pytest.fixture(scope="module")
def known():
    """Noise with other kernels along y, x and channels, and what they give."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((48, 40, 150))
    kernels = (np.array([0.5, 1.0, 0.5]), np.array([0.2, 1.0, 0.2]), np.array([0.3, 1.0, 0.3]))
    for axis, kernel in enumerate(kernels):
        noise = correlate1d(noise, kernel / np.sqrt((kernel**2).sum()), axis=axis, mode="wrap")
    y, x, v = (autocorrelation(kernel, range(4)) for kernel in kernels)
    lags = np.abs(np.arange(-3, 4))
    return noise.astype(np.float32), v, y[lags][:, None] * x[lags]


@pytest.mark.parametrize("masked", [False, True])
def test_known_correlation(known, masked):
    noise, spectral, spatial = known
    mask = np.zeros(noise.shape, dtype=bool) if masked else None
    found = noise_correlation(3.0 * noise, 3.0, mask)
    assert found.spectral.shape == (4,) and found.spatial.shape == (7, 7)
    assert found.spectral[0] == 1 and found.spatial[3, 3] == 1
    np.testing.assert_allclose(found.spectral, spectral, atol=0.025)
    np.testing.assert_allclose(found.spatial, spatial, atol=0.025)
    np.testing.assert_array_equal(found.spatial, found.spatial[::-1, ::-1])


def test_signal_and_blanks_are_left_out(known):
    noise, spectral, spatial = known
    sigma = np.linspace(1, 3, 40)[:, None] * np.linspace(1, 1.2, 150)
    cube = sigma * noise
    expected = noise_correlation(cube, sigma * np.ones(noise.shape), np.zeros(cube.shape, bool))
    mask = np.zeros(cube.shape, dtype=bool)
    mask[10:30, 10:30, 60:80] = True
    cube[mask] = 1e3
    cube[:, 30:34] = np.nan
    cube[5, 5, 20:30] = np.inf
    found = noise_correlation(cube, sigma * np.ones(noise.shape), mask)
    np.testing.assert_allclose(found.spectral, expected.spectral, atol=0.01)
    np.testing.assert_allclose(found.spatial, expected.spatial, atol=0.02)
    # the line is found by itself
    found = noise_correlation(cube, sigma * np.ones(noise.shape))
    np.testing.assert_allclose(found.spectral, spectral, atol=0.03)
    np.testing.assert_allclose(found.spatial, spatial, atol=0.03)


def test_against_loops():
    rng = np.random.default_rng(1)
    cube = rng.normal(size=(4, 5, 9))
    mask = rng.random(cube.shape) < 0.3
    found = noise_correlation(cube, 1.0, mask, max_lag=2)
    z = np.where(mask, np.nan, cube)
    z -= np.nanmean(z, axis=-1, keepdims=True)
    power = np.nanmean(z**2)
    seen = np.array([1] + [np.nanmean(z[..., k:] * z[..., :-k]) / power for k in (1, 2)])
    # what taking out the mean does to all lags but the first
    restored = (found.spectral[1:] - seen[1:]) / (1 - seen[1:])
    np.testing.assert_allclose(restored, restored[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        found.spatial[2 + 1, 2 - 2], np.nanmean(z[1:, :-2] * z[:-1, 2:]) / power, rtol=1e-4
    )
    np.testing.assert_allclose(
        found.spatial[2, 2 + 1], np.nanmean(z[:, 1:] * z[:, :-1]) / power, rtol=1e-4
    )


@pytest.mark.parametrize("a", [0.0, 0.4])
def test_short_spectra_are_no_bias(a):
    white = np.random.default_rng(0).standard_normal((30_000, 21))
    table = (white[:, 1:] + a * white[:, :-1]) / np.sqrt(1 + a * a)
    found = noise_correlation(table, 1.0, np.zeros(table.shape, dtype=bool)).spectral
    np.testing.assert_allclose(found, [1, a / (1 + a * a), 0, 0], atol=0.01)


def test_lags_that_no_pair_spans(known):
    noise, spectral, _ = known
    found = noise_correlation(noise.reshape(-1, 150), 1.0)
    np.testing.assert_allclose(found.spectral, spectral, atol=0.025)
    assert np.isfinite(found.spatial).sum() == 1
    strip = noise_correlation(noise[:2], 1.0).spatial
    assert np.isnan(strip[[0, 1, 5, 6]]).all() and np.isfinite(strip[2:5]).all()


def test_a_box_in_the_middle_of_a_large_cube(monkeypatch, known):
    noise, spectral, spatial = known
    monkeypatch.setattr("skastro.denoising.correlation.MOST_VOXELS", 30 * 30 * 150)
    found = noise_correlation(noise, 1.0)
    np.testing.assert_allclose(found.spectral, spectral, atol=0.03)
    np.testing.assert_allclose(found.spatial, spatial, atol=0.05)


CUBE = np.random.default_rng(0).normal(size=(4, 5, 30))


@pytest.mark.parametrize(
    "cube, sigma, options, match",
    [
        (CUBE, 0.0, {}, "sigma is 0 at 1 of 1 places; expected positive"),
        (CUBE, np.ones(7), {}, r"sigma has shape \(7,\); expected a scalar"),
        (CUBE, 1.0, {"signal_mask": np.ones((4, 5), bool)}, r"signal_mask has shape \(4, 5\);"),
        (CUBE, 1.0, {"signal_mask": np.ones(CUBE.shape, bool)}, "leave no line-free voxel"),
        (np.nan * CUBE, 1.0, {}, "leave no line-free voxel; expected some noise"),
        (CUBE, 1.0, {"max_lag": 30}, "max_lag=30; expected an integer from 1 to 29"),
        (CUBE, 1.0, {"max_lag": 0}, "max_lag=0; expected an integer from 1 to 29"),
    ],
)
def test_bad_input(cube, sigma, options, match):
    with pytest.raises(ValueError, match=match) as error:
        noise_correlation(cube, sigma, **options)
    assert "\n" not in str(error.value)
