"""Whether distributions hold: PIT, highest densities and coverage against scipy and known widths."""

import numpy as np
import pytest
from distribution_checks import case, gaussian
from scipy import stats

from skastro.calibration_metrics import hpd_values, interval_coverage, pit_summary, pit_values
from skastro.distributions import GaussianMixtureDistribution


@pytest.mark.parametrize(("widen", "right"), [(1.0, True), (0.7, False), (1.4, False)])
def test_calibration_tells_wrong_widths(widen, right):
    y, d = case(widen=widen)
    summary = pit_summary(y, d)
    assert summary.ks.shape == (2,) and (summary.ks_p_value > 0.01).all() == right
    for values in hpd_values(y, d).T:
        assert (stats.kstest(values, "uniform").pvalue > 0.01) == right
    levels = np.array([0.5, 0.68, 0.9, 0.95])
    expected = 2 * stats.norm.cdf(widen * stats.norm.ppf(0.5 + 0.5 * levels)) - 1
    found = interval_coverage(y, d, multioutput="raw_values")
    assert found.shape == (4, 2)
    np.testing.assert_allclose(found, expected[:, None] + np.zeros(2), atol=0.04)
    np.testing.assert_allclose(interval_coverage(y, d), found.mean(1))
    low, high = d.interval(0.9)
    assert interval_coverage(y, d, 0.9) == pytest.approx(((y >= low) & (y <= high)).mean())


def test_pit_statistics_are_scipys():
    y, d = case(500, widen=0.9)
    u, summary = pit_values(y, d), pit_summary(y, d)
    for t in range(2):
        theirs = stats.kstest(u[:, t], "uniform")
        assert summary.ks[t] == theirs.statistic and summary.ks_p_value[t] == theirs.pvalue
        assert summary.cramer_von_mises[t] == stats.cramervonmises(u[:, t], "uniform").statistic
        # n times the integral of (ECDF - u) ** 2 / (u (1 - u))
        v = np.sort(u[:, t])
        grid = np.sort(np.concatenate([v, np.linspace(0, 1, 400_001)]))
        middle, width = 0.5 * (grid[1:] + grid[:-1]), np.diff(grid)
        ecdf = np.searchsorted(v, middle) / len(v)
        expected = (width * (ecdf - middle) ** 2 / (middle * (1 - middle))).sum() * len(v)
        assert summary.anderson_darling[t] == pytest.approx(expected, rel=2e-3)
    single = pit_summary(y[:, 0], gaussian(d.mean()[:, :1], d.std()[:, :1]))
    assert isinstance(single.ks, float) and single.ks == summary.ks[0]
    far = pit_summary(np.full(100, 9.0), gaussian(np.zeros((100, 1)), np.ones((100, 1))))
    assert far.outlier_fraction == 1.0 and np.isfinite(far.anderson_darling)


def test_truth_between_two_peaks_has_a_flat_pit_but_no_hpd():
    n = 500
    rng = np.random.default_rng(0)
    d = GaussianMixtureDistribution(
        np.full((n, 2), 0.5), np.tile([[-3.0], [3.0]], (n, 1, 1)), np.ones((n, 2, 1, 1))
    )
    y = rng.uniform(-0.5, 0.5, n)
    assert np.abs(pit_values(y, d) - 0.5).max() < 0.01 and hpd_values(y, d).min() > 0.97
