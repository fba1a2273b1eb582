"""Bump-steerable wavelets and Gaussian low-passes in two dimensions, in Fourier space."""

from functools import lru_cache
from math import factorial, pi, sqrt

import numpy as np

__all__ = ["bump_steerable_2d", "gaussian_lows_2d"]

CENTRE = 0.85 * pi  # central frequency of the finest scale, radians per pixel
LOW_PASS = 1 / (0.496 * 2**-0.55 * CENTRE)  # width of the Gaussian of scale 0, pixels


def _fold(values, axis):
    """Sum of the two periods along an axis of even length 2n, on n frequencies."""
    n = values.shape[axis] // 2
    first, last = np.split(values, [n], axis)
    return first + last


@lru_cache(maxsize=8)
def bump_steerable_2d(shape, n_scales, n_orientations=4):
    r"""Bump-steerable wavelets [1]_, as their real Fourier transforms.

    With :math:`\xi_j = 0.85 \pi / 2^j`, :math:`\theta_l = l \pi / L`, the wavenumber k and its angle
    :math:`\phi` from the last axis,

    .. math::
        \hat\psi_{jl}(\mathbf k) = c\, \exp\left(-\frac{(k - \xi_j)^2}{\xi_j^2 - (k - \xi_j)^2}\right)
        \cos^{L-1}(\phi - \theta_l)
        \quad \text{where } 0 < k < 2 \xi_j,\ \cos(\phi - \theta_l) \ge 0,

    zero elsewhere, with :math:`c = 2^{L-1} (L-1)! / (1.29 \sqrt{L\, (2L-2)!})`. Wavenumbers up to
    :math:`2 \pi` are folded onto the grid.

    Parameters
    ----------
    shape : tuple of two int
        Height and width of the maps, pixels.
    n_scales : int
        J; scale j is centred on a period of about :math:`2.35 \times 2^j` pixels.
    n_orientations : int, default=4
        L, over pi: enough for real maps.

    Returns
    -------
    psi : ndarray of shape (n_scales, n_orientations, h, w), float64, read-only
        In the order of `numpy.fft.fft2`.
    lows : ndarray of shape (n_scales // 4 + 2, h, w), float64, read-only
        The Gaussian low-passes of scales -1 to J // 4 that go with them, see `gaussian_lows_2d`.

    References
    ----------
    .. [1] E. Allys, T. Marchand, J.-F. Cardoso, et al. (2020), "New interpretable statistics for
       large-scale structure analysis and generation", Phys. Rev. D 102, 103506.

    Examples
    --------
    >>> from skastro.scattering.filters_steerable import bump_steerable_2d
    >>> psi, lows = bump_steerable_2d((32, 32), n_scales=3)
    >>> psi.shape, lows.shape
    ((3, 4, 32, 32), (2, 32, 32))
    """
    L = n_orientations
    _check_counts(shape, n_scales=n_scales, n_orientations=L)
    rows, columns = (2 * pi / n * np.arange(-n, n) for n in shape)
    # the frequencies -n..n-1 are twice those of the grid, starting at its zero
    k = np.hypot(rows[:, None], columns)
    angle = np.arctan2(rows[:, None], columns)
    c = 2 ** (L - 1) / 1.29 * factorial(L - 1) / sqrt(L * factorial(2 * L - 2))
    directions = []
    for l in range(L):  # noqa: E741
        cosine = np.cos(angle - l * pi / L)
        directions.append(np.where(cosine >= 0, np.maximum(cosine, 0) ** (L - 1), 0.0))
    psi = np.empty((n_scales, L, *shape))
    for j in range(n_scales):
        xi = CENTRE / 2**j
        inside = (k > 0) & (k < 2 * xi)
        offset = np.where(inside, k - xi, 0.0) ** 2
        radial = np.where(inside, c * np.exp(-offset / (xi**2 - offset)), 0.0)
        for l in range(L):  # noqa: E741
            psi[j, l] = _fold(_fold(radial * directions[l], 0), 1)
    psi.flags.writeable = False
    return psi, gaussian_lows_2d(shape, tuple(range(-1, n_scales // 4 + 1)))


@lru_cache(maxsize=8)
def gaussian_lows_2d(shape, scales=(-1, 0, 1)):
    r"""Gaussian low-passes of width :math:`s_j = 2^j s_0`, :math:`s_0 \approx 1.105` pixels.

    Sampled in space, where each sums to one, and made periodic.

    Parameters
    ----------
    shape : tuple of two int
        Height and width of the maps, pixels.
    scales : tuple of int, default=(-1, 0, 1)
        The j.

    Returns
    -------
    lows : ndarray of shape (n_lows, h, w), float64, read-only
        Real Fourier transforms, in the order of `numpy.fft.fft2`.

    Examples
    --------
    >>> from skastro.scattering.filters_steerable import gaussian_lows_2d
    >>> gaussian_lows_2d((32, 48), scales=(1, 2))[:, 0, 0].round(6).tolist()
    [1.0, 1.0]
    """
    _check_counts(shape)
    lows = np.empty((len(scales), *shape))
    for i, j in enumerate(scales):
        s = LOW_PASS * 2.0**j
        sides = []
        for n in shape:
            # two periods on one side and one on the other, as the reference has them
            u = np.arange(-2 * n, 2 * n)
            profile = np.exp(-(u**2) / (2 * s**2)) / sqrt(2 * pi * s**2)
            sides.append(np.fft.fft(profile.reshape(4, n).sum(0)).real)
        np.multiply(sides[0][:, None], sides[1], out=lows[i])
    lows.flags.writeable = False
    return lows


def _check_counts(shape, **counts):
    if len(shape) != 2 or min(shape) < 2:
        raise ValueError(f"shape={shape!r}; expected two sides of at least 2 pixels.")
    for name, count in counts.items():
        if not (isinstance(count, int | np.integer) and count >= 1):
            raise ValueError(f"{name}={count!r}; expected a positive integer.")
