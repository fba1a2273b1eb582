import numpy as np
import pytest
from scipy.stats import kstest, truncnorm
from sklearn.decomposition import PCA

from skastro.separation.prior import BoxedPrior, ReducedSpace


def test_space_is_that_of_principal_components():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 8)) + 3.0
    space = ReducedSpace.of(values, 4, least=0.0)
    scaled = (values - values.mean(0)) / values.std(0)
    theirs = PCA(4, whiten=True, svd_solver="full").fit(scaled)
    ours, expected = space.reduce(values), theirs.transform(scaled) * (60 / 59) ** 0.5
    np.testing.assert_allclose(np.abs(ours), np.abs(expected), atol=1e-8)
    back = theirs.inverse_transform(theirs.transform(scaled)) * values.std(0) + values.mean(0)
    np.testing.assert_allclose(space.expand(ours), back, atol=1e-8)


def test_every_direction_has_a_least_scatter():
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(size=50), 2.0 * np.ones(50)])
    space = ReducedSpace.of(values, 5, least=0.5)
    assert len(space.axes) == 2
    np.testing.assert_allclose(space.spread, [1.25**0.5, 0.5], atol=1e-6)
    assert np.isfinite(space.reduce(values)).all()


def test_draws_are_a_truncated_gaussian():
    prior = BoxedPrior(2.0, np.array([-1.0, -np.inf]), np.array([3.0, 0.5]))
    drawn = prior.draw(4000, np.random.default_rng(0))
    for i, (low, high) in enumerate(((-0.5, 1.5), (-np.inf, 0.25))):
        assert kstest(drawn[:, i], truncnorm(low, high, scale=2.0).cdf).pvalue > 0.01
    assert prior.holds(drawn).all()
    assert not prior.holds(drawn + 10).any()


def test_cut_holds_the_posterior_and_no_more_than_before():
    rng = np.random.default_rng(0)
    prior = BoxedPrior.whole(2.0, 3)
    posterior = rng.normal([1.0, 0.0, -1.0], 0.3, size=(5000, 3))
    cut = prior.cut(posterior)
    assert cut.holds(posterior).mean() > 0.995
    assert ((cut.high - cut.low) < 0.3 * 9).all()
    again = cut.cut(rng.normal(size=(5000, 3)))
    assert (again.low >= cut.low).all() and (again.high <= cut.high).all()


@pytest.mark.parametrize("far", [50.0, -50.0])
def test_a_posterior_out_of_the_prior_leaves_something_to_draw(far):
    prior = BoxedPrior.whole(1.0, 2).cut(np.random.default_rng(0).normal(far, 0.1, size=(500, 2)))
    drawn = prior.draw(100, np.random.default_rng(0))
    assert np.isfinite(drawn).all()
