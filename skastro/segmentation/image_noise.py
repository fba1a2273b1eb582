"""Level and power spectrum of the noise of images that have sources in them."""

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr, ndtri

from skastro.fourier_shells import FourierShells
from skastro.map_spectra import shell_spectra

__all__ = ["check_spectrum", "measured_spectrum", "resampled", "robust_sigma"]

CLIP = 3.0  # standard deviations
N_CLIPS = 3
LEAST_MODES = 60  # of a ring


def robust_sigma(values, name="X"):
    """Standard deviation of Gaussian noise about 0, from the median of what is not clipped as sources.

    Parameters
    ----------
    values : ndarray
        Any shape, NaN left out.

    Returns
    -------
    sigma : float

    Raises
    ------
    ValueError
        Constant values.
    """
    size = np.abs(values[np.isfinite(values)])
    sigma = float(np.median(size)) / ndtri(0.75)
    # of the absolute values of a Gaussian that is cut off at CLIP
    half = ndtri(0.5 + 0.25 * (2.0 * ndtr(CLIP) - 1.0))
    for _ in range(N_CLIPS):
        sigma = float(np.median(size[size <= CLIP * sigma])) / half
    if not sigma > 0:
        # more than half of the pixels are equal, such as counts of few photons
        sigma = float(np.std(size, dtype=np.float64))
    if not sigma > 0:
        raise ValueError(f"{name} is constant; expected images with noise.")
    return sigma


def measured_spectrum(images, sigma, clip):
    """Isotropic power spectrum of images (n, h, w) on the grid of their modes, with the sources clipped.

    Parameters
    ----------
    images : ndarray of shape (n, h, w)
        Without their background; NaN where blank.
    sigma : float
        Level of the noise.
    clip : float or None
        Standard deviations beyond which pixels are moved back to that bound.

    Returns
    -------
    spectrum : ndarray of shape (h, w)
        White noise has its variance everywhere.
    """
    if min(images.shape[1:]) < 4:
        raise ValueError(
            f"X has images of shape {images.shape[1:]}; expected 4 pixels a side for noise='measured'."
        )
    known = np.isfinite(images)
    share = known.mean(axis=(1, 2))
    images, share = images[share > 0], share[share > 0]
    filled = np.nan_to_num(images, nan=0.0) / sigma
    if clip is not None:
        filled = np.clip(filled, -clip, clip) / np.sqrt(_clipped_variance(clip))
    h, w = images.shape[1:]
    radius = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w))
    shells = FourierShells((h, w), spacing="log", k_max=radius.max())
    power = shell_spectra(filled, None, shells, window="hann")[0]
    # blank pixels have no power
    power = power.sum(axis=0) / share.sum()
    # the mean that is taken off lowers the innermost ring
    power[0] = max(power[0], power[1])
    if not (power > 0).all():
        raise ValueError(
            "X has no power at some scales; expected images with noise at all of them."
        )
    k, power = _pooled(shells.k, power, shells.n_modes * len(filled))
    if len(k) == 1:
        return np.full((h, w), sigma**2 * power[0])
    # smooth between the rings: a ragged spectrum would make bright sources ring all over the image
    smooth = PchipInterpolator(np.log(k), np.log(power))
    return sigma**2 * np.exp(smooth(np.log(np.clip(radius, k[0], k[-1]))))


def _pooled(k, power, n_modes):
    """Neighbouring rings together, until each has enough modes for its mean to be known."""
    group = np.minimum(np.cumsum(n_modes) - n_modes, n_modes.sum() - LEAST_MODES) // LEAST_MODES
    group = np.unique(np.maximum(group, 0), return_inverse=True)[1]
    total = np.bincount(group, n_modes)
    return np.bincount(group, n_modes * k) / total, np.bincount(group, n_modes * power) / total


def _clipped_variance(clip):
    """Variance of a standard Gaussian whose tails are moved to +-clip."""
    density = np.exp(-0.5 * clip**2) / np.sqrt(2.0 * np.pi)
    tail = ndtr(-clip)
    return 1.0 - 2.0 * tail - 2.0 * clip * density + 2.0 * clip**2 * tail


def check_spectrum(noise):
    """A given power spectrum as float64."""
    try:
        noise = np.asarray(noise, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("noise is not an array of numbers; expected shape (h, w).") from error
    if noise.ndim != 2 or 0 in noise.shape:
        raise ValueError(
            f"noise has shape {noise.shape}; expected (h, w), the power at the modes of np.fft.fft2."
        )
    if not (noise > 0).all() or not np.isfinite(noise).any():
        raise ValueError(
            "noise has powers that are not positive; expected positive ones, infinity where a mode is not "
            "to be used."
        )
    flipped = np.roll(noise[::-1, ::-1], 1, axis=(0, 1))
    if not np.allclose(noise, flipped, rtol=1e-3):
        raise ValueError(
            "noise is not the same at k and -k; expected the power at the modes of np.fft.fft2."
        )
    return noise


def resampled(values, shape):
    """A function of the modes of one grid (h, w), interpolated at those of `scipy.fft.rfft2` of another."""
    (h, w), (tall, wide) = values.shape, shape
    rows, columns = np.fft.fftfreq(tall) * h, np.fft.rfftfreq(wide) * w
    y, x = np.floor(rows).astype(int), np.floor(columns).astype(int)
    t, s = (rows - y)[:, None], columns - x
    values = (1.0 - t) * values[y % h] + t * values[(y + 1) % h]
    return (1.0 - s) * values[:, x % w] + s * values[:, (x + 1) % w]
