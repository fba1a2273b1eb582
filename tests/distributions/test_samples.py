"""Draws against scipy, brute force over pairs and the distribution that they came from."""

import numpy as np
import pytest
from distribution_checks import check_refusals, check_samples, check_shapes
from scipy import stats

from skastro.distributions import SampleDistribution


def draws(m=400, n=4, t=2, weighted=False, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(m, n, t)) @ np.array([[1.0, 0.8], [0.0, 0.6]])[:t, :t]
    return SampleDistribution(values, rng.random((m, n)) if weighted else None)


@pytest.mark.parametrize("weighted", [False, True])
def test_shapes_draws_and_refusals(weighted):
    for check in (check_shapes, check_samples, check_refusals):
        check(draws(weighted=weighted))


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_and_crps_are_those_of_the_draws(weighted):
    one = draws(m=50, weighted=weighted)
    w = np.full((50, 4), 1 / 50) if one.weights is None else one.weights
    y = np.random.default_rng(1).normal(size=(3, 4, 2))
    y[0, 0] = one.values[7, 0]
    for i, t in np.ndindex(4, 2):
        x, p = one.values[:, i, t], w[:, i]
        mean = (p * x).sum()
        assert one.mean()[i, t] == pytest.approx(mean)
        assert one.std()[i, t] == pytest.approx(np.sqrt((p * (x - mean) ** 2).sum()))
        spread = 0.5 * (p[:, None] * p * np.abs(x[:, None] - x)).sum()
        for k in range(3):
            expected = (p * np.abs(x - y[k, i, t])).sum() - spread
            assert one.crps(y)[k, i, t] == pytest.approx(expected, rel=1e-9)
    far = SampleDistribution(one.values + 1e7, one.weights)
    np.testing.assert_allclose(far.crps(y + 1e7), one.crps(y), atol=1e-7)


def test_cdf_is_half_of_a_draw_at_each():
    one = SampleDistribution(
        np.array([3.0, 1.0, 2.0])[:, None, None], np.array([[1.0], [1.0], [2.0]])
    )
    y = np.array([0.4, 0.5, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0])[:, None, None]
    np.testing.assert_allclose(one.cdf(y).ravel(), [0, 0, 0.125, 0.5, 0.6875, 0.875, 1, 1])
    np.testing.assert_allclose(one.quantile([0.0, 0.5, 1.0]).ravel(), [0.5, 2.0, 3.5])


@pytest.mark.parametrize("weighted", [False, True])
def test_densities_approach_the_true_one(weighted):
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(20_000, 2, 1)), None
    if weighted:
        # from a wider Gaussian by importance
        values = 1.5 * values
        weights = stats.norm.pdf(values[..., 0]) / stats.norm.pdf(values[..., 0], scale=1.5)
    one = SampleDistribution(values, weights)
    y = np.linspace(-2.5, 2.5, 41)[:, None, None]
    truth = np.broadcast_to(stats.norm.pdf(y), (41, 2, 1))
    np.testing.assert_allclose(one.pdf(y), truth, atol=0.02)
    np.testing.assert_allclose(np.exp(one.log_prob(y)), truth[..., 0], atol=0.02)
    np.testing.assert_allclose(one.cdf(y), stats.norm.cdf(y) + 0 * truth, atol=0.02)
    grid = np.linspace(*one.bracket(), 4001)
    np.testing.assert_allclose(one.pdf(grid).sum(0) * (grid[1] - grid[0]), 1, atol=2e-3)
    np.testing.assert_allclose(one.squared_integral(), 0.5 / np.sqrt(np.pi), rtol=0.02)
    np.testing.assert_allclose(one.hpd([[1.0]]), 2 * stats.norm.cdf(1) - 1, atol=0.02)
    assert np.abs(one.mode()).max() < 0.5
    if not weighted:
        np.testing.assert_array_equal(one.effective_size, 20_000)


def test_joint_density_is_scipys_but_for_the_bandwidth():
    one = draws(m=3000, n=1)
    theirs = stats.gaussian_kde(one.values[:, 0].T, bw_method="silverman")
    y = np.random.default_rng(1).normal(size=(20, 1, 2))
    # scipy's covariance has m - 1 below
    np.testing.assert_allclose(one.log_prob(y)[:, 0], theirs.logpdf(y[:, 0].T), rtol=1e-3)
    weighted = draws(m=3000, n=1, weighted=True)
    theirs = stats.gaussian_kde(
        weighted.values[:, 0].T, bw_method="silverman", weights=weighted.weights[:, 0]
    )
    np.testing.assert_allclose(weighted.log_prob(y)[:, 0], theirs.logpdf(y[:, 0].T), rtol=1e-3)
    assert weighted.effective_size[0] == pytest.approx(theirs.neff)


def test_whole_rows_are_drawn():
    one = draws(m=30, weighted=True)
    drawn = one.sample(200, 0)
    for i in range(4):
        known = {tuple(row) for row in one.values[:, i]}
        assert {tuple(row) for row in drawn[:, i]} <= known
    # a draw without weight never comes
    weights = np.ones((30, 4))
    weights[:20] = 0
    drawn = SampleDistribution(one.values, weights).sample(500, 0)
    assert not np.isin(drawn, one.values[:20]).any()


def test_draws_that_are_all_the_same():
    one = SampleDistribution(np.full((10, 2, 2), 3.0))
    assert (one.std() == 0).all() and (one.quantile(0.3) == 3).all()
    np.testing.assert_allclose(one.crps([[4.0]]), 1.0)
    assert np.isfinite(one.pdf([[3.0]])).all() and np.isfinite(one.log_prob([[3.0]])).all()
    assert np.isfinite(SampleDistribution(np.zeros((10, 2, 2))).log_prob([[0.0]])).all()


@pytest.mark.parametrize(
    ("values", "weights", "message"),
    [
        (np.zeros((3, 2)), None, "values has shape"),
        (np.zeros((1, 2, 1)), None, "m at least 2"),
        (np.zeros((3, 0, 1)), None, "values has shape"),
        (np.full((3, 2, 1), np.nan), None, "values has NaN"),
        (np.zeros((3, 2, 1)), np.ones(3), r"weights has shape \(3,\); expected \(3, 2\)"),
        (np.zeros((3, 2, 1)), -np.ones((3, 2)), "negative"),
        (np.zeros((3, 2, 1)), np.zeros((3, 2)), "row of 0"),
        (np.zeros((3, 2, 1)), np.full((3, 2), np.inf), "infinity"),
    ],
)
def test_bad_input(values, weights, message):
    with pytest.raises(ValueError, match=message):
        SampleDistribution(values, weights)
