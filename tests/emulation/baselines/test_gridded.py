"""Linear interpolation and splines against SciPy called directly."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline, LinearNDInterpolator, RegularGridInterpolator

from skastro.emulation.baselines import LinearInterpolationRegressor, SplineInterpolationRegressor


def test_linear_is_scipys_on_a_grid_and_off_it(smooth_grid):
    X, Y, inside, _ = smooth_grid
    axes = [np.unique(x) for x in X.T]
    direct = RegularGridInterpolator(axes, np.log10(Y).reshape(7, 6, 2, 3))(inside)
    fitted = LinearInterpolationRegressor().fit(X, Y)
    assert fitted.method_ == "grid"
    np.testing.assert_allclose(fitted.predict(inside), 10.0**direct, rtol=1e-9)
    rng = np.random.default_rng(0)
    scattered = rng.random((60, 2))
    z = scattered.sum(axis=1) ** 2
    fitted = LinearInterpolationRegressor(log_targets=None).fit(scattered, z)
    assert fitted.method_ == "delaunay"
    # one corner is inside the hull, the other far outside
    points = np.array([[0.5, 0.5], [9.0, 9.0]])
    scale = scattered.std(axis=0)
    direct = LinearNDInterpolator(scattered / scale, z)(points[:1] / scale)
    nearest = z[np.argmin(((scattered - points[1]) ** 2 / scale**2).sum(axis=1))]
    np.testing.assert_allclose(fitted.predict(points), [direct[0], nearest], rtol=1e-9)


def test_linear_in_many_dimensions_stands_in_with_a_warning():
    X = np.random.default_rng(0).random((100, 10))
    with pytest.warns(UserWarning, match="100 models in 10 dimensions is too large: linear radial"):
        fitted = LinearInterpolationRegressor(log_targets=None).fit(X, X.sum(axis=1))
    assert fitted.method_ == "rbf"


def test_spline_is_scipys_in_one_dimension_and_lowers_its_degree():
    x = np.array([0.0, 0.5, 1.0, 2.0, 2.5, 4.0])
    z = np.sin(x)
    points = np.linspace(-1, 5, 31)
    fitted = SplineInterpolationRegressor(log_targets=None).fit(x[:, None], z)
    direct = CubicSpline(x, z, bc_type="not-a-knot")(np.clip(points, 0, 4))
    np.testing.assert_allclose(fitted.predict(points[:, None]), direct, atol=1e-12)
    two = SplineInterpolationRegressor(log_targets=None).fit([[0.0], [1.0]], [0.0, 2.0])
    np.testing.assert_allclose(two.predict([[0.25]]), [0.5], atol=1e-12)


def test_spline_fills_a_grid_with_holes(smooth_grid):
    X, Y, inside, truth = smooth_grid
    kept = np.random.default_rng(0).random(len(X)) < 0.8
    fitted = SplineInterpolationRegressor().fit(X[kept], Y[kept])
    assert fitted.is_grid_
    np.testing.assert_allclose(fitted.predict(X[kept]), Y[kept], rtol=1e-8)
    assert np.abs(np.log10(fitted.predict(inside) / truth)).max() < 0.1


def test_spline_says_when_there_is_no_grid():
    X = np.random.default_rng(0).random((30, 2))
    with pytest.warns(UserWarning, match="fill less than 50% of a regular grid: a thin-plate"):
        fitted = SplineInterpolationRegressor(log_targets=None).fit(X, X[:, 0])
    assert not fitted.is_grid_
    np.testing.assert_allclose(fitted.predict([[0.5, 0.5]]), [0.5], rtol=1e-6)


@pytest.mark.parametrize(
    "estimator, match",
    [
        (SplineInterpolationRegressor(degree=0), "degree=0; expected a whole number"),
        (
            SplineInterpolationRegressor(min_filled=2),
            r"min_filled=2; expected a number in \(0, 1\]",
        ),
        (
            LinearInterpolationRegressor(grid="yes"),
            "grid='yes'; expected 'auto', True or False",
        ),
        (
            LinearInterpolationRegressor(grid=True),
            "30 valid rows of X are not a complete regular grid",
        ),
    ],
    ids=repr,
)
def test_bad_parameters(estimator, match):
    X = np.random.default_rng(0).random((30, 2))
    with pytest.raises(ValueError, match=match) as error:
        estimator.fit(X, X)
    assert "\n" not in str(error.value)
