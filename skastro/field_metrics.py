"""Measures of maps that a synthetic map must share with a real one: spectra, topology, histograms."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy.stats import wasserstein_distance

from skastro.base import row_blocks
from skastro.map_spectra import (
    cross_correlation,
    cross_spectrum,
    peak_correlation,
    power_spectrum,
)
from skastro.maps import check_maps
from skastro.minkowski import MinkowskiFunctionals, gaussian_minkowski, minkowski_functionals

__all__ = [
    "MinkowskiFunctionals",
    "cross_correlation",
    "cross_spectrum",
    "gaussian_minkowski",
    "histogram_distance",
    "increments",
    "minkowski_functionals",
    "peak_correlation",
    "power_spectrum",
    "structure_functions",
]


def histogram_distance(maps, target):
    r"""Distance between the distributions of pixels, in standard deviations of the target.

    The Wasserstein-1 distance, the area between the two cumulative distributions,
    :math:`\int |F(v) - F_t(v)| dv`, over the standard deviation of the target.

    Parameters
    ----------
    maps : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    target : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
        All its pixels make one distribution.

    Returns
    -------
    distance : float or ndarray of shape (...)
        One for each map.

    Raises
    ------
    ValueError
        Maps that are not finite, a constant target, a unit on one side only.

    References
    ----------
    .. [1] Villani, "Optimal transport: old and new" (2009).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.field_metrics import histogram_distance
    >>> target = np.random.default_rng(0).normal(5.0, 2.0, size=(64, 64))
    >>> round(float(histogram_distance(target + 0.2, target)), 2)
    0.1
    """
    maps, unit = check_maps(maps, "maps")
    given = getattr(target, "unit", None)
    if unit is None and given is not None:
        raise ValueError(f"target has unit {str(given)!r}; maps has none: expected both.")
    target, _ = check_maps(target, "target", unit=unit)
    target = target.ravel().astype(np.float64)
    sigma = target.std()
    if target.min() == target.max():
        raise ValueError(f"target is constant at {target[0]:.4g}; expected a map that varies.")
    flat = maps.reshape(-1, maps.shape[-2] * maps.shape[-1])
    found = np.array([wasserstein_distance(one, target) for one in flat]) / sigma
    return found.reshape(maps.shape[:-2])[()]


def _check_lag(lag, name, shape, periodic):
    highest = min(shape) // 2 if periodic else min(shape) - 1
    if not isinstance(lag, Integral) or isinstance(lag, bool) or not 1 <= lag <= highest:
        raise ValueError(f"{name} has {lag!r}; expected integers of pixels from 1 to {highest}.")
    return int(lag)


def increments(maps, lag, *, periodic=True):
    """Differences between pixels at a distance, along both axes.

    Parameters
    ----------
    maps : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    lag : int
        Distance in pixels.
    periodic : bool, default=True
        Whether opposite sides of a map are neighbours.

    Returns
    -------
    increments : ndarray of shape (..., n_increments)
        Of the dtype of the maps: first along the columns, then along the rows.

    Raises
    ------
    ValueError
        Maps that are not finite, a lag out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.field_metrics import increments
    >>> slope = np.tile(np.arange(4.0), (4, 1))
    >>> increments(slope, 1, periodic=False).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
     1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    maps, _ = check_maps(maps, "maps")
    lag = _check_lag(lag, "lag", maps.shape[-2:], periodic)
    return _increments(maps, lag, periodic)


def _increments(maps, lag, periodic):
    if periodic:
        both = [np.roll(maps, -lag, axis=axis) - maps for axis in (-2, -1)]
    else:
        both = [
            maps[..., lag:, :] - maps[..., :-lag, :],
            maps[..., lag:] - maps[..., :-lag],
        ]
    return np.concatenate([one.reshape(*maps.shape[:-2], -1) for one in both], axis=-1)


def structure_functions(maps, lags=None, orders=(1, 2, 3, 4), *, periodic=True):
    r"""Structure functions: the mean powers of increments.

    .. math:: S_q(l) = \langle |x(u + l) - x(u)|^q \rangle

    Of a Gaussian field :math:`S_4 = 3 S_2^2` at every distance; of an intermittent one this ratio grows
    towards small scales.

    Parameters
    ----------
    maps : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    lags : sequence of int or None, default=None
        Distances in pixels. None: 1, 2, 4, ... to a quarter of the shorter side.
    orders : sequence of float, default=(1, 2, 3, 4)
    periodic : bool, default=True
        Whether opposite sides of a map are neighbours.

    Returns
    -------
    lags : ndarray of shape (n_lags,)
    values : ndarray of shape (..., n_lags, n_orders), float64

    Raises
    ------
    ValueError
        Maps that are not finite, a lag out of its range, an order that is not above 0.

    References
    ----------
    .. [1] Frisch, "Turbulence: the legacy of A. N. Kolmogorov" (1995).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.field_metrics import structure_functions
    >>> noise = np.random.default_rng(0).normal(size=(64, 64))
    >>> lags, values = structure_functions(noise, orders=(2, 4))
    >>> lags.tolist(), bool(np.allclose(values[:, 1] / values[:, 0] ** 2, 3, atol=0.3))
    ([1, 2, 4, 8, 16], True)
    """
    maps, _ = check_maps(maps, "maps")
    side = min(maps.shape[-2:])
    if lags is None:
        lags = 2 ** np.arange(max(1, int(np.log2(side)) - 1))
    lags = [_check_lag(lag, "lags", maps.shape[-2:], periodic) for lag in np.ravel(lags).tolist()]
    orders = np.ravel(np.asarray(orders, dtype=np.float64))
    if orders.size == 0 or not (orders > 0).all():
        raise ValueError(f"orders={orders.tolist()}; expected numbers above 0.")
    flat = maps.reshape(-1, *maps.shape[-2:])
    values = np.empty((len(flat), len(lags), len(orders)))
    for rows in row_blocks(len(flat), flat[0].size * 64):
        for i, lag in enumerate(lags):
            size = np.abs(_increments(flat[rows].astype(np.float64), lag, periodic))
            for j, order in enumerate(orders):
                values[rows, i, j] = np.mean(size**order, axis=-1)
    return np.array(lags), values.reshape(*maps.shape[:-2], len(lags), len(orders))
