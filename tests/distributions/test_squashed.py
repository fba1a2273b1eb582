"""Bounded distributions against the logit-normal by hand and draws."""

import numpy as np
import pytest
from distribution_checks import check_marginals, check_refusals, check_samples, check_shapes
from scipy import integrate, stats
from scipy.special import expit, logit

from skastro.distributions import GaussianMixtureDistribution, SquashedDistribution


def squashed(t=2, n=4, low=(-1.0, 0.0), high=(2.0, 0.4)):
    rng = np.random.default_rng(0)
    factor = 0.5 * rng.normal(size=(n, 2, t, t))
    base = GaussianMixtureDistribution(
        np.ones((n, 2)), 0.7 * rng.normal(size=(n, 2, t)), factor @ factor.mT + 0.2 * np.eye(t)
    )
    return SquashedDistribution(base, low[:t], high[:t])


def test_agrees_with_grids_and_draws():
    one = squashed()
    check_marginals(one, atol=2e-4)
    check_shapes(one)
    check_samples(one)
    check_refusals(one)


def test_is_the_logit_normal():
    one = SquashedDistribution(
        GaussianMixtureDistribution([[1.0]], [[[0.4]]], [[[[0.49]]]]), 1.0, 3.0
    )
    theirs = stats.norm(0.4, 0.7)
    y = np.linspace(1.01, 2.99, 31)[:, None, None]
    u = 0.5 * (y - 1)
    np.testing.assert_allclose(one.cdf(y), theirs.cdf(logit(u)), rtol=1e-12)
    density = theirs.pdf(logit(u)) / (2 * u * (1 - u))
    np.testing.assert_allclose(one.pdf(y), density, rtol=1e-11)
    np.testing.assert_allclose(one.log_prob(y), np.log(density[..., 0]), rtol=1e-10)
    np.testing.assert_allclose(one.quantile(0.9), 1 + 2 * expit(theirs.ppf(0.9)), rtol=1e-10)
    mean = integrate.quad(lambda z: (1 + 2 * expit(z)) * theirs.pdf(z), -9, 9)[0]
    assert one.mean().item() == pytest.approx(mean, rel=1e-5)


def test_joint_density_has_mass_1():
    one = squashed(n=1)
    u = (np.arange(400) + 0.5) / 400
    grid = np.stack(np.meshgrid(-1 + 3 * u, 0.4 * u, indexing="ij"), axis=-1)[:, :, None]
    assert np.exp(one.log_prob(grid)).sum() * (3 * 0.4) / 400**2 == pytest.approx(1, abs=1e-3)


def test_nothing_at_the_ends_and_beyond():
    one = squashed()
    for end, value in (
        ((-1.0, 0.0), 0.0),
        ((2.0, 0.4), 1.0),
        ((-5.0, -5.0), 0.0),
        ((7.0, 7.0), 1.0),
    ):
        assert (one.cdf(np.array(end)) == value).all() and (one.pdf(np.array(end)) == 0).all()
        assert (one.log_prob(np.array(end)) == -np.inf).all()
    drawn = one.sample(1000, 0)
    assert (drawn > [-1, 0]).all() and (drawn < [2, 0.4]).all()


def test_bad_input():
    base = squashed().base
    with pytest.raises(ValueError, match="expected low below high"):
        SquashedDistribution(base, 1.0, 1.0)
    with pytest.raises(ValueError, match="low=.* expected 2 finite numbers"):
        SquashedDistribution(base, [0.0, 0.0, 0.0], 1.0)
    with pytest.raises(ValueError, match="high=inf; expected 2 finite numbers"):
        SquashedDistribution(base, 0.0, np.inf)


def test_normal_link_makes_a_standard_normal_uniform():
    base = GaussianMixtureDistribution([[1.0]], [[[0.0]]], [[[[1.0]]]])
    one = SquashedDistribution(base, -1.0, 3.0, link="normal")
    y = np.linspace(-1.2, 3.2, 45)[:, None, None]
    theirs = stats.uniform(-1, 4)
    np.testing.assert_allclose(one.cdf(y), theirs.cdf(y), atol=1e-14)
    np.testing.assert_allclose(one.pdf(y[3:-3]), 0.25, rtol=1e-10)
    np.testing.assert_allclose(one.quantile([1e-9, 0.3])[:, 0, 0], theirs.ppf([1e-9, 0.3]))
    assert one.mean().item() == pytest.approx(1, abs=1e-6)


def test_normal_link_agrees_with_grids_and_draws():
    logistic = squashed()
    # standard deviations above 1 would pile up at the ends
    base = logistic.base.rescaled([0.0, 0.0], [0.4, 0.4])
    one = SquashedDistribution(base, logistic.low, logistic.high, link="normal")
    check_marginals(one, atol=1e-3)
    check_shapes(one)
    check_samples(one)
    rescaled = one[:2].rescaled([1.0, 0.0], [2.0, 3.0])
    y = one.quantile(0.3)[:2]
    np.testing.assert_allclose(rescaled.cdf([1.0, 0.0] + np.array([2.0, 3.0]) * y), 0.3, rtol=1e-9)


def test_unknown_link():
    base = GaussianMixtureDistribution([[1.0]], [[[0.0]]], [[[[1.0]]]])
    with pytest.raises(ValueError, match="link='probit'; expected 'logistic' or 'normal'"):
        SquashedDistribution(base, 0.0, 1.0, link="probit")
