"""Calibration maps undo known distortions, agree with scipy's maxima, and leave priors movable."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit
from sklearn.base import clone
from sklearn.isotonic import isotonic_regression

from skastro.prior_shift import shift_logits
from skastro.probability_maps import BetaMap, IsotonicMap, PlattMap, TemperatureMap, make_map

NAMES = ("temperature", "platt", "beta", "isotonic")


def case(n=20_000, distort=lambda z: z, seed=0):
    """Distorted logits of labels whose exact logits are known."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.normal(size=n) - 1
    return distort(z), rng.uniform(size=n) < expit(z), z


def loss(z, y, weight):
    return -np.average(np.where(y, log_expit(z), log_expit(-z)), weights=weight)


def test_known_distortions_are_undone():
    z, y, _ = case(distort=lambda z: 3 * z)
    assert TemperatureMap().fit(z, y).temperature_ == pytest.approx(3, rel=0.05)
    z, y, exact = case(distort=lambda z: (z - 0.7) / 0.5)
    line = PlattMap().fit(z, y)
    assert line.slope_ == pytest.approx(0.5, rel=0.05)
    assert line.intercept_ == pytest.approx(0.7, abs=0.05)
    np.testing.assert_allclose(line.transform(z), exact, atol=0.3)

    def stretched(z):
        return np.where(z < 0, 2 * z, z)

    z, y, exact = case(distort=stretched)
    found = BetaMap().fit(z, y)
    # where p is small -ln(1 - p) vanishes, so a is the slope there, and b that where p is large
    assert found.a_ == pytest.approx(0.5, abs=0.1) and found.b_ == pytest.approx(1, abs=0.25)
    np.testing.assert_allclose(found.transform(z)[np.abs(z) < 6], exact[np.abs(z) < 6], atol=0.5)
    z, y, exact = case(200_000, distort=np.sinh)
    found = IsotonicMap().fit(z, y).transform(z)
    middle = np.abs(exact) < 3
    assert np.sqrt(np.mean((expit(found) - expit(exact))[middle] ** 2)) < 0.01


@pytest.mark.parametrize("name", ["temperature", "platt", "beta"])
def test_the_likelihood_is_the_largest(name):
    z, y, _ = case(2000, distort=lambda z: 2 * z + 1)
    weight = np.random.default_rng(1).uniform(0.1, 5, len(z))
    features = {
        "temperature": z[:, None],
        "platt": np.stack([z, np.ones_like(z)], 1),
        "beta": np.stack([log_expit(z), -log_expit(-z), np.ones_like(z)], 1),
    }[name]
    best = minimize(lambda a: loss(features @ a, y, weight), np.zeros(features.shape[1]))
    found = make_map(name).fit(z, y, sample_weight=weight)
    np.testing.assert_allclose(found.transform(z), features @ best.x, atol=2e-3)
    assert loss(found.transform(z), y, weight) <= best.fun + 1e-10


def test_the_likelihood_is_the_largest_for_a_rare_class():
    rng = np.random.default_rng(0)
    y = rng.uniform(size=1_000_000) < 3e-5
    z = 6 * (rng.normal(size=len(y)) + 6 * y) - 18 + logit(3e-5)
    line = PlattMap().fit(z, y)
    residual = y - expit(line.transform(z))
    # far below one of the positives
    assert abs(residual.sum()) < 1e-4 and abs((residual * z).sum()) < 1e-3
    assert 20 < y.sum() < 40


def test_a_slope_of_beta_below_zero_is_left_out():
    # falling where p is small
    rng = np.random.default_rng(0)
    z = rng.uniform(-6, 6, 20_000)
    y = rng.uniform(size=len(z)) < np.where(z < 0, 0.2 - 0.05 * z, expit(z - 1.4))
    found = BetaMap().fit(z, y)
    assert found.a_ == 0 and found.b_ > 0
    moved = found.transform(np.linspace(-5, 5, 50))
    assert (np.diff(moved) >= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_copies_and_shapes_are_kept(name):
    z, y, _ = case(400)
    weight = np.random.default_rng(0).integers(0, 3, len(z))
    weighted = make_map(name).fit(z, y, sample_weight=weight).transform(z)
    repeated = make_map(name).fit(np.repeat(z, weight), np.repeat(y, weight)).transform(z)
    if name == "isotonic":
        # but where clipped, as n counts the rows, and on the way there
        inside = (np.abs(repeated) < 4) & (weight > 0)
        weighted, repeated = weighted[inside], repeated[inside]
    np.testing.assert_allclose(weighted, repeated, atol=1e-6)
    images = make_map(name).fit(z.reshape(4, 10, 10), y.reshape(4, 10, 10))
    flat = make_map(name).fit(z, y)
    found = images.transform(z.reshape(4, 10, 10))
    assert found.shape == (4, 10, 10) and found.dtype == np.float64
    np.testing.assert_array_equal(found.ravel(), flat.transform(z))
    order = np.argsort(z)
    assert (np.diff(flat.transform(z)[order]) >= -1e-12).all()


def test_isotonic_is_clipped_so_that_a_prior_moves_it():
    z, y, _ = case(500)
    found = expit(IsotonicMap().fit(z, y).transform(np.sort(z)))
    order = np.argsort(z)
    expected = np.clip(isotonic_regression(y[order].astype(float)), 1 / 502, 501 / 502)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert expected[0] == 1 / 502
    ends = IsotonicMap().fit(z, y).transform([-100.0, 100.0])
    np.testing.assert_allclose(expit(ends), [1 / 502, 501 / 502])
    moved = shift_logits(ends, 1e-4, 0.5)
    assert np.isfinite(moved).all() and (moved < ends).all()
    # weights that are a change of prior move the clipped odds as the prior does
    ratio = 1e-4
    weighted = IsotonicMap().fit(z, y, sample_weight=np.where(y, ratio, 1.0))
    np.testing.assert_allclose(weighted.transform([-100.0, 100.0]), ends + np.log(ratio), rtol=1e-9)


def test_a_map_before_a_change_of_prior_is_exact_at_1e_5():
    # twice too sure and trained at equal numbers; the map, then the prior
    rng = np.random.default_rng(0)
    y = np.arange(100_000) % 2
    x = rng.normal(size=len(y)) + 4 * y
    z = 2 * (4 * x - 8)
    grid = np.linspace(0, 8, 50)
    exact = 4 * grid - 8 + logit(1e-5)
    for name in ("temperature", "platt"):
        found = shift_logits(make_map(name).fit(z, y).transform(2 * (4 * grid - 8)), 1e-5, 0.5)
        np.testing.assert_allclose(found, exact, atol=0.8)


@pytest.mark.parametrize("name", NAMES)
def test_conventions_of_estimators(name):
    z, y, _ = case(300)
    estimator = make_map(name)
    before = vars(estimator).copy()
    with pytest.raises(ValueError, match="not fitted"):
        estimator.transform(z)
    assert estimator.fit(z, y) is estimator and before == {}
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.transform(z), estimator.transform(z))
    assert vars(clone(estimator)) == {} and estimator.get_params() == {}


@pytest.mark.parametrize("name", NAMES)
def test_bad_input(name):
    z, y, _ = case(50)
    cases = [
        ((np.append(z[1:], np.nan), y), "logit has 1 NaN"),
        ((np.append(z[1:], np.inf), y), "logit has 1 infinities"),
        (([], []), r"logit has shape \(0,\)"),
        ((z, y[1:]), r"y_true has shape \(49,\); expected \(50,\), the shape of logit"),
        ((z, np.zeros(50)), "y_true has only the class 0"),
        ((z, y + 1), "expected labels 0 and 1"),
        ((z, y, np.ones(3)), r"sample_weight has shape \(3,\)"),
    ]
    for arguments, match in cases:
        with pytest.raises(ValueError, match=match) as caught:
            make_map(name).fit(*arguments)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="logit has 1 NaN"):
        make_map(name).fit(z, y).transform([np.nan])


@pytest.mark.parametrize("name", ["temperature", "platt", "beta"])
def test_what_has_no_slope(name):
    with pytest.raises(ValueError, match="logit parts the classes, at most -1 in class 0"):
        make_map(name).fit([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    if name != "temperature":
        with pytest.raises(ValueError, match="parts the classes"):
            make_map(name).fit([1.0, 1.0, 1.0], [0, 1, 1])
    z, y, _ = case(500)
    with pytest.raises(ValueError, match="expected a positive one"):
        make_map(name).fit(-z, y)


def test_other_names():
    with pytest.raises(ValueError, match="name='spline'; expected one of temperature, platt, beta"):
        make_map("spline")


@pytest.mark.parametrize("name", ["platt", "isotonic"])
def test_weights_of_another_prior_and_its_shift_cancel(name):
    # two values, whose odds a line or steps have exactly
    z = np.repeat([-1.5, 2.0], 50)
    y = np.concatenate([np.arange(50) < 5, np.arange(50) < 40])
    plain = make_map(name).fit(z, y)
    odds = 1e-3
    other = make_map(name).fit(z, y, sample_weight=np.where(y, odds, 1.0), shift=np.log(odds))
    np.testing.assert_allclose(plain.transform([-1.5, 2.0]), np.log([5 / 45, 40 / 10]), atol=1e-4)
    np.testing.assert_allclose(other.transform([-1.5, 2.0]), np.log([5 / 45, 40 / 10]), atol=1e-4)
