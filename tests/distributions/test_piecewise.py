"""Piecewise-linear CDFs against scipy's histograms, sums by hand and quadrature."""

import numpy as np
import pytest
from distribution_checks import check_marginals, check_refusals, check_samples, check_shapes
from scipy import integrate, stats

from skastro.distributions import Distribution, PiecewiseDistribution

EDGES = np.array([0.0, 0.1, 0.25, 0.3, 0.7, 1.0])


def distribution(edges, n=4, seed=0):
    """Edges of every allowed shape, with an empty bin here and there."""
    rng = np.random.default_rng(seed)
    masses = rng.random((n, 2, 5))
    masses[0, 0, 2] = masses[1, 1, 0] = 0
    edges = {
        "one": EDGES,
        "target": np.stack([EDGES, 3 * EDGES - 1]),
        "row": EDGES + rng.normal(size=(n, 2, 1)),
    }[edges]
    return PiecewiseDistribution.from_masses(edges, masses)


@pytest.mark.parametrize("edges", ["one", "target", "row"])
def test_agrees_with_grids_and_draws(edges):
    one = distribution(edges)
    check_shapes(one)
    check_samples(one)
    check_refusals(one)
    # without empty bins the inverse is unique
    full = one.tabulated(2)
    masses = np.maximum(full.masses, 0.02)
    check_marginals(PiecewiseDistribution.from_masses(full.edges, masses), atol=1e-3, flat=True)


def test_is_scipys_histogram():
    one = distribution("one")
    for i, t in np.ndindex(one.shape):
        theirs = stats.rv_histogram((one.masses[i, t], EDGES), density=False)
        y = np.linspace(-0.2, 1.21, 57)
        y[10] = 0.25
        spread = np.broadcast_to(y[:, None, None], (57, *one.shape))
        np.testing.assert_allclose(one.cdf(spread)[:, i, t], theirs.cdf(y), atol=1e-12)
        np.testing.assert_allclose(one.pdf(spread)[:, i, t], theirs.pdf(y), atol=1e-12)
        assert one.mean()[i, t] == pytest.approx(theirs.mean())
        assert one.std()[i, t] == pytest.approx(theirs.std())
        q = np.linspace(0.01, 0.99, 23)
        np.testing.assert_allclose(one.quantile(q)[:, i, t], theirs.ppf(q), atol=1e-12)


@pytest.mark.parametrize("edges", ["one", "target", "row"])
def test_crps_and_squared_density_are_the_integrals(edges):
    one = distribution(edges)
    low, high = one.bracket()
    for y in (low - 0.3, low, 0.7 * low + 0.3 * high, 0.2 * low + 0.8 * high, high, high + 2):
        for i, t in np.ndindex(one.shape):
            alone = one[[i]]
            knots = np.sort([*np.broadcast_to(one.edges, one._cdf.shape)[i, t], y[i, t]])
            expected = 0.0
            for a, b in zip(knots[:-1], knots[1:], strict=True):
                above = 0.5 * (a + b) >= y[i, t]
                part = integrate.fixed_quad(
                    lambda x, t=t, alone=alone, above=above: (
                        (alone.cdf(x[:, None, None])[:, 0, t] - above) ** 2
                    ),
                    a, b, n=4,
                )[0]  # fmt: skip
                expected += part
            assert one.crps(y)[i, t] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    width = np.diff(np.broadcast_to(one.edges, one._cdf.shape))
    expected = (one.masses**2 / width).sum(-1)
    np.testing.assert_allclose(one.squared_integral(), expected, rtol=1e-12)


def test_finer_table_is_the_same_distribution():
    one = distribution("row")
    fine = one.tabulated(400)
    y = one.sample(20, 0)
    for name in ("cdf", "pdf", "crps", "hpd"):
        np.testing.assert_allclose(getattr(fine, name)(y), getattr(one, name)(y), atol=1e-9)
    np.testing.assert_allclose(fine.std(), one.std(), rtol=1e-10)
    # the table of the base class is close
    table = Distribution.tabulated(one)
    np.testing.assert_allclose(table.mean(), one.mean(), atol=1e-3)


def test_hpd_is_uniform_and_orders_bins_by_density():
    one = PiecewiseDistribution.from_masses([0.0, 1.0, 2.0, 3.0], [[[0.2, 0.5, 0.3]]])
    y = np.array([0.5, 1.0, 1.5, 2.5])[:, None, None]
    np.testing.assert_allclose(one.hpd(y).ravel(), [0.9, 0.0, 0.25, 0.65])
    assert one.hpd([[-1.0]]).item() == one.hpd([[4.0]]).item() == 1.0
    drawn = distribution("row").sample(5000, 0)
    for values in distribution("row").hpd(drawn).reshape(5000, -1).T:
        assert stats.kstest(values, "uniform").pvalue > 1e-3
    # a constant density: what the CDF says
    flat = PiecewiseDistribution.from_masses(np.arange(5.0), np.ones((1, 1, 4)))
    np.testing.assert_allclose(flat.hpd([[2.5]]), flat.cdf([[2.5]]))


def test_steps_and_empty_bins():
    # half of the mass at 1, an empty bin from 2 to 3
    one = PiecewiseDistribution([0.0, 1.0, 1.0, 2.0, 3.0, 4.0], [[[0, 0.1, 0.6, 0.8, 0.8, 1.0]]])
    q = [0.0, 0.1, 0.3, 0.6, 0.7, 0.8, 0.9, 1.0]
    found = one.quantile(q).ravel()
    np.testing.assert_allclose(found, [0, 1, 1, 1, 1.5, 2, 3.5, 4], atol=1e-12)
    assert one.cdf([[1.0]]).item() == 0.6 and one.cdf([[0.999999]]).item() < 0.1001
    assert one.cdf([[2.5]]).item() == 0.8 and one.pdf([[2.5]]).item() == 0.0
    assert one.mean().item() == pytest.approx(0.1 * 0.5 + 0.5 + 0.2 * 1.5 + 0.2 * 3.5)
    drawn = one.sample(50_000, 0)
    assert (drawn == 1).mean() == pytest.approx(0.5, abs=0.02)
    y = np.array([-1.0, 0.5, 1.0, 2.5, 3.5, 5.0])
    other = one.sample(50_000, 1)
    for at in y:
        expected = np.abs(drawn - at).mean() - 0.5 * np.abs(drawn - other).mean()
        assert one.crps([[at]]).item() == pytest.approx(expected, abs=0.03)
    assert np.isinf(one.squared_integral()).all()
    # steps at both ends
    ends = PiecewiseDistribution([0.0, 0.0, 1.0, 1.0], [[[0, 0.3, 0.6, 1.0]]])
    np.testing.assert_allclose(
        ends.cdf(np.array([-0.1, 0.0, 0.5, 0.99999999, 1.0])[:, None, None]).ravel(),
        [0, 0.3, 0.45, 0.6, 1.0], atol=1e-7,
    )  # fmt: skip
    np.testing.assert_allclose(ends.quantile([0.0, 0.1, 0.45, 0.9, 1.0]).ravel(), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(ends.pdf([[1.0]]), 0.3)
    # the first bins empty: the support begins where the mass does
    late = PiecewiseDistribution.from_masses(np.arange(4.0), [[[0.0, 1.0, 0.0]]])
    np.testing.assert_allclose(late.quantile([0.0, 1.0]).ravel(), [1.0, 2.0])


def test_step_cdf_has_the_crps_of_samples():
    rng = np.random.default_rng(0)
    x = np.sort(rng.normal(size=9))
    one = PiecewiseDistribution(
        np.repeat(x, 2), np.r_[0, np.repeat(np.arange(1, 9) / 9, 2), 1][None, None]
    )
    for y in (-3.0, x[4], 0.1, 2.5):
        expected = np.abs(x - y).mean() - 0.5 * np.abs(x[:, None] - x).mean()
        assert one.crps([[y]]).item() == pytest.approx(expected, rel=1e-12)


def test_quantiles_come_back():
    levels = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
    values = stats.norm.ppf(levels) * np.array([1.0, 3.0])[:, None, None]
    one = PiecewiseDistribution.from_quantiles(levels, values)
    np.testing.assert_allclose(one.quantile(levels).T[0].T, values[:, 0].T, atol=1e-12)
    # a tail of the density beside it, falling exponentially
    slope = (values[0, 0, 1] - values[0, 0, 0]) / 0.04
    for part in (0.5, 0.25, 2.0**-9):
        at = values[0, 0, 0] + 0.01 * np.log(part) * slope
        assert one.cdf(at)[0, 0] == pytest.approx(0.01 * part, rel=1e-9)
        assert 1 - one.cdf(-at)[0, 0] == pytest.approx(0.01 * part, rel=1e-9)
    assert np.abs(one.mean()).max() < 1e-12
    ended = PiecewiseDistribution.from_quantiles(levels, values, low=-3.0, high=[4.0])
    assert ended.bracket()[0].tolist() == [[-3.0], [-3.0]] and (ended.bracket()[1] == 4).all()
    np.testing.assert_allclose(ended.cdf(-2.6)[0], 0.01 * 0.4 / (3 + values[0, 0, 0]), rtol=1e-9)
    # beyond the ends: moved there
    assert (ended.quantile(0.001) >= -3).all() and ended.cdf(-3.0)[1, 0] == 0.05
    crossed = values[..., [1, 0, 2, 4, 3, 5, 6]]
    again = PiecewiseDistribution.from_quantiles(levels, crossed)
    np.testing.assert_array_equal(again.edges, one.edges)
    # all levels from 0 to 1: no tails
    whole = PiecewiseDistribution.from_quantiles([0.0, 0.5, 1.0], [[[0.0, 1.0, 4.0]]])
    np.testing.assert_array_equal(whole.edges, [[[0.0, 1.0, 4.0]]])


@pytest.mark.parametrize(
    ("edges", "cdf", "message"),
    [
        ([0.0, 1.0, 0.5], [[[0, 0.5, 1]]], "edges does not increase"),
        ([1.0, 1.0, 1.0], [[[0, 0.5, 1]]], "edges does not increase"),
        ([0.0, np.nan, 1.0], [[[0, 0.5, 1]]], "edges has NaN"),
        ([0.0], [[[0]]], "edges has shape"),
        ([0.0, 1.0], [[[0, 0.5, 1]]], r"cdf has shape \(1, 1, 3\); expected \(n, n_targets, 2\)"),
        ([0.0, 1.0], [[0, 1]], "cdf has shape"),
        (np.zeros((2, 1, 2)) + [0, 1], [[[0, 1]]], "edges has shape .* agrees with cdf"),
        ([0.0, 0.5, 1.0], [[[0, 1.5, 1]]], "cdf has NaN or numbers outside"),
        ([0.0, 0.5, 1.0], [[[0, np.nan, 1]]], "cdf has NaN or numbers outside"),
        ([0.0, 0.5, 0.7, 1.0], [[[0, 0.5, 0.4, 1]]], "cdf decreases"),
        ([0.0, 0.5, 1.0], [[[0.1, 0.5, 1]]], "cdf goes from 0.1 to 1"),
        ([0.0, 0.5, 1.0], [[[0, 0.5, 0.9]]], "cdf goes from 0 to 0.9"),
    ],
)
def test_bad_input(edges, cdf, message):
    with pytest.raises(ValueError, match=message):
        PiecewiseDistribution(edges, cdf)


def test_bad_masses_and_quantiles():
    for masses, message in (
        ([[[0.0, 0.0]]], "row of 0"),
        ([[[-1.0, 2.0]]], "negative"),
        ([[[np.nan, 2.0]]], "NaN"),
        ([[1.0, 2.0]], "masses has shape"),
        (np.zeros((0, 1, 2)), "masses has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            PiecewiseDistribution.from_masses([0.0, 1.0, 2.0], masses)
    for levels, values, options, message in (
        ([0.5], [[[0.0]]], {}, "levels has shape"),
        ([0.5, 0.5], [[[0.0, 1.0]]], {}, "increasing"),
        ([0.5, 1.5], [[[0.0, 1.0]]], {}, "levels has 1.5"),
        ([0.2, 0.5], [[0.0, 1.0]], {}, "values has shape"),
        ([0.2, 0.5], [[[0.0, np.inf]]], {}, "values has NaN"),
        ([0.2, 0.5], [[[0.0, 1.0]]], dict(low=1.0, high=0.0), "expected low below high"),
    ):
        with pytest.raises(ValueError, match=message):
            PiecewiseDistribution.from_quantiles(levels, values, **options)
