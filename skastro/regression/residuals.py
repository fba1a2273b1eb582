"""Distributions around a point estimate, from the errors that it made on rows held out."""

import numpy as np

from skastro.distributions import PiecewiseDistribution

__all__ = ["residual_distribution"]

# Edges of a distribution: more residuals than that are thinned to quantiles.
MOST_EDGES = 257


def residual_distribution(prediction, residuals):
    """Distributions of each target: its prediction and the residuals of rows held out [1]_.

    One shape for all rows; the targets are taken as independent. The m residuals, sorted, divide the
    probability in m + 1 equal parts, so that an interval between two of them holds for a new row of the same
    kind; the outermost parts are each as wide as the mean gap between residuals.

    Parameters
    ----------
    prediction : array-like of shape (n, n_targets)
    residuals : array-like of shape (m, n_targets)
        True less predicted values of rows that were not trained on, in the units of the prediction. At
        least two.

    Returns
    -------
    distribution : PiecewiseDistribution
        Of shape (n, n_targets).

    Raises
    ------
    ValueError
        Shapes that don't agree, numbers that are not finite, fewer than two residuals.

    References
    ----------
    .. [1] Lei, G'Sell, Rinaldo, Tibshirani & Wasserman, "Distribution-free predictive inference for
       regression", J. Am. Stat. Assoc. 113, 1094 (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.regression import residual_distribution
    >>> residuals = np.random.default_rng(0).normal(size=(500, 1))
    >>> low, high = residual_distribution([[10.0]], residuals).interval(0.68)
    >>> low.round(), high.round()
    (array([[9.]]), array([[11.]]))
    """
    prediction, residuals = np.asarray(prediction, float), np.asarray(residuals, float)
    if prediction.ndim != 2 or not prediction.size:
        raise ValueError(f"prediction has shape {prediction.shape}; expected (n, n_targets).")
    if residuals.ndim != 2 or residuals.shape[1] != prediction.shape[1] or len(residuals) < 2:
        raise ValueError(
            f"residuals has shape {residuals.shape}; expected (m, {prediction.shape[1]}), m at least 2."
        )
    for name, value in (("prediction", prediction), ("residuals", residuals)):
        if not np.isfinite(value).all():
            raise ValueError(f"{name} has NaN or infinity; expected finite numbers.")
    m = len(residuals)
    edges = np.sort(residuals, axis=0).T
    # a perfect fit: as narrow as the numbers allow, but with a width
    least = 1e-12 * np.maximum(np.abs(prediction).max(0), 1e-300)
    gap = np.maximum((edges[:, -1] - edges[:, 0]) / (m - 1), least)[:, None]
    edges = np.concatenate([edges[:, :1] - gap, edges, edges[:, -1:] + gap], axis=1)
    cdf = np.arange(m + 2) / (m + 1)
    if m + 2 > MOST_EDGES:
        # the outermost residuals stay
        kept = np.unique(np.round(np.linspace(0, m + 1, MOST_EDGES)).astype(int))
        kept = np.union1d(kept, [1, m])
        edges, cdf = edges[:, kept], cdf[kept]
    shape = (*prediction.shape, len(cdf))
    return PiecewiseDistribution(prediction[..., None] + edges, np.broadcast_to(cdf, shape))
