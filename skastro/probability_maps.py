"""Calibration maps: from the logits of a classifier to logits that hold, fitted on held-out rows.

Logits in, logits out, so that a change of prior comes after. What should be fitted is the prior of training:
a constant that is added to logits is a change of prior.
"""

import numpy as np
from scipy.special import expit, log_expit, logit
from sklearn.base import BaseEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from skastro.probabilities import check_labels, check_numbers

__all__ = ["MAPS", "BetaMap", "IsotonicMap", "PlattMap", "TemperatureMap", "make_map"]


# of the mean gradient at the largest likelihood, over the share of the rarer class
GRADIENT = 1e-6


def check_finite(values, name="logit"):
    """Finite float64 numbers."""
    values = check_numbers(values, name)
    if np.isinf(values).any():
        raise ValueError(f"{name} has {np.isinf(values).sum()} infinities; expected finite logits.")
    return values


def check_overlap(z, y, name="logit", *, at_zero=False):
    """An error where a cut (at zero) parts the classes: no slope has the largest likelihood then."""
    low, high = z[~y].max(), z[y].min()
    if low <= 0 <= high if at_zero else low <= high:
        raise ValueError(
            f"{name} parts the classes, at most {low:.4g} in class 0 and at least {high:.4g} in class 1; "
            "expected classes that overlap."
        )


def fit_slopes(features, y, weight, intercept=True):
    """Slopes and intercept of largest likelihood, without a penalty."""
    # of order 1, for the solver
    scale = np.sqrt(np.average(np.square(features), axis=0, weights=weight))
    scale[scale == 0] = 1
    # the tolerance is of the mean gradient: for a rare class, of what its few rows add to it
    share = np.average(y, weights=weight)
    model = LogisticRegression(
        C=np.inf,
        solver="newton-cholesky",
        tol=GRADIENT * min(share, 1 - share),
        max_iter=200,
        fit_intercept=intercept,
    )
    model.fit(features / scale, y, sample_weight=weight / weight.mean())
    return model.coef_[0] / scale, float(np.ravel(model.intercept_)[0]) if intercept else 0.0


class _Map(BaseEstimator):
    """Checks that the maps share."""

    _parameter_constraints: dict = {}

    def fit(self, logit, y, sample_weight=None, *, shift=0.0):
        """Fit the map.

        Parameters
        ----------
        logit : array-like
            Logits of held-out rows or pixels, of any shape.
        y : array-like of bool, or of 0 and 1, of the shape of `logit`
        sample_weight : array-like that broadcasts to the shape of `logit`, optional
        shift : float, default=0.0
            Where the weights make another share of class 1 than the logits are for: by how much its logit is
            above that of theirs. `transform` takes it off again.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            NaN or infinity, shapes that differ, a single class, classes that a cut parts, logits that rise
            where the class gets rarer.
        """
        z = check_finite(logit)
        y, z, weight = check_labels(y, z, sample_weight, name="logit")
        self._fit(z, y, weight)
        self.shift_ = float(shift)
        return self

    def transform(self, logit):
        """Calibrated logits.

        Parameters
        ----------
        logit : array-like

        Returns
        -------
        logit : ndarray of the shape of `logit`

        Raises
        ------
        ValueError
            NaN or infinity.
        """
        check_is_fitted(self)
        return self._transform(check_finite(logit)) - self.shift_

    def __sklearn_is_fitted__(self):
        return any(name.endswith("_") for name in vars(self))


class TemperatureMap(_Map):
    r"""Temperature scaling: logits divided by a number [1]_.

    .. math:: z' = z / T

    Attributes
    ----------
    temperature_ : float
        Above 1 where the logits were too sure.

    References
    ----------
    .. [1] Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML (2017).

    Examples
    --------
    >>> from skastro.probability_maps import TemperatureMap
    >>> z, y = [-4.0] * 10 + [4.0] * 10, [1] * 2 + [0] * 8 + [1] * 8 + [0] * 2
    >>> round(TemperatureMap().fit(z, y).temperature_, 3)
    2.885
    """

    def _fit(self, z, y, weight):
        check_overlap(z, y, at_zero=True)
        slopes, _ = fit_slopes(z[:, None], y, weight, intercept=False)
        if slopes[0] <= 0:
            raise ValueError(f"logit has slope {slopes[0]:.4g}; expected a positive one.")
        self.temperature_ = float(1 / slopes[0])

    def _transform(self, z):
        return z / self.temperature_


class PlattMap(_Map):
    r"""Platt scaling: a line of the logits [1]_, without his prior of the targets, which moves rare classes.

    .. math:: z' = a z + b

    Attributes
    ----------
    slope_, intercept_ : float
        Where the intercept is not that of a change of prior, the label shift does not hold.

    References
    ----------
    .. [1] Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood
       methods", Advances in Large Margin Classifiers (1999).

    Examples
    --------
    >>> from skastro.probability_maps import PlattMap
    >>> z, y = [0.0] * 10 + [1.0] * 10, [1] * 2 + [0] * 8 + [1] * 8 + [0] * 2
    >>> line = PlattMap().fit(z, y)
    >>> round(line.slope_, 3), round(line.intercept_, 3)
    (2.773, -1.386)
    """

    def _fit(self, z, y, weight):
        check_overlap(z, y)
        slopes, intercept = fit_slopes(z[:, None], y, weight)
        if slopes[0] <= 0:
            raise ValueError(f"logit has slope {slopes[0]:.4g}; expected a positive one.")
        self.slope_, self.intercept_ = float(slopes[0]), intercept

    def _transform(self, z):
        return self.slope_ * z + self.intercept_


class BetaMap(_Map):
    r"""Beta calibration: another slope where probabilities are small than where they are large [1]_.

    .. math:: z' = a \ln p - b \ln(1 - p) + c,\quad a, b \ge 0

    Attributes
    ----------
    a_, b_, c_ : float

    References
    ----------
    .. [1] Kull, Silva Filho & Flach, "Beta calibration: a well-founded and easily implemented improvement on
       logistic calibration for binary classifiers", AISTATS (2017).

    Examples
    --------
    >>> from skastro.probability_maps import BetaMap
    >>> z = [-2.0] * 10 + [0.0] * 10 + [1.0] * 10
    >>> y = [1] + [0] * 9 + [1] * 5 + [0] * 5 + [1] * 8 + [0] * 2
    >>> BetaMap().fit(z, y).transform([-2.0, 1.0]).round(3)
    array([-2.197,  1.386])
    """

    def _fit(self, z, y, weight):
        check_overlap(z, y)
        features = self._features(z)
        slopes, intercept = fit_slopes(features, y, weight)
        if (slopes < 0).any():
            # the best without it, as in the paper
            kept = [int(slopes[0] < 0)]
            slopes = np.zeros(2)
            slopes[kept], intercept = fit_slopes(features[:, kept], y, weight)
        if slopes.max() <= 0 or slopes.min() < 0:
            raise ValueError(f"logit has slope {slopes.min():.4g}; expected a positive one.")
        self.a_, self.b_, self.c_ = float(slopes[0]), float(slopes[1]), intercept

    @staticmethod
    def _features(z):
        return np.stack([log_expit(z), -log_expit(-z)], axis=-1)

    def _transform(self, z):
        return self._features(z) @ np.array([self.a_, self.b_]) + self.c_


class IsotonicMap(_Map):
    r"""Isotonic regression: any map that does not fall [1]_.

    Probabilities are kept from 0 and 1 by 1 / (n + 2), or a change of prior could not move them; with
    weights, by the same odds times the mean weight of the positives over that of the negatives.

    Attributes
    ----------
    regression_ : IsotonicRegression
        From logits to probabilities.

    References
    ----------
    .. [1] Zadrozny & Elkan, "Transforming classifier scores into accurate multiclass probability estimates",
       KDD (2002).

    Examples
    --------
    >>> from scipy.special import expit
    >>> from skastro.probability_maps import IsotonicMap
    >>> expit(IsotonicMap().fit([0, 1, 2, 3], [0, 1, 0, 1]).transform([-9, 1.5, 9])).round(3)
    array([0.167, 0.5  , 0.833])
    """

    def _fit(self, z, y, weight):
        odds = np.log(weight[y].mean() / weight[~y].mean())
        low, high = expit(odds + np.log(len(z) + 1) * np.array([-1, 1]))
        self.regression_ = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip")
        self.regression_.fit(z, y.astype(float), sample_weight=weight)

    def _transform(self, z):
        return logit(self.regression_.predict(z.ravel()).reshape(z.shape))


MAPS = {
    "temperature": TemperatureMap,
    "platt": PlattMap,
    "beta": BetaMap,
    "isotonic": IsotonicMap,
}


def make_map(name):
    """Calibration map by name.

    Parameters
    ----------
    name : {"temperature", "platt", "beta", "isotonic"}

    Returns
    -------
    map : TemperatureMap, PlattMap, BetaMap or IsotonicMap
        Not fitted.

    Raises
    ------
    ValueError
        Another name.

    Examples
    --------
    >>> from skastro.probability_maps import make_map
    >>> make_map("beta")
    BetaMap()
    """
    if name not in MAPS:
        raise ValueError(f"name={name!r}; expected one of {', '.join(MAPS)}.")
    return MAPS[name]()
