"""Cubes, noise levels and masks that fit, and those that do not."""

import numpy as np
import pytest

from skastro.denoising.checks import check_cube, read_spectra
from skastro.denoising.noise import check_sigma
from skastro.denoising.signal_mask import check_signal_mask

SHAPE = (2, 3, 4)


@pytest.mark.parametrize("dtype", ["f4", ">f4", "f8", ">f8", "i2", "u1"])
def test_spectra_are_native_float32(dtype):
    cube = np.arange(24).reshape(SHAPE).astype(dtype)
    spectra = read_spectra(check_cube(cube))
    assert spectra.dtype == np.float32 and spectra.dtype.isnative
    np.testing.assert_array_equal(spectra, np.arange(24.0).reshape(6, 4))
    np.testing.assert_array_equal(read_spectra(cube, slice(1, 2)), spectra[3:])


def test_no_copy_of_what_is_float32_already():
    cube = np.zeros(SHAPE, np.float32)
    assert check_cube(cube) is cube
    assert np.shares_memory(read_spectra(cube), cube)


def test_masked_voxels_are_blank():
    cube = np.ma.masked_greater(np.arange(24).reshape(SHAPE), 20)
    assert np.isnan(read_spectra(check_cube(cube))).sum() == 3


@pytest.mark.parametrize(
    "cube, match",
    [
        (np.zeros(4), r"cube has shape \(4,\); expected \(n_y, n_x, n_channels\) or \(n_spectra"),
        (np.zeros((1, 2, 3, 4)), r"cube has shape \(1, 2, 3, 4\); expected"),
        (np.zeros((3, 0, 4)), r"cube has shape \(3, 0, 4\); expected"),
        (np.zeros(SHAPE, complex), "cube has dtype complex128; expected real numbers"),
        (np.zeros((2, 3, 1)), r"cube has 1 channel\(s\), shape \(2, 3, 1\); expected at least 2"),
    ],
)
def test_what_is_no_cube(cube, match):
    with pytest.raises(ValueError, match=match) as error:
        check_cube(cube, min_channels=2)
    assert "\n" not in str(error.value)


def test_every_form_of_sigma():
    rng = np.random.default_rng(0)
    full = rng.uniform(1, 2, SHAPE)
    for sigma, expected in (
        (0.5, np.full(SHAPE, 0.5)),
        (full[0, 0], full[0, 0] + np.zeros(SHAPE)),
        (full[..., 0], full[..., :1] + np.zeros(SHAPE)),
        (full[..., :1], full[..., :1] + np.zeros(SHAPE)),
        (full, full),
        (full.astype(">f8"), full),
    ):
        found = check_sigma(sigma, SHAPE)
        assert found.shape == SHAPE and found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert check_sigma(2, (5, 4)).shape == (5, 4)


def test_sigma_of_a_table():
    np.testing.assert_array_equal(check_sigma([1.0, 2.0], (2, 3))[:, 2], [1.0, 2.0])
    np.testing.assert_array_equal(check_sigma([1.0, 2.0, 3.0], (2, 3))[1], [1.0, 2.0, 3.0])
    # as many spectra as channels: a spectrum of the noise
    np.testing.assert_array_equal(check_sigma([1.0, 2.0], (2, 2))[0], [1.0, 2.0])


def test_sigma_may_be_blank_in_part():
    sigma = np.full((2, 3), 0.2)
    sigma[0, 1] = np.nan
    assert np.isnan(check_sigma(sigma, SHAPE)).sum() == 4


@pytest.mark.parametrize(
    "sigma, match",
    [
        (0.0, "sigma is 0 at 1 of 1 places; expected positive numbers"),
        (np.array([1.0, -2.0, 1.0, 0.0]), "sigma is -2 at 2 of 4 places; expected positive"),
        (np.array([1.0, np.nan, 0.0, 1.0]), "sigma is 0 at 1 of 4 places; expected positive"),
        (np.inf, "sigma is infinite somewhere; expected finite numbers"),
        (np.full((2, 3), np.nan), "sigma is NaN everywhere; expected a positive noise level"),
        (np.ones(3), r"sigma has shape \(3,\); expected a scalar, \(4,\), \(2, 3\) or \(2, 3, 4\)"),
        (np.ones((3, 2)), r"sigma has shape \(3, 2\); expected a scalar"),
        (np.ones((2, 3, 4, 1)), r"sigma has shape \(2, 3, 4, 1\); expected a scalar"),
        ("auto", "sigma has dtype <U4; expected positive real numbers"),
    ],
)
def test_what_is_no_sigma(sigma, match):
    with pytest.raises(ValueError, match=match) as error:
        check_sigma(sigma, SHAPE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "mask, match",
    [
        (
            np.zeros((2, 3), bool),
            r"signal_mask has shape \(2, 3\); expected \(2, 3, 4\), the shape",
        ),
        (np.zeros(SHAPE), r"signal_mask has dtype float64; expected bool \(True where signal\)"),
    ],
)
def test_what_is_no_mask(mask, match):
    with pytest.raises(ValueError, match=match) as error:
        check_signal_mask(mask, SHAPE)
    assert "\n" not in str(error.value)
