"""MaskDenoiser: the cube times the mask that `find_signal` finds."""

import numpy as np
import pytest

from skastro.denoising import find_signal
from skastro.denoising.baselines import GaussianSmoother, MaskDenoiser

rng = np.random.default_rng(0)
SIGMA = rng.uniform(0.5, 2.0, (10, 11, 1)) * np.linspace(1.0, 1.3, 50)
CUBE = SIGMA * rng.normal(size=(10, 11, 50))
CUBE[3:7, 2:8, 20:27] += 10.0


@pytest.mark.parametrize("n_dilate", [0, 3])
def test_the_cube_where_signal_is_found(n_dilate):
    options = {"low": 1.5, "high": 4.0, "min_voxels": 5, "n_dilate": n_dilate}
    found = MaskDenoiser(**options).fit_transform(CUBE, sigma=SIGMA)
    mask = find_signal(CUBE, SIGMA, **options)
    assert 0.01 < mask.mean() < 0.5
    np.testing.assert_array_equal(found, np.where(mask, CUBE, 0.0))


def test_smoothed_where_signal_is_found():
    found = MaskDenoiser(fwhm=(2.0, 2.0, 1.0)).fit_transform(CUBE, sigma=SIGMA)
    mask = find_signal(CUBE, SIGMA, n_dilate=3)
    expected = GaussianSmoother((2.0, 2.0, 1.0)).fit_transform(CUBE)
    np.testing.assert_array_equal(found, np.where(mask, expected, 0.0))


@pytest.mark.parametrize("fwhm", [None, 1.5])
def test_blanks_stay_blank_and_others_zero(fwhm):
    cube = CUBE.copy()
    cube[4:6, 4:6] = np.nan
    cube[0, 0, 3] = np.nan
    found = MaskDenoiser(fwhm).fit_transform(cube, sigma=SIGMA)
    assert np.array_equal(np.isnan(found), np.isnan(cube))
    assert (found[9, :, :10] == 0).all() and found[3, 3, 23] > 5


def test_a_mask_that_is_given_is_used_as_it_is():
    mask = rng.random(CUBE.shape) < 0.2
    denoiser = MaskDenoiser()
    expected = np.where(mask, CUBE, 0.0)
    fitted = denoiser.fit(CUBE, sigma=SIGMA, signal_mask=mask)
    np.testing.assert_array_equal(fitted.transform(CUBE), expected)
    # it belongs to that cube: in another one signal is looked for
    other = CUBE[::-1].copy()
    looked = find_signal(other, SIGMA, n_dilate=3)
    np.testing.assert_array_equal(
        fitted.transform(other, sigma=SIGMA), np.where(looked, other, 0.0)
    )
    fresh = MaskDenoiser().fit(CUBE, sigma=SIGMA)
    np.testing.assert_array_equal(fresh.transform(CUBE, signal_mask=mask), expected)


def test_spectra_of_a_table_are_apart():
    table = CUBE.reshape(-1, 50)
    denoiser = MaskDenoiser().fit(table, sigma=1.0)
    together = denoiser.transform(table)
    assert (together != 0).any() and (together == 0).any()
    alone = np.concatenate([denoiser.transform(row[None]) for row in table])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    "parameters", [{"low": 0.0}, {"high": -1.0}, {"min_voxels": 0}, {"n_dilate": -1}, {"fwhm": -1}]
)
def test_bad_parameters(parameters):
    with pytest.raises(ValueError, match=f"'{[*parameters][0]}' parameter of MaskDenoiser must be"):
        MaskDenoiser(**parameters).fit(CUBE)


def test_thresholds_in_the_wrong_order():
    with pytest.raises(ValueError, match="low=4.0 is above high=3.0"):
        MaskDenoiser(low=4.0, high=3.0).fit_transform(CUBE, sigma=1.0)
