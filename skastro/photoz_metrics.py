"""Scores of photometric redshifts as points: bias, scatter and outliers.

Name the point with the figure: a mean, a median and a mode of one distribution score differently.
"""

from typing import NamedTuple

import numpy as np

__all__ = [
    "RedshiftSummary",
    "outlier_fraction",
    "redshift_bias",
    "redshift_residuals",
    "redshift_summary",
    "sigma_mad",
]

# From the median absolute deviation to the standard deviation of a Gaussian.
MAD_TO_SIGMA = 1.4826


def _check(z_spec, z_phot):
    z_spec, z_phot = np.asarray(z_spec, dtype=float), np.asarray(z_phot, dtype=float)
    if z_spec.ndim == 2 and z_spec.shape[1] == 1:
        z_spec = z_spec[:, 0]
    if z_phot.ndim == 2 and z_phot.shape[1] == 1:
        z_phot = z_phot[:, 0]
    if z_spec.ndim != 1 or z_spec.size == 0:
        raise ValueError(f"z_spec has shape {z_spec.shape}; expected (n,), n at least 1.")
    if z_phot.shape != z_spec.shape:
        raise ValueError(
            f"z_phot has shape {z_phot.shape}; expected {z_spec.shape}, the shape of z_spec."
        )
    for name, z in (("z_spec", z_spec), ("z_phot", z_phot)):
        if not np.isfinite(z).all():
            raise ValueError(f"{name} has NaN or infinity; expected finite redshifts.")
    if (z_spec <= -1).any():
        raise ValueError(f"z_spec has {z_spec.min():.4g}; expected redshifts above -1.")
    return z_spec, z_phot


def redshift_residuals(z_spec, z_phot):
    r"""Normalised residuals of redshifts.

    .. math:: \Delta z = (z_\mathrm{phot} - z_\mathrm{spec}) / (1 + z_\mathrm{spec})

    Parameters
    ----------
    z_spec : array-like of shape (n,)
        True, spectroscopic redshifts, above -1.
    z_phot : array-like of shape (n,)
        Predicted ones.

    Returns
    -------
    dz : ndarray of shape (n,)

    Raises
    ------
    ValueError
        Shapes that differ, no row, numbers that are not finite, a `z_spec` of -1 or less.

    Examples
    --------
    >>> from skastro.photoz_metrics import redshift_residuals
    >>> redshift_residuals([0.0, 1.0], [0.1, 0.8])
    array([ 0.1, -0.1])
    """
    z_spec, z_phot = _check(z_spec, z_phot)
    return (z_phot - z_spec) / (1 + z_spec)


def redshift_bias(z_spec, z_phot):
    """Mean of the normalised residuals.

    Parameters
    ----------
    z_spec, z_phot : array-like of shape (n,)
        As in `redshift_residuals`.

    Returns
    -------
    bias : float

    Raises
    ------
    ValueError
        As of `redshift_residuals`.

    Examples
    --------
    >>> from skastro.photoz_metrics import redshift_bias
    >>> round(redshift_bias([0.0, 1.0], [0.1, 0.9]), 3)
    0.025
    """
    return float(redshift_residuals(z_spec, z_phot).mean())


def _sigma_mad(dz):
    return float(MAD_TO_SIGMA * np.median(np.abs(dz - np.median(dz))))


def sigma_mad(z_spec, z_phot):
    r"""Scatter of the normalised residuals, from their median absolute deviation.

    .. math:: \sigma_\mathrm{MAD} = 1.4826\, \mathrm{median}\, |\Delta z - \mathrm{median}(\Delta z)|

    Parameters
    ----------
    z_spec, z_phot : array-like of shape (n,)
        As in `redshift_residuals`.

    Returns
    -------
    sigma : float

    Raises
    ------
    ValueError
        As of `redshift_residuals`.

    References
    ----------
    .. [1] Pasquet et al., "Photometric redshifts from SDSS images using a convolutional neural network",
       A&A 621, A26 (2019).

    Examples
    --------
    >>> from skastro.photoz_metrics import sigma_mad
    >>> round(sigma_mad([0.0, 0.0, 0.0], [-0.1, 0.0, 0.3]), 5)
    0.14826
    """
    return _sigma_mad(redshift_residuals(z_spec, z_phot))


def _check_threshold(threshold):
    if not (np.isscalar(threshold) and threshold > 0):
        raise ValueError(f"threshold={threshold!r}; expected a positive number.")


def outlier_fraction(z_spec, z_phot, threshold=0.05):
    """Fraction of redshifts whose normalised residual is larger than a threshold, either way.

    Parameters
    ----------
    z_spec, z_phot : array-like of shape (n,)
        As in `redshift_residuals`.
    threshold : float, default=0.05
        For bright galaxies at low redshift; 0.15 is usual for deep ones. Name it with the figure.

    Returns
    -------
    fraction : float

    Raises
    ------
    ValueError
        As of `redshift_residuals`; a threshold that is not positive.

    Examples
    --------
    >>> from skastro.photoz_metrics import outlier_fraction
    >>> outlier_fraction([0.1, 0.1, 0.1, 0.1], [0.1, 0.11, 0.5, 0.2])
    0.5
    """
    _check_threshold(threshold)
    return float((np.abs(redshift_residuals(z_spec, z_phot)) > threshold).mean())


class RedshiftSummary(NamedTuple):
    """What `redshift_summary` returns.

    Attributes
    ----------
    bias, sigma_mad, outlier_fraction : float
        Of all rows.
    threshold : float
        Of the outliers.
    edges : ndarray of shape (n_bins + 1,)
        Of the bins of predicted redshift; the last one holds its upper edge.
    counts : ndarray of shape (n_bins,), int
    bias_in_bins, sigma_mad_in_bins, outlier_fraction_in_bins : ndarray of shape (n_bins,)
        NaN for an empty bin.
    """

    bias: float
    sigma_mad: float
    outlier_fraction: float
    threshold: float
    edges: np.ndarray
    counts: np.ndarray
    bias_in_bins: np.ndarray
    sigma_mad_in_bins: np.ndarray
    outlier_fraction_in_bins: np.ndarray


def redshift_summary(z_spec, z_phot, *, threshold=0.05, bins=5):
    """Bias, scatter and outliers of redshifts, of all rows and in bins of the predicted redshift.

    Users select on the predicted redshift, not on the true one.

    Parameters
    ----------
    z_spec, z_phot : array-like of shape (n,)
        As in `redshift_residuals`.
    threshold : float, default=0.05
        As in `outlier_fraction`.
    bins : int or array-like of shape (n_bins + 1,), default=5
        Number of bins of equal count, or increasing edges: rows outside are in no bin.

    Returns
    -------
    summary : RedshiftSummary

    Raises
    ------
    ValueError
        As of `redshift_residuals`; a threshold that is not positive, bins that are neither a positive number
        nor increasing edges.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.photoz_metrics import redshift_summary
    >>> z = np.linspace(0.0, 0.4, 1000)
    >>> summary = redshift_summary(z, z + 0.01 * (1 + z), bins=[0.0, 0.2, 0.4])
    >>> round(summary.bias, 4), summary.bias_in_bins.round(4)
    (0.01, array([0.01, 0.01]))
    """
    _check_threshold(threshold)
    z_spec, z_phot = _check(z_spec, z_phot)
    dz = redshift_residuals(z_spec, z_phot)
    edges = np.asarray(bins)
    if edges.ndim == 0 and edges.dtype.kind in "iu" and edges >= 1:
        # equal values are never parted: fewer bins
        edges = np.unique(np.quantile(z_phot, np.linspace(0, 1, int(bins) + 1)))
        edges = edges if len(edges) > 1 else np.array([edges[0], np.nextafter(edges[0], np.inf)])
    elif edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"bins={bins!r}; expected a positive whole number or increasing edges.")
    which = np.searchsorted(edges, z_phot, side="right") - 1
    which[z_phot == edges[-1]] = len(edges) - 2
    parts = [dz[which == i] for i in range(len(edges) - 1)]

    def each(function):
        return np.array([function(part) if len(part) else np.nan for part in parts])

    def outliers(part):
        return float((np.abs(part) > threshold).mean())

    return RedshiftSummary(
        float(dz.mean()), _sigma_mad(dz), outliers(dz), float(threshold), edges.astype(float),
        np.array([len(part) for part in parts]), each(np.mean), each(_sigma_mad), each(outliers),
    )  # fmt: skip
