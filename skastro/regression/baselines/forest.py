"""The distribution of the targets in the leaves of a random forest."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, _fit_context
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skastro.base import draw_seed, row_blocks
from skastro.distributions import SampleDistribution
from skastro.regression.posterior_predictions import DistributionRegressorMixin

__all__ = ["ForestDensityRegressor"]


class ForestDensityRegressor(DistributionRegressorMixin, BaseEstimator):
    r"""Predict the training targets, weighted by how often they share a leaf with the row [1]_.

    .. math:: w_i(x) = \frac 1 T \sum_t \frac{[x_i \in L_t(x)]}{|L_t(x)|}

    for leaves :math:`L_t(x)` of T trees; all training rows count, those outside a tree's bootstrap too. What
    is predicted are equally probable draws from these weights, at equal steps in the order of the first
    target.

    Parameters
    ----------
    n_estimators : int, default=300
        Trees.
    min_samples_leaf : int, default=5
    max_features : {"sqrt", "log2"}, int, float or None, default=1.0
        Features that each split chooses from; see scikit-learn's forests.
    kind : {"random", "extra"}, default="random"
        Best splits of bootstrapped rows (`RandomForestRegressor`), or random splits of all rows
        (`ExtraTreesRegressor`).
    n_draws : int, default=200
        That a distribution is made of.
    n_jobs : int or None, default=None
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    forest_ : RandomForestRegressor or ExtraTreesRegressor
        Fitted to the targets in units of their standard deviations.
    target_ndim_ : int
        Of the targets in `fit`.
    n_features_in_ : int

    References
    ----------
    .. [1] Meinshausen, "Quantile regression forests", JMLR 7, 983 (2006).

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.regression.baselines import ForestDensityRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(1000, 1))
    >>> y = X[:, 0] * rng.normal(size=1000)
    >>> model = ForestDensityRegressor(20, min_samples_leaf=20, random_state=0).fit(X, y)
    >>> low, high = model.predict_interval([[0.1], [0.9]])
    >>> bool((high - low)[1] > 3 * (high - low)[0])
    True
    """

    _parameter_constraints = {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
        "max_features": [
            StrOptions({"sqrt", "log2"}),
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="right"),
            None,
        ],
        "kind": [StrOptions({"random", "extra"})],
        "n_draws": [Interval(Integral, 2, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_estimators=300,
        *,
        min_samples_leaf=5,
        max_features=1.0,
        kind="random",
        n_draws=200,
        n_jobs=None,
        random_state=None,
    ):
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.kind = kind
        self.n_draws = n_draws
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Grow the forest.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,) or (n, n_targets)

        Returns
        -------
        self : ForestDensityRegressor

        Raises
        ------
        ValueError
            Fewer than two rows, or numbers that are not finite.
        """
        X, y = validate_data(
            self, X, y, dtype=np.float32, multi_output=True, y_numeric=True, ensure_min_samples=2
        )
        self.target_ndim_ = y.ndim
        targets = y.reshape(len(y), -1).astype(np.float64)
        # sorted once: draws at equal steps then come from a running sum
        order = np.argsort(targets[:, 0], kind="stable")
        self._targets = targets[order]
        spread = targets.std(0)
        scaled = (targets - targets.mean(0)) / np.where(spread > 0, spread, 1.0)
        forest = {"random": RandomForestRegressor, "extra": ExtraTreesRegressor}[self.kind]
        self.forest_ = forest(
            self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            n_jobs=self.n_jobs,
            random_state=draw_seed(self.random_state),
        ).fit(X, scaled[:, 0] if scaled.shape[1] == 1 else scaled)
        self._first = np.cumsum([0, *(tree.tree_.node_count for tree in self.forest_.estimators_)])
        members = self._leaves(X[order])
        size = members.sum(0)
        self._shares = (members / np.maximum(size, 1)).T.tocsr()
        return self

    def _leaves(self, X):
        """Which nodes of all trees each row ends in, as a sparse table of ones."""
        nodes = self.forest_.apply(X).reshape(len(X), -1) + self._first[:-1]
        ends = np.arange(len(X) + 1) * nodes.shape[1]
        return csr_array(
            (np.ones(nodes.size), nodes.ravel(), ends), shape=(len(X), self._first[-1])
        )

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
        X = validate_data(self, X, dtype=np.float32, reset=False)
        values = np.empty((self.n_draws, len(X), self._targets.shape[1]))
        levels = (np.arange(self.n_draws) + 0.5) / self.n_draws
        for rows in row_blocks(len(X), 16 * len(self._targets)):
            weights = (self._leaves(X[rows]) @ self._shares).tocsr()
            weights.sort_indices()
            # one running sum for all rows: row i covers i to i + 1
            total = np.cumsum(weights.data) / len(self.forest_.estimators_)
            # past the steps by more than rounding, so that other rows beside a row change nothing
            wanted = np.arange(weights.shape[0]) + levels[:, None] + 1e-7
            place = np.searchsorted(total, wanted)
            values[:, rows] = self._targets[weights.indices[place]]
        return SampleDistribution(values)
