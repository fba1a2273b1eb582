"""Scattering statistics of maps reduced to a few numbers of unit variance."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skastro.scattering import ScatteringTransform

__all__ = ["ReducedStatistics"]

# variance of the standardised statistics below which there is rounding alone
LEAST_VARIANCE = 1e-9


class ReducedStatistics(TransformerMixin, BaseEstimator):
    """Principal components, of unit variance, of the standardised statistics of maps.

    Parameters
    ----------
    statistics : ScatteringTransform or None, default=None
        A recipe. None: the logarithms of "wst", averaged over orientations.
    n_features : int, default=8
        Components that are kept, or as many as there are.

    Attributes
    ----------
    statistics_ : ScatteringTransform
    scaler_ : StandardScaler
    pca_ : PCA
    n_features_ : int

    Examples
    --------
    >>> from skastro.datasets import make_fields
    >>> from skastro.separation.reduced import ReducedStatistics
    >>> maps = make_fields(20, n_pixels=16, random_state=0).maps
    >>> found = ReducedStatistics(n_features=3).fit_transform(maps)
    >>> found.shape, found.std(axis=0, ddof=1).round(4).tolist()
    ((20, 3), [1.0, 1.0, 1.0])
    """

    def __init__(self, statistics=None, n_features=8):
        self.statistics = statistics
        self.n_features = n_features

    def fit(self, X, y=None):
        """Fix statistics, scales and components.

        Parameters
        ----------
        X : ndarray of shape (n, h, w) or (n, n_channels, h, w)
        y : ignored

        Returns
        -------
        self : ReducedStatistics

        Raises
        ------
        ValueError
            Statistics that are not finite, or the same for all maps.
        """
        self.statistics_ = self.recipe().fit(X)
        table = self._describe(X)
        self.scaler_ = StandardScaler().fit(table)
        standard = self.scaler_.transform(table)
        # the scaler leaves alone what doesn't vary
        if standard.var(axis=0).max() < LEAST_VARIANCE:
            raise ValueError("X has maps with the same statistics; expected some that differ.")
        self.pca_ = PCA(svd_solver="full").fit(standard)
        n_found = int((self.pca_.explained_variance_ > LEAST_VARIANCE).sum())
        self.n_features_ = min(self.n_features, n_found)
        return self

    def transform(self, X):
        """Reduce maps.

        Parameters
        ----------
        X : ndarray of shape (n, h, w) or (n, n_channels, h, w)

        Returns
        -------
        features : ndarray of shape (n, n_features), float64
        """
        scores = self.pca_.transform(self.scaler_.transform(self._describe(X)))
        kept = slice(self.n_features_)
        return scores[:, kept] / np.sqrt(self.pca_.explained_variance_[kept])

    def recipe(self):
        """The transform in force, not fitted."""
        if self.statistics is not None:
            return clone(self.statistics)
        return ScatteringTransform("wst", reduction="isotropic", logarithm=True)

    def _describe(self, maps):
        table = self.statistics_.transform(maps).astype(np.float64)
        if not (finite := np.isfinite(table)).all():
            row, column = (int(i) for i in np.argwhere(~finite)[0])
            name = self.statistics_.get_feature_names_out()[column]
            raise ValueError(
                f"X has {table[row, column]} for the statistic {name} of map {row}; expected finite ones."
            )
        return table
