"""Other priors against the Gaussian that has them in closed form."""

import numpy as np
import pytest
from scipy import stats

from skastro.distributions import (
    GaussianMixtureDistribution,
    PiecewiseDistribution,
    SampleDistribution,
    reweighted,
)


def gaussian(n=3, t=1, correlation=0.5):
    covariance = np.full((t, t), correlation) + (1 - correlation) * np.eye(t)
    means = np.random.default_rng(0).normal(size=(n, 1, t))
    return GaussianMixtureDistribution(np.ones((n, 1)), means, np.tile(covariance, (n, 1, 1, 1)))


def test_gaussian_prior_of_one_target():
    base = gaussian()
    # times N(1, 0.5): variance 1 / (1 + 2), mean (m + 2) / 3
    one = reweighted(base, lambda y: stats.norm.pdf(y[..., 0], 1, np.sqrt(0.5)))
    assert isinstance(one, PiecewiseDistribution)
    np.testing.assert_allclose(one.mean(), (base.mean() + 2) / 3, atol=1e-4)
    np.testing.assert_allclose(one.std(), np.sqrt(1 / 3), atol=1e-4)
    exact = stats.norm((base.mean() + 2) / 3, np.sqrt(1 / 3))
    np.testing.assert_allclose(one.quantile(0.9), exact.ppf(0.9), atol=1e-3)


def test_a_constant_weight_changes_nothing():
    base = gaussian()
    one = reweighted(base, lambda y: 2.5)
    np.testing.assert_allclose(one.std(), base.std(), atol=1e-3)
    bins = PiecewiseDistribution.from_masses(np.linspace(0, 1, 5), np.ones((2, 1, 4)))
    same = reweighted(bins, lambda y: np.ones(y.shape[:-1]))
    y = np.full((2, 1), 0.3)
    np.testing.assert_allclose(same.cdf(y), bins.cdf(y), atol=1e-12)


def test_weight_varies_within_coarse_bins():
    bins = PiecewiseDistribution([0.0, 1.0], [[[0, 1]]])
    one = reweighted(bins, lambda y: y[..., 0])
    assert one.median().item() == pytest.approx(np.sqrt(0.5), abs=1e-5)


def test_rows_may_have_weights_of_their_own():
    one = reweighted(gaussian(), lambda y: np.exp(y[..., 0] * np.array([0.0, 1.0, -1.0])))
    np.testing.assert_allclose(one.mean(), gaussian().mean() + [[0], [1], [-1]], atol=1e-3)


def test_several_targets_by_importance():
    base = gaussian(t=2)
    tilt = np.array([0.5, -0.5])
    one = reweighted(base, lambda y: np.exp(y @ tilt), n_samples=40_000, random_state=0)
    assert isinstance(one, SampleDistribution)
    # a tilt moves the mean by the covariance times it
    np.testing.assert_allclose(one.mean(), base.mean() + base.covariance() @ tilt, atol=0.05)
    again = reweighted(base, lambda y: np.exp(y @ tilt), n_samples=40_000, random_state=0)
    np.testing.assert_array_equal(one.values, again.values)
    # draws are taken as they are, their weights too
    twice = reweighted(one, lambda y: np.exp(-y @ tilt))
    np.testing.assert_array_equal(twice.values, one.values)
    np.testing.assert_allclose(twice.weights, 1 / 40_000)


def test_few_effective_draws_are_warned_of():
    with pytest.warns(UserWarning, match="3 of 3 rows have an effective number of draws below 50"):
        reweighted(gaussian(t=2), lambda y: np.exp(5 * y.sum(-1)), n_samples=200, random_state=0)


@pytest.mark.parametrize("t", [1, 2])
def test_bad_weights(t):
    base = gaussian(t=t)
    for weight, message in (
        (lambda y: y, "weight gave shape"),
        (lambda y: -np.ones(y.shape[:-1]), "negative"),
        (lambda y: np.full(y.shape[:-1], np.nan), "NaN"),
        (lambda y: np.zeros(y.shape[:-1]), "weight is 0 wherever row 0 has probability"),
    ):
        if t == 1 and message == "weight gave shape":
            continue
        with pytest.raises(ValueError, match=message):
            reweighted(base, weight, n_samples=100)
