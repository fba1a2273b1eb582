import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve

from skastro.reliability import reliability_table


def case(n=5000, seed=0):
    rng = np.random.default_rng(seed)
    p = expit(2 * rng.normal(size=n) - 2)
    return rng.uniform(size=n) < p, p


@pytest.mark.parametrize(("bins", "strategy"), [("width", "uniform"), ("count", "quantile")])
def test_bins_are_scikit_learns(bins, strategy):
    y, p = case()
    table = reliability_table(y, p, bins=bins, n_bins=8)
    observed, predicted = calibration_curve(y, p, n_bins=8, strategy=strategy)
    np.testing.assert_allclose(table.observed, observed)
    np.testing.assert_allclose(table.predicted, predicted)
    assert table.counts.sum() == len(y) and table.weight.sum() == pytest.approx(1)
    assert table.expected_positives.sum() == pytest.approx(p.sum())
    assert (table.left <= table.predicted).all() and (table.predicted <= table.right).all()
    if bins == "count":
        assert np.ptp(table.counts) <= 1


def test_bins_in_the_logit_hold_rare_classes():
    rng = np.random.default_rng(0)
    p = expit(rng.uniform(-14, 4, size=300_000))
    y = rng.uniform(size=len(p)) < p
    table = reliability_table(y, p, bins="logit", n_bins=6)
    np.testing.assert_allclose(np.diff(logit(table.left)), 3, atol=1e-3)
    np.testing.assert_allclose(table.counts, 50_000, rtol=0.05)
    inside = (table.low <= table.predicted) & (table.predicted <= table.high)
    assert inside.sum() >= 5
    # what is certain goes with the bin beside it
    ends = reliability_table([0, 0, 1, 1], [0.0, 0.01, 0.99, 1.0], bins="logit", n_bins=2)
    np.testing.assert_array_equal(ends.counts, [2, 2])
    assert ends.left[0] == 0 and ends.right[-1] == 1
    certain = reliability_table([0, 1], [0.0, 1.0], bins="logit", n_bins=2)
    np.testing.assert_array_equal(certain.observed, [0, 1])


def test_jeffreys_intervals():
    y = np.repeat([0, 1, 0, 1], [7, 3, 20, 20])
    p = np.repeat([0.3, 0.05, 0.95], [10, 20, 20])
    table = reliability_table(y, p, n_bins=10, level=0.9)
    # none of 20, three of ten, all of 20
    expected = [
        (0, stats.beta.ppf(0.95, 0.5, 20.5)),
        stats.beta.ppf([0.05, 0.95], 3.5, 7.5),
        (stats.beta.ppf(0.05, 20.5, 0.5), 1),
    ]
    np.testing.assert_allclose(np.stack([table.low, table.high], 1), expected)
    # they hold the truth as often as they say
    rng = np.random.default_rng(0)
    found = [
        reliability_table(rng.uniform(size=200) < 0.1, np.full(200, 0.1), level=0.9)
        for _ in range(400)
    ]
    held = np.mean([t.low[0] <= 0.1 <= t.high[0] for t in found])
    assert held == pytest.approx(0.9, abs=0.05)


def test_weights_are_copies():
    y, p = case(300)
    weight = np.random.default_rng(1).integers(0, 3, 300)
    first = reliability_table(y, p, sample_weight=weight)
    second = reliability_table(np.repeat(y, weight), np.repeat(p, weight))
    for name in ("left", "weight", "observed", "predicted"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=1e-12)
    # but no more sure: rows of equal weight count as rows
    half = reliability_table(y, p, sample_weight=0.5)
    np.testing.assert_allclose(half.low, reliability_table(y, p).low)
    images = reliability_table(y.reshape(3, 10, 10), p.reshape(3, 10, 10))
    np.testing.assert_array_equal(images.observed, reliability_table(y, p).observed)


@pytest.mark.parametrize("bins", ["width", "count", "logit"])
def test_a_constant(bins):
    table = reliability_table([0, 1, 0, 0], np.full(4, 0.3), bins=bins)
    np.testing.assert_allclose([table.predicted[0], table.observed[0]], [0.3, 0.25])
    assert len(table.counts) == 1 and table.counts[0] == 4


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (([0, 1], [0.2, 0.8]), {"bins": "equal"}, "bins='equal'; expected one of width, count"),
        (([0, 1], [0.2, 0.8]), {"n_bins": 0}, "n_bins=0; expected a whole number from 1"),
        (([0, 1], [0.2, 0.8]), {"n_bins": 2.5}, "n_bins=2.5"),
        (([0, 1], [0.2, 0.8]), {"level": 1.0}, "level=1.0"),
        (([0, 1], [0.2, np.nan]), {}, "proba has 1 NaN"),
        (([], []), {}, r"proba has shape \(0,\)"),
        (([0, 1], [0.2, 1.1]), {}, "proba has values from 0.2 to 1.1"),
        (([0, 1, 1], [0.2, 0.8]), {}, r"y_true has shape \(3,\)"),
        (([0, 3], [0.2, 0.8]), {}, "y_true has 3; expected labels 0 and 1"),
    ],
)
def test_bad_input(arguments, options, match):
    with pytest.raises(ValueError, match=match):
        reliability_table(*arguments, **options)
