"""Total variation against exact solutions: bounded least squares in 1-D, the duality gap in 3-D."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from skastro.denoising.baselines import TotalVariationDenoiser
from skastro.denoising.baselines.total_variation import minimize_total_variation

rng = np.random.default_rng(0)


def exact(spectrum, weight):
    """The minimum in 1-D: its dual is a least-squares problem with bounds."""
    adjoint = np.diff(np.eye(len(spectrum)), axis=0).T
    dual = lsq_linear(adjoint, spectrum, bounds=(-weight, weight), tol=1e-14).x
    return spectrum - adjoint @ dual


def total_variation(x):
    """Sum of the lengths of the forward gradients."""
    steps = [np.diff(x, axis=axis, append=x.take([-1], axis=axis)) for axis in range(x.ndim)]
    return np.sqrt(sum(step**2 for step in steps)).sum()


@pytest.mark.parametrize("weight", [0.3, 1.0, 5.0, 1e3])
def test_one_spectrum(weight):
    spectrum = np.repeat([0.0, 4.0, 1.0], 10) + rng.normal(size=30)
    found = minimize_total_variation(spectrum, weight, [0], n_iter=20_000)[0]
    np.testing.assert_allclose(found, exact(spectrum, weight), atol=1e-6)


def test_two_channels_by_hand():
    for gap in (10.0, 3.0):
        found = minimize_total_variation(np.array([0.0, gap]), 2.0, [0], n_iter=500)[0]
        moved = min(2.0, gap / 2)
        np.testing.assert_allclose(found, [moved, gap - moved], atol=1e-9)


@pytest.mark.parametrize("n_iter, accuracy", [(50, 3e-3), (2000, 1e-6)])
def test_a_cube_is_within_the_duality_gap_of_the_minimum(n_iter, accuracy):
    cube = rng.normal(size=(8, 9, 12))
    cube[2:6, 2:6, 3:8] += 5.0
    weight = 0.5
    x, dual = minimize_total_variation(cube, weight, [0, 1, 2], n_iter=n_iter)
    assert (np.sqrt((dual**2).sum(axis=0)) <= 1 + 1e-12).all()
    primal = 0.5 * ((x - cube) ** 2).sum() + weight * total_variation(x)
    # x is the data less the divergence of the dual: with that, |d|^2 - |x|^2 bounds from below
    bound = 0.5 * ((cube**2).sum() - (x**2).sum())
    gap = primal - bound
    # the objective is strongly convex: half the squared distance to the minimum is below the gap
    assert -1e-9 < gap and np.sqrt(2 * max(gap, 0) / cube.size) < np.sqrt(accuracy)


def test_the_mean_stays_and_is_all_that_is_left_of_a_large_weight():
    cube = rng.normal(size=(5, 6, 7)) + 3.0
    for weight in (0.5, 200.0):
        found = minimize_total_variation(cube, weight, [0, 1, 2], n_iter=300)[0]
        assert found.mean() == pytest.approx(cube.mean(), rel=1e-12)
    np.testing.assert_allclose(found, cube.mean(), atol=1e-3)


def test_blanks_separate():
    spectrum = rng.normal(size=31)
    spectrum[12] = np.nan
    found = TotalVariationDenoiser(1.0, n_iter=5000).fit_transform(spectrum[None], sigma=1.0)[0]
    np.testing.assert_allclose(found[:12], exact(spectrum[:12], 1.0), atol=1e-5)
    np.testing.assert_allclose(found[13:], exact(spectrum[13:], 1.0), atol=1e-5)
    assert np.isnan(found[12])
    # around a blank position of a cube, too: a wall of blanks leaves two cubes
    cube = rng.normal(size=(7, 4, 5))
    cube[3] = np.nan
    found = TotalVariationDenoiser(1.0).fit_transform(cube, sigma=1.0)
    alone = TotalVariationDenoiser(1.0).fit_transform(cube[:3], sigma=1.0)
    np.testing.assert_allclose(found[:3], alone, rtol=1e-10, atol=1e-12)


def test_spectra_of_a_table_are_apart():
    table = rng.normal(size=(6, 20))
    found = TotalVariationDenoiser(0.7, n_iter=3000).fit_transform(table, sigma=1.0)
    for row, smooth in zip(table, found, strict=True):
        np.testing.assert_allclose(smooth, exact(row, 0.7), atol=1e-5)


def test_the_weight_is_in_units_of_the_noise():
    cube = rng.normal(size=(5, 5, 10))
    found = TotalVariationDenoiser().fit_transform(20 * cube, sigma=20.0)
    np.testing.assert_allclose(found, 20 * TotalVariationDenoiser().fit_transform(cube, sigma=1.0))


def test_no_weight_and_no_axis():
    cube = rng.normal(size=(1, 1, 10))
    np.testing.assert_array_equal(TotalVariationDenoiser(0.0).fit_transform(cube, sigma=1.0), cube)
    single = rng.normal(size=(1, 1, 1))
    np.testing.assert_array_equal(TotalVariationDenoiser().fit_transform(single, sigma=1.0), single)


@pytest.mark.parametrize("parameters", [{"weight": -1.0}, {"n_iter": 0}])
def test_bad_parameters(parameters):
    with pytest.raises(
        ValueError, match=f"'{[*parameters][0]}' parameter of TotalVariationDenoiser"
    ):
        TotalVariationDenoiser(**parameters).fit(np.zeros((3, 30)), sigma=1.0)
