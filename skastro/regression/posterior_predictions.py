"""What every regressor that predicts distributions answers, from the distributions alone."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import RegressorMixin

from skastro.base import row_blocks

__all__ = ["DistributionRegressorMixin"]

POINTS = ("mean", "median", "mode")
# Components or bins that a density is made of, when memory is reckoned.
COMPONENTS = 64


class DistributionRegressorMixin(RegressorMixin):
    """Mixin of regressors whose prediction is a distribution for each row.

    A child class provides ``predict_distribution(X, **context)``, which checks that the estimator is fitted
    and returns a `Distribution` in the units of the targets, and the attribute `target_ndim_`: 1 when `fit`
    was given a single target as a vector, else 2. Keywords that the methods here don't know are handed on
    to it as `context`.

    The axis of the targets, last but for densities on a grid, is left out of all that is returned when
    `target_ndim_` is 1.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from skastro.distributions import PiecewiseDistribution
    >>> from skastro.regression import DistributionRegressorMixin
    >>> class Anywhere(DistributionRegressorMixin, BaseEstimator):
    ...     target_ndim_ = 1
    ...     def predict_distribution(self, X):
    ...         return PiecewiseDistribution([0.0, 1.0], [[[0.0, 1.0]]] * len(X))
    >>> model = Anywhere()
    >>> model.predict([[3], [4]]).tolist(), model.predict_quantiles([[3]], 0.9).round(3).tolist()
    ([0.5, 0.5], [0.9])
    """

    def predict(self, X, *, point="mean", **context):
        """Predict the targets.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        point : {"mean", "median", "mode"}, default="mean"
            Of the distribution of each target alone.

        Returns
        -------
        y : ndarray of shape (n,) or (n, n_targets)

        Raises
        ------
        ValueError
            Another `point`.
        """
        if point not in POINTS:
            raise ValueError(f"point={point!r}; expected one of {list(POINTS)}.")
        return self._as_targets(getattr(self.predict_distribution(X, **context), point)())

    def predict_quantiles(self, X, q=(0.16, 0.5, 0.84), **context):
        """Predict quantiles of each target alone.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        q : float or array-like of shape (n_q,), default=(0.16, 0.5, 0.84)
            Probabilities, between 0 and 1.

        Returns
        -------
        quantiles : ndarray of shape (n_q, n) or (n_q, n, n_targets)
            Without the first axis for a single number.

        Raises
        ------
        ValueError
            Probabilities outside 0 to 1.
        """
        q = _finite(q, "q")
        if q.ndim > 1 or q.size == 0 or not ((q >= 0) & (q <= 1)).all():
            raise ValueError(f"q={_shown(q)}; expected probabilities between 0 and 1, (n_q,).")
        return self._as_targets(self.predict_distribution(X, **context).quantile(q))

    def predict_interval(self, X, level=0.6827, **context):
        """Predict central intervals of each target alone.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        level : float, default=0.6827
            Probability inside.

        Returns
        -------
        low, high : ndarray of shape (n,) or (n, n_targets)

        Raises
        ------
        ValueError
            A level outside 0 to 1.
        """
        if not (isinstance(level, Real) and 0 < level < 1):
            raise ValueError(f"level={level!r}; expected a number between 0 and 1.")
        low, high = self.predict_distribution(X, **context).interval(level)
        return self._as_targets(low), self._as_targets(high)

    def sample(self, X, n_samples=1, random_state=None, **context):
        """Draw from the distributions, all targets together.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        n_samples : int, default=1
            For each row.
        random_state : int, RandomState, Generator or None, default=None

        Returns
        -------
        y : ndarray of shape (n_samples, n) or (n_samples, n, n_targets)

        Raises
        ------
        ValueError
            Less than one sample.
        """
        if isinstance(n_samples, bool) or not (isinstance(n_samples, Integral) and n_samples >= 1):
            raise ValueError(f"n_samples={n_samples!r}; expected an integer of at least 1.")
        draws = self.predict_distribution(X, **context).sample(n_samples, random_state)
        return self._as_targets(draws)

    def log_prob(self, X, y, **context):
        """Logarithm of the predicted density at given targets, all targets together.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        y : array-like of shape (n,) or (n, n_targets)

        Returns
        -------
        log_prob : ndarray of shape (n,)

        Raises
        ------
        ValueError
            Targets of another shape, or not finite.
        """
        distribution = self.predict_distribution(X, **context)
        y = _finite(y, "y")
        wanted = distribution.shape[: self.target_ndim_]
        if y.shape != wanted:
            raise ValueError(f"y has shape {y.shape}; expected {wanted}.")
        return distribution.log_prob(y.reshape(distribution.shape))

    def pdf(self, X, grid, **context):
        """Predicted density of each target alone, on a grid.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        grid : array-like of shape (n_grid,) or (n_targets, n_grid)
            In the units of the targets.

        Returns
        -------
        pdf : ndarray of shape (n, n_grid) or (n, n_targets, n_grid)

        Raises
        ------
        ValueError
            A grid of another shape, or not finite.
        """
        return self._on_grid("pdf", X, grid, context)

    def cdf(self, X, grid, **context):
        """Predicted probability of less than the values of a grid, for each target alone.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        grid : array-like of shape (n_grid,) or (n_targets, n_grid)
            In the units of the targets.

        Returns
        -------
        cdf : ndarray of shape (n, n_grid) or (n, n_targets, n_grid)

        Raises
        ------
        ValueError
            A grid of another shape, or not finite.
        """
        return self._on_grid("cdf", X, grid, context)

    def _on_grid(self, method, X, grid, context):
        distribution = self.predict_distribution(X, **context)
        n, n_targets = distribution.shape
        grid = _finite(grid, "grid")
        per_target = grid.ndim == 2 and self.target_ndim_ == 2 and len(grid) == n_targets
        if grid.size == 0 or not (grid.ndim == 1 or per_target):
            wanted = (
                "(n_grid,)" if self.target_ndim_ == 1 else f"(n_grid,) or ({n_targets}, n_grid)"
            )
            raise ValueError(f"grid has shape {grid.shape}; expected {wanted}.")
        points = grid.T[:, None, :] if per_target else grid[:, None, None]
        values = np.empty((n, n_targets, len(points)))
        for rows in row_blocks(n, 8 * n_targets * len(points) * COMPONENTS):
            values[rows] = np.moveaxis(getattr(distribution[rows], method)(points), 0, 2)
        return values[:, 0] if self.target_ndim_ == 1 else values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _as_targets(self, values):
        """Without the last axis where the targets were a vector."""
        return values[..., 0] if self.target_ndim_ == 1 else values


def _finite(values, name):
    try:
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={values!r}; expected finite numbers.") from error
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has NaN or infinity; expected finite numbers.")
    return values


def _shown(values):
    return f"{values.tolist()}" if values.size < 6 else f"array of shape {values.shape}"
