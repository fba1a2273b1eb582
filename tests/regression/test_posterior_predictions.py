"""What is read from predicted distributions: against scipy's normal law, in every shape."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.base import BaseEstimator

from skastro.distributions.base import Distribution
from skastro.regression import DistributionRegressorMixin

LOC = np.array([[0.0, 10.0], [1.0, 12.0], [-2.0, 15.0]])
SCALE = np.array([[1.0, 0.5], [2.0, 3.0], [0.1, 1.0]])


class Normal(Distribution):
    def __init__(self, loc, scale):
        self.loc, self.scale = loc, scale

    @property
    def shape(self):
        return self.loc.shape

    def __getitem__(self, rows):
        return Normal(self.loc[rows], self.scale[rows])

    def cdf(self, y):
        return norm.cdf(y, self.loc, self.scale)

    def pdf(self, y):
        return norm.pdf(y, self.loc, self.scale)

    def log_prob(self, y):
        return norm.logpdf(y, self.loc, self.scale).sum(-1)

    def sample(self, n_samples, random_state=None):
        rng = np.random.default_rng(random_state)
        return rng.normal(self.loc, self.scale, (n_samples, *self.shape))

    def bracket(self):
        return self.loc - 9 * self.scale, self.loc + 9 * self.scale

    def rescaled(self, offset, scale):
        return Normal(offset + scale * self.loc, scale * self.scale)


class Known(DistributionRegressorMixin, BaseEstimator):
    """Predicts the rows of LOC and SCALE that X names, `shift` further."""

    def __init__(self, n_targets=2, target_ndim=2):
        self.n_targets = n_targets
        self.target_ndim = target_ndim

    @property
    def target_ndim_(self):
        return self.target_ndim

    def predict_distribution(self, X, shift=0.0):
        columns = slice(self.n_targets)
        return Normal(LOC[X][:, columns] + shift, SCALE[X][:, columns])


ROWS = np.array([2, 0, 1, 1])
VECTOR, COLUMN, TABLE = Known(1, 1), Known(1, 2), Known(2, 2)


@pytest.mark.parametrize("model, tail", [(VECTOR, ()), (COLUMN, (1,)), (TABLE, (2,))])
def test_shapes(model, tail):
    for point in ("mean", "median", "mode"):
        assert model.predict(ROWS, point=point).shape == (4, *tail)
    assert model.predict_quantiles(ROWS).shape == (3, 4, *tail)
    assert model.predict_quantiles(ROWS, 0.3).shape == (4, *tail)
    assert [end.shape for end in model.predict_interval(ROWS)] == [(4, *tail)] * 2
    assert model.sample(ROWS, 5).shape == (5, 4, *tail)
    assert model.log_prob(ROWS, np.zeros((4, *tail))).shape == (4,)
    for method in (model.pdf, model.cdf):
        assert method(ROWS, np.linspace(-1, 1, 7)).shape == (4, *tail, 7)
    assert model.predict(ROWS[:1]).shape == (1, *tail)


def test_figures_are_those_of_the_distribution():
    loc, scale = LOC[ROWS], SCALE[ROWS]
    for point in ("mean", "median", "mode"):
        np.testing.assert_allclose(TABLE.predict(ROWS, point=point), loc, atol=1e-6)
    q = [0.05, 0.5, 0.9]
    expected = norm.ppf(np.reshape(q, (3, 1, 1)), loc, scale)
    np.testing.assert_allclose(TABLE.predict_quantiles(ROWS, q), expected, atol=1e-9)
    np.testing.assert_allclose(VECTOR.predict_quantiles(ROWS, q), expected[..., 0], atol=1e-9)
    low, high = TABLE.predict_interval(ROWS, 0.9)
    np.testing.assert_allclose(norm.cdf(low, loc, scale), 0.05, atol=1e-9)
    np.testing.assert_allclose(norm.cdf(high, loc, scale), 0.95, atol=1e-9)
    y = loc + 0.3
    expected = norm.logpdf(y, loc, scale)
    np.testing.assert_allclose(TABLE.log_prob(ROWS, y), expected.sum(1))
    np.testing.assert_allclose(VECTOR.log_prob(ROWS, y[:, 0]), expected[:, 0])
    draws = VECTOR.sample(ROWS, 3000, random_state=0)
    np.testing.assert_allclose(draws.mean(0), loc[:, 0], atol=5 * 2 / 3000**0.5)
    np.testing.assert_array_equal(draws, VECTOR.sample(ROWS, 3000, random_state=0))
    assert TABLE.score(ROWS, y) < TABLE.score(ROWS, loc)


@pytest.mark.parametrize("name", ["pdf", "cdf"])
def test_one_grid_for_all_or_one_for_each_target(name, monkeypatch):
    grids = np.stack([np.linspace(-3, 3, 50), np.linspace(8, 16, 50)])
    found = getattr(TABLE, name)(ROWS, grids)
    expected = getattr(norm, name)(grids, LOC[ROWS][..., None], SCALE[ROWS][..., None])
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(getattr(VECTOR, name)(ROWS, grids[0]), expected[:, 0])
    same = getattr(TABLE, name)(ROWS, grids[1])
    np.testing.assert_allclose(same[:, 1], expected[:, 1])
    # more rows than one block
    many = np.tile(ROWS, 2000)
    np.testing.assert_array_equal(getattr(TABLE, name)(many, grids)[-4:], found)


def test_keywords_are_handed_on():
    shifted = TABLE.predict(ROWS, point="median", shift=5.0)
    np.testing.assert_allclose(shifted, LOC[ROWS] + 5.0, atol=1e-9)
    with pytest.raises(TypeError, match="tilt"):
        TABLE.predict(ROWS, tilt=1.0)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda m: m.predict(ROWS, point="max"), "point='max'; expected one of"),
        (lambda m: m.predict_quantiles(ROWS, 1.2), "q=1.2; expected probabilities"),
        (lambda m: m.predict_quantiles(ROWS, []), r"q=\[\]; expected probabilities"),
        (lambda m: m.predict_quantiles(ROWS, [0.1, np.nan]), "q has NaN or infinity"),
        (lambda m: m.predict_quantiles(ROWS, "half"), "q='half'; expected finite numbers"),
        (lambda m: m.predict_interval(ROWS, 1.0), "level=1.0; expected a number between 0 and 1"),
        (lambda m: m.predict_interval(ROWS, np.nan), "level=nan; expected a number"),
        (lambda m: m.predict_interval(ROWS, "most"), "level='most'; expected a number"),
        (lambda m: m.sample(ROWS, 0), "n_samples=0; expected an integer of at least 1"),
        (lambda m: m.sample(ROWS, 1.5), "n_samples=1.5; expected an integer"),
        (lambda m: m.sample(ROWS, "many"), "n_samples='many'; expected an integer"),
        (lambda m: m.log_prob(ROWS, np.zeros(4)), r"y has shape \(4,\); expected \(4, 2\)"),
        (lambda m: m.log_prob(ROWS, np.full((4, 2), np.inf)), "y has NaN or infinity"),
        (lambda m: m.pdf(ROWS, np.zeros((3, 9))), r"grid has shape \(3, 9\); expected \(n_grid,\)"),
        (lambda m: m.cdf(ROWS, []), r"grid has shape \(0,\); expected"),
        (lambda m: m.cdf(ROWS, [0.0, np.nan]), "grid has NaN or infinity"),
    ],
)
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match) as error:
        call(TABLE)
    assert "\n" not in str(error.value)


def test_a_vector_of_targets_wants_a_vector():
    with pytest.raises(ValueError, match=r"y has shape \(4, 1\); expected \(4,\)"):
        VECTOR.log_prob(ROWS, np.zeros((4, 1)))
    with pytest.raises(ValueError, match=r"grid has shape \(1, 9\); expected \(n_grid,\)\."):
        VECTOR.pdf(ROWS, np.zeros((1, 9)))
