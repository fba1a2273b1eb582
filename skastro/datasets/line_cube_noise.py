"""Noise of a synthetic line cube: its level over the map and the band, and its correlation."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

from skastro.datasets.fbm import fbm

SMOOTH = 0.25  # largest variation of the level over the map
TILE = 1.4  # level of the third tile
EDGE, EDGE_PIXELS = 2.5, 2.0  # level at the border of the map, e-folding width of that rise
BAND_ENDS = 1.15
SKY_FWHM = 1.2  # [pixel]
LAG1_VELOCITY = 0.30


def noise_level(shape, sigma0, rng):
    """Standard deviation of the noise, (n_y, n_x, n_channels) float32: a map times a spectrum."""
    n_y, n_x, n_channels = shape
    waves = fbm((n_y, n_x), 4.0, rng)
    level = 1.0 + SMOOTH * waves / np.abs(waves).max()
    level[:, 2 * n_x // 3 :] *= TILE
    to_border = [np.minimum(np.arange(n), np.arange(n)[::-1]) for n in (n_y, n_x)]
    depth = np.minimum(to_border[0][:, None], to_border[1])
    level *= 1.0 + (EDGE - 1.0) * np.exp(-depth / EDGE_PIXELS)
    band = 1.0 + (BAND_ENDS - 1.0) * np.linspace(-1.0, 1.0, n_channels) ** 2
    return (sigma0 * level[..., None] * band).astype(np.float32)


def _sky_kernel():
    """Gaussian sampled at the pixels: its lag-1 autocorrelation is 0.280."""
    k = np.arange(-3, 4)
    return np.exp(-4.0 * np.log(2.0) * (k / SKY_FWHM) ** 2)


def _velocity_kernel():
    """(a, 1, a) with the wanted lag-1 autocorrelation 2 a / (1 + 2 a^2)."""
    a = (1.0 - np.sqrt(1.0 - 2.0 * LAG1_VELOCITY**2)) / (2.0 * LAG1_VELOCITY)
    return np.array([a, 1.0, a])


def unit_noise(shape, rng, *, correlated):
    """Normal deviates of unit variance, float32; `correlated` on the sky and in velocity.

    The map wraps around, so that the variance is exactly one up to the border.
    """
    noise = rng.standard_normal(shape, dtype=np.float32)
    if correlated:
        for axis, kernel in enumerate((_sky_kernel(), _sky_kernel(), _velocity_kernel())):
            kernel /= np.sqrt((kernel**2).sum())
            noise = correlate1d(noise, kernel, axis=axis, mode="wrap")
    return noise
