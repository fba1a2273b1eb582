"""Baselines that know a regular grid of models when they see one: linear, splines."""

import warnings

import numpy as np
from scipy.interpolate import (
    LinearNDInterpolator,
    NdBSpline,
    RBFInterpolator,
    RegularGridInterpolator,
    make_interp_spline,
)
from scipy.spatial import KDTree, QhullError

from skastro.emulation.baselines.holes import fill_grid, find_grid
from skastro.emulation.baselines.masked import Interpolator
from skastro.emulation.baselines.scattered import rbf_interpolator

__all__ = ["LinearInterpolationRegressor", "SplineInterpolationRegressor"]

# Simplices of a Delaunay triangulation per point, by dimension (random points).
_SIMPLICES = (0, 1, 2, 7, 32, 190, 1300, 10_000, 90_000)
_MAX_SIMPLICES = 5e6


class LinearInterpolationRegressor(Interpolator):
    """Linear interpolation: multilinear on a regular grid, else on Delaunay simplices.

    Parameters
    ----------
    grid : {"auto"} or bool, default="auto"
        "auto" recognises a complete regular grid; True demands one; False triangulates always.
    log_targets : {"auto", "log10", "asinh"} or None, default="auto"
        Transform of the targets before the fit; see `TargetTransform`.
    max_patterns : int, default=32
        With more patterns of valid rows than this, missing entries are filled by local linear
        fits and all outputs share one triangulation.

    Attributes
    ----------
    method_ : {"grid", "delaunay", "rbf"}
        How it interpolates (where groups of outputs differ, that of the first). "rbf" stands
        in, with a warning, where a triangulation would have more than 5 million simplices, as
        it has above six inputs.
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
    Outside a grid the prediction is that of the nearest point of its bounding box; outside the
    hull of scattered models, that of the nearest model.

    Examples
    --------
    >>> from skastro.emulation.baselines import LinearInterpolationRegressor
    >>> X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    >>> model = LinearInterpolationRegressor(log_targets=None).fit(X, [0.0, 1.0, 2.0, 3.0])
    >>> model.predict([[0.5, 0.5]]), model.method_
    (array([1.5]), 'grid')
    """

    def __init__(self, *, grid="auto", log_targets="auto", max_patterns=32):
        super().__init__(log_targets=log_targets, max_patterns=max_patterns)
        self.grid = grid

    @property
    def method_(self):
        return self.models_[0][1][0]

    def _build(self, X, Z):
        if self.grid not in ("auto", True, False):
            raise ValueError(f"grid={self.grid!r}; expected 'auto', True or False.")
        # one input is a grid whatever its values
        grid = find_grid(X) if self.grid or X.shape[1] == 1 else None
        if grid is not None:
            values = np.empty_like(Z)
            values[grid.flat] = Z
            values = values.reshape(grid.shape + Z.shape[1:])
            return "grid", grid.axes, values
        if self.grid is True:
            raise ValueError(
                f"grid=True but the {len(X)} valid rows of X are not a complete regular grid; "
                "expected one, or grid='auto'."
            )
        n_features = X.shape[1]
        simplices = np.inf
        if n_features < len(_SIMPLICES):
            simplices = _SIMPLICES[n_features] * len(X)
        if simplices > _MAX_SIMPLICES:
            warnings.warn(
                f"A triangulation of {len(X)} models in {n_features} dimensions is too large: "
                "linear radial basis functions are used instead.",
                UserWarning,
                stacklevel=5,
            )
            return "rbf", rbf_interpolator(X, Z, "linear")
        try:
            return "delaunay", LinearNDInterpolator(X, Z), KDTree(X)
        except QhullError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"X cannot be triangulated ({reason}); expected rows that span their "
                f"{n_features} dimensions."
            ) from error

    def _evaluate(self, model, X, columns):
        method, *parts = model
        if method == "rbf":
            return parts[0](X)[:, columns]
        if method == "grid":
            axes, values = parts
            return RegularGridInterpolator(axes, values[..., columns])(_clip(X, axes))
        interpolator, tree = parts
        # all outputs are computed: the search of the simplex is what takes time
        Z = interpolator(X)[:, columns]
        outside = np.isnan(Z[:, 0])
        if outside.any():
            nearest = tree.query(X[outside])[1]
            Z[outside] = interpolator.values[nearest][:, columns]
        return Z


def _clip(X, axes):
    return np.clip(X, [axis[0] for axis in axes], [axis[-1] for axis in axes])


class SplineInterpolationRegressor(Interpolator):
    """Tensor-product splines on a regular grid, also one from which nodes are missing.

    Parameters
    ----------
    degree : int, default=3
        Of the polynomial pieces. On an axis of n nodes it is at most n - 1: an axis of two nodes is
        interpolated linearly.
    min_filled : float, default=0.5
        Least fraction of the nodes of the grid that must be there. The missing ones get the
        values for which the natural cubic splines along all grid lines bend least
        (`skastro.emulation.baselines.holes.fill_grid`).
    log_targets : {"auto", "log10", "asinh"} or None, default="auto"
        Transform of the targets before the fit; see `TargetTransform`.
    max_patterns : int, default=32
        With more patterns of valid rows than this, missing entries are filled by local linear
        fits and all outputs share one grid.

    Attributes
    ----------
    is_grid_ : bool
        Whether the inputs are a grid. If not, a thin-plate spline, its generalisation to scattered
        points, is fitted and a warning is issued.
    models_ : list
        One model a group of outputs.
    groups_ : list of ndarray of int
        The outputs of each model.
    filled_ : int
        Number of target entries that were missing and filled by local fits.
    transform_ : TargetTransform
    output_names_ : ndarray of str
        Only when the targets were a DataFrame.

    Notes
    -----
    Outside the grid the prediction is that of the nearest point of its bounding box.

    Examples
    --------
    >>> import numpy as np
    >>> from skastro.emulation.baselines import SplineInterpolationRegressor
    >>> x = np.linspace(0.0, 3.0, 8)
    >>> X = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    >>> model = SplineInterpolationRegressor(log_targets=None).fit(X, X[:, 0] ** 3 * X[:, 1])
    >>> model.predict([[1.5, 2.0]]).round(6), model.is_grid_
    (array([6.75]), True)
    """

    def __init__(self, *, degree=3, min_filled=0.5, log_targets="auto", max_patterns=32):
        super().__init__(log_targets=log_targets, max_patterns=max_patterns)
        self.degree = degree
        self.min_filled = min_filled

    @property
    def is_grid_(self):
        return isinstance(self.models_[0][1], NdBSpline)

    def _build(self, X, Z):
        if not (self.degree >= 1 and self.degree == int(self.degree)):
            raise ValueError(f"degree={self.degree!r}; expected a whole number of at least 1.")
        if not 0 < self.min_filled <= 1:
            raise ValueError(f"min_filled={self.min_filled!r}; expected a number in (0, 1].")
        grid = find_grid(X, min_filled=self.min_filled)
        if grid is None:
            warnings.warn(
                f"The {len(X)} valid rows of X fill less than {self.min_filled:.0%} of a regular "
                "grid: a thin-plate spline of scattered points is fitted instead.",
                UserWarning,
                stacklevel=5,
            )
            return rbf_interpolator(X, Z, "thin_plate_spline")
        values, knots, degrees = fill_grid(grid, Z), [], []
        for j, axis in enumerate(grid.axes):
            degrees.append(min(int(self.degree), len(axis) - 1))
            spline = make_interp_spline(axis, values, k=degrees[-1], axis=j)
            knots.append(spline.t)
            values = np.moveaxis(spline.c, 0, j)
        return NdBSpline(tuple(knots), np.ascontiguousarray(values), tuple(degrees))

    def _evaluate(self, model, X, columns):
        if isinstance(model, RBFInterpolator):
            return model(X)[:, columns]
        # the knots at both ends are the ends of the axis
        inside = _clip(X, model.t)
        if len(columns) == model.c.shape[-1]:
            return model(inside)[:, columns]
        return NdBSpline(model.t, np.ascontiguousarray(model.c[..., columns]), model.k)(inside)
