"""Spectra of maps against Parseval's theorem, direct sums and known spectra."""

import numpy as np
import pytest
from astropy import units as u

from skastro.field_metrics import (
    cross_correlation,
    cross_spectrum,
    peak_correlation,
    power_spectrum,
)

rng = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(16, 16), (15, 22), (13, 13)])
def test_integral_of_the_power_is_the_variance(shape):
    """One ring over the whole plane but the mean; a mode has the area 1 / (h w d^2)."""
    maps = 3.0 + rng.normal(size=(4, *shape))
    d = 0.7
    _, power = power_spectrum(maps, 1, pixel_size=d, k_max=np.sqrt(0.5) / d)
    cells = shape[0] * shape[1]
    # square maps only: the largest k of all shapes is the corner of the plane
    found = power[:, 0] * (cells - 1) / (cells * d**2)
    np.testing.assert_allclose(found, maps.var(axis=(1, 2)), rtol=1e-12)


def test_a_wave_has_all_its_power_in_one_ring():
    y, x = np.mgrid[:24, :32]
    wave = 2.0 * np.cos(2 * np.pi * (3 * y / 24 + 4 * x / 32))
    k, power = power_spectrum(wave)
    # both modes, of frequencies 1/8 in both directions, have 4 / 2 / 2 of the variance
    ring = np.argmin(np.abs(k - np.hypot(1 / 8, 1 / 8)))
    expected = np.zeros(len(k))
    expected[ring] = power[ring]
    np.testing.assert_allclose(power, expected, atol=1e-25)
    assert power[ring] > 1


def test_shapes_dtypes_and_single_maps():
    maps = rng.normal(size=(5, 2, 12, 12)).astype("f4")
    k, power = power_spectrum(maps, 4)
    assert power.shape == (5, 2, 4) and power.dtype == np.float64
    np.testing.assert_allclose(
        power[3, 1], power_spectrum(maps[3, 1].astype("f8"), 4)[1], rtol=1e-6
    )
    assert power_spectrum(maps[0, 0], 4)[1].shape == (4,)
    _, cross = cross_spectrum(maps[0, 0], maps, 4)
    assert cross.shape == (5, 2, 4)
    np.testing.assert_allclose(cross[0, 0], power[0, 0], rtol=1e-12)
    np.testing.assert_allclose(cross, cross_spectrum(maps, maps[0, 0], 4)[1], rtol=1e-12)


def test_blocks_change_nothing(monkeypatch):
    from skastro import map_spectra

    maps, others = rng.normal(size=(2, 7, 10, 10))
    whole = cross_correlation(maps, others)[1], peak_correlation(maps, others)
    blocks = map_spectra.row_blocks
    monkeypatch.setattr(map_spectra, "row_blocks", lambda n, size: blocks(n, size, 2 * size))
    np.testing.assert_array_equal(cross_correlation(maps, others)[1], whole[0])
    np.testing.assert_array_equal(peak_correlation(maps, others), whole[1])


def test_cross_spectrum_is_bilinear():
    a, b = rng.normal(size=(2, 3, 14, 14))
    power = [power_spectrum(one)[1] for one in (a, b, a + b)]
    np.testing.assert_allclose(
        cross_spectrum(a, b)[1], 0.5 * (power[2] - power[0] - power[1]), atol=1e-12
    )


def test_correlation_of_a_mixture():
    """x + n against x, both white: 1 / sqrt(1 + variance of n)."""
    x, n = rng.normal(size=(2, 30, 32, 32))
    _, found = cross_correlation(x, x + 0.75 * n, 4)
    np.testing.assert_allclose(found.mean(axis=0), 0.8, atol=0.01)
    k, independent = cross_correlation(x, n, 4)
    assert (np.abs(independent.mean(axis=0)) < 0.02).all()


def test_a_window_keeps_large_scales_from_spilling():
    """A piece of a plane: without a window its jump at the edges fills all the small scales."""
    y, x = np.mgrid[:64, :64]
    slope = (x + 0.3 * y) / 64.0
    _, bare = power_spectrum(slope)
    _, tapered = power_spectrum(slope, window="hann")
    assert tapered[20:].max() < 1e-3 * bare[20:].min()
    noise = rng.normal(size=(40, 32, 32)) + 7.0
    _, power = power_spectrum(noise, 4, window="hann")
    np.testing.assert_allclose(power.mean(axis=0), 1.0, atol=0.04)


def test_copies_are_found_at_any_shift():
    steep = np.fft.irfft2(
        np.fft.rfft2(rng.normal(size=(3, 64, 64)))
        / (0.01 + np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64))) ** 2
    )
    copy = np.roll(steep[0], (20, -7), axis=(0, 1)) + 5.0
    for whiten in (True, False):
        np.testing.assert_allclose(peak_correlation(copy, steep[0], whiten=whiten), 1.0)
    # independent maps: at the level of the noise when whitened, not far from 1 else
    expected = np.sqrt(2 * np.log(64**2) / 64**2)
    found = peak_correlation(steep, np.roll(steep, 1, axis=0))
    np.testing.assert_allclose(found, expected, rtol=0.3)
    assert peak_correlation(steep[0], steep[1:], whiten=False).min() > 3 * expected
    assert peak_correlation(np.ones((4, 4)), steep[0, :4, :4]) == 0.0


def test_units_are_converted():
    x = rng.normal(size=(8, 8))
    np.testing.assert_allclose(
        cross_spectrum(x * u.K, 1000 * x * u.mK)[1], power_spectrum(x)[1], rtol=1e-12
    )


def test_bad_arguments():
    x = np.ones((2, 8, 8))
    with pytest.raises(ValueError, match="window='box'; expected 'hann' or None"):
        power_spectrum(x, window="box")
    with pytest.raises(ValueError, match=r"maps has shape \(8,\)"):
        power_spectrum(x[0, 0])
    with pytest.raises(ValueError, match=r"others has shape \(3, 8, 8\)"):
        cross_spectrum(x, np.ones((3, 8, 8)))
    with pytest.raises(ValueError, match="n_bins=-1"):
        cross_correlation(x, x, -1)
