"""Calibration errors by hand, and the ones that see what a rare class hides."""

import numpy as np
import pytest
from scipy.special import expit, logit

from skastro.prior_shift import shift_logits
from skastro.reliability_metrics import (
    calibration_line,
    count_ratio,
    expected_calibration_error,
    log_calibration_ratio,
    maximum_calibration_error,
)


def test_calibration_errors_by_hand():
    y = [0, 1, 0, 0, 1, 1, 1, 0]
    p = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]
    # below a half: 0.25 of what is predicted 0.25; above: 0.75 of 0.75
    assert expected_calibration_error(y, p, n_bins=2) == pytest.approx(0, abs=1e-12)
    # in four bins: 0.5 of 0.15, 0 of 0.35, 1 of 0.65, 0.5 of 0.85
    gaps = np.array([0.35, 0.35, 0.35, 0.35])
    assert expected_calibration_error(y, p, n_bins=4) == pytest.approx(gaps.mean())
    assert maximum_calibration_error(y, p, n_bins=4) == pytest.approx(0.35)
    # weights: the first bin alone, 0.2 of it positive
    weight = [4, 1, 0, 0, 0, 0, 0, 0]
    found = expected_calibration_error(y, p, n_bins=4, sample_weight=weight)
    assert found == pytest.approx(abs(0.2 - 0.12))
    # only above 0.75: one of two, predicted 0.85
    found = expected_calibration_error(y, p, n_bins=4, p_min=0.75)
    assert found == pytest.approx(0.35)
    found = expected_calibration_error(y, p, n_bins=4, p_min=0.75, sample_weight=np.arange(8))
    assert found == pytest.approx(abs(6 / 13 - (6 * 0.8 + 7 * 0.9) / 13))
    # equal counts: (0.1, 0.2), (0.3, 0.4), ...
    assert expected_calibration_error(y, p, bins="count", n_bins=4) == pytest.approx(0.35)


def rare(factor, n=400_000, prior=1e-3):
    """Labels of a rare class, and probabilities at `factor` times their odds."""
    rng = np.random.default_rng(0)
    y = rng.uniform(size=n) < prior
    z = 3 * (rng.normal(size=n) + 3 * y) - 4.5
    return y, expit(shift_logits(z, prior, 0.5) + np.log(factor))


def test_rare_classes_hide_from_the_calibration_error_alone():
    y, right = rare(1)
    _, wrong = rare(3)
    assert expected_calibration_error(y, wrong) < 2e-3
    assert log_calibration_ratio(y, wrong) > 0.5 and log_calibration_ratio(y, right) < 0.35
    assert count_ratio(y, wrong).ratio > 1.5
    good = count_ratio(y, right)
    assert abs(good.ratio - 1) < 3 * good.error
    line, bad = calibration_line(y, right), calibration_line(y, wrong)
    assert abs(line.slope - 1) < 3 * line.slope_error
    assert abs(line.intercept) < 3 * line.intercept_error
    assert 0.9 < line.slope < 1.1 and 0.9 < bad.slope < 1.1
    # a constant on the logits is a change of prior
    assert bad.intercept == pytest.approx(line.intercept - bad.slope * np.log(3), abs=1e-6)


def test_log_calibration_ratio_by_hand():
    # 20 expected of 100 and 5 there; 5 expected of 50 do not count
    y = np.repeat([1, 0, 0], [5, 95, 50])
    p = np.repeat([0.2, 0.1], [100, 50])
    assert log_calibration_ratio(y, p, bins="width") == pytest.approx(np.log(4))
    assert log_calibration_ratio(np.zeros(150), p, bins="width") == np.inf
    assert np.isnan(log_calibration_ratio([0, 1], [0.2, 0.8]))


def test_count_ratio_by_class_and_frame():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=(3, 2, 20, 20))
    y = rng.uniform(size=p.shape) < p
    by_class = count_ratio(y, p, axis=(0, 2, 3))
    np.testing.assert_allclose(by_class.ratio, p.sum((0, 2, 3)) / y.sum((0, 2, 3)))
    assert (np.abs(by_class.ratio - 1) < 4 * by_class.error).all()
    frames = count_ratio(y, p, axis=(2, 3), sample_weight=np.ones((3, 1, 1, 1)))
    assert frames.ratio.shape == frames.error.shape == (3, 2)
    np.testing.assert_allclose(frames.error, frames.ratio / np.sqrt(y.sum((2, 3))))
    y[0, 0] = False
    assert np.isinf(count_ratio(y, p, axis=(2, 3)).ratio[0, 0])
    half = np.zeros(p.shape)
    half[1:] = 2
    assert count_ratio(y, p, sample_weight=half).ratio == pytest.approx(p[1:].sum() / y[1:].sum())


def test_calibration_line_and_its_errors():
    rng = np.random.default_rng(0)
    pulls = []
    for _ in range(40):
        z = 2 * rng.normal(size=1000)
        y = rng.uniform(size=1000) < expit(0.5 * z - 0.3)
        plain = calibration_line(y, expit(z))
        robust = calibration_line(y, z, sample_weight=np.ones(1000), from_logits=True)
        assert plain.slope == pytest.approx(robust.slope, rel=1e-6)
        assert plain.slope_error == pytest.approx(robust.slope_error, rel=0.3)
        pulls.append(
            [
                (plain.slope - 0.5) / plain.slope_error,
                (plain.intercept + 0.3) / plain.intercept_error,
            ]
        )
    pulls = np.array(pulls)
    assert (np.abs(pulls.mean(0)) < 3 / np.sqrt(40)).all() and (
        np.abs(pulls.std(0) - 1) < 0.4
    ).all()


def test_bad_input():
    y, p = [0, 1, 0, 1], [0.2, 0.3, 0.6, 0.8]
    for score in (expected_calibration_error, log_calibration_ratio, count_ratio, calibration_line):
        for arguments, match in (
            ((y, [0.2, 0.3, 0.6, np.nan]), "proba has 1 NaN"),
            (([], []), r"proba has shape \(0,\)"),
            ((y, [0.2, 0.3, 0.6, 1.5]), "proba has values from 0.2 to 1.5"),
            ((y, p[:3]), r"y_true has shape \(4,\)"),
            (([0, 1, 2, 1], p), "y_true has 2"),
        ):
            with pytest.raises(ValueError, match=match) as caught:
                score(*arguments)
            assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="0 above p_min=0.9"):
        expected_calibration_error(y, p, p_min=0.9)
    with pytest.raises(ValueError, match="only the class 0"):
        calibration_line([0, 0, 0, 0], p)
    with pytest.raises(ValueError, match="proba has 1 values of 0 or 1"):
        calibration_line(y, [0.2, 0.3, 0.6, 1.0])
    with pytest.raises(ValueError, match="proba parts the classes"):
        calibration_line([0, 0, 1, 1], p)
    with pytest.raises(ValueError, match="proba has 1 infinities"):
        calibration_line(y, logit([0.2, 0.3, 0.6, 1.0]), from_logits=True)
