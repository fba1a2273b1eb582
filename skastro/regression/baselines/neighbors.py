"""The distribution of the targets of the nearest rows."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skastro.distributions import SampleDistribution
from skastro.regression.posterior_predictions import DistributionRegressorMixin

__all__ = ["NeighborsDensityRegressor"]


class NeighborsDensityRegressor(DistributionRegressorMixin, BaseEstimator):
    """Predict the targets of the nearest training rows, as draws.

    Parameters
    ----------
    n_neighbors : int, default=25
        All rows where there are fewer.
    weights : {"uniform", "distance"}, default="uniform"
        Of the neighbours. "distance": the inverse distance; a row at the same place has all the weight.
    standardize : bool, default=True
        Divide each feature by its standard deviation in the training rows.
    n_jobs : int or None, default=None
        Of the search.

    Attributes
    ----------
    neighbors_ : NearestNeighbors
    scale_ : ndarray of shape (n_features,)
        What the features are divided by.
    target_ndim_ : int
        Of the targets in `fit`.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.regression.baselines import NeighborsDensityRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(2000, 1))
    >>> y = X[:, 0] + 0.1 * rng.normal(size=2000)
    >>> model = NeighborsDensityRegressor(100).fit(X, y)
    >>> model.predict([[0.5]], point="median").round(1)
    array([0.5])
    >>> model.predict_interval([[0.5]])[1].round(1)
    array([0.6])
    """

    _parameter_constraints = {
        "n_neighbors": [Interval(Integral, 2, None, closed="left")],
        "weights": [StrOptions({"uniform", "distance"})],
        "standardize": ["boolean"],
        "n_jobs": [Integral, None],
    }

    def __init__(self, n_neighbors=25, *, weights="uniform", standardize=True, n_jobs=None):
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.standardize = standardize
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Keep the training rows.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, n_targets)

        Returns
        -------
        self : NeighborsDensityRegressor

        Raises
        ------
        ValueError
            Fewer than two rows, or numbers that are not finite.
        """
        X, y = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2
        )
        self.target_ndim_ = y.ndim
        self._targets = y.reshape(len(y), -1).astype(np.float64)
        scale = X.std(0) if self.standardize else np.ones(X.shape[1])
        self.scale_ = np.where(scale > 0, scale, 1.0)
        self.neighbors_ = NearestNeighbors(n_jobs=self.n_jobs).fit(X / self.scale_)
        return self

    def predict_distribution(self, X):
        """Predict distributions.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        distribution : SampleDistribution
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        n_neighbors = min(self.n_neighbors, len(self._targets))
        distance, rows = self.neighbors_.kneighbors(X / self.scale_, n_neighbors)
        return SampleDistribution(self._targets[rows.T], self._weights(distance.T))

    def _weights(self, distance):
        if self.weights == "uniform":
            return None
        nearest = distance.min(0)
        # relative to the nearest, so that nothing overflows
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = nearest / distance
        return np.where(nearest > 0, inverse, distance == 0)
