"""Neighbours, forests and errors as distributions: against brute force, and calibrated."""

import pickle

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.utils.estimator_checks import check_estimator

from skastro.regression.baselines import (
    ForestDensityRegressor,
    NeighborsDensityRegressor,
    RegressionSummaries,
    ResidualRegressor,
)

# The checks fit 200 rows or fewer: 25 neighbours would be too many.
TABLE_BASELINES = [
    NeighborsDensityRegressor(5),
    NeighborsDensityRegressor(5, weights="distance"),
    ForestDensityRegressor(10, random_state=0),
    ForestDensityRegressor(10, kind="extra", random_state=0),
    ResidualRegressor(Ridge(), cv=3, random_state=0),
    ResidualRegressor(HistGradientBoostingRegressor(max_iter=10), cv=2, random_state=0),
]


def noisy(n=1500, seed=0):
    """Noise that grows with the first feature; the second target goes against the first."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n, 3))
    sigma = 0.05 + 0.2 * X[:, 0]
    noise = sigma * rng.normal(size=n)
    y = np.c_[X[:, 1] + noise, X[:, 2] - noise]
    return X, y, sigma


def kinds(n_targets=2):
    return [
        NeighborsDensityRegressor(15),
        ForestDensityRegressor(30, min_samples_leaf=10, random_state=0),
        ResidualRegressor(LinearRegression(), random_state=0),
        ResidualRegressor(HistGradientBoostingRegressor(max_iter=30), cv=3, random_state=0),
    ]


@pytest.mark.parametrize("estimator", TABLE_BASELINES, ids=lambda e: type(e).__name__)
def test_every_common_check_passes(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert len(results) > 50
    assert [row["check_name"] for row in results if row["status"] == "failed"] == []


def test_neighbours_by_brute_force():
    X, y, _ = noisy(200)
    X = X * [1.0, 100.0, 0.01]
    new = X[:7] + 0.01 * X.std(0)
    z, at = X / X.std(0), new / X.std(0)
    rows = np.argsort(((at[:, None] - z) ** 2).sum(-1), axis=1)[:, :9]
    model = NeighborsDensityRegressor(9).fit(X, y)
    np.testing.assert_allclose(model.predict(new), y[rows].mean(1))
    draws = np.sort(model.predict_distribution(new).values, axis=0)
    np.testing.assert_array_equal(draws, np.sort(y[rows].swapaxes(0, 1), axis=0))
    raw = NeighborsDensityRegressor(9, standardize=False).fit(X, y)
    rows = np.argsort(((new[:, None] - X) ** 2).sum(-1), axis=1)[:, :9]
    np.testing.assert_allclose(raw.predict(new), y[rows].mean(1))


def test_nearer_neighbours_weigh_more():
    X, y = np.array([[0.0], [1.0], [3.0], [9.0]]), np.array([1.0, 2.0, 3.0, 4.0])
    model = NeighborsDensityRegressor(3, weights="distance").fit(X, y)
    w = np.array([1 / 0.5, 1 / 0.5, 1 / 2.5])
    np.testing.assert_allclose(model.predict([[0.5]]), (w * y[:3]).sum() / w.sum())
    np.testing.assert_allclose(model.predict([[1.0]]), 2.0)
    same = NeighborsDensityRegressor(3, weights="distance").fit(np.ones((4, 1)), y)
    assert np.isfinite(same.predict([[1.0]])).all()


def test_forest_weights_by_brute_force():
    X, y, _ = noisy(120)
    model = ForestDensityRegressor(7, min_samples_leaf=4, n_draws=4000, random_state=0).fit(X, y)
    new = noisy(5, seed=1)[0]
    train, at = (model.forest_.apply(one.astype(np.float32)) for one in (X, new))
    shared = at[:, None] == train
    weights = (shared / shared.sum(1, keepdims=True)).mean(-1)
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(model.predict(new), weights @ y, atol=2e-3)
    draws = model.predict_distribution(new).values
    for i in range(len(new)):
        # every training row is drawn as often as its weight says
        drawn = (draws[:, i, None] == y).all(-1).mean(0)
        np.testing.assert_allclose(drawn, weights[i], atol=1 / 4000)


@pytest.mark.parametrize("n_residuals", [None, 1000, 20])
def test_errors_are_those_of_cross_validation(n_residuals):
    X, y, _ = noisy(150)
    cv = KFold(4)
    model = ResidualRegressor(Ridge(), cv=cv, n_residuals=n_residuals).fit(X, y)
    held_out = cross_val_predict(Ridge(), X, y, cv=cv)
    np.testing.assert_allclose(model.residuals_, y - held_out)
    new = noisy(3, seed=1)[0]
    predicted = Ridge().fit(X, y).predict(new)
    draws = model.predict_distribution(new).values
    for i in range(3):
        far = (((held_out - predicted[i]) / model.residuals_.std(0)) ** 2).sum(1)
        rows = np.argsort(far)[: n_residuals or 150]
        expected = predicted[i] + model.residuals_[rows]
        np.testing.assert_allclose(np.sort(draws[:, i], 0), np.sort(expected, 0))


@pytest.mark.parametrize("estimator", kinds(), ids=lambda e: type(e).__name__)
def test_distributions_hold_and_follow(estimator):
    X, y, sigma = noisy()
    new, truth, _ = noisy(800, seed=1)
    model = clone(estimator).fit(X, y)
    for level in (0.5, 0.9):
        low, high = model.predict_interval(new, level)
        inside = ((truth > low) & (truth < high)).mean(0)
        np.testing.assert_allclose(inside, level, atol=0.06)
    crps = model.predict_distribution(new).crps(truth).mean(0)
    anywhere = NeighborsDensityRegressor(len(X)).fit(X, y).predict_distribution(new).crps(truth)
    assert (crps < 0.65 * anywhere.mean(0)).all()
    # errors of two targets stay together
    draws = model.sample(new[:100], 400, random_state=0)
    apart = draws - draws.mean(0)
    product = (apart[..., 0] * apart[..., 1]).mean()
    assert product < -0.4 * np.mean(sigma**2)
    assert np.isfinite(model.log_prob(new, truth)).all()


def test_width_follows_the_noise():
    X, y, _ = noisy(4000)
    new = np.array([[0.05, 0.5, 0.5], [0.95, 0.5, 0.5]])
    for model in (NeighborsDensityRegressor(60), ForestDensityRegressor(60, random_state=0)):
        low, high = model.fit(X, y[:, 0]).predict_interval(new)
        width = 0.5 * (high - low)
        np.testing.assert_allclose(width[1], 0.24, rtol=0.35)
        assert width[1] > 1.6 * width[0]


@pytest.mark.parametrize("estimator", kinds(), ids=lambda e: type(e).__name__)
def test_one_target_or_one_column(estimator):
    X, y, _ = noisy(300)
    vector = clone(estimator).fit(X, y[:, 0])
    column = clone(estimator).fit(X, y[:, :1])
    assert vector.predict(X[:4]).shape == (4,) and column.predict(X[:4]).shape == (4, 1)
    np.testing.assert_allclose(column.predict(X)[:, 0], vector.predict(X))
    grid = np.linspace(-2, 3, 400)
    for name in ("pdf", "cdf"):
        np.testing.assert_allclose(
            getattr(column, name)(X[:4], grid)[:, 0], getattr(vector, name)(X[:4], grid)
        )
    np.testing.assert_allclose(np.trapezoid(vector.pdf(X[:4], grid), grid), 1, atol=0.02)
    again = pickle.loads(pickle.dumps(vector))
    np.testing.assert_array_equal(again.predict_quantiles(X), vector.predict_quantiles(X))
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    refitted = clone(vector).fit(X, y[:, 0])
    np.testing.assert_allclose(refitted.predict(X), vector.predict(X), atol=1e-6)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_constant_targets():
    X = noisy(60)[0]
    for estimator in kinds():
        found = clone(estimator).fit(X, np.full(60, 3.0)).predict(X[:5], point="median")
        np.testing.assert_allclose(found, 3.0, atol=1e-6)


def test_grid_search_over_neighbours():
    X, y, _ = noisy(300)
    search = GridSearchCV(NeighborsDensityRegressor(), {"n_neighbors": [2, 20, 200]}, cv=3)
    assert search.fit(X, y).best_params_ == {"n_neighbors": 20}


def test_summaries_are_predictions_over_their_errors():
    X, y, _ = noisy(500)
    y = y * [1.0, 1000.0]
    model = RegressionSummaries(LinearRegression()).fit(X, y)
    predicted = LinearRegression().fit(X, y).predict(X)
    np.testing.assert_allclose(model.transform(X), predicted / (y - predicted).std(0))
    assert list(model.get_feature_names_out()) == ["regressionsummaries0", "regressionsummaries1"]
    # many features that say nothing leave the neighbours in summaries alone
    rng = np.random.default_rng(1)
    wide = np.hstack([X, rng.normal(size=(500, 60))])
    summaries = RegressionSummaries().fit(wide[:400], y[:400])
    errors = []
    for table in (summaries.transform(wide), wide):
        found = NeighborsDensityRegressor(20).fit(table[:400], y[:400]).predict(table[400:])
        errors.append(np.abs(found - y[400:]).mean(0))
    assert (errors[0] < 0.7 * errors[1]).all()
    assert RegressionSummaries().fit(X, y[:, 0]).transform(X).shape == (500, 1)
    assert np.isfinite(RegressionSummaries().fit_transform(X, np.ones(500))).all()


def test_gaussian_noise_of_one_width_comes_out():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(5000, 1))
    y = 2 * X[:, 0] + 0.1 * rng.normal(size=5000)
    model = ResidualRegressor(LinearRegression(), n_residuals=None, random_state=0).fit(X, y)
    q = np.array([0.05, 0.16, 0.5, 0.84, 0.95])
    expected = norm.ppf(q, 1.0, 0.1)
    np.testing.assert_allclose(model.predict_quantiles([[0.5]], q)[:, 0], expected, atol=0.01)
    near = norm.pdf(1.05, 1.0, 0.1)
    np.testing.assert_allclose(model.pdf([[0.5]], [1.05])[0, 0], near, rtol=0.1)


@pytest.mark.parametrize(
    "estimator, match",
    [
        (NeighborsDensityRegressor(1), "'n_neighbors' parameter"),
        (NeighborsDensityRegressor(weights="near"), "'weights' parameter"),
        (ForestDensityRegressor(0), "'n_estimators' parameter"),
        (ForestDensityRegressor(kind="dense"), "'kind' parameter"),
        (ForestDensityRegressor(n_draws=1), "'n_draws' parameter"),
        (ResidualRegressor("ridge"), "'estimator' parameter"),
        (ResidualRegressor(Ridge(), cv=1), "'cv' parameter"),
        (ResidualRegressor(Ridge(), n_residuals=0), "'n_residuals' parameter"),
        (RegressionSummaries("ridge"), "'estimator' parameter"),
    ],
)
def test_bad_parameters(estimator, match):
    X, y, _ = noisy(30)
    with pytest.raises(ValueError, match=match):
        estimator.fit(X, y)


@pytest.mark.parametrize(
    "estimator", [*kinds()[:3], RegressionSummaries()], ids=lambda e: type(e).__name__
)
def test_bad_data(estimator):
    X, y, _ = noisy(30)
    for rows, targets in (
        (X, np.where(np.arange(30) == 3, np.nan, y[:, 0])),
        (X, np.where(np.arange(30) == 3, np.inf, y[:, 0])),
        (np.where(X == X[2], np.nan, X), y),
        (X, y[:-1]),
        (X[:0], y[:0]),
    ):
        with pytest.raises(ValueError):
            clone(estimator).fit(rows, targets)
    fitted = clone(estimator).fit(X, y)
    call = getattr(fitted, "predict_distribution", None) or fitted.transform
    for rows in (X[:, :2], X * np.nan, X[:0]):
        with pytest.raises(ValueError):
            call(rows)


def test_fewer_rows_than_folds():
    X, y, _ = noisy(3)
    with pytest.raises(ValueError, match="y has n_samples=3; expected at least cv=5 rows"):
        ResidualRegressor(Ridge()).fit(X, y)
