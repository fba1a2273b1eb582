"""The nearest model, and radial basis functions against SciPy's."""

import warnings

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator

from skastro.emulation.baselines import NearestModelRegressor, RBFInterpolationRegressor, scattered


@pytest.mark.parametrize("neighbors", [None, 25])
def test_rbf_is_scipys(neighbors):
    X = np.random.default_rng(0).normal(size=(100, 3))
    Y = 10.0 ** np.stack([3 * X[:, 0] + X[:, 1] * X[:, 2], 10 * np.sin(X[:, 0]) - X[:, 1]], axis=1)
    degree = 1 if neighbors is None else 0
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # degree 0 is below SciPy's for neighbours
        direct = RBFInterpolator(
            scaled[:90], np.log10(Y[:90]), neighbors=neighbors, kernel="cubic", degree=degree
        )
    fitted = RBFInterpolationRegressor(neighbors=neighbors)
    # scale by all rows, as `scaled` is: rows 90 to 99 carry no target but count for the scale
    fitted.fit(X, np.where(np.arange(100)[:, None] < 90, Y, np.nan))
    np.testing.assert_allclose(np.log10(fitted.predict(X[90:])), direct(scaled[90:]), rtol=1e-7)


def test_nearest_uses_standardised_inputs():
    X = np.array([[0.0, 0.0], [1000.0, 1.0], [0.0, 1.0]])
    fitted = NearestModelRegressor().fit(X, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(fitted.predict([[400.0, 0.9], [800.0, 0.9]]), [3.0, 2.0])


def test_a_global_system_beyond_memory_is_refused():
    with pytest.raises(ValueError, match="GB; expected an integer, such as neighbors=64"):
        scattered._check_memory(10_000_000)


@pytest.mark.parametrize("kernel", ["cubic", "quintic", "thin_plate_spline"])
def test_an_input_of_two_values_lowers_the_degree(kernel):
    rng = np.random.default_rng(0)
    X = np.c_[rng.random((60, 2)), rng.integers(0, 2, 60)]
    fitted = RBFInterpolationRegressor(kernel=kernel, log_targets=None).fit(X, X @ [1.0, 2.0, 3.0])
    # a plane is in the span of the polynomials that are left
    points = np.c_[rng.random((5, 2)), [0, 1, 0, 1, 1]]
    np.testing.assert_allclose(fitted.predict(points), points @ [1.0, 2.0, 3.0], atol=1e-8)


@pytest.mark.parametrize(
    "parameters, match",
    [
        ({"kernel": "sinc"}, "kernel='sinc'; expected one of"),
        ({"neighbors": 0}, "neighbors=0; expected None or at least 1"),
        ({"smoothing": -1}, "smoothing=-1; expected 0 or more"),
    ],
)
def test_bad_parameters(parameters, match):
    with pytest.raises(ValueError, match=match) as error:
        RBFInterpolationRegressor(**parameters).fit([[0.0], [1.0]], [0.0, 1.0])
    assert "\n" not in str(error.value)
