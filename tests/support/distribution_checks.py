"""What must hold of every predicted distribution, against quadrature and draws in float64."""

import pickle

import numpy as np

from skastro.distributions import GaussianMixtureDistribution


def fine_grid(distribution, n_points=40_001):
    """A grid (n_points, n, n_targets) from end to end."""
    return np.linspace(*distribution.bracket(), n_points)


def check_marginals(distribution, atol=1e-4, flat=False):
    """Density, CDF, quantiles, moments and scores of each target agree with a fine grid.

    `flat`: pieces of one density, among which the grid can not tell.
    """
    grid = fine_grid(distribution)
    step = grid[1] - grid[0]
    f, cdf = distribution.pdf(grid), distribution.cdf(grid)
    assert (
        f.shape == cdf.shape == grid.shape and (f >= 0).all() and (np.diff(cdf, axis=0) >= 0).all()
    )
    spread = np.ptp(distribution.quantile([0.05, 0.95]), axis=0)
    middle = 0.5 * (f[1:] + f[:-1])
    np.testing.assert_allclose(middle.sum(0) * step, 1, atol=1e-3)
    summed = np.cumsum(middle, axis=0) * step
    np.testing.assert_allclose(summed, cdf[1:], atol=2e-3)
    levels = np.array([0.01, 0.3, 0.5, 0.9, 0.999])
    found = distribution.cdf(distribution.quantile(levels))
    np.testing.assert_allclose(
        found, np.broadcast_to(levels[:, None, None], found.shape), atol=1e-9
    )
    # moments of the CDF, cell by cell
    mass, centre = np.diff(cdf, axis=0), 0.5 * (grid[1:] + grid[:-1])
    mean = (mass * centre).sum(0)
    std = np.sqrt((mass * (centre - mean) ** 2).sum(0))
    np.testing.assert_array_less(np.abs(distribution.mean() - mean), 10 * atol * spread)
    np.testing.assert_array_less(np.abs(distribution.std() - std), 10 * atol * spread)
    for q in (0.02, 0.4, 0.97):
        y = np.minimum(distribution.quantile(q) + 0.1 * spread, grid[-1])
        crps = (np.square(cdf - (grid >= y)).sum(0)) * step
        np.testing.assert_array_less(np.abs(distribution.crps(y) - crps), 10 * atol * spread + step)
        at = distribution.pdf(y)
        hpd = np.where(0.5 * (f[1:] + f[:-1]) >= at, mass, 0).sum(0)
        assert np.abs(distribution.hpd(y) - hpd).max() < 0.02 or flat
    squared = np.square(middle).sum(0) * step
    np.testing.assert_allclose(distribution.squared_integral(), squared, rtol=5e-3)
    # the mode is as dense as the best of the grid
    assert (distribution.pdf(distribution.mode()) >= 0.98 * f.max(0)).all()


def check_shapes(distribution):
    """Broadcasting, rows, scale and pickles."""
    n, n_targets = distribution.shape
    y = distribution.quantile(0.6)
    assert y.shape == (n, n_targets) and len(distribution) == n
    grid = np.stack([y, y + 1e-3, y])
    for name in ("cdf", "pdf", "crps", "hpd"):
        found = getattr(distribution, name)(grid)
        assert found.shape == (3, n, n_targets)
        np.testing.assert_allclose(found[0], getattr(distribution, name)(y), rtol=1e-12)
    assert distribution.log_prob(y).shape == (n,) and distribution.log_prob(grid).shape == (3, n)
    np.testing.assert_allclose(distribution.log_prob(grid)[0], distribution.log_prob(y), rtol=1e-10)
    line = np.linspace(0, 1, 7)[:, None, None]
    assert distribution.cdf(line).shape == distribution.pdf(line).shape == (7, n, n_targets)
    assert distribution.cdf(0.5).shape == (n, n_targets)
    assert distribution.quantile([0.1, 0.2]).shape == (2, n, n_targets)
    for rows in (slice(1, 3), np.array([2, 0, 2]), np.arange(n) % 2 == 0):
        part = distribution[rows]
        assert part.shape == (len(y[rows]), n_targets)
        np.testing.assert_allclose(part.cdf(y[rows]), distribution.cdf(y)[rows], rtol=1e-10)
        np.testing.assert_allclose(
            part.log_prob(y[rows]), distribution.log_prob(y)[rows], rtol=1e-10
        )
    assert distribution[n - 1].shape == (1, n_targets)
    np.testing.assert_allclose(distribution[-1].cdf(y[-1]), distribution.cdf(y)[-1:], rtol=1e-10)
    # what is not known is NaN, and only that
    hole = y.copy()
    hole[0, 0] = np.nan
    for name in ("cdf", "pdf", "crps"):
        found = np.isnan(getattr(distribution, name)(hole))
        np.testing.assert_array_equal(found, np.isnan(hole))
    assert np.isnan(distribution.log_prob(hole)).sum() == 1
    offset, scale = np.linspace(-1, 3, n_targets), np.linspace(0.5, 2, n_targets)
    other = distribution.rescaled(offset, scale)
    np.testing.assert_allclose(other.cdf(offset + scale * y), distribution.cdf(y), atol=1e-9)
    np.testing.assert_allclose(
        other.log_prob(offset + scale * y),
        distribution.log_prob(y) - np.log(scale).sum(),
        atol=1e-6,
    )
    np.testing.assert_allclose(other.mean(), offset + scale * distribution.mean(), atol=1e-5)
    np.testing.assert_allclose(other.std(), scale * distribution.std(), atol=1e-5)
    again = pickle.loads(pickle.dumps(distribution))
    np.testing.assert_array_equal(again.cdf(y), distribution.cdf(y))


def check_samples(distribution, n_samples=20_000, sigmas=5.0):
    """Draws have the mean and the CDF, to `sigmas` of Monte Carlo; a seed fixes them."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    drawn = distribution.sample(n_samples, random_state=0)
    assert drawn.shape == (n_samples, *distribution.shape)
    np.testing.assert_array_equal(drawn[:100], distribution.sample(n_samples, random_state=0)[:100])
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not np.array_equal(drawn[:100], distribution.sample(n_samples, random_state=1)[:100])
    (
        distribution.sample(2, np.random.RandomState(0)),
        distribution.sample(2, np.random.default_rng(0)),
    )
    error = sigmas * distribution.std() / np.sqrt(n_samples)
    np.testing.assert_array_less(np.abs(drawn.mean(0) - distribution.mean()), error + 1e-4)
    for q in (0.1, 0.5, 0.9):
        below = (drawn < distribution.quantile(q)).mean(0)
        assert np.abs(below - q).max() < sigmas * np.sqrt(q * (1 - q) / n_samples) + 1e-3


def check_refusals(distribution):
    """Bad arguments get a line."""
    import pytest

    n, n_targets = distribution.shape
    for name in ("cdf", "pdf", "log_prob", "crps", "hpd"):
        with pytest.raises(ValueError, match="y has shape"):
            getattr(distribution, name)(np.zeros((n + 1, n_targets)))
    for q in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="expected probabilities from 0 to 1"):
            distribution.quantile(q)
    with pytest.raises(ValueError, match="expected positive"):
        distribution.rescaled(np.zeros(n_targets), np.zeros(n_targets))
    with pytest.raises(ValueError, match=f"expected {n_targets} finite numbers"):
        distribution.rescaled(np.full(n_targets, np.nan), np.ones(n_targets))
    with pytest.raises(ValueError, match=f"expected {n_targets} finite numbers"):
        distribution.rescaled(np.zeros(n_targets), np.ones(n_targets + 1))


def gaussian(mean, std):
    """One Gaussian a row and target, targets independent."""
    mean, std = np.broadcast_arrays(np.asarray(mean, float), np.asarray(std, float))
    covariance = np.square(std)[:, None, :, None] * np.eye(mean.shape[1])
    return GaussianMixtureDistribution(np.ones((len(mean), 1)), mean[:, None], covariance)


def case(n=2000, widen=1.0, seed=0):
    """Truth, and Gaussians `widen` times as wide as they should be."""
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(size=(n, 2)), rng.uniform(0.5, 2, size=(n, 2))
    return mean + std * rng.normal(size=(n, 2)), gaussian(mean, widen * std)
