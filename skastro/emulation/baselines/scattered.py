"""Baselines for models anywhere: the nearest one, radial basis functions."""

import os
import warnings

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree
from scipy.special import comb
from sklearn.preprocessing import PolynomialFeatures

from skastro.emulation.baselines.masked import Interpolator

__all__ = ["NearestModelRegressor", "RBFInterpolationRegressor", "rbf_interpolator"]

# Degree of the polynomial that makes each kernel's system solvable (SciPy's defaults).
_KERNELS = {
    "linear": 0,
    "thin_plate_spline": 1,
    "cubic": 1,
    "quintic": 2,
    "multiquadric": 0,
    "inverse_multiquadric": -1,
    "inverse_quadratic": -1,
    "gaussian": -1,
}


class NearestModelRegressor(Interpolator):
    """The outputs of the nearest model of the grid.

    Distances are Euclidean between standardised inputs. What one does without an emulator.

    Parameters
    ----------
    log_targets : {"auto", "log10", "asinh"} or None, default="auto"
        Without effect on the result, but for the rounding; kept for the common interface.
    max_patterns : int, default=32
        With more patterns of valid rows than this, missing entries are filled by local linear
        fits and all outputs share one search.

    Attributes
    ----------
    models_ : list
        One model a group of outputs.
    groups_ : list of ndarray of int
        The outputs of each model.
    filled_ : int
        Number of target entries that were missing and filled.
    transform_ : TargetTransform
    output_names_ : ndarray of str
        Only when the targets were a DataFrame.

    Examples
    --------
    >>> from skastro.emulation.baselines import NearestModelRegressor
    >>> model = NearestModelRegressor().fit([[0.0], [1.0], [2.0]], [1.0, 10.0, 100.0])
    >>> model.predict([[0.8], [5.0]]).round(6)
    array([ 10., 100.])
    """

    def _build(self, X, Z):
        return KDTree(X), Z

    def _evaluate(self, model, X, columns):
        tree, Z = model
        return Z[tree.query(X)[1]][:, columns]


class RBFInterpolationRegressor(Interpolator):
    """Interpolation by radial basis functions (SciPy's `RBFInterpolator`).

    Parameters
    ----------
    kernel : str, default="cubic"
        "linear", "thin_plate_spline", "cubic", "quintic", or one that needs `epsilon`:
        "multiquadric", "inverse_multiquadric", "inverse_quadratic", "gaussian".
    neighbors : int or None, default=None
        Models used for each prediction; None: all. Memory grows as the square of
        the number of models with None; with an integer the time of a prediction as its cube.
    smoothing : float, default=0.0
        Above 0, the surface need not pass through the models.
    epsilon : float, default=1.0
        Inverse width of the kernels that have one, in standardised inputs.
    log_targets : {"auto", "log10", "asinh"} or None, default="auto"
        Transform of the targets before the fit; see `TargetTransform`.
    max_patterns : int, default=32
        With more patterns of valid rows than this, missing entries are filled by local linear
        fits and all outputs share one system.

    Attributes
    ----------
    models_ : list
        One model a group of outputs.
    groups_ : list of ndarray of int
        The outputs of each model.
    filled_ : int
        Number of target entries that were missing and filled.
    transform_ : TargetTransform
    output_names_ : ndarray of str
        Only when the targets were a DataFrame.

    Notes
    -----
    The polynomial added to the kernel has the degree that the kernel needs, lowered to the
    largest that the inputs determine (two values of an input do not determine a parabola),
    and is a constant with `neighbors`, since the neighbours on a grid are often coplanar.

    Examples
    --------
    >>> from skastro.emulation.baselines import RBFInterpolationRegressor
    >>> model = RBFInterpolationRegressor().fit([[0.0], [1.0], [2.0], [3.0]], [1, 10, 100, 1000])
    >>> model.predict([[1.5]]).round(4)
    array([31.6228])
    """

    def __init__(
        self,
        *,
        kernel="cubic",
        neighbors=None,
        smoothing=0.0,
        epsilon=1.0,
        log_targets="auto",
        max_patterns=32,
    ):
        super().__init__(log_targets=log_targets, max_patterns=max_patterns)
        self.kernel = kernel
        self.neighbors = neighbors
        self.smoothing = smoothing
        self.epsilon = epsilon

    def _build(self, X, Z):
        if self.kernel not in _KERNELS:
            raise ValueError(f"kernel={self.kernel!r}; expected one of {sorted(_KERNELS)}.")
        if self.neighbors is not None and not self.neighbors >= 1:
            raise ValueError(f"neighbors={self.neighbors!r}; expected None or at least 1.")
        if not self.smoothing >= 0:
            raise ValueError(f"smoothing={self.smoothing!r}; expected 0 or more.")
        return rbf_interpolator(X, Z, self.kernel, self.neighbors, self.smoothing, self.epsilon)

    def _evaluate(self, model, X, columns):
        return model(X)[:, columns]


def rbf_interpolator(X, Z, kernel, neighbors=None, smoothing=0.0, epsilon=1.0):
    """Build SciPy's interpolator, with a polynomial that the rows of `X` determine.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Distinct rows that span their dimensions.
    Z : ndarray of shape (n_samples, n_outputs)
    kernel, neighbors, smoothing, epsilon
        As in `RBFInterpolationRegressor`.

    Returns
    -------
    interpolator : scipy.interpolate.RBFInterpolator
    """
    if neighbors is None:
        _check_memory(len(X))
    degree = _KERNELS[kernel] if neighbors is None else min(_KERNELS[kernel], 0)
    while degree > 0 and not _determined(X, degree):
        degree -= 1
    with warnings.catch_warnings():
        # the lowered degree is deliberate
        warnings.filterwarnings("ignore", "`degree` should not be below", UserWarning)
        return RBFInterpolator(
            X, Z, neighbors=neighbors, smoothing=smoothing, kernel=kernel, epsilon=epsilon,
            degree=degree,
        )  # fmt: skip


def _determined(X, degree):
    """Whether the rows of `X` determine all monomials up to `degree`."""
    if comb(X.shape[1] + degree, degree) > len(X):
        return False
    terms = PolynomialFeatures(degree).fit_transform(X)
    return np.linalg.matrix_rank(terms) == terms.shape[1]


def _check_memory(n_samples):
    needed = 2 * 8 * n_samples**2
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # not a POSIX system
        return
    if needed > memory:
        raise ValueError(
            f"X has {n_samples} rows: an interpolation with neighbors=None needs "
            f"{needed / 1e9:.0f} GB of {memory / 1e9:.0f} GB; expected an integer, such as "
            "neighbors=64."
        )
