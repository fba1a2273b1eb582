"""Fractional Brownian motion: Gaussian random fields with a power-law spectrum."""

from __future__ import annotations

import numpy as np
from scipy.fft import fftfreq, irfftn, rfftfreq, rfftn


def fbm(shape, index, rng):
    """Periodic Gaussian random field with a power spectrum k**-index.

    Parameters
    ----------
    shape : tuple of int
    index : float
        Of the power of a mode of wave number k, in as many dimensions as `shape` has:
        11 / 3 is Kolmogorov's in three.
    rng : numpy.random.Generator

    Returns
    -------
    field : ndarray of shape `shape`, float32
        Of mean 0 and standard deviation 1 over the box.
    """
    waves = [fftfreq(n) for n in shape[:-1]] + [rfftfreq(shape[-1])]
    squared = sum(k**2 for k in np.ix_(*waves)).astype(np.float32)
    squared.flat[0] = np.inf  # no mean
    modes = rfftn(rng.standard_normal(shape, dtype=np.float32))
    modes *= squared ** np.float32(-index / 4.0)
    field = irfftn(modes, s=shape)
    return field / np.float32(field.std(dtype=np.float64))
