"""How near a separated map is to the truth: scale by scale, in its histogram, topology and increments."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from skastro.field_metrics import histogram_distance, structure_functions
from skastro.fourier_shells import FourierShells
from skastro.map_spectra import shell_spectra
from skastro.maps import check_pair_of_maps
from skastro.minkowski import MinkowskiFunctionals, minkowski_functionals

__all__ = [
    "increment_kurtosis",
    "minkowski_difference",
    "power_error",
    "relative_rmse",
    "scale_correlation",
    "separation_summary",
]

FINE = 8.0  # widest of the fine rings, in cycles per box
LEVELS = np.linspace(-2.0, 3.0, 11)  # in standard deviations of the truth


def _pair(maps, truth):
    """Maps and truths of one shape, (n, h, w) in float64, and the leading dimensions."""
    maps, truth = check_pair_of_maps(maps, truth, ("maps", "truth"))
    lead = np.broadcast_shapes(maps.shape[:-2], truth.shape[:-2])
    low, high = truth.min(axis=(-2, -1)), truth.max(axis=(-2, -1))
    if (low == high).any():
        value = np.atleast_1d(low)[np.atleast_1d(low == high)][0]
        raise ValueError(f"truth has a constant map, at {value:.4g}; expected maps that vary.")
    size = truth.shape[-2:]
    both = (np.broadcast_to(one, lead + size).reshape(-1, *size) for one in (maps, truth))
    return *both, lead


def _shells(shape, bins):
    """Octaves below the Nyquist frequency, or narrow rings up to the corner of the plane."""
    lowest = 1.0 / max(shape)
    if bins == "fine":
        corner = np.sqrt(0.5)
        n_bins = max(1, int(np.ceil((corner / lowest - 0.5) / FINE)))
        return FourierShells(shape, n_bins, k_max=corner)
    if bins != "octaves":
        raise ValueError(f"bins={bins!r}; expected 'octaves' or 'fine'.")
    bounds = [0.5]
    while 0.5 * bounds[0] >= lowest:
        bounds.insert(0, 0.5 * bounds[0])
    if len(bounds) == 1:
        raise ValueError(
            f"maps have {shape[0]} x {shape[1]} pixels; expected a side of at least 4 for an octave."
        )
    # what is left below the lowest octave is no octave of its own
    bounds[0] = lowest
    return FourierShells(shape, bounds=bounds)


def _spectra(maps, truth, bins, window):
    maps, truth, lead = _pair(maps, truth)
    shells = _shells(truth.shape[-2:], bins)
    found = shell_spectra(maps, truth, shells, window=window)
    return shells.k * max(truth.shape[-2:]), found.reshape(3, *lead, -1)


def power_error(maps, truth, bins="octaves", *, window=None):
    """Relative error of the power spectrum, P(maps) / P(truth) - 1.

    Parameters
    ----------
    maps : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    truth : array-like of the shape of `maps`, or a single map (h, w)
    bins : {"octaves", "fine"}, default="octaves"
        Rings of wave number: octaves that end at the Nyquist frequency, 256 pixels a side having [1, 2), ...
        [64, 128) cycles per box; or rings of one width of at most 8 cycles per box, up to the corner of the
        Fourier plane.
    window : {"hann"} or None, default=None
        Of both maps; "hann" for maps that are not periodic.

    Returns
    -------
    k : ndarray of shape (n_rings,)
        Mean wave number of each ring, in cycles per box (per longer side).
    error : ndarray of shape (..., n_rings)

    Raises
    ------
    ValueError
        Maps that are not finite, of other shapes or units than the truth; a constant truth.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation_metrics import power_error
    >>> truth = np.random.default_rng(0).normal(size=(32, 32))
    >>> power_error(1.1 * truth, truth)[1].round(2)
    array([0.21, 0.21, 0.21, 0.21])
    """
    k, (found, expected, _) = _spectra(maps, truth, bins, window)
    with np.errstate(divide="ignore", invalid="ignore"):
        return k, found / expected - 1.0


def scale_correlation(maps, truth, bins="octaves", *, window=None):
    """Correlation coefficient with the truth, scale by scale.

    Parameters
    ----------
    maps, truth, bins, window
        As in `power_error`.

    Returns
    -------
    k : ndarray of shape (n_rings,)
        In cycles per box.
    correlation : ndarray of shape (..., n_rings)
        NaN where one of the maps has no power.

    Raises
    ------
    ValueError
        As `power_error`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation_metrics import scale_correlation
    >>> truth = np.random.default_rng(0).normal(size=(32, 32))
    >>> scale_correlation(0.5 * truth, truth)[1].round(6)
    array([1., 1., 1., 1.])
    """
    k, (found, expected, cross) = _spectra(maps, truth, bins, window)
    with np.errstate(divide="ignore", invalid="ignore"):
        return k, cross / np.sqrt(found * expected)


def relative_rmse(maps, truth):
    """Root mean square error of the pixels, in standard deviations of the truth.

    Parameters
    ----------
    maps : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    truth : array-like of the shape of `maps`, or a single map (h, w)

    Returns
    -------
    rmse : float or ndarray of shape (...)
        One for each map.

    Raises
    ------
    ValueError
        As `power_error`.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation_metrics import relative_rmse
    >>> truth = np.random.default_rng(0).normal(size=(32, 32))
    >>> round(float(relative_rmse(0.9 * truth + 0.1 * truth.mean(), truth)), 6)
    0.1
    """
    maps, truth, lead = _pair(maps, truth)
    error = np.mean(np.square(maps - truth.astype(np.float64)), axis=(1, 2))
    return np.sqrt(error / truth.var(axis=(1, 2), dtype=np.float64)).reshape(lead)[()]


def minkowski_difference(maps, truth, levels=None, *, periodic=False):
    """Difference of the Minkowski functionals from those of the truth.

    For each functional the root mean square difference over thresholds, over the root mean square of the
    functional of the truth.

    Parameters
    ----------
    maps : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    truth : array-like of the shape of `maps`, or a single map (h, w)
    levels : array-like of shape (n_levels,) or None, default=None
        Thresholds, in standard deviations of each truth from its mean. None: from -2 to 3 in steps of a half.
    periodic : bool, default=False
        Whether opposite sides of a map are neighbours.

    Returns
    -------
    difference : MinkowskiFunctionals
        Arrays of shape (...), without unit.

    Raises
    ------
    ValueError
        As `power_error`; thresholds that are not a vector of finite numbers, or that the truth never crosses.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation_metrics import minkowski_difference
    >>> truth = np.random.default_rng(0).normal(size=(32, 32))
    >>> [float(one) for one in minkowski_difference(truth, truth)]
    [0.0, 0.0, 0.0]
    """
    maps, truth, lead = _pair(maps, truth)
    mean = truth.mean(axis=(1, 2), dtype=np.float64)[:, None, None]
    sigma = truth.std(axis=(1, 2), dtype=np.float64)[:, None, None]
    levels = LEVELS if levels is None else levels
    found, expected = (
        minkowski_functionals((one - mean) / sigma, levels, periodic=periodic)
        for one in (maps, truth)
    )
    differences = []
    for name, one, other in zip(found._fields, found, expected, strict=True):
        scale = np.sqrt(np.mean(other**2, axis=-1))
        if not (scale > 0).all():
            raise ValueError(
                f"levels={np.asarray(levels).tolist()}: the {name} of a truth is 0 at all of them; expected "
                "thresholds that its values cross."
            )
        difference = np.sqrt(np.mean((one - other) ** 2, axis=-1)) / scale
        differences.append(difference.reshape(lead)[()])
    return MinkowskiFunctionals(*differences)


def increment_kurtosis(maps, lags=None, *, periodic=False):
    r"""Kurtosis of the increments at distances, :math:`S_4 / S_2^2`: 3 for a Gaussian field.

    Parameters
    ----------
    maps : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    lags : sequence of int or None, default=None
        In pixels. None: 1, 2, 4, ... to a quarter of the shorter side, at most 32.
    periodic : bool, default=False
        Whether opposite sides of a map are neighbours.

    Returns
    -------
    lags : ndarray of shape (n_lags,)
    kurtosis : ndarray of shape (..., n_lags)
        About 0, along both axes together; NaN where all increments are 0.

    Raises
    ------
    ValueError
        Maps that are not finite, a lag out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.separation_metrics import increment_kurtosis
    >>> lags, kurtosis = increment_kurtosis(np.random.default_rng(0).normal(size=(64, 64)))
    >>> lags.tolist(), bool(np.abs(kurtosis - 3).max() < 0.2)
    ([1, 2, 4, 8, 16], True)
    """
    if lags is None:
        side = min(np.shape(maps)[-2:], default=0)
        lags = [lag for lag in (1, 2, 4, 8, 16, 32) if lag == 1 or lag <= side // 4]
    lags, moments = structure_functions(maps, lags, orders=(2, 4), periodic=periodic)
    with np.errstate(divide="ignore", invalid="ignore"):
        return lags, moments[..., 1] / moments[..., 0] ** 2


def separation_summary(maps, truth, *, periodic=False, window=None):
    """All measures of separated maps against the truth.

    Parameters
    ----------
    maps : array-like of shape (h, w), (n, h, w) or (n, n_channels, h, w)
    truth : array-like of the shape of `maps`, or a single map (h, w)
    periodic : bool, default=False
        Whether opposite sides of a map are neighbours, for the topology and the increments.
    window : {"hann"} or None, default=None
        For the spectra.

    Returns
    -------
    summary : :class:`~sklearn.utils.Bunch`
        With the attributes, in which "..." stands for the leading dimensions of `maps`,

        k : ndarray of shape (n_octaves,)
            Mean wave number of the octaves, in cycles per box.
        k_fine : ndarray of shape (n_fine,)
            That of the fine rings.
        power_error : ndarray of shape (..., n_octaves)
            As the function `power_error`.
        power_error_fine : ndarray of shape (..., n_fine)
            The same in fine rings.
        correlation : ndarray of shape (..., n_octaves)
            As `scale_correlation`.
        histogram_distance : float or ndarray of shape (...)
            In standard deviations of the truth.
        rmse : float or ndarray of shape (...)
            In standard deviations of the truth.
        minkowski : MinkowskiFunctionals
            As `minkowski_difference`.
        lags : ndarray of shape (n_lags,)
            Of the increments, in pixels.
        kurtosis : ndarray of shape (..., n_lags)
            As `increment_kurtosis`.
        kurtosis_truth : ndarray of shape (..., n_lags)
            That of the truth.

    Raises
    ------
    ValueError
        As `power_error`.

    Examples
    --------
    >>> from skastro.datasets import make_mixture
    >>> from skastro.separation_metrics import separation_summary
    >>> mix = make_mixture("white", n_pixels=64, random_state=0)
    >>> found = separation_summary(mix.mixture, mix.signal)
    >>> found.power_error.shape, bool(abs(found.rmse[0] - 1.0) < 0.05)
    ((1, 5), True)
    """
    maps, truth, lead = _pair(maps, truth)
    k, error = power_error(maps, truth, window=window)
    k_fine, fine = power_error(maps, truth, "fine", window=window)
    lags, kurtosis = increment_kurtosis(maps, periodic=periodic)
    kurtosis_truth = increment_kurtosis(truth, periodic=periodic)[1]
    distance = [histogram_distance(one, other) for one, other in zip(maps, truth, strict=True)]

    def restored(values):
        values = np.asarray(values)
        return values.reshape(lead + values.shape[1:])[()]

    return Bunch(
        k=k,
        k_fine=k_fine,
        power_error=restored(error),
        power_error_fine=restored(fine),
        correlation=restored(scale_correlation(maps, truth, window=window)[1]),
        histogram_distance=restored(distance),
        rmse=restored(relative_rmse(maps, truth)),
        minkowski=MinkowskiFunctionals(
            *map(restored, minkowski_difference(maps, truth, periodic=periodic))
        ),
        lags=lags,
        kurtosis=restored(kurtosis),
        kurtosis_truth=restored(kurtosis_truth),
    )
