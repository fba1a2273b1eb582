"""Any regressor, with the distribution of its cross-validated errors."""

from numbers import Integral

import numpy as np
from scipy.spatial import KDTree
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.model_selection import KFold, check_cv, cross_val_predict
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from skastro.base import draw_seed
from skastro.distributions import SampleDistribution
from skastro.regression.posterior_predictions import DistributionRegressorMixin
from skastro.validation import check_targets

__all__ = ["ResidualRegressor"]


class ResidualRegressor(MetaEstimatorMixin, DistributionRegressorMixin, BaseEstimator):
    """Predict what a regressor predicts plus the errors that it made where it predicted about the same.

    The errors are those of cross-validation: of each training row by a fit that did not see it. All targets
    of a row stay together.

    Parameters
    ----------
    estimator : estimator
        A scikit-learn regressor. One that knows a single target is cloned for each.
    cv : int or splitter, default=5
        Folds, shuffled, or what makes them. Every row must be predicted once.
    n_residuals : int or None, default=300
        Errors that a distribution is made of: those of the nearest predictions, in units of the typical
        error. None, or more than there are rows: all errors, the same for all predictions.
    random_state : int, RandomState or None, default=None
        Of the shuffled folds.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to all rows.
    residuals_ : ndarray of shape (n, n_targets)
        True less predicted, cross-validated.
    target_ndim_ : int
        Of the targets in `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skastro.regression.baselines import ResidualRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(1000, 1))
    >>> y = X[:, 0] + 0.1 * rng.normal(size=1000)
    >>> model = ResidualRegressor(LinearRegression(), random_state=0).fit(X, y)
    >>> model.predict_quantiles([[0.5]], [0.5, 0.84]).round(1)
    array([[0.5],
           [0.6]])
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "cv": [Interval(Integral, 2, None, closed="left"), HasMethods(["split", "get_n_splits"])],
        "n_residuals": [Interval(Integral, 2, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator, *, cv=5, n_residuals=300, random_state=None):
        self.estimator = estimator
        self.cv = cv
        self.n_residuals = n_residuals
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Fit the regressor to all rows, and to each fold's.

        Parameters
        ----------
        X : array-like
            As the regressor takes it.
        y : array-like of shape (n,) or (n, n_targets)

        Returns
        -------
        self : ResidualRegressor

        Raises
        ------
        ValueError
            Targets that are not finite, fewer rows than folds, or what the regressor refuses.
        """
        targets, info = check_targets(y)
        if np.isnan(targets).any():
            raise ValueError("Input y contains NaN; expected finite targets.")
        self.target_ndim_ = info.ndim
        y = targets[:, 0] if info.ndim == 1 else targets
        estimator = clone(self.estimator)
        if info.ndim == 2 and not get_tags(estimator).target_tags.multi_output:
            estimator = MultiOutputRegressor(estimator)
        # first what refuses bad input
        self.estimator_ = clone(estimator).fit(X, y)
        cv = self.cv
        if isinstance(cv, Integral):
            if len(targets) < cv:
                raise ValueError(f"y has n_samples={len(targets)}; expected at least cv={cv} rows.")
            cv = KFold(cv, shuffle=True, random_state=draw_seed(self.random_state))
        predicted = cross_val_predict(estimator, X, y, cv=check_cv(cv)).reshape(targets.shape)
        self.residuals_ = targets - predicted
        spread = self.residuals_.std(0)
        self._spread = np.where(spread > 0, spread, 1.0)
        self._tree = KDTree(predicted / self._spread)
        return self

    def predict_distribution(self, X):
        """Predict distributions.

        Parameters
        ----------
        X : array-like
            As the regressor takes it.

        Returns
        -------
        distribution : SampleDistribution
        """
        check_is_fitted(self)
        predicted = self.estimator_.predict(X).astype(np.float64)
        predicted = predicted.reshape(-1, self.residuals_.shape[1])
        n = len(self.residuals_)
        if self.n_residuals is None or self.n_residuals >= n:
            errors = self.residuals_[:, None]
        else:
            rows = self._tree.query(predicted / self._spread, self.n_residuals)[1]
            errors = self.residuals_[rows.T]
        return SampleDistribution(predicted + errors)

    @property
    def n_features_in_(self):
        """Number of features, when the regressor has it."""
        check_is_fitted(self)
        return self.estimator_.n_features_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.non_deterministic = inner.non_deterministic
        return tags
