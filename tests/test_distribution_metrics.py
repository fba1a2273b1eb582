"""Scores of distributions against closed forms, scipy, scikit-learn and quadrature."""

import pickle

import numpy as np
import pytest
import sklearn
from distribution_checks import case, gaussian
from scipy import integrate, stats
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV, cross_validate

from skastro.distribution_metrics import (
    DISTRIBUTION_SCORERS,
    cde_loss,
    crps,
    hpd_values,
    interval_coverage,
    log_score,
    make_distribution_scorer,
    pinball_loss,
    pit_summary,
    pit_values,
)
from skastro.distributions import (
    Distribution,
    GaussianMixtureDistribution,
    PiecewiseDistribution,
    PooledDistribution,
    SampleDistribution,
    SquashedDistribution,
)

METRICS = [
    cde_loss, crps, hpd_values, interval_coverage, log_score, pinball_loss, pit_summary, pit_values,
]  # fmt: skip
SCORES = [cde_loss, crps, log_score, pinball_loss]


def test_gaussian_scores_are_the_closed_forms():
    y, d = case(300)
    mean, std = d.mean(), d.std()
    z = (y - mean) / std
    expected = std * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - np.pi**-0.5)
    np.testing.assert_allclose(crps(y, d, multioutput="raw_values"), expected.mean(0), rtol=1e-12)
    assert crps(y, d) == pytest.approx(expected.mean())
    density = stats.norm.pdf(y, mean, std)
    expected = 0.5 / (np.sqrt(np.pi) * std) - 2 * density
    np.testing.assert_allclose(
        cde_loss(y, d, multioutput="raw_values"), expected.mean(0), rtol=1e-12
    )
    assert log_score(y, d) == pytest.approx(-np.log(density).sum(1).mean())
    found = log_score(y, d, multioutput="raw_values")
    np.testing.assert_allclose(found, -np.log(density).mean(0), rtol=1e-12)
    np.testing.assert_allclose(pit_values(y, d), stats.norm.cdf(z), rtol=1e-12)
    np.testing.assert_allclose(hpd_values(y, d), np.abs(2 * stats.norm.cdf(z) - 1), atol=1e-12)


def test_all_kinds_of_one_distribution_agree():
    rng = np.random.default_rng(0)
    n = 60
    mean, std = rng.normal(size=(n, 1)), rng.uniform(0.5, 2, size=(n, 1))
    y = mean + std * rng.normal(size=(n, 1))
    exact = gaussian(mean, std)
    edges = np.moveaxis(np.linspace(mean - 6 * std, mean + 6 * std, 1201), 0, -1)
    kinds = [
        PiecewiseDistribution(edges, np.moveaxis(exact.cdf(np.moveaxis(edges, -1, 0)), 0, -1)),
        PooledDistribution([exact, exact]),
        SampleDistribution(exact.quantile((np.arange(2000) + 0.5) / 2000)),
        PiecewiseDistribution.from_quantiles(
            np.arange(1, 200) / 200, np.moveaxis(exact.quantile(np.arange(1, 200) / 200), 0, -1)
        ),
    ]
    for kind in kinds:
        assert crps(y, kind) == pytest.approx(crps(y, exact), rel=2e-3)
        assert cde_loss(y, kind) == pytest.approx(cde_loss(y, exact), abs=0.015)
        assert log_score(y, kind) == pytest.approx(log_score(y, exact), abs=0.05)
        np.testing.assert_allclose(pit_values(y, kind), pit_values(y, exact), atol=2e-3)
        assert np.abs(hpd_values(y, kind) - hpd_values(y, exact)).mean() < 0.05
        assert pinball_loss(y, kind) == pytest.approx(pinball_loss(y, exact), rel=2e-3)


def test_crps_and_cde_loss_of_any_distribution_are_the_integrals():
    base = GaussianMixtureDistribution([[0.4, 0.6]], [[[-1.0], [1.0]]], [[[[0.3]], [[0.1]]]])
    d = SquashedDistribution(base, 0.0, 0.4)
    y = 0.13
    grid = np.linspace(0, 0.4, 200_001)[:, None, None]
    f, cdf = d.pdf(grid).ravel(), d.cdf(grid).ravel()
    x = grid.ravel()
    expected = integrate.trapezoid((cdf - (x >= y)) ** 2, x)
    assert crps([y], d) == pytest.approx(expected, rel=1e-3)
    expected = integrate.trapezoid(f**2, x) - 2 * d.pdf([[y]]).item()
    assert cde_loss([y], d) == pytest.approx(expected, rel=1e-3)
    expected = integrate.trapezoid(np.where(f >= d.pdf([[y]]).item(), f, 0), x)
    assert hpd_values([y], d).item() == pytest.approx(expected, abs=3e-3)


def test_crps_is_twice_the_pinball_loss_of_many_levels():
    y, d = case(100)
    levels = (np.arange(2000) + 0.5) / 2000
    assert 2 * pinball_loss(y, d, levels) == pytest.approx(crps(y, d), rel=1e-3)


def test_pinball_is_scikit_learns():
    y, d = case(100)
    for q in (0.1, 0.5, 0.95):
        expected = mean_pinball_loss(y, d.quantile(q), alpha=q, multioutput="raw_values")
        np.testing.assert_allclose(pinball_loss(y, d, q, multioutput="raw_values"), expected)
    both = pinball_loss(y, d, [0.1, 0.5])
    assert both == pytest.approx((pinball_loss(y, d, 0.1) + pinball_loss(y, d, 0.5)) / 2)


@pytest.mark.parametrize("widen", [0.7, 1.4])
@pytest.mark.parametrize("score", SCORES)
def test_the_true_width_has_the_best_proper_scores(score, widen):
    assert score(*case(widen=widen)) > score(*case())


def test_a_climatology_holds_and_has_no_skill():
    y, d = case()
    edges = np.stack([np.quantile(y[:, t], np.linspace(0, 1, 31)) for t in range(2)])
    everywhere = PiecewiseDistribution(edges, np.tile(np.linspace(0, 1, 31), (len(y), 2, 1)))
    assert (pit_summary(y, everywhere).ks_p_value > 0.01).all()
    for score in SCORES:
        assert score(y, everywhere) > score(y, d) + 0.05


def test_truth_outside_of_the_range():
    d = PiecewiseDistribution([0.0, 1.0], [[[0, 1]]])
    assert log_score([2.0], d) == pytest.approx(-np.log(1e-10))
    assert log_score([2.0], d, floor=1e-3) == pytest.approx(-np.log(1e-3))
    assert log_score([2.0], d, floor=0) == np.inf
    assert log_score([2.0], d, floor=1e-3, multioutput="uniform_average") == pytest.approx(
        -np.log(1e-3)
    )
    assert crps([2.0], d) == pytest.approx(1 + 1 / 3)
    assert cde_loss([2.0], d) == 1.0 and interval_coverage([2.0], d, 0.99) == 0.0


def test_shapes_of_truth():
    d = gaussian(np.zeros((5, 1)), np.ones((5, 1)))
    y = np.linspace(-1, 1, 5)
    for metric in METRICS:
        np.testing.assert_allclose(
            np.ravel(metric(y, d)), np.ravel(metric(y[:, None], d)), rtol=1e-12
        )
    assert pit_values(y, d).shape == hpd_values(y, d).shape == (5,)
    assert pit_values(y[:, None], d).shape == (5, 1)
    assert isinstance(crps(y, d), float) and crps(list(y), d) == crps(y, d)


@pytest.mark.parametrize("metric", METRICS)
def test_bad_input(metric):
    y, d = case(10)
    for wrong, message in (
        (y[:5], r"y_true has shape \(5, 2\); expected \(10, 2\)"),
        (y[:, 0], r"y_true has shape \(10,\)"),
        (np.empty((0, 2)), r"y_true has shape \(0, 2\)"),
        (np.where(y > 0, np.nan, y), "y_true has NaN"),
        (np.where(y > 0, np.inf, y), "y_true has NaN or infinity"),
    ):
        with pytest.raises(ValueError, match=message):
            metric(wrong, d)
    with pytest.raises(ValueError, match="distribution is a ndarray; expected a Distribution"):
        metric(y, y)


def test_bad_options():
    y, d = case(10)
    for metric in (*SCORES, interval_coverage):
        with pytest.raises(ValueError, match="multioutput='all'"):
            metric(y, d, multioutput="all")
    with pytest.raises(ValueError, match="levels has 1.5"):
        interval_coverage(y, d, 1.5)
    with pytest.raises(ValueError, match="levels has -0.1"):
        pinball_loss(y, d, -0.1)
    for floor in (-1, np.nan):
        with pytest.raises(ValueError, match="floor="):
            log_score(y, d, floor=floor)
    with pytest.raises(ValueError, match="y_true has 1 row; expected at least 2"):
        pit_summary(y[:1], d[:1])


class Climatology(RegressorMixin, BaseEstimator):
    """A Gaussian of the training targets, `widen` times as wide, shifted by a side column."""

    def __init__(self, widen=1.0):
        self.widen = widen

    def fit(self, X, y, shift=None):
        self.mean_, self.std_ = np.mean(y), np.std(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)

    def predict_distribution(self, X, shift=None) -> Distribution:
        mean = np.full((len(X), 1), self.mean_)
        return gaussian(mean if shift is None else mean + shift[:, None], self.widen * self.std_)


@pytest.mark.parametrize("name", list(DISTRIBUTION_SCORERS))
def test_scorers_in_a_search(name):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 2)), rng.normal(size=300)
    scorer = DISTRIBUTION_SCORERS[name]
    search = GridSearchCV(Climatology(), {"widen": [0.3, 1.0, 3.0]}, scoring=scorer, cv=3)
    clone(search).fit(X, y)
    search.fit(X, y)
    assert search.best_params_ == {"widen": 1.0}
    best = search.best_estimator_
    metric = {"neg_crps": crps, "neg_log_score": log_score, "neg_cde_loss": cde_loss}[name]
    assert scorer(best, X, y) == -metric(y, best.predict_distribution(X))
    again = pickle.loads(pickle.dumps(scorer))
    assert again(best, X, y) == scorer(best, X, y) and repr(again) == repr(scorer)
    scores = cross_validate(Climatology(), X, y, scoring=DISTRIBUTION_SCORERS, cv=2)
    assert np.isfinite(scores[f"test_{name}"]).all()


def test_scorer_of_options():
    scorer = make_distribution_scorer(interval_coverage, greater_is_better=True, levels=0.9)
    X = y = np.random.default_rng(0).normal(size=200)
    assert scorer(Climatology().fit(X, y), X, y) == pytest.approx(0.9, abs=0.05)
    with pytest.raises(ValueError, match="object has no predict_distribution"):
        scorer(object(), X, y)


def test_scorers_route_metadata():
    rng = np.random.default_rng(0)
    shift = rng.normal(size=120) * 5
    X, y = rng.normal(size=(120, 1)), rng.normal(size=120) + shift
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_distribution_scorer(crps).set_score_request(shift=True)
        estimator = Climatology().set_fit_request(shift=True)
        with_shift = cross_validate(estimator, X, y, scoring=scorer, params={"shift": shift}, cv=3)
        without = cross_validate(Climatology(), X, y, scoring=make_distribution_scorer(crps), cv=3)
    assert with_shift["test_score"].mean() > without["test_score"].mean()
