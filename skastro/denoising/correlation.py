"""Autocorrelation of the noise of a cube, along channels and over the sky."""

from numbers import Integral
from typing import NamedTuple

import numpy as np

from skastro.denoising.checks import check_cube, check_sigma, check_signal_mask, read_spectra
from skastro.denoising.line_free import spectrum_noise, window_length
from skastro.denoising.noise_spectrum import common_noise

__all__ = ["NoiseCorrelation", "noise_correlation"]

MOST_VOXELS = 2**21  # that are looked at: a box in the middle of a larger cube
N_ITER = 5
SPARSELY = 4  # a part of the spectra is enough for a first look


class NoiseCorrelation(NamedTuple):
    """Autocorrelation of the noise of a cube.

    Attributes
    ----------
    spectral : ndarray of shape (max_lag + 1,), float64
        At lags of 0 (1 by definition), 1, ... channels.
    spatial : ndarray of shape (2 max_lag + 1, 2 max_lag + 1), float64
        At lags of -max_lag to max_lag pixels in y and x, 1 in the middle; NaN at the lags that no
        pair of pixels spans, and around the middle for a table of spectra, which has no neighbours.
    """

    spectral: np.ndarray
    spatial: np.ndarray


def _middle(shape):
    """Slices of a box in the middle of the map that is small enough; all channels."""
    sides, most = shape[:-1], max(256, MOST_VOXELS // shape[-1])
    if len(sides) == 2:
        n_y = min(sides[0], int(np.sqrt(most)))
        n_x = min(sides[1], most // n_y)
        most_sides = (min(sides[0], most // n_x), n_x)
    else:
        most_sides = (min(sides[0], most),)
    starts = [(n - side) // 2 for n, side in zip(sides, most_sides, strict=True)]
    return tuple(slice(start, start + n) for start, n in zip(starts, most_sides, strict=True))


def _pure_noise(cube, sigma, signal_mask):
    """Noise of a cube in units of sigma about the mean of each spectrum; 0 where not, and a mask."""
    with np.errstate(invalid="ignore"):
        spectra = read_spectra(cube) / sigma.reshape(-1, sigma.shape[-1])
    keep = np.isfinite(spectra)
    if signal_mask is not None:
        keep &= ~signal_mask.reshape(spectra.shape)
    else:
        length = window_length(spectra.shape[1])
        spectra[~keep] = np.nan
        _, correlation = common_noise(spectra[::SPARSELY], N_ITER, "auto", per_channel=False)
        windows = spectrum_noise(spectra, N_ITER, "auto", correlation=correlation).keep
        used = windows.shape[1] * length
        keep[:, :used] &= np.repeat(windows, length, axis=1)
        keep[:, used:] = False
    spectra[~keep] = 0.0
    mean = spectra.sum(axis=1) / np.maximum(np.count_nonzero(keep, axis=1), 1)
    spectra -= mean[:, None] * keep
    return spectra.reshape(sigma.shape), keep.reshape(sigma.shape)


def _lagged(noise, keep, lags):
    """Mean product of the voxels at some lag along each axis; NaN where no pair spans it."""
    here = tuple(
        slice(max(lag, 0), n + min(lag, 0)) for lag, n in zip(lags, noise.shape, strict=True)
    )
    there = tuple(
        slice(max(-lag, 0), n + min(-lag, 0)) for lag, n in zip(lags, noise.shape, strict=True)
    )
    if any(abs(lag) >= n for lag, n in zip(lags, noise.shape, strict=True)):
        return np.nan
    count = np.count_nonzero(keep[here] & keep[there])
    # sums in single precision along a spectrum only
    product = np.einsum("...k,...k->...", noise[here], noise[there]).sum(dtype=np.float64)
    return product / count if count else np.nan


def _restore_mean(spectral, n_channels):
    """Undo what taking out the mean of `n_channels` does to their autocorrelation."""
    span = 2 * len(spectral) - 1
    # the variance of the mean, times the number of channels
    width = spectral[0] + 2.0 * spectral[1:].sum()
    width = np.clip(width / max(1.0 + (width - span) / n_channels, 0.5), 0.0, span)
    lost = min(width / n_channels, 0.5)
    return spectral * (1.0 - lost) + lost


def noise_correlation(cube, sigma, signal_mask=None, max_lag=3):
    """Measure the autocorrelation of the noise of a cube, along channels and over the sky.

    It decides what can be removed: noise that neighbours share looks like signal.

    Parameters
    ----------
    cube : array-like of shape (n_y, n_x, n_channels) or (n_spectra, n_channels)
        NaN: blank. Of a cube of more than two million voxels, a box in the middle is taken.
    sigma : array-like
        Noise in the unit of the cube, as `skastro.denoising.noise.check_sigma` takes it.
    signal_mask : array-like of bool of the shape of `cube`, optional
        True where there is signal: left out. None: line-free windows of channels are looked for in
        each spectrum.
    max_lag : int, default=3
        Largest lag, in channels and in pixels.

    Returns
    -------
    correlation : NoiseCorrelation
        `spectral` and `spatial`.

    Raises
    ------
    ValueError
        A sigma or mask that does not fit, a lag as long as the spectra, or no line-free voxel.

    Notes
    -----
    The mean of the noise of each spectrum is taken out, since a baseline may be left in the cube,
    and what that does to the spectral correlation is undone.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.denoising import noise_correlation
    >>> noise = np.random.default_rng(0).normal(size=(30, 30, 101))
    >>> cube = (noise[..., 1:] + noise[..., :-1]) / np.sqrt(2)
    >>> found = noise_correlation(cube, 1.0)
    >>> round(float(found.spectral[1]), 1), found.spatial.shape
    (0.5, (7, 7))
    """
    cube = check_cube(cube, min_channels=2)
    sigma = check_sigma(sigma, cube.shape)
    if signal_mask is not None:
        signal_mask = check_signal_mask(signal_mask, cube.shape)
    n_channels = cube.shape[-1]
    if not isinstance(max_lag, Integral) or not 1 <= max_lag < n_channels:
        raise ValueError(
            f"max_lag={max_lag!r}; expected an integer from 1 to {n_channels - 1}, below the "
            f"{n_channels} channels."
        )
    box = _middle(cube.shape)
    mask = None if signal_mask is None else signal_mask[box]
    noise, keep = _pure_noise(cube[box], sigma[box], mask)
    if not keep.any():
        raise ValueError("blanks and signal_mask leave no line-free voxel; expected some noise.")
    still = (0,) * (noise.ndim - 1)
    spectral = np.array([_lagged(noise, keep, (*still, lag)) for lag in range(max_lag + 1)])
    spatial = np.full((2 * max_lag + 1,) * 2, np.nan)
    spatial[max_lag, max_lag] = spectral[0]
    if noise.ndim == 3:
        side = range(-max_lag, max_lag + 1)
        for dy, dx in ((y, x) for y in side for x in side if (y, x) > (0, 0)):
            one = _lagged(noise, keep, (dy, dx, 0))
            spatial[max_lag + dy, max_lag + dx] = spatial[max_lag - dy, max_lag - dx] = one
    count = np.count_nonzero(keep, axis=-1)
    return NoiseCorrelation(
        _restore_mean(spectral / spectral[0], count[count > 0].mean()), spatial / spectral[0]
    )
