"""The coarse grids of the WST, and the windows of its local averages."""

import math

import numpy as np

from skastro.scattering.filters import SIGMA

__all__ = ["even_fast", "low", "mean_grid", "windows"]

LEAST = 40  # points a side: on fewer the mean of a modulus is off by more than 1e-4


def mean_grid(shape, j, l, n_orientations, factor):  # noqa: E741
    """Grid on which the mean of the modulus at scale j and orientation l is that of the field.

    The modulus has a broader spectrum than the wavelet; what the grid aliases onto the mean decays slowly
    and is averaged out by the number of points, so that coarse scales need more of them.
    """
    slant = 4.0 / n_orientations
    theta = (math.floor(n_orientations - n_orientations / 2 - 1) - l) * math.pi / n_orientations
    factor *= 1.3 ** max(j - 1, 0) / 2**j
    cos, sin = math.cos(theta), math.sin(theta)
    extent = max(math.hypot(cos, slant * sin), 0.5), max(math.hypot(sin, slant * cos), 0.5)
    return tuple(
        n if factor * e * n >= n else min(n, even_fast(max(factor * e * n, LEAST)))
        for n, e in zip(shape, extent, strict=True)
    )


def even_fast(n):
    """The least even product of 2, 3 and 5 that is at least n: of those whose FFT is fast."""
    n = math.ceil(n / 2)
    while True:
        rest = n
        for p in (2, 3, 5):
            while rest % p == 0:
                rest //= p
        if rest == 1:
            return 2 * n
        n += 1


def low(psi, size):
    """The lowest frequencies of a plane, those that a grid of `size` has."""
    for axis, side in zip((-2, -1), size, strict=True):
        n = psi.shape[axis]
        psi = np.take(psi, np.r_[0 : (side + 1) // 2, n - side // 2 : n], axis)
    return psi


def windows(n, j, n_scales, margin):
    """Gaussian averages at each 2^J-th pixel of an axis of n, from each 2^j-th: (n_out, n / 2^j)."""
    frequency = 2.0 * np.pi * (np.fft.fftfreq(n)[:, None] + np.arange(-2, 3))
    phi = np.exp(-0.5 * (SIGMA * 2 ** (n_scales - 1) * frequency) ** 2).sum(1)
    side, out = n // 2**j, n // 2**n_scales
    phi = np.concatenate([phi[: (side + 1) // 2], phi[n - side // 2 :]])
    spectrum = np.fft.fft(np.eye(side), axis=0) * phi[:, None]
    spectrum = spectrum.reshape(side // out, out, side).mean(0)
    windows = np.fft.ifft(spectrum, axis=0).real
    return np.ascontiguousarray(windows[margin : out - margin])
