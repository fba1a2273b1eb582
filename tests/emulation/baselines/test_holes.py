"""Missing entries of a grid: linear and smooth functions must come back."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from skastro.emulation.baselines.holes import RegularGrid, fill_grid, fill_holes, find_grid


def test_local_fits_restore_a_linear_function():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    Z = np.stack([X @ [1.0, 2.0, -1.0], 5 - X[:, 0]], axis=1)
    holes = rng.random(Z.shape) < 0.2
    filled = fill_holes(X, np.where(holes, np.nan, Z))
    np.testing.assert_allclose(filled, Z, atol=1e-5)
    # what is known is not touched
    np.testing.assert_array_equal(filled[~holes], Z[~holes])


def test_local_fits_extrapolate_along_what_the_neighbours_span_only():
    # the neighbours lie on a line: across it there is no slope to follow
    X = np.c_[np.arange(12.0), np.zeros(12)]
    X[-1, 1] = 5.0
    Z = X[:, :1].copy()
    Z[-1] = np.nan
    assert fill_holes(X, Z)[-1, 0] == pytest.approx(11.0, abs=0.5)


def test_an_entry_far_from_any_valid_one_copies_the_nearest():
    X = np.arange(100.0)[:, None]
    Z = np.full((100, 1), np.nan)
    Z[:3, 0] = [1.0, 2.0, 3.0]
    filled = fill_holes(X, Z, n_neighbors=4)
    assert (filled[10:] == 3.0).all()


def test_grid_is_found_in_any_order_and_with_rounding():
    axes = [0.0, 0.1, 0.7], [1.0, 2.0], [5.0, 6.0, 9.0, 11.0]
    X = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    order = np.random.default_rng(0).permutation(len(X))
    jitter = 1e-13 * np.random.default_rng(1).normal(size=X.shape)
    grid = find_grid(X[order] + jitter)
    assert grid.shape == (3, 2, 4)
    np.testing.assert_array_equal(grid.flat, order)
    assert find_grid(X[1:]) is None
    assert find_grid(X[1:], min_filled=0.9).shape == (3, 2, 4)
    assert find_grid(np.random.default_rng(0).random((50, 2)), min_filled=0.5) is None


def test_one_missing_node_lies_on_the_natural_spline_of_the_others():
    x = np.array([0.0, 1.0, 1.5, 3.0, 4.0, 6.0, 7.0])
    z = np.sin(x)
    kept = np.array([0, 1, 2, 4, 5, 6])
    grid = RegularGrid([x], (7,), kept)
    filled = fill_grid(grid, z[kept, None])[:, 0]
    # among all values there, that on the spline through the others bends least
    expected = CubicSpline(x[kept], z[kept], bc_type="natural")(x[3])
    assert filled[3] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(filled[kept], z[kept], atol=1e-12)


def test_axes_along_which_a_function_is_smooth_count_more():
    x, y = np.linspace(0, 1, 9), np.linspace(0, 1, 9)
    X = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    Z = (np.sin(12 * X[:, 0]) + 0.5 * X[:, 1])[:, None]
    kept = np.random.default_rng(0).random(81) < 0.75
    grid = find_grid(X[kept], min_filled=0.5)
    error = [np.abs(fill_grid(grid, Z[kept], n_iter=n).reshape(-1, 1) - Z).max() for n in (0, 3)]
    assert error[1] < 1e-3 < 0.1 < error[0]


def test_a_line_of_two_nodes_is_filled_from_the_other_axes():
    X = np.stack(np.meshgrid(np.arange(5.0), [0.0, 1.0], indexing="ij"), axis=-1).reshape(-1, 2)
    Z = (2 * X[:, 0] + 7 * X[:, 1])[:, None]
    kept = np.arange(10) != 5
    filled = fill_grid(find_grid(X[kept], min_filled=0.5), Z[kept])
    np.testing.assert_allclose(filled.ravel(), Z.ravel(), atol=1e-6)
