"""The bundled Cloudy grid: structure, units, mask, and physics that must hold."""

import numpy as np
import pytest

from skastro.datasets import load_nebular_grid


@pytest.fixture(scope="module")
def grid():
    return load_nebular_grid()


def line(grid, name):
    return grid.target[:, grid.target_names.index(name)]


def test_structure(grid):
    assert grid.data.shape == (1540, 4) and grid.data.dtype == np.float64
    assert grid.target.shape == grid.mask.shape == (1540, 126)
    assert grid.target.dtype == np.float64 and grid.mask.dtype == bool
    assert grid.feature_names == ["logZ", "log_age", "logU", "dust"]
    assert len(set(grid.target_names)) == 126 and np.all(np.diff(grid.wavelengths) > 0)
    assert "Lsun" in grid.DESCR and "MIT" in grid.DESCR


def test_rows_are_a_regular_grid_in_the_stated_order(grid):
    columns = [grid.data[:, grid.feature_names.index(name)] for name in grid.grid_axes]
    axes = [np.unique(column) for column in columns]
    assert tuple(len(axis) for axis in axes) == grid.grid_shape
    nodes = np.meshgrid(*axes, indexing="ij")
    for column, node in zip(columns, nodes, strict=True):
        np.testing.assert_array_equal(column, node.ravel())


def test_mask_is_the_dynamic_range(grid):
    # recomputed here from the linear values, on another path than the loader's
    for j in range(grid.target.shape[1]):
        y = grid.target[:, j]
        expected = np.log10(y) >= np.log10(y.max()) - 12.0
        np.testing.assert_array_equal(grid.mask[:, j], expected)
    assert (~grid.mask).sum() == 1026
    # the source's "zero", 1e-70 over the rate of photons, never counts as valid
    assert grid.target[grid.mask].min() > 1e-63
    assert (grid.target < 1e-110).any()


def test_dynamic_range(grid):
    assert load_nebular_grid(dynamic_range=None).mask.all()
    narrow = load_nebular_grid(dynamic_range=2).mask
    assert narrow.sum() < grid.mask.sum() and narrow.any(axis=0).all()


def test_hydrogen_recombination(grid):
    """Case B: ratios of Balmer lines hardly depend on anything, and Ly alpha sets the unit."""
    dust_free = grid.data[:, 3] == 0
    decrement = (line(grid, "6564.72A") / line(grid, "4862.76A"))[dust_free]
    assert 2.7 < np.median(decrement) < 3.3
    # 0.68 Ly alpha photons of 10.2 eV per ionizing photon; solar luminosity in erg / s
    expected = 0.68 * 10.2 * 1.602e-12 / 3.828e33
    ratio = np.median(line(grid, "1215.67A")[dust_free]) / expected
    assert 0.3 < ratio < 3


def test_ionization(grid):
    """[O III] over [O II] grows with the ionization parameter, everything else equal."""
    ratio = np.log10(line(grid, "5008.31A") / line(grid, "3727.12A")).reshape(grid.grid_shape)
    assert (np.diff(ratio, axis=3) > 0).mean() > 0.95


def test_return_x_y_has_nan_where_masked(grid):
    data, target = load_nebular_grid(return_X_y=True)
    np.testing.assert_array_equal(data, grid.data)
    np.testing.assert_array_equal(np.isfinite(target), grid.mask)
    np.testing.assert_array_equal(target[grid.mask], grid.target[grid.mask])


def test_as_frame(grid):
    pytest.importorskip("pandas")
    frame = load_nebular_grid(as_frame=True)
    assert list(frame.data.columns) == grid.feature_names
    assert list(frame.target.columns) == grid.target_names
    np.testing.assert_array_equal(frame.target.to_numpy(), grid.target)


@pytest.mark.parametrize("bad", [0, -1.0, "12", True, np.nan])
def test_bad_dynamic_range(bad):
    with pytest.raises(ValueError, match="dynamic_range=.*above 0, or None"):
        load_nebular_grid(dynamic_range=bad)
