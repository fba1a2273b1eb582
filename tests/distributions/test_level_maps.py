"""Maps of levels: uniform PIT afterwards, and the coverage that conformal prediction promises."""

import pickle

import numpy as np
import pytest
from scipy import stats

from skastro.distributions import LevelMap, conformal_map, isotonic_map

MAPS = [isotonic_map, conformal_map]


@pytest.mark.parametrize("fit", MAPS)
@pytest.mark.parametrize("n", [2, 3, 10, 57, 500, 5000])
@pytest.mark.parametrize("law", ["uniform", "narrow", "edges", "constant"])
def test_maps_increase_from_0_to_1(fit, n, law):
    rng = np.random.default_rng(n)
    pit = {
        "uniform": rng.random(n), "narrow": rng.beta(0.2, 0.2, n), "constant": np.full(n, 0.3),
        "edges": rng.integers(0, 2, n).astype(float),
    }[law]  # fmt: skip
    one = fit(pit)
    for knots in one:
        assert knots[0] == 0 and knots[-1] == 1 and (np.diff(knots) > 0).all()
    u = np.linspace(0, 1, 101)
    np.testing.assert_allclose(one.inverse(one(u)), u, atol=1e-9)
    assert (one.slope(u) > 0).all() and np.isfinite(one.slope(u)).all()
    assert len(one.x) <= 4 * n ** (1 / 3) + 12
    assert pickle.loads(pickle.dumps(one))(0.3) == one(0.3)


def test_isotonic_is_the_cdf_of_the_pit():
    rng = np.random.default_rng(0)
    for law in (stats.beta(0.5, 0.5), stats.beta(2, 2), stats.beta(2, 1), stats.uniform()):
        held, fresh = law.rvs(4000, random_state=rng), law.rvs(4000, random_state=rng)
        one = isotonic_map(held)
        u = np.linspace(0.01, 0.99, 99)
        assert np.abs(one(u) - law.cdf(u)).max() < 0.035
        assert stats.kstest(one(fresh), "uniform").statistic < 0.04
        # piece by piece, to the noise of the values in it
        share = np.diff(law.cdf(one.x))
        np.testing.assert_allclose(np.diff(one.y)[2:-2], share[2:-2], rtol=0.5)
        np.testing.assert_allclose(np.diff(one.y)[5:-5], share[5:-5], rtol=0.25)


def test_few_held_out_values_make_no_spikes():
    rng = np.random.default_rng(0)
    for n in (30, 100, 300):
        slopes = [isotonic_map(rng.random(n)).slope(np.linspace(0.1, 0.9, 81)) for _ in range(50)]
        assert np.max(slopes) < 4 and np.min(slopes) > 0.25
        # the log score of what was right already is hardly worse
        assert np.mean(np.log(slopes)) > -0.1


def test_the_ends_have_their_share():
    pit = np.linspace(0.2, 0.7, 50)
    one = isotonic_map(pit)
    assert one(0.2) == pytest.approx(1 / 52) and one(0.7) == pytest.approx(1 - 1 / 52)
    # of what is right already, the ends are no steeper than the rest
    rng = np.random.default_rng(0)
    slopes = [isotonic_map(rng.random(300)).slope([1e-6, 1 - 1e-6]) for _ in range(200)]
    assert np.quantile(slopes, 0.98) < 8
    # and follow a law that rises towards them
    one = isotonic_map(rng.beta(0.5, 0.5, 4000))
    for part in (one.x[1], 1 - one.x[-2]):
        assert stats.beta(0.5, 0.5).cdf(part) == pytest.approx(1 / 4002, rel=1)


def test_truth_beyond_the_range_makes_no_spike():
    # a fifth of the truth below all bins, where no map reaches: with the fifth that is next to it
    pit = np.concatenate([np.zeros(200), np.linspace(0, 1, 802)[1:-1]])
    one = isotonic_map(pit)
    assert one(0.25) == pytest.approx(0.4, abs=0.01)
    assert one.slope(np.linspace(0, 1, 99)).max() < 1.8
    both = conformal_map(np.concatenate([pit, np.ones(200)]))
    assert both.slope(np.linspace(0, 1, 99)).max() < 2.2
    # far from 0, but no more than a steep prediction has
    assert isotonic_map(np.random.default_rng(0).beta(0.1, 0.1, 1000)).slope(1e-8) > 1e3


@pytest.mark.parametrize("n", [20, 60, 300])
@pytest.mark.parametrize("law", [stats.beta(0.4, 0.4), stats.uniform(), stats.beta(3, 2)])
def test_conformal_intervals_cover_at_least_their_level(n, law):
    rng = np.random.default_rng(n)
    levels = np.array([0.5, 0.68, 0.9, 0.95])
    levels = levels[levels <= n / (n + 1)]
    covered = []
    for _ in range(400):
        one = conformal_map(law.rvs(n, random_state=rng))
        low, high = one.inverse(0.5 - 0.5 * levels), one.inverse(0.5 + 0.5 * levels)
        # exact for fresh rows
        covered.append(law.cdf(high) - law.cdf(low))
    covered = np.array(covered)
    error = covered.std(0) / np.sqrt(len(covered))
    assert (covered.mean(0) > levels - 3 * error).all()
    # and not much more
    assert (covered.mean(0) < levels + 0.02 + 1.5 / np.sqrt(n) * 0.5).all()


def test_conformal_radius_is_never_below_the_rank():
    rng = np.random.default_rng(0)
    for n in (30, 100, 1000):
        pit = rng.beta(0.5, 0.7, n)
        one, radii = conformal_map(pit), np.sort(np.abs(pit - 0.5))
        levels = np.linspace(20 / n, n / (n + 1), 200)
        ranks = np.ceil((n + 1) * levels - 1e-9).astype(int)
        wide = one.inverse(0.5 + 0.5 * levels) - 0.5
        assert (wide >= np.minimum(radii[ranks - 1], 0.5 - 1e-9) - 1e-9).all(), n
        np.testing.assert_allclose(
            one(np.linspace(0, 1, 11)), 1 - one(np.linspace(1, 0, 11)), atol=1e-12
        )


@pytest.mark.parametrize("fit", MAPS)
def test_bad_input(fit):
    for pit, message in (
        ([0.5], r"pit has shape \(1,\)"),
        ([], r"pit has shape \(0,\)"),
        ([[0.5, 0.2]], r"pit has shape \(1, 2\)"),
        ([0.5, np.nan], "pit has NaN"),
        ([0.5, 1.2], "outside 0 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(pit)


def test_slope_is_that_of_the_piece():
    one = LevelMap(np.array([0, 0.5, 1]), np.array([0, 0.8, 1]))
    np.testing.assert_allclose(one.slope([0, 0.2, 0.5, 0.9, 1.0]), [1.6, 1.6, 0.4, 0.4, 0.4])
