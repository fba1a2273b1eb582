"""Search in rows against numpy's in each."""

import numpy as np
import pytest

from skastro.distributions import PiecewiseDistribution
from skastro.distributions.rows import (
    as_generator,
    check_values,
    even_quantiles,
    gather,
    mass_above,
    row_search,
)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 100])
def test_search_is_numpys_in_each_row(side, size):
    rng = np.random.default_rng(size)
    # whole numbers: many ties
    table = np.sort(rng.integers(0, 6, size=(4, 2, size)).astype(float), axis=-1)
    y = rng.integers(-1, 8, size=(5, 4, 2)).astype(float)
    y[0, 0, 0], y[1, 0, 0] = np.inf, -np.inf
    found = row_search(table, y, side)
    for i, t in np.ndindex(4, 2):
        np.testing.assert_array_equal(
            found[:, i, t], np.searchsorted(table[i, t], y[:, i, t], side)
        )
    inside = np.clip(found, 0, size - 1)
    expected = np.take_along_axis(np.moveaxis(table, -1, 0), inside, 0)
    np.testing.assert_array_equal(gather(table, inside), expected)
    # vectors of each target, or one
    np.testing.assert_array_equal(row_search(table[0], y, side)[:, 0], found[:, 0])
    one = row_search(table[0, 0], y, side)
    np.testing.assert_array_equal(one[:, 0, 0], found[:, 0, 0])
    np.testing.assert_array_equal(gather(table[0, 0], np.clip(one, 0, size - 1)).shape, y.shape)
    # broadcast over rows
    assert row_search(table, np.zeros((3, 1, 1)), side).shape == (3, 4, 2)


def test_mass_above_is_the_sum():
    rng = np.random.default_rng(0)
    density, mass = rng.random((2, 3, 2, 400))
    mass /= mass.sum(-1, keepdims=True)
    at = rng.random((4, 3, 2))
    at[0], at[1], at[2] = density[..., 3], 2.0, -1.0
    expected = (mass * (density >= at[..., None])).sum(-1)
    # half of a cell
    np.testing.assert_allclose(
        mass_above(density, mass, at), expected, atol=0.5 * mass.max() + 1e-9
    )
    # all of one density
    np.testing.assert_allclose(mass_above(0 * density, mass, at[2] * 0), mass[..., 0] / 2, atol=0.5)


def test_seeds():
    rng = np.random.default_rng(0)
    assert as_generator(rng) is rng
    assert as_generator(3).random() == np.random.default_rng(3).random()
    state = np.random.RandomState(0)
    assert as_generator(state) is state


def test_values_broadcast_or_are_refused():
    assert check_values(1.0, (3, 2)).shape == (1, 1)
    assert check_values(np.zeros((7, 1, 1)), (3, 2)).shape == (7, 1, 1)
    for shape in ((4, 2), (3, 3), (3,), (2, 4, 2)):
        with pytest.raises(ValueError, match="that broadcasts to"):
            check_values(np.zeros(shape), (3, 2))


@pytest.mark.parametrize("n_parts", [2, 3, 10, 64])
def test_even_quantiles_are_the_quantiles(n_parts):
    rng = np.random.default_rng(0)
    masses = rng.random((5, 2, 10)) * (rng.random((5, 2, 10)) > 0.3) + 1e-300
    masses[0, 0] = 1.0
    one = PiecewiseDistribution.from_masses(np.sort(rng.normal(size=(5, 2, 11))), masses)
    found = even_quantiles(one.edges, one._cdf, n_parts)
    expected = one.quantile(np.arange(1, n_parts) / n_parts)
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), expected, atol=1e-9)
