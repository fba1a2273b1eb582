import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss, log_loss

from skastro.proper_scores import brier_decomposition, log_loss_per_positive, log_loss_skill


def case(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    p = expit(2 * rng.normal(size=n) - 2)
    return rng.uniform(size=n) < p, p, rng.uniform(0.1, 3, n)


def test_log_loss_is_scikit_learns_over_the_prevalence():
    y, p, weight = case()
    assert log_loss_per_positive(y, p) == pytest.approx(log_loss(y, p) / y.mean())
    found = log_loss_per_positive(y, p, sample_weight=weight)
    expected = log_loss(y, p, sample_weight=weight) / np.average(y, weights=weight)
    assert found == pytest.approx(expected)
    # certain and wrong
    assert log_loss_per_positive([0, 1], [0.5, 0.0]) == np.inf
    assert log_loss_per_positive([0, 1], [0.0, 1.0]) == 0
    # the prior given to all a rare class: 1 + ln(1 / prior) nats
    rare = np.arange(100_000) < 10
    assert log_loss_per_positive(rare, np.full(100_000, 1e-4)) == pytest.approx(
        1 - np.log(1e-4), rel=1e-4
    )


def test_skill():
    y, p, weight = case()
    assert log_loss_skill(y, np.full(len(y), y.mean())) == pytest.approx(0, abs=1e-12)
    assert log_loss_skill(y, y.astype(float)) == 1
    expected = 1 - log_loss(y, p) / log_loss(y, np.full(len(y), 0.3))
    assert log_loss_skill(y, p, prior=0.3) == pytest.approx(expected)
    assert 0 < log_loss_skill(y, p, sample_weight=weight) < 1
    assert brier_decomposition(y, np.full(len(y), y.mean())).skill == pytest.approx(0, abs=1e-12)
    assert brier_decomposition(y, y.astype(float)).skill == 1


@pytest.mark.parametrize("weighted", [False, True])
def test_the_parts_of_the_brier_score_add_up(weighted):
    y, p, weight = case()
    weight = weight if weighted else None
    # one value in each bin: Murphy's parts alone
    rounded = np.round(p, 1)
    found = brier_decomposition(y, rounded, n_bins=20, sample_weight=weight)
    assert found.score == pytest.approx(brier_score_loss(y, rounded, sample_weight=weight))
    assert found.within == pytest.approx(0, abs=1e-12)
    total = found.reliability - found.resolution + found.uncertainty
    assert total == pytest.approx(found.score)
    assert found.skill == pytest.approx((found.resolution - found.reliability) / found.uncertainty)
    spread = brier_decomposition(y, p, n_bins=3, sample_weight=weight)
    assert spread.score == pytest.approx(np.average((p - y) ** 2, weights=weight))
    assert abs(spread.within) > 1e-3
    # calibrated: next to no reliability term; shifted by 0.1 in one bin: its square
    assert brier_decomposition(y, p, bins="count").reliability < 2e-3
    moved = brier_decomposition([0, 1] * 500, np.full(1000, 0.6))
    assert moved.reliability == pytest.approx(0.01) and moved.resolution == pytest.approx(0)


def test_bad_input():
    y, p = [0, 1, 0, 1], [0.2, 0.3, 0.6, 0.8]
    for score in (log_loss_per_positive, log_loss_skill, brier_decomposition):
        for arguments, match in (
            ((y, [0.2, 0.3, 0.6, np.nan]), "proba has 1 NaN"),
            (([], []), r"proba has shape \(0,\)"),
            ((y, [0.2, 0.3, 0.6, 1.5]), "proba has values from 0.2 to 1.5"),
            ((y, p[:3]), r"y_true has shape \(4,\)"),
            (([0, 0, 0, 0], p), "only the class 0"),
        ):
            with pytest.raises(ValueError, match=match):
                score(*arguments)
    for prior in (0, 1, np.nan):
        with pytest.raises(ValueError, match="prior=.*; expected a number between 0 and 1"):
            log_loss_skill(y, p, prior=prior)
    with pytest.raises(ValueError, match="bins='equal'"):
        brier_decomposition(y, p, bins="equal")
