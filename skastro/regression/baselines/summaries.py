"""Features of many numbers boiled down to one for each target."""

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from skastro.validation import check_targets

__all__ = ["RegressionSummaries", "ridge"]


def ridge():
    """Ridge regression of standardised features, its strength by leave-one-out errors."""
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 5, 15)))


class RegressionSummaries(
    ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator
):
    """What a regressor predicts, in units of its errors, as features [1]_.

    Neighbours in these few numbers are alike in what matters for the targets, where neighbours in hundreds
    of features are not.

    Parameters
    ----------
    estimator : estimator or None, default=None
        A regressor of several targets. None: ridge regression of standardised features.

    Attributes
    ----------
    estimator_ : estimator
    spread_ : ndarray of shape (n_targets,)
        Standard deviations of the errors in the training rows.

    References
    ----------
    .. [1] Fearnhead & Prangle, "Constructing summary statistics for approximate Bayesian computation:
       semi-automatic approximate Bayesian computation", JRSS B 74, 419 (2012).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.regression.baselines import RegressionSummaries
    >>> X = np.random.default_rng(0).normal(size=(100, 30))
    >>> RegressionSummaries().fit_transform(X, X[:, :2] ** 3).shape
    (100, 2)
    """

    _parameter_constraints = {"estimator": [HasMethods(["fit", "predict"]), None]}

    def __init__(self, estimator=None):
        self.estimator = estimator

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Fit the regressor.

        Parameters
        ----------
        X : array-like
            As the regressor takes it.
        y : array-like of shape (n,) or (n, n_targets)

        Returns
        -------
        self : RegressionSummaries

        Raises
        ------
        ValueError
            Targets that are not finite, or what the regressor refuses.
        """
        targets, info = check_targets(y)
        if np.isnan(targets).any():
            raise ValueError("Input y contains NaN; expected finite targets.")
        # in units of their spread: one strength must suit all
        spread = targets.std(0)
        self._scale = np.where(spread > 0, spread, 1.0)
        scaled = targets / self._scale
        estimator = ridge() if self.estimator is None else clone(self.estimator)
        self.estimator_ = estimator.fit(X, scaled[:, 0] if info.ndim == 1 else scaled)
        error = (scaled - self._predicted(X)).std(0)
        self.spread_ = self._scale * np.where(error > 0, error, 1.0)
        return self

    def transform(self, X):
        """Predict the targets, in units of the errors.

        Parameters
        ----------
        X : array-like
            As the regressor takes it.

        Returns
        -------
        summaries : ndarray of shape (n, n_targets)
        """
        check_is_fitted(self)
        return self._predicted(X) * self._scale / self.spread_

    def _predicted(self, X):
        return np.asarray(self.estimator_.predict(X)).reshape(-1, len(self._scale))

    @property
    def n_features_in_(self):
        """Number of features, when the regressor has it."""
        check_is_fitted(self)
        return self.estimator_.n_features_in_

    @property
    def _n_features_out(self):
        return len(self.spread_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self.estimator is not None:
            tags.input_tags = get_tags(self.estimator).input_tags
        return tags
