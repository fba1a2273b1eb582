"""Metrics against direct formulas, scikit-learn and known distributions."""

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from skastro import pairs
from skastro.metrics import (
    coverage,
    error_factor,
    error_factor_scorer,
    error_factor_summary,
    format_error_factor,
    masked_r2_score,
)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    y_true = 10.0 ** rng.normal(0, 3, (200, 7))
    y_pred = y_true * 10.0 ** rng.normal(0, 0.3, y_true.shape)
    return y_true, y_pred, rng.random(y_true.shape) < 0.8


def direct(y_true, y_pred):
    return 10.0 ** np.abs(np.log10(y_true) - np.log10(y_pred)) - 1.0


@pytest.mark.parametrize(
    "aggregate, reduce",
    [
        ("mean", np.mean),
        ("median", np.median),
        ("max", np.max),
        (("percentile", 99), lambda e, axis=None: np.percentile(e, 99, axis=axis)),
        (("percentile", 100), np.max),
    ],
)
def test_error_factor_is_the_definition(table, aggregate, reduce, monkeypatch):
    y_true, y_pred, mask = table
    # three columns a block: the seams must not show
    monkeypatch.setattr(pairs, "BLOCK_ENTRIES", 600)
    expected = direct(y_true, y_pred)
    raw = error_factor(y_true, y_pred, aggregate=aggregate, multioutput="raw_values")
    np.testing.assert_allclose(raw, reduce(expected, axis=0), rtol=1e-10)
    pooled = error_factor(y_true, y_pred, mask=mask, aggregate=aggregate)
    np.testing.assert_allclose(pooled, reduce(expected[mask]), rtol=1e-10)
    average = error_factor(y_true, y_pred, mask=mask, aggregate=aggregate,
                           multioutput="uniform_average")  # fmt: skip
    by_output = [reduce(expected[mask[:, j], j]) for j in range(7)]
    np.testing.assert_allclose(average, np.mean(by_output), rtol=1e-10)


def test_error_factor_without_aggregate_keeps_the_shape(table):
    y_true, y_pred, mask = table
    errors = error_factor(y_true, y_pred, mask=mask, aggregate=None)
    np.testing.assert_array_equal(np.isnan(errors), ~mask)
    np.testing.assert_allclose(errors[mask], direct(y_true, y_pred)[mask], rtol=1e-10)
    assert error_factor(y_true[:, 0], y_pred[:, 0], aggregate=None).shape == (200,)


def test_nan_targets_and_masked_arrays_are_masks(table):
    y_true, y_pred, mask = table
    expected = error_factor(y_true, y_pred, mask=mask)
    y_nan = np.where(mask, y_true, np.nan)
    assert error_factor(y_nan, y_pred) == expected
    assert error_factor(np.ma.array(y_true, mask=~mask), y_pred) == expected
    # what stands behind the mask has no say
    junk = np.where(mask, y_pred, np.nan)
    assert error_factor(np.where(mask, y_true, -1.0), junk, mask=mask) == expected


def test_predictions_that_are_not_positive_are_infinitely_wrong():
    errors = error_factor([1.0, 1.0, 1.0], [0.0, -2.0, 1.0], aggregate=None)
    np.testing.assert_array_equal(errors, [np.inf, np.inf, 0.0])
    assert error_factor([1.0, 1.0], [0.0, 1.0]) == np.inf
    summary = error_factor_summary(np.ones(10), np.r_[np.zeros(2), np.full(8, 2.0)])
    assert summary["median"] == 1.0 and summary["p99"] == np.inf and summary["max"] == np.inf


def test_extreme_dynamic_range_and_types():
    assert error_factor([1e-120], [2e-120]) == pytest.approx(1.0, rel=1e-12)
    assert error_factor([1e300], [1e-300]) == np.inf
    big_endian = np.array([1.0, 2.0], dtype=">f4")
    assert error_factor(big_endian, [2, 2]) == 0.5
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    assert error_factor(frame, np.array([2.0, 2.0])) == 0.5
    y = [1.0, 2.0] * u.erg
    assert error_factor(y, [2.0, 2.0] * u.erg) == error_factor(y, (y * 0 + 2 * u.erg).to(u.J))


def test_summary_is_pooled(table):
    y_true, y_pred, mask = table
    errors = direct(y_true, y_pred)[mask]
    summary = error_factor_summary(y_true, y_pred, mask)
    expected = dict(
        zip(["median", "p99", "p999"], np.percentile(errors, [50, 99, 99.9]), strict=True)
    )
    expected |= {"mean": errors.mean(), "max": errors.max()}
    assert summary == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    "error, text",
    [(0.0, "0.00 %"), (0.0042, "0.42 %"), (0.00996, "1.0 %"), (0.05, "5.0 %"), (0.0996, "10 %"),
     (0.33, "33 %"), (0.994, "99 %"), (0.999, "x2.0"), (1.0, "x2.0"), (1.3, "x2.3"), (8.96, "x10"),
     (61.0, "x62"), (3e5, "x3e+05"), (np.inf, "xinf"), (np.nan, "-")],
)  # fmt: skip
def test_format(error, text):
    assert format_error_factor(error) == text


def test_scorer_in_a_search():
    rng = np.random.default_rng(0)
    X = rng.random((60, 2))
    y = 1.0 + X[:, 0] + X[:, 1]
    search = GridSearchCV(
        LinearRegression(), {"fit_intercept": [True, False]}, scoring=error_factor_scorer, cv=3
    ).fit(X, y)
    assert search.best_params_ == {"fit_intercept": True}
    assert search.best_score_ == pytest.approx(0.0, abs=1e-10)
    scores = cross_val_score(
        LinearRegression(fit_intercept=False), X, y, scoring=error_factor_scorer
    )
    assert (scores < -0.01).all()


def test_r2_is_that_of_scikit_learn(table):
    y_true, y_pred, mask = (np.log10(table[0]), np.log10(table[1]), table[2])
    weight = np.random.default_rng(1).random(200)
    for multioutput in ("uniform_average", "raw_values"):
        np.testing.assert_allclose(
            masked_r2_score(y_true, y_pred, sample_weight=weight, multioutput=multioutput),
            r2_score(y_true, y_pred, sample_weight=weight, multioutput=multioutput),
            rtol=1e-12,
        )
    expected = [r2_score(y_true[m, j], y_pred[m, j]) for j, m in enumerate(mask.T)]
    found = masked_r2_score(y_true, y_pred, mask=mask, multioutput="raw_values")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(masked_r2_score(y_true, y_pred, mask=mask), np.mean(expected))


def test_r2_of_constants_and_of_too_few():
    y = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, np.nan]])
    found = masked_r2_score(y, [[1.0, 2.0, 1.0], [1.0, 1.0, 1.0]], multioutput="raw_values")
    np.testing.assert_array_equal(found, [1.0, 0.0, np.nan])


def test_coverage_of_a_gaussian(table):
    rng = np.random.default_rng(0)
    y_pred, y_std = rng.normal(size=(50_000, 2)), np.full((50_000, 2), [0.5, 2.0])
    y_true = y_pred + y_std * rng.normal(size=y_pred.shape)
    # binomial scatter of 1e5 draws is below 0.002
    assert coverage(y_true, y_pred, y_std) == pytest.approx(0.6827, abs=0.006)
    levels = np.array([0.5, 0.9, 0.99])
    np.testing.assert_allclose(coverage(y_true, y_pred, y_std, levels), levels, atol=0.006)
    raw = coverage(y_true, y_pred, y_std * [1, 0.5], 0.9, multioutput="raw_values")
    assert raw[0] == pytest.approx(0.9, abs=0.008) and raw[1] < 0.65
    mask = np.array([True, False]) & np.ones(y_true.shape, dtype=bool)
    assert coverage(y_true, y_pred, y_std * [1, 0.5], 0.9, mask=mask) == raw[0]


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: error_factor([1.0, 0.0], [1.0, 1.0]), "y_true is 0 at row 1, output 0; exp"),
        (lambda: error_factor([1.0, np.inf], [1.0, 1.0]), "y_true is inf at row 1"),
        (lambda: error_factor([1.0, 1.0], [1.0, np.nan]), "y_pred is NaN at 1 valid entries"),
        (lambda: error_factor([1.0, 1.0], [1.0]), r"y_pred has shape \(1,\); expected \(2,\)"),
        (lambda: error_factor([1.0], [1.0], mask=[True, True]), r"mask has shape \(2,\); expected"),
        (lambda: error_factor([1.0], [1.0], mask=[1.0]), "mask has dtype float64; expected bool"),
        (lambda: error_factor([1.0], [1.0], mask=[False]), "no valid entry"),
        (lambda: error_factor_summary([np.nan], [1.0]), "no valid entry"),
        (lambda: error_factor([1.0], [1.0], aggregate="p99"), "aggregate='p99'; expected 'mean'"),
        (lambda: error_factor([1.0], [1.0], aggregate=("percentile", 101)), "between 0 and 100"),
        (lambda: error_factor([1.0], [1.0], multioutput="all"), "multioutput='all'; expected"),
        (lambda: error_factor([], []), r"y_true has shape \(0,\)"),
        (lambda: error_factor(["a"], [1.0]), "y_true has dtype"),
        (lambda: error_factor([1.0] * u.K, [1.0]), "y_pred has no unit"),
        (lambda: error_factor([1.0], [1.0] * u.K), "y_pred has unit 'K'; expected none"),
        (lambda: error_factor([1.0] * u.K, [1.0] * u.m), "expected one convertible to 'K'"),
        (lambda: masked_r2_score([1.0, 2.0], [1.0, 2.0], multioutput="pooled"), "expected 'uni"),
        (lambda: masked_r2_score([1.0, 2.0], [1.0, 2.0], sample_weight=[1.0]), "weight has shape"),
        (lambda: coverage([1.0], [1.0], [1.0], 68), "level=68; expected a probability"),
        (lambda: coverage([1.0], [1.0], [-1.0]), "y_std is negative"),
        (lambda: coverage([1.0], [1.0], [1.0, 1.0]), r"y_std has shape \(2,\)"),
        (lambda: coverage([1.0], [1.0], [1.0], multioutput="mean"), "expected 'pooled'"),
        (lambda: coverage([np.nan], [1.0], [1.0]), "no valid entry"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, match):
    with pytest.raises(ValueError, match=match) as error:
        call()
    assert "\n" not in str(error.value)
