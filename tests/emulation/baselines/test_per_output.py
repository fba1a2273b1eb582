"""PerOutputRegressor against the regressor that it holds."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor

from skastro.emulation.baselines import PerOutputRegressor


@pytest.mark.parametrize(
    "regressor",
    [
        RandomForestRegressor(n_estimators=5, random_state=0),
        GradientBoostingRegressor(n_estimators=5, random_state=0),
        GaussianProcessRegressor(RBF(), alpha=1e-6, optimizer=None),
    ],
    ids=lambda r: type(r).__name__,
)
def test_per_output_regressor_is_its_regressor(smooth_grid, regressor):
    X, Y, inside, _ = smooth_grid
    fitted = PerOutputRegressor(regressor).fit(X, Y)
    z = np.log10(Y)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    target = (z - z.mean(axis=0)) / z.std(axis=0)
    points = (inside - X.mean(axis=0)) / X.std(axis=0)
    if isinstance(regressor, GradientBoostingRegressor):
        direct = [clone(regressor).fit(scaled, t).predict(points) for t in target.T]
        direct = np.stack(direct, axis=1)
    else:
        direct = clone(regressor).fit(scaled, target).predict(points)
    expected = 10.0 ** (direct * z.std(axis=0) + z.mean(axis=0))
    np.testing.assert_allclose(fitted.predict(inside), expected, rtol=1e-7)
    part = fitted.predict(inside, outputs=[2, 0])
    np.testing.assert_allclose(part, expected[:, [2, 0]], rtol=1e-7)


def test_weights_reach_the_regressor(smooth_grid):
    X, Y, inside, _ = smooth_grid
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    weighted = PerOutputRegressor(Ridge()).fit(X, Y, sample_weight=weight)
    repeated = PerOutputRegressor(Ridge()).fit(*(np.repeat(a, weight, axis=0) for a in (X, Y)))
    np.testing.assert_allclose(weighted.predict(inside), repeated.predict(inside), rtol=1e-8)


def test_weights_for_a_regressor_without():
    X = np.arange(6.0).reshape(3, 2)
    with pytest.raises(ValueError, match="but KNeighborsRegressor.fit takes none; expected None"):
        PerOutputRegressor(KNeighborsRegressor()).fit(X, X, sample_weight=np.ones(3))


def test_parameters_of_the_regressor_are_searchable(smooth_grid):
    X, Y, _, _ = smooth_grid
    search = GridSearchCV(
        PerOutputRegressor(KNeighborsRegressor()), {"regressor__n_neighbors": [2, 40]}, cv=3
    ).fit(X, np.log10(Y))
    assert search.best_params_ == {"regressor__n_neighbors": 2}
