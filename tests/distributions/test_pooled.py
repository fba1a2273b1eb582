"""Linear pools against sums by hand and the mixture that they are."""

import numpy as np
import pytest
from distribution_checks import check_marginals, check_refusals, check_samples, check_shapes
from scipy import stats

from skastro.distributions import (
    GaussianMixtureDistribution,
    PiecewiseDistribution,
    PooledDistribution,
    pool,
)


def gaussians(seed, n=4, t=2):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n, 1, t, t))
    return GaussianMixtureDistribution(
        np.ones((n, 1)), rng.normal(size=(n, 1, t)), factor @ factor.mT + 0.3 * np.eye(t)
    )


def test_agrees_with_grids_and_draws():
    one = PooledDistribution([gaussians(0), gaussians(1), gaussians(2)], [1, 2, 1])
    for check in (check_marginals, check_shapes, check_samples, check_refusals):
        check(one)


def test_pool_of_gaussians_is_one_mixture():
    parts, weights = [gaussians(0), gaussians(1)], [0.3, 0.7]
    slow, exact = PooledDistribution(parts, weights), pool(parts, weights)
    assert isinstance(exact, GaussianMixtureDistribution)
    y = exact.sample(50, 0)
    for name in ("cdf", "pdf", "log_prob"):
        np.testing.assert_allclose(getattr(slow, name)(y), getattr(exact, name)(y), rtol=1e-10)
    for name in ("mean", "std", "median"):
        np.testing.assert_allclose(getattr(slow, name)(), getattr(exact, name)(), rtol=1e-9)
    np.testing.assert_allclose(slow.crps(y), exact.crps(y), atol=1e-3)
    levels = [0.001, 0.5, 0.99]
    np.testing.assert_allclose(slow.quantile(levels), exact.quantile(levels), rtol=1e-9)


def test_pool_of_bins_is_the_mean_of_the_bins_for_one_target():
    rng = np.random.default_rng(0)
    edges = np.linspace(0, 1, 9)
    parts = [PiecewiseDistribution.from_masses(edges, rng.random((5, 1, 8))) for _ in range(3)]
    one = pool(parts)
    assert isinstance(one, PiecewiseDistribution)
    np.testing.assert_allclose(one.masses, np.mean([part.masses for part in parts], axis=0))
    assert isinstance(pool([parts[0], parts[1].rescaled([0], [2])]), PooledDistribution)
    # several targets hang together in a pool
    pairs = [PiecewiseDistribution.from_masses(edges, rng.random((5, 2, 8))) for _ in range(2)]
    two = pool(pairs)
    assert isinstance(two, PooledDistribution)
    y = two.sample(1, 0)[0]
    expected = np.log(np.mean([np.exp(part.log_prob(y)) for part in pairs], axis=0))
    np.testing.assert_allclose(two.log_prob(y), expected)


def test_a_part_of_weight_zero_counts_for_nothing():
    one = PooledDistribution([gaussians(0), gaussians(1).rescaled([1e6] * 2, [1, 1])], [1, 0])
    np.testing.assert_allclose(one.std(), gaussians(0).std())
    assert one.bracket()[1].max() < 100
    y = gaussians(0).sample(1, 0)[0]
    np.testing.assert_allclose(one.log_prob(y), gaussians(0).log_prob(y))
    assert stats.kstest(one.cdf(one.sample(2000, 0))[:, 0, 0], "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("parts", "weights", "message"),
    [
        ([], None, "distributions is empty"),
        ([gaussians(0), gaussians(0, n=3)], None, "expected one shape"),
        ([gaussians(0)], [1, 2], "expected 1 finite numbers"),
        ([gaussians(0)], [-1], "not negative"),
        ([gaussians(0)], [np.nan], "finite"),
        ([gaussians(0)], [0], "all 0"),
    ],
)
def test_bad_input(parts, weights, message):
    for make in (PooledDistribution, pool):
        with pytest.raises(ValueError, match=message):
            make(parts, weights)
