"""Mixtures of Gaussians against scipy, torch and quadrature."""

import numpy as np
import pytest
import torch
from distribution_checks import check_marginals, check_refusals, check_samples, check_shapes
from scipy import stats

from skastro.density import GaussianMixtures
from skastro.distributions import Distribution, GaussianMixtureDistribution


def mixtures(n=5, k=3, t=2, seed=0):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n, k, t, t))
    covariances = factor @ np.swapaxes(factor, -1, -2) + 0.2 * np.eye(t)
    return GaussianMixtureDistribution(
        rng.random((n, k)) + 0.1, 2 * rng.normal(size=(n, k, t)), covariances
    )


@pytest.mark.parametrize(("k", "t"), [(1, 1), (1, 3), (3, 1), (3, 2)])
def test_agrees_with_grids_and_draws(k, t):
    one = mixtures(k=k, t=t)
    for check in (check_marginals, check_shapes, check_samples, check_refusals):
        check(one)


def test_one_component_is_scipys():
    one = mixtures(k=1, t=2)
    y = np.random.default_rng(1).normal(size=(5, 2))
    for i in range(5):
        mean, covariance = one.means[i, 0], one.covariances[i, 0]
        theirs = stats.multivariate_normal(mean, covariance)
        assert one.log_prob(y)[i] == pytest.approx(theirs.logpdf(y[i]), rel=1e-12)
        alone = stats.norm(mean, np.sqrt(np.diag(covariance)))
        np.testing.assert_allclose(one.cdf(y)[i], alone.cdf(y[i]), rtol=1e-12)
        np.testing.assert_allclose(one.pdf(y)[i], alone.pdf(y[i]), rtol=1e-12)
        np.testing.assert_allclose(one.quantile(1e-6)[i], alone.ppf(1e-6), rtol=1e-10)
        np.testing.assert_allclose(one.std()[i], alone.std(), rtol=1e-12)
        z = (y[i] - mean) / alone.std()
        crps = alone.std() * (
            z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
        )
        np.testing.assert_allclose(one.crps(y)[i], crps, rtol=1e-10)
    np.testing.assert_array_equal(one.mode(), one.mean())
    np.testing.assert_allclose(
        one.squared_integral(), 0.5 / (np.sqrt(np.pi) * one.std()), rtol=1e-12
    )


def test_is_the_networks_mixture():
    g = torch.Generator().manual_seed(0)
    lower = torch.randn(4, 3, 2, 2, generator=g).tril(-1)
    lower = lower + torch.diag_embed(torch.rand(4, 3, 2, generator=g) + 0.5)
    theirs = GaussianMixtures(
        torch.randn(4, 3, generator=g), torch.randn(4, 3, 2, generator=g), lower
    )
    ours = GaussianMixtureDistribution.from_torch(theirs)
    y = torch.randn(6, 4, 2, generator=g)
    np.testing.assert_allclose(ours.log_prob(y.numpy()), theirs.log_prob(y).numpy(), atol=1e-5)
    mean, covariance = theirs.moments()
    np.testing.assert_allclose(ours.mean(), mean.numpy(), atol=1e-5)
    np.testing.assert_allclose(ours.covariance(), covariance.numpy(), rtol=1e-4, atol=1e-4)


def test_draws_keep_the_covariance():
    one = mixtures(n=2)
    drawn = one.sample(100_000, 0)
    for i in range(2):
        np.testing.assert_allclose(np.cov(drawn[:, i].T), one.covariance()[i], atol=0.1)


def test_numeric_fallbacks_agree_with_the_closed_forms():
    one = mixtures(n=40)
    y = one.sample(1, 0)[0]
    scale = one.std()
    for name in ("mean", "std"):
        error = np.abs(getattr(Distribution, name)(one) - getattr(one, name)()) / scale
        assert error.max() < 5e-4
    assert (np.abs(Distribution.crps(one, y) - one.crps(y)) / scale).max() < 5e-4
    exact = one.squared_integral()
    np.testing.assert_allclose(Distribution.squared_integral(one), exact, rtol=1e-3)
    single = mixtures(n=40, k=1)
    y = single.sample(1, 0)[0]
    np.testing.assert_allclose(Distribution.hpd(single, y), single.hpd(y), atol=3e-3)
    np.testing.assert_allclose(Distribution.mode(single), single.mode(), atol=1e-2)


def test_a_narrow_peak_beside_a_wide_one():
    one = GaussianMixtureDistribution([[0.3, 0.7]], [[[0.0], [1.0]]], [[[[1e-10]], [[100.0]]]])
    assert Distribution.std(one) == pytest.approx(one.std(), rel=1e-3)
    assert Distribution.crps(one, [[0.5]]) == pytest.approx(one.crps([[0.5]]), rel=1e-3)
    assert np.abs(one.mode()).item() < 2e-5
    levels = np.array([1e-9, 0.2, 0.5, 1 - 1e-9])
    np.testing.assert_allclose(one.cdf(one.quantile(levels)).ravel(), levels, rtol=1e-6)


def test_a_weight_of_zero_counts_for_nothing():
    one = GaussianMixtureDistribution([[1.0, 0.0]], [[[0.0], [1e6]]], [[[[1.0]], [[1.0]]]])
    assert one.log_prob([[0.3]]).item() == pytest.approx(stats.norm.logpdf(0.3))
    assert one.bracket()[1].item() < 10 and one.std().item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(weights=[[1.0, -0.1]]), "weights has a negative entry"),
        (dict(weights=[[0.0, 0.0]]), "weights has a negative entry or a row of 0"),
        (dict(weights=[[np.nan, 1.0]]), "weights has NaN"),
        (dict(weights=[1.0, 1.0]), r"weights has shape \(2,\); expected \(1, 2\)"),
        (dict(means=[[0.0, 1.0]]), r"means has shape \(1, 2\)"),
        (dict(means=np.zeros((0, 2, 1))), r"means has shape \(0, 2, 1\)"),
        (dict(means=[[[0.0], [np.inf]]]), "means has NaN or infinity"),
        (dict(covariances=[[[[1.0]], [[0.0]]]]), "not positive definite"),
        (dict(covariances=[[[1.0], [1.0]]]), "covariances has shape"),
    ],
)
def test_bad_input(change, message):
    good = dict(weights=[[1.0, 1.0]], means=[[[0.0], [1.0]]], covariances=[[[[1.0]], [[1.0]]]])
    GaussianMixtureDistribution(**good)
    with pytest.raises(ValueError, match=message):
        GaussianMixtureDistribution(**good | change)
