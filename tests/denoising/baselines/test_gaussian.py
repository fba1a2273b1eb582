"""GaussianSmoother against SciPy, and astropy's convolution around blanks and borders."""

import numpy as np
import pytest
from astropy.convolution import convolve
from scipy.ndimage import gaussian_filter

from skastro.denoising.baselines import GaussianSmoother
from skastro.denoising.baselines.gaussian import gaussian_smooth, widths_of_axes

rng = np.random.default_rng(0)
CUBE = rng.normal(size=(9, 8, 20))
SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))


def kernel(fwhm):
    """A Gaussian out to four sigma, product of its axes."""
    lines = []
    for width in fwhm:
        sigma = width * SIGMA_PER_FWHM
        reach = int(4 * sigma + 0.5)
        x = np.arange(-reach, reach + 1)
        lines.append(np.exp(-0.5 * (x / sigma) ** 2) if width else np.ones(1))
    return np.einsum("i,j,k->ijk", *lines)


def with_blanks(array, fraction=0.3):
    return np.where(np.random.default_rng(1).random(array.shape) < fraction, np.nan, array)


@pytest.mark.parametrize("fwhm", [1.5, 3.0, (2.0, 2.0, 1.0)])
def test_inside_it_is_scipys_filter(fwhm):
    found = GaussianSmoother(fwhm).fit_transform(CUBE)
    sigma = np.broadcast_to(fwhm, 3) * SIGMA_PER_FWHM
    padded = np.pad(CUBE, 12)
    plain, weight = (
        gaussian_filter(a, sigma)[12:-12, 12:-12, 12:-12]
        for a in (padded, np.pad(np.ones_like(CUBE), 12))
    )
    np.testing.assert_allclose(found, plain / weight, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("fwhm", [(1.5, 1.5, 1.5), (2.5, 0.0, 4.0)])
def test_around_blanks_it_is_astropys_convolution(fwhm):
    cube = with_blanks(CUBE)
    found = GaussianSmoother(fwhm).fit_transform(cube)
    expected = convolve(
        cube, kernel(fwhm), boundary="fill", fill_value=np.nan, nan_treatment="interpolate",
        preserve_nan=True,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)
    assert np.array_equal(np.isnan(found), np.isnan(cube))


def test_a_table_is_smoothed_along_its_spectra_alone():
    table = with_blanks(rng.normal(size=(6, 30)))
    found = GaussianSmoother((9.0, 9.0, 2.0)).fit_transform(table)
    for row, smooth in zip(table, found, strict=True):
        expected = convolve(
            row, kernel((0, 0, 2.0))[0, 0], boundary="fill", fill_value=np.nan,
            nan_treatment="interpolate", preserve_nan=True,
        )  # fmt: skip
        np.testing.assert_allclose(smooth, expected, rtol=1e-10, atol=1e-13)


def test_a_constant_stays_one():
    cube = np.full((5, 6, 7), 3.0)
    cube[2, 3] = np.nan
    found = GaussianSmoother(4.0).fit_transform(cube)
    np.testing.assert_allclose(found[~np.isnan(cube)], 3.0, rtol=1e-12)


def test_white_noise_is_averaged_as_the_kernel_says():
    noise = rng.normal(size=(60, 60, 60))
    left = GaussianSmoother(1.5).fit_transform(noise)[5:-5, 5:-5, 5:-5].std()
    weights = kernel((1.5, 1.5, 1.5))
    expected = np.sqrt((weights**2).sum()) / weights.sum()
    # of 125,000 correlated voxels: 1 % is three standard errors
    assert left == pytest.approx(expected, rel=0.02)


def test_no_width_is_no_filter():
    cube = with_blanks(CUBE)
    np.testing.assert_array_equal(GaussianSmoother(0.0).fit_transform(cube), cube)


def test_input_is_left_alone():
    cube = with_blanks(CUBE)
    before = cube.copy()
    gaussian_smooth(cube, np.isnan(cube), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(cube, before)


@pytest.mark.parametrize(
    "fwhm", [(1.0, 2.0), (1.0, 2.0, -1.0), (1.0, 2.0, "a"), [1.0, 2.0, 3.0, 4.0]]
)
def test_bad_widths(fwhm):
    with pytest.raises(ValueError, match=r"fwhm=.*; expected one of the numbers from 0, or three"):
        GaussianSmoother(fwhm).fit(CUBE)


@pytest.mark.parametrize("fwhm", [-1.0, "wide", None])
def test_bad_width(fwhm):
    with pytest.raises(ValueError, match="'fwhm' parameter of GaussianSmoother must be"):
        GaussianSmoother(fwhm).fit(CUBE)


def test_widths():
    assert widths_of_axes(2, 3) == [2, 2, 2] and widths_of_axes((1, 2, 3), 2) == [None, 3]
