"""Recalibrated distributions against a map applied by hand."""

import numpy as np
import pytest
from distribution_checks import check_marginals, check_refusals, check_samples, check_shapes
from scipy import stats

from skastro.distribution_metrics import cde_loss, crps
from skastro.distributions import (
    GaussianMixtureDistribution,
    LevelMap,
    PiecewiseDistribution,
    RecalibratedDistribution,
    conformal_map,
    isotonic_map,
)

MAPS = [LevelMap([0, 0.3, 0.7, 1], [0, 0.2, 0.75, 1]), LevelMap([0, 0.5, 1], [0, 0.6, 1])]


def gaussian(n=4, correlation=0.0):
    covariance = np.array([[1.0, correlation], [correlation, 1.0]])
    means = np.random.default_rng(0).normal(size=(n, 1, 2))
    return GaussianMixtureDistribution(np.ones((n, 1)), means, np.tile(covariance, (n, 1, 1, 1)))


def bins(n=4):
    masses = np.random.default_rng(1).random((n, 2, 6)) + 0.2
    return PiecewiseDistribution.from_masses(np.linspace(-1, 2, 7), masses)


@pytest.mark.parametrize("base", [gaussian(), bins()])
def test_agrees_with_grids_and_draws(base):
    one = RecalibratedDistribution(base, MAPS)
    check_marginals(one, atol=5e-4, flat=isinstance(base, PiecewiseDistribution))
    for check in (check_shapes, check_samples, check_refusals):
        check(one)


def test_table_of_a_piecewise_base_is_exact():
    one = RecalibratedDistribution(bins(), MAPS)
    exact = one.tabulated(2)
    y = one.sample(100, 0)
    np.testing.assert_allclose(exact.cdf(y), one.cdf(y), atol=1e-12)
    np.testing.assert_allclose(exact.pdf(y), one.pdf(y), rtol=1e-8)
    np.testing.assert_allclose(one.crps(y), exact.crps(y), atol=1e-12)
    np.testing.assert_allclose(one.std(), exact.std(), rtol=1e-9)
    # a step of the base stays one
    step = PiecewiseDistribution([0.0, 1.0, 1.0, 2.0], [[[0, 0.2, 0.8, 1.0]]])
    other = RecalibratedDistribution(step, MAPS[:1])
    np.testing.assert_allclose(other.tabulated(2).cdf([[1.0]]), MAPS[0](0.8))
    assert other.tabulated(2).cdf([[1 - 1e-9]]).item() == pytest.approx(MAPS[0](0.2), abs=1e-6)


def test_joint_density_of_independent_targets_is_the_product():
    one = RecalibratedDistribution(gaussian(), MAPS)
    y = one.sample(50, 0)
    np.testing.assert_allclose(one.log_prob(y), np.log(one.pdf(y)).sum(-1), rtol=1e-9)


def test_draws_keep_the_copula():
    base = gaussian(n=1, correlation=0.9)
    one = RecalibratedDistribution(base, MAPS)
    a, b = base.sample(5000, 0)[:, 0], one.sample(5000, 0)[:, 0]
    assert stats.spearmanr(b).statistic == pytest.approx(stats.spearmanr(a).statistic)


@pytest.mark.parametrize(("fit", "points"), [(isotonic_map, 0.03), (conformal_map, 0.03)])
def test_wrong_widths_are_put_right(fit, points):
    rng = np.random.default_rng(0)
    n = 12_000
    centre = rng.normal(size=(n, 1, 2))
    # says 0.5 and 2, is 1 and 1
    said = GaussianMixtureDistribution(
        np.ones((n, 1)), centre, np.tile(np.diag([0.25, 4.0]), (n, 1, 1, 1))
    )
    y = centre[:, 0] + rng.normal(size=(n, 2))
    held, fresh = slice(0, n // 2), slice(n // 2, n)
    pit = said[held].cdf(y[held])
    one = RecalibratedDistribution(said[fresh], [fit(u) for u in pit.T])
    for level in (0.5, 0.68, 0.9, 0.95):
        low, high = one.interval(level)
        covered = ((y[fresh] >= low) & (y[fresh] <= high)).mean(0)
        assert np.abs(covered - level).max() < points
    before, after = said[fresh].log_prob(y[fresh]).mean(), one.log_prob(y[fresh]).mean()
    assert after > before + 0.5
    np.testing.assert_allclose(one[:40].std(), 1.0, atol=0.15)


@pytest.mark.parametrize("fit", [isotonic_map, conformal_map])
def test_truth_beyond_bounded_predictions_makes_no_spikes(fit):
    rng = np.random.default_rng(0)
    n = 4000
    centre = rng.normal(size=(n, 1, 1))
    # boxes of half of the width: half of the truth is outside
    said = PiecewiseDistribution(centre + [-0.5, 0.5], np.tile([0.0, 1.0], (n, 1, 1)))
    y = centre[:, 0] + rng.uniform(-1, 1, size=(n, 1))
    held, fresh = slice(0, n // 2), slice(n // 2, n)
    one = RecalibratedDistribution(said[fresh], [fit(said[held].cdf(y[held])[:, 0])])
    assert cde_loss(y[fresh], one) < cde_loss(y[fresh], said[fresh]) + 0.2
    assert crps(y[fresh], one) < crps(y[fresh], said[fresh]) + 0.01


def test_bad_input():
    with pytest.raises(ValueError, match="maps has 1; expected 2"):
        RecalibratedDistribution(gaussian(), MAPS[:1])
    for wrong in (([0, 1], [0, 0.9]), ([0, 0.5, 0.5, 1], [0, 0.2, 0.3, 1]), ([0, 1], [0, 0.5, 1])):
        with pytest.raises(ValueError, match="expected knots that increase from 0 to 1"):
            RecalibratedDistribution(gaussian(), [MAPS[0], wrong])
