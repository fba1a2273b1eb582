"""Scores of photometric redshifts against sums by hand and scipy."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import make_scorer

from skastro.photoz_metrics import (
    outlier_fraction,
    redshift_bias,
    redshift_residuals,
    redshift_summary,
    sigma_mad,
)

FUNCTIONS = [
    outlier_fraction, redshift_bias, redshift_residuals, redshift_summary, sigma_mad,
]  # fmt: skip


def redshifts(n=501, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.uniform(0, 0.4, n)
    return z, z + (1 + z) * (0.002 + 0.015 * rng.standard_t(3, n))


def test_definitions():
    z, guess = redshifts()
    dz = (guess - z) / (1 + z)
    np.testing.assert_allclose(redshift_residuals(z, guess), dz, rtol=1e-14)
    assert redshift_bias(z, guess) == pytest.approx(dz.mean())
    # scipy's scale is 1 / Phi^-1(3 / 4) = 1.482602
    assert sigma_mad(z, guess) == pytest.approx(
        stats.median_abs_deviation(dz, scale="normal"), rel=1e-5
    )
    assert sigma_mad(z, guess) == 1.4826 * np.median(np.abs(dz - np.median(dz)))
    for threshold in (0.05, 0.15):
        assert outlier_fraction(z, guess, threshold) == np.mean(np.abs(dz) > threshold)
    assert outlier_fraction(z, guess) == outlier_fraction(z, guess, 0.05)


def test_scatter_of_a_gaussian_is_its_width_and_outliers_do_not_count():
    rng = np.random.default_rng(0)
    z = rng.uniform(0, 1, 100_000)
    guess = z + (1 + z) * rng.normal(0, 0.02, 100_000)
    guess[:100] = 50
    assert sigma_mad(z, guess + 0.1 * (1 + z)) == pytest.approx(0.02, rel=0.02)
    assert sigma_mad([0.1], [0.3]) == 0.0


def test_exactly_at_the_threshold_is_no_outlier():
    assert outlier_fraction([0.0, 0.0], [0.05, 0.0500001]) == 0.5


def test_summary_in_bins_of_the_predicted_redshift():
    z, guess = redshifts()
    edges = np.array([0.0, 0.1, 0.25, 0.4])
    found = redshift_summary(z, guess, threshold=0.03, bins=edges)
    assert found.bias == redshift_bias(z, guess) and found.sigma_mad == sigma_mad(z, guess)
    assert found.outlier_fraction == outlier_fraction(z, guess, 0.03) and found.threshold == 0.03
    for i in range(3):
        here = (guess >= edges[i]) & (guess < edges[i + 1])
        assert found.counts[i] == here.sum()
        assert found.bias_in_bins[i] == pytest.approx(redshift_bias(z[here], guess[here]))
        assert found.sigma_mad_in_bins[i] == sigma_mad(z[here], guess[here])
        assert found.outlier_fraction_in_bins[i] == outlier_fraction(z[here], guess[here], 0.03)
    # rows outside are in no bin, an empty bin has no number
    empty = redshift_summary(z, guess, bins=[-9.0, -8.0, 0.2])
    assert empty.counts[0] == 0 and np.isnan(empty.bias_in_bins[0]) and empty.counts[1] < len(z)


def test_bins_of_equal_count_hold_all_rows():
    z, guess = redshifts()
    found = redshift_summary(z, guess)
    assert len(found.edges) == 6 and found.counts.sum() == len(z) and np.ptp(found.counts) <= 2
    assert found.edges[0] == guess.min() and found.edges[-1] == guess.max()
    constant = redshift_summary(z, np.full(len(z), 0.2))
    assert constant.counts.tolist() == [len(z)]
    assert redshift_summary([0.1], [0.2], bins=3).counts.tolist() == [1]


def test_is_a_scorer_of_scikit_learn():
    class Same(RegressorMixin, BaseEstimator):
        def predict(self, X):
            return X

        def fit(self, X, y):
            return self

    z, guess = redshifts()
    assert make_scorer(sigma_mad, greater_is_better=False)(Same(), guess, z) == -sigma_mad(z, guess)
    # a column is a vector
    assert sigma_mad(z[:, None], guess) == sigma_mad(z, guess[:, None]) == sigma_mad(z, guess)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_input(function):
    z, guess = redshifts(10)
    for z_spec, z_phot, message in (
        ([], [], r"z_spec has shape \(0,\)"),
        (z, guess[:5], r"z_phot has shape \(5,\); expected \(10,\)"),
        (z.reshape(5, 2), guess, r"z_spec has shape \(5, 2\)"),
        (0.1, 0.1, r"z_spec has shape \(\)"),
        (np.where(z > 0.2, np.nan, z), guess, "z_spec has NaN"),
        (z, np.where(z > 0.2, np.inf, z), "z_phot has NaN or infinity"),
        (z - 1.3, guess, "z_spec has -1.2.*; expected redshifts above -1"),
        (np.full(10, -1.0), guess, "z_spec has -1; expected"),
    ):
        with pytest.raises(ValueError, match=message):
            function(z_spec, z_phot)
    assert np.isfinite(redshift_bias(z, guess - 5))


def test_bad_options():
    z, guess = redshifts(10)
    for threshold in (0, -0.1, np.nan, [0.1]):
        for function in (outlier_fraction, redshift_summary):
            with pytest.raises(ValueError, match="threshold="):
                function(z, guess, threshold=threshold)
    for bins in (0, -1, 2.5, [0.1], [0.2, 0.1], [[0.0, 1.0]]):
        with pytest.raises(ValueError, match="bins="):
            redshift_summary(z, guess, bins=bins)
